// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_RATE_LIMIT_IPP_
#define TINYPHI_SERVE_RATE_LIMIT_IPP_

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "tinyphi/serve/rate_limit.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline std::int64_t to_ms(steady_time t) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             t.time_since_epoch())
      .count();
}

struct key_place {
  steady_time since;
  std::function<void()> turn;  // empty while nobody waits for it
  bool runs = false;
};

struct key_account {
  token_bucket requests, tokens;
  std::size_t concurrency = 0;
  std::list<key_place> places;  // in the order of admission: those that run
                                // stand before those that wait
  double usual_ms = 1000;       // that a request holds its place

  // Lets those run that have waited longest. A turn may end other tickets, so
  // the walk begins again after each.
  void next_turns() {
    while (key_place* place = next_place()) {
      place->runs = true;
      if (auto turn = std::exchange(place->turn, nullptr)) turn();
    }
  }

 private:
  key_place* next_place() {
    std::size_t n = 0;
    for (key_place& place : places) {
      if (concurrency != 0 && n == concurrency) return nullptr;
      if (!place.runs) return &place;
      ++n;
    }
    return nullptr;
  }
};

// "250ms", "12.5s", "6m0s": as OpenAI writes times.
inline std::string reset_text(std::int64_t ms) {
  if (ms < 1000) return std::to_string(ms) + "ms";
  std::string text;
  if (ms >= 60'000) text = std::to_string(ms / 60'000) + "m";
  text += std::to_string(ms % 60'000 / 1000);
  if (const std::int64_t rest = ms % 1000; rest != 0) {
    std::string digits = std::to_string(1000 + rest).substr(1);
    while (digits.back() == '0') digits.pop_back();
    text += "." + digits;
  }
  return text + "s";
}

inline api_error limit_reached(std::string message, std::int64_t retry_ms) {
  api_error e{.status = 429,
              .type = "rate_limit_error",
              .code = "rate_limit_exceeded",
              .message = std::move(message),
              .should_retry = {},
              .retry_after_ms = retry_ms};
  // OpenAI's client does not wait so long: it would only ask in vain.
  constexpr std::int64_t longest = 120'000;
  if (retry_ms > longest) e.should_retry = false;
  return e;
}

}  // namespace detail

TINYPHI_FUNC token_bucket::token_bucket(std::uint64_t per_minute,
                                        steady_time now)
    : per_minute_(per_minute),
      units_(static_cast<std::int64_t>(per_minute) * unit),
      at_ms_(detail::to_ms(now)) {}

TINYPHI_FUNC std::int64_t token_bucket::level(std::int64_t at_ms) const {
  const auto rate = static_cast<std::int64_t>(per_minute_);
  const std::int64_t full = rate * unit;
  const std::int64_t passed = std::max<std::int64_t>(at_ms - at_ms_, 0);
  // Compared before it is multiplied: the machine may have slept for months.
  if (rate == 0 || passed > (full - units_) / rate) return full;
  return units_ + passed * rate;
}

TINYPHI_FUNC void token_bucket::set_limit(std::uint64_t per_minute,
                                          steady_time now) {
  if (per_minute == per_minute_) return;
  if (per_minute == 0 || per_minute_ == 0) {
    *this = token_bucket(per_minute, now);
    return;
  }
  units_ = std::min(level(detail::to_ms(now)),
                    static_cast<std::int64_t>(per_minute) * unit);
  at_ms_ = std::max(at_ms_, detail::to_ms(now));
  per_minute_ = per_minute;
}

TINYPHI_FUNC std::int64_t token_bucket::wait_ms(std::uint64_t n,
                                                steady_time now) const {
  if (per_minute_ == 0) return 0;
  const auto rate = static_cast<std::int64_t>(per_minute_);
  const std::int64_t missing =
      static_cast<std::int64_t>(std::min(n, per_minute_)) * unit -
      level(detail::to_ms(now));
  return missing <= 0 ? 0 : (missing + rate - 1) / rate;
}

TINYPHI_FUNC void token_bucket::take(std::uint64_t n, steady_time now) {
  if (per_minute_ == 0) return;
  // More than a request can have, and no sum of them overflows.
  constexpr std::uint64_t most = std::uint64_t{1} << 32;
  constexpr std::int64_t deepest = -(std::int64_t{1} << 61);
  const std::int64_t at = detail::to_ms(now);
  units_ = std::max(
      level(at) - static_cast<std::int64_t>(std::min(n, most)) * unit, deepest);
  at_ms_ = std::max(at_ms_, at);
}

TINYPHI_FUNC std::uint64_t token_bucket::remaining(steady_time now) const {
  return static_cast<std::uint64_t>(
             std::max<std::int64_t>(level(detail::to_ms(now)), 0)) /
         unit;
}

TINYPHI_FUNC rate_ticket& rate_ticket::operator=(rate_ticket&& other) noexcept {
  if (this == &other) return *this;
  give_back();
  account_ = std::move(other.account_);
  place_ = other.place_;
  return *this;
}

TINYPHI_FUNC bool rate_ticket::runs() const {
  return account_ == nullptr || place_->runs;
}

