// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PLUGINS_GUARD_PII_IPP_
#define TINYPHI_PLUGINS_GUARD_PII_IPP_

#include <utf8proc.h>

#include <algorithm>
#include <set>
#include <unordered_set>
#include <utility>

#include "plugins/guard/keywords.h"
#include "plugins/guard/pii.h"
#include "plugins/guard/pii_forms.h"
#include "tinyphi/base/utf8.h"

TINYPHI_NAMESPACE_BEGIN
namespace guard {

struct pii_finder::word_list {
  std::vector<std::size_t> sizes;
  keyword_set words;
};

namespace detail {

// In small letters and with blanks for white space, where that has as many
// bytes.
inline std::string fold_word(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const char first = text[i];
    if (static_cast<unsigned char>(first) < 0x80) {
      const bool is_space = first >= '\t' && first <= '\r';
      out += is_space ? ' ' : ascii::lower(first);
      ++i;
      continue;
    }
    const utf8_char c = decode_utf8(text.substr(i));
    std::string small;
    if (c.valid) {
      append_utf8(small, static_cast<char32_t>(utf8proc_tolower(
                             static_cast<utf8proc_int32_t>(c.code_point))));
    }
    out += small.size() == c.length ? small
                                    : std::string(text.substr(i, c.length));
    i += c.length;
  }
  return out;
}

// Whether the characters before and at i are of one word. Chinese and others
// do without blanks.
inline bool is_inside_word(std::string_view text, std::size_t i) {
  if (i == 0 || i >= text.size()) return false;
  const bool before =
      is_word(text[i - 1]) || (i > 1 && leads_letter(text[i - 2]));
  return before && (is_word(text[i]) || leads_letter(text[i]));
}

// "[KIND_N]" at the front of `text`: its length, or 0.
inline std::size_t placeholder_length(std::string_view text) {
  constexpr std::size_t most_digits = 9;
  if (text.empty() || text[0] != '[') return 0;
  for (const std::string_view name : pii_kind_names) {
    std::size_t i = 1;
    while (i <= name.size() && i < text.size() &&
           text[i] == (name[i - 1] & ~32)) {
      ++i;
    }
    if (i <= name.size() || i == text.size() || text[i] != '_') continue;
    const std::size_t first = ++i;
    while (i < text.size() && i - first <= most_digits && is_digit(text[i])) {
      ++i;
    }
    const bool good = i > first && i - first <= most_digits &&
                      i < text.size() && text[i] == ']';
    return good ? i + 1 : 0;
  }
  return 0;
}

// Calls found(offset, placeholder) for each in the text.
template <class Found>
void each_placeholder(std::string_view text, Found&& found) {
  for (std::size_t i = text.find('['); i != std::string_view::npos;
       i = text.find('[', i + 1)) {
    const std::size_t n = placeholder_length(text.substr(i));
    if (n != 0) found(i, text.substr(i, n));
  }
}

}  // namespace detail

inline std::optional<pii_kind> parse_pii_kind(std::string_view name) {
  const auto found = std::ranges::find(pii_kind_names, name);
  const auto kind = static_cast<pii_kind>(found - pii_kind_names.begin());
  if (kind >= pii_kind::word) return std::nullopt;
  return kind;
}

inline result<pii_finder> pii_finder::make(std::span<const pii_kind> kinds,
                                           std::span<const std::string> words) {
  pii_finder out;
  for (const pii_kind k : kinds) {
    out.kinds_ |= static_cast<std::uint8_t>(1u << static_cast<unsigned>(k));
  }
  std::set<std::string> folded;
  std::size_t total = 0;
  for (const std::string& word : words) {
    if (word.size() < 2) {
      return error{error_code::invalid_argument,
                   "a word to hide has " + std::to_string(word.size()) +
                       " bytes, it must have 2 at least"};
    }
    total += word.size();
    folded.insert(detail::fold_word(word));
  }
  if (total > keyword_set::max_bytes) {
    return error{error_code::limit,
                 "the words to hide have " + std::to_string(total) +
                     " bytes, at most " +
                     std::to_string(keyword_set::max_bytes) + " are allowed"};
  }
  if (folded.empty()) return out;
  const std::vector<std::string> list(folded.begin(), folded.end());
  std::vector<std::size_t> sizes;
  for (const std::string& word : list) sizes.push_back(word.size());
  out.words_ = std::make_shared<const word_list>(
      word_list{std::move(sizes), keyword_set(list)});
  return out;
}

