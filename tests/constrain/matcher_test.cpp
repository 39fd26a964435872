// SPDX-License-Identifier: MIT
// Masks, landing and taking back, against an oracle that tries everything.
// matcher stands in constraint.h; forced_test.cpp has its forced tokens.
#include <thread>

#include "constrain/walks.h"
#include "support/effort.h"
#include "tinyphi/base/utf8.h"
#include "tinyphi/constrain/constraint.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

tokenizer random_tokenizer(std::mt19937& random) {
  auto pieces = random_pieces(random, 60 + random() % 240);
  if (random() % 3 != 0) return byte_level_tokenizer(pieces);
  // Its pieces are whole characters, and some begin with the mark of a word.
  std::erase_if(pieces, [](const std::string& p) {
    return find_invalid_utf8(p) != std::string::npos;
  });
  for (std::size_t i = 0, n = pieces.size(); i < n; i += 3) {
    pieces.push_back("\xE2\x96\x81" + pieces[i]);
  }
  for (const char* piece : {"a", "\"", "\xE2\x96\x81"}) pieces.push_back(piece);
  return make_tokenizer(sentencepiece_vocabulary(pieces));
}

// A grammar by chance with its oracle, bound to a vocabulary by chance.
struct random_case {
  explicit random_case(std::mt19937& random)
      : t(random_tokenizer(random)),
        made(random_constraint(random, make_trie(t))),
        oracle(made.first),
        c(made.second) {}

  tokenizer t;
  std::pair<grammar, constraint> made;
  grammar_oracle oracle;
  constraint c;
};

// The grammar became too ambiguous to follow, which is allowed.
template <typename T>
bool gave_up(const result<T>& r) {
  return !r && r.error().code == error_code::limit;
}

void compare(const token_set& mask, const token_set& expected,
             const tokenizer& t) {
  REQUIRE(mask.size() == expected.size());
  for (token_id id = 0; id < static_cast<token_id>(mask.size()); ++id) {
    if (mask.contains(id) != expected.contains(id)) {
      FAIL("token " << id << " '" << t.bytes(id) << "' is "
                    << (mask.contains(id) ? "allowed" : "not allowed"));
    }
  }
}

// False if it gave up.
bool walk_beside_oracle(random_case& r, std::mt19937& random) {
  const token_set all = all_tokens(r.c.vocabulary());
  matcher m(r.c);
  answer so_far(r.t);
  for (int step = 0; step < 6; ++step) {
    INFO("after '" << so_far.text() << "'");
    token_set mask;
    const auto got = m.allowed(mask, unhurried);
    if (gave_up(got)) return false;
    REQUIRE_OK(got);
    compare(mask, expected_mask(r.oracle, so_far, all), r.t);
    CHECK(m.may_end() == r.oracle.takes(so_far.text()));
    CHECK(m.must_end() == (mask.count() == 0));
    if (mask.count() == 0) {
      CHECK(m.may_end());
      break;
    }
    const token_id id = pick(mask, random);
    const auto accepted = m.accept(id);
    if (gave_up(accepted)) return false;
    REQUIRE_OK(accepted);
    so_far.add(id);
  }
  return true;
}

// From shortest() tokens on, and a few more, an answer whose tokens are chosen
// by chance is whole at its end. False if it gave up.
bool walk_lands(const constraint& c, const tokenizer& t, grammar_oracle& oracle,
                std::size_t more, std::mt19937& random) {
  matcher m(c);
  answer so_far(t);
  std::size_t left = m.shortest() + more;
  CHECK(c.shortest() >= m.shortest());
  for (;; --left) {
    INFO("after '" << so_far.text() << "', " << left << " tokens left");
    token_set mask;
    const auto got = m.allowed(mask, left);
    if (gave_up(got)) return false;
    REQUIRE_OK(got);
    REQUIRE(m.shortest() <= left);
    if (m.may_end() && (mask.count() == 0 || random() % 8 == 0)) break;
    REQUIRE(mask.count() > 0);
    const token_id id = pick(mask, random);
    const auto accepted = m.accept(id);
    if (gave_up(accepted)) return false;
    REQUIRE_OK(accepted);
    so_far.add(id);
  }
  INFO("the answer '" << so_far.text() << "'");
  CHECK(m.may_end());
  CHECK(oracle.takes(so_far.text()));
  CHECK(c.accepts(so_far.text()));
  return true;
}

// Random tokens that may come, at most `most`; fewer where it ends or gives up.
std::vector<token_id> walk(matcher& m, std::size_t most, std::mt19937& random) {
  std::vector<token_id> ids;
  for (token_set mask; ids.size() < most;) {
    if (gave_up(m.allowed(mask, unhurried)) || mask.count() == 0) break;
    const token_id id = pick(mask, random);
    if (gave_up(m.accept(id))) break;
    ids.push_back(id);
  }
  return ids;
}

