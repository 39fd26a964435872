// SPDX-License-Identifier: MIT
// What may come next in an answer that must have a shape, as the sampler asks
// for it.
#ifndef TINYPHI_GENERATE_CHOICE_FILTER_H_
#define TINYPHI_GENERATE_CHOICE_FILTER_H_

#include <algorithm>
#include <cstddef>
#include <span>

#include "tinyphi/base/error.h"
#include "tinyphi/constrain/constraint.h"
#include "tinyphi/constrain/token_set.h"
#include "tinyphi/text/vocabulary.h"

TINYPHI_NAMESPACE_BEGIN

// The likeliest token is asked for alone, since as a rule it may come; all of
// them are asked for only where it may not, or where one is drawn.
class choice_filter {
 public:
  [[nodiscard]] virtual result<bool> allows(token_id id) const = 0;
  [[nodiscard]] virtual result<void> allowed(token_set& out) const = 0;
  // The answer may be over: then no token at all is a choice, too.
  [[nodiscard]] virtual bool may_end() const = 0;
  // Penalties apply here; not to braces and keys, which must repeat.
  [[nodiscard]] virtual bool penalizes() const = 0;

 protected:
  ~choice_filter() = default;
};

// That of an answer under a constraint, of which so many tokens may still come.
// The model's stop ids may come exactly where the answer may end.
class matcher_filter final : public choice_filter {
 public:
  matcher_filter(const matcher& m, std::span<const token_id> stop_ids,
                 std::size_t tokens_left)
      : matcher_(m), stop_ids_(stop_ids), tokens_left_(tokens_left) {}

  [[nodiscard]] result<bool> allows(token_id id) const override {
    if (std::find(stop_ids_.begin(), stop_ids_.end(), id) != stop_ids_.end()) {
      return matcher_.may_end();
    }
    return matcher_.allows(id, tokens_left_);
  }
  [[nodiscard]] result<void> allowed(token_set& out) const override {
    TINYPHI_CHECK_OK(matcher_.allowed(out, tokens_left_));
    for (const token_id id : stop_ids_) {
      if (id < 0 || static_cast<std::size_t>(id) >= out.size()) continue;
      if (matcher_.may_end()) {
        out.insert(id);
      } else {
        out.erase(id);
      }
    }
    return {};
  }
  [[nodiscard]] bool may_end() const override { return matcher_.may_end(); }
  [[nodiscard]] bool penalizes() const override {
    return matcher_.in_free_text();
  }

 private:
  const matcher& matcher_;
  std::span<const token_id> stop_ids_;
  std::size_t tokens_left_;
};

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_GENERATE_CHOICE_FILTER_H_