inline pii_finder::step pii_finder::find_next(std::string_view text,
                                              std::size_t from,
                                              bool more) const {
  using namespace detail;
  const auto wants = [&](pii_kind k) {
    return (kinds_ >> static_cast<unsigned>(k) & 1u) != 0;
  };
  for (std::size_t i = from; i < text.size(); ++i) {
    const char c = text[i], before = i == 0 ? '\0' : text[i - 1];
    const bool digit = is_digit(c), letter = is_letter(c);
    if (is_word(before) ||
        !(digit || letter || is_in(c, "_+(:") || leads_letter(c))) {
      continue;
    }
    // Digits that stand behind digits and a joint are the rest of something.
    const bool joined = i >= 2 && is_in(before, "-./") &&
                        is_word(text[i - 2]) &&
                        !(before == '.' && is_letter(text[i - 2]));
    watched_text t(text, more);
    step best{i, std::nullopt};
    const auto look = [&](pii_kind k,
                          std::size_t (*form)(watched_text&, std::size_t)) {
      if (!wants(k)) return;
      const std::size_t end = form(t, i);
      if (end > best.next) best = {end, pii_finding{k, i, end}};
    };
    if (!is_in(c, "(:")) look(pii_kind::email, find_email);
    if (letter) look(pii_kind::iban, find_iban);
    if (digit) look(pii_kind::card, find_card);
    if (digit || is_in(c, "abcdefABCDEF") || (c == ':' && before != ':')) {
      look(pii_kind::ip, find_ip);
    }
    if ((digit && !joined) || letter) look(pii_kind::date, find_date);
    if ((digit || is_in(c, "+(")) && !joined) look(pii_kind::phone, find_phone);
    if (t.open() || best.found) {
      return t.open() ? step{i, std::nullopt} : best;
    }
  }
  return {text.size(), std::nullopt};
}

inline std::vector<pii_finding> pii_finder::find_words(
    std::string_view text) const {
  std::vector<pii_finding> all;
  const std::string folded = detail::fold_word(text);
  words_->words.search(folded, [&](std::size_t word, std::size_t end) {
    const std::size_t begin = end - words_->sizes[word];
    if (!detail::is_inside_word(text, begin) &&
        !detail::is_inside_word(text, end)) {
      all.push_back({pii_kind::word, begin, end});
    }
  });
  return all;
}

inline std::vector<pii_finding> pii_finder::find(std::string_view text) const {
  std::vector<pii_finding> all;
  if (words_) all = find_words(text);
  for (std::size_t from = 0; from < text.size();) {
    const step s = find_next(text, from, false);
    if (s.found) all.push_back(*s.found);
    from = s.next;
  }
  std::ranges::sort(all, [](const pii_finding& a, const pii_finding& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end > b.end;
  });
  std::size_t covered = 0, n = 0;
  for (pii_finding f : all) {
    f.begin = std::max(f.begin, covered);
    if (f.begin >= f.end) continue;
    covered = f.end;
    all[n++] = f;
  }
  all.resize(n);
  return all;
}

inline masked_text mask(std::string_view text, const pii_finder& finder) {
  std::unordered_set<std::string_view> taken;
  detail::each_placeholder(
      text, [&](std::size_t, std::string_view p) { taken.insert(p); });
  masked_text out;
  std::array<std::size_t, pii_kind_names.size()> last{};
  std::map<std::pair<pii_kind, std::string_view>, std::string> names;
  std::size_t done = 0;
  for (const pii_finding& f : finder.find(text)) {
    const std::string_view value = text.substr(f.begin, f.end - f.begin);
    std::string& name = names[{f.kind, value}];
    while (name.empty() || taken.contains(name)) {
      const auto k = static_cast<std::size_t>(f.kind);
      name = "[";
      for (const char c : pii_kind_names[k]) name += static_cast<char>(c & ~32);
      name += "_" + std::to_string(++last[k]) + "]";
    }
    out.keys.emplace(name, value);
    out.text.append(text.substr(done, f.begin - done)).append(name);
    done = f.end;
    ++out.count;
  }
  out.text.append(text.substr(done));
  return out;
}

inline result<std::string> restore(std::string_view text, const pii_keys& keys,
                                   std::size_t max_bytes, std::size_t* count) {
  for (const auto& [name, value] : keys) {
    if (detail::placeholder_length(name) != name.size() || name.empty()) {
      return error{error_code::invalid_argument,
                   "keys: a name of " + std::to_string(name.size()) +
                       " bytes that is no placeholder like [CARD_1]; use what "
                       "the redaction gave"};
    }
  }
  std::string out;
  std::size_t done = 0, n = 0;
  // What is too long already does not grow further.
  detail::each_placeholder(text, [&](std::size_t at, std::string_view name) {
    const auto key = keys.find(name);
    if (key == keys.end() || out.size() > max_bytes) return;
    out.append(text.substr(done, at - done)).append(key->second);
    done = at + name.size();
    ++n;
  });
  if (count != nullptr) *count = n;
  out.append(text.substr(done));
  if (out.size() > max_bytes) {
    return error{error_code::limit,
                 "a text of more than " + std::to_string(max_bytes) +
                     " bytes once placeholders are replaced"};
  }
  return out;
}

}  // namespace guard
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_GUARD_PII_IPP_
