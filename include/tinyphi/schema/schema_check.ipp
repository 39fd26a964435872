// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SCHEMA_SCHEMA_CHECK_IPP_
#define TINYPHI_SCHEMA_SCHEMA_CHECK_IPP_

#include <algorithm>
#include <utility>

#include "tinyphi/base/utf8.h"
#include "tinyphi/schema/schema_check.h"

TINYPHI_NAMESPACE_BEGIN

// One check. What is found is noted in numbers; words are made of it at the
// end, since most of what is found in the branches of an anyOf is not a fault.
class schema_checker {
 public:
  using node = json_tree::node;
  using index = std::uint32_t;
  static constexpr index none = json_tree::none;

  schema_checker(const schema& s, const json_tree& value,
                 const check_limits& limits)
      : schema_(&s),
        doc_(&s.document()),
        value_(&value),
        limits_(limits),
        steps_(limits.max_steps) {}

  result<std::vector<value_fault>> check() {
    visit(schema_->root(), json_tree::root);
    if (steps_ == 0) {
      return error{error_code::limit,
                   "the check of the value took more than the " +
                       std::to_string(limits_.max_steps) +
                       " steps that are allowed; make the value smaller or the "
                       "schema simpler"};
    }
    if (too_deep_) {
      return error{error_code::limit,
                   "more than 1024 schemas nest in one another; put fewer "
                   "references and branches between two levels of the value"};
    }
    std::vector<value_fault> out;
    for (const finding& f : *found_) out.push_back(in_words(f));
    return out;
  }

 private:
  static constexpr std::size_t max_depth = 1024;

  struct finding {
    schema_keyword what = schema_keyword::never;
    index rule = 0;
    node at = 0;
    // Of required and oneOf: a property, or the two branches that fit; of
    // branches of which none fits: in causes_, or none.
    index first = none, second = none;
  };

  [[nodiscard]] bool over() const {
    return steps_ == 0 || too_deep_ || found_->size() >= most_;
  }

  void spend(std::uint64_t steps) { steps_ -= std::min(steps_, steps); }

  void report(const finding& f) {
    if (found_->size() < most_) found_->push_back(f);
  }

  // Whether the value at n fits; else, what was found is in *found_.
  bool visit(index rule, node n) {
    if (over()) return false;
    spend(1);
    if (depth_ == max_depth) {
      too_deep_ = true;
      return false;
    }
    ++depth_;
    const std::size_t before = found_->size();
    check_rule(rule, n);
    --depth_;
    return found_->size() == before && steps_ > 0 && !too_deep_;
  }

  void check_rule(index rule, node n) {
    const schema_rule& r = schema_->rules()[rule];
    const auto require = [&](bool holds, schema_keyword what) {
      if (!holds && steps_ > 0) report({what, rule, n});
    };
    require(!r.never, schema_keyword::never);
    if (r.ref != none) visit(r.ref, n);
    require(has_type(r.types, n), schema_keyword::type);
    if (r.constant != none) {
      require(equal_json(*doc_, r.constant, *value_, n, steps_),
              schema_keyword::constant);
    }
    if (r.enumeration != none) {
      require(in_enum(r.enumeration, n), schema_keyword::enumeration);
    }
    switch (value_->type(n)) {
      case json_type::number:
        spend(value_->text(n).size() / 16);
        check_number(r, value_->number(n), require);
        break;
      case json_type::string:
        spend(value_->text(n).size() / 16);
        check_string(r, value_->text(n), require);
        break;
      case json_type::array:
        require(value_->size(n) >= r.min_items, schema_keyword::min_items);
        require(value_->size(n) <= r.max_items, schema_keyword::max_items);
        check_elements(r, n);
        break;
      case json_type::object:
        require(value_->size(n) >= r.min_properties,
                schema_keyword::min_properties);
        require(value_->size(n) <= r.max_properties,
                schema_keyword::max_properties);
        check_members(r, rule, n);
        break;
      case json_type::null:
      case json_type::boolean:
        break;
    }
    for (const index all : r.all_of) visit(all, n);
    if (!r.any_of.empty()) check_any(rule, r.any_of, n, false);
    if (!r.one_of.empty()) check_any(rule, r.one_of, n, true);
  }

  [[nodiscard]] bool has_type(std::uint8_t types, node n) const {
    const json_type t = value_->type(n);
    if ((types & type_bit(static_cast<std::size_t>(t))) != 0) return true;
    return t == json_type::number && (types & integer_bit) != 0 &&
           is_integer(value_->number(n));
  }
  bool in_enum(node values, node n) {
    for (node v = doc_->first(values); v != none; v = doc_->next(v)) {
      if (equal_json(*doc_, v, *value_, n, steps_)) return true;
    }
    return false;
  }

