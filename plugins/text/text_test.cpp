// SPDX-License-Identifier: MIT
#include <random>

#include "plugins/text/text_clean.h"
#include "plugins/text/text_join.h"
#include "plugins/text/text_split.h"
#include "support/run_stage.h"
#include "support/test.h"
#include "support/tokenizers.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

using texts = std::vector<std::string>;

texts split(std::string_view text, split_options options) {
  auto parts = split_text(text, options);
  REQUIRE_OK(parts);
  return *std::move(parts);
}

split_options by(split_by unit, std::size_t size = 0, std::size_t overlap = 0) {
  split_options options;
  options.by = unit;
  options.size = size;
  options.overlap = overlap;
  return options;
}

std::string without_space(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (!sentences::is_space(c)) out += c;
  }
  return out;
}

const tokenizer& phi3() {
  static const tokenizer t = make_tokenizer(hf_vocabulary("tokenizer/phi-3"));
  return t;
}

}  // namespace

TEST_CASE("a text is cut into paragraphs, lines and sentences") {
  const std::string_view text =
      "\n# Pump\r\n  It pumps. It hums!\n \t\n\nStop it [1].\n1. Now. \n";
  CHECK(split(text, by(split_by::paragraph)) ==
        texts{"# Pump\r\n  It pumps. It hums!", "Stop it [1].\n1. Now."});
  CHECK(split(text, by(split_by::line)) ==
        texts{"# Pump", "  It pumps. It hums!", "Stop it [1].", "1. Now."});
  CHECK(split(text, by(split_by::sentence)) ==
        texts{"# Pump", "It pumps.", "It hums!", "Stop it [1].", "1. Now."});
  for (const split_by unit :
       {split_by::paragraph, split_by::line, split_by::sentence}) {
    CHECK(split("", by(unit)).empty());
    CHECK(split(" \n\t\r\n", by(unit, 5)).empty());
  }
}

TEST_CASE("parts have as many units as fit, and the end of the one before") {
  const std::string_view text = "one\ntwo\nthree\nfour\n";
  CHECK(split(text, by(split_by::line, 7)) ==
        texts{"one\ntwo", "three", "four"});
  CHECK(split(text, by(split_by::line, 10)) ==
        texts{"one\ntwo", "three\nfour"});
  CHECK(split(text, by(split_by::line, 13, 5)) ==
        texts{"one\ntwo\nthree", "three\nfour"});
  // What would leave no room for anything new is not taken over.
  CHECK(split("a b cc dddddd", by(split_by::line, 6, 3)) ==
        texts{"a b cc", "dddddd"});
  // Larger ones are cut between words, larger words between characters.
  CHECK(split("aaa bb c\n\xC3\xA4\xC3\xB6\xC3\xBC\xC3\x9F!\n",
              by(split_by::line, 4)) ==
        texts{"aaa", "bb c", "\xC3\xA4\xC3\xB6\xC3\xBC\xC3\x9F", "!"});
  CHECK(split("one two three", by(split_by::sentence, 8, 3)) ==
        texts{"one two", "three"});
  CHECK(split("one two six", by(split_by::sentence, 8, 3)) ==
        texts{"one two", "two six"});
}

TEST_CASE(
    "whatever a text is, its parts keep to their size and have all of it") {
  std::mt19937 random(7);
  const std::string_view pool[] = {
      " ",        "\n",           "\n\n",           "a", "pump. ", "[1]", "!",
      "\xC3\xA4", "\xE6\xB0\xB4", "internationally"};
  for (int round = 0; round < 60; ++round) {
    std::string text;
    const std::size_t n = random() % 200;
    for (std::size_t i = 0; i < n; ++i)
      text += pool[random() % std::size(pool)];
    split_options options = by(static_cast<split_by>(random() % 4));
    const bool tokens = options.by == split_by::tokens;
    options.tokens = tokens ? &phi3() : nullptr;
    options.size = 8 + random() % 30;
    const texts parts = split(text, options);
    std::string all;
    for (const std::string& part : parts) {
      INFO(part);
      all += part;
      CHECK(find_invalid_utf8(part) == std::string::npos);
      CHECK((tokens ? phi3().encode(part).size() : count_characters(part)) <=
            options.size);
    }
    CHECK(without_space(all) == without_space(text));
    // With an overlap each part has something that is new.
    options.overlap = options.size / 2;
    const texts more = split(text, options);
    CHECK(more.size() >= parts.size());
    for (const std::string& part : more) {
      INFO(part);
      CHECK(text.find(part) != std::string::npos);
      CHECK((tokens ? phi3().encode(part).size() : count_characters(part)) <=
            options.size);
    }
    if (more.empty()) continue;
    text.erase(text.find_last_not_of(" \n") + 1);
    CHECK(text.ends_with(more.back()));
  }
}

