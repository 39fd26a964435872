// SPDX-License-Identifier: MIT
// For constrain_peers.py: reads JSON Schemas, one per line, draws answers under
// each with Phi-3's vocabulary, and prints as lines of JSON what each token's
// bytes are, then for each schema how long it took to make, the answers'
// tokens, the mask before each token, and how long that took, cold and warm.
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "phi3_trie.h"
#include "tinyphi/base/json.h"
#include "tinyphi/constrain/constraint.h"
#include "tinyphi/schema/schema.h"

using namespace tinyphi;

namespace {

using bench::clock_type;
using bench::us_since;

std::string hex(std::string_view bytes) {
  constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    const auto b = static_cast<unsigned char>(c);
    out += {digits[b >> 4], digits[b & 15]};
  }
  return out;
}

std::string bits(const token_set& set) {
  std::string bytes((set.size() + 7) / 8, '\0');
  set.for_each([&](token_id id) {
    const auto i = static_cast<std::size_t>(id);
    bytes[i / 8] = static_cast<char>(bytes[i / 8] | 1 << (i % 8));
  });
  return hex(bytes);
}

// More than any answer here has: landing would make masks smaller.
constexpr std::size_t no_limit = 1 << 20;

// An answer's tokens, drawn evenly from what may come; it lands after 60.
std::vector<token_id> draw(const constraint& c, std::mt19937& random) {
  std::vector<token_id> ids;
  std::size_t left = c.shortest() + random() % 60;
  matcher m(c);
  token_set next;
  while (!m.must_end() && !(m.may_end() && (left == 0 || random() % 4 == 0))) {
    if (!m.allowed(next, left)) break;
    if (ids.empty()) {
      // Decoding strips a leading space, so tinyphi lets one through.
      const token_set all = next;
      all.for_each([&](token_id x) {
        if (c.vocabulary().bytes(x).starts_with(' ')) next.erase(x);
      });
    }
    if (next.count() == 0) break;
    std::size_t k = random() % next.count();
    token_id id = 0;
    next.for_each([&](token_id x) {
      if (k-- == 0) id = x;
    });
    if (!m.accept(id)) break;
    ids.push_back(id);
    --left;
  }
  return ids;
}

json::object walked(const constraint& c, const std::vector<token_id>& ids) {
  json::array tokens, masks, cold, warm;
  for (const bool again : {false, true}) {
    matcher m(c);
    token_set mask(c.vocabulary().vocab_size());
    for (std::size_t i = 0; i <= ids.size(); ++i) {
      const auto start = clock_type::now();
      if (!m.allowed(mask, no_limit)) return {};
      (again ? warm : cold).push_back(us_since(start));
      if (!again) masks.push_back(json::string(bits(mask)));
      if (i < ids.size() && !m.accept(ids[i])) return {};
    }
  }
  for (const token_id id : ids) tokens.push_back(id);
  return {{"ids", tokens}, {"masks", masks}, {"cold", cold}, {"warm", warm}};
}

}  // namespace

int main(int argc, char** argv) {
  const int n_texts = argc > 1 ? std::atoi(argv[1]) : 0;
  const auto words = bench::phi3_tokenizer();
  const auto trie =
      words ? token_trie::create(*words) : result<token_trie>(words.error());
  if (!trie) {
    std::fprintf(stderr, "%s\n", trie.error().message.c_str());
    return 1;
  }
  json::array bytes;
  for (std::size_t i = 0; i < trie->vocab_size(); ++i) {
    bytes.push_back(json::string(hex(trie->bytes(static_cast<token_id>(i)))));
  }
  std::puts(json::serialize(json::object{{"tokens", bytes}}).c_str());
  std::mt19937 random(1);
  for (std::string line; std::getline(std::cin, line);) {
    const auto start = clock_type::now();
    const auto rules = schema::read(line);
    const auto c =
        rules ? constraint::json_schema(*trie, *rules, json_gaps::compact)
              : result<constraint>(
                    error{error_code::bad_data, to_string(rules.error()[0])});
    json::object out{{"make", us_since(start)}};
    if (!c) {
      out["error"] = c.error().message;
    } else if (n_texts > 0) {
      json::array texts;
      for (int i = 0; i < n_texts; ++i) {
        std::string text;
        for (const token_id id : draw(*c, random)) text += trie->bytes(id);
        texts.push_back(json::string(text));
      }
      out["texts"] = std::move(texts);
    } else {
      json::array answers;
      for (int i = 0; i < 3; ++i)
        answers.push_back(walked(*c, draw(*c, random)));
      out["answers"] = std::move(answers);
    }
    std::puts(json::serialize(out).c_str());
  }
  return 0;
}
