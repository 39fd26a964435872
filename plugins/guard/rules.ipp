// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PLUGINS_GUARD_RULES_IPP_
#define TINYPHI_PLUGINS_GUARD_RULES_IPP_

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <unordered_map>
#include <utility>

#include "plugins/guard/ascii.h"
#include "plugins/guard/rules.h"

TINYPHI_NAMESPACE_BEGIN
namespace guard {
namespace detail {

struct ready_allowlist {
  allowlist spec;
  std::vector<regex> regexes;
  std::optional<keyword_set> stopwords;
};

struct ready_rule {
  rule spec;
  std::optional<regex> pattern;
  std::vector<ready_allowlist> allowlists;
};

struct rule_tables {
  std::vector<ready_rule> rules;
  std::vector<ready_allowlist> common;
  std::vector<std::string> words;                  // keywords of all rules
  std::vector<std::vector<std::size_t>> rules_of;  // [word]
  std::optional<keyword_set> keywords;
};

class rule_maker {
 public:
  explicit rule_maker(std::vector<rule_fault>& faults) : faults_(&faults) {}

  std::shared_ptr<const rule_tables> make(std::vector<rule> rules,
                                          std::vector<allowlist> common) {
    std::set<std::string> ids;
    for (rule& r : rules) {
      at_.rule = tables_.rules.size();
      where_ = "rule " + quote(r.id);
      if (r.id.empty()) report("id", "is empty");
      if (!ids.insert(r.id).second) report("id", "another rule has it too");
      add(std::move(r));
    }
    at_.rule = rule_fault::none;
    where_ = "allowlist";
    std::size_t i = 0;
    for (allowlist& a : common) {
      for (std::size_t k = 0; k < a.rules.size(); ++k) {
        if (ids.count(a.rules[k]) != 0) continue;
        at_.allowlist = i;
        report("targetRules", "there is no rule " + quote(a.rules[k]), k);
      }
      tables_.common.push_back(ready(std::move(a), i++));
    }
    if (total_ > keyword_set::max_bytes) {
      at_ = {};
      report("keywords", too_many("the keywords", total_));
    } else {
      tables_.keywords.emplace(tables_.words);
    }
    return std::make_shared<const rule_tables>(std::move(tables_));
  }

 private:
  static std::string too_many(std::string_view what, std::size_t n) {
    return std::string(what) + " have " + std::to_string(n) +
           " bytes, at most " + std::to_string(keyword_set::max_bytes) +
           " are allowed";
  }

  void report(std::string_view key, const std::string& what,
              std::size_t item = rule_fault::none) {
    rule_fault& f = faults_->emplace_back(at_);
    f.key = key;
    f.item = item;
    f.message = where_ + ": " + std::string(key) + ": " + what;
  }

  std::optional<regex> pattern(std::string_view key, const std::string& text,
                               std::size_t item = rule_fault::none) {
    auto compiled = regex::compile(text);
    if (!compiled) {
      report(key, compiled.error().message, item);
      return std::nullopt;
    }
    if (compiled->contains("")) {
      report(key, "the pattern holds for an empty text, so for every text",
             item);
    }
    return *std::move(compiled);
  }

  void add(rule r) {
    ready_rule out;
    out.pattern = pattern("regex", r.regex);
    if (out.pattern && r.secret_group > out.pattern->groups()) {
      report("secretGroup",
             "is " + std::to_string(r.secret_group) + ", the pattern has " +
                 std::to_string(out.pattern->groups()) + " groups");
    }
    if (!(r.entropy >= 0 && r.entropy <= 8)) {
      report("entropy", "allowed are 0 to 8 bits a byte");
    }
    if (!(r.score > 0 && r.score <= 1)) {
      report("score", "allowed is more than 0, 1 at most");
    }
    for (std::size_t k = 0; k < r.keywords.size(); ++k) {
      if (r.keywords[k].empty()) {
        report("keywords", "an empty word is in every text", k);
      } else {
        add_keyword(r.keywords[k]);
      }
    }
    for (std::size_t k = 0; k < r.allowlists.size(); ++k) {
      out.allowlists.push_back(ready(r.allowlists[k], k));
    }
    at_.allowlist = rule_fault::none;
    out.spec = std::move(r);
    tables_.rules.push_back(std::move(out));
  }

