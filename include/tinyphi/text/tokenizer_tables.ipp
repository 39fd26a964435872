// SPDX-License-Identifier: MIT
#ifndef TINYPHI_TEXT_TOKENIZER_TABLES_IPP_
#define TINYPHI_TEXT_TOKENIZER_TABLES_IPP_

#include <cmath>

#include "tinyphi/text/tokenizer_tables.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// Far above any published vocabulary (200064 ids, 128 bytes), and low enough
// that a hostile file costs little.
inline constexpr std::size_t max_token_ids = std::size_t{1} << 20;
inline constexpr std::size_t max_piece_bytes = 1024;

// A piece in a message: quoted, its odd bytes escaped, not too long.
inline std::string show_piece(std::string_view piece) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : piece.substr(0, 40)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7F) {
      out += c;
    } else {
      out += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
    }
  }
  return out + (piece.size() > 40 ? "...\"" : "\"");
}

inline error token_error(std::size_t id, std::string_view piece,
                         std::string_view what) {
  return {error_code::bad_data, "token " + std::to_string(id) + " " +
                                    show_piece(piece) + ": " +
                                    std::string(what)};
}

// The value of a byte token's piece, "<0x00>" to "<0xFF>".
inline std::optional<unsigned char> byte_of_piece(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') {
    return std::nullopt;
  }
  constexpr std::string_view digits = "0123456789ABCDEF";
  const std::size_t high = digits.find(piece[3]), low = digits.find(piece[4]);
  if (high > 15 || low > 15) return std::nullopt;
  return static_cast<unsigned char>(high << 4 | low);
}

}  // namespace detail

TINYPHI_FUNC result<void> tokenizer::tables::build() {
  if (v.kind == bpe_kind::sentencepiece && v.pre != pre_tokenizer::none) {
    return error{error_code::unsupported,
                 "a sentencepiece vocabulary with a pre-tokenizer; tinyphi "
                 "knows pre-tokenizers for byte-level vocabularies only"};
  }
  TINYPHI_CHECK_OK(place_added_tokens());
  TINYPHI_CHECK_OK(index_pieces());
  TINYPHI_CHECK_OK(find_byte_tokens());
  TINYPHI_CHECK_OK(check_named_ids());
  TINYPHI_CHECK_OK(v.merges.empty() ? derive_merges() : index_merges());
  added.emplace(v.added);
  return {};
}

// Gives every added token its row among the pieces.
TINYPHI_FUNC result<void> tokenizer::tables::place_added_tokens() {
  for (const added_token& t : v.added) {
    const auto id = static_cast<std::size_t>(t.id);
    if (id >= detail::max_token_ids) {
      return error{error_code::bad_data,
                   "added token " + detail::show_piece(t.content) + " has id " +
                       std::to_string(t.id) + "; allowed are 0 to " +
                       std::to_string(detail::max_token_ids - 1)};
    }
    if (t.content.empty()) {
      return error{error_code::bad_data,
                   "added token " + std::to_string(t.id) + " has no content"};
    }
    if (id >= v.pieces.size()) v.pieces.resize(id + 1);
    if (v.pieces[id].empty()) v.pieces[id] = t.content;
    if (v.pieces[id] != t.content) {
      return detail::token_error(
          id, v.pieces[id],
          "is also the id of added token " + detail::show_piece(t.content));
    }
  }
  return {};
}

TINYPHI_FUNC result<void> tokenizer::tables::index_pieces() {
  while (!v.pieces.empty() && v.pieces.back().empty()) v.pieces.pop_back();
  const std::size_t n = v.pieces.size();
  if (n == 0) return error{error_code::bad_data, "the vocabulary is empty"};
  if (n > detail::max_token_ids) {
    return error{error_code::limit, std::to_string(n) + " tokens, at most " +
                                        std::to_string(detail::max_token_ids) +
                                        " are allowed"};
  }
  kinds.assign(n, token_kind::none);
  text.assign(n, {});
  ids.reserve(n);
  const bool sentencepiece = v.kind == bpe_kind::sentencepiece;
  for (std::size_t i = 0; i < n; ++i) {
    const std::string& piece = v.pieces[i];
    if (piece.empty()) continue;
    if (piece.size() > detail::max_piece_bytes) {
      return detail::token_error(
          i, piece,
          std::to_string(piece.size()) + " bytes, at most " +
              std::to_string(detail::max_piece_bytes) + " are allowed");
    }
    if (sentencepiece && find_invalid_utf8(piece) != piece.npos) {
      return detail::token_error(i, piece, "not valid UTF-8");
    }
    const auto [at, is_new] = ids.emplace(piece, static_cast<token_id>(i));
    if (!is_new) {
      return detail::token_error(
          i, piece, "the same piece as token " + std::to_string(at->second));
    }
    kinds[i] = token_kind::ordinary;
    text[i] = sentencepiece ? detail::replace_all(piece, detail::word_mark, " ")
                            : piece;
  }
  for (const added_token& t : v.added) {
    const auto i = static_cast<std::size_t>(t.id);
    if (kinds[i] != token_kind::ordinary) {
      return detail::token_error(i, t.content, "added twice");
    }
    kinds[i] = t.special ? token_kind::special : token_kind::added;
    text[i] = t.content;
  }
  return {};
}

