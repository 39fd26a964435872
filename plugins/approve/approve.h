// SPDX-License-Identifier: MIT
// The stage `approve`: values -> the same values, if a person says yes.
#ifndef TINYPHI_PLUGINS_APPROVE_APPROVE_H_
#define TINYPHI_PLUGINS_APPROVE_APPROVE_H_

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "plugins/template/template.h"
#include "tinyphi/base/utf8.h"
#include "tinyphi/pipeline/config_reader.h"
#include "tinyphi/pipeline/stage.h"
#include "tinyphi/pipeline/value_json.h"

TINYPHI_NAMESPACE_BEGIN

struct approve_stage {
  static constexpr stage_info info{
      .id = "approve",
      .summary = "Passes values on if a person says yes",
      .asks_person = true};
  // Of the question and of each value, as they are shown.
  static constexpr std::size_t max_shown_bytes = 4096;

  struct config {
    std::string ask;
    std::chrono::milliseconds wait{60000};
  };
  struct inputs {
    named_values values;
  };
  struct outputs {
    bool approved = false;
    named_values values;
  };

  static constexpr auto params() {
    return std::tuple{
        param("ask", &config::ask)
            .required()
            .doc("the question; its {{ variables }} are in-ports"),
        param("wait", &config::wait)
            .range(std::chrono::milliseconds(10), std::chrono::hours(24))
            .doc("who has not answered by then has said no")};
  }
  static constexpr auto in_ports() {
    return std::tuple{open_ports(&inputs::values)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("approved", &outputs::approved),
                      open_ports(&outputs::values)};
  }

  // Its in-ports are the template's variables and whatever the file binds, and
  // all must have a value: nobody says yes to what was not there.
  static stage_ports ports(const config& c, bound_ports bound) {
    stage_ports out;
    const auto parsed = templates::parsed_template::parse(c.ask);
    if (!parsed) {
      out.faults.push_back(templates::in_param(parsed.error(), "ask"));
      return out;
    }
    out.in = templates::ports_of(parsed->uses(), "ask");
    for (port_info& p : out.in) p.required = true;
    for (const std::string& name : bound) {
      if (parsed->uses().contains(name)) continue;
      out.in.push_back({.name = name, .types = {type()}});
    }
    for (const port_info& p : out.in) {
      if (const auto why = wrong_name(p.name); !why.empty()) {
        out.faults.push_back({fault::bad_name, "ask", p.offset,
                              "in." + quote(p.name) + ": " + std::string(why)});
      }
      out.out.push_back({.name = p.name, .types = {type()}, .required = false});
    }
    return out;
  }
  static stage_facts check(const config& c, const call_facts& call, host&) {
    stage_facts out;
    const auto made = make(c, call);
    if (!made) out.faults.push_back(templates::in_param(made.error(), "ask"));
    for (const auto& [name, t] : call.types) {
      out.out_types.emplace(name, t);
      if (!t.is(type_kind::prompt)) continue;
      out.faults.push_back({fault::type_mismatch, "ask", 0,
                            "in." + name +
                                " is a prompt, which a person cannot read; "
                                "bind what it is made of"});
    }
    return out;
  }

  approve_stage(const config& c, const call_facts& call, host&)
      : question_(created(make(c, call))), wait_(c.wait) {}

  task<outputs> run(run_context& cx, inputs in) const {
    approval_question question;
    question.stage = cx.site().stage;
    question.text = cut(unwrap(text_of(in.values, cx.stop())));
    for (const auto& [name, v] : in.values) {
      std::string text = readable(v.data);
      const std::size_t n = text.size();
      question.values.push_back({name, cut(std::move(text)), n, v.label});
    }
    question.arguments = arguments_of(in.values);
    question.label = cx.label();
    question.effects = cx.site().effects;
    approval answer{.given = false, .reason = "nobody can be asked here"};
    if (const approver& asked = cx.site().approve) {
      const auto last = std::chrono::steady_clock::now() + wait_;
      stop_condition stop = cx.stop();
      stop.deadline = std::min(stop.deadline.value_or(last), last);
      if (const auto* waits = asked.if_waiting()) {
        task<approval> asking = (*waits)(std::move(question), stop);
        answer = co_await std::move(asking);
      } else {
        const auto ask = [&] { return (*asked.if_blocking())(question, stop); };
        answer = co_await cx.blocking(ask);
      }
      unwrap(cx.stop().check());
      if (answer.given && answer.shown &&
          answer.shown != arguments_of(in.values)) {
        answer = {.given = false,
                  .reason = "what was approved is not what would go on"};
      }
      if (std::chrono::steady_clock::now() >= last) {
        answer = {.given = false,
                  .reason = "nobody answered within " +
                            std::to_string(wait_.count()) + " ms"};
      }
    }
    outputs out;
    out.approved = answer.given;
    if (answer.given) {
      out.values = std::move(in.values);
    } else {
      cx.give_reason("denied: " + answer.reason);
    }
    co_return out;
  }

 private:
  using made_template =
      result<templates::checked_template, templates::template_fault>;

  static std::string_view wrong_name(std::string_view name) {
    if (!tinyphi::detail::is_id(name)) {
      return "a name is a lower-case letter and up to 31 lower-case letters, "
             "digits and '_'";
    }
    if (name == "approved" || name == "failed") {
      return "an out-port of this name says how the stage ended; take another";
    }
    return {};
  }

  static made_template make(const config& c, const call_facts& call) {
    TINYPHI_TRY(const auto parsed, templates::parsed_template::parse(c.ask));
    auto uses = parsed.uses();
    for (auto& [name, use] : uses) use.required = true;
    return parsed.check(templates::variables_of(uses, call));
  }
  static templates::checked_template created(made_template made) {
    if (made) return *std::move(made);
    throw stage_error(error_code::invalid_argument,
                      "with.ask: " + made.error().message);
  }

  [[nodiscard]] result<std::string> text_of(const named_values& values,
                                            const stop_condition& stop) const {
    TINYPHI_TRY(const auto pieces, question_.render(values, false, stop));
    std::string text;
    for (const templates::piece& p : pieces) {
      for (const prompt_segment& s : p.segments) text += s.text;
    }
    return text;
  }

  static std::optional<std::string> arguments_of(const named_values& values) {
    value_data::record all;
    for (const auto& [name, v] : values) all.push_back({name, v.data});
    return json_text(value_data(std::move(all)),
                     approval_question::max_argument_bytes);
  }
  static std::string readable(const value_data& data) {
    if (const auto* text = data.get<std::string>()) return *text;
    return json::serialize(to_json(data));
  }
  static std::string cut(std::string text) {
    if (text.size() > max_shown_bytes) {
      text.resize(complete_utf8_length(
          std::string_view(text).substr(0, max_shown_bytes)));
    }
    return text;
  }

  templates::checked_template question_;
  std::chrono::milliseconds wait_;
};
static_assert(stage<approve_stage>);

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_APPROVE_APPROVE_H_