  template <class Require>
  void check_number(const schema_rule& r, const decimal& d,
                    const Require& require) const {
    if (r.minimum != none) {
      require(d >= doc_->number(r.minimum), schema_keyword::minimum);
    }
    if (r.maximum != none) {
      require(d <= doc_->number(r.maximum), schema_keyword::maximum);
    }
    if (r.exclusive_minimum != none) {
      require(d > doc_->number(r.exclusive_minimum),
              schema_keyword::exclusive_minimum);
    }
    if (r.exclusive_maximum != none) {
      require(d < doc_->number(r.exclusive_maximum),
              schema_keyword::exclusive_maximum);
    }
    if (r.multiple_of != none) {
      require(is_multiple(d, doc_->number(r.multiple_of)),
              schema_keyword::multiple_of);
    }
  }

  template <class Require>
  void check_string(const schema_rule& r, std::string_view text,
                    const Require& require) {
    if (r.min_length > 0 || r.max_length != r.unbounded) {
      const std::uint64_t characters = count_characters(text);
      require(characters >= r.min_length, schema_keyword::min_length);
      require(characters <= r.max_length, schema_keyword::max_length);
    }
    if (r.pattern != none) {
      require(schema_->patterns()[r.pattern].found_in(text, steps_),
              schema_keyword::pattern);
    }
    if (r.format) {
      require(has_format(*r.format, text, steps_), schema_keyword::format);
    }
  }

  void check_elements(const schema_rule& r, node n) {
    std::size_t i = 0;
    for (node e = value_->first(n); e != none && !over();
         e = value_->next(e), ++i) {
      const index rule =
          i < r.prefix_items.size() ? r.prefix_items[i] : r.items;
      if (rule == none) break;
      visit(rule, e);
    }
  }

  void check_members(const schema_rule& r, index rule, node n) {
    if (over() || (r.properties.empty() && r.additional == none)) return;
    spend(value_->size(n));
    std::size_t n_required = 0;
    for (node m = value_->first(n); m != none && !over(); m = value_->next(m)) {
      const schema_property* p = r.find(value_->key(m));
      if (p != nullptr && p->required) ++n_required;
      const bool declared = p != nullptr && p->rule != none;
      const index rule_of_m = declared ? p->rule : r.additional;
      if (rule_of_m == none) continue;
      if (!declared && schema_->rules()[rule_of_m].never) {
        report({schema_keyword::additional_properties, rule, m});
      } else {
        visit(rule_of_m, m);
      }
    }
    if (n_required == r.n_required) return;
    for (index i = 0; i < r.properties.size() && !over(); ++i) {
      if (!r.properties[i].required) continue;
      spend(value_->size(n));
      if (value_->find(n, r.properties[i].name) == none) {
        report({schema_keyword::required, rule, n, i});
      }
    }
  }

  void check_any(index rule, const std::vector<index>& branches, node n,
                 bool exactly_one) {
    if (over()) return;
    // Of each branch the first finding is enough.
    std::vector<finding> local;
    auto* const outer = std::exchange(found_, &local);
    const std::size_t outer_most = std::exchange(most_, 1);
    finding all{exactly_one ? schema_keyword::one_of : schema_keyword::any_of,
                rule, n};
    index fits = none;
    bool twice = false;
    std::size_t nearest = 0;
    for (index i = 0; i < branches.size() && steps_ > 0 && !too_deep_; ++i) {
      local.clear();
      if (visit(branches[i], n)) {
        twice = fits != none;
        if (twice) all.second = i;
        if (!twice) fits = i;
        if (twice || !exactly_one) break;
      } else if (!local.empty() && nearness(local[0]) > nearest) {
        nearest = nearness(local[0]);
        if (all.first == none) {
          all.first = static_cast<index>(causes_.size());
          causes_.emplace_back();
        }
        causes_[all.first] = local[0];
      }
    }
    found_ = outer;
    most_ = outer_most;
    if (steps_ == 0 || too_deep_ || (fits != none && !twice)) return;
    if (twice) all.first = fits;
    report(all);
  }
  // Of a branch's finding: how deep it is in the value, and then, whether the
  // type was right at least; never 0.
  [[nodiscard]] std::size_t nearness(const finding& f) const {
    std::size_t levels = 1;
    for (node n = f.at; value_->parent(n) != none; n = value_->parent(n)) {
      ++levels;
    }
    return 2 * levels + (f.what == schema_keyword::type ? 0 : 1);
  }

  [[nodiscard]] value_fault in_words(const finding& f) const {
    const schema_rule& r = schema_->rules()[f.rule];
    value_fault out;
    out.at = value_->pointer(f.at);
    out.rule = doc_->pointer(r.where);
    if (f.what != schema_keyword::never) {
      out.rule += '/';
      out.rule += schema_keyword_names[static_cast<std::size_t>(f.what)];
    }
    out.message = message(f, r);
    return out;
  }

