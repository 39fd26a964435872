// SPDX-License-Identifier: MIT
// A stage of one's own, in a pipeline: what a program that has it writes.
#include "plugins/skeleton/count_words.h"

#include <catch2/catch.hpp>
#include <string>

#include "tinyphi/pipeline.h"

namespace {

tinyphi::result<tinyphi::pipeline> compiled(const std::string& with) {
  tinyphi::registry plugins;
  plugins.add<demo::count_words>();
  return tinyphi::pipeline::compile_text(R"(tinyphi = 1
input.text = "text"
output.words = "count.words"
[stage.count]
use = "demo.words"
)" + with,
                                         "count.toml", plugins);
}

}  // namespace

TEST_CASE("demo.words counts the words that are long enough") {
  const auto p = compiled("with.min_length = 3");
  REQUIRE(p);
  const auto done = p->run({{"text", tinyphi::value_data("one to  three\n")}});
  REQUIRE(done);
  const auto words = done->outputs.find("words");
  REQUIRE(words != done->outputs.end());
  CHECK(*words->second.get<std::int64_t>() == 2);
}

TEST_CASE("what is wrong with demo.words' parameters is found before it runs") {
  const auto p = compiled("with.min_length = 0");
  REQUIRE_FALSE(p);
  CHECK(p.error().message ==
        "count.toml:6:19: error[TP1005]: stage count: with.min_length is 0, "
        "allowed are 1 to 64");
}
