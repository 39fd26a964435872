// SPDX-License-Identifier: MIT
#include "tinyphi/serve/remembered_turns.h"

#include "support/models.h"
#include "support/test.h"

using namespace tinyphi;
using tinyphi_test::demo_model;

namespace {

std::vector<token_id> tokens_of(const model& m, std::string_view text) {
  return m.tokenizer()->encode(text);
}

// Other tokens of the same text: those of its characters.
std::vector<token_id> letters_of(const model& m, std::string_view text) {
  std::vector<token_id> ids = {*m.tokenizer()->find("\u2581")};
  for (const char c : text) {
    const std::string piece = c == ' ' ? "\u2581" : std::string(1, c);
    ids.push_back(m.tokenizer()->find(piece).value());
  }
  return ids;
}

std::vector<token_id> asked(const model& m, remembered_turns& turns,
                            domain_id domain, bool continue_last = false) {
  const std::vector<message> talk = {{role::user, "Is the pump ready?"},
                                     {role::assistant, "The pump is ready."},
                                     {role::user, "And the <|end|> lamp?"},
                                     {role::assistant, "The lamp"}};
  auto ids = chat_tokens(m, std::span(talk).first(continue_last ? 4 : 3),
                         continue_last, turns, domain);
  REQUIRE_OK(ids);
  return *ids;
}

}  // namespace

TEST_CASE("an answer comes back as the tokens that it was given as") {
  const model m = demo_model(false);
  remembered_turns turns, none;
  const auto letters = letters_of(m, "The pump is ready.");
  REQUIRE(letters != tokens_of(m, "The pump is ready."));
  turns.remember(7, "The pump is ready.", letters);
  const auto with = asked(m, turns, 7);
  const auto without = asked(m, none, 7);
  CHECK(with.size() > without.size());
  CHECK(std::ranges::search(with, letters).size() == letters.size());
  CHECK(m.tokenizer()->decode(with) == m.tokenizer()->decode(without));
  // What is before and behind it is as without.
  const auto first = std::ranges::mismatch(with, without).in1 - with.begin();
  CHECK(first > 3);
  CHECK(std::equal(with.end() - 8, with.end(), without.end() - 8));
}

TEST_CASE("another caller's answers are never found") {
  const model m = demo_model(false);
  remembered_turns turns, none;
  turns.remember(7, "The pump is ready.", letters_of(m, "The pump is ready."));
  CHECK(asked(m, turns, 8) == asked(m, none, 8));
}

TEST_CASE("without a memory a chat has the engine's own tokens") {
  const model m = demo_model(false);
  remembered_turns none;
  const std::vector<message> talk = {{role::user, "Is the pump ready?"}};
  const auto segments = render_chat(*m.chat_format(), talk);
  REQUIRE_OK(segments);
  const auto ids = chat_tokens(m, talk, false, none, 0);
  REQUIRE_OK(ids);
  CHECK(*ids == m.tokenizer()->encode(*segments, true));
}

TEST_CASE("an answer that is to go on ends with its own text") {
  const model m = demo_model(false);
  remembered_turns none;
  const auto ids = asked(m, none, 0, true);
  const std::string text = m.tokenizer()->decode(ids, true);
  CHECK(text.ends_with("The lamp"));
}

TEST_CASE("the memory of answers is bounded, and forgets the oldest") {
  remembered_turns turns(8000);
  for (int i = 0; i < 100; ++i) {
    turns.remember(1, "answer " + std::to_string(i), {i, i, i});
    if (i > 50) CHECK_FALSE(turns.find(1, "answer 50").empty());  // in use
    CHECK(turns.bytes() <= 8000);
  }
  CHECK(turns.find(1, "answer 0").empty());
  CHECK(turns.find(1, "answer 99") == std::vector<token_id>{99, 99, 99});
  turns.remember(1, std::string(1000, 'a'), {1});
  CHECK(turns.find(1, std::string(1000, 'a')).empty());
}
