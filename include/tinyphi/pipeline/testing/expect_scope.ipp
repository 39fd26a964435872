// SPDX-License-Identifier: MIT
// The names in what a test expects. Used by test_case.ipp only.
#ifndef TINYPHI_PIPELINE_TESTING_EXPECT_SCOPE_IPP_
#define TINYPHI_PIPELINE_TESTING_EXPECT_SCOPE_IPP_

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tinyphi/pipeline/testing/test_case.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// What names mean in expectations: all values of the file, its outputs, and the
// error with which the request ended.
class expect_scope final : public expression_scope {
 public:
  explicit expect_scope(const graph& g) : g_(g), numbers_(g) {}

  [[nodiscard]] meaning find(
      std::span<const std::string_view> names) const override {
    if (names.size() < 2) return {no_value(std::string(names[0])), 1};
    const std::string full =
        std::string(names[0]) + "." + std::string(names[1]);
    if (names[0] == "output") {
      const auto it =
          std::ranges::find(g_.outputs, names[1], &graph_output::name);
      if (it == g_.outputs.end()) return {no_value(full), 2};
      const auto n = static_cast<std::size_t>(it - g_.outputs.begin());
      return {slot{numbers_.n_slots + n, it->type, true, {}}, 2};
    }
    if (names[0] == "error") {
      const auto& fields = test_numbers::error_fields;
      const auto it = std::ranges::find(fields, names[1]);
      if (it == std::end(fields)) return {no_value(full), 2};
      type t = type_kind::text;
      if (*it == "code") {
        t = type::one_of(
            {std::begin(error_code_names), std::end(error_code_names)});
      }
      return {slot{numbers_.n_slots + numbers_.n_outputs +
                       static_cast<std::size_t>(it - std::begin(fields)),
                   t,
                   true,
                   {}},
              2};
    }
    const auto it = std::ranges::find(g_.slots, full, &graph_slot::name);
    if (it == g_.slots.end()) return {no_value(full), 2};
    return {slot{static_cast<std::size_t>(it - g_.slots.begin()),
                 it->type,
                 true,
                 {}},
            2};
  }
  [[nodiscard]] std::span<const std::string_view> name_functions()
      const override {
    return test_numbers::functions;
  }
  [[nodiscard]] std::variant<std::size_t, std::string> find_call(
      std::string_view function, std::string_view name) const override {
    const auto& functions = test_numbers::functions;
    const auto f = static_cast<std::size_t>(
        std::ranges::find(functions, function) - std::begin(functions));
    const bool of_stages = f < test_numbers::n_of_stages;
    std::vector<std::string_view> names;
    if (of_stages) {
      for (const graph_stage& stage : g_.stages) names.push_back(stage.id);
    } else {
      for (const auto& tool : g_.tools) names.push_back(tool.first);
    }
    const auto it = std::ranges::find(names, name);
    if (it == names.end()) {
      return (of_stages ? "no stage " : "no tool ") + quote(name) +
             did_you_mean(name, names);
    }
    return numbers_.call(f, static_cast<std::size_t>(it - names.begin()));
  }
  [[nodiscard]] bool allows_absent() const override { return true; }

 private:
  [[nodiscard]] std::string no_value(const std::string& full) const {
    std::vector<std::string> names;
    for (const graph_output& o : g_.outputs)
      names.push_back("output." + o.name);
    for (const graph_slot& s : g_.slots) names.push_back(s.name);
    for (const std::string_view f : test_numbers::error_fields) {
      names.push_back("error." + std::string(f));
    }
    const std::vector<std::string_view> known(names.begin(), names.end());
    return "no such value " + quote(full) + did_you_mean(full, known);
  }

  const graph& g_;
  test_numbers numbers_;
};

}  // namespace detail

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_TESTING_EXPECT_SCOPE_IPP_