void accept_all(matcher& m, const std::vector<token_id>& ids) {
  for (const token_id id : ids) accept(m, id);
}

const tokenizer& json_tokenizer() {
  static const tokenizer t = byte_level_tokenizer(
      {"{\"",    "\":",  "\": ", "\",",  "\", \"", "[[",     "[]",
       "]]",     "}}",   "{}",   "}]",   "[{",     "true",   "null",
       "},",     "],",   "name", "kind", "\"}",    "\": \"", "\": [",
       "custom", "tags", "12",   "0,",   "\"\"",   "order",  "[[[[[[[["});
  return t;
}

constraint json_constraint(const grammar& g) {
  return make_constraint(make_trie(json_tokenizer()), g);
}

std::vector<token_id> bytes_of(std::string_view text) {
  std::vector<token_id> ids;
  for (const char c : text) {
    ids.push_back(static_cast<token_id>(static_cast<unsigned char>(c)));
  }
  return ids;
}

// Lists in lists that end differently: n rules that no byte tells apart.
grammar alike_rules(std::uint32_t n) {
  grammar g;
  std::vector<std::uint32_t> calls;
  for (std::uint32_t i = 0; i < n; ++i) {
    const auto r = g.rule("list " + std::to_string(i));
    const auto inside = g.repeat(g.call(r), 0, 1);
    g.rules[r].node = g.sequence({g.literal("["), inside, g.literal("]")});
    calls.push_back(
        g.sequence({g.call(r), g.literal(std::to_string(i) + ";")}));
  }
  g.start = g.rule("any of them", g.choice(std::move(calls)));
  return g;
}

}  // namespace

TEST_CASE("masks hold exactly the tokens after which an end can be reached") {
  std::mt19937 random(7);
  int given_up = 0;
  const int rounds = sweep_rounds(60, 3000);
  for (int i = 0; i < rounds; ++i) {
    INFO("round " << i);
    random_case r(random);
    given_up += static_cast<int>(!walk_beside_oracle(r, random));
  }
  CHECK(given_up * 10 < rounds);
}

TEST_CASE("masks of JSON values are exact, calls and counters included") {
  std::mt19937 random(9);
  for (const grammar& g : {nested_grammar(), record_grammar()}) {
    grammar_oracle oracle(g);
    const constraint c = json_constraint(g);
    const token_set all = all_tokens(c.vocabulary());
    for (int i = 0; i < sweep_rounds(10, 300); ++i) {
      const std::mt19937 seed(random());
      const std::string text = oracle.text(seed, seed, 0);
      matcher m(c);
      answer so_far(json_tokenizer());
      const std::size_t cut = random() % (text.size() + 1);
      for (const token_id id : bytes_of(text.substr(0, cut))) {
        accept(m, id);
        so_far.add(id);
      }
      INFO("after '" << so_far.text() << "'");
      compare(mask_of(m), expected_mask(oracle, so_far, all), json_tokenizer());
      CHECK(m.may_end() == (cut == text.size() || oracle.takes(so_far.text())));
    }
  }
}

TEST_CASE("a mask does not depend on what was asked before") {
  std::mt19937 random(8);
  for (int i = 0; i < sweep_rounds(40, 1000); ++i) {
    INFO("round " << i);
    const random_case r(random);
    for (int again = 0; again < 4; ++again) {
      matcher warm(r.c);
      const auto ids = walk(warm, random() % 8, random);
      matcher cold(make_constraint(r.c.vocabulary(), r.oracle.source()));
      accept_all(cold, ids);
      token_set mask;
      if (gave_up(warm.allowed(mask, unhurried))) continue;
      CHECK(matcher_view(warm) == matcher_view(cold));
      CHECK(matcher_view(warm) == matcher_view(cold));  // now from its cache
    }
  }
}

TEST_CASE("allows says of each token what the mask says, at any distance") {
  std::mt19937 random(10);
  for (int i = 0; i < sweep_rounds(40, 1000); ++i) {
    INFO("round " << i);
    const random_case r(random);
    matcher m(r.c);
    walk(m, random() % 6, random);
    token_set all;
    if (gave_up(m.allowed(all, unhurried))) continue;
    for (const std::size_t more : {0U, 1U, 2U, 5U, 30U}) {
      const std::size_t left = m.shortest() + more;
      token_set mask;
      mask = mask_of(m, left);
      if (mask.count() == 0) CHECK(m.may_end());
      if (m.must_end()) CHECK(mask.count() == 0);
      for (token_id id = 0; id < static_cast<token_id>(mask.size()); ++id) {
        const auto allows = m.allows(id, left);
        REQUIRE_OK(allows);
        REQUIRE(*allows == mask.contains(id));
        if (!all.contains(id)) {
          REQUIRE_FALSE(mask.contains(id));
          continue;
        }
        // Only those are left out from which it is too far.
        matcher after(m);
        accept(after, id);
        INFO("token " << id << ", " << left << " left");
        REQUIRE(mask.contains(id) == (after.shortest() + 1 <= left));
      }
    }
  }
}

