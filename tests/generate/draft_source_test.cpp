// SPDX-License-Identifier: MIT
#include "tinyphi/generate/draft_source.h"

#include <algorithm>
#include <chrono>
#include <random>
#include <span>
#include <vector>

#include "support/draft_oracle.h"
#include "support/test.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

tokens random_tokens(std::size_t n, token_id alphabet, std::mt19937& random) {
  std::uniform_int_distribution<token_id> any(0, alphabet - 1);
  tokens made(n);
  for (token_id& t : made) t = any(random);
  return made;
}

draft_source with_references(std::size_t max_tokens,
                             const std::vector<tokens>& references) {
  draft_source source(max_tokens);
  for (const tokens& reference : references) source.add_reference(reference);
  return source;
}

tokens fibonacci_text(std::size_t n) {
  tokens a{1}, b{1, 2};
  while (b.size() < n) {
    tokens c = b;
    c.insert(c.end(), a.begin(), a.end());
    a = std::move(b);
    b = std::move(c);
  }
  b.resize(n);
  return b;
}

double microseconds_per_token(const tokens& text) {
  draft_source source(text.size());
  tokens draft;
  draft.reserve(8);
  const auto start = std::chrono::steady_clock::now();
  for (const token_id t : text) {
    source.append(t);
    (void)source.propose(8, draft);
  }
  const std::chrono::duration<double, std::micro> took =
      std::chrono::steady_clock::now() - start;
  return took.count() / static_cast<double>(text.size());
}

}  // namespace

TEST_CASE(
    "a draft follows the longest earlier match, as comparing with every place "
    "finds it, after each token of 4000 random texts") {
  std::mt19937 random(1);
  for (int round = 0; round < 4000; ++round) {
    const auto alphabet = static_cast<token_id>(1 + random() % 4);
    std::vector<tokens> references(random() % 4);
    for (tokens& reference : references) {
      reference = random_tokens(random() % 20, alphabet, random);
    }
    draft_source source = with_references(200, references);
    tokens text, draft;
    const std::size_t n = random() % 9;
    for (std::size_t i = 0; i < 40; ++i) {
      // Now and then a border within the text.
      text.push_back(
          random() % 50 == 0 ? -1 : random_tokens(1, alphabet, random).front());
      source.append(text.back());
      const expected_draft e =
          expect_draft(references, text, std::max<std::size_t>(1, n), 100);
      const std::size_t length = source.propose(n, draft);
      INFO("round " << round << ", token " << i);
      if (n == 0) {
        REQUIRE((length == 0 && draft.empty()));
        continue;
      }
      REQUIRE(length == e.length);
      REQUIRE((length == 0 ? draft.empty() : e.drafts.count(draft) == 1));
    }
  }
}

TEST_CASE("of several places a draft takes the last, in 2000 texts of words") {
  // Texts as people write them: words of 3 to 6 tokens, few nested repeats.
  std::mt19937 random(2);
  std::size_t several = 0;
  for (int round = 0; round < 2000; ++round) {
    std::vector<tokens> words(5);
    for (tokens& word : words) {
      word = random_tokens(3 + random() % 4, 50, random);
    }
    tokens text, draft;
    draft_source source(400);
    while (text.size() < 100) {
      for (const token_id t : words[random() % words.size()]) {
        text.push_back(t);
        source.append(t);
        const expected_draft e = expect_draft({}, text, 4, 400);
        REQUIRE(source.propose(4, draft) == e.length);
        REQUIRE(draft == e.last);
        several += e.drafts.size() > 1;
      }
    }
  }
  CHECK(several > 10000);
}

TEST_CASE("no match is shorter than 3 tokens, and none runs across a border") {
  tokens draft;
  SECTION("2 tokens are no match, 3 are") {
    draft_source source = with_references(100, {{1, 2, 3, 4, 5}});
    source.append(1);
    source.append(2);
    CHECK(source.propose(4, draft) == 0);
    CHECK(draft.empty());
    source.append(3);
    CHECK(source.propose(4, draft) == 3);
    CHECK(draft == tokens{4, 5});
  }
  SECTION("from one reference to the next") {
    draft_source source = with_references(100, {{7, 1, 2}, {3, 4, 5}});
    for (const token_id t : {1, 2, 3, 4}) source.append(t);
    CHECK(source.propose(4, draft) == 0);
  }
  SECTION("from a reference to the text") {
    draft_source source = with_references(100, {{1, 2}});
    for (const token_id t : {3, 4, 9, 1, 2, 3, 4}) source.append(t);
    CHECK(source.propose(4, draft) == 0);
  }
  SECTION("a match at the end of a reference gives way to a shorter one") {
    draft_source source = with_references(100, {{2, 3, 4, 8}, {1, 2, 3, 4}});
    for (const token_id t : {1, 2, 3, 4}) source.append(t);
    CHECK(source.propose(4, draft) == 3);
    CHECK(draft == tokens{8});
  }
  SECTION("a token below zero within the text") {
    draft_source source(100);
    for (const token_id t : {1, 2, -7, 3, 4, 9, 1, 2, 3, 4}) source.append(t);
    CHECK(source.propose(4, draft) == 0);
  }
}

