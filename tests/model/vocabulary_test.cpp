// SPDX-License-Identifier: MIT
#include "tinyphi/model/vocabulary.h"

#include <fstream>
#include <sstream>

#include "files/gguf_builder.h"
#include "support/temp_folder.h"
#include "support/test.h"
#include "support/tokenizers.h"

using namespace tinyphi;
using namespace tinyphi_test;
using Catch::Matchers::Contains;
using ids = std::vector<token_id>;

namespace {

tokenizer load(const std::filesystem::path& path) {
  const auto file = model_file::open(path);
  REQUIRE_OK(file);
  auto t = load_tokenizer(*file);
  REQUIRE_OK(t);
  return *std::move(t);
}

std::string refusal(const gguf_builder& b) {
  const temp_folder folder;
  const auto file = model_file::open(folder.write("m.gguf", b.bytes()));
  REQUIRE_OK(file);
  return message_of(load_tokenizer(*file));
}

// The published vocabulary, under another name.
std::filesystem::path renamed_vocabulary(const temp_folder& folder) {
  std::string bytes = read_data("tokenizer/phi-3-vocab.gguf");
  const std::size_t key = bytes.find("general.name");
  const std::size_t name = bytes.find("Phi3", key);
  REQUIRE(name < key + 40);
  bytes.replace(name, 4, "Xyz9");
  return folder.write("renamed.gguf", bytes);
}

// A character of GPT-2's alphabet for each byte, as converters write them.
std::string gpt2_character(int byte) {
  static const std::vector<int> map = [] {
    std::vector<int> m(256);
    int extra = 256;
    for (int b = 0; b < 256; ++b) {
      const bool kept =
          (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
      m[static_cast<std::size_t>(b)] = kept ? b : extra++;
    }
    return m;
  }();
  const int c = map[static_cast<std::size_t>(byte)];
  if (c < 0x80) return {static_cast<char>(c)};
  return {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 63))};
}

struct byte_level {
  std::vector<std::string> tokens;
  std::vector<std::int32_t> types;
  std::vector<std::string> merges{"h e", "l l", "he ll", "\xC4\xA0 h"};
  std::string pre = "gpt-4o";

  // Bytes 0 to 255, then "he" 256, "ll", "hell", " h" and control tokens 260.
  byte_level() {
    for (int b = 0; b < 256; ++b) add(gpt2_character(b), 1);
    for (const char* s : {"he", "ll", "hell", "\xC4\xA0h"}) add(s, 1);
    add("<|endoftext|>", 3);
    add("<|end|>", 3);
    add("<|tool|>", 4);
    add("[PAD263]", 5);
  }
  void add(std::string token, std::int32_t type) {
    tokens.push_back(std::move(token));
    types.push_back(type);
  }
  [[nodiscard]] gguf_builder file() const {
    gguf_builder b;
    b.string("general.architecture", "phi3");
    b.string("tokenizer.ggml.model", "gpt2").string("tokenizer.ggml.pre", pre);
    b.strings("tokenizer.ggml.tokens", tokens);
    b.array("tokenizer.ggml.token_type", gguf_type::i32, types);
    b.strings("tokenizer.ggml.merges", merges);
    b.u32("tokenizer.ggml.bos_token_id", 260);
    b.u32("tokenizer.ggml.eos_token_id", 260);
    return b;
  }
};

// The smallest sentencepiece vocabulary: <unk>, <s>, </s> and 256 bytes.
struct sentencepiece {
  std::vector<std::string> tokens{"<unk>", "<s>", "</s>"};
  std::vector<std::int32_t> types{2, 3, 4};
  std::vector<float> scores;

  sentencepiece() {
    constexpr std::string_view digits = "0123456789ABCDEF";
    for (std::size_t b = 0; b < 256; ++b) {
      tokens.push_back(std::string("<0x") + digits[b >> 4] + digits[b & 15] +
                       ">");
      types.push_back(6);
    }
    scores.assign(tokens.size(), 0);
  }
  [[nodiscard]] gguf_builder file() const {
    gguf_builder b;
    b.string("tokenizer.ggml.model", "llama");
    b.strings("tokenizer.ggml.tokens", tokens);
    b.array("tokenizer.ggml.scores", gguf_type::f32, scores);
    b.array("tokenizer.ggml.token_type", gguf_type::i32, types);
    b.u32("tokenizer.ggml.unknown_token_id", 0);
    return b;
  }
};

}  // namespace

