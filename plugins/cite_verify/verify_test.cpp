// SPDX-License-Identifier: MIT
#include "plugins/cite_verify/verify.h"

#include <chrono>

#include "plugins/cite_verify/cite_verify.h"
#include "support/run_stage.h"
#include "support/test.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

documents passages() {
  documents d(3);
  d[0].id = "data.md#1";
  d[0].source = "data.md";
  d[0].locator = "Pressure";
  d[0].line = 7;
  d[0].text = "The limit of the pump is 20 bar. The pump is blue.";
  d[1].text = "Hold RESET for ten seconds.";
  d[2].text = "The pump is blue.";
  return d;
}

cite::verified_answer verify(std::string_view answer, const documents& d,
                             const cite::verify_options& options = {}) {
  auto v = cite::verify_citations(answer, d, options);
  REQUIRE_OK(v);
  return *std::move(v);
}

cite::verified_answer verify(std::string_view answer) {
  return verify(answer, passages());
}

// Whether one passage with this text and heading supports all of the answer.
bool supports(std::string_view passage, std::string_view answer,
              std::string_view heading = "") {
  documents d(1);
  d[0].locator = heading;
  d[0].text = passage;
  const auto v = verify(answer, d);
  REQUIRE(!v.citations.empty());
  CHECK(v.ok == (v.text.find("[no source]") == std::string::npos));
  return v.ok;
}

}  // namespace

TEST_CASE("a right number stays, and the citation names its place") {
  const auto v = verify("The limit of the pump is 20 bar. [1]");
  CHECK(v.text == "The limit of the pump is 20 bar. [1]");
  CHECK(v.ok);
  REQUIRE(v.citations.size() == 1);
  const citation& c = v.citations[0];
  CHECK(c.sentence == "The limit of the pump is 20 bar.");
  CHECK(c.number == 1);
  CHECK(c.id == "data.md#1");
  CHECK(c.source == "data.md");
  CHECK(c.locator == "Pressure");
  CHECK(c.line == 7);
  CHECK(c.quote == "The limit of the pump is 20 bar.");
  CHECK(c.overlap == Approx(1));
}

TEST_CASE("a wrong, missing, extra or impossible number is put right") {
  const std::string right = "Hold RESET for ten seconds. [2]";
  for (const char* answer :
       {"Hold RESET for ten seconds. [1]", "Hold RESET for ten seconds.",
        "Hold RESET for ten seconds [3].", "Hold RESET for ten seconds [1, 2].",
        "Hold RESET for ten seconds. [1][2]", "Hold RESET for ten seconds. [0]",
        "Hold RESET for ten seconds.[99999999999999999999999]"}) {
    INFO(answer);
    CHECK(verify(answer).text == right);
    CHECK(verify(answer).ok);
  }
  CHECK(verify("[1] Hold RESET for ten seconds.").text ==
        "[2] Hold RESET for ten seconds. [2]");
}

TEST_CASE("among equal passages the one that the model named wins") {
  CHECK(verify("The pump is blue. [3]").text == "The pump is blue. [3]");
  CHECK(verify("The pump is blue. [2]").text == "The pump is blue. [1]");
}

TEST_CASE("a sentence that no passage supports is marked") {
  const auto v = verify(
      "Hold RESET for ten seconds. [2] The warranty lasts three years. [2]");
  CHECK(v.text ==
        "Hold RESET for ten seconds. [2] The warranty lasts three years. [no "
        "source]");
  CHECK(!v.ok);
  REQUIRE(v.citations.size() == 2);
  CHECK(v.citations[1].number == 0);
  CHECK(v.citations[1].id.empty());
}

TEST_CASE("a number that the passage does not hold is not supported") {
  const auto v = verify("The limit of the pump is 30 bar. [1]");
  CHECK(v.text == "The limit of the pump is 30 bar. [no source]");
  CHECK(!v.ok);
}

TEST_CASE("saying that nothing is known gets no mark, and is not grounded") {
  const auto v = verify("I don't know: the passages do not say.");
  CHECK(v.text == "I don't know: the passages do not say.");
  CHECK(v.citations.empty());
  CHECK(!v.ok);
  const auto half = verify("The pump is blue. I don't know its price.");
  CHECK(half.text == "The pump is blue. [1] I don't know its price.");
  CHECK(!half.ok);
}

