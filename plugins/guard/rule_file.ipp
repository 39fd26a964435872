// SPDX-License-Identifier: MIT
// Rule files: TOML as gitleaks has it.
#ifndef TINYPHI_PLUGINS_GUARD_RULE_FILE_IPP_
#define TINYPHI_PLUGINS_GUARD_RULE_FILE_IPP_

#include "plugins/guard/rules.h"
#include "tinyphi/base/mapped_file.h"
#include "tinyphi/pipeline/config_reader.h"
#include "tinyphi/pipeline/toml_file.h"

TINYPHI_NAMESPACE_BEGIN
namespace guard {
namespace detail {

class rule_reader : private config_reader {
 public:
  rule_reader(const config_node& root, std::vector<diagnostic>& faults)
      : config_reader(root, faults) {}

  std::optional<rule_set> read() {
    const std::size_t before = faults_->size();
    check_keys(*root_, "",
               {"title", "description", "minVersion", "rules", "allowlist",
                "allowlists"},
               {"extend"});
    std::vector<allowlist> common =
        read_allowlists(*root_, "the file", common_nodes_, true);
    if (const auto* list =
            tables(*root_, "rules", "the file", rule_limits::max_rules)) {
      for (const config_node& node : *list) read_rule(node);
    }
    if (faults_->size() == before && rules_.empty()) {
      const config_member* list = root_->find("rules");
      report(fault::nothing_served, list ? list->at : position{},
             "there is no rule with a regex, so nothing is found");
    }
    if (faults_->size() != before) return std::nullopt;
    std::vector<rule_fault> wrong;
    auto set = rule_set::make(std::move(rules_), std::move(common), wrong);
    for (rule_fault& f : wrong) {
      report(fault::out_of_range, place(f), std::move(f.message));
    }
    return set;
  }

 private:
  // The list of tables at `key`; null if it is not there or (reported) no such.
  const config_array* tables(const config_node& in, std::string_view key,
                             const std::string& where, std::size_t most) {
    const auto* list =
        optional_key<config_array>(in, key, where, "a list of tables");
    if (list == nullptr || !check_size(list->size(), in.find(key)->at,
                                       where + ": " + std::string(key), most)) {
      return nullptr;
    }
    for (const config_node& item : *list) {
      if (item.get<config_table>() != nullptr) continue;
      report(fault::wrong_type, item.at,
             where + ": " + std::string(key) + " has " +
                 std::string(item.kind()) + " in it, each must be a table");
      return nullptr;
    }
    return list;
  }

  std::vector<std::string> texts(const config_node& in, std::string_view key,
                                 const std::string& where) {
    std::vector<std::string> out;
    const auto* list =
        optional_key<config_array>(in, key, where, "a list of strings");
    if (list == nullptr || !check_size(list->size(), in.find(key)->at,
                                       where + ": " + std::string(key),
                                       rule_limits::max_list_items)) {
      return out;
    }
    for (const config_node& item : *list) {
      if (const auto* text = item.get<std::string>()) {
        out.push_back(*text);
      } else {
        report(fault::wrong_type, item.at,
               where + ": " + std::string(key) + " has " +
                   std::string(item.kind()) + " in it, each must be a string");
      }
    }
    return out;
  }

  std::string text(const config_node& in, std::string_view key,
                   const std::string& where) {
    const auto* t = optional_key<std::string>(in, key, where, "a string");
    return t != nullptr ? *t : std::string();
  }

  void read_rule(const config_node& node) {
    rule r;
    const config_member* id = node.find("id");
    const std::string number = std::to_string(++n_rules_);
    r.id = text(node, "id", "rule " + number);
    const std::string where = "rule " + (r.id.empty() ? number : quote(r.id));
    check_keys(node, where,
               {"id", "description", "regex", "path", "keywords", "entropy",
                "secretGroup", "tags", "allowlist", "allowlists", "score"},
               {"required", "skipReport"});
    if (id == nullptr) report(fault::missing_key, node.at, where + ": no id");
    r.description = text(node, "description", where);
    r.keywords = texts(node, "keywords", where);
    (void)texts(node, "tags", where);
    r.entropy = read_number(node, "entropy", where, 0, 8).value_or(0);
    r.secret_group = static_cast<std::size_t>(
        read_integer(node, "secretGroup", where, 0, regex::max_groups)
            .value_or(0));
    r.score = read_number(node, "score", where, 0.01, 1).value_or(1);
    std::vector<const config_node*> nodes;
    r.allowlists = read_allowlists(node, where, nodes, false);
    const bool has_path = !text(node, "path", where).empty();
    if (node.find("regex") == nullptr) {
      if (!has_path) {
        report(fault::missing_key, node.at, where + ": no regex");
      }
      return;
    }
    r.regex = text(node, "regex", where);
    rules_.push_back(std::move(r));
    rule_nodes_.push_back(&node);
    allowlist_nodes_.push_back(std::move(nodes));
  }

