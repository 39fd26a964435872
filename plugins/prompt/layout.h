// SPDX-License-Identifier: MIT
// Where templates meet a model: chat markers around them, token caps for their
// variables, and the proof that the worst case fits the context.
#ifndef TINYPHI_PLUGINS_PROMPT_LAYOUT_H_
#define TINYPHI_PLUGINS_PROMPT_LAYOUT_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "plugins/prompt/template.h"
#include "tinyphi/base/cancel.h"
#include "tinyphi/base/error.h"
#include "tinyphi/pipeline/host.h"
#include "tinyphi/pipeline/stage.h"
#include "tinyphi/text/chat_template.h"
#include "tinyphi/text/tokenizer.h"

TINYPHI_NAMESPACE_BEGIN
namespace prompts {

// The templates of one prompt stage. `raw` stands alone; otherwise `user` is
// given, and `system` may be.
struct layout_source {
  std::string model;
  std::string system;
  std::string user;
  std::string raw;
  std::map<std::string, std::int64_t> fit;  // token caps by variable
  std::size_t reserve = 0;                  // tokens kept for the answer
};

struct filled_prompt {
  std::vector<prompt_segment> segments;
  std::span<const document> used;  // those of the list that are in it
  std::size_t n_tokens = 0;
  std::size_t n_control = 0;  // control tokens, BOS not counted
};

class layout {
 public:
  // Compiles the templates and asks for the model's facts; faults() says what
  // is wrong.
  layout(layout_source source, host& h);

  // In-ports, worst case in tokens, and all faults. Without a tokenizer a byte
  // counts as a token; without a context nothing is claimed.
  [[nodiscard]] stage_facts facts() const;

  // Lays out the chat markers; needs the model's tokenizer. Call before fill.
  [[nodiscard]] result<void> prepare();

  // The tokens that every filled prompt begins with, but perhaps for the last
  // few, whose letters the text that follows may join. After prepare().
  [[nodiscard]] std::vector<token_id> beginning() const;

  // What a variable prints beyond its cap is an error; a list loses whole
  // passages from its end until it fits its cap, and it is an error if none is
  // left.
  [[nodiscard]] result<filled_prompt> fill(bindings values,
                                           const stop_condition& stop) const;

 private:
  // No context is larger; caps up to here add up without overflow.
  static constexpr std::int64_t max_cap = std::int64_t{1} << 20;
  static constexpr std::size_t no_cap = std::numeric_limits<std::size_t>::max();

  // How all templates use a variable, and the parameter that uses it first.
  struct variable : variable_use {
    std::string param;
  };

  // A piece of the prompt: a marker, or the place of a template.
  struct part {
    std::string marker;
    std::string param;  // of the template; empty: a marker
  };

  void add_template(std::string_view param, const std::string& text);
  void merge(std::string_view param, const std::string& name,
             const variable_use& use);
  void share_tokens();
  void add_fault(fault code, std::string_view param, std::size_t offset,
                 std::string message) {
    faults_.push_back({code, std::string(param), offset, std::move(message)});
  }
  [[nodiscard]] result<std::vector<prompt_segment>> render(
      const bindings& values,
      std::vector<prompt_template::printed_value>* printed = nullptr) const;
  [[nodiscard]] std::vector<token_id> encode(
      const std::vector<prompt_segment>& prompt, bool add_bos) const;
  [[nodiscard]] std::size_t count(std::string_view text) const {
    return facts_.tokenizer ? facts_.tokenizer->encode(text).size()
                            : text.size();
  }
  [[nodiscard]] result<std::vector<prompt_segment>> render_within_caps(
      const bindings& values) const;
  [[nodiscard]] result<std::size_t> fitting_documents(
      const bindings& values, const stop_condition& stop) const;

  layout_source source_;
  model_facts facts_;
  std::map<std::string, prompt_template, std::less<>> templates_;  // by param
  std::vector<part> parts_;
  std::map<std::string, variable, std::less<>> variables_;
  std::map<std::string, std::size_t, std::less<>> caps_;
  std::string list_;  // the variable that is looped over, if there is one
  std::size_t worst_tokens_ = 0;
  std::vector<stage_facts::param_fault> faults_;
};

}  // namespace prompts
TINYPHI_NAMESPACE_END

#include "plugins/prompt/layout.ipp"

#endif  // TINYPHI_PLUGINS_PROMPT_LAYOUT_H_
