// SPDX-License-Identifier: MIT
// Where templates meet a model: chat markers around them, token caps for what
// they print, and the proof that the worst case fits the context.
//
// A prompt is made of pieces: markers, texts of templates, and places (an
// expression, or a loop with all that it prints). Each is counted by itself;
// what a place may cost is its room. The worst case is the sum of the pieces,
// of arms of conditions the dearest. Joined texts may have more tokens than
// their pieces, since a merge across a seam undoes others; a prompt that would
// so exceed its proof is encoded piece by piece.
#ifndef TINYPHI_PLUGINS_PROMPT_LAYOUT_H_
#define TINYPHI_PLUGINS_PROMPT_LAYOUT_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/template/template.h"
#include "tinyphi/base/cancel.h"
#include "tinyphi/base/error.h"
#include "tinyphi/pipeline/host.h"
#include "tinyphi/pipeline/param.h"
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
  std::map<std::string, token_cap> fit;  // by variable, or "history"
};

struct filled_prompt {
  labelled_prompt prompt;
  named_values lists;         // those looped over: the items that are in it
  std::size_t n_control = 0;  // control tokens, BOS not counted
};

class layout {
 public:
  // Checks the templates and asks for the model's facts; facts() says what is
  // wrong.
  layout(layout_source source, const call_facts& call, host& h);

  [[nodiscard]] static stage_ports ports(layout_source source);

  // The worst case in tokens, and all faults. Without a tokenizer a byte counts
  // as a token; without a context nothing is claimed.
  [[nodiscard]] stage_facts facts() const;

  // Why no prompt can be laid out, if so: a fault, or an unknown tokenizer or
  // chat format. Call before the functions below.
  [[nodiscard]] result<void> prepare() const;

  // The tokens that every filled prompt begins with, but perhaps for the last
  // few, whose letters the text that follows may join.
  [[nodiscard]] std::vector<token_id> beginning() const;

  // What goes beyond its room is cut or dropped where `fit` says so; else it is
  // `limit`, as is a list of which not one item fits.
  [[nodiscard]] result<filled_prompt> fill(named_values values,
                                           const stop_condition& stop) const;

 private:
  // Sums of costs stay below it.
  static constexpr std::size_t most = std::size_t{1} << 40;
  // Less is no use to anybody.
  static constexpr std::size_t least_share = 16;
  static constexpr std::string_view history = "history";

  struct turn {
    std::string param;
    templates::checked_template text;
    std::vector<std::size_t> rooms;  // by place
  };
  // A marker, the place of a template, or a turn of the history.
  struct part {
    std::string marker;
    std::string param = {};
    std::size_t said = 0;  // of a turn of the history
  };
  // Of texts of templates, by where they are kept.
  using text_costs = std::map<const std::string*, std::size_t>;
  using rendering = std::vector<std::vector<templates::piece>>;  // by turn

  explicit layout(layout_source source);

  [[nodiscard]] std::vector<std::pair<std::string_view, const std::string*>>
  texts() const {
    return {{"system", &source_.system},
            {"user", &source_.user},
            {"raw", &source_.raw}};
  }
  [[nodiscard]] bool is_raw() const { return !source_.raw.empty(); }
  [[nodiscard]] bool is_sound() const;
  void add_fault(fault code, std::string_view param, std::size_t offset,
                 std::string message) {
    faults_.push_back({code, std::string(param), offset, std::move(message)});
  }

  // layout.ipp
  void parse(std::string_view param, const std::string& text);
  void check_types(const call_facts& call);
  void check_fit(const call_facts& call);
  void check_cap(const std::string& name, const token_cap& cap,
                 const call_facts& call);
  void check_labels(const call_facts& call);
  [[nodiscard]] result<std::vector<part>> chat_parts(
      std::span<const message> turns) const;

  // budget.ipp
  [[nodiscard]] const token_cap* cap_of(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> owners(
      const templates::place& p) const;
  [[nodiscard]] bool may_cut(const templates::place& p) const;
  [[nodiscard]] std::size_t count(std::string_view text) const;
  [[nodiscard]] std::size_t cost_of_text(const std::string& text) const;
  [[nodiscard]] std::size_t cost_of_marker(const std::string& marker) const;
  [[nodiscard]] std::size_t room(const templates::place& p,
                                 std::size_t share) const;
  [[nodiscard]] std::size_t worst(std::size_t share, text_costs& costs) const;
  void share_tokens(std::size_t reserve);
  [[nodiscard]] std::string largest_parts(const text_costs& texts) const;

  // fill.ipp
  [[nodiscard]] std::vector<token_id> ids_of(
      std::span<const prompt_segment> segments) const;
  [[nodiscard]] std::vector<token_id> ids_of_marker(
      const std::string& marker) const {
    const segment s{marker, true};
    return tokenizer_->encode_inside({&s, 1});
  }
  [[nodiscard]] result<rendering> render(const named_values& values,
                                         const stop_condition& stop) const;
  [[nodiscard]] result<std::size_t> excess(const std::string& list,
                                           const named_values& values,
                                           const stop_condition& stop) const;
  [[nodiscard]] result<void> drop_items(const std::string& list,
                                        named_values& values,
                                        const stop_condition& stop) const;
  [[nodiscard]] result<void> fit_pieces(rendering& all) const;
  void cut(templates::piece& p, std::size_t room) const;
  [[nodiscard]] result<std::vector<message>> fit_history(
      const named_values& values) const;
  [[nodiscard]] result<filled_prompt> join(const rendering& all,
                                           const named_values& values,
                                           std::span<const message> said) const;

  layout_source source_;
  std::map<std::string, templates::parsed_template, std::less<>> parsed_;
  templates::variable_uses uses_;  // by all templates
  std::map<std::string, std::string>
      first_;  // the parameter that uses it first
  std::vector<param_fault> faults_;
  std::size_t context_ = 0;
  std::optional<tokenizer> tokenizer_;
  std::optional<chat_format> format_;
  std::optional<error> not_ready_;
  std::map<std::string, type, std::less<>> list_types_;  // of those looped over
  // Of the texts in a variable, where that is known before it runs.
  std::map<std::string, std::size_t, std::less<>> max_bytes_;
  std::vector<turn> turns_;
  std::vector<part> parts_;  // without history
  bool has_history_ = false;
  std::size_t reserve_ = 0;
  std::size_t share_ = most;  // of what has no cap
  std::size_t marker_cost_ = 0;
  std::size_t worst_ = most;
  std::string largest_;
};

}  // namespace prompts
TINYPHI_NAMESPACE_END

#include "plugins/prompt/budget.ipp"
#include "plugins/prompt/fill.ipp"
#include "plugins/prompt/layout.ipp"

#endif  // TINYPHI_PLUGINS_PROMPT_LAYOUT_H_
