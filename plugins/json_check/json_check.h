// SPDX-License-Identifier: MIT
// The stage `json.check`: JSON or a record -> whether it is of a type and keeps
// the author's rules, and what is wrong in words.
#ifndef TINYPHI_PLUGINS_JSON_CHECK_JSON_CHECK_H_
#define TINYPHI_PLUGINS_JSON_CHECK_JSON_CHECK_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "tinyphi/base/utf8.h"
#include "tinyphi/pipeline/expression/expression.h"
#include "tinyphi/pipeline/stage.h"
#include "tinyphi/pipeline/value_check.h"

TINYPHI_NAMESPACE_BEGIN

// A row of with.rules.
struct json_rule {
  std::string expr;
  std::string message;

  static constexpr auto params() {
    return std::tuple{param("expr", &json_rule::expr)
                          .required()
                          .doc("must hold; `value` is what is checked"),
                      param("message", &json_rule::message)
                          .required()
                          .doc("the error if it does not")};
  }
};

struct json_check_stage {
  static constexpr stage_info info{
      .id = "json.check",
      .summary = "Checks JSON or a record against a type and rules"};
  static constexpr std::size_t max_faults = 16;  // of the type
  static constexpr std::size_t max_rules = 64;
  static constexpr std::size_t max_message = 500;  // bytes of each error

  struct config {
    std::optional<type_ref> type;
    std::vector<json_rule> rules;
  };
  struct inputs {
    value_data value;
  };
  struct outputs {
    bool ok = false;
    std::vector<std::string> errors;
    std::optional<value_data> value;
  };

  static constexpr auto params() {
    return std::tuple{
        param("type", &config::type).doc("a [type.x] that it must be of"),
        param("rules", &config::rules)
            .doc("[{ expr, message }], asked of a value that is of the type")};
  }
  static constexpr auto in_ports() {
    return std::tuple{port("value", &inputs::value)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("ok", &outputs::ok),
                      port("errors", &outputs::errors),
                      port("value", &outputs::value)};
  }

  static stage_facts check(const config& c, const call_facts& call,
                           const host&) {
    stage_facts facts;
    const auto fail = [&](fault code, std::string param, std::size_t offset,
                          std::string message) {
      facts.faults.push_back(
          {code, std::move(param), offset, std::move(message)});
    };
    const tinyphi::type given = type_given(call);
    const tinyphi::type root = root_type(c, call);
    facts.out_types["value"] = root;
    if (!c.type && c.rules.empty()) {
      fail(fault::missing_key, "type", 0,
           "is missing, and so is with.rules: nothing would be checked");
    }
    if (c.rules.size() > max_rules) {
      fail(fault::out_of_range, "rules", 0,
           "has " + std::to_string(c.rules.size()) + " rules, allowed are " +
               std::to_string(max_rules));
      return facts;
    }
    if (const std::string wrong = misfit_of(c, given); !wrong.empty()) {
      fail(fault::type_mismatch, c.type ? "type" : "rules", 0, wrong);
      return facts;
    }
    for (std::size_t i = 0; i < c.rules.size(); ++i) {
      const json_rule& r = c.rules[i];
      const std::string place = "rules[" + std::to_string(i) + "].";
      if (const auto made = compile(r, root); !made) {
        fail(fault::bad_expression, place + "expr", made.error().offset,
             made.error().message);
      }
      if (r.message.empty() || r.message.size() > max_message) {
        fail(fault::out_of_range, place + "message", 0,
             "has " + std::to_string(r.message.size()) +
                 " bytes, allowed are 1 to " + std::to_string(max_message));
      }
    }
    return facts;
  }

  json_check_stage(const config& c, const call_facts& call, const host&) {
    if (c.type) type_ = c.type->type;
    const tinyphi::type root = root_type(c, call);
    for (const json_rule& r : c.rules) {
      auto made = compile(r, root);
      if (!made) {
        throw stage_error(error_code::invalid_argument,
                          "with.rules: " + made.error().message);
      }
      rules_.push_back({*std::move(made), r.message});
    }
  }

  task<outputs> run(run_context& cx, inputs in) const {
    const auto judge = [&] { return judged(in.value); };
    task<outputs> work = cx.blocking(judge);
    co_return co_await std::move(work);
  }

 private:
  // What the rules see.
  class value_scope final : public expression_scope {
   public:
    explicit value_scope(const tinyphi::type& root) : root_(root) {}
    [[nodiscard]] meaning find(
        std::span<const std::string_view> names) const override {
      if (names[0] == "value") return {slot{0, root_, false, {}}, 1};
      constexpr std::string_view known[] = {"value"};
      return {"no such value " + quote(names[0]) +
                  "; a rule looks at value, which is what is checked" +
                  did_you_mean(names[0], known),
              1};
    }

