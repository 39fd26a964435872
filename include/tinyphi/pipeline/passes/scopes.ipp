// SPDX-License-Identifier: MIT
// What names stand for in the expressions of a file. Used by types.ipp only.
#ifndef TINYPHI_PIPELINE_PASSES_SCOPES_IPP_
#define TINYPHI_PIPELINE_PASSES_SCOPES_IPP_

#include "tinyphi/pipeline/passes/presence.ipp"
#include "tinyphi/pipeline/passes/resolve.ipp"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// What names mean in `when`, in cases of switches, and in outputs: all values
// of the file. Slots are the graph's, then `item` and `index`.
class graph_scope final : public expression_scope {
 public:
  graph_scope(const compilation& c, const presence_table& presence,
              const graph_stage* stage, type item)
      : c_(c), presence_(presence), stage_(stage), item_(std::move(item)) {}

  [[nodiscard]] meaning find(
      std::span<const std::string_view> names) const override {
    const found_name found = find_name(c_, names, stage_);
    if (!found.source) return {found.message, 1};
    const graph_source& source = *found.source;
    switch (source.what) {
      case graph_source::kind::constant:
        return {constant{source.constant, source.type}, found.n_names};
      case graph_source::kind::item:
        return {slot{c_.g.slots.size(), item_, false, {}}, 1};
      case graph_source::kind::index:
        return {slot{c_.g.slots.size() + 1, type_kind::integer, false, {}}, 1};
      case graph_source::kind::slot:
        break;
    }
    const graph_slot& s = c_.g.slots[source.slot];
    return {slot{source.slot, s.poisoned ? type() : s.type,
                 s.may_be_absent() && !s.poisoned, presence_.reasons(s.guards)},
            found.n_names};
  }
  [[nodiscard]] std::span<const std::string_view> name_functions()
      const override {
    static constexpr std::string_view names[] = {"failed"};
    return names;
  }
  [[nodiscard]] std::variant<std::size_t, std::string> find_call(
      std::string_view, std::string_view name) const override {
    return *c_.find_stage(name);  // resolve.ipp has found it
  }

 private:
  const compilation& c_;
  const presence_table& presence_;
  const graph_stage* stage_;
  type item_;
};

// The out-ports of one call, by their plain names.
class outputs_scope final : public expression_scope {
 public:
  outputs_scope(const graph_stage& stage, std::span<const type> types)
      : stage_(stage), types_(types) {}

  [[nodiscard]] meaning find(
      std::span<const std::string_view> names) const override {
    std::vector<std::string_view> known;
    for (std::size_t i = 0; i < stage_.out.size(); ++i) {
      const port_info& p = stage_.out[i];
      if (p.name == names[0]) {
        return {
            slot{i, types_[i], !p.required, "the stage may not give " + p.name},
            1};
      }
      known.push_back(p.name);
    }
    return {"no out-port " + quote(names[0]) + did_you_mean(names[0], known),
            1};
  }

 private:
  const graph_stage& stage_;
  std::span<const type> types_;
};

}  // namespace detail

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_PASSES_SCOPES_IPP_
