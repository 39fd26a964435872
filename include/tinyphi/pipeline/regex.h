// SPDX-License-Identifier: MIT
// The only user of RE2: patterns of rules and expressions, matched in time
// linear in the text and in bounded memory.
#ifndef TINYPHI_PIPELINE_REGEX_H_
#define TINYPHI_PIPELINE_REGEX_H_

#include <re2/re2.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/base/error.h"

TINYPHI_NAMESPACE_BEGIN

// One pattern in RE2's syntax. Any thread may match.
class regex {
 public:
  static constexpr std::size_t max_bytes = 8192;  // of a pattern
  static constexpr std::size_t max_groups = 64;   // in a pattern
  // Of one pattern's program and the automata made from it. If it is used up,
  // RE2 goes on without an automaton, slower and with the same result.
  static constexpr std::int64_t max_memory = std::int64_t{2} << 20;

  // invalid_argument says what is wrong with the pattern, limit that it is too
  // large.
  [[nodiscard]] static result<regex> compile(std::string_view pattern) {
    if (pattern.size() > max_bytes) {
      return error{error_code::limit,
                   "a pattern of " + std::to_string(pattern.size()) +
                       " bytes, at most " + std::to_string(max_bytes) +
                       " are allowed"};
    }
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(max_memory);
    regex r;
    r.re_ = std::make_unique<re2::RE2>(
        re2::StringPiece(pattern.data(), pattern.size()), options);
    if (!r.re_->ok()) {
      return error{error_code::invalid_argument,
                   "not a pattern of RE2: " + r.re_->error()};
    }
    if (r.groups() > max_groups) {
      return error{error_code::limit,
                   "a pattern with " + std::to_string(r.groups()) +
                       " groups, at most " + std::to_string(max_groups) +
                       " are allowed; write (?:...)"};
    }
    return r;
  }

  [[nodiscard]] std::size_t groups() const {
    return static_cast<std::size_t>(re_->NumberOfCapturingGroups());
  }

  [[nodiscard]] bool contains(std::string_view text) const {
    return re_->Match({text.data(), text.size()}, 0, text.size(),
                      re2::RE2::UNANCHORED, nullptr, 0);
  }

  // The first match in text[begin, end) and its groups, parts of `text`; empty
  // if there is none. What stands around that range counts for \b, ^ and $.
  [[nodiscard]] std::vector<std::string_view> find(std::string_view text,
                                                   std::size_t begin,
                                                   std::size_t end) const {
    re2::StringPiece found[max_groups + 1];
    const auto n = static_cast<int>(groups() + 1);
    std::vector<std::string_view> out;
    if (re_->Match({text.data(), text.size()}, begin, end, re2::RE2::UNANCHORED,
                   found, n)) {
      for (int i = 0; i < n; ++i) {
        out.emplace_back(found[i].data(), found[i].size());
      }
    }
    return out;
  }

 private:
  regex() = default;
  std::unique_ptr<re2::RE2> re_;
};

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_REGEX_H_
