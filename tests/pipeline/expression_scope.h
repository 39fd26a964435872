// SPDX-License-Identifier: MIT
// A scope of expressions that is a list of names, for tests and fuzzing.
#ifndef TESTS_PIPELINE_EXPRESSION_SCOPE_H_
#define TESTS_PIPELINE_EXPRESSION_SCOPE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "tinyphi/pipeline/diagnostic.h"
#include "tinyphi/pipeline/expression/expression.h"

namespace tinyphi_test {

using namespace tinyphi;

struct named_value {
  std::string name;  // one or two names: "docs", "find.docs"
  tinyphi::type type;
  std::optional<value_data> data;  // nothing: absent
  bool may_be_absent = false;
  bool is_constant = false;
};

class named_scope : public expression_scope {
 public:
  explicit named_scope(std::vector<named_value> values)
      : values_(std::move(values)) {}

  [[nodiscard]] meaning find(
      std::span<const std::string_view> names) const override {
    std::string path;
    std::vector<std::string_view> known;
    for (std::size_t n = 1; n <= std::min<std::size_t>(names.size(), 2); ++n) {
      path += (n > 1 ? "." : "") + std::string(names[n - 1]);
      for (std::size_t i = 0; i < values_.size(); ++i) {
        const named_value& v = values_[i];
        if (n == 1) known.push_back(v.name);
        if (v.name != path) continue;
        if (v.is_constant) return {constant{*v.data, v.type}, n};
        return {
            slot{i, v.type, v.may_be_absent, "stage " + v.name + " may skip"},
            n};
      }
    }
    return {"no such value '" + path + "'" + did_you_mean(path, known), 1};
  }
  [[nodiscard]] std::span<const std::string_view> name_functions()
      const override {
    static constexpr std::string_view offered[] = {"failed", "rounds"};
    return offered;
  }
  [[nodiscard]] std::variant<std::size_t, std::string> find_call(
      std::string_view function, std::string_view name) const override {
    if (name != "agent") return expression_scope::find_call(function, name);
    return std::size_t{function == "failed" ? 7u : 8u};
  }
  [[nodiscard]] bool has_tokens() const override { return tokens; }
  [[nodiscard]] bool allows_absent() const override { return absent; }

  // failed(agent) is true, rounds(agent) 3; a token has four bytes.
  [[nodiscard]] expression_values values() const {
    expression_values out;
    out.slot = [this](std::size_t i) {
      return values_[i].data ? &*values_[i].data : nullptr;
    };
    out.call = [](std::size_t n) {
      return n == 7 ? value_data(true) : value_data(3);
    };
    out.count_tokens = [](std::string_view text) { return text.size() / 4; };
    return out;
  }

  bool tokens = true;
  bool absent = false;

 private:
  std::vector<named_value> values_;
};

inline value_data record(std::initializer_list<value_data::member> members) {
  return value_data(value_data::record(members));
}
inline value_data list(std::initializer_list<value_data> items) {
  return value_data(value_data::list(items));
}

// A value of every kind.
inline named_scope make_scope() {
  const type line =
      type::record_of("line", {{"text", type_kind::text},
                               {"amount", type_kind::number},
                               {"tags", type::list_of(type_kind::text)}});
  const value_data lines = list(
      {record({{"text", "ink"}, {"amount", 2.5}, {"tags", list({"a"})}}),
       record({{"text", "pen"}, {"amount", 4.0}, {"tags", list({"b", "c"})}})});
  const value_data json =
      record({{"n", 3},
              {"s", "x"},
              {"items", list({record({{"y", 1}}), "z", record({{"y", 2}})})}});
  labelled_prompt prompt;
  prompt.segments = {{"The pu", trust::trusted}, {"mp is blue", trust::user}};
  return named_scope(
      {{"n", type_kind::integer, value_data(3)},
       {"x", type_kind::number, value_data(2.5)},
       {"huge", type_kind::integer,
        value_data(std::numeric_limits<std::int64_t>::max())},
       {"s", type_kind::text, value_data("Pump A\nis blue\n\nok")},
       {"yes", type_kind::boolean, value_data(true)},
       {"time", type_kind::duration, value_data(90'000)},
       {"bytes", type_kind::size, value_data(1 << 20)},
       {"file", type_kind::file, value_data("a.pdf")},
       {"sort.label", type::one_of({"yes", "no"}), value_data("yes")},
       {"sort.gone", type_kind::text, {}, true},
       {"value.lines", type::list_of(line), lines},
       {"words", type::list_of(type_kind::text), list({"b", "a"})},
       {"empty", type::list_of(type_kind::integer), list({})},
       {"maybe", type::list_of(line), lines, true},
       {"json", type_kind::json, json},
       {"p.prompt", type_kind::prompt, value_data(prompt)},
       {"unknown", {}, value_data(1)},
       {"row",
        type::record_of("", {{"a", type_kind::text}, {"b", type_kind::size}}),
        record({{"a", "x"}, {"b", 1}})},
       {"env.N", type_kind::number, value_data(0.5), false, true},
       {"env.RE", type_kind::text, value_data("^P.*A$"), false, true}});
}

}  // namespace tinyphi_test

#endif  // TESTS_PIPELINE_EXPRESSION_SCOPE_H_
