// SPDX-License-Identifier: MIT
#ifndef TINYPHI_TEXT_TOKENIZER_JSON_IPP_
#define TINYPHI_TEXT_TOKENIZER_JSON_IPP_

#include <array>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "tinyphi/base/json.h"
#include "tinyphi/base/keyed_hash.h"
#include "tinyphi/base/utf8.h"
#include "tinyphi/text/tokenizer_json.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline constexpr std::int64_t max_json_token_id = (1 << 20) - 1;

inline std::string_view view_of(const json::string& s) {
  return {s.data(), s.size()};
}

// "type" of a component, "" for null or absent.
inline std::string_view type_name_of(const json::value* v) {
  const json::object* o = v == nullptr ? nullptr : v->if_object();
  const json::value* type = o == nullptr ? nullptr : o->if_contains("type");
  const json::string* name = type == nullptr ? nullptr : type->if_string();
  return name == nullptr ? std::string_view() : view_of(*name);
}

// The steps of a component: those of a Sequence, itself, or none for null.
inline std::vector<const json::value*> steps_of(const json::value* v,
                                                std::string_view list) {
  std::vector<const json::value*> steps;
  if (v == nullptr) return steps;
  if (type_name_of(v) != "Sequence") return {v};
  const json::value* inner =
      v->get_object().if_contains(json::string_view(list.data(), list.size()));
  if (inner == nullptr || !inner->is_array()) return {v};
  for (const json::value& step : inner->get_array()) steps.push_back(&step);
  return steps;
}

// True if `v` is exactly what the JSON text `expected` says, key order aside.
inline bool same_json(const json::value& v, std::string_view expected) {
  boost::system::error_code ec;
  return v ==
         json::parse(json::string_view(expected.data(), expected.size()), ec);
}

inline bool same_steps(const std::vector<const json::value*>& steps,
                       std::initializer_list<std::string_view> expected) {
  return std::equal(steps.begin(), steps.end(), expected.begin(),
                    expected.end(),
                    [](const json::value* v, std::string_view e) {
                      return same_json(*v, e);
                    });
}

inline std::string shown(const json::value* v) {
  if (v == nullptr) return "null";
  std::string text = json::serialize(*v);
  if (text.size() > 200)
    text = text.substr(
               0, complete_utf8_length(std::string_view(text).substr(0, 200))) +
           "...";
  return text;
}

// GPT-2's printable alphabet -> bytes; nothing if a character is not in it.
inline std::optional<std::string> from_gpt2_alphabet(std::string_view piece) {
  static const std::array<int, 324> bytes = [] {
    std::array<int, 324> map;
    map.fill(-1);
    int extra = 256;
    for (int b = 0; b < 256; ++b) {
      const bool printable =
          (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
      map[static_cast<std::size_t>(printable ? b : extra++)] = b;
    }
    return map;
  }();
  std::string out;
  while (!piece.empty()) {
    const utf8_char c = decode_utf8(piece);
    const int b =
        c.valid && c.code_point < bytes.size() ? bytes[c.code_point] : -1;
    if (b < 0) return std::nullopt;
    out += static_cast<char>(b);
    piece.remove_prefix(c.length);
  }
  return out;
}

// The expressions that tinyphi knows, in the spellings of published files.
inline std::optional<pre_tokenizer> known_pattern(std::string_view regex) {
  constexpr std::string_view contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
  constexpr std::string_view ending = "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
  const std::string cl100k = std::string(contractions) +
                             "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| "
                             "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" +
                             std::string(ending);
  const std::string upper = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]";
  const std::string lower = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]";
  const std::string prefix = "[^\\r\\n\\p{L}\\p{N}]?";
  const std::string suffix = std::string(contractions) + "?|";
  const std::string o200k = prefix + upper + "*" + lower + "+" + suffix +
                            prefix + upper + "+" + lower + "*" + suffix +
                            "\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" +
                            std::string(ending);
  if (regex == cl100k) return pre_tokenizer::cl100k;
  if (regex == o200k) return pre_tokenizer::o200k;
  return std::nullopt;
}

// Builds one vocabulary from one tokenizer.json.
class tokenizer_json_reader {
 public:
  tokenizer_json_reader(const json::object& root, std::string origin)
      : root_(root, std::move(origin)) {}