TEST_CASE("the number of parts has a limit, and splitting can be stopped") {
  split_options options = by(split_by::line);
  options.max_parts = 2;
  CHECK(split_text("a\nb", options));
  const auto many = split_text("a\nb\nc", options);
  CHECK(many.error().code == error_code::limit);
  CHECK(message_of(many) ==
        "the text has more than 2 parts; give a greater size");
  options.stop.token.cancel();
  CHECK(split_text("a", options).error().code == error_code::cancelled);
}

TEST_CASE("text.split refuses sizes that it cannot keep to") {
  const auto options_of = [](bool has_tokenizer) {
    host_options options;
    options.describe_model = [=](const model_spec&) -> result<model_facts> {
      model_facts facts;
      if (has_tokenizer) facts.tokenizer = phi3();
      return facts;
    };
    return options;
  };
  host h(options_of(true), "/", {{"m", {"m", {}, 0}}});
  const auto message = [&](text_split_stage::config c, host& at) {
    const auto faults = text_split_stage::check(c, {}, at).faults;
    REQUIRE(faults.size() < 2);
    return faults.empty() ? "" : faults[0].param + ' ' + faults[0].message;
  };
  const std::optional<model_ref> m = model_ref{"m"};
  using enum split_by;
  CHECK(message({}, h) == "");
  CHECK(message({line, 10, 5, {}}, h) == "");
  CHECK(message({line, 10, 6, {}}, h) ==
        "overlap is 6, allowed are 0 to half of with.size, 5");
  CHECK(message({line, 0, 5, {}}, h) == "overlap needs with.size");
  CHECK(message({tokens, 20, 10, m}, h) == "");
  CHECK(message({tokens, 7, 0, m}, h) ==
        "size is 7, by tokens allowed are 8 to 1000000");
  CHECK(message({tokens, 20, 0, {}}, h) ==
        "model must say which [model.x], because there are several");
  host blind(options_of(false), "/", {{"m", {"m", {}, 0}}});
  CHECK(message({tokens, 20, 0, m}, blind) ==
        "model by tokens needs the tokenizer of model m, which this program "
        "does not have; split by sentence");
  CHECK_THROWS_AS(text_split_stage({tokens, 20, 0, m}, blind), stage_error);

  const auto words = run_stage(text_split_stage({tokens, 8, 0, m}, h),
                               {"The pump stops when the tank is empty. Why?"});
  REQUIRE_OK(words);
  CHECK(words->parts ==
        texts{"The pump stops when the tank is", "empty. Why?"});
}

TEST_CASE("text.join joins up to the longest text") {
  host h = no_models();
  const text_join_stage stage({.by = ", "}, h);
  CHECK(run_stage(stage, {{"a", "", "b"}})->text == "a, , b");
  CHECK(run_stage(stage, {{}})->text.empty());
  const std::string half(text_join_stage::max_bytes / 2, 'x');
  const auto long_one = run_stage(stage, {{half, half, "y"}});
  CHECK(long_one.error().code == error_code::limit);
  CHECK_THAT(message_of(long_one),
             Catch::StartsWith("the first 2 of 3 parts have 1048578 bytes"));
  const text_join_stage glued({.by = ""}, h);
  CHECK(run_stage(glued, {{half, half}}));
}

TEST_CASE("text.clean takes out control and bidi characters, and normalizes") {
  host h = no_models();
  const text_clean_stage nfc({}, h), nfkc({normal_form::nfkc}, h);
  const auto clean = [](const text_clean_stage& s, std::string_view text) {
    const auto out = run_stage(s, {text});
    REQUIRE_OK(out);
    return out->text;
  };
  CHECK(clean(nfc, "a\tb\r\nc\rd\n\r") == "a\tb\nc\nd\n\n");
  CHECK(clean(nfc, std::string("\x1B[31m\0\x7F\xC2\x85x", 10)) == "[31mx");
  // U+202E, U+2066, U+200F and U+061C go; joiners of scripts and emoji stay.
  CHECK(clean(nfc,
              "a\xE2\x80\xAE\xE2\x81\xA6\xE2\x80\x8F\xD8\x9C"
              "b\xE2\x80\x8D") == "ab\xE2\x80\x8D");
  CHECK(clean(nfc, "e\xCC\x81") == "\xC3\xA9");
  CHECK(clean(nfc, "e\xE2\x80\xAE\xCC\x81") == "\xC3\xA9");
  CHECK(clean(nfc, "\xEF\xAC\x81") == "\xEF\xAC\x81");
  CHECK(clean(nfkc, "\xEF\xAC\x81") == "fi");
  CHECK(clean_text("a\xFF", normal_form::nfc, 9).error().code ==
        error_code::bad_data);
  // U+FDFA has 33 bytes in its compatible form.
  CHECK(clean_text("\xEF\xB7\xBA", normal_form::nfkc, 33));
  CHECK(clean_text("\xEF\xB7\xBA", normal_form::nfkc, 32).error().code ==
        error_code::limit);
}
