// SPDX-License-Identifier: MIT
#include "tinyphi/pipeline/expression.h"

#include "support/test.h"

using namespace tinyphi;

namespace {

// f.count = 3, f.docs = two, q.text = 'ab', q.ok = true, q.gone absent.
const value values[] = {{std::int64_t{3}, trust::user},
                        {value_data::list(2), trust::user},
                        {std::string("ab"), trust::user},
                        {true, trust::user}};

std::variant<expression::meaning, std::string> resolve(std::string_view path) {
  using slot = expression::slot;
  using meaning = expression::meaning;
  if (path == "f.count") return meaning(slot{0, type_kind::integer});
  if (path == "f.docs") return meaning(slot{1, type::list_of(type())});
  if (path == "q.text") return meaning(slot{2, type_kind::text});
  if (path == "q.ok") return meaning(slot{3, type_kind::boolean});
  if (path == "q.gone") return meaning(slot{4, type_kind::text});
  if (path == "env.N") return meaning(value_data(2.5));
  return "no " + std::string(path);
}

const value* look(std::size_t slot) {
  return slot < 4 ? &values[slot] : nullptr;
}

bool holds(std::string_view text) {
  const auto e = expression::parse(text, resolve);
  const auto* wrong = std::get_if<expression::parse_error>(&e);
  INFO(text << ": " << (wrong ? wrong->message : ""));
  REQUIRE(wrong == nullptr);
  return std::get<expression>(e).holds(look);
}

std::string fault_of(std::string_view text) {
  const auto e = expression::parse(text, resolve);
  const auto* wrong = std::get_if<expression::parse_error>(&e);
  return wrong ? std::to_string(wrong->offset) + ": " + wrong->message
               : "(no fault)";
}

}  // namespace

TEST_CASE("expressions give what they say") {
  CHECK(holds("q.ok"));
  CHECK(!holds("not q.ok"));
  CHECK(holds("f.count == 3 and f.count > env.N"));
  CHECK(holds("f.count < 3 or len(f.docs) == 2"));
  CHECK(!holds("f.count <= 2.9"));
  CHECK(holds("f.count >= -1"));
  CHECK(holds("q.text == 'ab' and q.text != 'a\\'b'"));
  CHECK(holds("len(q.text) == 2"));
  CHECK(holds("not (q.ok and false) and true"));
  CHECK(holds("has(q.text) and not has(q.gone)"));
  CHECK(holds("q.ok == true"));
}

TEST_CASE("comparisons bind closer than not, then and, then or") {
  CHECK(holds("true or false and false"));
  CHECK(!holds("not false and false"));
  CHECK(holds("not true or true"));
  CHECK(!holds("not q.text == 'ab'"));
  CHECK(holds("not q.ok == false"));
  CHECK(holds("not not q.ok"));
}

TEST_CASE("without a value that it needs, no expression holds") {
  for (const char* text : {"q.gone == 'x'", "q.gone != 'x'", "len(q.gone) == 0",
                           "not (q.gone == 'x')", "q.ok or q.gone == 'x'"}) {
    INFO(text);
    CHECK(!holds(text));
  }
}

TEST_CASE("has() looks at a value without needing it") {
  const auto e = expression::parse("has(q.gone) or f.count == 1", resolve);
  REQUIRE(std::holds_alternative<expression>(e));
  CHECK(std::get<expression>(e).needs() == std::vector<std::size_t>{0});
  CHECK(std::get<expression>(e).reads() == std::vector<std::size_t>{4, 0});
}

TEST_CASE("a fault says what and where") {
  CHECK(fault_of("") == "0: a value is missing");
  CHECK(fault_of("f.count") ==
        "0: the condition is a number, it must be true or false");
  CHECK(fault_of("q.ok and f.count") ==
        "9: the right side is a number, it must be true or false");
  CHECK(fault_of("f.count == 'x'") ==
        "11: the right side is text, it must be a number");
  CHECK(fault_of("f.docs == 2") ==
        "0: a list cannot be compared with '=='; use len()");
  CHECK(fault_of("q.ok < true") ==
        "0: true or false cannot be compared with '<'");
  CHECK(fault_of("f.none == 1") == "0: no f.none");
  CHECK(fault_of("count == 1") ==
        "0: 'count' is not a value; write input.x, stage.port or env.X");
  CHECK(fault_of("(q.ok") == "5: ')' is missing");
  CHECK(fault_of("q.text == 'x") == "10: the text has no closing quote");
  CHECK(fault_of("q.ok q.ok") == "5: unexpected 'q.ok'");
  CHECK(fault_of("len(f.count) == 1") ==
        "4: len() takes a text or a list of a stage");
  CHECK(fault_of("has(env.N)") ==
        "4: has() asks for a value that may be absent");
  CHECK(fault_of("f.count > -") == "10: not a number");
}

TEST_CASE("size and depth are limited") {
  std::string wide = "q.ok";
  for (int i = 0; i < 300; ++i) wide += " and q.ok";
  CHECK(fault_of(wide).find("more than 256 parts") != std::string::npos);
  CHECK(fault_of(std::string(100000, '(')).find("nested too deep") !=
        std::string::npos);
  std::string nots;
  for (int i = 0; i < 100000; ++i) nots += "not ";
  CHECK(fault_of(nots + "q.ok").find("nested too deep") != std::string::npos);
}
