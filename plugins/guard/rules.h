// SPDX-License-Identifier: MIT
// Rules that find something in a text, as gitleaks has them: a pattern, words
// without which it is not tried, the entropy of what is found, and what is
// allowed. Files of gitleaks load as they are; `score` is tinyphi's own key.
//
//   [[rules]]
//   id          = "parts-key"
//   description = "a key of the parts shop"
//   regex       = '''parts_([a-z0-9]{20,40})'''  # in RE2's syntax
//   secretGroup = 1              # left out: the first group that is not empty
//   entropy     = 3.0            # bits a byte; a finding must have more
//   keywords    = ["parts_"]     # one must be in the text, in either case
//   score       = 1.0            # findings that sum up to 1 block
//   [[rules.allowlists]]         # [[allowlists]]: for all, or for targetRules
//   condition   = "AND"          # left out: "OR"
//   regexTarget = "line"         # "match"; left out: the secret
//   regexes     = ['''example''']
//   stopwords   = ["dummy"]      # in the secret
//
// A text has no path and no commit: `path` of a rule that has a regex too
// narrows nothing, a rule that has a path only finds nothing, and paths and
// commits of an allowlist allow nothing. Who cannot load rules must block.
#ifndef TINYPHI_PLUGINS_GUARD_RULES_H_
#define TINYPHI_PLUGINS_GUARD_RULES_H_

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/guard/keywords.h"
#include "tinyphi/base/cancel.h"
#include "tinyphi/base/error.h"
#include "tinyphi/pipeline/config_node.h"
#include "tinyphi/pipeline/diagnostic.h"
#include "tinyphi/pipeline/regex.h"

TINYPHI_NAMESPACE_BEGIN
namespace guard {

struct rule_limits {
  static constexpr std::size_t max_file_bytes = std::size_t{1} << 20;
  static constexpr std::size_t max_rules = 1024;
  static constexpr std::size_t max_allowlists = 64;    // of a rule, of a file
  static constexpr std::size_t max_list_items = 4096;  // of one list
  // Matches of one rule in one text, allowed ones too. The last of them counts
  // as a finding: a text must not hide one behind many.
  static constexpr std::size_t max_matches = 1000;
};

struct allowlist {
  enum class target { secret, match, line };
  bool all = false;  // of what follows must hold, not just one
  bool has_paths_or_commits = false;
  target regex_target = target::secret;
  std::vector<std::string> regexes;
  std::vector<std::string> stopwords;
  std::vector<std::string> rules;  // that it is for; empty: all
};

struct rule {
  std::string id;
  std::string description;
  std::string regex;
  std::vector<std::string> keywords;  // none: the pattern is always tried
  double entropy = 0;
  std::size_t secret_group = 0;  // 0: the first group that is not empty
  double score = 1;              // 0 to 1
  std::vector<allowlist> allowlists;
};

// What is wrong with a rule, and where.
struct rule_fault {
  static constexpr std::size_t none = std::string_view::npos;
  std::size_t rule = none;       // none: a common allowlist
  std::size_t allowlist = none;  // of the rule, or of the common ones
  std::string key;
  std::size_t item = none;  // of a list
  std::string message;      // names the rule and the key
};

// A place in a text where a rule holds. The ids live as long as the rules.
struct finding {
  const rule* by = nullptr;
  std::size_t begin = 0, end = 0;  // bytes of the whole match
};

struct findings {
  std::vector<finding> all;  // by their begin, then in the order of the rules
  // The earliest begin of a match that more text could make longer; npos: none.
  std::size_t open = std::string_view::npos;
};

struct verdict {
  bool blocked = false;
  std::string rule;    // the id of the strongest that was found, or empty
  std::string reason;  // its description
  double score = 0;    // sum over all rules that were found
};

namespace detail {
struct rule_tables;
}  // namespace detail

// Rules that are ready; a cheap handle to what never changes. Any thread may
// search.
class rule_set {
 public:
  // No rule: finds nothing.
  rule_set() = default;

  // `common` are allowlists for all rules, or for those that they name. All
  // that is wrong is added to `faults`; nothing if anything is.
  [[nodiscard]] static std::optional<rule_set> make(
      std::vector<rule> rules, std::vector<allowlist> common,
      std::vector<rule_fault>& faults);

  // What the rules find in text[begin, end). With `more` the text goes on
  // behind `end`: a match that touches the end is `open` instead. Time: linear
  // in the text, times one for each rule that has no keyword or one in this
  // range, times at most max_matches. With `once`, one finding of a rule is
  // all that is looked for. When `stop`, which may be null, says so, the rest
  // is not looked for.
  [[nodiscard]] findings find(std::string_view text, std::size_t begin = 0,
                              std::size_t end = std::string_view::npos,
                              bool more = false, bool once = false,
                              const stop_condition* stop = nullptr) const;

  [[nodiscard]] std::size_t size() const;

 private:
  std::shared_ptr<const detail::rule_tables> tables_;
};

// Reads a rule file's text. What is wrong with its form, or else with its
// rules, is added to `faults`; nothing if anything is, or if no rule has a
// pattern.
[[nodiscard]] std::optional<rule_set> read_rules(
    std::string_view text, std::vector<diagnostic>& faults);

// The rules of a list of such tables, as [[rules]] has them.
[[nodiscard]] std::optional<rule_set> read_rules(
    const config_node& list, std::vector<diagnostic>& faults);

// As the first, with bad_data that has all faults, one a line. `file` is its
// name.
[[nodiscard]] result<rule_set> parse_rules(std::string_view text,
                                           std::string_view file);

// The rules of a regular file; errors as parse_rules has them.
[[nodiscard]] result<rule_set> load_rules(const std::filesystem::path& path);

// What a verdict says of a rule.
[[nodiscard]] std::string reason_of(const rule& r);

// Whether scores that sum up to it block.
[[nodiscard]] inline bool is_enough(double score) {
  constexpr double almost_one = 1 - 1e-9;  // tenths do not sum up exactly
  return score >= almost_one;
}

// Blocks if the scores of distinct rules that find something sum up to 1; and
// what was stopped (`stop` may be null) before it was judged.
[[nodiscard]] verdict judge(std::string_view text,
                            std::span<const rule_set> sets,
                            const stop_condition* stop = nullptr);

// Bits a byte, 0 to 8.
[[nodiscard]] double shannon_entropy(std::string_view text);

}  // namespace guard
TINYPHI_NAMESPACE_END

#include "plugins/guard/rule_file.ipp"
#include "plugins/guard/rules.ipp"

#endif  // TINYPHI_PLUGINS_GUARD_RULES_H_