TEST_CASE("a refusal that goes on with a number or a \"but\" is marked") {
  for (const char* answer :
       {"I don't know the limit, but the pump is red.",
        "I don't know, however the pump is red.", "I do not know, 99 euros."}) {
    INFO(answer);
    CHECK(verify(answer).text == std::string(answer) + " [no source]");
  }
}

TEST_CASE("one word that the quote does not hold is enough for a mark") {
  const char* lights =
      "A green light means that the pump is ready. "
      "A red light means that the pump is blocked.";
  CHECK(supports(lights, "A green light means that the pump is ready. [1]"));
  CHECK(supports(lights, "A red light means that the pump is blocked. [1]"));
  // The words are those of two sentences.
  CHECK(!supports(lights, "A red light means that the pump is ready. [1]"));
  CHECK(!supports(lights, "A yellow light means that the pump is ready. [1]"));
  CHECK(!supports("A filter costs 12 euros.", "The pump costs 12 euros."));
  CHECK(!supports("Press the button before you open the lid.",
                  "Press the button after you open the lid."));
  CHECK(!supports("The pump may run.", "The pump must run."));
  CHECK(!supports("Switch the motor off.", "Switch the motor on."));
}

TEST_CASE("words of the headings above the quote count, all of them do not") {
  const char* quote = "It lasts five years.";
  CHECK(supports(quote, "The level sensor lasts five years.", "Level sensor"));
  CHECK(!supports(quote, "The rain sensor lasts five years.", "Level sensor"));
  CHECK(!supports(quote, "Level sensor.", "Level sensor"));
  // The title of the document is above too much to count.
  documents d(1);
  d[0].title = "Pumps";
  d[0].locator = "Color";
  d[0].text = "It is blue.";
  CHECK(!verify("The pump is blue.", d).ok);
}

TEST_CASE("case, Unicode forms, plurals and function words do not matter") {
  CHECK(supports("A FILTER costs 12 euros.", "The filters cost 12 euros."));
  CHECK(supports("The pump's box.", "Boxes for pumps."));
  CHECK(supports("Replace the batteries.", "Replace this battery."));
  CHECK(
      supports("STRASSE, Gr\xC3\xB6\xC3\x9F"
               "e",
               "Stra\xC3\x9F"
               "e, GRO\xCC\x88SSE"));
  CHECK(supports("The \xEF\xAC\x81lter is dirty.", "The filter is dirty."));
  CHECK(!supports("Der B\xC3\xA4r ist rot.", "Der Bar ist rot."));
  CHECK(!supports("The glass is full.", "The gas is full."));
}

TEST_CASE("numbers stand in the quote as they are, and count the same") {
  CHECK(supports("Wait 5 minutes, then 30 seconds.", "Wait 30 seconds."));
  CHECK(!supports("Wait 5 minutes, then 30 seconds.", "Wait 5 seconds."));
  CHECK(!supports("Wait two minutes, then ten seconds.", "Wait ten minutes."));
  CHECK(!supports("The limit is 20 bar.", "The limit is 2 bar."));
  CHECK(!supports("The limit is 20 bar.", "The limit is 20 kilograms."));
  CHECK(supports("The limit is 20bar.", "The limit is 20 bar."));
  CHECK(supports("Die Grenze ist 3,5 bar.", "Die Grenze ist 3.5 bar."));
  CHECK(!supports("The limit is 3.5 bar.", "The limit is 3 bar, or 5."));
  CHECK(supports("It costs 1,000 euros.", "It costs 1,000 euros."));
  CHECK(!supports("It costs 1,000 euros.", "It costs 1.000 euros."));
  CHECK(supports("At 0,125 mm.", "At 0.125 mm."));
  CHECK(!supports("It freezes at -5 degrees.", "It freezes at 5 degrees."));
  CHECK(
      !supports("It freezes at 5 degrees.", "It freezes at \u22125 degrees."));
  CHECK(supports("It freezes at \u22125 degrees.",
                 "It freezes at \u20135 degrees."));
  CHECK(!supports("A share of 5 \u20AC.", "A share of 5 %."));
  CHECK(!supports("It opens at 12:30.", "It opens at 12."));
  CHECK(!supports("Code E42 is an error.", "Code E43 is an error."));
  const char* times = "It starts at 6 and ends at 8.";
  CHECK(supports(times, "It ends at 8."));
  CHECK(!supports(times, "It starts at 8 and ends at 6."));
  CHECK(!supports("Open from 2 to 6.", "Open from 6 to 2."));
  // The 3 in the heading is not how many bar they are.
  CHECK(!supports("The limit is 6 bar.", "The limit is 3 bar.", "Brook 3"));
}