   private:
    const tinyphi::type& root_;
  };

  struct checked_rule {
    expression test;
    std::string message;
  };

  // Of what is bound; any if that is not known.
  static tinyphi::type type_given(const call_facts& call) {
    const auto it = call.types.find("value");
    return it == call.types.end() ? tinyphi::type() : it->second;
  }
  static tinyphi::type root_type(const config& c, const call_facts& call) {
    return c.type ? c.type->type : type_given(call);
  }

  static result<expression, expression_fault> compile(
      const json_rule& r, const tinyphi::type& root) {
    TINYPHI_TRY(auto tree, expression_tree::parse(r.expr));
    return check_condition(std::move(tree), value_scope(root));
  }

  // Kinds that a value of one cannot have in common with those of another.
  static bool may_be(const tinyphi::type& from, const tinyphi::type& to) {
    const auto plain = [](const tinyphi::type& t) {
      if (t.is_number()) return type_kind::number;
      return t.is(type_kind::path) || t.is(type_kind::file) ? type_kind::text
                                                            : t.kind();
    };
    const auto is_open = [](const tinyphi::type& t) {
      return t.is(type_kind::any) || t.is(type_kind::json);
    };
    return is_open(from) || is_open(to) || plain(from) == plain(to);
  }

  // Why what is bound can never be right; empty if it can.
  static std::string misfit_of(const config& c, const tinyphi::type& given) {
    constexpr std::string_view way =
        ", and a text is not read as JSON; bind json, such as an input, a row "
        "of table.read, or what json.pick takes out of one";
    const bool is_text =
        may_be(given, type_kind::text) && !may_be(given, type_kind::boolean);
    if (!c.type) {
      return is_text ? "in.value is " + to_string(given) + std::string(way)
                     : "";
    }
    if (may_be(given, c.type->type)) return {};
    return "with.type is " + c.type->name + ", but in.value is " +
           to_string(given) + std::string(is_text ? way : "");
  }

  outputs judged(const value_data& given) const {
    outputs out;
    value_data value = given;
    if (type_) {
      add_faults(value, *type_, "", out.errors);
      if (out.errors.empty()) value = conform(value, *type_);
    }
    // Rules are about values of the type.
    if (out.errors.empty()) add_broken_rules(value, out.errors);
    out.ok = out.errors.empty();
    if (out.ok) out.value = std::move(value);
    return out;
  }

  void add_broken_rules(const value_data& value,
                        std::vector<std::string>& errors) const {
    expression_values values;
    values.slot = [&](std::size_t) { return &value; };
    for (const checked_rule& r : rules_) {
      const auto holds = r.test.holds(values);
      if (!holds) {
        throw stage_error(
            error{holds.error()}.within("the rule " + quote(r.message)));
      }
      if (!*holds) errors.push_back(r.message);
    }
  }

  // What the type says against the data, as "pointer: message".
  static void add_faults(const value_data& data, const tinyphi::type& t,
                         const std::string& at,
                         std::vector<std::string>& errors) {
    if (errors.size() >= max_faults) return;
    if (t.rules() != nullptr) {
      const std::size_t before = errors.size();
      const check_limits limits{.max_faults = max_faults - before};
      for (const value_fault& f :
           unwrap(check_data(*t.rules(), data, limits))) {
        errors.push_back(in_line(at + f.at, f.message));
      }
      if (errors.size() != before) return;
    } else if (const auto* items = data.get<value_data::list>();
               items != nullptr && t.is(type_kind::list)) {
      for (std::size_t i = 0; i < items->size(); ++i) {
        add_faults((*items)[i], t.element(), at + "/" + std::to_string(i),
                   errors);
      }
      return;
    }
    if (const auto wrong = find_misfit(data, t)) {
      errors.push_back(in_line(at, *wrong));
    }
  }

  static std::string in_line(const std::string& at,
                             const std::string& message) {
    std::string line = at + (at.empty() ? "" : ": ") + message;
    if (line.size() > max_message) {
      line.resize(complete_utf8_length(
          std::string_view(line).substr(0, max_message - 3)));
      line += "...";
    }
    hide_controls(line);
    return line;
  }

  std::optional<tinyphi::type> type_;
  std::vector<checked_rule> rules_;
};
static_assert(stage<json_check_stage>);

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_JSON_CHECK_JSON_CHECK_H_