TEST_CASE(
    "20 nested ends that nothing followed before all learn what follows") {
  const tokens all = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
                      11, 12, 13, 14, 15, 16, 17, 18, 19, 20};
  draft_source source(400);
  for (std::size_t n = 3; n <= all.size(); ++n) {
    source.add_reference(std::span(all).last(n));
  }
  tokens draft;
  for (const token_id t : all) source.append(t);
  CHECK(source.propose(1, draft) == 0);
  source.append(99);
  for (std::size_t n = 3; n <= all.size(); ++n) {
    draft_source copy = source;
    for (const token_id t : std::span(all).last(n)) copy.append(t);
    CHECK(copy.propose(1, draft) == n);
    CHECK(draft == tokens{99});
  }
}

TEST_CASE("a text that repeats itself is drafted beyond its end") {
  draft_source source(100);
  tokens draft{42};
  for (const token_id t : {1, 2, 1, 2, 1}) source.append(t);
  CHECK(source.propose(5, draft) == 3);
  CHECK(draft == tokens{2, 1, 2, 1, 2});
}

TEST_CASE("proposing changes nothing and allocates nothing") {
  draft_source source = with_references(100, {{1, 2, 3, 4, 5, 6, 7}});
  for (const token_id t : {9, 1, 2, 3}) source.append(t);
  tokens draft;
  draft.reserve(3);
  const token_id* const place = draft.data();
  for (int i = 0; i < 3; ++i) {
    CHECK(source.propose(3, draft) == 3);
    CHECK(draft == tokens{4, 5, 6});
    CHECK(draft.data() == place);
  }
  draft_source copy = source;
  copy.append(8);
  CHECK(copy.propose(3, draft) == 0);
  CHECK(source.propose(3, draft) == 3);
}

TEST_CASE(
    "what comes after max_tokens is matched but not remembered, in 2000 random "
    "texts") {
  std::mt19937 random(3);
  for (int round = 0; round < 2000; ++round) {
    const auto alphabet = static_cast<token_id>(1 + random() % 3);
    const std::size_t max_tokens = random() % 30;
    const tokens all = random_tokens(60, alphabet, random);
    std::vector<tokens> references(random() % 3);
    for (tokens& reference : references) {
      reference = random_tokens(random() % 12, alphabet, random);
    }
    draft_source source = with_references(max_tokens, references);
    const std::size_t room = cut_references(references, max_tokens);
    const std::size_t bytes = source.memory_bytes();
    tokens text, draft;
    for (const token_id t : all) {
      text.push_back(t);
      source.append(t);
      INFO("round " << round << ", token " << text.size());
      const expected_draft e = expect_draft(references, text, 5, room);
      REQUIRE(source.remembered() ==
              max_tokens - room + std::min(text.size(), room));
      REQUIRE(source.propose(5, draft) == e.length);
      REQUIRE((e.length == 0 ? draft.empty() : e.drafts.count(draft) == 1));
    }
    REQUIRE(source.memory_bytes() == bytes);
  }
}

TEST_CASE("references beyond max_tokens are cut, and the text is matched") {
  tokens draft;
  for (std::size_t max_tokens = 0; max_tokens < 12; ++max_tokens) {
    draft_source source =
        with_references(max_tokens, {{1, 2, 3, 4, 5, 6}, {7, 8, 9, 10}});
    CHECK(source.remembered() <= max_tokens);
    for (const token_id t : {1, 2, 3}) source.append(t);
    // The cut reference, without its border.
    const std::size_t left =
        std::min<std::size_t>(6, max_tokens - (max_tokens > 0));
    CHECK(source.propose(9, draft) == (left > 3 ? 3 : 0));
    CHECK(draft.size() == (left > 3 ? left - 3 : 0));
    CHECK(source.remembered() <= max_tokens);
  }
}

TEST_CASE("memory is at most 80 bytes for a token, fixed by max_tokens") {
  for (const std::size_t n : {1000, 4096, 100000}) {
    const draft_source source(n);
    CHECK(source.memory_bytes() <= 80 * n + 200);
    CHECK(source.memory_bytes() >= 60 * n);
  }
}

TEST_CASE(
    "200,000 tokens of texts made to be slow take at most 20 us a token (a "
    "walk "
    "over the text for each would take 100)") {
  std::mt19937 random(4);
  constexpr std::size_t n = 200000;
  tokens squares;  // a b a a b a a a b ...
  for (std::size_t run = 1; squares.size() < n; ++run) {
    squares.insert(squares.end(), run, 1);
    squares.push_back(2);
  }
  squares.resize(n);
  tokens copies = random_tokens(n, 32000, random);
  for (std::size_t i = 4000; i + 50 < n; i += 100) {
    std::copy_n(
        copies.begin() + static_cast<std::ptrdiff_t>(random() % (i - 50)), 50,
        copies.begin() + static_cast<std::ptrdiff_t>(i));
  }
  const struct {
    const char* name;
    tokens text;
  } texts[] = {{"equal", tokens(n, 7)},
               {"Fibonacci", fibonacci_text(n)},
               {"growing runs", squares},
               {"two tokens", random_tokens(n, 2, random)},
               {"all different", random_tokens(n, 1 << 30, random)},
               {"half copied", copies}};
  for (const auto& t : texts) {
    INFO(t.name);
    CHECK(microseconds_per_token(t.text) < 20);
  }
}
