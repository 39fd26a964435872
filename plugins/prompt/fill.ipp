// SPDX-License-Identifier: MIT
// Values into a layout: what goes beyond its room is dropped, cut or refused.
#ifndef TINYPHI_PLUGINS_PROMPT_FILL_IPP_
#define TINYPHI_PLUGINS_PROMPT_FILL_IPP_

#include <algorithm>

#include "plugins/prompt/layout.h"
#include "tinyphi/base/utf8.h"

TINYPHI_NAMESPACE_BEGIN
namespace prompts {

inline std::string text_of(std::span<const prompt_segment> segments) {
  std::string all;
  for (const prompt_segment& s : segments) all += s.text;
  return all;
}

// Of one piece, by itself.
inline std::vector<token_id> layout::ids_of(
    std::span<const prompt_segment> segments) const {
  std::vector<segment> plain;
  for (const prompt_segment& s : segments) plain.push_back({s.text, s.control});
  return tokenizer_->encode_inside(plain);
}

inline result<layout::rendering> layout::render(
    const named_values& values, const stop_condition& stop) const {
  rendering all;
  for (const turn& t : turns_) {
    TINYPHI_TRY(auto pieces, t.text.render(values, is_raw(), stop));
    all.push_back(std::move(pieces));
  }
  return all;
}

// The greatest cost of a loop over the list that is more than its room; 0 if
// all fit.
inline result<std::size_t> layout::excess(const std::string& list,
                                          const named_values& values,
                                          const stop_condition& stop) const {
  TINYPHI_CHECK_OK(stop.check());
  std::size_t greatest = 0;
  for (const turn& t : turns_) {
    const auto places = t.text.places();
    if (std::ranges::find(places, list, &templates::place::list) ==
        places.end()) {
      continue;
    }
    TINYPHI_TRY(const auto pieces, t.text.render(values, is_raw(), stop));
    for (const templates::piece& p : pieces) {
      if (p.place >= places.size() || places[p.place].list != list) continue;
      const std::size_t cost = ids_of(p.segments).size();
      if (cost > t.rooms[p.place]) greatest = std::max(greatest, cost);
    }
  }
  return greatest;
}

// Leaves the list as many of its items as fit, by halving.
inline result<void> layout::drop_items(const std::string& list,
                                       named_values& values,
                                       const stop_condition& stop) const {
  const auto given = values.find(list);
  if (given == values.end()) return {};
  const value_data all = given->second.data;
  const auto* items = all.get<value_data::list>();
  if (items == nullptr) return {};
  std::size_t excess_of_one = 0;
  const auto fits = [&](std::size_t n) -> result<bool> {
    given->second.data = value_data::list(
        items->begin(), items->begin() + static_cast<std::ptrdiff_t>(n));
    auto cost = excess(list, values, stop);
    // More than a template may print at all.
    if (!cost && cost.error().code == error_code::limit) return false;
    if (!cost) return std::move(cost).error();
    if (n == 1) excess_of_one = *cost;
    return *cost == 0;
  };
  std::size_t low = 0, high = items->size();  // `low` fit
  for (std::size_t n = high; low < high; n = high - (high - low) / 2) {
    TINYPHI_TRY(const bool fit, fits(n));
    if (fit) {
      low = n;
    } else {
      high = n - 1;
    }
  }
  if (low == 0 && !items->empty()) {
    const token_cap* cap = cap_of(list);
    return error{
        error_code::limit,
        "not one item of " + quote(list) + " fits into the " +
            std::to_string(cap != nullptr ? static_cast<std::size_t>(cap->max)
                                          : share_) +
            " tokens that the prompt has for it" +
            (excess_of_one == 0
                 ? ""
                 : ": the first takes " + std::to_string(excess_of_one)) +
            "; raise with.fit." + list + " or give shorter items"};
  }
  given->second.data =
      low == items->size()
          ? all
          : value_data(value_data::list(
                items->begin(),
                items->begin() + static_cast<std::ptrdiff_t>(low)));
  return {};
}

// The longest beginning that fits, up to a few characters: the tokens of a
// part of a text can be others than those of the whole.
inline void layout::cut(templates::piece& p, std::size_t room) const {
  for (std::size_t n = room;; --n) {
    std::string text = to_valid_utf8(text_of(p.segments));
    const auto ids = tokenizer_->encode_inside(text);
    std::size_t length = 0;
    for (std::size_t i = 0; i < std::min(n, ids.size()); ++i) {
      length += tokenizer_->bytes(ids[i]).size();
    }
    text.resize(complete_utf8_length(
        std::string_view(text).substr(0, std::min(length, text.size()))));
    std::size_t left = text.size();
    std::vector<prompt_segment> kept;
    for (prompt_segment& s : p.segments) {
      s.text = to_valid_utf8(s.text);
      s.text.resize(std::min(s.text.size(), left));
      left -= s.text.size();
      if (!s.text.empty()) kept.push_back(std::move(s));
    }
    p.segments = std::move(kept);
    if (n == 0 || ids_of(p.segments).size() <= room) return;
  }
}

inline result<void> layout::fit_pieces(rendering& all) const {
  for (std::size_t i = 0; i < turns_.size(); ++i) {
    const turn& t = turns_[i];
    for (templates::piece& p : all[i]) {
      if (p.place >= t.rooms.size()) continue;
      const std::size_t room = t.rooms[p.place];
      const std::size_t cost = ids_of(p.segments).size();
      if (cost <= room) continue;
      const templates::place& place = t.text.places()[p.place];
      if (may_cut(place)) {
        cut(p, room);
        continue;
      }
      std::string names;
      for (const std::string& name : owners(place)) {
        names += (names.empty() ? "" : " and ") + quote(name);
      }
      return error{error_code::limit,
                   names + (place.is_loop ? " takes " : " is ") +
                       std::to_string(cost) + " tokens as with." + t.param +
                       " prints it, the prompt has room for " +
                       std::to_string(room)};
    }
  }
  return {};
}

// The latest turns that fit.
inline result<std::vector<message>> layout::fit_history(
    const named_values& values) const {
  std::vector<message> said;
  const auto given = values.find(history);
  if (!has_history_ || given == values.end()) return said;
  for (const auto& one :
       from_data<std::vector<chat_message>>(given->second.data)) {
    if (one.role != "user" && one.role != "assistant") {
      return error{error_code::bad_data,
                   "a turn of the history is by " + quote(one.role) +
                       "; allowed are user and assistant"};
    }
    said.push_back(
        {one.role == "user" ? role::user : role::assistant, one.content});
  }
  const token_cap* cap = cap_of(history);
  const std::size_t room =
      cap == nullptr ? share_ : static_cast<std::size_t>(cap->max);
  std::vector<std::size_t> lengths;
  for (const message& m : said) lengths.push_back(count(m.content));
  std::map<std::string, std::size_t> markers;
  const auto cost_of = [&](std::size_t first) -> result<std::size_t> {
    TINYPHI_TRY(const auto parts, chat_parts(std::span(said).subspan(first)));
    std::size_t cost = 0;
    for (const part& p : parts) {
      if (p.param == history) cost += lengths[first + p.said];
      if (!p.param.empty()) continue;
      const auto [it, is_new] = markers.try_emplace(p.marker, 0);
      if (is_new) it->second = cost_of_marker(p.marker);
      cost += it->second;
    }
    return cost;
  };
  TINYPHI_TRY(const std::size_t bare, cost_of(said.size()));
  TINYPHI_TRY(const std::size_t whole, cost_of(0));
  if (whole <= bare + room) return said;
  std::size_t low = 1, high = said.size();  // from `high` on they fit
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    TINYPHI_TRY(const std::size_t cost, cost_of(middle));
    if (cost <= bare + room) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  // An answer means nothing without its question.
  while (high < said.size() && said[high].role != role::user) ++high;
  if (high == said.size() || (cap != nullptr && cap->over == "error")) {
    return error{
        error_code::limit,
        "the history takes " + std::to_string(whole - bare) +
            " tokens, the prompt has room for " + std::to_string(room) +
            (high == said.size() ? ", not even for its last question" : "") +
            "; raise with.fit.history"};
  }
  said.erase(said.begin(), said.begin() + static_cast<std::ptrdiff_t>(high));
  return said;
}

inline result<filled_prompt> layout::join(const rendering& all,
                                          const named_values& values,
                                          std::span<const message> said) const {
  TINYPHI_TRY(const auto parts, chat_parts(said));
  filled_prompt out;
  auto& segments = out.prompt.segments;
  std::vector<token_id> apart;
  const auto add = [&](const prompt_segment& s) {
    if (s.text.empty()) return;
    if (!segments.empty() && segments.back().label == s.label &&
        segments.back().control == s.control && !s.control) {
      segments.back().text += s.text;
    } else {
      segments.push_back(s);
    }
  };
  const auto encode = [&](const std::vector<token_id>& ids) {
    apart.insert(apart.end(), ids.begin(), ids.end());
  };
  for (const part& p : parts) {
    if (p.param.empty()) {
      add({p.marker, trust::trusted, true});
      encode(ids_of_marker(p.marker));
    } else if (p.param == history && !is_raw()) {
      const prompt_segment s{said[p.said].content,
                             values.find(history)->second.label};
      add(s);
      encode(ids_of({&s, 1}));
    } else {
      const auto t = std::ranges::find(turns_, p.param, &turn::param);
      for (const templates::piece& piece :
           all[static_cast<std::size_t>(t - turns_.begin())]) {
        for (const prompt_segment& s : piece.segments) add(s);
        encode(ids_of(piece.segments));
      }
    }
  }
  std::vector<segment> plain;
  for (const prompt_segment& s : segments) plain.push_back({s.text, s.control});
  const auto is_special = [&](token_id id) {
    return tokenizer_->is_special(id);
  };
  out.n_control = static_cast<std::size_t>(
      std::ranges::count_if(tokenizer_->encode(plain, false), is_special));
  std::vector<token_id> ids = tokenizer_->encode(plain, true);
  if (ids.size() > worst_) {
    const vocabulary& v = tokenizer_->vocab();
    if (v.add_bos && (apart.empty() || apart.front() != *v.bos)) {
      apart.insert(apart.begin(), *v.bos);
    }
    ids = out.prompt.ids = std::move(apart);
  }
  out.prompt.model = source_.model;
  out.prompt.tokens = ids.size();
  if (context_ != 0 && ids.size() + reserve_ > context_) {
    return error{error_code::limit,
                 "the prompt is " + std::to_string(ids.size()) +
                     " tokens long; with " + std::to_string(reserve_) +
                     " for the answer that is more than the context of " +
                     std::to_string(context_)};
  }
  return out;
}

inline result<filled_prompt> layout::fill(named_values values,
                                          const stop_condition& stop) const {
  for (const auto& [list, type] : list_types_) {
    const token_cap* cap = cap_of(list);
    if (cap != nullptr && cap->over == "error") continue;
    TINYPHI_CHECK_OK(drop_items(list, values, stop));
  }
  TINYPHI_TRY(rendering all, render(values, stop));
  TINYPHI_CHECK_OK(fit_pieces(all));
  TINYPHI_TRY(const std::vector<message> said, fit_history(values));
  TINYPHI_TRY(filled_prompt out, join(all, values, said));
  for (const auto& [list, type] : list_types_) {
    const auto it = values.find(list);
    if (it != values.end()) out.lists.insert(*it);
  }
  return out;
}

}  // namespace prompts
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_PROMPT_FILL_IPP_