  [[nodiscard]] result<vocabulary> read() {
    TINYPHI_CHECK_OK(read_pipeline());
    TINYPHI_CHECK_OK(read_model());
    TINYPHI_CHECK_OK(read_added_tokens());
    return std::move(v_);
  }

 private:
  [[nodiscard]] error fault(std::string_view key, std::string_view what) const {
    return root_.fault(key, what);
  }
  [[nodiscard]] error unknown(std::string_view key) const {
    error e = fault(key, shown(root_.find(key)) +
                             " is not one that tinyphi can do exactly");
    e.code = error_code::unsupported;
    return e;
  }

  [[nodiscard]] result<void> read_pipeline();
  [[nodiscard]] result<void> read_sentencepiece();
  [[nodiscard]] result<void> read_byte_level(
      const std::vector<const json::value*>& steps);
  [[nodiscard]] result<void> read_model();
  [[nodiscard]] result<void> read_pieces(const json::object& vocab);
  [[nodiscard]] result<void> read_merges(const json::array& merges);
  [[nodiscard]] result<void> read_added_tokens();

  json_reader root_;
  vocabulary v_;
  std::unordered_map<std::string_view, token_id, keyed_hash>
      ids_;  // as spelled in the file
};

// Normalizer, pre-tokenizer and decoder together say what kind this is.
inline result<void> tokenizer_json_reader::read_pipeline() {
  const auto steps = steps_of(root_.find("pre_tokenizer"), "pretokenizers");
  if (!steps.empty() && type_name_of(steps.back()) == "ByteLevel") {
    return read_byte_level(steps);
  }
  return read_sentencepiece();
}

inline result<void> tokenizer_json_reader::read_sentencepiece() {
  v_.kind = bpe_kind::sentencepiece;
  constexpr std::string_view mark_spaces =
      R"({"type":"Replace","pattern":{"String":" "},"content":"▁"})";
  const auto normalizers = steps_of(root_.find("normalizer"), "normalizers");
  const json::value* metaspace = root_.find("pre_tokenizer");
  if (metaspace == nullptr) {
    v_.add_prefix_space = same_steps(
        normalizers, {R"({"type":"Prepend","prepend":"▁"})", mark_spaces});
    if (!v_.add_prefix_space && !same_steps(normalizers, {mark_spaces})) {
      return unknown("normalizer");
    }
  } else {
    if (!normalizers.empty()) return unknown("normalizer");
    const auto scheme = [&](std::string_view name) {
      return same_json(
          *metaspace,
          R"({"type":"Metaspace","replacement":"▁","split":false,"prepend_scheme":")" +
              std::string(name) + "\"}");
    };
    if (scheme("first")) {
      v_.prefix = prefix_rule::first_run;
    } else if (scheme("always")) {
      v_.prefix = prefix_rule::unless_space;
    } else if (scheme("never")) {
      v_.add_prefix_space = false;
    } else {
      return unknown("pre_tokenizer");
    }
  }
  constexpr std::string_view replace =
      R"({"type":"Replace","pattern":{"String":"▁"},"content":" "})";
  constexpr std::string_view fallback = R"({"type":"ByteFallback"})";
  constexpr std::string_view fuse = R"({"type":"Fuse"})";
  constexpr std::string_view strip =
      R"({"type":"Strip","content":" ","start":1,"stop":0})";
  const auto decoders = steps_of(root_.find("decoder"), "decoders");
  const bool known =
      v_.add_prefix_space
          ? same_steps(decoders, {replace, fallback, fuse, strip})
          : same_steps(decoders, {replace, fallback, fuse});
  if (!known) return unknown("decoder");
  return {};
}