  void add_keyword(const std::string& word) {
    std::string small = ascii::lower(word);
    const auto [at, fresh] = index_of_.emplace(small, tables_.words.size());
    if (fresh) {
      total_ += small.size();
      tables_.words.push_back(std::move(small));
      tables_.rules_of.emplace_back();
    }
    tables_.rules_of[at->second].push_back(tables_.rules.size());
  }

  ready_allowlist ready(allowlist a, std::size_t index) {
    at_.allowlist = index;
    ready_allowlist out;
    for (std::size_t k = 0; k < a.regexes.size(); ++k) {
      // An allowlist may name what is empty.
      auto compiled = regex::compile(a.regexes[k]);
      if (compiled) {
        out.regexes.push_back(*std::move(compiled));
      } else {
        report("regexes", compiled.error().message, k);
      }
    }
    std::set<std::string> words;
    std::size_t total = 0;
    for (std::size_t k = 0; k < a.stopwords.size(); ++k) {
      if (a.stopwords[k].empty()) {
        report("stopwords", "an empty word is in every text", k);
      } else if (words.insert(ascii::lower(a.stopwords[k])).second) {
        total += a.stopwords[k].size();
      }
    }
    if (total > keyword_set::max_bytes) {
      report("stopwords", too_many("they", total));
    } else if (!words.empty()) {
      out.stopwords.emplace(
          std::vector<std::string>(words.begin(), words.end()));
    }
    out.spec = std::move(a);
    return out;
  }

  rule_tables tables_;
  std::vector<rule_fault>* faults_;
  rule_fault at_;
  std::string where_;
  std::unordered_map<std::string, std::size_t> index_of_;
  std::size_t total_ = 0;  // bytes of all keywords
};

// A secret in the match at text[begin, end).
struct found_secret {
  std::string_view text;
  std::size_t begin = 0, end = 0;
  std::string_view secret;

