// SPDX-License-Identifier: MIT
// Runs the nodes of a template; bounded in steps and output.
#ifndef TINYPHI_PLUGINS_TEMPLATE_TEMPLATE_RENDER_IPP_
#define TINYPHI_PLUGINS_TEMPLATE_TEMPLATE_RENDER_IPP_

#include <algorithm>

#include "plugins/template/template.h"

TINYPHI_NAMESPACE_BEGIN
namespace templates {
namespace detail {

class renderer {
 public:
  renderer(std::span<const std::string> names, const named_values& given,
           bool control, const stop_condition& stop)
      : control_(control), stop_(stop) {
    for (const std::string& name : names) {
      const auto it = given.find(name);
      variables_.push_back(it == given.end() ? nullptr : &it->second);
    }
    values_.slot = [this](std::size_t slot) { return data_of(slot); };
  }

  result<void> run(const std::vector<node>& nodes) {
    for (const node& n : nodes) {
      TINYPHI_CHECK_OK(step());
      TINYPHI_CHECK_OK(run(n));
    }
    return {};
  }

  [[nodiscard]] std::vector<piece> take() && { return std::move(pieces_); }

 private:
  struct loop_state {
    value_data list;
    trust label;
    std::size_t index = 0;
    value_data loop = {};  // made when it is asked for

    [[nodiscard]] const value_data::list& items() const {
      static const value_data::list none;
      const auto* all = list.get<value_data::list>();
      return all == nullptr ? none : *all;
    }
  };

  result<void> step() {
    if (++steps_ > checked_template::max_steps) {
      return error{error_code::limit,
                   "the template takes more than " +
                       std::to_string(checked_template::max_steps) + " steps"};
    }
    return steps_ % 16 == 0 ? stop_.check() : result<void>();
  }

  result<void> run(const node& n) {
    if (loops_.empty() && n.what != node::kind::branch) {
      pieces_.push_back({{}, n.place});
    }
    switch (n.what) {
      case node::kind::text:
        return put(n.text, trust::trusted, control_);
      case node::kind::print: {
        const expression& e = *n.value.checked;
        TINYPHI_TRY(const value_data x, e.evaluate(values_));
        return put(printed(x, e.type()), label_of(e), false);
      }
      case node::kind::loop:
        return run_loop(n);
      case node::kind::branch:
        for (const arm& a : n.arms) {
          if (a.when) {
            TINYPHI_TRY(const bool holds, a.when->checked->holds(values_));
            if (!holds) continue;
          }
          return run(a.body);
        }
    }
    return {};
  }

  result<void> run_loop(const node& n) {
    const expression& e = *n.value.checked;
    TINYPHI_TRY(value_data list, e.evaluate(values_));
    loops_.push_back({std::move(list), label_of(e)});
    const std::size_t n_items = loops_.back().items().size();
    for (std::size_t i = 0; i < n_items; ++i) {
      TINYPHI_CHECK_OK(step());
      loops_.back().index = i;
      loops_.back().loop = {};
      TINYPHI_CHECK_OK(run(n.arms[0].body));
    }
    loops_.pop_back();
    return {};
  }

  [[nodiscard]] const value_data* data_of(std::size_t slot) {
    if (slot < variables_.size()) {
      return variables_[slot] == nullptr ? nullptr : &variables_[slot]->data;
    }
    slot -= variables_.size();
    loop_state& l = loops_[slot / 2];
    if (slot % 2 == 0) return &l.items()[l.index];
    if (l.loop.is_null()) {
      const auto i = static_cast<std::int64_t>(l.index);
      const auto n = static_cast<std::int64_t>(l.items().size());
      l.loop = value_data::record{{"index", i + 1},
                                  {"index0", i},
                                  {"first", i == 0},
                                  {"last", i + 1 == n},
                                  {"length", n}};
    }
    return &l.loop;
  }

  [[nodiscard]] trust label_of(const expression& e) const {
    trust all = trust::trusted;
    for (const std::size_t slot : e.reads()) {
      if (slot >= variables_.size()) {
        all = join(all, loops_[(slot - variables_.size()) / 2].label);
      } else if (variables_[slot] != nullptr) {
        all = join(all, variables_[slot]->label);
      }
    }
    return all;
  }

  result<void> put(std::string text, trust label, bool control) {
    if (text.size() > checked_template::max_output - n_bytes_) {
      return error{error_code::limit,
                   "the template prints more than " +
                       std::to_string(checked_template::max_output) + " bytes"};
    }
    n_bytes_ += text.size();
    if (text.empty()) return {};
    auto& segments = pieces_.back().segments;
    if (!segments.empty() && segments.back().label == label &&
        segments.back().control == control) {
      segments.back().text += text;
    } else {
      segments.push_back({std::move(text), label, control});
    }
    return {};
  }

  std::vector<const value*> variables_;  // by slot
  expression_values values_;
  bool control_;
  const stop_condition& stop_;
  std::vector<loop_state> loops_;
  std::vector<piece> pieces_;
  std::size_t steps_ = 0;
  std::size_t n_bytes_ = 0;
};

inline std::size_t greatest_cost(const std::vector<node>& nodes,
                                 const checked_template::text_cost& text,
                                 const checked_template::place_cost& at_place,
                                 std::size_t most) {
  std::size_t sum = 0;
  for (const node& n : nodes) {
    std::size_t cost = 0;
    if (n.what == node::kind::branch) {
      for (const arm& a : n.arms) {
        cost = std::max(cost, greatest_cost(a.body, text, at_place, most));
      }
    } else {
      cost = n.what == node::kind::text ? text(n.text) : at_place(n.place);
    }
    sum += std::min(cost, most - sum);
  }
  return sum;
}

}  // namespace detail

inline std::size_t checked_template::greatest_cost(const text_cost& text,
                                                   const place_cost& at_place,
                                                   std::size_t most) const {
  return detail::greatest_cost(nodes_, text, at_place, most);
}

inline checked_template::beginning checked_template::constant_beginning()
    const {
  if (nodes_.empty()) return {{}, true};
  const detail::node& first = nodes_.front();
  if (first.what != detail::node::kind::text) return {};
  return {first.text, nodes_.size() == 1};
}

inline result<std::vector<piece>> checked_template::render(
    const named_values& values, bool control,
    const stop_condition& stop) const {
  detail::renderer r(variables_, values, control, stop);
  TINYPHI_CHECK_OK(r.run(nodes_));
  return std::move(r).take();
}

}  // namespace templates
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_TEMPLATE_TEMPLATE_RENDER_IPP_
