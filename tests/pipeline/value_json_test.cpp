// SPDX-License-Identifier: MIT
#include "tinyphi/pipeline/value_json.h"

#include "support/test.h"

using namespace tinyphi;

TEST_CASE("values are JSON of their own kind") {
  CHECK(to_json(value_data(std::string("a"))) == json::value("a"));
  CHECK(to_json(value_data(true)) == json::value(true));
  CHECK(to_json(value_data(std::int64_t{7})) == json::value(7));
  CHECK(to_json(value_data(0.5)) == json::value(0.5));
  citation c;
  c.sentence = "It is.";
  c.number = 1;
  const json::value all = to_json(value_data(citations{c}));
  CHECK(all.at(0).at("sentence") == "It is.");
  CHECK(all.at(0).at("number") == 1);
}

TEST_CASE("inputs take their own kind only, and texts up to their limit") {
  input_spec text;
  text.name = "question";
  text.max_bytes = 3;
  CHECK(input_from_json(text, "abc").has_value());
  CHECK(tinyphi_test::message_of(input_from_json(text, "abcd")) ==
        "input question: a text of 4 bytes, at most 3 are allowed");
  CHECK(tinyphi_test::message_of(input_from_json(text, 5)) ==
        "input question: not a string");
  const auto taken = [](value_type type, const json::value& v) {
    input_spec i;
    i.type = type;
    return input_from_json(i, v).has_value();
  };
  CHECK(taken(value_type::integer, 5));
  CHECK_FALSE(taken(value_type::integer, 5.5));
  CHECK_FALSE(taken(value_type::integer, "5"));
  CHECK(taken(value_type::number, 5));
  CHECK(taken(value_type::number, 5.5));
  CHECK_FALSE(taken(value_type::number, true));
  CHECK(taken(value_type::boolean, true));
  CHECK_FALSE(taken(value_type::boolean, 1));
  CHECK_FALSE(taken(value_type::docs, json::array()));
}
