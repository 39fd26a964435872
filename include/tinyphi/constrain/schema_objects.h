// SPDX-License-Identifier: MIT
// Objects of a schema as parts of a grammar: names in the schema's order, then
// others where the schema lets them in.
#ifndef TINYPHI_CONSTRAIN_SCHEMA_OBJECTS_H_
#define TINYPHI_CONSTRAIN_SCHEMA_OBJECTS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tinyphi/constrain/schema_shape.h"

TINYPHI_NAMESPACE_BEGIN

// Writer is schema_writer, which knows how values are written.
template <typename Writer>
class schema_objects {
 public:
  schema_objects(Writer& w, const schema_shape& s, std::size_t depth)
      : w_(&w), s_(&s), depth_(depth) {
    find_members();
  }

  std::uint32_t node() {
    if (s_->min_properties > s_->max_properties) return w_->nothing();
    if (n_required_ > s_->max_properties) return w_->nothing();
    const bool counts =
        s_->min_properties > n_required_ ||
        (s_->max_properties != schema_shape::unbounded &&
         (others_allowed_ || s_->max_properties < members_.size()));
    const std::uint32_t body = counts ? counted() : uncounted();
    auto& g = w_->parts();
    const std::uint32_t full =
        g.sequence({g.literal("{"), w_->json().open_gap(depth_), body,
                    w_->json().close_gap(depth_), g.literal("}")});
    if (n_required_ > 0 || s_->min_properties > 0) return full;
    return g.choice({w_->json().empty('{', '}'), full});
  }

 private:
  struct member {
    std::string name;
    bool required = false;
    std::uint32_t node = 0;  // name and value
  };

  void find_members() {
    const auto& rules = w_->source().rules();
    std::vector<std::uint32_t> others;
    others_allowed_ = true;
    for (const std::uint32_t o : s_->objects) {
      const schema_rule& r = rules[o];
      bool declares = false;
      for (const schema_property& p : r.properties) {
        declares |= p.rule != schema_rule::none;
        note(p);
      }
      if (r.additional != schema_rule::none) {
        others.push_back(r.additional);
        others_allowed_ &= !rules[r.additional].never;
      } else {
        others_allowed_ &= !declares;
      }
    }
    for (member& m : members_) {
      n_required_ += m.required ? 1 : 0;
      m.node = w_->parts().sequence(
          {w_->json().name(m.name), w_->value(rules_of(m.name), depth_ + 1)});
    }
    if (others_allowed_) find_other(std::move(others));
  }

  void note(const schema_property& p) {
    const auto [found, made] =
        by_name_.try_emplace(std::string(p.name), members_.size());
    if (made) members_.push_back({std::string(p.name), false, 0});
    members_[found->second].required |= p.required;
  }

  // All that is asked of a name's value.
  std::vector<std::uint32_t> rules_of(const std::string& name) const {
    std::vector<std::uint32_t> out;
    for (const std::uint32_t o : s_->objects) {
      const schema_rule& r = w_->source().rules()[o];
      const schema_property* p = r.find(name);
      if (p != nullptr && p->rule != schema_rule::none) {
        out.push_back(p->rule);
      } else if (r.additional != schema_rule::none) {
        out.push_back(r.additional);
      }
    }
    return out;
  }

  void find_other(std::vector<std::uint32_t> rules) {
    std::vector<std::string> names;
    for (const member& m : members_) names.push_back(m.name);
    const auto name = w_->json().other_name(names);
    if (!name) {
      w_->merger().fault(
          schema_fault_code::too_large, s_->rules.front(), "properties",
          "with other names beside these: " + name.error().message);
      others_allowed_ = false;
      return;
    }
    other_ =
        w_->parts().sequence({*name, w_->value(std::move(rules), depth_ + 1)});
  }

  std::uint32_t comma() { return w_->json().comma(depth_); }
  std::uint32_t behind_comma(std::uint32_t node) {
    return w_->parts().sequence({comma(), node});
  }
  std::uint32_t perhaps(std::uint32_t node) {
    auto& g = w_->parts();
    return g.choice({g.literal(""), node});
  }

