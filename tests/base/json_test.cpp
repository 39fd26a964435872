// SPDX-License-Identifier: MIT
#include "tinyphi/base/json.h"

#include "support/test.h"

using namespace tinyphi;
using tinyphi_test::message_of;

TEST_CASE("parse_json names origin and byte of a fault") {
  const auto r = parse_json("{\"a\": 1,}", "x.json");
  REQUIRE(!r);
  CHECK(r.error().code == error_code::bad_data);
  CHECK(message_of(r).starts_with("x.json: byte 8: not valid JSON"));
}

TEST_CASE("parse_json refuses text that goes on, stops short, or nests deep") {
  CHECK(!parse_json("1 2", "x"));
  CHECK(!parse_json("{\"a\":", "x"));
  CHECK(!parse_json(std::string(40, '['), "x", {.max_depth = 32}));
  CHECK(!parse_json("[1]", "x", {.max_bytes = 2}));
}

TEST_CASE("json_reader checks type and range and names the key") {
  const auto v =
      parse_json(R"({"n": 5.0, "s": "t", "big": 99, "z": null})", "f");
  REQUIRE_OK(v);
  const json_reader r(v->as_object(), "f");
  CHECK(**r.integer("n", 0, 10) == 5);
  CHECK(!r.integer("absent", 0, 10)->has_value());
  CHECK(!r.integer("z", 0, 10)->has_value());
  CHECK(message_of(r.integer("big", 0, 10)) ==
        "f: big: 99 where tinyphi needs an integer from 0 to 10");
  CHECK(message_of(r.integer("s", 0, 10)) ==
        "f: s: a string where tinyphi needs an integer from 0 to 10");
  CHECK(**r.string("s") == "t");
  CHECK(!r.boolean("s"));
}
