// SPDX-License-Identifier: MIT
// Tokenizer files from anywhere, and any text through a real vocabulary. The
// first byte says which.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include "tinyphi/base/utf8.h"
#include "tinyphi/text/stream_text.h"
#include "tinyphi/text/tiktoken.h"
#include "tinyphi/text/tokenizer.h"
#include "tinyphi/text/tokenizer_config.h"
#include "tinyphi/text/tokenizer_json.h"

namespace {

using namespace tinyphi;

void require(bool condition) {
  if (!condition) std::abort();
}

// A vocabulary with merges, an added token and every byte.
tokenizer small_tokenizer(bpe_kind kind, pre_tokenizer pre) {
  vocabulary v;
  v.kind = kind;
  v.pre = pre;
  const bool byte_level = kind == bpe_kind::byte_level;
  for (int b = 0; b < 256; ++b) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    const auto u = static_cast<std::size_t>(b);
    v.pieces.push_back(byte_level ? std::string(1, static_cast<char>(b))
                                  : std::string("<0x") + digits[u >> 4] +
                                        digits[u & 15] + ">");
  }
  const std::string space = byte_level ? " " : "\u2581";
  for (const char* piece : {"a", "b", "aa", "ab", "aab", "aaaa"}) {
    if (byte_level && piece[1] == '\0') continue;
    v.pieces.emplace_back(piece);
    v.pieces.push_back(space + piece);
  }
  if (!byte_level) v.pieces.push_back(space);
  for (std::size_t i = 0; i < v.pieces.size(); ++i) {
    v.scores.push_back(-static_cast<float>(i));
  }
  const auto id = static_cast<token_id>(v.pieces.size());
  v.added = {{id, "<|end|>", true, false, true},
             {id + 1, "<|e", true, true, false}};
  auto t = tokenizer::create(std::move(v));
  require(t.has_value());
  return *std::move(t);
}

void round_trip(const tokenizer& t, std::string_view text) {
  const std::string valid = to_valid_utf8(text);
  const auto ids = t.encode(text);
  for (const token_id id : ids) require(!t.is_special(id));
  // Texts may have "▁" of their own, which decodes as a space.
  if (valid.find("\u2581") == valid.npos) require(t.decode(ids) == valid);

  std::string streamed;
  stream_text s(t, {});
  for (const token_id id : ids) {
    const std::string piece = s.push(id);
    require(find_invalid_utf8(piece) == piece.npos);
    streamed += piece;
  }
  require(streamed + s.finish() == t.decode(ids));
  require(find_invalid_utf8(t.decode(t.encode(text, true), true)) ==
          std::string::npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1,
                              size - 1);
  auto parsed = [&]() -> result<vocabulary> {
    if (data[0] == 't') return parse_phi3_small_tiktoken(text, "f");
    if (data[0] == 'j') return parse_tokenizer_json(text, "", "f");
    if (data[0] == 'c') {
      vocabulary v;
      v.pieces = {"<s>"};
      TINYPHI_CHECK_OK(apply_tokenizer_config(v, text, "f"));
      return v;
    }
    return error{error_code::invalid_argument, "a text"};
  }();
  if (parsed) {
    // The special ids beyond 100000 would make each input take milliseconds.
    if (data[0] == 't') return 0;
    const auto t = tokenizer::create(*std::move(parsed));
    if (t) (void)t->decode(t->encode("a <|end|> b\xFF", true), true);
    return 0;
  }
  static const tokenizer tokenizers[] = {
      small_tokenizer(bpe_kind::sentencepiece, pre_tokenizer::none),
      small_tokenizer(bpe_kind::byte_level, pre_tokenizer::cl100k),
      small_tokenizer(bpe_kind::byte_level, pre_tokenizer::o200k)};
  for (const tokenizer& t : tokenizers) round_trip(t, text);
  return 0;
}
