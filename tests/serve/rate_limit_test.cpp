// SPDX-License-Identifier: MIT
#include "tinyphi/serve/rate_limit.h"

#include <deque>
#include <optional>
#include <random>

#include "support/test.h"

namespace {

using tinyphi::caller;
using tinyphi::rate_limiter;
using tinyphi::rate_ticket;
using tinyphi::steady_time;
using ms = std::chrono::milliseconds;

constexpr steady_time start{std::chrono::hours(1000)};

caller limited(tinyphi::caller_limits limits, std::uint64_t tenant = 1) {
  caller who;
  who.name = "alice";
  who.tenant = tenant;
  who.limits = limits;
  return who;
}

std::int64_t retry_ms(const tinyphi::api_result<rate_ticket>& r) {
  REQUIRE_FALSE(r.has_value());
  CHECK(r.error().status == 429);
  CHECK(r.error().code == "rate_limit_exceeded");
  REQUIRE(r.error().retry_after_ms.has_value());
  return *r.error().retry_after_ms;
}

}  // namespace

TEST_CASE("a caller without limits is always let in") {
  rate_limiter limiter;
  std::vector<rate_ticket> tickets;
  for (int i = 0; i < 1000; ++i) {
    auto ticket = limiter.admit(limited({}), start);
    REQUIRE(ticket.has_value());
    CHECK(ticket->runs());
    tickets.push_back(*std::move(ticket));
  }
  CHECK(limiter.headers(limited({}), start).empty());
}

