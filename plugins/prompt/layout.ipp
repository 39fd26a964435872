// SPDX-License-Identifier: MIT
// The templates of a layout: their variables, types and faults, and the chat
// markers around them.
#ifndef TINYPHI_PLUGINS_PROMPT_LAYOUT_IPP_
#define TINYPHI_PLUGINS_PROMPT_LAYOUT_IPP_

#include <algorithm>

#include "plugins/prompt/layout.h"

TINYPHI_NAMESPACE_BEGIN
namespace prompts {

inline layout::layout(layout_source source) : source_(std::move(source)) {
  if (is_raw() == !source_.user.empty()) {
    add_fault(is_raw() ? fault::keys_conflict : fault::missing_key, "user", 0,
              "give either with.user (and with.system) or with.raw");
  }
  if (is_raw() && !source_.system.empty()) {
    add_fault(fault::keys_conflict, "system", 0,
              "with.raw is the whole prompt; with.system cannot be added");
  }
  for (const auto& [param, text] : texts()) parse(param, *text);
}

inline layout::layout(layout_source source, const call_facts& call, host& h)
    : layout(std::move(source)) {
  has_history_ = !is_raw() && call.types.contains(history);
  max_bytes_ = call.max_bytes;
  if (auto facts = h.facts(source_.model)) {
    context_ = facts->context;
    tokenizer_ = std::move(facts->tokenizer);
  } else {
    add_fault(fault::setup_failed, "model", 0,
              std::move(facts).error().message);
  }
  if (!is_sound()) return;
  check_types(call);
  if (!is_sound()) return;
  check_fit(call);
  check_labels(call);
  if (!tokenizer_) {
    not_ready_ = error{error_code::unavailable,
                       "the tokenizer of model '" + source_.model +
                           "' is not known; a prompt cannot be laid out"};
  } else if (auto parts = chat_parts({})) {
    parts_ = *std::move(parts);
  } else {
    not_ready_ = std::move(parts).error();
  }
  if (is_sound()) share_tokens(call.reserve);
}

inline bool layout::is_sound() const {
  return std::ranges::none_of(faults_, [](const param_fault& f) {
    return severity_of(f.code) == severity::error;
  });
}

inline void layout::parse(std::string_view param, const std::string& text) {
  if (text.empty()) return;
  auto parsed = templates::parsed_template::parse(text);
  if (!parsed) {
    return faults_.push_back(templates::in_param(parsed.error(), param));
  }
  for (const auto& [name, use] : parsed->uses()) {
    first_.try_emplace(name, param);
    templates::variable_use& all = uses_.try_emplace(name, use).first->second;
    all.required |= use.required;
    all.looped |= use.looped;
    const bool is_out_port =
        name == "prompt" || name == "tokens" || name == "control_tokens";
    if (use.looped && is_out_port) {
      add_fault(fault::bad_template, param, use.offset,
                "the stage has an out-port " + quote(name) +
                    ", so a list needs another name");
    } else if (name == history && !is_raw()) {
      add_fault(fault::bad_template, param, use.offset,
                "'history' are the turns between with.system and with.user; a "
                "variable needs another name");
    }
  }
  parsed_.emplace(param, *std::move(parsed));
}

inline stage_ports layout::ports(layout_source source) {
  layout l(std::move(source));
  stage_ports out;
  out.faults = std::move(l.faults_);
  out.in = templates::ports_of(l.uses_, {});
  for (port_info& p : out.in) p.param = l.first_[p.name];
  for (const auto& [name, use] : l.uses_) {
    if (!use.looped) continue;
    out.out.push_back(
        {.name = name, .types = {type()}, .required = use.required});
  }
  if (!l.is_raw()) {
    out.in.push_back({.name = std::string(history),
                      .types = {type_of<std::vector<chat_message>>()},
                      .required = false});
  }
  return out;
}

inline void layout::check_types(const call_facts& call) {
  const templates::variables types = templates::variables_of(uses_, call);
  for (const auto& [name, use] : uses_) {
    if (use.looped) list_types_[name] = types.at(name).type;
  }
  for (const auto& [param, text] : texts()) {
    const auto parsed = parsed_.find(param);
    if (parsed == parsed_.end()) continue;
    auto checked = parsed->second.check(types);
    if (checked) {
      turns_.push_back({std::string(param), *std::move(checked), {}});
    } else {
      faults_.push_back(templates::in_param(checked.error(), param));
    }
  }
}

inline void layout::check_fit(const call_facts& call) {
  for (const auto& [name, cap] : source_.fit) check_cap(name, cap, call);
}

inline void layout::check_cap(const std::string& name, const token_cap& cap,
                              const call_facts& call) {
  const std::string param = "fit." + name;
  const auto bad = [&](std::string message) {
    add_fault(fault::bad_fit, param, 0, std::move(message));
  };
  if (name == history && !is_raw()) {
    if (!has_history_) return bad("in.history is not bound");
    if (cap.over == "cut") bad("of history whole turns are dropped, none cut");
    return;
  }
  if (!uses_.contains(name)) {
    std::vector<std::string_view> known, unbound;
    for (const auto& use : uses_) {
      known.push_back(use.first);
      if (!call.types.contains(use.first)) unbound.push_back(use.first);
    }
    // That the template has misspelt it is told there.
    if (!nearest_name(name, unbound).empty()) return;
    return bad("no template uses " + quote(name) + did_you_mean(name, known));
  }
  bool loops = false, prints = false;
  for (const turn& t : turns_) {
    for (const templates::place& p : t.text.places()) {
      loops |= p.list == name;
      prints |= p.list.empty() && std::ranges::count(p.reads, name) > 0;
    }
  }
  if (!loops && !prints) {
    bad("nothing outside of loops prints " + quote(name) +
        "; what a loop prints counts for its list");
  } else if (cap.over == "drop" && !loops) {
    bad("only a list that the template loops over has items to drop; write "
        "\"cut\" or \"error\"");
  } else if (cap.over == "cut" && !prints) {
    bad("a list that the template loops over loses whole items; write "
        "\"drop\" or \"error\"");
  }
}

// The compiler moves no text between turns; it says where one stands that the
// author has not written.
inline void layout::check_labels(const call_facts& call) {
  std::set<std::string> said;
  for (const turn& t : turns_) {
    if (t.param != "system") continue;
    for (const templates::place& p : t.text.places()) {
      for (const std::string& name : p.prints) {
        const auto label = call.labels.find(name);
        if (label == call.labels.end() || label->second == trust::trusted ||
            !said.insert(name).second) {
          continue;
        }
        add_fault(
            fault::user_in_system, t.param, p.offset,
            quote(name) + " is " +
                (label->second == trust::user ? "from the user" : "untrusted") +
                ", and stands in the system turn; print it in with.user");
      }
    }
  }
}

inline result<std::vector<layout::part>> layout::chat_parts(
    std::span<const message> said) const {
  std::vector<part> parts;
  if (is_raw()) {
    parts.push_back({{}, "raw"});
    return parts;
  }
  TINYPHI_TRY(const chat_format format, recognise_chat_format(*tokenizer_));
  const bool has_system = !source_.system.empty();
  std::vector<message> turns;
  if (has_system) turns.push_back({role::system, "system"});
  turns.insert(turns.end(), said.begin(), said.end());
  turns.push_back({role::user, "user"});
  TINYPHI_TRY(const std::vector<segment> chat, render_chat(format, turns));
  std::size_t n = 0;  // of the turn
  for (const segment& s : chat) {
    if (s.control) {
      parts.push_back({s.text});
      continue;
    }
    if (has_system && n == 0) {
      parts.push_back({{}, "system"});
    } else if (n + 1 == turns.size()) {
      parts.push_back({{}, "user"});
    } else {
      parts.push_back({{}, std::string(history), n - (has_system ? 1 : 0)});
    }
    ++n;
  }
  return parts;
}

inline stage_facts layout::facts() const {
  stage_facts out;
  out.faults = faults_;
  if (!is_sound()) return out;
  out.out_types = list_types_;
  if (context_ != 0) {
    out.prompt = {source_.model, worst_, largest_};
  }
  return out;
}

inline result<void> layout::prepare() const {
  for (const param_fault& f : faults_) {
    if (severity_of(f.code) == severity::error) {
      return error{error_code::invalid_argument,
                   "with." + f.param + ": " + f.message};
    }
  }
  if (not_ready_) return error(*not_ready_);
  return {};
}

inline std::vector<token_id> layout::beginning() const {
  std::vector<segment> prompt;
  for (const part& p : parts_) {
    if (has_history_ && p.param != "system" && !prompt.empty()) break;
    if (p.param.empty()) {
      prompt.push_back({p.marker, true});
      continue;
    }
    const auto& text = std::ranges::find(turns_, p.param, &turn::param)->text;
    const auto constant = text.constant_beginning();
    if (!constant.text.empty()) {
      prompt.push_back({std::string(constant.text), is_raw()});
    }
    if (!constant.is_all) break;
  }
  return tokenizer_->encode(prompt, true);
}

}  // namespace prompts
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_PROMPT_LAYOUT_IPP_
