// SPDX-License-Identifier: MIT
#include "tinyphi/text/stream_text.h"

#include <random>

#include "support/effort.h"
#include "support/test.h"
#include "support/tokenizers.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

const tokenizer& phi3() {
  static const tokenizer t = make_tokenizer(hf_vocabulary("tokenizer/phi-3"));
  return t;
}

// Every piece that comes out, finish() last.
std::vector<std::string> stream(const std::vector<token_id>& ids,
                                std::vector<std::string> stops = {}) {
  stream_text s(phi3(), std::move(stops));
  std::vector<std::string> out;
  for (const token_id id : ids) out.push_back(s.push(id));
  out.push_back(s.finish());
  return out;
}

std::string joined(const std::vector<std::string>& pieces) {
  std::string text;
  for (const std::string& p : pieces) text += p;
  return text;
}

token_id byte(int b) { return 3 + b; }

}  // namespace

TEST_CASE("a character comes out whole, with its last byte") {
  CHECK(stream({byte(0xF0), byte(0x9F), byte(0xA6), byte(0x99)}) ==
        std::vector<std::string>{"", "", "", "\U0001F999", ""});
  CHECK(stream({byte(0xF0), byte(0x9F), 15043}) ==
        std::vector<std::string>{"", "", "\uFFFD\uFFFD Hello", ""});
  CHECK(stream({byte(0xF0)}) == std::vector<std::string>{"", "\uFFFD"});
}

TEST_CASE("the first space goes, special tokens give no text") {
  CHECK(stream({32001, 15043, 32007, 15043}) ==
        std::vector<std::string>{"", "Hello", "", " Hello", ""});
  CHECK(stream({29871, 15043}) == std::vector<std::string>{"", " Hello", ""});
}

TEST_CASE("stop strings are found across token borders") {
  // "Hello", " world"
  const std::vector<token_id> hello = {15043, 3186};
  CHECK(stream(hello, {"o w"}) == std::vector<std::string>{"Hell", "", ""});
  CHECK(stream(hello, {"o x"}) ==
        std::vector<std::string>{"Hell", "o world", ""});
  CHECK(stream(hello, {"d!"}) ==
        std::vector<std::string>{"Hello", " worl", "d"});
  CHECK(joined(stream(hello, {"world", "lo wo"})) == "Hel");
  CHECK(joined(stream(hello, {""})) == "Hello world");

  stream_text s(phi3(), {"Hell"});
  CHECK(s.push(15043).empty());
  CHECK(s.stopped());
  CHECK(s.push(15043).empty());
  CHECK(s.finish().empty());
}

TEST_CASE("what comes out, joined, is decode() up to a stop string") {
  std::mt19937 random(3);
  for (int round = tinyphi_test::sweep_rounds(2000, 40000); round > 0;
       --round) {
    std::vector<token_id> ids;
    for (int i = 0; i < 12; ++i) {
      const auto n = static_cast<token_id>(random() % 32064);
      ids.push_back(random() % 2 ? n : byte(n % 256));
    }
    const std::string whole = phi3().decode(ids);
    for (const std::string& piece : stream(ids)) {
      CHECK(find_invalid_utf8(piece) == piece.npos);
    }
    CHECK(joined(stream(ids)) == whole);
    const std::string stop(1, static_cast<char>('a' + random() % 26));
    CHECK(joined(stream(ids, {stop})) == whole.substr(0, whole.find(stop)));
  }
}
