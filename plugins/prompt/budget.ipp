// SPDX-License-Identifier: MIT
// What the pieces of a prompt may cost, and the proof of their sum.
#ifndef TINYPHI_PLUGINS_PROMPT_BUDGET_IPP_
#define TINYPHI_PLUGINS_PROMPT_BUDGET_IPP_

#include <algorithm>

#include "plugins/prompt/layout.h"

TINYPHI_NAMESPACE_BEGIN
namespace prompts {

// The most bytes that printed() makes of a type; a token has at least one.
inline std::optional<std::size_t> longest_print(type_kind kind) {
  switch (kind) {
    case type_kind::boolean:
      return 5;
    case type_kind::integer:
      return 20;
    case type_kind::number:
    case type_kind::duration:
    case type_kind::size:
      return 24;
    default:
      return std::nullopt;
  }
}

inline const token_cap* layout::cap_of(std::string_view name) const {
  const auto it = source_.fit.find(std::string(name));
  return it == source_.fit.end() ? nullptr : &it->second;
}

// The variables whose caps a place has.
inline std::vector<std::string> layout::owners(
    const templates::place& p) const {
  return p.list.empty() ? p.reads : std::vector{p.list};
}

inline bool layout::may_cut(const templates::place& p) const {
  return p.list.empty() && !p.reads.empty() &&
         std::ranges::all_of(p.reads, [&](const std::string& name) {
           const token_cap* cap = cap_of(name);
           return cap != nullptr && cap->over == "cut";
         });
}

inline std::size_t layout::count(std::string_view text) const {
  return tokenizer_ ? tokenizer_->encode_inside(text).size() : text.size();
}

// Behind each control token, and in front, a prefix may be added.
inline std::size_t layout::cost_of_marker(const std::string& marker) const {
  if (!tokenizer_) return marker.size();
  const auto ids = ids_of_marker(marker);
  if (!tokenizer_->strips_leading_space()) return ids.size();
  return ids.size() +
         static_cast<std::size_t>(std::ranges::count_if(
             ids, [&](token_id id) { return tokenizer_->is_special(id); }));
}

inline std::size_t layout::cost_of_text(const std::string& text) const {
  return is_raw() ? cost_of_marker(text) : count(text);
}

// The tokens that a place may cost, where variables without a cap have `share`
// in it: the sum of the caps and of its own texts, but no more than its type
// or the bytes of its text can come to.
inline std::size_t layout::room(const templates::place& p,
                                std::size_t share) const {
  if (p.constant) return count(*p.constant);
  std::optional<std::size_t> longest = longest_print(p.type.kind());
  for (const std::string& word : p.type.words()) {
    longest = std::max(longest.value_or(0), count(word));
  }
  bool open = false;
  std::size_t sum = 0;
  for (const std::string& name : owners(p)) {
    const token_cap* cap = cap_of(name);
    if (cap == nullptr) {
      open = true;
    } else {
      sum += static_cast<std::size_t>(cap->max);
    }
  }
  if (open && longest) return *longest;
  if (open) sum += share;
  if (!p.is_loop) {
    for (const std::string& text : p.literals) sum += count(text);
  }
  if (p.is_path && p.type.is(type_kind::text)) {
    const auto bytes = max_bytes_.find(p.reads.front());
    if (bytes != max_bytes_.end()) sum = std::min(sum, bytes->second);
  }
  return std::min({sum, longest.value_or(most), most});
}

inline std::size_t layout::worst(std::size_t share, text_costs& costs) const {
  std::size_t sum = 0;
  const auto add = [&](std::size_t cost) { sum += std::min(cost, most - sum); };
  for (const turn& t : turns_) {
    const auto places = t.text.places();
    add(t.text.greatest_cost(
        [&](const std::string& text) {
          const auto [it, is_new] = costs.try_emplace(&text, 0);
          if (is_new) it->second = cost_of_text(text);
          return it->second;
        },
        [&](std::size_t n) { return room(places[n], share); }, most));
  }
  if (!has_history_) return sum + marker_cost_;
  const token_cap* cap = cap_of(history);
  add(cap == nullptr ? share : static_cast<std::size_t>(cap->max));
  return sum + marker_cost_;
}

// What has no cap shares what the context leaves: as much for each place as
// the worst case allows.
inline void layout::share_tokens(std::size_t reserve) {
  constexpr std::size_t markers_of_no_format = 32;
  reserve_ = reserve;
  if (parts_.empty()) {
    marker_cost_ = markers_of_no_format;
  } else {
    marker_cost_ = 2;  // BOS, and a prefix in front of a raw prompt
    for (const part& p : parts_) {
      if (p.param.empty()) marker_cost_ += cost_of_marker(p.marker);
    }
  }
  text_costs costs;
  if (context_ != 0) {
    std::size_t low = least_share, high = std::max(context_, low);
    while (low < high) {
      const std::size_t middle = high - (high - low) / 2;
      if (worst(middle, costs) + reserve <= context_) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    share_ = low;
  }
  worst_ = worst(share_, costs);
  for (turn& t : turns_) {
    for (const templates::place& p : t.text.places()) {
      t.rooms.push_back(room(p, share_));
    }
  }
  largest_ = largest_parts(costs);
}

// "docs 2400, question 400, text of the templates 57"
inline std::string layout::largest_parts(const text_costs& texts) const {
  constexpr std::size_t n_named = 3;
  std::map<std::string, std::size_t> costs;
  for (const auto& [text, cost] : texts) costs["text of the templates"] += cost;
  costs["chat markers"] = marker_cost_;
  for (const turn& t : turns_) {
    for (std::size_t i = 0; i < t.rooms.size(); ++i) {
      const auto names = owners(t.text.places()[i]);
      std::string name;
      bool capped = true;
      for (const std::string& n : names) {
        name += (name.empty() ? "" : " and ") + n;
        capped = capped && cap_of(n) != nullptr;
      }
      if (name.empty()) name = "text of the templates";
      costs[name + (capped ? "" : " (no cap)")] += t.rooms[i];
    }
  }
  if (has_history_) {
    const token_cap* cap = cap_of(history);
    costs[cap != nullptr ? "history" : "history (no cap)"] =
        cap == nullptr ? share_ : static_cast<std::size_t>(cap->max);
  }
  std::vector<std::pair<std::size_t, std::string>> order;
  for (const auto& [name, cost] : costs) order.emplace_back(cost, name);
  std::ranges::stable_sort(order, std::greater(),
                           &std::pair<std::size_t, std::string>::first);
  std::string words;
  for (std::size_t i = 0; i < std::min(n_named, order.size()); ++i) {
    words += (words.empty() ? "" : ", ") + order[i].second + " " +
             std::to_string(order[i].first);
  }
  return words;
}

}  // namespace prompts
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_PROMPT_BUDGET_IPP_