TEST_CASE("a negation is neither added nor left out nor moved") {
  const char* said = "Do not touch the motor while it is hot.";
  CHECK(supports(said, "Don't touch the motor while it is hot."));
  CHECK(supports(said, "Never touch the motor while it is hot."));
  CHECK(!supports(said, "Touch the motor while it is hot."));
  CHECK(!supports(said, "Touch the motor while it is not hot."));
  CHECK(!supports("The pump is ready.", "The pump is not ready."));
  CHECK(!supports("The pump is ready.", "The pump isn\u2019t ready."));
  CHECK(!supports("The pump is ready.", "The pump isnt ready."));
  CHECK(!supports("The pump can run.", "The pump cannot run."));
  CHECK(!supports("The pump runs with oil.", "The pump runs without oil."));
  CHECK(
      !supports("All but oil, except frost, is covered.", "Frost is covered."));
  CHECK(!supports("Use oil instead of water.", "Use water."));
  CHECK(!supports("The warranty does not cover frost.",
                  "The warranty covers frost."));
  CHECK(supports("The pressure mustn't exceed 6 bar.",
                 "The pressure must not exceed 6 bar."));
  CHECK(!supports("It is blue.", "No, it is blue."));
  CHECK(!supports("It is not, as some say, blue.", "It is blue."));
  CHECK(!supports("Der Motor l\u00E4uft nicht.", "Der Motor l\u00E4uft."));
  CHECK(!supports("Der Motor hat keinen Deckel.", "Der Motor hat Deckel."));
  CHECK(!supports("Der Motor hat Deckel.", "Der Motor hat keine Deckel."));
}

TEST_CASE("a negation counts only in the clause that the answer uses") {
  const char* said = "If no light is on, press the button.";
  CHECK(supports(said, "Press the button."));
  CHECK(!supports(said, "The light is on."));
  // In a heading only the word after it matters.
  const char* heading = "What is not covered";
  CHECK(supports("Damage from frost.", "Damage from frost is not covered.",
                 heading));
  CHECK(!supports("Damage from frost.", "Damage from frost is covered.",
                  heading));
  CHECK(supports("Damage from frost.", "There is damage from frost.", heading));
}

TEST_CASE("the quote is the sentence that supports, not the first one") {
  documents d(1);
  d[0].text = "The box is green. The tank is empty. The tank is red.";
  auto v = verify("The tank is empty.", d);
  REQUIRE(v.citations.size() == 1);
  CHECK(v.citations[0].quote == "The tank is empty.");
  // Headings hold all words of the answer; the quote still holds most itself.
  d[0].locator = "The tank is red";
  v = verify("The tank is red.", d);
  CHECK(v.citations[0].quote == "The tank is red.");
  // An item of a list is quoted without its sign.
  d[0].text = "Colors:\n\n- the box is green\n- the tank is red";
  CHECK(verify("The tank is red.", d).citations[0].quote == "the tank is red");
}

TEST_CASE("min_overlap is the share of words, not of numbers and negations") {
  documents d(1);
  d[0].text = "The large green tank holds 300 liters of water.";
  const char* answer = "The large blue tank holds 300 liters of water.";
  const auto bound = [&](const char* text, double min_overlap) {
    cite::verify_options options;
    options.min_overlap = min_overlap;
    return verify(text, d, options).ok;
  };
  // 6 of 7 words: large, tank, hold, 300, liter, water; not blue.
  CHECK(!bound(answer, 1));
  CHECK(!bound(answer, 0.86));
  CHECK(bound(answer, 0.85));
  CHECK(bound(answer, 0.1));
  CHECK(!bound("The large green tank holds 400 liters of water.", 0.1));
  CHECK(!bound("The large green tank does not hold 300 liters.", 0.1));
  CHECK(!bound("The large green tank holds water, says page 7.", 0.1));
  CHECK(!bound("The large green tank holds water, half of it 50 %.", 0.1));
  CHECK(!bound("Nobody knows.", 0));
  cite::verify_options options;
  options.min_overlap = 0.5;
  CHECK(verify(answer, d, options).citations.at(0).overlap == Approx(6. / 7));
}