TEST_CASE("an answer lands from shortest() tokens on, whatever is chosen") {
  std::mt19937 random(11);
  int given_up = 0;
  const int rounds = sweep_rounds(200, 10000);
  for (int i = 0; i < rounds; ++i) {
    INFO("round " << i);
    random_case r(random);
    for (int again = 0; again < 10; ++again) {
      given_up += static_cast<int>(
          !walk_lands(r.c, r.t, r.oracle, random() % 12, random));
    }
  }
  CHECK(given_up < rounds);
}

TEST_CASE("answers of JSON land") {
  std::mt19937 random(12);
  for (const grammar& g : {nested_grammar(), record_grammar()}) {
    grammar_oracle oracle(g);
    const constraint c = json_constraint(g);
    for (int i = 0; i < sweep_rounds(150, 5000); ++i) {
      INFO("round " << i);
      CHECK(walk_lands(c, json_tokenizer(), oracle, random() % 60, random));
    }
  }
}

TEST_CASE("too few tokens for any answer allow no token") {
  const constraint c = json_constraint(record_grammar());
  const matcher m(c);
  CHECK(c.shortest() > 10);
  CHECK(mask_of(m, 0).count() == 0);
  CHECK(mask_of(m, c.shortest() - 1).count() == 0);
  CHECK(mask_of(m, c.shortest()).count() > 0);
  CHECK_FALSE(m.must_end());
}

TEST_CASE("rollback goes back to each state that was") {
  std::mt19937 random(13);
  for (int i = 0; i < sweep_rounds(40, 1000); ++i) {
    INFO("round " << i);
    const random_case r(random);
    matcher m(r.c);
    std::vector<matcher_view> views;
    token_set mask;
    for (int step = 0; step < 10; ++step) {
      if (gave_up(m.allowed(mask, unhurried))) break;
      views.emplace_back(m);
      if (mask.count() == 0 || gave_up(m.accept(pick(mask, random)))) break;
    }
    if (views.empty()) continue;
    m.rollback(m.length() - (views.size() - 1));
    while (m.length() > 0) {
      REQUIRE(matcher_view(m) == views[m.length()]);
      m.rollback(1 + random() % m.length());
    }
    REQUIRE(matcher_view(m) == views[0]);
    m.rollback(0);
    REQUIRE(matcher_view(m) == views[0]);
  }
}

TEST_CASE("a copy goes its own way") {
  const constraint c = json_constraint(nested_grammar());
  matcher m(c);
  accept_all(m, bytes_of("[1, \"a"));
  const matcher_view before(m);
  matcher copy(m);
  accept_all(copy, bytes_of("b\", {"));
  CHECK(matcher_view(m) == before);
  CHECK(copy.length() == 11);
  accept_all(m, bytes_of("\"]"));
  CHECK(m.must_end());
  CHECK_FALSE(copy.may_end());
  copy.rollback(5);
  CHECK(matcher_view(copy) == before);
  copy = m;
  CHECK(copy.must_end());
  m.rollback(2);
  CHECK(matcher_view(m) == before);
  CHECK(copy.must_end());
  matcher moved(std::move(copy));
  CHECK(moved.must_end());
  moved = matcher(c);
  CHECK(moved.length() == 0);
}

TEST_CASE("what may not come is refused and changes nothing") {
  matcher m(json_constraint(nested_grammar()));
  accept_all(m, bytes_of("{\"a\""));
  const matcher_view before(m);
  const auto size = static_cast<token_id>(json_tokenizer().size());
  for (const token_id id : {token_id{'}'}, token_id{'a'}, token_id{-1}, size,
                            token_id{1'000'000}, token_id{0xC3}}) {
    INFO(id);
    const auto refused = m.accept(id);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == error_code::invalid_argument);
    CHECK_FALSE(refused.error().message.empty());
    const auto allows = m.allows(id, unhurried);
    REQUIRE_OK(allows);
    CHECK_FALSE(*allows);
    CHECK(matcher_view(m) == before);
  }
  accept_all(m, bytes_of(":1}"));
  CHECK(m.must_end());
  CHECK_FALSE(m.accept('}'));
  CHECK(m.must_end());
}

