// SPDX-License-Identifier: MIT
// The stage `prompt`: templates and values -> a prompt that knows who wrote
// which piece and fits the model's context.
#ifndef TINYPHI_PLUGINS_PROMPT_PROMPT_H_
#define TINYPHI_PLUGINS_PROMPT_PROMPT_H_

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "plugins/prompt/layout.h"
#include "tinyphi/pipeline/stage.h"

TINYPHI_NAMESPACE_BEGIN

struct prompt_stage {
  static constexpr stage_info info{
      .id = "prompt",
      .summary = "Fills a template; what values say stays plain text"};

  struct config {
    model_ref model;
    std::string system;
    std::string user;
    std::string raw;
    std::map<std::string, token_cap> fit;
    template_ref shared;
  };
  struct inputs {
    named_values values;
  };
  struct outputs {
    labelled_prompt prompt;
    std::int64_t tokens = 0;
    std::int64_t control_tokens = 0;
    named_values lists;
  };

  static constexpr auto params() {
    return std::tuple{
        param("model", &config::model).doc("a [model.x] table"),
        param("system", &config::system)
            .doc("template of the system turn; left out if empty"),
        param("user", &config::user).doc("template of the user's turn"),
        param("raw", &config::raw)
            .doc("instead of system and user: the whole prompt, whose own text "
                 "may hold control tokens"),
        param("fit", &config::fit)
            .doc("most tokens for each in-port, as it is printed: NAME = N or "
                 "{ max = N, over = \"error\" (texts), \"cut\", \"drop\" "
                 "(lists, history) }; what has none shares the rest"),
        param("template", &config::shared)
            .doc("a [prompt.x] table, which has those of system, user, raw and "
                 "fit that the stage has not")};
  }
  static constexpr auto in_ports() {
    return std::tuple{open_ports(&inputs::values)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("prompt", &outputs::prompt),
                      port("tokens", &outputs::tokens),
                      port("control_tokens", &outputs::control_tokens),
                      open_ports(&outputs::lists)};
  }

  static constexpr retired_key retired_params[] = {
      {"reserve",
       "leave it out: it follows from the stages that take the prompt"}};
  static stage_ports ports(const config& c) {
    return prompts::layout::ports(source(c));
  }
  static stage_facts check(const config& c, const call_facts& call, host& h) {
    return prompts::layout(source(c), call, h).facts();
  }

  prompt_stage(const config& c, const call_facts& call, host& h)
      : layout_(source(c), call, h) {
    unwrap(layout_.prepare());
    h.note_beginning(c.model.name, layout_.beginning());
  }

  task<outputs> run(run_context& cx, inputs in) const {
    prompts::filled_prompt filled =
        unwrap(layout_.fill(std::move(in.values), cx.stop()));
    outputs out;
    out.tokens = static_cast<std::int64_t>(filled.prompt.tokens);
    out.control_tokens = static_cast<std::int64_t>(filled.n_control);
    out.prompt = std::move(filled.prompt);
    out.lists = std::move(filled.lists);
    co_return out;
  }

 private:
  static prompts::layout_source source(const config& c) {
    return {c.model.name, c.system, c.user, c.raw, c.fit};
  }

  prompts::layout layout_;
};
static_assert(stage<prompt_stage>);

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_PROMPT_PROMPT_H_