TEST_CASE("the stage passes its min_overlap on, and its stop condition") {
  host h = no_models();
  documents d(1);
  d[0].text = "A green light means that the pump is ready.";
  const char* answer = "A red light means that the pump is ready.";
  const cite_verify_stage strict({}, h);
  auto out = run_stage(strict, {answer, d});
  REQUIRE_OK(out);
  CHECK(!out->ok);
  cite_verify_stage::config loose;
  loose.min_overlap = 0.75;
  out = run_stage(cite_verify_stage(loose, h), {answer, d});
  REQUIRE_OK(out);
  CHECK(out->ok);
  stop_condition stop;
  stop.token.cancel();
  out = run_stage(strict, {answer, d}, stop);
  REQUIRE(!out);
  CHECK(out.error().code == error_code::cancelled);
}

TEST_CASE("a deadline ends the check of 100,000 sentences within a second") {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "The pump is red. ";
  documents d(30);
  for (document& p : d) {
    for (int i = 0; i < 30; ++i) p.text += "The pump is blue. ";
  }
  cite::verify_options options;
  const auto begin = std::chrono::steady_clock::now();
  options.stop.deadline = begin + std::chrono::milliseconds(50);
  const auto v = cite::verify_citations(text, d, options);
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(1));
  REQUIRE(!v);
  CHECK(v.error().code == error_code::deadline);
}

TEST_CASE("items of a list keep their numbers, which need no source") {
  CHECK(verify("1. The pump is blue.\n2) Hold RESET for ten seconds.\n- The "
               "pump is red.")
            .text ==
        "1. The pump is blue. [1]\n2) Hold RESET for ten seconds. [2]\n- The "
        "pump is red. [no source]");
  // Not at the front of a line, or nothing behind it: a number like any other.
  CHECK(verify("The pump is blue. 9. So.").text ==
        "The pump is blue. [1] 9. [no source] So. [no source]");
  CHECK(verify("9.").text == "9. [no source]");
}

TEST_CASE("lines, decimals and brackets of the text keep their form") {
  CHECK(verify("The pump is blue\n\nHold RESET for ten seconds [2]\n").text ==
        "The pump is blue [1]\n\nHold RESET for ten seconds [2]");
  documents d(1);
  d[0].text = "Set a[1] to 3.5 bar.";
  CHECK(verify("Set a[1] to 3.5 bar.", d).text == "Set a[1] to 3.5 bar. [1]");
  CHECK(verify("").text.empty());
  CHECK(!verify("").ok);
}

TEST_CASE("nothing to cite: every sentence is marked") {
  CHECK(verify("The pump is blue. [1]", {}).text ==
        "The pump is blue. [no source]");
}

TEST_CASE("four times the negations take less than nine times as long") {
  // The fastest of three runs, in seconds.
  const auto seconds = [](int n_negations) {
    documents d(1);
    std::string answer;
    for (int i = 0; i < n_negations; ++i) {
      const std::string n = std::to_string(i);
      d[0].text += "not w" + n + ", " + n + " x" + n + ", ";
      answer += "not w" + n + ", ";
    }
    double least = 1e9;
    for (int run = 0; run < 3; ++run) {
      const auto begin = std::chrono::steady_clock::now();
      CHECK(verify(answer, d).ok);
      const std::chrono::duration<double> took =
          std::chrono::steady_clock::now() - begin;
      least = std::min(least, took.count());
    }
    return least;
  };
  CHECK(seconds(20'000) < 9 * seconds(5'000));
}

TEST_CASE("any text ends, in linear time") {
  for (const char* unit : {".", "[", "[1", "[1]", " ", "\n", "a.", "[1,", "\"",
                           "\xFF", "a [1] ", "!", "?!."}) {
    // With a word behind it a run is no sentence's end.
    for (const char* end : {"", "x"}) {
      std::string text;
      while (text.size() < 300'000) text += unit;
      text += end;
      const auto v = verify(text);
      CHECK(v.text.size() <= 20 * text.size());
    }
  }
}
