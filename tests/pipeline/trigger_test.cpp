// SPDX-License-Identifier: MIT
#include "tinyphi/pipeline/trigger.h"

#include <cstdlib>
#include <ctime>
#include <string>

#include "pipeline/fakes.h"
#include "support/test.h"
#include "tinyphi/pipeline/spec.h"

using namespace tinyphi;
using namespace tinyphi_test;
using Catch::Matchers::Contains;

namespace {

using clock_type = std::chrono::system_clock;

// Local time is that of a zone for as long as this lives.
struct in_zone {
  explicit in_zone(const char* zone) {
    ::setenv("TZ", zone, 1);
    ::tzset();
  }
  ~in_zone() {
    ::unsetenv("TZ");
    ::tzset();
  }
};

clock_type::time_point at(const char* text) {
  std::tm t{};
  REQUIRE(::strptime(text, "%Y-%m-%d %H:%M", &t) != nullptr);
  t.tm_isdst = -1;
  return clock_type::from_time_t(std::mktime(&t));
}

std::string after(const char* schedule, const char* now) {
  const auto s = cron_schedule::parse(schedule);
  REQUIRE_OK(s);
  const auto next = s->next(at(now));
  if (!next) return "never";
  const std::time_t t = clock_type::to_time_t(*next);
  std::tm local{};
  ::localtime_r(&t, &local);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", &local);
  return text;
}

// Faults of a file whose inputs are a file and a text. Nothing but a watched
// folder needs [allow].read.
std::string faults_with(const std::string& trigger) {
  const bool watches = trigger.starts_with("watch");
  return faults_of(std::string(R"(tinyphi = 1
input.f = "file"
input.q = { type = "text", default = "x" }
output.a = "s.text"
output.b = "input.f")") +
                   (watches ? "\nallow.read = [\"inbox\"]" : "") + R"(
[stage.s]
use = "echo"
in.text = "input.q"
[trigger.t]
)" + trigger);
}

}  // namespace

TEST_CASE("a schedule's next minute is the one that crontab(5) names") {
  const in_zone utc("UTC");
  CHECK(after("* * * * *", "2026-11-27 10:15") == "2026-11-27 10:16");
  CHECK(after("0 6 * * *", "2026-11-27 06:00") == "2026-11-28 06:00");
  CHECK(after("*/15 9-17 * * 1-5", "2026-11-27 17:50") == "2026-11-30 09:00");
  CHECK(after("5,35 0 1 1 *", "2026-01-01 00:05") == "2026-01-01 00:35");
  CHECK(after("0 0 29 2 *", "2026-11-27 00:00") == "2028-02-29 00:00");
  CHECK(after("0 0 * * 7", "2026-11-27 00:00") == "2026-11-29 00:00");
  // Both days are restricted: either counts.
  CHECK(after("0 0 13 * 5", "2026-11-27 00:00") == "2026-12-04 00:00");
  CHECK(after("0 0 13 * 5", "2026-12-11 00:00") == "2026-12-13 00:00");
  CHECK(after("0 0 30 2 *", "2026-11-27 00:00") == "never");
}

TEST_CASE("summer time loses no run and doubles none") {
  const in_zone berlin("CET-1CEST,M3.5.0,M10.5.0/3");
  // 02:30 is not there on that day.
  CHECK(after("30 2 * * *", "2026-03-28 12:00") == "2026-03-29 03:30");
  CHECK(after("30 2 * * *", "2026-03-29 12:00") == "2026-03-30 02:30");
  // And twice on this one.
  const auto s = cron_schedule::parse("30 2 * * *");
  REQUIRE_OK(s);
  const auto once = s->next(at("2026-10-25 00:00"));
  REQUIRE(once);
  CHECK(s->next(*once) == at("2026-10-26 02:30"));
}

TEST_CASE("a schedule that is wrong is refused with its field") {
  const auto refused = [](const char* text) {
    const auto s = cron_schedule::parse(text);
    return s ? std::string("taken") : s.error().message;
  };
  CHECK_THAT(refused("60 * * * *"), Contains("the minute is '60'"));
  CHECK_THAT(refused("* 24 * * *"), Contains("the hour is '24'"));
  CHECK_THAT(refused("* * 0 * *"), Contains("the day of the month is '0'"));
  CHECK_THAT(refused("* * * 13 *"), Contains("of 1 to 12"));
  CHECK_THAT(refused("* * * * mon"), Contains("the day of the week is 'mon'"));
  CHECK_THAT(refused("*/0 * * * *"), Contains("the minute is '*/0'"));
  CHECK_THAT(refused("9-5 * * * *"), Contains("the minute is '9-5'"));
  CHECK_THAT(refused("1, * * * *"), Contains("the minute is '1,'"));
  CHECK_THAT(refused("* * *"), Contains("the month is ''"));
  CHECK_THAT(refused("* * * * * *"), Contains("more behind the five fields"));
  CHECK_THAT(refused(""), Contains("the minute is ''"));
}

