// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_EXPRESSION_SYNTAX_IPP_
#define TINYPHI_PIPELINE_EXPRESSION_SYNTAX_IPP_

#include <algorithm>
#include <iterator>

#include "tinyphi/base/ascii.h"
#include "tinyphi/base/utf8.h"
#include "tinyphi/pipeline/expression/parser.ipp"
#include "tinyphi/pipeline/expression/syntax.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC void presence_facts::add(const presence_facts& more) {
  paths_.insert(more.paths_.begin(), more.paths_.end());
}

TINYPHI_FUNC void presence_facts::keep(const presence_facts& other) {
  presence_facts both;
  for (const std::string& path : paths_) {
    if (other.has(path)) both.add(path);
  }
  for (const std::string& path : other.paths_) {
    if (has(path)) both.add(path);
  }
  *this = std::move(both);
}

TINYPHI_FUNC void presence_facts::forget(std::string_view name) {
  std::erase_if(paths_, [&](std::string_view path) {
    // Its index may be what has changed: "x[name]".
    for (std::size_t at = path.find(name); at != std::string_view::npos;
         at = path.find(name, at + 1)) {
      const std::size_t end = at + name.size();
      if ((at == 0 || !ascii::is_word(path[at - 1])) &&
          (end == path.size() || !ascii::is_word(path[end]))) {
        return true;
      }
    }
    return false;
  });
}

TINYPHI_FUNC bool presence_facts::has_beginning(const std::string& path) const {
  const auto it = paths_.lower_bound(path);
  return it != paths_.end() && it->starts_with(path);
}

TINYPHI_FUNC bool presence_facts::has(std::string_view path) const {
  const std::string p(path);
  if (paths_.contains(p) || has_beginning(p + '.') || has_beginning(p + '[')) {
    return true;
  }
  for (const std::string_view end : {"[0]", "[-1]"}) {
    if (!path.ends_with(end)) continue;
    const std::string list = p.substr(0, p.size() - end.size() + 1);
    for (auto it = paths_.lower_bound(list);
         it != paths_.end() && it->starts_with(list); ++it) {
      if ((*it)[list.size()] != ']') return true;
    }
  }
  return false;
}

TINYPHI_FUNC bool takes_name(std::string_view function) {
  constexpr std::string_view all[] = {"failed",   "ran",   "rounds",
                                      "attempts", "calls", "denied"};
  return std::ranges::find(all, function) != std::end(all);
}

TINYPHI_FUNC result<expression_tree, expression_fault> expression_tree::parse(
    std::string_view text, std::size_t* end) {
  const auto fault = [](std::size_t offset, std::string message) {
    return expression_fault{expression_fault::kind::syntax, offset,
                            std::move(message)};
  };
  const std::string_view part = text.substr(0, max_bytes);
  const auto too_long = [&] {
    return fault(max_bytes, "an expression has at most " +
                                std::to_string(max_bytes) + " bytes");
  };
  if (end == nullptr && part.size() < text.size()) return too_long();
  try {
    std::size_t stop = part.size();
    expression_tree tree =
        expression_parser(part).whole(end == nullptr ? nullptr : &stop);
    if (stop == part.size() && part.size() < text.size()) return too_long();
    const std::size_t invalid = find_invalid_utf8(part.substr(0, stop));
    if (invalid != std::string_view::npos) return fault(invalid, "not UTF-8");
    tree.text_ = part.substr(0, stop);
    if (end != nullptr) *end = stop;
    return tree;
  } catch (const expression_fault& f) {
    return f;
  }
}

TINYPHI_FUNC std::string expression_tree::spelling(std::size_t node) const {
  const expression_node& n = nodes_[node];
  if (n.what == expression_node::kind::path) return n.name;
  if (n.what != expression_node::kind::call || n.operands.size() != 1) {
    return {};
  }
  const bool last = n.name == "last";
  if (!last && n.name != "first" && n.name != "min" && n.name != "max") {
    return {};
  }
  const std::string list = spelling(n.operands[0]);
  return list.empty() ? list : list + (last ? "[-1]" : "[0]");
}

TINYPHI_FUNC presence_facts expression_tree::proves(std::size_t node,
                                                    bool outcome) const {
  const expression_node& n = nodes_[node];
  presence_facts facts;
  if (n.what == expression_node::kind::call) {
    if (outcome && n.name == "has" && n.operands.size() == 1) {
      if (std::string path = spelling(n.operands[0]); !path.empty()) {
        facts.add(std::move(path));
      }
    }
    return facts;
  }
  if (n.what != expression_node::kind::operation) return facts;
  switch (n.operation) {
    case expression_operator::negate:
      return proves(n.operands[0], !outcome);
    case expression_operator::both:
    case expression_operator::either: {
      facts = proves(n.operands[0], outcome);
      const presence_facts right = proves(n.operands[1], outcome);
      const bool all = (n.operation == expression_operator::both) == outcome;
      all ? facts.add(right) : facts.keep(right);
      return facts;
    }
    default:
      return facts;
  }
}

TINYPHI_FUNC std::vector<expression_tree::path_use> expression_tree::paths(
    const presence_facts& known) const {
  std::vector<path_use> out;
  list_paths(nodes_.size() - 1, known, false, out);
  return out;
}

TINYPHI_FUNC void expression_tree::list_paths(
    std::size_t node, const presence_facts& known, bool optional,
    std::vector<path_use>& out) const {
  const expression_node& n = nodes_[node];
  using step = expression_node::step;
  if (n.what == expression_node::kind::path) {
    path_use use;
    for (const step& s : n.steps) {
      if (s.what != step::kind::name) break;
      use.names.push_back(s.name);
    }
    use.offset = n.begin;
    use.optional = optional || known.has(use.names[0]);
    out.push_back(std::move(use));
    for (const step& s : n.steps) {
      if (s.what == step::kind::item) list_paths(s.index, known, optional, out);
    }
    return;
  }
  if (n.what == expression_node::kind::call && takes_name(n.name)) return;
  const bool call = n.what == expression_node::kind::call;
  for (std::size_t i = 0; i < n.operands.size(); ++i) {
    const bool catches =
        call && (n.name == "has" || (n.name == "default" && i == 0));
    presence_facts here = known;
    if (i == 1 && n.what == expression_node::kind::operation) {
      if (n.operation == expression_operator::both) {
        here.add(proves(n.operands[0], true));
      } else if (n.operation == expression_operator::either) {
        here.add(proves(n.operands[0], false));
      }
    }
    list_paths(n.operands[i], here, optional || catches, out);
  }
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_EXPRESSION_SYNTAX_IPP_