TEST_CASE("a grammar may be ambiguous up to 256 ways, then it is an error") {
  SECTION("200 ways are followed, and one is left at the end") {
    // After "[", each of 100 lists may hold one more list.
    matcher m(json_constraint(alike_rules(100)));
    accept_all(m, bytes_of("[[]]1"));
    CHECK(mask_of(m).count() == 11);  // a digit or ";"
    accept_all(m, bytes_of("7;"));
    CHECK(m.must_end());
  }
  SECTION("300 are not, when they come up in the answer") {
    matcher m(json_constraint(alike_rules(150)));
    auto got = m.accept('[');
    token_set mask;
    if (got) got = m.allowed(mask, unhurried);
    REQUIRE_FALSE(got);
    CHECK(got.error().code == error_code::limit);
    CHECK(got.error().message.find("256") != std::string::npos);
  }
  SECTION("300 are not, when the answer begins so") {
    const auto c =
        constraint::create(make_trie(json_tokenizer()), alike_rules(300));
    token_set mask;
    const result<void> got =
        c ? matcher(*c).allowed(mask, unhurried) : result<void>(c.error());
    REQUIRE_FALSE(got);
    CHECK(got.error().code == error_code::limit);
  }
}

TEST_CASE(
    "an answer can be nested some thousand levels deep, not without end") {
  const constraint c = json_constraint(nested_grammar());
  matcher m(c);
  std::size_t depth = 0;
  result<void> got;
  for (token_set mask; got && depth < 20'000; ++depth) {
    got = m.accept('[');
    if (got && depth % 512 == 0) got = m.allowed(mask, unhurried);
  }
  REQUIRE_FALSE(got);
  CHECK(got.error().code == error_code::limit);
  CHECK(depth > 1'000);
  CHECK(depth < 5'000);
  // What stood before can still be ended.
  m.rollback(matcher::max_rollback);
  const std::size_t open = m.length();
  CHECK(open == depth - 1 - matcher::max_rollback);
  CHECK(m.shortest() <= open);
  for (std::size_t i = 0; i < open; ++i) accept(m, ']');
  CHECK(m.must_end());
  CHECK(m.length() == 2 * open);
}

TEST_CASE("free text is where a rule of free text is under way") {
  matcher m(json_constraint(record_grammar()));
  const auto after = [&](std::string_view text) {
    m.rollback(m.length());
    accept_all(m, bytes_of(text));
    return m.in_free_text();
  };
  CHECK_FALSE(after(""));
  CHECK_FALSE(after("{\"name\": "));
  CHECK(after("{\"name\": \""));
  CHECK(after("{\"name\": \"a"));
  CHECK(after("{\"name\": \"\xC3"));
  CHECK_FALSE(after("{\"name\": \"a\""));
  CHECK_FALSE(after("{\"name\": \"a\", \"ki"));
  CHECK_FALSE(after("{\"name\": \"a\", \"kind\": \"comp"));
}

TEST_CASE(
    "one space before an answer counts as nothing, where decoding strips it") {
  const std::string mark = "\xE2\x96\x81";
  const tokenizer t = make_tokenizer(
      sentencepiece_vocabulary({"a", "b", mark, mark + "a", mark + mark}));
  const token_id a = 259, space = 261, space_a = 262, two = 263;
  const auto constrained = [&](std::string_view text) {
    return make_constraint(make_trie(t), *choice_grammar({std::string(text)}));
  };
  SECTION("with it and without it") {
    matcher m(constrained("ab"));
    CHECK(mask_of(m).count() == 3);
    for (const token_id id : {a, space, space_a}) {
      CHECK(mask_of(m).contains(id));
    }
    CHECK(m.shortest() == 2);
    accept(m, space);
    CHECK(mask_of(m).count() == 1);  // once
    accept(m, a);
    CHECK(mask_of(m).count() == 1);  // "b"
  }
  SECTION("an answer that begins with a space needs two") {
    matcher m(constrained(" ab"));
    CHECK_FALSE(mask_of(m).contains(a));
    CHECK_FALSE(mask_of(m).contains(space_a));
    CHECK(mask_of(m).contains(two));
    accept(m, space);
    accept(m, space_a);
    accept(m, a + 1);
    CHECK(m.must_end());
  }
}

TEST_CASE("answers in several threads fill one constraint's caches",
          "[threads]") {
  const constraint c = json_constraint(nested_grammar());
  std::vector<matcher_view> expected;
  matcher alone(json_constraint(nested_grammar()));
  const auto ids = bytes_of("{\"a\": [1, [], {\"b\": null}], \"c\": -12}");
  for (const token_id id : ids) {
    expected.emplace_back(alone);
    accept(alone, id);
  }
  std::vector<int> wrong(4);
  std::vector<std::thread> threads;
  for (int& count : wrong) {
    threads.emplace_back([&] {
      for (int round = 0; round < 20; ++round) {
        matcher m(c);
        for (std::size_t i = 0; i < ids.size(); ++i) {
          token_set mask;
          if (!m.allowed(mask, unhurried)) ++count;
          count += static_cast<int>(mask != expected[i].mask);
          if (!m.accept(ids[i])) ++count;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == std::vector<int>(4));
}
