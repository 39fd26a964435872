// SPDX-License-Identifier: MIT
#include "plugins/guard/hold_back.h"

#include <algorithm>
#include <random>

#include "support/effort.h"
#include "support/test.h"

using namespace tinyphi;
using namespace tinyphi::guard;

namespace {

rule_set read(std::string_view text) {
  auto set = parse_rules(text, "rules.toml");
  REQUIRE_OK(set);
  return *std::move(set);
}

hold_back_options secrets_and_data() {
  REQUIRE_OK(secret_rules());
  constexpr pii_kind kinds[] = {pii_kind::card, pii_kind::iban, pii_kind::phone,
                                pii_kind::email, pii_kind::ip};
  auto finder = pii_finder::make(kinds);
  REQUIRE_OK(finder);
  hold_back_options options;
  options.rules = {*secret_rules()};
  options.pii = *std::move(finder);
  return options;
}

struct outcome {
  std::string text;
  bool blocked = false;
  std::string rule, reason;

  friend bool operator==(const outcome&, const outcome&) = default;
};

std::ostream& operator<<(std::ostream& out, const outcome& o) {
  return out << o.text << " | " << o.blocked << " " << o.rule << " "
             << o.reason;
}

// Of a text in pieces that `size` gives.
template <class Size>
outcome streamed(const hold_back_options& options, std::string_view text,
                 Size&& size) {
  hold_back stream(options);
  outcome out;
  while (!text.empty()) {
    const std::string_view piece = text.substr(0, size());
    text.remove_prefix(piece.size());
    out.text += stream.push(piece);
  }
  out.text += stream.finish();
  const verdict& v = stream.judged();
  out.blocked = v.blocked, out.rule = v.rule, out.reason = v.reason;
  return out;
}

outcome whole(const hold_back_options& options, std::string_view text) {
  return streamed(options, text, [&] { return text.size(); });
}

outcome bytewise(const hold_back_options& options, std::string_view text) {
  return streamed(options, text, [] { return 1; });
}

const std::string token =
    "gh"
    "p_x9Kd2mQ7vLr4TzW8bNc3Yh6JpF5sGa1UeRt0";

}  // namespace

TEST_CASE("a text is cut where the first finding begins") {
  const auto options = secrets_and_data();
  const outcome card = bytewise(
      options, "The card is 4111 1111 1111 1111, the key is " + token + ".");
  CHECK(card.text == "The card is ");
  CHECK(card.blocked);
  CHECK(card.rule == "card");
  CHECK(card.reason == "the text has data of the kind 'card'");
  const outcome key = bytewise(
      options, "The key is " + token + ", the card is 4111 1111 1111 1111.");
  CHECK(key.text == "The key is ");
  CHECK(key.rule == "github-token");
  CHECK(key.reason == "a token of GitHub");
  const std::string good = "Nothing to see: 4111 1111 1111 1112, ghp_x.";
  CHECK(bytewise(options, good).text == good);
  CHECK(!bytewise(options, good).blocked);
  CHECK(whole(options, "").text.empty());
  // Nothing at all comes after the cut.
  hold_back stream(options);
  CHECK(stream.push("1 4111 1111 1111 1111" + std::string(100, '.')) == "1 ");
  CHECK(stream.judged().blocked);
  CHECK(stream.push("more").empty());
  CHECK(stream.finish().empty());
}

TEST_CASE("text leaves as soon as it is judged, in whole characters") {
  hold_back_options options = secrets_and_data();
  options.rules.clear();
  hold_back data_only(options);
  // A step is 16 bytes; then only what may be the beginning of data waits.
  CHECK(data_only.push("All is well 1234") == "All is well ");
  CHECK(data_only.push(", at 555-01").empty());
  CHECK(data_only.push("2. Or") == "1234, at 555-012. ");
  CHECK(data_only.finish() == "Or");

  options = secrets_and_data();
  options.hold_bytes = 20;
  hold_back stream(options);
  std::string text;
  for (int i = 0; i < 40; ++i) {
    text += stream.push("\xE2\x82\xAC");
    CHECK(find_invalid_utf8(text) == std::string_view::npos);
    CHECK(text.size() + 20 + 16 + 3 > static_cast<std::size_t>(3 * i + 3));
    CHECK(text.size() + 20 <=
          static_cast<std::size_t>(std::max(20, 3 * i + 3)));
  }
  text += stream.finish();
  CHECK(text.size() == 120);
}