TEST_CASE("every fires at multiples since 1970, whenever it begins") {
  trigger_spec t;
  t.when = std::chrono::milliseconds(10'000);
  const auto from = clock_type::time_point(std::chrono::seconds(1'000'003));
  CHECK(next_firing(t, from) ==
        clock_type::time_point(std::chrono::seconds(1'000'010)));
  CHECK(next_firing(t, *next_firing(t, from)) ==
        clock_type::time_point(std::chrono::seconds(1'000'020)));
}

TEST_CASE("a watched name is taken by stars and question marks") {
  const auto takes = [](const char* pattern, const char* name) {
    return watched_files{"", pattern}.takes(name);
  };
  CHECK(takes("*.txt", "a.txt"));
  CHECK(takes("*.txt", ".txt"));
  CHECK_FALSE(takes("*.txt", "a.txt.part"));
  CHECK(takes("in-?\?-*.csv", "in-07-a-b.csv"));
  CHECK_FALSE(takes("in-?\?-*.csv", "in-7-a.csv"));
  CHECK(takes("*a*b*", "xxaxbxab"));
  CHECK_FALSE(takes("*a*b*c", "xxaxbxab"));
  CHECK(takes("*", "anything"));
  // Quadratic at most.
  CHECK_FALSE(takes("*a*a*a*a*a*a*a*a*b", std::string(255, 'a').c_str()));
}

TEST_CASE("a trigger of the file is refused with the way to mend it") {
  struct broken {
    const char* text;
    const char* fault;
  };
  const broken all[] = {
      {"input = \"f\"", "TP1003]: trigger t: one of every, cron, watch"},
      {"every = \"1h\"\ncron = \"0 6 * * *\"\nwith.f = \"a\"",
       "TP1013]: trigger t: every and cron exclude each other"},
      {"every = \"10ms\"\nwith.f = \"a\"",
       "TP1005]: trigger t: every is 10ms, allowed are 1000ms to"},
      {"every = \"1h\"",
       "TP1003]: trigger t: input f has no default; give it "
       "in with.f"},
      {"every = \"1h\"\nwith.g = \"a\"",
       "TP2002]: trigger t.with: no input 'g'; did you mean 'f'?"},
      {"every = \"1h\"\nwith.f = 5", "TP2003]: trigger t.with.f: "},
      {"cron = \"0 6 * *\"\nwith.f = \"a\"",
       "TP1005]: trigger t.cron: the day of the week is ''"},
      {"cron = \"0 6 30 2 *\"\nwith.f = \"a\"",
       "TP1005]: trigger t.cron: no day is like that"},
      {"watch = \"inbox/*.txt\"",
       "TP1003]: trigger t: input is missing, it names the input that gets"},
      {"watch = \"inbox/*.txt\"\ninput = \"q\"",
       "TP2003]: trigger t.input: input q is text, a watched file is file"},
      {"watch = \"other/*.txt\"\ninput = \"f\"",
       "is not in [allow].read, so no stage could read the file"},
      {"watch = \"in*/a.txt\"\ninput = \"f\"",
       "TP1005]: trigger t.watch is 'in*/a.txt'; it is a folder and"},
      {"watch = \"inbox/*.txt\"\ninput = \"f\"\noverlap = \"queue\"",
       "TP1013]: trigger t: overlap is for every and cron"},
      {"http = \"readings\"", "TP1005]: trigger t.http is 'readings'"},
      {"http = \"/v1/x\"", "TP1005]: trigger t.http is '/v1/x'"},
      {"http = \"/readings\"",
       "TP4004]: trigger t: what comes for input f is untrusted, the input "
       "declares user; say trust = \"untrusted\" of the input"},
      {"http = \"/a\"\ntrust = \"user\"\ntoken = \"x\"",
       "TP4006]: trigger t.token is a string; it must be a secret"},
      {"every = \"1h\"\nwith.f = \"a\"\ntoken = \"x\"",
       "TP1013]: trigger t: token needs http"},
  };
  for (const broken& b : all) {
    INFO(b.text);
    CHECK_THAT(faults_with(b.text), Contains(b.fault));
  }
  CHECK(faults_with("every = \"1h\"\nwith.f = \"inbox/a\"") == "");
  CHECK(faults_with("watch = \"inbox/*.txt\"\ninput = \"f\"") == "");
  CHECK(faults_with("http = \"/r\"\ntrust = \"user\"") == "");
}
