// SPDX-License-Identifier: MIT
// Types of the expressions in a template, and its places.
#ifndef TINYPHI_PLUGINS_TEMPLATE_TEMPLATE_CHECK_IPP_
#define TINYPHI_PLUGINS_TEMPLATE_TEMPLATE_CHECK_IPP_

#include <algorithm>

#include "plugins/template/template.h"

TINYPHI_NAMESPACE_BEGIN
namespace templates {

// Slots are the variables, in the order of their names, then an item and a
// `loop` for each loop around the place, outermost first.
class template_checker final : public expression_scope {
 public:
  template_checker(const parsed_template& t, const variables& types)
      : types_(types) {
    out_.nodes_ = t.nodes_;
    for (const auto& [name, use] : t.uses_) out_.variables_.push_back(name);
  }

  checked_template run() {
    check(out_.nodes_, {});
    return std::move(out_);
  }

  [[nodiscard]] meaning find(
      std::span<const std::string_view> names) const override {
    for (std::size_t i = loops_.size(); i-- > 0;) {
      const std::size_t first = out_.variables_.size() + 2 * i;
      if (loops_[i].name == names[0]) {
        return {slot{first, loops_[i].item, false, {}}, 1};
      }
      if (names[0] == "loop")
        return {slot{first + 1, loop_type(), false, {}}, 1};
    }
    const auto it = std::ranges::find(out_.variables_, names[0]);
    const variable& v = types_.find(names[0])->second;
    return {slot{static_cast<std::size_t>(it - out_.variables_.begin()), v.type,
                 v.may_be_absent, "a template need not be given it"},
            1};
  }

 private:
  using node = detail::node;
  struct open_loop {
    std::string name;
    type item;
  };

  static const type& loop_type() {
    static const type t =
        type::record_of("loop", {{"index", type_kind::integer},
                                 {"index0", type_kind::integer},
                                 {"first", type_kind::boolean},
                                 {"last", type_kind::boolean},
                                 {"length", type_kind::integer}});
    return t;
  }

  static std::string words_of(const expression_tree& tree) {
    const expression_node& whole = tree.nodes().back();
    return tree.text().substr(whole.begin, whole.end - whole.begin);
  }

  void check(std::vector<node>& nodes, const presence_facts& known) {
    for (node& n : nodes) {
      switch (n.what) {
        case node::kind::text:
          break;
        case node::kind::print:
          check_print(n, known);
          break;
        case node::kind::loop:
          check_loop(n, known);
          break;
        case node::kind::branch:
          check_branch(n, known);
      }
    }
  }

  // Moves the tree into an expression.
  template <class Check>
  const expression& checked(detail::formula& f, Check judge,
                            const presence_facts& known) {
    auto e = judge(std::move(f.tree), *this, known);
    if (!e) {
      throw template_fault{fault::bad_template, f.offset + e.error().offset,
                           std::move(e).error().message};
    }
    return f.checked.emplace(*std::move(e));
  }

  void check_print(node& n, const presence_facts& known) {
    const expression_tree tree = n.value.tree;
    const std::string words = words_of(tree);
    try {
      checked(n.value, check_printed, known);
    } catch (template_fault& f) {
      // All is well but the type of the whole.
      if (f.offset == n.value.offset && check_expression(tree, *this, known) &&
          f.message.starts_with(words)) {
        f.code = fault::type_mismatch;
        f.message = "{{ " + words + " }}" + f.message.substr(words.size());
      }
      throw;
    }
    if (loops_.empty()) n.place = add_place(n);
    note_prints(*n.value.checked);
  }

  void check_loop(node& n, const presence_facts& known) {
    presence_facts inside = known_in_loop(known, n.value.tree, n.text);
    const expression& list = checked(n.value, check_expression, known);
    const type& t = list.type();
    if (!t.is(type_kind::list) && !t.is(type_kind::any)) {
      throw template_fault{fault::type_mismatch, n.value.offset,
                           "the template loops over " + words_of(list.tree()) +
                               ", which is " + to_string(t) + ", not a list"};
    }
    if (loops_.empty()) n.place = add_place(n);
    note_prints(list);
    loops_.push_back({n.text, t.element()});
    check(n.arms[0].body, inside);
    loops_.pop_back();
  }

  void check_branch(node& n, presence_facts known) {
    for (detail::arm& arm : n.arms) {
      presence_facts here = known;
      if (arm.when) {
        const expression& e = checked(*arm.when, check_condition, known);
        here.add(e.tree().proves(true));
        known.add(e.tree().proves(false));
      }
      check(arm.body, here);
    }
  }

  std::size_t add_place(const node& n) {
    const expression& e = *n.value.checked;
    place p;
    p.offset = n.value.offset;
    p.is_loop = n.what == node::kind::loop;
    if (!p.is_loop) p.type = e.type();
    p.reads = names_of(e);
    for (const expression_node& part : e.tree().nodes()) {
      const auto* literal = part.constant.get<std::string>();
      if (literal != nullptr) p.literals.push_back(*literal);
    }
    const auto& whole = e.tree().nodes().back();
    if (p.is_loop && whole.steps.size() == 1) p.list = whole.name;
    p.is_path = !p.is_loop && whole.what == expression_node::kind::path &&
                p.reads.size() == 1;
    if (!p.is_loop && p.reads.empty()) {
      if (const auto data = e.evaluate({}))
        p.constant = printed(*data, e.type());
    }
    out_.places_.push_back(std::move(p));
    return out_.places_.size() - 1;
  }

  [[nodiscard]] std::vector<std::string> names_of(const expression& e) const {
    std::vector<std::string> names;
    for (const std::size_t read : e.reads()) {
      if (read < out_.variables_.size()) names.push_back(out_.variables_[read]);
    }
    return names;
  }

  // Belongs to the place that was added last.
  void note_prints(const expression& e) {
    for (std::string& name : names_of(e)) {
      auto& all = out_.places_.back().prints;
      if (std::ranges::find(all, name) == all.end()) {
        all.push_back(std::move(name));
      }
    }
  }

  const variables& types_;
  std::vector<open_loop> loops_;
  checked_template out_;
};

inline result<checked_template, template_fault> parsed_template::check(
    const variables& types) const {
  try {
    return template_checker(*this, types).run();
  } catch (template_fault& f) {
    return std::move(f);
  }
}

}  // namespace templates
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_TEMPLATE_TEMPLATE_CHECK_IPP_
