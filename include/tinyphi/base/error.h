// SPDX-License-Identifier: MIT
// Errors as values. Nothing in tinyphi throws across its public functions,
// aborts, or prints.
#ifndef TINYPHI_BASE_ERROR_H_
#define TINYPHI_BASE_ERROR_H_

#include <cassert>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "tinyphi/config.h"

// For broken internal contracts only, never for bytes from outside.
#define TINYPHI_ASSERT(condition) assert(condition)

TINYPHI_NAMESPACE_BEGIN

// What kind of thing went wrong; a program branches on it, a person reads the
// message. The command line maps each to an exit code (tools/exit_code.h).
enum class error_code : std::uint8_t {
  invalid_argument,  // the caller asked for something impossible
  not_found,         // no such file, model, stage, ...
  bad_data,          // bytes from outside break a rule of their format
  unsupported,       // well formed, but not something tinyphi can run
  io,                // the system refused: permission, full disk, ...
  limit,             // a budget (context, memory, size) does not allow it
  cancelled,         // somebody asked to stop
  deadline,          // time ran out
  unavailable,       // busy now, or a needed part is missing
  exhausted,         // as often as was allowed, and still not enough
  internal,          // our bug
};

// In the order of the codes.
inline constexpr std::string_view error_code_names[] = {
    "invalid_argument", "not_found", "bad_data",    "unsupported", "io",
    "limit",            "cancelled", "deadline",    "unavailable", "exhausted",
    "internal"};
[[nodiscard]] constexpr std::string_view to_string(error_code code) {
  return error_code_names[static_cast<std::size_t>(code)];
}

// `message` stands on its own: what was found, what is allowed, where (file,
// byte offset, tensor, line) and, when it is not obvious, what to do. It is
// one line without a full stop at the end.
struct error {
  error_code code = error_code::internal;
  std::string message;

  // The same error with "prefix: " before the message, to add a place.
  [[nodiscard]] error within(std::string_view prefix) && {
    message.insert(0, std::string(prefix) + ": ");
    return std::move(*this);
  }
};

// A T or an error, which is an E. Like C++23's std::expected, without throwing
// accessors: value access on an error is a broken contract.
template <class T, class E = error>
class [[nodiscard]] result {
 public:
  using value_type = T;

  result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  result(E e) : state_(std::in_place_index<1>, std::move(e)) {}

  [[nodiscard]] bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  T& operator*() & noexcept { return *value_ptr(); }
  const T& operator*() const& noexcept { return *value_ptr(); }
  T&& operator*() && noexcept { return std::move(*value_ptr()); }
  T* operator->() noexcept { return value_ptr(); }
  const T* operator->() const noexcept { return value_ptr(); }

  [[nodiscard]] const E& error() const& noexcept {
    TINYPHI_ASSERT(!has_value());
    return *std::get_if<1>(&state_);
  }
  [[nodiscard]] E&& error() && noexcept {
    TINYPHI_ASSERT(!has_value());
    return std::move(*std::get_if<1>(&state_));
  }

 private:
  T* value_ptr() noexcept {
    TINYPHI_ASSERT(has_value());
    return std::get_if<0>(&state_);
  }
  const T* value_ptr() const noexcept {
    TINYPHI_ASSERT(has_value());
    return std::get_if<0>(&state_);
  }
  std::variant<T, E> state_;
};

// result<void>: success, or an error.
template <class E>
class [[nodiscard]] result<void, E> {
 public:
  using value_type = void;

  result() = default;
  result(E e) : failed_(true), error_(std::move(e)) {}

  [[nodiscard]] bool has_value() const noexcept { return !failed_; }
  explicit operator bool() const noexcept { return !failed_; }
  [[nodiscard]] const E& error() const& noexcept { return error_; }
  [[nodiscard]] E&& error() && noexcept { return std::move(error_); }

 private:
  bool failed_ = false;
  E error_;
};

TINYPHI_NAMESPACE_END

#define TINYPHI_CONCAT_(a, b) a##b
#define TINYPHI_CONCAT(a, b) TINYPHI_CONCAT_(a, b)

// TINYPHI_TRY(auto x, f()): x is f()'s value, or the enclosing function
// returns f()'s error.
#define TINYPHI_TRY(declaration, ...)                                     \
  TINYPHI_TRY_(TINYPHI_CONCAT(tinyphi_result_, __COUNTER__), declaration, \
               __VA_ARGS__)
#define TINYPHI_TRY_(temporary, declaration, ...)      \
  auto temporary = (__VA_ARGS__);                      \
  if (!temporary) return std::move(temporary).error(); \
  declaration = *std::move(temporary)

// TINYPHI_CHECK_OK(f()): returns f()'s error from the enclosing function.
#define TINYPHI_CHECK_OK(...)                                   \
  do {                                                          \
    if (auto tinyphi_status = (__VA_ARGS__); !tinyphi_status) { \
      return std::move(tinyphi_status).error();                 \
    }                                                           \
  } while (false)

#endif  // TINYPHI_BASE_ERROR_H_
