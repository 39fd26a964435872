// SPDX-License-Identifier: MIT
// Regular expressions that are run: a nondeterministic automaton over
// characters, whose time is at most states times characters.
#ifndef TINYPHI_SCHEMA_PATTERN_H_
#define TINYPHI_SCHEMA_PATTERN_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/schema/regex_syntax.h"

TINYPHI_NAMESPACE_BEGIN

// Immutable; any thread.
class pattern {
 public:
  static constexpr std::size_t max_states = 4096;

  // As regex_syntax::parse; limit if repetitions make too many states of it.
  [[nodiscard]] static result<pattern> compile(
      std::string_view text,
      std::size_t max_size = regex_syntax::max_characters);

  // Whether it matches anywhere in `text`, which is UTF-8. `steps` is counted
  // down by the states that are visited; at 0 the answer is no.
  [[nodiscard]] bool found_in(std::string_view text,
                              std::uint64_t& steps) const;
  [[nodiscard]] std::size_t states() const { return states_.size(); }

 private:
  friend class pattern_compiler;
  friend class pattern_run;

  using index = std::uint32_t;
  enum class op : std::uint8_t { set, fork, at_begin, at_end, match };
  struct state {
    op what = op::match;
    index set = 0;
    index next = 0, other = 0;  // other: of a fork
  };
  struct quick_set {
    char_set all;
    std::array<bool, 128> ascii{};
  };

  [[nodiscard]] bool takes(const state& s, char32_t c) const {
    const quick_set& set = sets_[s.set];
    return c < 128 ? set.ascii[c] : set.all.contains(c);
  }

  std::vector<state> states_;
  std::vector<quick_set> sets_;
  index start_ = 0;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/schema/pattern.ipp"
#endif

#endif  // TINYPHI_SCHEMA_PATTERN_H_
