// SPDX-License-Identifier: MIT
// What stages do in the world.
#ifndef TINYPHI_PIPELINE_EFFECT_H_
#define TINYPHI_PIPELINE_EFFECT_H_

#include <cstdint>
#include <string_view>
#include <utility>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN

// What a stage does beyond computing its outputs; a set of flags.
enum class effect : std::uint8_t {
  none = 0,
  read = 1,  // files
  write = 2,
  net = 4,
  exec = 8
};
[[nodiscard]] constexpr effect operator|(effect a, effect b) {
  return static_cast<effect>(static_cast<unsigned>(a) |
                             static_cast<unsigned>(b));
}
[[nodiscard]] constexpr bool has(effect set, effect flag) {
  return (static_cast<unsigned>(set) & static_cast<unsigned>(flag)) != 0;
}

// Each with its name, in the order in which people are told.
inline constexpr std::pair<effect, std::string_view> effect_names[] = {
    {effect::read, "read"},
    {effect::write, "write"},
    {effect::net, "net"},
    {effect::exec, "exec"}};

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_EFFECT_H_
