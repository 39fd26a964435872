// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PLUGINS_PROMPT_LAYOUT_IPP_
#define TINYPHI_PLUGINS_PROMPT_LAYOUT_IPP_

#include "plugins/prompt/layout.h"

TINYPHI_NAMESPACE_BEGIN
namespace prompts {

inline layout::layout(layout_source source, host& h)
    : source_(std::move(source)) {
  if (auto facts = h.facts(source_.model)) {
    facts_ = *std::move(facts);
  } else {
    add_fault(fault::setup_failed, "model", 0,
              std::move(facts).error().message);
  }
  if (!source_.raw.empty() == !source_.user.empty()) {
    add_fault(fault::missing_key, "user", 0,
              "give either with.user (and with.system) or with.raw");
  }
  if (!source_.raw.empty() && !source_.system.empty()) {
    add_fault(fault::missing_key, "system", 0,
              "with.raw is the whole prompt; with.system cannot be added");
  }
  add_template("system", source_.system);
  add_template("user", source_.user);
  add_template("raw", source_.raw);
  for (const auto& [name, cap] : source_.fit) {
    if (!variables_.contains(name)) {
      add_fault(fault::unknown_key, "fit", 0,
                "with.fit." + name + ": no template uses '" + name + "'");
    } else if (cap < 1 || cap > max_cap) {
      add_fault(fault::out_of_range, "fit", 0,
                "with.fit." + name + " is " + std::to_string(cap) +
                    " tokens, allowed are 1 to " + std::to_string(max_cap));
    }
  }
  if (faults_.empty()) share_tokens();
}

inline void layout::add_template(std::string_view param,
                                 const std::string& text) {
  if (text.empty()) return;
  auto compiled = prompt_template::compile(text);
  if (auto* wrong = std::get_if<template_fault>(&compiled)) {
    return add_fault(fault::bad_template, param, wrong->offset,
                     "with." + std::string(param) + ": " + wrong->message);
  }
  const auto& t = std::get<prompt_template>(compiled);
  for (const auto& [name, use] : t.variables()) merge(param, name, use);
  templates_.emplace(param, std::get<prompt_template>(std::move(compiled)));
}

inline void layout::merge(std::string_view param, const std::string& name,
                          const variable_use& use) {
  variable& all = variables_
                      .try_emplace(name, variable{variable_use{use.offset},
                                                  std::string(param)})
                      .first->second;
  all.looped |= use.looped;
  all.printed += use.printed;
  all.printed_in_loop |= use.printed_in_loop;
  all.tested |= use.tested;
  if (!all.looped) return;
  if (all.printed > 0 || all.printed_in_loop) {
    add_fault(
        fault::bad_template, param, use.offset,
        "'" + name + "' is a list in one template and printed in another");
  }
  if (!list_.empty() && list_ != name) {
    add_fault(fault::bad_template, param, use.offset,
              "'" + list_ + "' and '" + name +
                  "' are both lists; a prompt numbers the passages of one");
  }
  list_ = name;
}

// Worst case: fixed text, and for each variable its cap times its uses. The
// variables without a cap share what the context leaves.
inline void layout::share_tokens() {
  std::size_t fixed = 32;  // chat markers
  std::size_t given = 0, open = 0;
  for (const auto& [param, t] : templates_) fixed += count(t.fixed_text());
  const auto uses = [](const variable_use& use) {
    return std::max<std::size_t>(use.printed, 1);
  };
  for (const auto& [name, use] : variables_) {
    fixed += 2 * uses(use);  // a cut between two texts can cost a token
    const auto cap = source_.fit.find(name);
    if (cap == source_.fit.end()) {
      open += uses(use);
    } else {
      caps_[name] = static_cast<std::size_t>(cap->second);
      given += uses(use) * caps_[name];
    }
  }
  const std::size_t taken = fixed + given + source_.reserve;
  const std::size_t left = facts_.context > taken ? facts_.context - taken : 0;
  worst_tokens_ = fixed + given;
  for (const auto& [name, use] : variables_) {
    if (caps_.contains(name)) continue;
    caps_[name] =
        facts_.context == 0 ? no_cap : std::max<std::size_t>(left / open, 1);
    if (facts_.context != 0) worst_tokens_ += caps_[name] * uses(use);
  }
}

inline stage_facts layout::facts() const {
  stage_facts out;
  out.faults = faults_;
  for (const auto& [name, use] : variables_) {
    port_info p{.name = name,
                .types = {type_kind::text, type_kind::boolean,
                          type_kind::integer, type_kind::number},
                .required = !use.tested,
                .stream = false,
                .reason = "the template prints it",
                .param = use.param,
                .offset = use.offset};
    if (use.looped) {
      p.types = {type_of<documents>()};
      p.reason = "the template loops over it";
    }
    out.in_ports.push_back(std::move(p));
  }
  if (faults_.empty() && facts_.context != 0) {
    out.prompt = {source_.model, worst_tokens_};
  }
  return out;
}

inline result<void> layout::prepare() {
  if (!faults_.empty()) {
    return error{error_code::invalid_argument, faults_.front().message};
  }
  if (!facts_.tokenizer) {
    return error{error_code::unavailable,
                 "the tokenizer of model '" + source_.model +
                     "' is not known; a prompt cannot be laid out"};
  }
  if (!source_.raw.empty()) {
    parts_ = {{{}, "raw"}};
    return {};
  }
  TINYPHI_TRY(const chat_format format,
              recognise_chat_format(*facts_.tokenizer));
  std::vector<message> turns;
  if (!source_.system.empty()) turns.push_back({role::system, "system"});
  turns.push_back({role::user, "user"});
  TINYPHI_TRY(const std::vector<segment> chat, render_chat(format, turns));
  for (const segment& s : chat) {
    parts_.push_back(s.control ? part{s.text, {}} : part{{}, s.text});
  }
  return {};
}

inline result<std::vector<prompt_segment>> layout::render(
    const bindings& values,
    std::vector<prompt_template::printed_value>* printed) const {
  std::vector<prompt_segment> prompt;
  for (const part& p : parts_) {
    if (p.param.empty()) {
      prompt.push_back({p.marker, trust::trusted, true});
      continue;
    }
    TINYPHI_TRY(auto pieces,
                templates_.at(p.param).render(
                    values, /*control=*/!source_.raw.empty(), printed));
    for (prompt_segment& piece : pieces) prompt.push_back(std::move(piece));
  }
  return prompt;
}

inline std::vector<token_id> layout::encode(
    const std::vector<prompt_segment>& prompt, bool add_bos) const {
  std::vector<segment> segments;
  for (const prompt_segment& s : prompt) {
    segments.push_back({s.text, s.control});
  }
  return facts_.tokenizer->encode(segments, add_bos);
}

inline std::vector<token_id> layout::beginning() const {
  std::vector<prompt_segment> prompt;
  for (const part& p : parts_) {
    if (p.param.empty()) {
      prompt.push_back({p.marker, trust::trusted, true});
      continue;
    }
    const auto constant = templates_.at(p.param).constant_beginning();
    if (!constant.text.empty()) {
      prompt.push_back({std::string(constant.text), trust::trusted,
                        /*control=*/!source_.raw.empty()});
    }
    if (!constant.is_all) break;
  }
  return encode(prompt, true);
}

// Caps hold for what is printed: a filter may make a value longer.
inline result<std::vector<prompt_segment>> layout::render_within_caps(
    const bindings& values) const {
  std::vector<prompt_template::printed_value> printed;
  TINYPHI_TRY(auto prompt, render(values, &printed));
  for (const auto& [name, text] : printed) {
    const auto cap = caps_.find(name);
    if (cap == caps_.end()) continue;
    const std::size_t n = count(text);
    if (n <= cap->second) continue;
    return error{error_code::limit,
                 "'" + name + "' is " + std::to_string(n) +
                     " tokens long, the prompt has room for " +
                     std::to_string(cap->second)};
  }
  return prompt;
}

// How many passages of the list fit its cap, by halving: each costs the tokens
// that it adds to the whole prompt.
inline result<std::size_t> layout::fitting_documents(
    const bindings& values, const stop_condition& stop) const {
  const auto given = values.find(list_);
  if (given == values.end()) return std::size_t{0};
  const auto* docs =
      std::get_if<std::span<const document>>(&given->second.data);
  if (docs == nullptr) return std::size_t{0};
  const std::size_t cap = caps_.at(list_);
  bindings some = values;
  const auto tokens_with = [&](std::size_t n) -> result<std::size_t> {
    TINYPHI_CHECK_OK(stop.check());
    some[list_].data = docs->first(n);
    TINYPHI_TRY(const auto prompt, render(some));
    return encode(prompt, true).size();
  };
  // What is beyond its cap is refused before all is rendered several times.
  some[list_].data = docs->first(0);
  TINYPHI_TRY(const auto bare, render_within_caps(some));
  const std::size_t without = encode(bare, true).size();
  std::size_t low = 0, high = docs->size();  // `low` fit
  while (low < high) {
    const std::size_t middle = high - (high - low) / 2;
    TINYPHI_TRY(const std::size_t with, tokens_with(middle));
    if (with <= without || with - without <= cap) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  if (low == 0 && !docs->empty()) {
    return error{error_code::limit, "not one passage of '" + list_ +
                                        "' fits into " + std::to_string(cap) +
                                        " tokens; raise with.fit." + list_ +
                                        " or index shorter passages"};
  }
  return low;
}

inline result<filled_prompt> layout::fill(bindings values,
                                          const stop_condition& stop) const {
  filled_prompt out;
  TINYPHI_TRY(const std::size_t n_docs, fitting_documents(values, stop));
  if (n_docs > 0) {
    auto& docs = std::get<std::span<const document>>(values[list_].data);
    out.used = docs = docs.first(n_docs);
  }
  TINYPHI_TRY(out.segments, render_within_caps(values));
  const auto ids = encode(out.segments, false);
  out.n_control = static_cast<std::size_t>(std::count_if(
      ids.begin(), ids.end(),
      [&](token_id id) { return facts_.tokenizer->is_special(id); }));
  out.n_tokens = encode(out.segments, true).size();
  if (facts_.context != 0 && out.n_tokens + source_.reserve > facts_.context) {
    return error{error_code::limit,
                 "the prompt is " + std::to_string(out.n_tokens) +
                     " tokens long; with " + std::to_string(source_.reserve) +
                     " for the answer that is more than the context of " +
                     std::to_string(facts_.context)};
  }
  return out;
}

}  // namespace prompts
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_PROMPT_LAYOUT_IPP_
