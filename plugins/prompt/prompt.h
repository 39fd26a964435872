// SPDX-License-Identifier: MIT
// The stage `prompt`: templates and values -> a prompt that knows who wrote
// which piece and fits the model's context.
#ifndef TINYPHI_PLUGINS_PROMPT_PROMPT_H_
#define TINYPHI_PLUGINS_PROMPT_PROMPT_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

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
    std::map<std::string, std::int64_t> fit;
    std::size_t reserve = 0;  // tokens kept free for the answer; see bind
  };
  struct inputs {
    named_values values;
  };
  struct outputs {
    labelled_prompt prompt;
    documents used;
    std::int64_t tokens = 0;
    std::int64_t control_tokens = 0;
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
            .doc("most tokens for each in-port: passages are dropped from the "
                 "end, a longer text is an error; the others share the rest")};
  }
  static constexpr auto in_ports() {
    return std::tuple{open_ports(&inputs::values)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("prompt", &outputs::prompt),
                      port("used", &outputs::used),
                      port("tokens", &outputs::tokens),
                      port("control_tokens", &outputs::control_tokens)};
  }

  static constexpr retired_key retired_params[] = {
      {"reserve",
       "leave it out: it follows from the stages that take the prompt"}};
  static void bind(config& c, const call_facts& call) {
    c.reserve = call.reserve;
  }
  static stage_facts check(const config& c, host& h) {
    const prompts::layout l(source(c), h);
    return l.facts();
  }

  prompt_stage(const config& c, host& h)
      : model_(c.model.name), layout_(source(c), h) {
    unwrap(layout_.prepare());
    h.note_beginning(model_, layout_.beginning());
  }

  task<outputs> run(run_context& cx, inputs in) const {
    prompts::bindings values;
    std::map<std::string, documents> lists;  // what the bindings view
    for (const auto& [name, v] : in.values) {
      if (v.get<value_data::list>() != nullptr) {
        values[name] = {std::span<const document>(
                            lists[name] = from_data<documents>(v.data)),
                        v.label};
      } else {
        values[name] = bind(v);
      }
    }
    prompts::filled_prompt filled = unwrap(layout_.fill(values, cx.stop()));
    outputs out;
    out.prompt = {std::move(filled.segments), model_, filled.n_tokens};
    out.used.assign(filled.used.begin(), filled.used.end());
    out.tokens = static_cast<std::int64_t>(filled.n_tokens);
    out.control_tokens = static_cast<std::int64_t>(filled.n_control);
    co_return out;
  }

 private:
  static prompts::layout_source source(const config& c) {
    return {c.model.name, c.system, c.user, c.raw, c.fit, c.reserve};
  }

  // Other types are refused when the pipeline is compiled.
  static prompts::binding bind(const value& v) {
    prompts::binding b{{}, v.label};
    if (const auto* text = v.get<std::string>())
      b.data = std::string_view(*text);
    if (const auto* x = v.get<std::int64_t>()) b.data = *x;
    if (const auto* x = v.get<double>()) b.data = *x;
    if (const auto* x = v.get<bool>()) b.data = *x;
    return b;
  }

  std::string model_;
  prompts::layout layout_;
};
static_assert(stage<prompt_stage>);

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_PROMPT_PROMPT_H_
