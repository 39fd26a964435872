// SPDX-License-Identifier: MIT
#include "tinyphi/pipeline/value_json.h"

#include "support/test.h"
#include "tinyphi/pipeline/record.h"

using namespace tinyphi;

TEST_CASE("values are JSON of their own kind") {
  CHECK(to_json(value_data("a")) == json::value("a"));
  CHECK(to_json(value_data(true)) == json::value(true));
  CHECK(to_json(value_data(7)) == json::value(7));
  CHECK(to_json(value_data(0.5)) == json::value(0.5));
  CHECK(to_json(value_data()) == json::value(nullptr));
  citation c;
  c.sentence = "It is.";
  c.number = 1;
  const json::value all = to_json(to_data(citations{c}));
  CHECK(all.at(0).at("sentence") == "It is.");
  CHECK(all.at(0).at("number") == 1);
}

TEST_CASE("what JSON says comes back as it went") {
  const value_data whole = value_data::record{
      {"texts", value_data::list{"a", ""}},
      {"none", value_data()},
      {"nested", value_data::record{{"n", -7}, {"x", 0.5}, {"b", false}}}};
  CHECK(from_json(to_json(whole)) == whole);
  // Beyond 64 bits with a sign there are only floats.
  CHECK(from_json(json::value(18446744073709551615u)) ==
        value_data(18446744073709551615.0));
}
