// SPDX-License-Identifier: MIT
#ifndef TINYPHI_MODEL_VOCABULARY_IPP_
#define TINYPHI_MODEL_VOCABULARY_IPP_

#include <algorithm>
#include <array>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tinyphi/base/keyed_hash.h"
#include "tinyphi/files/hf_folder.ipp"
#include "tinyphi/model/vocabulary.h"
#include "tinyphi/text/tiktoken.h"
#include "tinyphi/text/tokenizer_json.ipp"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// What tokenizer.ggml.token_type says of a token.
enum gguf_token_type : std::int64_t {
  normal_token = 1,
  unknown_token = 2,
  control_token = 3,
  user_defined_token = 4,
  unused_token = 5,
  byte_token = 6,
};

// GGUF does not say which tokens eat the white space beside them. In the
// published tokenizers of the family it is a matter of the
// control tokens that they have: with <|end|> (Phi-3, Phi-4-mini) all but a few
// eat what follows, with <|im_sep|> (Phi-4) all eat both sides.
inline void set_strip_rules(std::vector<added_token>& added) {
  constexpr std::array<std::string_view, 4> keep_space{
      "<unk>", "<s>", "<|endoftext|>", "<|endofprompt|>"};
  const auto has = [&](std::string_view name) {
    return std::any_of(added.begin(), added.end(),
                       [&](const added_token& t) { return t.content == name; });
  };
  const bool both_sides = has("<|im_sep|>");
  const bool right_side = has("<|end|>");
  for (added_token& t : added) {
    t.lstrip = both_sides;
    t.rstrip = both_sides ||
               (right_side && std::find(keep_space.begin(), keep_space.end(),
                                        t.content) == keep_space.end());
  }
}

inline result<void> read_gguf_pre_tokenizer(const gguf_file& file,
                                            vocabulary& v) {
  constexpr std::string_view key = "tokenizer.ggml.pre";
  TINYPHI_TRY(const auto name, file.string(key));
  if (name == "gpt-4o") {
    v.pre = pre_tokenizer::o200k;
  } else if (name == "dbrx" || name == "llama-bpe") {
    // Converters know cl100k, which Phi-4 has, by the first model that had it.
    v.pre = pre_tokenizer::cl100k;
    v.ignore_merges = name == "llama-bpe";
  } else {
    return file.fault(
        key, (name && is_plain_name(*name) ? std::string(*name)
                                           : std::string("no plain name")) +
                 " where tinyphi needs gpt-4o, dbrx or llama-bpe; convert the "
                 "model again");
  }
  return {};
}

// Merges are pairs of pieces as the file spells them, with a space between.
inline result<std::vector<std::pair<token_id, token_id>>> read_gguf_merges(
    const gguf_file& file, const std::vector<std::string_view>& tokens) {
  constexpr std::string_view key = "tokenizer.ggml.merges";
  TINYPHI_TRY(const auto merges, file.strings(key, 1, std::size_t{1} << 21));
  if (!merges) return file.fault(key, "missing; byte-level BPE needs them");
  std::unordered_map<std::string_view, token_id, keyed_hash> ids;
  ids.reserve(tokens.size());
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    ids.emplace(tokens[i], static_cast<token_id>(i));
  }
  std::vector<std::pair<token_id, token_id>> pairs;
  pairs.reserve(merges->size());
  for (std::size_t i = 0; i < merges->size(); ++i) {
    const std::string_view merge = (*merges)[i];
    const std::size_t space = std::min(merge.find(' '), merge.size());
    const auto left = ids.find(merge.substr(0, space));
    const auto right =
        ids.find(merge.substr(std::min(space + 1, merge.size())));
    if (left == ids.end() || right == ids.end()) {
      return file.fault(key, "merge " + std::to_string(i) +
                                 " is not two tokens with a space between");
    }
    pairs.emplace_back(left->second, right->second);
  }
  return pairs;
}

// Fills pieces and added tokens by the type of each token.
inline result<void> read_gguf_tokens(
    const gguf_file& file, const std::vector<std::string_view>& tokens,
    vocabulary& v) {
  constexpr std::string_view key = "tokenizer.ggml.token_type";
  TINYPHI_TRY(const auto types,
              file.integers(key, tokens.size(), tokens.size()));
  if (!types) return file.fault(key, "missing; convert the model again");
  v.pieces.resize(tokens.size());
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto id = static_cast<token_id>(i);
    const std::int64_t type = (*types)[i];
    if (type < normal_token || type > byte_token) {
      return file.fault(key, "token " + std::to_string(i) + " has type " +
                                 std::to_string(type) + ", 1 to 6 are allowed");
    }
    // Padding rows are "unused", in older files "unknown".
    if (type == unused_token || (type == unknown_token && v.unk != id)) {
      continue;
    }
    v.pieces[i] = tokens[i];
    if (type == normal_token && v.kind == bpe_kind::byte_level) {
      if (auto bytes = from_gpt2_alphabet(tokens[i])) {
        v.pieces[i] = std::move(*bytes);
      }
    } else if (type != normal_token && type != byte_token) {
      v.added.push_back(
          {id, v.pieces[i], type != user_defined_token, false, false});
    }
  }
  set_strip_rules(v.added);
  return {};
}