  // At least one member. Whichever comes first, those behind it follow in
  // order; what is common to many beginnings is a rule.
  std::uint32_t uncounted() {
    auto& g = w_->parts();
    const std::size_t n = members_.size();
    constexpr std::size_t chunk = 16;
    std::map<std::size_t, std::uint32_t> tails;  // by first member; calls
    std::vector<std::uint32_t> optional(n);
    for (std::size_t i = 0; i < n; ++i) {
      optional[i] = behind_comma(members_[i].node);
      if (!members_[i].required) optional[i] = perhaps(optional[i]);
    }
    std::uint32_t others = g.literal("");
    if (others_allowed_) {
      others = g.repeat(behind_comma(other_), 0, byte_automaton::no_limit);
    }
    const auto behind = [&](std::size_t i) {
      std::vector<std::uint32_t> parts;
      for (; i < n && i % chunk != 0; ++i) parts.push_back(optional[i]);
      parts.push_back(i < n ? tails.at(i) : others);
      return g.sequence(std::move(parts));
    };
    for (std::size_t k = (n + chunk - 1) / chunk; k-- > 1;) {
      std::vector<std::uint32_t> parts;
      const std::size_t end = std::min(n, (k + 1) * chunk);
      for (std::size_t i = k * chunk; i < end; ++i)
        parts.push_back(optional[i]);
      parts.push_back(end < n ? tails.at(end) : others);
      tails[k * chunk] =
          g.call(g.rule("members", g.sequence(std::move(parts))));
    }
    // The beginnings of a chunk are a rule, too, where there are several.
    std::vector<std::uint32_t> all, beginnings;
    const auto put = [&] {
      std::uint32_t some = g.choice(std::exchange(beginnings, {}));
      if (n > chunk) some = g.call(g.rule("members", some));
      all.push_back(some);
    };
    for (std::size_t i = 0; i < n; ++i) {
      beginnings.push_back(g.sequence({members_[i].node, behind(i + 1)}));
      const bool last = members_[i].required || i + 1 == n;
      if (last || (i + 1) % chunk == 0) put();
      if (members_[i].required) return g.choice(std::move(all));
    }
    if (others_allowed_) {
      all.push_back(
          w_->json().list(other_, depth_, 1, byte_automaton::no_limit));
    }
    return g.choice(std::move(all));
  }

  // At least one member, min to max of them: a rule for each member and number
  // of those before it.
  std::uint32_t counted() {
    constexpr std::size_t max_counted = 64;
    const std::uint64_t min = std::max<std::uint64_t>(s_->min_properties, 1);
    if (members_.size() > max_counted) {
      w_->merger().fault(schema_fault_code::too_large, s_->rules.front(), "",
                         "minProperties and maxProperties hold with at most " +
                             std::to_string(max_counted) + " properties");
      return w_->nothing();
    }
    if (others_allowed_ && min > std::max<std::size_t>(n_required_, 1)) {
      // A name could come twice, and would be one member for the validator.
      w_->merger().fault(
          schema_fault_code::unwritable, s_->rules.front(), "minProperties",
          "where names are free, an answer can be held to at least one member "
          "beside the required ones only; require names instead");
      return w_->nothing();
    }
    return behind(0, 0, min);
  }

  std::uint32_t behind(std::size_t i, std::size_t before, std::uint64_t min) {
    const std::pair key{i, before};
    if (const auto found = counted_.find(key); found != counted_.end()) {
      return found->second;
    }
    auto& g = w_->parts();
    std::vector<std::uint32_t> ways;
    const auto with_comma = [&](std::uint32_t node) {
      return before > 0 ? behind_comma(node) : node;
    };
    if (i == members_.size()) {
      if (before >= min) ways.push_back(g.literal(""));
      const std::uint64_t room = s_->max_properties - before;
      const std::uint64_t owed = min > before ? min - before : 0;
      if (others_allowed_ && room > 0 && owed <= 1) {
        const auto most = room >= byte_automaton::no_limit
                              ? byte_automaton::no_limit
                              : static_cast<std::uint32_t>(room);
        const std::uint32_t first = with_comma(other_);
        ways.push_back(
            most == 1
                ? first
                : g.sequence({first, g.repeat(behind_comma(other_), 0,
                                              most == byte_automaton::no_limit
                                                  ? most
                                                  : most - 1)}));
      }
    } else {
      const member& m = members_[i];
      if (before < s_->max_properties) {
        ways.push_back(
            g.sequence({with_comma(m.node), behind(i + 1, before + 1, min)}));
      }
      if (!m.required) ways.push_back(behind(i + 1, before, min));
    }
    const std::uint32_t made =
        g.call(g.rule("members", g.choice(std::move(ways))));
    counted_.emplace(key, made);
    return made;
  }

  Writer* w_;
  const schema_shape* s_;
  std::size_t depth_;
  std::vector<member> members_;
  std::map<std::string, std::size_t> by_name_;
  std::size_t n_required_ = 0;
  bool others_allowed_ = true;
  std::uint32_t other_ = 0;  // name and value, where others are allowed
  std::map<std::pair<std::size_t, std::size_t>, std::uint32_t> counted_;
};

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_CONSTRAIN_SCHEMA_OBJECTS_H_
