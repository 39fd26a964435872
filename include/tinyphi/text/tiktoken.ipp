// SPDX-License-Identifier: MIT
#ifndef TINYPHI_TEXT_TIKTOKEN_IPP_
#define TINYPHI_TEXT_TIKTOKEN_IPP_

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <utility>

#include "tinyphi/text/tiktoken.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// tokenization_phi3_small.py; ids between and up to 100351 are unused.
inline constexpr std::pair<std::string_view, token_id> phi3_small_special[] = {
    {"<|endoftext|>", 100257},  {"<|fim_prefix|>", 100258},
    {"<|fim_middle|>", 100259}, {"<|fim_suffix|>", 100260},
    {"<|system|>", 100261},     {"<|user|>", 100262},
    {"<|assistant|>", 100263},  {"<|end|>", 100266},
    {"<|endofprompt|>", 100276}};
inline constexpr std::size_t cl100k_ranks = 100256;

// RFC 4648 with padding; nothing if it is not.
inline std::optional<std::string> from_base64(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0) return std::nullopt;
  const std::size_t padding = text.ends_with("==")  ? 2
                              : text.ends_with('=') ? 1
                                                    : 0;
  std::string out;
  std::uint32_t bits = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    constexpr std::string_view digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::size_t value = 0;
    if (i < text.size() - padding) {
      value = digits.find(text[i]);
      if (value == digits.npos) return std::nullopt;
    }
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    if (i % 4 != 3) continue;
    for (const int shift : {16, 8, 0}) {
      out += static_cast<char>(bits >> shift & 0xFF);
    }
    bits = 0;
  }
  out.resize(out.size() - padding);
  return out;
}

}  // namespace detail

TINYPHI_FUNC result<vocabulary> parse_phi3_small_tiktoken(
    std::string_view text, std::string_view origin) {
  vocabulary v;
  v.kind = bpe_kind::byte_level;
  v.pre = pre_tokenizer::cl100k;
  v.ignore_merges = true;
  std::size_t line_number = 0;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    ++line_number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    const auto fault = [&](std::string_view what) {
      return error{error_code::bad_data, std::string(origin) + ": line " +
                                             std::to_string(line_number) +
                                             ": " + std::string(what)};
    };
    const std::size_t space = line.find(' ');
    if (space == line.npos) return fault("no space between token and rank");
    const auto piece = detail::from_base64(line.substr(0, space));
    if (!piece) return fault("the token is not base64");
    const std::string_view digits = line.substr(space + 1);
    std::size_t rank = 0;
    const auto [end, ec] =
        std::from_chars(digits.data(), digits.data() + digits.size(), rank);
    if (ec != std::errc() || end != digits.data() + digits.size() ||
        rank >= detail::cl100k_ranks) {
      return fault("the rank is not a number from 0 to " +
                   std::to_string(detail::cl100k_ranks - 1));
    }
    if (rank >= v.pieces.size()) v.pieces.resize(rank + 1);
    if (!v.pieces[rank].empty()) {
      return fault("rank " + std::to_string(rank) + " for the second time");
    }
    v.pieces[rank] = *piece;
  }
  for (const auto& [name, id] : detail::phi3_small_special) {
    v.added.push_back({id, std::string(name), true, false, false});
  }
  v.bos = v.eos = 100257;
  return v;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_TEXT_TIKTOKEN_IPP_
