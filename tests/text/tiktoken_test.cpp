// SPDX-License-Identifier: MIT
#include "tinyphi/text/tiktoken.h"

#include "support/test.h"
#include "support/tokenizers.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

std::string fault_of(std::string_view text) {
  return message_of(parse_phi3_small_tiktoken(text, "f"));
}

}  // namespace

TEST_CASE("encode and decode equal tiktoken's with the same ranks") {
  auto v = parse_phi3_small_tiktoken(
      read_data("tokenizer/cl100k-small/cl100k_base.tiktoken"), "f");
  REQUIRE_OK(v);
  const tokenizer t = make_tokenizer(*std::move(v));
  CHECK(t.size() == 100277);
  const auto cases = read_jsonl("tokenizer/cl100k-small/cases.jsonl");
  REQUIRE(cases.size() >= 500);
  for (const auto& c : cases) {
    const std::string text = text_of(c.at("text"));
    INFO(text);
    CHECK(t.encode(text, true) == ids_of(c.at("ids")));
    CHECK(t.decode(ids_of(c.at("ids")), true) == text_of(c.at("text_back")));
  }
}

TEST_CASE("a broken line is named") {
  CHECK(fault_of("IQ== 0\nIg==\n") ==
        "f: line 2: no space between token and rank");
  CHECK(fault_of("I=Q= 0") == "f: line 1: the token is not base64");
  CHECK(fault_of("IQ 0") == "f: line 1: the token is not base64");
  CHECK(fault_of(" 0") == "f: line 1: the token is not base64");
  const std::string rank =
      "f: line 1: the rank is not a number from 0 to 100255";
  CHECK(fault_of("IQ== -1") == rank);
  CHECK(fault_of("IQ== 1x") == rank);
  CHECK(fault_of("IQ== ") == rank);
  CHECK(fault_of("IQ== 100256") == rank);
  CHECK(fault_of("IQ== 99999999999999999999") == rank);
  CHECK(fault_of("IQ== 0\nIg== 0") == "f: line 2: rank 0 for the second time");
  CHECK(fault_of("IQ== 0\r\n\nIg== 1\r\n") == "(no error)");
}
