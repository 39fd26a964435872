// SPDX-License-Identifier: MIT
// The stage `text.const`: a constant text, or a template without a model.
#ifndef TINYPHI_PLUGINS_TEXT_CONST_TEXT_CONST_H_
#define TINYPHI_PLUGINS_TEXT_CONST_TEXT_CONST_H_

#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include "plugins/template/template.h"
#include "tinyphi/pipeline/stage.h"

TINYPHI_NAMESPACE_BEGIN

struct text_const_stage {
  static constexpr stage_info info{
      .id = "text.const", .summary = "A constant text, or a filled template"};

  struct config {
    std::string text;
  };
  struct inputs {
    named_values values;
  };
  struct outputs {
    std::string text;
  };

  static constexpr auto params() {
    return std::tuple{param("text", &config::text)
                          .required()
                          .doc("the text; its {{ variables }} are in-ports")};
  }
  static constexpr auto in_ports() {
    return std::tuple{open_ports(&inputs::values)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("text", &outputs::text)};
  }

  static stage_ports ports(const config& c) {
    stage_ports out;
    const auto parsed = templates::parsed_template::parse(c.text);
    if (parsed) {
      out.in = templates::ports_of(parsed->uses(), "text");
    } else {
      out.faults.push_back(templates::in_param(parsed.error(), "text"));
    }
    return out;
  }
  static stage_facts check(const config& c, const call_facts& call, host&) {
    stage_facts out;
    const auto made = make(c, call);
    if (!made) out.faults.push_back(templates::in_param(made.error(), "text"));
    return out;
  }

  text_const_stage(const config& c, const call_facts& call, host&)
      : template_(created(make(c, call))) {}

  task<outputs> run(run_context& cx, inputs in) const {
    outputs out;
    for (const templates::piece& p :
         unwrap(template_.render(in.values, false, cx.stop()))) {
      for (const prompt_segment& s : p.segments) out.text += s.text;
    }
    co_return out;
  }

 private:
  using made_template =
      result<templates::checked_template, templates::template_fault>;

  static made_template make(const config& c, const call_facts& call) {
    TINYPHI_TRY(const auto parsed, templates::parsed_template::parse(c.text));
    return parsed.check(templates::variables_of(parsed.uses(), call));
  }
  static templates::checked_template created(made_template made) {
    if (made) return *std::move(made);
    throw stage_error(error_code::invalid_argument,
                      "with.text: " + made.error().message);
  }

  templates::checked_template template_;
};
static_assert(stage<text_const_stage>);

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_TEXT_CONST_TEXT_CONST_H_
