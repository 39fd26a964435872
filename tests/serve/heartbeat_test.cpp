// SPDX-License-Identifier: MIT
#include "tinyphi/serve/heartbeat.h"

#include <limits>

#include "support/test.h"
#include "tinyphi/base/json.h"

using namespace tinyphi;
using namespace std::chrono_literals;

namespace {

const service_state serving{.loaded = true};

std::string reason(const probe_answer& a) {
  const json::object body = json::parse(a.body).as_object();
  return body.contains("reason") ? std::string(body.at("reason").as_string())
                                 : "";
}

TEST_CASE("a heartbeat's age is the time since its last beat") {
  const steady_time start{1h};
  heartbeat h(start);
  CHECK(h.age(start + 3s) == 3.0);
  h.beat(start + 2s);
  CHECK(h.age(start + 3s) == 1.0);
  CHECK(h.age(start) == 0.0);  // read the clock, was overtaken by a beat
}

TEST_CASE("who is loaded and alive is healthy and ready") {
  service_state s = serving;
  s.engine_busy = true;
  s.engine_age = 9.9;
  for (const probe_answer& a : {health(s), ready(s)}) {
    CHECK(a.status == 200);
    CHECK(!a.retry_after_ms);
    CHECK(json::parse(a.body) ==
          json::value{{"status", "ok"}, {"heartbeat_ms", 9900}});
  }
}

TEST_CASE("a daemon that loads says so, and when to ask again") {
  for (const probe_answer& a : {health({}), ready({})}) {
    CHECK(a.status == 503);
    CHECK(reason(a) == "loading");
    CHECK(a.retry_after_ms == 1000);
  }
}

TEST_CASE("an engine that has work and does not move is not healthy") {
  service_state s = serving;
  s.engine_age = 10;
  CHECK(health(s).status == 200);  // idle
  CHECK(feeds_watchdog(s));
  s.engine_busy = true;
  CHECK(health(s).status == 503);
  CHECK(reason(health(s)) == "engine_stuck");
  CHECK(ready(s).status == 503);
  CHECK(!feeds_watchdog(s));
}

TEST_CASE("an io loop that does not move is left to the watchdog") {
  service_state s = serving;
  s.io_age = 10;
  CHECK(!feeds_watchdog(s));
}

TEST_CASE("who drains is healthy and wants no work") {
  service_state s = serving;
  s.draining = true;
  CHECK(health(s).status == 200);
  CHECK(ready(s).status == 503);
  CHECK(reason(ready(s)) == "draining");
  CHECK(!ready(s).retry_after_ms);
}

TEST_CASE("a queue that is longer than its deadline is not ready") {
  service_state s = serving;
  s.queue_estimate = 29.9;
  CHECK(ready(s).status == 200);
  const auto [estimate, retry_ms] = GENERATE(table<double, std::int64_t>(
      {{30, 1000}, {41.5, 12000}, {1e300, 120000}}));
  s.queue_estimate = estimate;
  CHECK(ready(s).status == 503);
  CHECK(reason(ready(s)) == "queue_full");
  CHECK(ready(s).retry_after_ms == retry_ms);
  CHECK(health(s).status == 200);
}

TEST_CASE("an estimate that is no number counts as too long") {
  service_state s = serving;
  s.queue_estimate = std::numeric_limits<double>::quiet_NaN();
  CHECK(ready(s).status == 503);
  CHECK(ready(s).retry_after_ms == 1000);
}

TEST_CASE("who is out of memory is healthy and not ready") {
  service_state s = serving;
  s.memory_critical = true;
  CHECK(health(s).status == 200);
  CHECK(reason(ready(s)) == "memory");
  CHECK(ready(s).retry_after_ms == 10000);
}

}  // namespace
