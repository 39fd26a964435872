// SPDX-License-Identifier: MIT
#include "tinyphi/serve/trace_context.h"

#include <string>

#include "support/test.h"

using namespace tinyphi;

namespace {
const std::string trace = "4bf92f3577b34da6a3ce929d0e0e4736";
const std::string span = "00f067aa0ba902b7";
}  // namespace

TEST_CASE("a traceparent is taken apart") {
  const auto t = parse_traceparent("00-" + trace + "-" + span + "-01");
  REQUIRE(t.has_value());
  CHECK(*t == trace_context{trace, span, true});
  // Only the lowest bit of the flags has a meaning.
  CHECK(parse_traceparent("00-" + trace + "-" + span + "-0b")->sampled);
  CHECK_FALSE(parse_traceparent("00-" + trace + "-" + span + "-fe")->sampled);
  CHECK_FALSE(parse_traceparent("00-" + trace + "-" + span + "-02")->sampled);
}

TEST_CASE("a later version is read as far as it is known") {
  const std::string known = "cc-" + trace + "-" + span + "-01";
  CHECK(parse_traceparent(known).has_value());
  CHECK(parse_traceparent(known + "-what the future holds").has_value());
  CHECK_FALSE(parse_traceparent(known + ".what").has_value());
}

TEST_CASE("a traceparent of any other form is none") {
  for (const std::string& text : {
           std::string(),
           "00-" + trace + "-" + span,
           "00-" + trace + "-" + span + "-1",
           "00-" + trace + "-" + span + "-01-",
           "00-" + trace + "-" + span + "-01-more",
           "00-" + trace + "-" + span + "-0g",
           "00-" + trace + "-" + span + "-0A",
           "ff-" + trace + "-" + span + "-01",
           "0-" + trace + "-" + span + "-011",
           "00_" + trace + "-" + span + "-01",
           "00-" + trace + "_" + span + "-01",
           "00-" + trace + "-" + span + "_01",
           " 00-" + trace + "-" + span + "-01",
           "00-" + std::string(32, '0') + "-" + span + "-01",
           "00-" + trace + "-" + std::string(16, '0') + "-01",
           "00-4BF92f3577b34da6a3ce929d0e0e4736-" + span + "-01",
           "00-" + trace + "-00F067aa0ba902b7-01",
           "00-" + trace.substr(1) + "-" + span + "-011",
       }) {
    INFO(text);
    CHECK_FALSE(parse_traceparent(text).has_value());
  }
}

TEST_CASE("two traceparents belong to no trace") {
  http_request r;
  CHECK_FALSE(trace_of(r).has_value());
  r.headers.emplace_back("traceparent", "00-" + trace + "-" + span + "-00");
  REQUIRE(trace_of(r).has_value());
  CHECK(trace_of(r)->trace_id == trace);
  r.headers.push_back(r.headers.front());
  CHECK_FALSE(trace_of(r).has_value());
}
