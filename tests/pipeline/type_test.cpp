// SPDX-License-Identifier: MIT
#include "tinyphi/pipeline/type.h"

#include "support/test.h"
#include "tinyphi/pipeline/record.h"

using namespace tinyphi;

namespace {

const type text = type_kind::text;
const type integer = type_kind::integer;
const type number = type_kind::number;
const type any_json = type_kind::json;

std::string misfit(const value_data& data, const type& t) {
  return find_misfit(data, t).value_or("(fits)");
}

}  // namespace

TEST_CASE("a type is written as a file writes it") {
  CHECK(to_string(text) == "text");
  CHECK(to_string(type_of<documents>()) == "list<document>");
  CHECK(to_string(type::list_of(type::list_of(number))) == "list<list<float>>");
  CHECK(to_string(type::one_of({"yes", "no"})) == "one of yes, no");
  CHECK(to_string(type::record_of("", {{"a", text}, {"b", integer}})) ==
        "{ a, b }");
}

TEST_CASE("equal structure is equal type, whatever its name") {
  const type a = type::record_of("a", {{"x", integer}});
  CHECK(a == type::record_of("b", {{"x", integer}}));
  CHECK_FALSE(a == type::record_of("a", {{"x", number}}));
  CHECK_FALSE(a == type::record_of("a", {{"y", integer}}));
  CHECK_FALSE(type_of<documents>() == type_of<citations>());
  CHECK_FALSE(text == type::one_of({"yes"}));
  CHECK_FALSE(a == type::record_of("a", {{"x", integer, true}}));
}

TEST_CASE("a value goes where a wider type is wanted, and never back") {
  const auto one_way = [](const type& from, const type& to) {
    return fits(from, to) && !fits(to, from);
  };
  CHECK(one_way(integer, number));
  CHECK(one_way(type_kind::path, type_kind::file));
  CHECK(one_way(type::one_of({"a"}), text));
  CHECK(one_way(type::one_of({"a"}), type::one_of({"a", "b"})));
  CHECK(one_way(type::list_of(integer), type::list_of(number)));
  CHECK(one_way(type_of<document>(), any_json));
  CHECK(one_way(type::record_of("", {{"x", integer}}),
                type::record_of("", {{"x", number}})));
  CHECK(one_way(type::record_of("", {{"x", text}}),
                type::record_of("", {{"x", text, true}})));
  CHECK_FALSE(fits(type_kind::prompt, any_json));
  CHECK_FALSE(fits(type::list_of(type_kind::prompt), any_json));
  CHECK_FALSE(fits(type::record_of("", {{"x", text}, {"y", text}}),
                   type::record_of("", {{"x", text}})));
  CHECK(fits(type(), text));
  CHECK(fits(text, type()));
}

TEST_CASE("data of another type is told with its place") {
  CHECK(misfit("a", text) == "(fits)");
  CHECK(misfit(1, number) == "(fits)");
  CHECK(misfit(1.5, integer) == "a number, not an int");
  CHECK(misfit(value_data(), any_json) == "(fits)");
  CHECK(misfit(value_data(), text) == "null, not a text");
  CHECK(misfit(std::numeric_limits<double>::infinity(), number) ==
        "not a finite number");
  CHECK(misfit("c", type::one_of({"a", "b"})) == "'c' is not one of a, b");
  CHECK(misfit(value_data::list{"a", 2}, type::list_of(text)) ==
        "[1]: an integer, not a text");
  CHECK(misfit(value_data::list{value_data::list{true}},
               type::list_of(type::list_of(text))) ==
        "[0][0]: true or false, not a text");
  const type pair = type::record_of("pair", {{"a", text}, {"b", integer}});
  CHECK(misfit(value_data::record{{"b", 1}, {"a", ""}}, pair) == "(fits)");
  CHECK(misfit(value_data::record{{"a", ""}}, pair) == ".b: is missing");
  CHECK(misfit(value_data::record{{"a", ""}, {"b", ""}}, pair) ==
        ".b: a text, not an int");
  CHECK(misfit(value_data::record{{"a", ""}, {"b", 1}, {"c", 1}}, pair) ==
        "pair has no field 'c'");
  const type part =
      type::record_of("part", {{"a", text}, {"b", integer, true}});
  CHECK(misfit(value_data::record{{"a", ""}}, part) == "(fits)");
  CHECK(misfit(value_data::record{{"b", 1}}, part) == ".a: is missing");
  CHECK(misfit(value_data::record{{"a", ""}, {"b", ""}}, part) ==
        ".b: a text, not an int");
  CHECK(misfit(value_data::record{{"p", labelled_prompt()}}, any_json) ==
        ".p: a prompt, not a json");
}

TEST_CASE("data that fits is made exactly of its type") {
  const type t = type::list_of(
      type::record_of("", {{"x", number}, {"y", type::list_of(number)}}));
  const value_data given = value_data::list{
      value_data::record{{"y", value_data::list{1}}, {"x", 2}}};
  REQUIRE(misfit(given, t) == "(fits)");
  CHECK(conform(given, t) == value_data(value_data::list{value_data::record{
                                 {"x", 2.0}, {"y", value_data::list{1.0}}}}));
}

TEST_CASE("structs come back from their records") {
  document d;
  d.id = "a#1";
  d.line = 3;
  d.score = 0.5;
  CHECK(from_data<documents>(to_data(documents{d})) == documents{d});
  CHECK(misfit(to_data(documents{d}), type_of<documents>()) == "(fits)");
  CHECK(read_as<documents>(to_data(citations{citation()})) == std::nullopt);
  CHECK(read_as<double>(value_data(2)) == 2.0);
}

TEST_CASE("a copy of a value shares what it holds") {
  const value_data a = std::string(1000, 'x');
  const value_data b = a;
  CHECK(a.get<std::string>() == b.get<std::string>());
}
