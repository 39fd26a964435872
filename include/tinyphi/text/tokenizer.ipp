// SPDX-License-Identifier: MIT
#ifndef TINYPHI_TEXT_TOKENIZER_IPP_
#define TINYPHI_TEXT_TOKENIZER_IPP_

#include "tinyphi/text/pre_tokenize.h"
#include "tinyphi/text/tokenizer.h"
#include "tinyphi/text/tokenizer_tables.h"
#include "tinyphi/text/unicode.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// The end of the white space that starts at `at`.
inline std::size_t skip_white_space(std::string_view text, std::size_t at) {
  while (at < text.size()) {
    const utf8_char c = decode_utf8(text.substr(at));
    if (!is_white_space(c.code_point)) break;
    at += c.length;
  }
  return at;
}

// The beginning of the white space that ends at `at`, not before `limit`.
inline std::size_t skip_white_space_back(std::string_view text, std::size_t at,
                                         std::size_t limit) {
  while (at > limit) {
    std::size_t begin = at - 1;
    while (begin > limit && (text[begin] & '\xC0') == '\x80') --begin;
    if (!is_white_space(decode_utf8(text.substr(begin)).code_point)) break;
    at = begin;
  }
  return at;
}

}  // namespace detail

TINYPHI_FUNC void tokenizer::tables::encode_run(
    std::string_view run, bool first, bpe_merger& merger,
    std::vector<token_id>& out) const {
  if (run.empty()) return;
  if (v.kind == bpe_kind::sentencepiece) {
    encode_sentencepiece(run, first, merger, out);
    return;
  }
  while (!run.empty()) {
    const std::size_t length = first_word_length(v.pre, run);
    encode_bytes(run.substr(0, length), merger, out);
    run.remove_prefix(length);
  }
}

TINYPHI_FUNC void tokenizer::tables::encode_sentencepiece(
    std::string_view run, bool first, bpe_merger& merger,
    std::vector<token_id>& out) const {
  std::string word = detail::replace_all(run, " ", detail::word_mark);
  if (v.add_prefix_space &&
      (v.prefix == prefix_rule::every_run ||
       (!word.starts_with(detail::word_mark) &&
        (v.prefix == prefix_rule::unless_space || first)))) {
    word.insert(0, detail::word_mark);
  }
  encode_marked(word, merger, out);
}

TINYPHI_FUNC void tokenizer::tables::encode_marked(
    std::string_view word, bpe_merger& merger,
    std::vector<token_id>& out) const {
  if (v.ignore_merges) {
    if (const auto id = ordinary(word)) return out.push_back(*id);
  }
  const std::size_t begin = out.size();
  for (std::string_view rest = word; !rest.empty();) {
    const std::string_view c = rest.substr(0, decode_utf8(rest).length);
    if (const auto id = ordinary(c)) {
      out.push_back(*id);
    } else {
      for (const char byte : c) {
        out.push_back(byte_ids[static_cast<unsigned char>(byte)]);
      }
    }
    rest.remove_prefix(c.size());
  }
  merger.merge_from(out, begin);
}

TINYPHI_FUNC void tokenizer::tables::encode_bytes(
    std::string_view word, bpe_merger& merger,
    std::vector<token_id>& out) const {
  if (v.ignore_merges) {
    if (const auto id = ordinary(word)) return out.push_back(*id);
  }
  const std::size_t begin = out.size();
  for (const char byte : word) {
    out.push_back(byte_ids[static_cast<unsigned char>(byte)]);
  }
  merger.merge_from(out, begin);
}

