// SPDX-License-Identifier: MIT
// What a constraint costs with Phi-3's vocabulary: to make it, and for each
// token of an answer its mask, the first time that a state is met and later.
// Warm masks must take 10 us at the median and 50 us at most in 99 of 100.
#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "phi3_trie.h"
#include "tinyphi/constrain/constraint.h"

using namespace tinyphi;

namespace {

using bench::clock_type;
using bench::us_since;

double share(std::vector<double> times, double of) {
  if (times.empty()) return 0;
  const auto at =
      times.begin() +
      static_cast<std::ptrdiff_t>(of * static_cast<double>(times.size() - 1));
  std::ranges::nth_element(times, at);
  return *at;
}

struct kind {
  const char* name;
  std::function<result<constraint>(const token_trie&)> make;
  std::string answer;  // one of the shape
};

std::vector<kind> kinds() {
  const auto schema = [](std::string text) {
    return [text = std::move(text)](const token_trie& t) {
      return constraint::json_schema(t, text);
    };
  };
  const auto regex = [](std::string text) {
    return [text = std::move(text)](const token_trie& t) {
      return constraint::regex(t, text);
    };
  };
  return {
      {"record", schema(R"({"type": "object", "properties": {
                  "name": {"type": "string", "maxLength": 80},
                  "kind": {"enum": ["order", "complaint", "question"]},
                  "count": {"type": "integer", "minimum": 0, "maximum": 9999},
                  "tags": {"type": "array", "items": {"type": "string"},
                           "maxItems": 50}},
                  "required": ["name", "kind", "count", "tags"]})"),
       R"({"name": "Ada Byron of London", "kind": "complaint", "count": 4711, )"
       R"("tags": ["pump", "valve and lid", "filter"]})"},
      {"strings", schema(R"({"type": "array", "items": {"type": "string"}})"),
       R"(["The pump stops when the tank is empty.", "Größe: 3 µm", "\n", ""])"},
      {"recursive",
       schema(R"({"$ref": "#/$defs/n", "$defs": {"n": {"type": "object",
                  "properties": {"v": {"type": "number"},
                                 "of": {"type": "array",
                                        "items": {"$ref": "#/$defs/n"}}},
                  "required": ["v"]}}})"),
       R"({"v": 1, "of": [{"v": -2.5, "of": []}, {"v": 3e7, "of": [{"v": 4}]}]})"},
      {"any object",
       [](const token_trie& t) { return constraint::json_object(t); },
       R"({"a": [1, 2.5, {"b": null}], "long key here": "text", "c": true})"},
      {"slug", regex("[a-z0-9]+(-[a-z0-9]+)*"), "the-pump-stops-at-2-oclock"},
      {"prose", regex("([^\\n]+\\n)+"),
       "The pump stops when the tank is empty.\nClose the valve first.\n"},
      {"choice",
       [](const token_trie& t) {
         return constraint::choice(t, {"international", "internal", "interest",
                                       "yes", "no", "not known"});
       },
       "international"},
      {"gbnf",
       [](const token_trie& t) {
         return constraint::gbnf(t,
                                 "root ::= sum\nsum ::= term (\" + \" term)*\n"
                                 "term ::= [0-9]+ | \"(\" sum \")\"\n");
       },
       "12 + (3 + (45 + 6)) + 789"}};
}

// Times of the masks along the answer; false if it is not of the shape.
bool walk(const constraint& c, const std::vector<token_id>& ids,
          std::vector<double>& times) {
  matcher m(c);
  token_set mask(c.vocabulary().vocab_size());
  for (const token_id id : ids) {
    const auto start = clock_type::now();
    if (!m.allowed(mask, 4096)) return false;
    times.push_back(us_since(start));
    if (!mask.contains(id) || !m.accept(id)) return false;
  }
  return m.may_end();
}

bool measure(const token_trie& t, const kind& k) {
  constexpr int makes = 15, rounds = 50;
  const std::vector<token_id> ids = t.source().encode(k.answer);
  std::vector<double> make, cold, warm;
  for (int i = 0; i < makes; ++i) {
    const auto start = clock_type::now();
    const auto c = k.make(t);
    make.push_back(us_since(start));
    if (!c) {
      std::printf("%-11s %s\n", k.name, c.error().message.c_str());
      return false;
    }
    bool fits = walk(*c, ids, cold);
    for (int r = 0; fits && i + 1 == makes && r < rounds; ++r) {
      fits = walk(*c, ids, warm);
    }
    if (!fits) {
      std::printf("%-11s does not let '%s' through\n", k.name,
                  k.answer.c_str());
      return false;
    }
  }
  std::printf("%-11s %9.0f | %8.1f %8.1f | %8.2f %8.2f\n", k.name,
              share(make, 0.5), share(cold, 0.5), share(cold, 0.99),
              share(warm, 0.5), share(warm, 0.99));
  return true;
}

}  // namespace

int main() {
  const auto t = bench::phi3_tokenizer();
  if (!t) return 1;
  const auto start = clock_type::now();
  const auto trie = token_trie::create(*t);
  if (!trie) return 1;
  std::printf("%zu tokens, their trie %.1f ms; us\n", trie->vocab_size(),
              us_since(start) / 1000);
  std::printf("%-11s %9s | %8s %8s | %8s %8s\n", "", "make", "cold p50", "p99",
              "warm p50", "p99");
  bool good = true;
  for (const kind& k : kinds()) good &= measure(*trie, k);
  return good ? 0 : 1;
}