TEST_CASE("any pieces give what the whole text gives") {
  const auto options = secrets_and_data();
  const std::vector<std::string> parts = {"4111 1111 1111 1111",
                                          "5555-5555-5555-4444",
                                          "DE89 3704 0044 0532 0130 00",
                                          "first.last@sub.example.co.uk",
                                          "+49 (0)30 123 45 67",
                                          "10.0.0.1",
                                          token,
                                          "AKI"
                                          "AIOSFODNN7EXAMPLE",
                                          "postgres://user:secret@db.example",
                                          "-----BEGIN RSA PRIVATE"
                                          " KEY-----\nMIIE"};
  const std::vector<std::string> others = {"word",
                                           "4111",
                                           "1111 1111",
                                           "ghp_",
                                           "a.b",
                                           "gr\xC3\xBC\xC3\x9F",
                                           "\n",
                                           "2025-01-31",
                                           "\xE5\x8F\xB7",
                                           "https://x.example",
                                           "-----BEGIN",
                                           "@",
                                           "+49",
                                           "eyJ",
                                           "AKIA",
                                           "12",
                                           "(",
                                           "0",
                                           "x@y"};
  std::mt19937 random(5);
  std::size_t blocked = 0;
  for (int round = 0; round < tinyphi_test::sweep_rounds(400, 40000); ++round) {
    std::string text;
    for (std::size_t k = random() % 30; k > 0; --k) {
      const auto& from = random() % 25 == 0 ? parts : others;
      text += from[random() % from.size()] + (random() % 4 ? " " : "");
    }
    INFO(text);
    const outcome wanted = whole(options, text);
    REQUIRE(bytewise(options, text) == wanted);
    const std::size_t most = 1 + random() % 40;
    REQUIRE(streamed(options, text, [&] { return 1 + random() % most; }) ==
            wanted);
    // And that is what the searches in a whole text say.
    std::vector<std::pair<std::size_t, std::string>> all;
    for (const finding& f : secret_rules()->find(text).all) {
      all.emplace_back(f.begin, f.by->id);
    }
    for (const pii_finding& f : options.pii.find(text)) {
      all.emplace_back(f.begin,
                       pii_kind_names[static_cast<std::size_t>(f.kind)]);
    }
    const auto first = std::ranges::min_element(all);
    REQUIRE(wanted.blocked == !all.empty());
    if (!all.empty()) CHECK(wanted.rule == first->second);
    REQUIRE(wanted.text ==
            text.substr(0, all.empty() ? text.size() : first->first));
    blocked += wanted.blocked ? 1 : 0;
  }
  CHECK(blocked > 10);
}

TEST_CASE("a match that may become longer waits whole, up to a bound") {
  hold_back_options options;
  options.rules = {
      read("[[rules]]\nid = 'k'\nregex = 'key=\\w{4,}'\n"
           "entropy = 2.5\n")};
  const std::string secret = "key=" + std::string(300, 'a') + "bcdefgh";
  // 300 times the same: no entropy, with or without the rest.
  CHECK(bytewise(options, "x " + secret + " y").text == "x " + secret + " y");
  std::string random_key = "key=";
  for (int i = 0; i < 300; ++i) random_key += "abcdefghijklmnop"[i * 7 % 16];
  const outcome long_key = bytewise(options, "x " + random_key + " y");
  CHECK(long_key.text == "x ");
  CHECK(long_key.rule == "k");
  // Endless ones are judged as they are.
  std::string endless = "x key=";
  while (endless.size() < 3 * hold_back::longest_open) {
    endless += "abcdefghijklmnop";
  }
  CHECK(bytewise(options, endless).text == "x ");
  const std::string dull =
      "x key=" + std::string(3 * hold_back::longest_open, 'a');
  CHECK(bytewise(options, dull).text == dull);
  CHECK(whole(options, dull) == bytewise(options, dull));
}

TEST_CASE("what is found late only is in the verdict, and the rest is cut") {
  hold_back_options options;
  options.rules = {read("[[rules]]\nid = 'far'\nregex = 'a[^c]*b'\n")};
  const std::string text = "a" + std::string(500, '.') + "b and more text here";
  const outcome o = bytewise(options, text);
  CHECK(o == whole(options, text));
  CHECK(o.blocked);
  CHECK(o.rule == "far");
  CHECK(o.text.size() < 500);
  CHECK(text.starts_with(o.text));
}

TEST_CASE("weak rules block where the last that is needed begins") {
  hold_back_options options;
  options.rules = {read("[[rules]]\nid = 'a'\nregex = 'aa'\nscore = 0.5\n"),
                   read("[[rules]]\nid = 'b'\nregex = 'bb'\nscore = 0.5\n")};
  CHECK(bytewise(options, "x aa aa y").text == "x aa aa y");
  CHECK(bytewise(options, "x aa aa bb y").text == "x aa aa ");
  CHECK(bytewise(options, "x aa aa bb y").rule == "a");
  CHECK(whole(options, "x bb aa y").text == "x bb ");
}

TEST_CASE("a rule that is called like a kind does not stand for it") {
  hold_back_options options = secrets_and_data();
  options.rules = {
      read("[[rules]]\nid = 'card'\nregex = 'card|4111'\nscore = 0.1\n")};
  CHECK(bytewise(options, "card 4111 1111 1111 1111").text == "card ");
}

TEST_CASE("a text that is too long for judging is blocked") {
  hold_back_options options = secrets_and_data();
  options.max_bytes = 1000;
  CHECK(!bytewise(options, std::string(1000, '.')).blocked);
  const outcome o = bytewise(options, std::string(1001, '.'));
  CHECK(o.blocked);
  CHECK(o.reason ==
        "the text has more than 1000 bytes, which is all that can be judged");
  CHECK(o.text.size() < 1000);
  CHECK(o == whole(options, std::string(1001, '.')));
}