TINYPHI_FUNC void rate_ticket::when_running(std::function<void()> turn) {
  if (runs()) return turn();
  place_->turn = std::move(turn);
}

TINYPHI_FUNC void rate_ticket::finish(steady_time now) {
  if (account_ != nullptr && place_->runs) {
    const double took =
        std::chrono::duration<double, std::milli>(now - place_->since).count();
    constexpr double newest = 0.25;
    account_->usual_ms += newest * (std::max(took, 0.0) - account_->usual_ms);
  }
  give_back();
}

TINYPHI_FUNC void rate_ticket::give_back() noexcept {
  const auto account = std::exchange(account_, nullptr);
  if (account == nullptr) return;
  account->places.erase(place_);
  account->next_turns();
}

TINYPHI_FUNC std::shared_ptr<detail::key_account> rate_limiter::account_of(
    const caller& who, steady_time now) {
  const caller_limits& limits = who.limits;
  if (limits.concurrency == 0 && limits.requests_per_minute == 0 &&
      limits.tokens_per_minute == 0) {
    return nullptr;
  }
  if (accounts_.size() >= max_accounts && !accounts_.contains(who.tenant)) {
    forget_idle(now);
  }
  auto& account = accounts_[who.tenant];
  if (account == nullptr) {
    account = std::make_shared<detail::key_account>();
    account->requests = token_bucket(limits.requests_per_minute, now);
    account->tokens = token_bucket(limits.tokens_per_minute, now);
  }
  account->requests.set_limit(limits.requests_per_minute, now);
  account->tokens.set_limit(limits.tokens_per_minute, now);
  if (account->concurrency != limits.concurrency) {
    account->concurrency = limits.concurrency;
    account->next_turns();
  }
  return account;
}

TINYPHI_FUNC void rate_limiter::forget_idle(steady_time now) {
  // A full bucket without tickets is as good as a new one.
  std::erase_if(accounts_, [&](const auto& entry) {
    const detail::key_account& a = *entry.second;
    return a.places.empty() && a.requests.reset_ms(now) == 0 &&
           a.tokens.reset_ms(now) == 0;
  });
}

TINYPHI_FUNC api_result<rate_ticket> rate_limiter::admit(const caller& who,
                                                         steady_time now) {
  const auto account = account_of(who, now);
  if (account == nullptr) return rate_ticket();
  const std::int64_t wait = std::max(account->requests.wait_ms(1, now),
                                     account->tokens.wait_ms(1, now));
  if (wait > 0) {
    const bool by_requests = account->requests.wait_ms(1, now) == wait;
    const token_bucket& bucket =
        by_requests ? account->requests : account->tokens;
    return detail::limit_reached(
        "this key's limit of " + std::to_string(bucket.limit()) +
            (by_requests ? " requests" : " tokens") +
            " a minute is reached; the next request is taken in " +
            detail::reset_text(wait),
        wait);
  }
  const caller_limits& limits = who.limits;
  if (limits.concurrency != 0 &&
      account->places.size() >= limits.concurrency + limits.queue) {
    const double held = std::chrono::duration<double, std::milli>(
                            now - account->places.front().since)
                            .count();
    constexpr double step = 100;  // it is an estimate
    const double left = std::max(account->usual_ms - held, step);
    return detail::limit_reached(
        "this key has " + std::to_string(limits.concurrency) +
            " requests that run and " + std::to_string(limits.queue) +
            " that wait, its limit; try again when one of them has ended",
        static_cast<std::int64_t>(std::min(left, 60'000.0) / step) * 100);
  }
  account->requests.take(1, now);
  const auto place =
      account->places.insert(account->places.end(), {now, nullptr, false});
  account->next_turns();
  return rate_ticket(account, place);
}

TINYPHI_FUNC void rate_limiter::charge_tokens(const caller& who,
                                              std::size_t prompt,
                                              std::size_t cached,
                                              std::size_t answered,
                                              steady_time now) {
  const auto account = account_of(who, now);
  if (account == nullptr) return;
  account->tokens.take(prompt - std::min(prompt, cached) + answered, now);
}

TINYPHI_FUNC http_headers rate_limiter::headers(const caller& who,
                                                steady_time now) const {
  http_headers out;
  const auto found = accounts_.find(who.tenant);
  const auto add = [&](std::string_view what, std::uint64_t limit,
                       const token_bucket& bucket) {
    if (limit == 0) return;
    const auto name = [&](std::string_view kind) {
      return "x-ratelimit-" + std::string(kind) + "-" + std::string(what);
    };
    out.emplace_back(name("limit"), std::to_string(limit));
    out.emplace_back(name("remaining"), std::to_string(bucket.remaining(now)));
    out.emplace_back(name("reset"), detail::reset_text(bucket.reset_ms(now)));
  };
  const bool known = found != accounts_.end();
  const caller_limits& l = who.limits;
  add("requests", l.requests_per_minute,
      known ? found->second->requests
            : token_bucket(l.requests_per_minute, now));
  add("tokens", l.tokens_per_minute,
      known ? found->second->tokens : token_bucket(l.tokens_per_minute, now));
  return out;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_RATE_LIMIT_IPP_
