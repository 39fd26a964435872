// SPDX-License-Identifier: MIT
#ifndef TINYPHI_CONSTRAIN_SCHEMA_GRAMMAR_IPP_
#define TINYPHI_CONSTRAIN_SCHEMA_GRAMMAR_IPP_

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "tinyphi/constrain/json_rules.h"
#include "tinyphi/constrain/schema_grammar.h"
#include "tinyphi/constrain/schema_objects.h"
#include "tinyphi/constrain/schema_shape.h"
#include "tinyphi/schema/schema_check.h"

TINYPHI_NAMESPACE_BEGIN

// Writes a schema's values into a grammar. A value that cannot be is a choice
// of nothing, which the grammar's automata leave out.
class schema_writer {
 public:
  using indices = std::vector<std::uint32_t>;

  schema_writer(const schema& s, json_gaps gaps)
      : schema_(&s), json_(g_, gaps), merger_(s, faults_) {}

  result<grammar, schema::faults> write() {
    const std::uint32_t root = value({schema_->root()}, 0);
    while (!jobs_.empty() && faults_.empty() &&
           g_.nodes.size() <= grammar::max_nodes) {
      const job j = std::move(jobs_.back());
      jobs_.pop_back();
      const std::uint32_t node = shaped(merger_.merged(j.rules), j.depth);
      g_.rules[j.rule].node = node;
    }
    if (!faults_.empty()) return std::move(faults_);
    g_.start = g_.rule("the schema", root);
    if (const auto good = g_.check(); !good) {
      merger_.fault(good.error().code == error_code::limit
                        ? schema_fault_code::too_large
                        : schema_fault_code::unwritable,
                    schema_->root(), "",
                    good.error().code == error_code::limit
                        ? good.error().message
                        : "no finite value fits it");
      return std::move(faults_);
    }
    return std::move(g_);
  }

  // What schema_objects asks for.
  grammar& parts() { return g_; }
  json_rules& json() { return json_; }
  shape_merger& merger() { return merger_; }
  [[nodiscard]] const schema& source() const { return *schema_; }
  std::uint32_t nothing() { return g_.choice({}); }

  // The value that all of `rules` are about; any value if there are none.
  // Values of the same rules are one rule of the grammar, so that schemas may
  // refer to themselves.
  std::uint32_t value(indices rules, std::size_t depth) {
    if (rules.empty()) return json_.any_value(depth);
    if (json_.depth_matters() && depth > json_rules::max_lines_depth) {
      return nothing();
    }
    std::ranges::sort(rules);
    rules.erase(std::unique(rules.begin(), rules.end()), rules.end());
    const std::pair key{rules, json_.depth_matters() ? depth : 0};
    if (const auto found = known_.find(key); found != known_.end()) {
      return found->second;
    }
    const std::uint32_t r = g_.rule(
        schema_->document().pointer(schema_->rules()[rules.front()].where));
    const std::uint32_t call = g_.call(r);
    known_.emplace(key, call);
    jobs_.push_back({r, std::move(rules), depth});
    return call;
  }

 private:
  // A value whose rule of the grammar is called, and not yet written.
  struct job {
    std::uint32_t rule;
    indices rules;
    std::size_t depth;
  };

  // One branch of each choice after the other.
  std::uint32_t shaped(schema_shape s, std::size_t depth) {
    if (s.never || s.types == 0) return nothing();
    if (s.choices.empty()) return plain(s, depth);
    constexpr std::size_t max_choices = 32;
    if (s.choices.size() > max_choices) {
      merger_.fault(schema_fault_code::too_large, s.choices.back().rule, "",
                    "more than " + std::to_string(max_choices) +
                        " keywords anyOf and oneOf ask for one value");
      return nothing();
    }
    constexpr std::size_t max_branches = 1024;
    const schema_shape::branches b = s.choices.back();
    s.choices.pop_back();
    const schema_rule& r = schema_->rules()[b.rule];
    const indices& rules = b.exclusive ? r.one_of : r.any_of;
    if (b.exclusive) check_disjoint(b.rule, rules);
    std::vector<std::uint32_t> nodes;
    for (const std::uint32_t rule : rules) {
      if (++branches_ > max_branches) {
        merger_.fault(
            schema_fault_code::too_large, b.rule,
            b.exclusive ? "oneOf" : "anyOf",
            "its branches and those that they meet are more than the " +
                std::to_string(max_branches) + " that are allowed");
        break;
      }
      schema_shape one = s;
      merger_.add(one, rule);
      nodes.push_back(shaped(std::move(one), depth));
    }
    return g_.choice(std::move(nodes));
  }

