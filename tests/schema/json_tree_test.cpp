// SPDX-License-Identifier: MIT
#include "tinyphi/schema/json_tree.h"

#include <limits>

#include "support/test.h"

using namespace tinyphi;
using tinyphi_test::message_of;

TEST_CASE("json_tree keeps order, spelling and pointers") {
  auto read =
      json_tree::read(R"({"b": [1.50, {"x/~": null}], "a\u00e9": "\ud83d\ude00",
                          "t": true})");
  REQUIRE_OK(read);
  const json_tree t = *std::move(read);
  CHECK(t.size(0) == 3);
  const auto b = t.first(0);
  CHECK(t.key(b) == "b");
  CHECK(t.size(b) == 2);
  const auto number = t.first(b);
  CHECK(t.text(number) == "1.50");
  CHECK(t.pointer(number) == "/b/0");
  const auto null = t.first(t.next(number));
  CHECK(t.type(null) == json_type::null);
  CHECK(t.pointer(null) == "/b/1/x~1~0");
  CHECK(t.next(null) == t.none);
  const auto text = t.next(b);
  CHECK(t.key(text) == "a\xC3\xA9");
  CHECK(t.text(text) == "\xF0\x9F\x98\x80");
  CHECK(t.is_true(t.find(0, "t")));
  CHECK(t.find(0, "x") == t.none);
  CHECK(t.next(t.root) == t.none);
  CHECK(t.pointer(t.root).empty());
  CHECK(t.end(b) == text);
}

TEST_CASE("json_tree refuses what is not JSON, and what is too large") {
  for (const char* text :
       {"", "{", "[1,]", "01", "1.", "nul", "'a'", "[1] 2", "{\"a\" 1}",
        "\"\\ud800\"", "\"\xFF\"", "\"\n\"", "1e99999999999", "NaN"}) {
    INFO(text);
    const auto t = json_tree::read(text);
    REQUIRE(!t);
    CHECK(t.error().code == error_code::bad_data);
    CHECK(message_of(t).starts_with("byte "));
  }
  CHECK(message_of(json_tree::read("[1, 2]", {.max_bytes = 5})) ==
        "6 bytes of JSON, at most 5 are allowed");
  CHECK(message_of(json_tree::read("[[[1]]]", {.max_depth = 2}))
            .ends_with("nests deeper than the 2 levels that are allowed"));
  CHECK(message_of(json_tree::read("[1, 2]", {.max_nodes = 2}))
            .starts_with("more than 2 values"));
  CHECK(json_tree::read("[[1]]", {.max_depth = 2, .max_nodes = 3}));
}

TEST_CASE("of a name that is there twice the last one counts, or none") {
  const char* text = R"({"o": {"a": {"x": 1}, "b": 2, "a": 3, "a": 4}})";
  const auto t = json_tree::read(text);
  REQUIRE_OK(t);
  const auto o = t->find(0, "o");
  CHECK(t->size(o) == 2);
  CHECK(t->key(t->first(o)) == "b");
  CHECK(t->text(t->find(o, "a")) == "4");
  CHECK(t->next(t->find(o, "a")) == t->none);
  CHECK(message_of(json_tree::read(text, {.unique_keys = true})) ==
        "/o/a: the object has this name twice; once is allowed");
  CHECK(message_of(json_tree::read(R"([[0, 1], {"a": 1, "a": 2}])",
                                   {.unique_keys = true}))
            .starts_with("/1/a: "));
}

TEST_CASE("views of a json_tree outlive its move") {
  auto t = json_tree::read("\"short\"");
  REQUIRE_OK(t);
  const std::string_view text = t->text(0);
  const json_tree moved = *std::move(t);
  CHECK(moved.text(0).data() == text.data());
}

TEST_CASE("quoted shows a value in one short line") {
  const auto quoted = [](const std::string& text) {
    const auto t = json_tree::read(text);
    REQUIRE_OK(t);
    return t->quoted(0);
  };
  CHECK(quoted(R"({"a":[1,true,null],"b\"":"x\ny\u007f"})") ==
        R"({"a": [1, true, null], "b\"": "x?y?"})");
  CHECK(quoted("{}") == "{}");
  const std::string umlauts = quoted('"' + std::string(1, 'x') + [] {
    std::string many;
    for (int i = 0; i < 100; ++i) many += "\xC3\xA4";
    return many;
  }() + '"');
  CHECK(umlauts.size() <= 63);
  CHECK(umlauts.ends_with("\xC3\xA4..."));
  CHECK(quoted('[' + std::string(5000, ' ') + std::string(500, '1') + ']')
            .size() == 63);
}

TEST_CASE("equal_json is JSON Schema's equality") {
  const auto equal = [](const char* a, const char* b, std::uint64_t steps) {
    const auto x = json_tree::read(a), y = json_tree::read(b);
    REQUIRE_OK(x);
    REQUIRE_OK(y);
    return equal_json(*x, 0, *y, 0, steps);
  };
  CHECK(equal("[1, {\"a\": \"x\"}]", "[1.0, {\"a\": \"x\"}]", 100));
  CHECK(equal("{\"a\": 1, \"b\": 2}", "{\"b\": 2, \"a\": 1}", 100));
  CHECK(!equal("{\"a\": 1, \"b\": 2}", "{\"a\": 1, \"c\": 2}", 100));
  CHECK(!equal("{\"a\": 1}", "{\"a\": 1, \"b\": 2}", 100));
  CHECK(!equal("[1, 2]", "[2, 1]", 100));
  CHECK(!equal("0", "false", 100));
  CHECK(!equal("\"a\"", "\"b\"", 100));
  CHECK(!equal("null", "[]", 100));
  CHECK(!equal("[1, 2, 3]", "[1, 2, 3]", 3));
}