TEST_CASE("load_tokenizer: 46 base cases from GGUF, renamed GGUF and folder") {
  const temp_folder temporary;
  const auto data = data_dir() / "tokenizer";
  const std::string texts = read_data("tokenizer/phi-3-vocab.inp");
  constexpr std::string_view border = "\n__ggml_vocab_test__\n";
  for (const auto& path : {data / "phi-3-vocab.gguf",
                           renamed_vocabulary(temporary), data / "phi-3"}) {
    const tokenizer t = load(path);
    std::istringstream lines(read_data("tokenizer/phi-3-vocab.out"));
    std::size_t at = 0, cases = 0, different = 0;
    for (std::string line; std::getline(lines, line); ++cases) {
      std::istringstream numbers(line);
      const ids expected{std::istream_iterator<token_id>(numbers), {}};
      const std::size_t end = std::min(texts.find(border, at), texts.size());
      if (t.encode(texts.substr(at, end - at)) != expected) ++different;
      at = end + border.size();
    }
    INFO(path);
    CHECK(cases == 46);
    CHECK(different == 0);
  }
}

TEST_CASE("load_tokenizer: 413 cases from GGUF, renamed GGUF and folder") {
  const temp_folder temporary;
  const auto data = data_dir() / "tokenizer";
  const auto cases = read_jsonl("tokenizer/phi-3/cases.jsonl");
  REQUIRE(cases.size() == 413);
  for (const auto& path : {data / "phi-3-vocab.gguf",
                           renamed_vocabulary(temporary), data / "phi-3"}) {
    const tokenizer t = load(path);
    INFO(path);
    std::size_t different = 0;
    for (const auto& c : cases) {
      if (t.encode(text_of(c.at("text")), true) != ids_of(c.at("ids"))) {
        ++different;
      }
    }
    CHECK(different == 0);
    CHECK(t.size() == 32011);  // padding rows are no tokens
  }
}

TEST_CASE("load_tokenizer: flags, named ids and template come from the file") {
  const auto data = data_dir() / "tokenizer";
  const tokenizer gguf = load(data / "phi-3-vocab.gguf");
  CHECK(gguf.vocab().add_bos);
  CHECK(gguf.vocab().bos == 1);
  CHECK(gguf.vocab().eos == 32000);
  CHECK(gguf.vocab().unk == 0);
  CHECK_THAT(gguf.vocab().chat_template, Contains("<|assistant|>"));
  CHECK(gguf.find("<|end|>") == 32007);
  CHECK(gguf.is_special(32007));
  CHECK(!gguf.is_special(2));  // </s> is user-defined in Phi-3
  CHECK(!load(data / "phi-3").vocab().add_bos);
}

TEST_CASE("load_tokenizer: byte-level BPE from GGUF") {
  byte_level v;
  const temp_folder folder;
  const tokenizer t = load(folder.write("m.gguf", v.file().bytes()));
  CHECK(t.vocab().kind == bpe_kind::byte_level);
  CHECK(t.vocab().pre == pre_tokenizer::o200k);
  CHECK(!t.vocab().add_bos);
  CHECK(t.encode("hello") == ids{258, 'o'});
  CHECK(t.encode(" he") == ids{' ', 256});
  CHECK(t.encode(" h") == ids{259});
  // <|end|> eats the white space after it, <|endoftext|> does not.
  CHECK(t.encode("a<|end|>\n b<|endoftext|> b", true) ==
        ids{'a', 261, 'b', 260, ' ', 'b'});
  CHECK(t.is_special(261));
  CHECK(!t.is_special(262));
  CHECK(t.size() == 263);
  const std::string text = "gr\xC3\xBC\xC3\x9F \xF0\x9F\x99\x82\t\x01";
  CHECK(t.decode(t.encode(text)) == text);

  v.pre = "dbrx";
  v.add("<|im_sep|>", 3);
  const tokenizer phi4 = load(folder.write("4.gguf", v.file().bytes()));
  CHECK(phi4.vocab().pre == pre_tokenizer::cl100k);
  CHECK(phi4.encode("a <|im_sep|> b", true) == ids{'a', 264, 'b'});
}

TEST_CASE("load_tokenizer: sentencepiece from GGUF without Phi's tokens") {
  const temp_folder folder;
  auto file = sentencepiece().file();
  file.flag("tokenizer.ggml.add_space_prefix", false);
  const tokenizer t = load(folder.write("m.gguf", file.bytes()));
  CHECK(t.encode("a</s> b", true) ==
        ids{'a' + 3, 2, 0xE2 + 3, 0x96 + 3, 0x81 + 3, 'b' + 3});
  CHECK(!t.strips_leading_space());
}