  void check_disjoint(std::uint32_t rule, const indices& rules) {
    constexpr std::size_t max_told_apart = 64;
    if (rules.size() > max_told_apart) {
      merger_.fault(schema_fault_code::too_large, rule, "oneOf",
                    std::to_string(rules.size()) + " branches, " +
                        std::to_string(max_told_apart) +
                        " are told apart at most; use anyOf, or an enum");
      return;
    }
    std::vector<schema_shape> shapes;
    for (const std::uint32_t r : rules) shapes.push_back(merger_.merged({r}));
    for (std::size_t i = 0; i < rules.size(); ++i) {
      for (std::size_t j = i + 1; j < rules.size(); ++j) {
        if (merger_.disjoint(shapes[i], shapes[j])) continue;
        merger_.fault(
            schema_fault_code::overlapping, rule, "oneOf",
            "one value may fit branch " + std::to_string(i) + " and branch " +
                std::to_string(j) +
                "; give each a type of its own or a different required "
                "constant, or use anyOf");
        return;
      }
    }
  }

  std::uint32_t plain(const schema_shape& s, std::size_t depth) {
    if (s.values) return listed(s);
    std::vector<std::uint32_t> kinds;
    const auto has = [&](std::size_t type) {
      return (s.types & type_bit(type)) != 0;
    };
    if (has(0)) kinds.push_back(g_.literal("null"));
    if (has(1)) kinds.push_back(json_.boolean());
    if (has(2) || has(6)) kinds.push_back(number(s, !has(2)));
    if (has(3)) kinds.push_back(string(s));
    if (has(4)) kinds.push_back(array(s, depth));
    if (has(5)) {
      kinds.push_back(schema_objects<schema_writer>(*this, s, depth).node());
    }
    return kinds.size() == 1 ? kinds.front() : g_.choice(std::move(kinds));
  }

  // Of enum's values those that all the other keywords take.
  std::uint32_t listed(const schema_shape& s) {
    std::vector<std::uint32_t> nodes;
    for (const json_tree::node n : *s.values) {
      const std::string text = json_text(schema_->document(), n);
      const bool fits = std::ranges::all_of(s.rules, [&](std::uint32_t rule) {
        // The values are those of all lists already.
        if (lists_only(schema_->rules()[rule])) return true;
        const auto faults = check_text(schema_->rooted_at(rule), text);
        return faults && faults->empty();
      });
      if (fits) nodes.push_back(g_.literal(text));
    }
    return g_.choice(std::move(nodes));
  }

  // Whether a rule says nothing but which values there are.
  static bool lists_only(const schema_rule& r) {
    constexpr auto none = schema_rule::none;
    constexpr auto unbounded = schema_rule::unbounded;
    const bool numbers = r.minimum == none && r.maximum == none &&
                         r.exclusive_minimum == none &&
                         r.exclusive_maximum == none && r.multiple_of == none;
    const bool sizes = r.min_length == 0 && r.max_length == unbounded &&
                       r.min_items == 0 && r.max_items == unbounded &&
                       r.min_properties == 0 && r.max_properties == unbounded;
    const bool parts = r.items == none && r.prefix_items.empty() &&
                       r.additional == none && r.properties.empty();
    const bool others = r.any_of.empty() && r.one_of.empty() &&
                        r.all_of.empty() && r.ref == none;
    return r.types == any_type && numbers && sizes && parts && others &&
           r.pattern == none && !r.format && !r.never;
  }

  std::uint32_t number(const schema_shape& s, bool integer) {
    number_shape shape = s.number;
    shape.integer = integer;
    if (!shape.least && !shape.most && shape.divisor == 1 &&
        (integer || shape.decimals == 16)) {
      return json_.any_number(integer);
    }
    const auto made = json_.number(shape);
    if (made) return *made;
    merger_.fault(schema_fault_code::unwritable, s.rules.front(), "",
                  made.error().message);
    return nothing();
  }

  static std::uint32_t count(std::uint64_t n) {
    return n >= byte_automaton::no_limit ? byte_automaton::no_limit
                                         : static_cast<std::uint32_t>(n);
  }

  std::uint32_t string(const schema_shape& s) {
    if (s.min_length > s.max_length) return nothing();
    const std::uint32_t min = count(s.min_length), max = count(s.max_length);
    if (s.strings.empty()) return json_.string(min, max);
    const auto made = patterned(s, min, max);
    if (made) return *made;
    merger_.fault(
        schema_fault_code::unwritable, s.strings.front(), "",
        "pattern, format and lengths together: " + made.error().message);
    return nothing();
  }