  // Those of [[allowlists]], or the one of [allowlist], the older form.
  std::vector<allowlist> read_allowlists(const config_node& in,
                                         const std::string& where,
                                         std::vector<const config_node*>& nodes,
                                         bool is_common) {
    std::vector<allowlist> out;
    const config_member* old = in.find("allowlist");
    if (old != nullptr && old->value.get<config_table>() == nullptr) {
      report(fault::wrong_type, old->value.at,
             where + ": allowlist is " + std::string(old->value.kind()) +
                 ", it must be a table");
    } else if (old != nullptr) {
      nodes.push_back(&old->value);
    }
    if (const auto* list =
            tables(in, "allowlists", where, rule_limits::max_allowlists)) {
      for (const config_node& node : *list) nodes.push_back(&node);
    }
    for (const config_node* node : nodes) {
      out.push_back(read_allowlist(*node, where + ": allowlist", is_common));
    }
    return out;
  }

  allowlist read_allowlist(const config_node& node, const std::string& where,
                           bool is_common) {
    constexpr std::string_view conditions[] = {"OR", "AND", "||", "&&"};
    constexpr std::string_view targets[] = {"secret", "match", "line"};
    if (is_common) {
      check_keys(node, where,
                 {"description", "condition", "regexTarget", "regexes", "paths",
                  "commits", "stopwords", "targetRules"},
                 {});
    } else {
      check_keys(node, where,
                 {"description", "condition", "regexTarget", "regexes", "paths",
                  "commits", "stopwords"},
                 {});
    }
    allowlist a;
    (void)text(node, "description", where);
    a.all =
        read_choice(node, "condition", where, conditions).value_or(0) % 2 == 1;
    a.regex_target = static_cast<allowlist::target>(
        read_choice(node, "regexTarget", where, targets).value_or(0));
    a.regexes = texts(node, "regexes", where);
    a.stopwords = texts(node, "stopwords", where);
    if (is_common) a.rules = texts(node, "targetRules", where);
    a.has_paths_or_commits = !texts(node, "paths", where).empty();
    a.has_paths_or_commits |= !texts(node, "commits", where).empty();
    if (a.regexes.empty() && a.stopwords.empty() && !a.has_paths_or_commits) {
      report(fault::missing_key, node.at,
             where +
                 ": none of regexes, stopwords, paths, commits is there, "
                 "which would allow nothing or all");
    }
    return a;
  }

  [[nodiscard]] position place(const rule_fault& f) const {
    const bool is_common = f.rule == rule_fault::none;
    const config_node* node = is_common ? root_ : rule_nodes_[f.rule];
    if (f.allowlist != rule_fault::none) {
      node =
          (is_common ? common_nodes_ : allowlist_nodes_[f.rule])[f.allowlist];
    }
    const config_member* key = node->find(f.key);
    if (key == nullptr) return node->at;
    const auto* list = key->value.get<config_array>();
    return list != nullptr && f.item < list->size() ? (*list)[f.item].at
                                                    : key->value.at;
  }

  std::vector<rule> rules_;
  std::size_t n_rules_ = 0;
  // Of what was read, for the places of faults.
  std::vector<const config_node*> rule_nodes_, common_nodes_;
  std::vector<std::vector<const config_node*>> allowlist_nodes_;
};

}  // namespace detail

inline std::optional<rule_set> read_rules(std::string_view text,
                                          std::vector<diagnostic>& faults) {
  const std::size_t before = faults.size();
  const auto root = parse_toml(text, "a rule file", faults);
  if (!root || faults.size() != before) return std::nullopt;
  return detail::rule_reader(*root, faults).read();
}

inline std::optional<rule_set> read_rules(const config_node& list,
                                          std::vector<diagnostic>& faults) {
  const config_node root{
      config_table{{.key = "rules", .at = list.at, .value = list}},
      list.at,
      {}};
  return detail::rule_reader(root, faults).read();
}

inline result<rule_set> parse_rules(std::string_view text,
                                    std::string_view file) {
  std::vector<diagnostic> faults;
  auto set = read_rules(text, faults);
  if (set) return *std::move(set);
  return error{error_code::bad_data, to_string(faults, file)};
}

inline result<rule_set> load_rules(const std::filesystem::path& path) {
  TINYPHI_TRY(const std::string text,
              read_file(path, rule_limits::max_file_bytes));
  return parse_rules(text, path.string());
}

}  // namespace guard
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_GUARD_RULE_FILE_IPP_