  [[nodiscard]] std::string message(const finding& f,
                                    const schema_rule& r) const {
    const std::string found = value_->quoted(f.at);
    const auto compared = [&](std::string_view how, node bound) {
      return found + " found; " + std::string(how) + " " + doc_->quoted(bound) +
             " is allowed";
    };
    const auto counted = [&](std::uint64_t n, std::string_view what,
                             std::string_view how, std::uint64_t bound) {
      return std::to_string(n) + " " + std::string(what) + " found; " +
             std::string(how) + " " + std::to_string(bound) + " are allowed";
    };
    switch (f.what) {
      case schema_keyword::type:
        return found + " found; " + type_list(r.types) + " is allowed";
      case schema_keyword::enumeration:
        return found + " found; one of " + doc_->quoted(r.enumeration) +
               " is allowed";
      case schema_keyword::constant:
        return compared("only", r.constant);
      case schema_keyword::minimum:
        return compared("at least", r.minimum);
      case schema_keyword::maximum:
        return compared("at most", r.maximum);
      case schema_keyword::exclusive_minimum:
        return compared("more than", r.exclusive_minimum);
      case schema_keyword::exclusive_maximum:
        return compared("less than", r.exclusive_maximum);
      case schema_keyword::multiple_of:
        return compared("a multiple of", r.multiple_of);
      case schema_keyword::min_length:
        return counted(count_characters(value_->text(f.at)), "characters",
                       "at least", r.min_length);
      case schema_keyword::max_length:
        return counted(count_characters(value_->text(f.at)), "characters",
                       "at most", r.max_length);
      case schema_keyword::pattern:
        return found + " found; it does not match the pattern " +
               doc_->quoted(doc_->find(r.where, "pattern"));
      case schema_keyword::format:
        return found + " found; it is not of the format '" +
               std::string(text_format_names[static_cast<std::size_t>(
                   r.format.value_or(text_format::date))]) +
               "'";
      case schema_keyword::min_items:
        return counted(value_->size(f.at), "elements", "at least", r.min_items);
      case schema_keyword::max_items:
        return counted(value_->size(f.at), "elements", "at most", r.max_items);
      case schema_keyword::min_properties:
        return counted(value_->size(f.at), "members", "at least",
                       r.min_properties);
      case schema_keyword::max_properties:
        return counted(value_->size(f.at), "members", "at most",
                       r.max_properties);
      case schema_keyword::required:
        return "the member " + detail::quoted_name(r.properties[f.first].name) +
               " is missing; it is required";
      case schema_keyword::additional_properties:
        return "the member " + detail::quoted_name(value_->key(f.at)) +
               " found; no other names than those of 'properties' are allowed";
      case schema_keyword::any_of:
        return none_fits(f, r.any_of.size());
      case schema_keyword::one_of:
        if (f.second == none) return none_fits(f, r.one_of.size());
        return found + " fits branches " + std::to_string(f.first) + " and " +
               std::to_string(f.second) + "; exactly one is allowed";
      case schema_keyword::never:
        return found + " found; nothing is allowed here";
      case schema_keyword::ref:
      case schema_keyword::items:
      case schema_keyword::prefix_items:
      case schema_keyword::properties:
      case schema_keyword::all_of:
        break;  // found in the schemas that these lead to
    }
    return {};
  }

  [[nodiscard]] std::string none_fits(const finding& f,
                                      std::size_t branches) const {
    std::string out = value_->quoted(f.at) + " found; it fits none of the " +
                      std::to_string(branches) + " branches";
    if (f.first == none) return out;
    // The innermost finding: those around it say no more.
    finding cause = causes_[f.first];
    while ((cause.what == schema_keyword::any_of ||
            cause.what == schema_keyword::one_of) &&
           cause.second == none && cause.first != none) {
      cause = causes_[cause.first];
    }
    return out + ", of which the nearest: " + to_string(in_words(cause));
  }
  static std::string type_list(std::uint8_t types) {
    std::string out;
    for (std::size_t i = 0; i < std::size(schema_type_names); ++i) {
      if ((types & type_bit(i)) == 0) continue;
      out += (out.empty() ? "'" : " or '") + std::string(schema_type_names[i]) +
             "'";
    }
    return out;
  }

  const schema* schema_;
  const json_tree* doc_;
  const json_tree* value_;
  check_limits limits_;
  std::uint64_t steps_;
  std::size_t depth_ = 0;
  bool too_deep_ = false;
  std::vector<finding> all_found_;
  std::vector<finding>* found_ = &all_found_;
  std::size_t most_ = std::max<std::size_t>(limits_.max_faults, 1);
  std::vector<finding> causes_;
};

TINYPHI_FUNC result<std::vector<value_fault>> check_value(
    const schema& s, const json_tree& value, const check_limits& limits) {
  return schema_checker(s, value, limits).check();
}

TINYPHI_FUNC result<std::vector<value_fault>> check_text(
    const schema& s, std::string_view text, const check_limits& limits) {
  TINYPHI_TRY(const json_tree value, json_tree::read(text));
  return check_value(s, value, limits);
}

TINYPHI_FUNC std::string to_string(const value_fault& fault) {
  std::string out = fault.at + (fault.at.empty() ? "" : ": ") + fault.message +
                    " (schema: " + (fault.rule.empty() ? "/" : fault.rule) +
                    ")";
  hide_controls(out);
  return out;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SCHEMA_SCHEMA_CHECK_IPP_