inline result<void> tokenizer_json_reader::read_byte_level(
    const std::vector<const json::value*>& steps) {
  v_.kind = bpe_kind::byte_level;
  if (root_.find("normalizer") != nullptr) return unknown("normalizer");
  if (type_name_of(root_.find("decoder")) != "ByteLevel")
    return unknown("decoder");
  const json_reader last(steps.back()->get_object(),
                         root_.origin() + ": pre_tokenizer");
  TINYPHI_TRY(const auto prefix, last.boolean("add_prefix_space"));
  TINYPHI_TRY(const auto own_regex, last.boolean("use_regex"));
  if (steps.size() != 2 || type_name_of(steps[0]) != "Split" ||
      prefix.value_or(true) || own_regex.value_or(true)) {
    return unknown("pre_tokenizer");
  }
  const json_reader split(steps[0]->get_object(), last.origin());
  TINYPHI_TRY(const auto behavior, split.string("behavior"));
  TINYPHI_TRY(const auto invert, split.boolean("invert"));
  // Each match becomes a word either way, and the expressions match all text.
  const bool words = behavior == "Isolated" && !invert.value_or(false);
  const bool gaps = behavior == "Removed" && invert.value_or(false);
  const json::value* pattern = split.find("pattern");
  const json::object* o = pattern == nullptr ? nullptr : pattern->if_object();
  const json::value* regex = o == nullptr ? nullptr : o->if_contains("Regex");
  if (!(words || gaps) || regex == nullptr || !regex->is_string()) {
    return unknown("pre_tokenizer");
  }
  const auto pre = known_pattern(view_of(regex->get_string()));
  if (!pre) return unknown("pre_tokenizer");
  v_.pre = *pre;
  return {};
}

inline result<void> tokenizer_json_reader::read_model() {
  const json::value* model = root_.find("model");
  if (model == nullptr || !model->is_object()) {
    return fault("model", "missing, or not an object");
  }
  const json_reader m(model->get_object(), root_.origin() + ": model");
  TINYPHI_TRY(const auto type, m.string("type"));
  if (type.value_or("BPE") != "BPE") {
    error e = m.fault("type", std::string(*type) + "; tinyphi knows BPE");
    e.code = error_code::unsupported;
    return e;
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    TINYPHI_TRY(const auto affix, m.string(key));
    if (!affix.value_or("").empty()) {
      return m.fault(key, "tinyphi knows none");
    }
  }
  TINYPHI_TRY(const auto dropout, m.number("dropout"));
  if (dropout.value_or(0) != 0) return m.fault("dropout", "must be null");
  TINYPHI_TRY(const auto fallback, m.boolean("byte_fallback"));
  if (fallback.value_or(false) != (v_.kind == bpe_kind::sentencepiece)) {
    return m.fault("byte_fallback",
                   "must be true with sentencepiece pieces, false with "
                   "byte-level ones");
  }
  TINYPHI_TRY(const auto ignore_merges, m.boolean("ignore_merges"));
  v_.ignore_merges = ignore_merges.value_or(false);
  const json::value* vocab = m.find("vocab");
  if (vocab == nullptr || !vocab->is_object()) {
    return m.fault("vocab", "missing, or not an object");
  }
  const json::value* merges = m.find("merges");
  if (merges == nullptr || !merges->is_array() || merges->get_array().empty()) {
    return m.fault("merges", "missing, empty, or not an array");
  }
  TINYPHI_CHECK_OK(read_pieces(vocab->get_object()));
  return read_merges(merges->get_array());
}

inline result<void> tokenizer_json_reader::read_pieces(
    const json::object& vocab) {
  const json_reader entries(vocab, root_.origin() + ": model: vocab");
  for (const auto& entry : vocab) {
    const std::string_view piece(entry.key().data(), entry.key().size());
    if (piece.empty()) return entries.fault("\"\"", "an empty piece");
    TINYPHI_TRY(const auto id, entries.integer(piece, 0, max_json_token_id));
    if (!id) return entries.fault(piece, "null where tinyphi needs an id");
    const auto i = static_cast<std::size_t>(*id);
    if (i >= v_.pieces.size()) v_.pieces.resize(i + 1);
    if (!v_.pieces[i].empty()) {
      return entries.fault(piece, "its id " + std::to_string(*id) +
                                      " is also that of \"" + v_.pieces[i] +
                                      "\"");
    }
    ids_.emplace(piece, static_cast<token_id>(*id));
    v_.pieces[i] = piece;
  }
  if (v_.kind == bpe_kind::sentencepiece) return {};
  for (std::string& piece : v_.pieces) {
    // Names of control tokens may stand among the pieces as they are.
    if (auto bytes = from_gpt2_alphabet(piece)) piece = std::move(*bytes);
  }
  return {};
}