// Follows AddedVocabulary::find_matches of Hugging Face's tokenizers, with the
// search kept to the control segments.
TINYPHI_FUNC std::vector<token_id> tokenizer::tables::encode(
    std::span<const segment> prompt, bool inside) const {
  std::string joined;
  std::vector<std::pair<std::size_t, std::size_t>> control;  // [begin, end)
  for (const segment& s : prompt) {
    const std::size_t begin = joined.size();
    joined += to_valid_utf8(s.text);
    if (!s.control) continue;
    if (!control.empty() && control.back().second == begin) {
      control.back().second = joined.size();
    } else {
      control.emplace_back(begin, joined.size());
    }
  }

  const std::string_view all = joined;
  bpe_merger merger(merges);
  std::vector<token_id> out;
  std::size_t done = 0;  // everything before is encoded or eaten
  const auto encode_to = [&](std::size_t end) {
    const std::string_view run = all.substr(done, end - done);
    if (inside && done == 0 && v.kind == bpe_kind::sentencepiece) {
      encode_marked(detail::replace_all(run, " ", detail::word_mark), merger,
                    out);
    } else {
      encode_run(run, done == 0, merger, out);
    }
  };
  for (const auto& [begin, end] : control) {
    auto found = added->find(all.substr(0, end), begin);
    while (found.token != nullptr) {
      const added_token& t = *found.token;
      const std::size_t after = found.begin + t.content.size();
      const std::size_t from =
          t.lstrip ? detail::skip_white_space_back(all, found.begin, done)
                   : found.begin;
      if (from > done) encode_to(from);
      out.push_back(t.id);
      done = t.rstrip ? detail::skip_white_space(all, after) : after;
      found = added->find(all.substr(0, end), after);
    }
  }
  encode_to(all.size());
  return out;
}

TINYPHI_FUNC result<tokenizer> tokenizer::create(vocabulary v) {
  const auto t = std::make_shared<tables>(std::move(v));
  TINYPHI_CHECK_OK(t->build());
  return tokenizer(t);
}

TINYPHI_FUNC std::vector<token_id> tokenizer::encode(std::string_view text,
                                                     bool parse_special) const {
  const segment whole{std::string(text), parse_special};
  return tables_->encode({&whole, 1});
}

TINYPHI_FUNC std::vector<token_id> tokenizer::encode(
    std::span<const segment> prompt, bool add_bos) const {
  std::vector<token_id> ids = tables_->encode(prompt);
  const vocabulary& v = tables_->v;
  if (add_bos && v.add_bos && (ids.empty() || ids.front() != *v.bos)) {
    ids.insert(ids.begin(), *v.bos);
  }
  return ids;
}

TINYPHI_FUNC std::vector<token_id> tokenizer::encode_inside(
    std::span<const segment> piece) const {
  return tables_->encode(piece, true);
}

TINYPHI_FUNC std::vector<token_id> tokenizer::encode_inside(
    std::string_view text) const {
  const segment whole{std::string(text), false};
  return tables_->encode({&whole, 1}, true);
}

TINYPHI_FUNC std::string tokenizer::decode(std::span<const token_id> ids,
                                           bool keep_special) const {
  std::string out;
  for (const token_id id : ids) {
    if (keep_special || !is_special(id)) out += bytes(id);
  }
  if (strips_leading_space() && out.starts_with(' ')) out.erase(0, 1);
  return replace_invalid_utf8(out, invalid_utf8());
}

TINYPHI_FUNC std::string_view tokenizer::bytes(token_id id) const {
  const auto i = static_cast<std::size_t>(id);
  return i < tables_->text.size() ? tables_->text[i] : std::string_view();
}

TINYPHI_FUNC bool tokenizer::is_special(token_id id) const {
  return tables_->kind(id) == tables::token_kind::special;
}

TINYPHI_FUNC std::optional<token_id> tokenizer::find(
    std::string_view piece) const {
  const auto found = tables_->ids.find(piece);
  if (found == tables_->ids.end()) return std::nullopt;
  return found->second;
}

TINYPHI_FUNC std::size_t tokenizer::size() const {
  return tables_->kinds.size();
}

TINYPHI_FUNC bool tokenizer::strips_leading_space() const {
  return tables_->v.kind == bpe_kind::sentencepiece &&
         tables_->v.add_prefix_space;
}

TINYPHI_FUNC replacement tokenizer::invalid_utf8() const {
  return tables_->v.kind == bpe_kind::byte_level ? replacement::per_sequence
                                                 : replacement::per_byte;
}

TINYPHI_FUNC const vocabulary& tokenizer::vocab() const { return tables_->v; }

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_TEXT_TOKENIZER_IPP_