  [[nodiscard]] std::string_view match() const {
    return text.substr(begin, end - begin);
  }
  // Of a long line the part around the match: each is looked at again for every
  // match in it.
  [[nodiscard]] std::string_view line() const {
    constexpr std::size_t most = 1024;
    const std::size_t first = begin - std::min(begin, most);
    const std::size_t last = std::min(text.size(), end + most);
    std::string_view around = text.substr(first, last - first);
    const std::size_t behind = around.find('\n', end - first);
    around = around.substr(0, behind);
    const std::size_t before = around.substr(0, begin - first).rfind('\n');
    if (before != std::string_view::npos) around.remove_prefix(before + 1);
    return around;
  }
};

inline bool allows(const ready_allowlist& a, const found_secret& f) {
  const auto target = a.spec.regex_target;
  const std::string_view looked_at =
      target == allowlist::target::match  ? f.match()
      : target == allowlist::target::line ? f.line()
                                          : f.secret;
  const bool by_regex = std::ranges::any_of(
      a.regexes, [&](const regex& r) { return r.contains(looked_at); });
  bool by_word = false;
  if (a.stopwords) {
    a.stopwords->search(f.secret,
                        [&](std::size_t, std::size_t) { by_word = true; });
  }
  if (!a.spec.all) return by_regex || by_word;
  return !a.spec.has_paths_or_commits && (by_regex || a.regexes.empty()) &&
         (by_word || !a.stopwords);
}

inline std::string_view secret_of(const rule& r,
                                  const std::vector<std::string_view>& groups) {
  if (r.secret_group != 0) return groups[r.secret_group];
  for (std::size_t g = 1; g < groups.size(); ++g) {
    if (!groups[g].empty()) return groups[g];
  }
  return groups[0];
}

inline bool is_allowed(const rule_tables& t, const ready_rule& r,
                       const found_secret& f) {
  const auto allowed = [&](const ready_allowlist& a) { return allows(a, f); };
  if (std::ranges::any_of(r.allowlists, allowed)) return true;
  return std::ranges::any_of(t.common, [&](const ready_allowlist& a) {
    const auto& names = a.spec.rules;
    return (names.empty() ||
            std::ranges::find(names, r.spec.id) != names.end()) &&
           allows(a, f);
  });
}

}  // namespace detail

inline double shannon_entropy(std::string_view text) {
  std::array<std::size_t, 256> counts{};
  for (const char c : text) ++counts[static_cast<unsigned char>(c)];
  double bits = 0;
  for (const std::size_t n : counts) {
    if (n == 0) continue;
    const double share =
        static_cast<double>(n) / static_cast<double>(text.size());
    bits -= share * std::log2(share);
  }
  return bits;
}

inline std::optional<rule_set> rule_set::make(std::vector<rule> rules,
                                              std::vector<allowlist> common,
                                              std::vector<rule_fault>& faults) {
  const std::size_t before = faults.size();
  auto tables =
      detail::rule_maker(faults).make(std::move(rules), std::move(common));
  if (faults.size() != before) return std::nullopt;
  rule_set out;
  out.tables_ = std::move(tables);
  return out;
}

inline std::size_t rule_set::size() const {
  return tables_ ? tables_->rules.size() : 0;
}

inline findings rule_set::find(std::string_view text, std::size_t begin,
                               std::size_t end, bool more, bool once,
                               const stop_condition* stop) const {
  findings out;
  if (!tables_) return out;
  end = std::min(end, text.size());
  begin = std::min(begin, end);
  std::vector<bool> is_tried(tables_->rules.size());
  tables_->keywords->search(
      text.substr(begin, end - begin), [&](std::size_t word, std::size_t) {
        for (const std::size_t i : tables_->rules_of[word]) is_tried[i] = true;
      });
  for (std::size_t i = 0; i < is_tried.size(); ++i) {
    const detail::ready_rule& r = tables_->rules[i];
    if (!is_tried[i] && !r.spec.keywords.empty()) continue;
    if (stop != nullptr && stop->reason()) break;
    std::size_t at = begin;
    for (std::size_t n = 1; at <= end; ++n) {
      const auto groups = r.pattern->find(text, at, end);
      if (groups.empty()) break;
      detail::found_secret f{text, 0, 0, detail::secret_of(r.spec, groups)};
      f.begin = static_cast<std::size_t>(groups[0].data() - text.data());
      f.end = f.begin + groups[0].size();
      if (more && f.end == end) {
        out.open = std::min(out.open, f.begin);
        break;
      }
      const bool is_last = n == rule_limits::max_matches;
      if (is_last || ((r.spec.entropy == 0 ||
                       shannon_entropy(f.secret) > r.spec.entropy) &&
                      !detail::is_allowed(*tables_, r, f))) {
        out.all.push_back({&r.spec, f.begin, f.end});
        if (once) break;
      }
      if (is_last) break;
      at = f.end + (groups[0].empty() ? 1 : 0);
    }
  }
  std::ranges::stable_sort(out.all, {}, &finding::begin);
  return out;
}

inline std::string reason_of(const rule& r) {
  return r.description.empty()
             ? "the text has what rule " + quote(r.id) + " finds"
             : r.description;
}

inline verdict judge(std::string_view text, std::span<const rule_set> sets,
                     const stop_condition* stop) {
  verdict out;
  const rule* strongest = nullptr;
  for (const rule_set& set : sets) {
    const findings found = set.find(text, 0, text.size(), false, true, stop);
    for (const finding& f : found.all) {
      out.score += f.by->score;
      if (!strongest || f.by->score > strongest->score) strongest = f.by;
    }
  }
  if (stop != nullptr && stop->reason()) {
    out.blocked = true;
    out.reason = "stopped before the text was judged";
    return out;
  }
  out.blocked = is_enough(out.score);
  if (strongest != nullptr) {
    out.rule = strongest->id;
    out.reason = reason_of(*strongest);
  }
  return out;
}

}  // namespace guard
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_GUARD_RULES_IPP_
