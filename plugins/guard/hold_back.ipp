// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PLUGINS_GUARD_HOLD_BACK_IPP_
#define TINYPHI_PLUGINS_GUARD_HOLD_BACK_IPP_

#include <algorithm>
#include <utility>

#include "plugins/guard/hold_back.h"
#include "plugins/guard_data.h"

TINYPHI_NAMESPACE_BEGIN
namespace guard {

inline const result<rule_set>& secret_rules() {
  static const result<rule_set> rules =
      parse_rules(secrets_data, "secrets.toml");
  return rules;
}

inline hold_back::hold_back(hold_back_options options)
    : options_(std::move(options)) {}

inline std::string hold_back::push(std::string_view piece) {
  while (!piece.empty() && !verdict_.blocked) {
    if (text_.size() >= options_.max_bytes) {
      verdict_.reason = "the text has more than " +
                        std::to_string(options_.max_bytes) +
                        " bytes, which is all that can be judged";
      block(safe_);
      break;
    }
    const std::size_t to_step = step_bytes - text_.size() % step_bytes;
    const std::size_t n =
        std::min({piece.size(), to_step, options_.max_bytes - text_.size()});
    text_.append(piece.substr(0, n));
    piece.remove_prefix(n);
    if (n == to_step) judge(true);
  }
  return release();
}

inline std::string hold_back::finish() {
  if (!verdict_.blocked) judge(false);
  return release();
}

inline void hold_back::judge(bool more) {
  // All before it is found that is going to be.
  const std::size_t known = std::min(find_data(more), find_by_rules(more));
  while (!hits_.empty() && hits_.begin()->begin < known) {
    const hit h = *hits_.begin();
    hits_.erase(hits_.begin());
    count(h);
    if (verdict_.blocked) return block(h.begin);
  }
  safe_ = known;
}

inline std::size_t hold_back::find_data(bool more) {
  for (;;) {
    const auto step = options_.pii.find_next(text_, data_at_, more);
    data_at_ = step.next;
    if (!step.found) return data_at_;
    const auto kind = static_cast<std::size_t>(step.found->kind);
    hits_.insert({step.found->begin, pii_kind_names[kind], nullptr});
  }
}

inline std::size_t hold_back::find_by_rules(bool more) {
  const std::size_t size = text_.size();
  if (options_.rules.empty()) return size;
  const std::size_t window = options_.hold_bytes + 2 * step_bytes;
  std::size_t begin = std::min(open_, size - std::min(size, window));
  // In the end they see it all.
  if (!more) begin = 0;
  // What is open for so long is judged as it is.
  const bool waits = more && size - begin < std::max(window, longest_open);
  open_ = std::string::npos;
  for (const rule_set& set : options_.rules) {
    const findings found = set.find(text_, begin, size, waits);
    for (const finding& f : found.all) {
      if (counted_.contains({f.by, f.by->id})) continue;
      hits_.insert({f.begin, f.by->id, f.by});
    }
    open_ = std::min(open_, found.open);
  }
  if (!more) return size;
  return std::min(open_, size - std::min(size, options_.hold_bytes));
}

inline void hold_back::count(const hit& h) {
  if (!counted_.insert({h.by, h.name}).second) return;
  const double score = h.by != nullptr ? h.by->score : 1;
  if (score > strongest_) {
    strongest_ = score;
    verdict_.rule = h.name;
    verdict_.reason = h.by != nullptr ? reason_of(*h.by)
                                      : "the text has data of the kind '" +
                                            std::string(h.name) + "'";
  }
  verdict_.score += score;
  verdict_.blocked = is_enough(verdict_.score);
}

inline void hold_back::block(std::size_t at) {
  verdict_.blocked = true;
  safe_ = std::max(at, released_);
  hits_.clear();
}

inline std::string hold_back::release() {
  std::size_t end = safe_;
  const auto goes_on = [&](std::size_t i) {
    return i < text_.size() &&
           (static_cast<unsigned char>(text_[i]) & 0xC0) == 0x80;
  };
  // A character has three such bytes at most.
  for (int k = 0; k < 3 && end > released_ && goes_on(end); ++k) --end;
  std::string out = text_.substr(released_, end - released_);
  released_ = end;
  return out;
}

}  // namespace guard
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_GUARD_HOLD_BACK_IPP_