inline result<void> read_gguf_named_ids(const gguf_file& file,
                                        std::size_t n_tokens, vocabulary& v) {
  const auto max = static_cast<std::int64_t>(n_tokens) - 1;
  for (const auto& [key, id] :
       {std::pair("tokenizer.ggml.bos_token_id", &v.bos),
        {"tokenizer.ggml.eos_token_id", &v.eos},
        {"tokenizer.ggml.unknown_token_id", &v.unk}}) {
    TINYPHI_TRY(const auto found, file.integer(key, 0, max));
    if (found) *id = static_cast<token_id>(*found);
  }
  return {};
}

inline result<vocabulary> read_gguf_vocabulary(const gguf_file& file) {
  constexpr std::string_view model_key = "tokenizer.ggml.model";
  constexpr std::string_view tokens_key = "tokenizer.ggml.tokens";
  vocabulary v;
  TINYPHI_TRY(const auto model, file.string(model_key));
  const bool sentencepiece = model == "llama";
  if (!sentencepiece && model != "gpt2") {
    return file.fault(model_key,
                      (model && is_plain_name(*model) ? std::string(*model)
                                                      : "no plain name") +
                          " where tinyphi needs llama (SentencePiece) or gpt2 "
                          "(byte-level BPE)");
  }
  TINYPHI_TRY(const auto tokens,
              file.strings(tokens_key, 1, std::size_t{1} << 20));
  if (!tokens) return file.fault(tokens_key, "missing; there is no vocabulary");
  v.kind = sentencepiece ? bpe_kind::sentencepiece : bpe_kind::byte_level;
  TINYPHI_CHECK_OK(read_gguf_named_ids(file, tokens->size(), v));
  TINYPHI_CHECK_OK(read_gguf_tokens(file, *tokens, v));
  if (sentencepiece) {
    constexpr std::string_view key = "tokenizer.ggml.scores";
    TINYPHI_TRY(auto scores, file.floats(key, tokens->size(), tokens->size()));
    if (!scores) return file.fault(key, "missing; SentencePiece needs them");
    v.scores = std::move(*scores);
  } else {
    TINYPHI_CHECK_OK(read_gguf_pre_tokenizer(file, v));
    TINYPHI_TRY(v.merges, read_gguf_merges(file, *tokens));
  }
  // Files that do not say: as llama.cpp takes them.
  TINYPHI_TRY(const auto add_bos, file.boolean("tokenizer.ggml.add_bos_token"));
  v.add_bos = add_bos.value_or(sentencepiece && v.bos.has_value());
  TINYPHI_TRY(const auto prefix,
              file.boolean("tokenizer.ggml.add_space_prefix"));
  v.add_prefix_space = prefix.value_or(true);
  TINYPHI_TRY(const auto chat_template, file.string("tokenizer.chat_template"));
  v.chat_template = chat_template.value_or("");
  return v;
}

inline result<vocabulary> read_hf_tiktoken(const hf_folder& folder,
                                           std::string_view config) {
  const auto path = folder.file_ending_in(".tiktoken");
  if (!path) {
    return error{error_code::not_found,
                 folder.path().string() +
                     ": no tokenizer: neither tokenizer.json nor a *.tiktoken "
                     "file is in this folder"};
  }
  TINYPHI_TRY(const std::string text, read_file(*path, max_config_bytes));
  TINYPHI_TRY(vocabulary v, parse_phi3_small_tiktoken(text, path->string()));
  if (!config.empty()) {
    TINYPHI_CHECK_OK(apply_tokenizer_config(
        v, config, (folder.path() / "tokenizer_config.json").string()));
  }
  return v;
}

inline result<vocabulary> read_hf_vocabulary(const hf_folder& folder) {
  TINYPHI_TRY(const auto config, folder.text("tokenizer_config.json"));
  const std::string origin = folder.path().string();
  vocabulary v;
  TINYPHI_TRY(const auto text, folder.text("tokenizer.json"));
  if (text) {
    TINYPHI_TRY(v, parse_tokenizer_json(*text, config.value_or(""), origin));
  } else {
    TINYPHI_TRY(v, read_hf_tiktoken(folder, config.value_or("")));
  }
  // Newer folders hold the template in a file of its own.
  TINYPHI_TRY(auto chat_template, folder.text("chat_template.jinja"));
  if (chat_template) v.chat_template = std::move(*chat_template);
  return v;
}

}  // namespace detail

TINYPHI_FUNC result<tokenizer> load_tokenizer(const model_file& file) {
  TINYPHI_TRY(vocabulary v, file.gguf() != nullptr
                                ? detail::read_gguf_vocabulary(*file.gguf())
                                : detail::read_hf_vocabulary(*file.hf()));
  auto made = tokenizer::create(std::move(v));
  if (!made) return std::move(made).error().within(file.path().string());
  return made;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_MODEL_VOCABULARY_IPP_