TEST_CASE("no window of a minute has more requests than limit and burst") {
  std::mt19937 random(1);
  for (const std::uint64_t limit : {1U, 7U, 60U, 1000U}) {
    CAPTURE(limit);
    rate_limiter limiter;
    const caller who = limited({.requests_per_minute = limit});
    steady_time now = start;
    std::deque<steady_time> minute;
    std::size_t admitted = 0;
    for (int i = 0; i < 20'000; ++i) {
      // Bursts, and pauses in which the bucket fills.
      now += ms(random() % 100 == 0 ? random() % 90'000 : random() % 40);
      if (!limiter.admit(who, now).has_value()) continue;
      ++admitted;
      minute.push_back(now);
      while (minute.front() <= now - ms(60'000)) minute.pop_front();
      REQUIRE(minute.size() <= 2 * limit);
    }
    const double minutes =
        std::chrono::duration<double>(now - start).count() / 60;
    CHECK(static_cast<double>(admitted) <=
          static_cast<double>(limit) * (minutes + 1));
    CHECK(admitted >= limit);
  }
}

TEST_CASE("the time until the next request is exact to the millisecond") {
  std::mt19937 random(2);
  for (const std::uint64_t limit : {1U, 13U, 59U, 999U}) {
    CAPTURE(limit);
    rate_limiter limiter;
    const caller who = limited({.requests_per_minute = limit});
    steady_time now = start;
    int refused = 0;
    for (int i = 0; i < 5000; ++i) {
      now += ms(random() % 20);
      const auto ticket = limiter.admit(who, now);
      if (ticket.has_value()) continue;
      ++refused;
      const std::int64_t wait = retry_ms(ticket);
      REQUIRE(wait > 0);
      REQUIRE_FALSE(limiter.admit(who, now + ms(wait - 1)).has_value());
      now += ms(wait);
      // Nobody who waits as told is refused again: no starvation.
      REQUIRE(limiter.admit(who, now).has_value());
    }
    CHECK(refused > 0);
  }
}

TEST_CASE("a bucket waits for whole tokens, rounded up") {
  tinyphi::token_bucket bucket(7, start);
  bucket.take(7, start);
  CHECK(bucket.wait_ms(1, start) == 8572);  // 60,000 / 7 is 8571.4
  CHECK(bucket.wait_ms(1, start + ms(8571)) == 1);
  CHECK(bucket.remaining(start + ms(8571)) == 0);
  CHECK(bucket.remaining(start + ms(8572)) == 1);
  CHECK(bucket.wait_ms(100, start) == 60'000);         // no more than its limit
  CHECK(bucket.wait_ms(1, start - ms(5000)) == 8572);  // time never goes back
}

TEST_CASE("tokens are owed: what exceeds the minute is waited for") {
  rate_limiter limiter;
  const caller who = limited({.tokens_per_minute = 600});
  REQUIRE(limiter.admit(who, start).has_value());
  // 1000 of a prompt, 700 of them from the cache, and 900 of an answer.
  limiter.charge_tokens(who, 1000, 700, 900, start);
  // 600 less 1200 are -600: 60 s to 0, and a token more after 100 ms.
  CHECK(retry_ms(limiter.admit(who, start)) == 60'100);
  CHECK_FALSE(limiter.admit(who, start + ms(60'099)).has_value());
  CHECK(limiter.admit(who, start + ms(60'100)).has_value());
}

TEST_CASE("prompt tokens found in the cache cost nothing, more are no credit") {
  rate_limiter limiter;
  const caller who = limited({.tokens_per_minute = 100});
  limiter.charge_tokens(who, 50, 80, 0, start);
  CHECK(limiter.headers(who, start)[1].second == "100");
  limiter.charge_tokens(who, 50, 30, 0, start);
  CHECK(limiter.headers(who, start)[1].second == "80");
}

TEST_CASE("charges of any size never overflow into credit") {
  rate_limiter limiter;
  const caller who = limited({.tokens_per_minute = 1'000'000'000});
  const std::size_t most = ~std::size_t{0};
  for (int i = 0; i < 20'000; ++i) {
    limiter.charge_tokens(who, most / 2, 0, most / 2, start);
  }
  const auto r = limiter.admit(who, start);
  CHECK(retry_ms(r) > 0);
  CHECK(r.error().should_retry == false);
  // Also after a sleep of a hundred years the bucket is only full.
  const steady_time later = start + std::chrono::hours(24 * 365 * 100);
  CHECK(limiter.admit(who, later).has_value());
  CHECK(limiter.headers(who, later)[1].second == "1000000000");
}

TEST_CASE("headers tell limit, what remains and when it is full again") {
  rate_limiter limiter;
  const caller who =
      limited({.requests_per_minute = 60, .tokens_per_minute = 1000});
  for (int i = 0; i < 3; ++i) REQUIRE(limiter.admit(who, start).has_value());
  limiter.charge_tokens(who, 500, 0, 6500, start);
  CHECK(limiter.headers(who, start + ms(250)) ==
        tinyphi::http_headers{{"x-ratelimit-limit-requests", "60"},
                              {"x-ratelimit-remaining-requests", "57"},
                              {"x-ratelimit-reset-requests", "2.75s"},
                              {"x-ratelimit-limit-tokens", "1000"},
                              {"x-ratelimit-remaining-tokens", "0"},
                              {"x-ratelimit-reset-tokens", "6m59.75s"}});
  CHECK(limiter.headers(who, start + ms(2600))[2].second == "400ms");
}

TEST_CASE("places beyond concurrency wait in order, beyond the queue are 429") {
  rate_limiter limiter;
  const caller who = limited({.concurrency = 2, .queue = 3});
  std::vector<rate_ticket> tickets;
  for (int i = 0; i < 5; ++i) {
    auto ticket = limiter.admit(who, start);
    REQUIRE(ticket.has_value());
    CHECK(ticket->runs() == (i < 2));
    tickets.push_back(*std::move(ticket));
  }
  CHECK(retry_ms(limiter.admit(who, start)) % 100 == 0);
  // Another key has places of its own.
  CHECK(limiter.admit(limited({.concurrency = 1, .queue = 0}, 2), start)
            .has_value());
  std::vector<int> turns;
  for (int i = 2; i < 5; ++i) {
    tickets[static_cast<std::size_t>(i)].when_running(
        [&turns, i] { turns.push_back(i); });
  }
  tickets[3] = {};  // it leaves the queue, so it has no turn
  CHECK(turns.empty());
  tickets[1] = {};
  CHECK(turns == std::vector{2});
  tickets[0].finish(start + ms(5000));
  CHECK(turns == std::vector{2, 4});
  CHECK(limiter.admit(who, start).has_value());
}

TEST_CASE("a turn may end other tickets of its key") {
  rate_limiter limiter;
  const caller who = limited({.concurrency = 1, .queue = 3});
  std::vector<rate_ticket> tickets(4);
  for (rate_ticket& t : tickets) t = *limiter.admit(who, start);
  bool last_ran = false;
  tickets[1].when_running([&] {
    tickets[2] = {};
    tickets[1] = {};
  });
  tickets[2].when_running([] { FAIL("it was ended before its turn"); });
  tickets[3].when_running([&] { last_ran = true; });
  tickets[0] = {};
  CHECK(last_ran);
  CHECK(tickets[3].runs());
}

TEST_CASE("who finds no place hears how long this key's requests take") {
  rate_limiter limiter;
  const caller who = limited({.concurrency = 1, .queue = 0});
  for (int i = 0; i < 40; ++i) {
    auto ticket = limiter.admit(who, start);
    REQUIRE(ticket.has_value());
    ticket->finish(start + ms(8000));
  }
  const auto holds = limiter.admit(who, start);
  const std::int64_t wait = retry_ms(limiter.admit(who, start + ms(3000)));
  CHECK(wait >= 4900);
  CHECK(wait <= 5000);
}

TEST_CASE("no request starves under random arrivals and ends") {
  std::mt19937 random(3);
  rate_limiter limiter;
  const caller who = limited({.concurrency = 3, .queue = 5});
  struct client {
    rate_ticket ticket;
    int number = 0;
  };
  std::deque<client> clients;
  int next = 0, last_turn = -1;
  for (int i = 0; i < 10'000; ++i) {
    if (random() % 2 == 0) {
      auto ticket = limiter.admit(who, start + ms(i));
      REQUIRE(ticket.has_value() == (clients.size() < 8));
      if (ticket.has_value()) {
        clients.push_back({*std::move(ticket), next++});
        clients.back().ticket.when_running([&last_turn, n = next - 1] {
          CHECK(n > last_turn);  // turns come in the order of arrival
          last_turn = n;
        });
      }
    } else if (!clients.empty()) {
      const std::size_t n = random() % std::min<std::size_t>(3, clients.size());
      REQUIRE(clients[n].ticket.runs());  // the three oldest always run
      clients.erase(clients.begin() + static_cast<std::ptrdiff_t>(n));
    }
    std::size_t running = 0;
    for (const client& c : clients) running += c.ticket.runs() ? 1 : 0;
    REQUIRE(running == std::min<std::size_t>(3, clients.size()));
  }
  CHECK(last_turn > 1000);
}

TEST_CASE("limits of a reload count from the next request on") {
  rate_limiter limiter;
  REQUIRE(
      limiter.admit(limited({.requests_per_minute = 1}), start).has_value());
  REQUIRE_FALSE(
      limiter.admit(limited({.requests_per_minute = 1}), start).has_value());
  // What was used up stays so: a second is enough for one of sixty.
  const caller more = limited({.requests_per_minute = 60});
  CHECK(retry_ms(limiter.admit(more, start)) == 1000);
  CHECK(limiter.admit(limited({}), start).has_value());
}

TEST_CASE("accounts at rest are forgotten, those in use are not") {
  rate_limiter limiter;
  const caller busy = limited({.requests_per_minute = 1}, 1);
  REQUIRE(limiter.admit(busy, start).has_value());
  const steady_time soon = start + ms(1000);
  for (std::uint64_t tenant = 2; tenant < 10'000; ++tenant) {
    const caller idle = limited({.tokens_per_minute = 5}, tenant);
    REQUIRE(limiter.admit(idle, soon).has_value());
    REQUIRE(limiter.n_accounts() <= rate_limiter::max_accounts);
  }
  CHECK(retry_ms(limiter.admit(busy, soon)) == 59'000);
}

TEST_CASE("a ticket may outlive its limiter") {
  std::optional<rate_ticket> ticket;
  {
    rate_limiter limiter;
    ticket = *limiter.admit(limited({.concurrency = 1}), start);
  }
  CHECK(ticket->runs());
  ticket.reset();
  CHECK_FALSE(ticket.has_value());
}