  result<std::uint32_t> patterned(const schema_shape& s, std::uint32_t min,
                                  std::uint32_t max) {
    byte_automaton all;
    bool first = true;
    const auto also = [&](const byte_automaton& a) -> result<void> {
      if (std::exchange(first, false)) {
        all = a;
        return {};
      }
      TINYPHI_TRY(all, byte_automaton::both(all, a));
      return {};
    };
    for (const std::uint32_t rule : s.strings) {
      const schema_rule& r = schema_->rules()[rule];
      const json_tree& d = schema_->document();
      if (r.format) {
        TINYPHI_TRY(const byte_automaton a, format_automaton(*r.format));
        TINYPHI_CHECK_OK(also(a));
      }
      if (const auto n = d.find(r.where, "pattern");
          r.pattern != schema_rule::none && n != json_tree::none) {
        TINYPHI_TRY(const regex_syntax syntax, regex_syntax::parse(d.text(n)));
        TINYPHI_TRY(
            const byte_automaton a,
            byte_automaton::regex(syntax, byte_automaton::extent::found));
        TINYPHI_CHECK_OK(also(a));
      }
    }
    if (min > 0 || max != byte_automaton::no_limit) {
      TINYPHI_TRY(const byte_automaton a, byte_automaton::characters(min, max));
      TINYPHI_CHECK_OK(also(a));
    }
    return json_.string_of(all);
  }

  // An array whose first elements have schemas of their own.
  std::uint32_t array(const schema_shape& s, std::size_t depth) {
    if (s.min_items > s.max_items) return nothing();
    std::uint64_t prefix = 0;
    for (const std::uint32_t a : s.arrays) {
      prefix = std::max<std::uint64_t>(prefix,
                                       schema_->rules()[a].prefix_items.size());
    }
    prefix = std::min(prefix, s.max_items);
    const auto item = [&](std::uint64_t i) {
      indices rules;
      for (const std::uint32_t a : s.arrays) {
        const schema_rule& r = schema_->rules()[a];
        if (i < r.prefix_items.size()) {
          rules.push_back(r.prefix_items[static_cast<std::size_t>(i)]);
        } else if (r.items != schema_rule::none) {
          rules.push_back(r.items);
        }
      }
      return value(std::move(rules), depth + 1);
    };
    // What may stand behind the first ones, from the last to the first.
    const std::uint32_t max_rest = s.max_items == schema_shape::unbounded
                                       ? byte_automaton::no_limit
                                       : count(s.max_items - prefix);
    const std::uint32_t min_rest =
        count(s.min_items > prefix ? s.min_items - prefix : 0);
    std::uint32_t elements = 0;
    if (prefix == 0) {
      if (max_rest == 0) return json_.empty('[', ']');
      elements = json_.list(item(0), depth,
                            std::max<std::uint32_t>(min_rest, 1), max_rest);
    } else {
      std::uint32_t rest =
          max_rest == 0
              ? g_.literal("")
              : g_.repeat(g_.sequence({json_.comma(depth), item(prefix)}),
                          min_rest, max_rest);
      for (std::uint64_t i = prefix; i-- > 1;) {
        rest = g_.sequence({json_.comma(depth), item(i), rest});
        if (i >= s.min_items) rest = g_.choice({g_.literal(""), rest});
      }
      elements = g_.sequence({item(0), rest});
    }
    const std::uint32_t full =
        g_.sequence({g_.literal("["), json_.open_gap(depth), elements,
                     json_.close_gap(depth), g_.literal("]")});
    if (s.min_items > 0) return full;
    return g_.choice({json_.empty('[', ']'), full});
  }

  const schema* schema_;
  grammar g_;
  json_rules json_;
  schema::faults faults_;
  shape_merger merger_;
  std::map<std::pair<indices, std::size_t>, std::uint32_t> known_;  // calls
  std::vector<job> jobs_;
  std::size_t branches_ = 0;
};

TINYPHI_FUNC result<grammar, schema::faults> schema_grammar(const schema& s,
                                                            json_gaps gaps) {
  return schema_writer(s, gaps).write();
}

TINYPHI_FUNC grammar any_object_grammar(json_gaps gaps) {
  grammar g;
  const std::uint32_t object = json_rules(g, gaps).any_object(0);
  g.start = g.rule("any object", object);
  return g;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_CONSTRAIN_SCHEMA_GRAMMAR_IPP_
