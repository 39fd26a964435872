// SPDX-License-Identifier: MIT
// What each key may take: requests and tokens by the minute, places at once.
// Time is given by the caller, so all of it can be tested.
#ifndef TINYPHI_SERVE_RATE_LIMIT_H_
#define TINYPHI_SERVE_RATE_LIMIT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>

#include "tinyphi/base/cancel.h"
#include "tinyphi/serve/api_error.h"
#include "tinyphi/serve/caller.h"
#include "tinyphi/serve/http_exchange.h"

TINYPHI_NAMESPACE_BEGIN

// Fills with `per_minute` each minute, evenly, up to as much; what is taken may
// exceed what there is, and is then waited for. Exact to the millisecond: who
// takes only what wait_ms says is there takes at most (t + 1) per_minute in any
// t minutes.
class token_bucket {
 public:
  // Full. per_minute in [0, 10^9]; 0: there is no limit.
  token_bucket() = default;
  token_bucket(std::uint64_t per_minute, steady_time now);

  // Another limit from now on; what is in it stays as far as there is room.
  void set_limit(std::uint64_t per_minute, steady_time now);
  [[nodiscard]] std::uint64_t limit() const { return per_minute_; }
  // How long until n are there, but the limit at most, if nobody takes any.
  [[nodiscard]] std::int64_t wait_ms(std::uint64_t n, steady_time now) const;
  // Takes n whether or not they are there.
  void take(std::uint64_t n, steady_time now);
  [[nodiscard]] std::uint64_t remaining(steady_time now) const;
  // Until it is full.
  [[nodiscard]] std::int64_t reset_ms(steady_time now) const {
    return wait_ms(per_minute_, now);
  }

 private:
  // A token is so many units: a millisecond adds per_minute_ of them.
  static constexpr std::int64_t unit = 60'000;
  [[nodiscard]] std::int64_t level(std::int64_t at_ms) const;

  std::uint64_t per_minute_ = 0;
  std::int64_t units_ = 0;  // at at_ms_; below zero: taken in advance
  std::int64_t at_ms_ = 0;
};

namespace detail {
struct key_account;
struct key_place;
}  // namespace detail

class rate_limiter;

// A place of a caller's. Destroying it gives it back, and the request that has
// waited longest runs. Move-only; it may outlive its limiter.
class rate_ticket {
 public:
  rate_ticket() = default;  // of a caller without limits: it runs
  rate_ticket(rate_ticket&& other) noexcept { *this = std::move(other); }
  rate_ticket& operator=(rate_ticket&& other) noexcept;
  ~rate_ticket() { give_back(); }

  // Whether it is among the `concurrency` that may run; else it waits.
  [[nodiscard]] bool runs() const;
  // Calls `turn` once it runs: now, or when a place becomes free, from within
  // the end of another ticket.
  void when_running(std::function<void()> turn);
  // As destroying it, and tells how long it took, so that others who find no
  // place hear when to come back.
  void finish(steady_time now);

 private:
  friend class rate_limiter;
  rate_ticket(std::shared_ptr<detail::key_account> account,
              std::list<detail::key_place>::iterator place)
      : account_(std::move(account)), place_(place) {}
  void give_back() noexcept;

  std::shared_ptr<detail::key_account> account_;
  std::list<detail::key_place>::iterator place_;
};

// On the io thread only. Accounts are by tenant, so they outlive a reload; the
// limits that count are those of the caller that comes.
class rate_limiter {
 public:
  // With so many, those at rest are forgotten before there is another.
  static constexpr std::size_t max_accounts = 4096;

  // A place for a request of this caller, which counts as one; or 429 with the
  // time until there is one. That is exact where a rate is the reason; where
  // all places are taken it is what this caller's requests took so far.
  [[nodiscard]] api_result<rate_ticket> admit(const caller& who,
                                              steady_time now);
  // After an answer: prompt tokens, less those found in the cache, and the
  // answer's. What exceeds the minute is owed by the requests that follow.
  void charge_tokens(const caller& who, std::size_t prompt, std::size_t cached,
                     std::size_t answered, steady_time now);
  [[nodiscard]] std::size_t n_accounts() const { return accounts_.size(); }
  // x-ratelimit-{limit,remaining,reset}-{requests,tokens}, those that this
  // caller has; for answers and for errors.
  [[nodiscard]] http_headers headers(const caller& who, steady_time now) const;

 private:
  // Null for a caller without limits.
  std::shared_ptr<detail::key_account> account_of(const caller& who,
                                                  steady_time now);
  void forget_idle(steady_time now);

  std::map<std::uint64_t, std::shared_ptr<detail::key_account>> accounts_;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/rate_limit.ipp"
#endif

#endif  // TINYPHI_SERVE_RATE_LIMIT_H_
