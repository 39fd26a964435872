// SPDX-License-Identifier: MIT
// What $ref leads to, and references that never end.
#ifndef TINYPHI_SCHEMA_SCHEMA_REFERENCES_IPP_
#define TINYPHI_SCHEMA_SCHEMA_REFERENCES_IPP_

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "tinyphi/base/ascii.h"
#include "tinyphi/schema/schema.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// The child that a token of a JSON pointer names, or none.
inline json_tree::node follow_token(const json_tree& t, json_tree::node around,
                                    std::string_view token) {
  if (t.type(around) == json_type::array) {
    std::size_t i = 0;
    json_tree::node c = t.first(around);
    for (; c != t.none && std::to_string(i) != token; c = t.next(c)) ++i;
    return c;
  }
  if (t.type(around) != json_type::object) return t.none;
  std::string name;
  for (std::size_t i = 0; i < token.size(); ++i) {
    if (token[i] != '~') {
      name += token[i];
      continue;
    }
    const char next = ++i < token.size() ? token[i] : ' ';
    if (next != '0' && next != '1') return t.none;
    name += next == '0' ? '~' : '/';
  }
  return t.find(around, name);
}

// The node that a JSON pointer leads to as it stands in a URI, or none. It is
// empty or begins with '/'.
inline json_tree::node follow_pointer(const json_tree& t,
                                      std::string_view pointer) {
  const auto plain = ascii::percent_decoded(pointer);
  if (!plain) return t.none;
  json_tree::node at = t.root;
  for (std::string_view rest = *plain; !rest.empty() && at != t.none;) {
    rest.remove_prefix(1);
    const std::size_t size = std::min(rest.find('/'), rest.size());
    at = follow_token(t, at, rest.substr(0, size));
    rest.remove_prefix(size);
  }
  return at;
}

inline constexpr std::uint32_t no_more_branches = schema_rule::none - 1;

// The i-th schema that checks the same value as r: the reference, which may be
// none, then those of the three lists.
inline std::uint32_t branch_of(const schema_rule& r, std::size_t i) {
  if (i == 0) return r.ref;
  --i;
  for (const auto* list : {&r.any_of, &r.one_of, &r.all_of}) {
    if (i < list->size()) return (*list)[i];
    i -= list->size();
  }
  return no_more_branches;
}

struct rule_loop {
  std::uint32_t from = 0, to = 0;
};

// A rule that comes back to itself before it looks into the value would be
// checked for ever: its last step, if there is one.
inline std::optional<rule_loop> find_endless_reference(
    const std::vector<schema_rule>& rules) {
  enum : std::uint8_t { fresh, open, done };
  std::vector<std::uint8_t> mark(rules.size(), fresh);
  std::vector<std::pair<std::uint32_t, std::size_t>> path;  // and next branch
  for (std::uint32_t start = 0; start < mark.size(); ++start) {
    if (mark[start] == fresh) path.push_back({start, 0});
    while (!path.empty()) {
      auto& [rule, branch] = path.back();
      mark[rule] = open;
      const std::uint32_t next = branch_of(rules[rule], branch++);
      if (next == no_more_branches) {
        mark[rule] = done;
        path.pop_back();
      } else if (next != schema_rule::none && mark[next] == open) {
        return rule_loop{rule, next};
      } else if (next != schema_rule::none && mark[next] == fresh) {
        path.push_back({next, 0});
      }
    }
  }
  return std::nullopt;
}

}  // namespace detail

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SCHEMA_SCHEMA_REFERENCES_IPP_
