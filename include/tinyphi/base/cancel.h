// SPDX-License-Identifier: MIT
// When to stop: a token that anybody may set, and a deadline.
#ifndef TINYPHI_BASE_CANCEL_H_
#define TINYPHI_BASE_CANCEL_H_

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>

#include "tinyphi/base/error.h"

TINYPHI_NAMESPACE_BEGIN

using steady_time = std::chrono::steady_clock::time_point;

// Shared by whoever asks and whoever works; copies are the same token. Any
// thread may cancel; long loops poll `check` every few milliseconds of work.
// Per request, never global: one client's disconnect must not stop another
// (ik_llama.cpp issue 1929).
class cancel_token {
 public:
  cancel_token() : state_(std::make_shared<state>()) {}

  // A token that is cancelled with this one or by itself.
  [[nodiscard]] cancel_token child() const {
    cancel_token c;
    c.state_->parent = state_;
    return c;
  }

  void cancel() const noexcept {
    state_->cancelled.store(true, std::memory_order_relaxed);
  }
  [[nodiscard]] bool cancelled() const noexcept {
    for (const state* s = state_.get(); s != nullptr; s = s->parent.get()) {
      if (s->cancelled.load(std::memory_order_relaxed)) return true;
    }
    return false;
  }

 private:
  struct state {
    std::atomic<bool> cancelled = false;
    std::shared_ptr<const state> parent;
  };
  std::shared_ptr<state> state_;
};

// A token with an optional deadline; what long calls take.
struct stop_condition {
  cancel_token token;
  std::optional<steady_time> deadline;

  // Nothing while work may go on, otherwise why it must end.
  [[nodiscard]] std::optional<error_code> reason() const {
    if (token.cancelled()) return error_code::cancelled;
    if (deadline && std::chrono::steady_clock::now() >= *deadline) {
      return error_code::deadline;
    }
    return std::nullopt;
  }
  [[nodiscard]] result<void> check() const {
    const auto why = reason();
    if (!why) return {};
    return error{*why, *why == error_code::cancelled
                           ? "cancelled"
                           : "the deadline has passed"};
  }
};

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_BASE_CANCEL_H_