TEST_CASE("load_tokenizer: every array has its type and length") {
  gguf_builder none;
  CHECK_THAT(refusal(none), Contains("tokenizer.ggml.model: no plain name"));
  gguf_builder unigram;
  unigram.string("tokenizer.ggml.model", "t5");
  CHECK_THAT(refusal(unigram),
             Contains("tokenizer.ggml.model: t5 where tinyphi needs llama"));
  gguf_builder empty;
  empty.string("tokenizer.ggml.model", "llama");
  CHECK_THAT(refusal(empty), Contains("tokenizer.ggml.tokens: missing"));

  const auto broken = [](auto change) {
    sentencepiece v;
    change(v);
    return refusal(v.file());
  };
  CHECK_THAT(broken([](auto& v) { v.types.pop_back(); }),
             Contains("tokenizer.ggml.token_type: an array of 258 values of "
                      "type i32 where tinyphi needs an array of 259 integers"));
  CHECK_THAT(broken([](auto& v) { v.scores.push_back(0); }),
             Contains("tokenizer.ggml.scores: an array of 260 values"));
  CHECK_THAT(broken([](auto& v) { v.types[5] = 7; }),
             Contains("token_type: token 5 has type 7, 1 to 6 are allowed"));
  CHECK_THAT(broken([](auto& v) { v.tokens[9] = "<0x00>"; }),
             Contains("m.gguf: token 9 \"<0x00>\""));

  gguf_builder typeless;
  typeless.string("tokenizer.ggml.model", "llama");
  typeless.strings("tokenizer.ggml.tokens", {"a"});
  CHECK_THAT(refusal(typeless), Contains("token_type: missing"));
  auto far = sentencepiece().file();
  far.u32("tokenizer.ggml.bos_token_id", 259);
  CHECK_THAT(refusal(far), Contains("bos_token_id: 259 where tinyphi needs"));
}

TEST_CASE("load_tokenizer: merges and pre-tokenizer of a GGUF file") {
  for (const std::string merge : {"he", "he  ll", "", "zz h", "h he "}) {
    byte_level v;
    v.merges[2] = merge;
    INFO(merge);
    CHECK_THAT(refusal(v.file()),
               Contains("tokenizer.ggml.merges: merge 2 is not two tokens"));
  }
  byte_level other;
  other.pre = "qwen2";
  CHECK_THAT(refusal(other.file()),
             Contains("tokenizer.ggml.pre: qwen2 where tinyphi needs gpt-4o"));
}

TEST_CASE("load_tokenizer: a folder with a tiktoken file") {
  const tokenizer t = load(data_dir() / "tokenizer" / "cl100k-small");
  CHECK(t.vocab().pre == pre_tokenizer::cl100k);
  const std::string text = "Hello, world 12!";
  CHECK(t.decode(t.encode(text)) == text);
  const temp_folder folder;
  folder.write("cl100k_base.tiktoken", "IQ== x\n");
  const auto file = model_file::open(folder.path());
  REQUIRE_OK(file);
  CHECK_THAT(message_of(load_tokenizer(*file)),
             Contains("cl100k_base.tiktoken"));
}

TEST_CASE("load_tokenizer: the demo model's file and folder agree") {
  const tokenizer gguf = load(data_dir().parent_path().parent_path() /
                              "pipelines/models/tinyphi-demo-7m-q8_0.gguf");
  const tokenizer hf = load(data_dir() / "demo" / "hf");
  const std::string text =
      "<|user|>\n  Hello, world 12!</s> x<|end|>\n<|assistant|>\n"
      "<|endoftext|> bye";
  CHECK(gguf.encode(text, true) == hf.encode(text, true));
  CHECK(gguf.encode(text) == hf.encode(text));
  CHECK(gguf.vocab().chat_template == hf.vocab().chat_template);
  CHECK(gguf.vocab().add_bos == hf.vocab().add_bos);
}

TEST_CASE("load_tokenizer: a folder without a tokenizer says so") {
  const auto file = model_file::open(data_dir() / "tiny" / "mini-4k");
  REQUIRE_OK(file);
  CHECK_THAT(message_of(load_tokenizer(*file)),
             Contains("mini-4k: no tokenizer"));
}
