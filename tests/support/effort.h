// SPDX-License-Identifier: MIT
// How much a test repeats: less where the code runs ten times slower, which is
// under sanitizers and in an emulator; much more with tools/test --long.
#ifndef TESTS_SUPPORT_EFFORT_H_
#define TESTS_SUPPORT_EFFORT_H_

#include <cstdlib>
#include <ctime>

namespace tinyphi_test {

// TINYPHI_EMULATED: set by tests/kernels/arm_test.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
    defined(TINYPHI_EMULATED)
inline constexpr bool slow_build = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool slow_build = true;
#else
inline constexpr bool slow_build = false;
#endif
#else
inline constexpr bool slow_build = false;
#endif

// A number of repetitions, or a step between them.
template <class T>
constexpr T effort(T usual, T in_slow_builds) {
  return slow_build ? in_slow_builds : usual;
}

// The processor's time that this program took so far: what else runs beside it
// changes it little, so that bounds on it can be tight.
inline double cpu_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

// The rounds of a random sweep. Its first rounds are always the same ones.
inline int sweep_rounds(int always, int when_long) {
  const char* wanted = std::getenv("TINYPHI_TEST_LONG");
  if (wanted != nullptr && *wanted == '1') return when_long;
  return effort(always, (always + 9) / 10);
}

}  // namespace tinyphi_test

#endif  // TESTS_SUPPORT_EFFORT_H_