inline result<void> tokenizer_json_reader::read_merges(
    const json::array& merges) {
  v_.merges.reserve(merges.size());
  for (std::size_t i = 0; i < merges.size(); ++i) {
    const auto bad = [&](std::string_view what) {
      return fault("model: merges[" + std::to_string(i) + "]",
                   shown(&merges[i]) + " " + std::string(what));
    };
    std::string_view left, right;
    if (const auto* text = merges[i].if_string()) {
      const std::string_view both = view_of(*text);
      const std::size_t space = both.find(' ');
      if (space == both.npos || both.find(' ', space + 1) != both.npos) {
        return bad("is not two pieces with one space between");
      }
      left = both.substr(0, space), right = both.substr(space + 1);
    } else {
      const auto* pair = merges[i].if_array();
      if (pair == nullptr || pair->size() != 2 || !(*pair)[0].is_string() ||
          !(*pair)[1].is_string()) {
        return bad("is neither a string nor a pair of strings");
      }
      left = view_of((*pair)[0].get_string());
      right = view_of((*pair)[1].get_string());
    }
    const auto l = ids_.find(left), r = ids_.find(right);
    if (l == ids_.end() || r == ids_.end()) {
      return bad("names a piece that is not in the vocabulary");
    }
    v_.merges.emplace_back(l->second, r->second);
  }
  return {};
}

inline result<void> tokenizer_json_reader::read_added_tokens() {
  const json::value* list = root_.find("added_tokens");
  if (list == nullptr) return {};
  if (!list->is_array()) return fault("added_tokens", "not an array");
  const json::array& tokens = list->get_array();
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const std::string key = "added_tokens[" + std::to_string(i) + "]";
    if (!tokens[i].is_object()) return fault(key, "not an object");
    const json_reader t(tokens[i].get_object(), root_.origin() + ": " + key);
    TINYPHI_TRY(const auto id, t.integer("id", 0, max_json_token_id));
    TINYPHI_TRY(const auto content, t.string("content"));
    if (!id) return t.fault("id", "missing");
    if (!content || content->empty()) return t.fault("content", "missing");
    TINYPHI_TRY(const auto special, t.boolean("special"));
    TINYPHI_TRY(const auto lstrip, t.boolean("lstrip"));
    TINYPHI_TRY(const auto rstrip, t.boolean("rstrip"));
    TINYPHI_TRY(const auto single_word, t.boolean("single_word"));
    TINYPHI_TRY(const auto normalized, t.boolean("normalized"));
    if (single_word.value_or(false)) {
      return t.fault("single_word", "true; tinyphi knows only false");
    }
    if (normalized.value_or(false) && v_.kind == bpe_kind::sentencepiece) {
      return t.fault("normalized", "true; tinyphi knows only false here");
    }
    v_.added.push_back({static_cast<token_id>(*id), std::string(*content),
                        special.value_or(false), lstrip.value_or(false),
                        rstrip.value_or(false)});
    // GPT-2's alphabet may have changed the name; it is meant as it stands.
    const auto row = static_cast<std::size_t>(*id);
    if (ids_.count(*content) > 0 && row < v_.pieces.size()) {
      v_.pieces[row] = *content;
    }
  }
  return {};
}

}  // namespace detail

TINYPHI_FUNC result<vocabulary> parse_tokenizer_json(std::string_view text,
                                                     std::string_view config,
                                                     std::string_view origin) {
  const std::string place(origin);
  const std::string file = place + "/tokenizer.json";
  TINYPHI_TRY(const json::value root, parse_json(text, file));
  if (!root.is_object()) {
    return error{error_code::bad_data, file + ": not a JSON object"};
  }
  TINYPHI_TRY(vocabulary v,
              detail::tokenizer_json_reader(root.get_object(), file).read());
  if (!config.empty()) {
    TINYPHI_CHECK_OK(
        apply_tokenizer_config(v, config, place + "/tokenizer_config.json"));
  }
  return v;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_TEXT_TOKENIZER_JSON_IPP_
