// SPDX-License-Identifier: MIT
#include "tinyphi/text/tokenizer_config.h"

#include "support/test.h"
#include "support/tokenizers.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

std::string config_fault(std::string_view config) {
  return message_of(
      parse_tokenizer_json(read_data("demo/hf/tokenizer.json"), config, "f"));
}

}  // namespace

TEST_CASE("tokenizer_config.json: names are looked up, templates chosen") {
  CHECK(config_fault("{\"bos_token\": \"<q>\"}") ==
        "f/tokenizer_config.json: bos_token: \"<q>\" is not in the vocabulary");
  CHECK(config_fault("{\"eos_token\": 5}")
            .starts_with("f/tokenizer_config.json: eos_token: an integer"));
  CHECK(config_fault("[]") == "f/tokenizer_config.json: not a JSON object");
  vocabulary v = hf_vocabulary("demo/hf");
  REQUIRE_OK(apply_tokenizer_config(
      v,
      R"({"bos_token": {"content": "</s>"}, "add_bos_token": false,
          "chat_template": [{"name": "tool", "template": "t"},
                            {"name": "default", "template": "d"}]})",
      "f"));
  CHECK(v.bos == 2);
  CHECK(!v.add_bos);
  CHECK(v.chat_template == "d");
}
