// SPDX-License-Identifier: MIT
#include "plugins/cite_verify/verify.h"

#include "support/test.h"

using namespace tinyphi;

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

cite::verified_answer verify(std::string_view answer) {
  const documents d = passages();
  return cite::verify_citations(answer, d);
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

TEST_CASE("a sentence that rests on no passage is marked") {
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

TEST_CASE(
    "saying that nothing is known needs no passage, and is not grounded") {
  const auto v = verify("I don't know: the passages do not say.");
  CHECK(v.text == "I don't know: the passages do not say.");
  CHECK(v.citations.empty());
  CHECK(!v.ok);
}

TEST_CASE("lines, decimals and brackets of the text keep their form") {
  CHECK(verify("The pump is blue\n\nHold RESET for ten seconds [2]\n").text ==
        "The pump is blue [1]\n\nHold RESET for ten seconds [2]");
  documents d(1);
  d[0].text = "Set a[1] to 3.5 bar.";
  CHECK(cite::verify_citations("Set a[1] to 3.5 bar.", d).text ==
        "Set a[1] to 3.5 bar. [1]");
  CHECK(verify("").text.empty());
  CHECK(!verify("").ok);
}

TEST_CASE("nothing to cite: every sentence is marked") {
  CHECK(cite::verify_citations("The pump is blue. [1]", {}).text ==
        "The pump is blue. [no source]");
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