// Every byte needs a token of its own, or some texts could not be encoded.
TINYPHI_FUNC result<void> tokenizer::tables::find_byte_tokens() {
  byte_ids.fill(-1);
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    if (kinds[i] != token_kind::ordinary) continue;
    const std::string& piece = v.pieces[i];
    if (v.kind == bpe_kind::byte_level) {
      if (piece.size() != 1) continue;
      byte_ids[static_cast<unsigned char>(piece[0])] = static_cast<token_id>(i);
    } else if (const auto byte = detail::byte_of_piece(piece)) {
      byte_ids[*byte] = static_cast<token_id>(i);
      kinds[i] = token_kind::byte;
      text[i].assign(1, static_cast<char>(*byte));
    }
  }
  const auto missing = std::find(byte_ids.begin(), byte_ids.end(), -1);
  if (missing != byte_ids.end()) {
    return error{error_code::bad_data,
                 "no token for byte " +
                     std::to_string(missing - byte_ids.begin()) +
                     "; a vocabulary needs one for each of the 256"};
  }
  return {};
}

TINYPHI_FUNC result<void> tokenizer::tables::check_named_ids() const {
  for (const auto& [name, id] :
       {std::pair("bos", v.bos), {"eos", v.eos}, {"unk", v.unk}}) {
    if (id && kind(*id) == token_kind::none) {
      return error{error_code::bad_data, std::string(name) + " token: id " +
                                             std::to_string(*id) +
                                             " is not in the vocabulary"};
    }
  }
  if (v.add_bos && !v.bos) {
    return error{error_code::bad_data,
                 "the vocabulary asks for a BOS token and names none"};
  }
  return {};
}

TINYPHI_FUNC result<void> tokenizer::tables::index_merges() {
  merges.reserve(v.merges.size());
  std::string piece;
  for (std::size_t i = 0; i < v.merges.size(); ++i) {
    const auto [left, right] = v.merges[i];
    const auto fault = [i = i](const std::string& what) {
      return error{error_code::bad_data,
                   "merge " + std::to_string(i) + ": " + what};
    };
    for (const token_id id : {left, right}) {
      if (kind(id) == token_kind::none) {
        return fault("id " + std::to_string(id) + " is not in the vocabulary");
      }
    }
    piece = v.pieces[static_cast<std::size_t>(left)];
    piece += v.pieces[static_cast<std::size_t>(right)];
    const auto found = ids.find(piece);
    if (found == ids.end()) {
      return fault("gives " + detail::show_piece(piece) +
                   ", which is not in the vocabulary");
    }
    if (kind(found->second) != token_kind::ordinary) continue;
    merges.insert(left, right, {static_cast<std::uint32_t>(i), found->second});
  }
  return {};
}

// Every way to build a piece from two others. Sentencepiece: pieces of higher
// score first and, within one, by the ids of the two (transformers' converter
// orders them so, hence a GGUF file and a folder give the same ids).
// Byte-level: all ways to build a piece have its id as rank (tiktoken).
TINYPHI_FUNC result<void> tokenizer::tables::derive_merges() {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    if (kinds[i] == token_kind::ordinary) order.push_back(i);
  }
  const bool by_score = v.kind == bpe_kind::sentencepiece;
  if (by_score) {
    for (const std::size_t i : order) {
      if (i < v.scores.size() && std::isfinite(v.scores[i])) continue;
      return detail::token_error(
          i, v.pieces[i],
          "has no finite score, and the vocabulary has no merges");
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](auto a, auto b) { return v.scores[a] > v.scores[b]; });
  }
  std::uint32_t rank = 0;
  std::vector<std::pair<token_id, token_id>> ways;
  for (const std::size_t i : order) {
    const std::string_view piece = v.pieces[i];
    ways.clear();
    for (std::size_t cut = 1; cut < piece.size(); ++cut) {
      const auto left = ordinary(piece.substr(0, cut));
      if (!left) continue;
      const auto right = ordinary(piece.substr(cut));
      if (right) ways.emplace_back(*left, *right);
    }
    std::sort(ways.begin(), ways.end());
    for (const auto& [left, right] : ways) {
      merges.insert(left, right,
                    {by_score ? rank++ : static_cast<std::uint32_t>(i),
                     static_cast<token_id>(i)});
    }
  }
  return {};
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_TEXT_TOKENIZER_TABLES_IPP_
