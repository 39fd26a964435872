// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SCHEMA_PATTERN_IPP_
#define TINYPHI_SCHEMA_PATTERN_IPP_

#include <algorithm>
#include <string>
#include <utility>

#include "tinyphi/base/utf8.h"
#include "tinyphi/schema/pattern.h"

TINYPHI_NAMESPACE_BEGIN

// Makes states of a tree, from its end to its beginning: each part is told
// where to go on.
class pattern_compiler {
 public:
  using index = pattern::index;
  using op = pattern::op;

  pattern_compiler(pattern& p, const regex_syntax& syntax)
      : p_(&p), syntax_(&syntax) {}

  // False if there would be too many states.
  bool compile() {
    const index end = add({.what = op::match});
    const auto root = static_cast<index>(syntax_->nodes.size() - 1);
    p_->start_ = before(root, end);
    return !full_;
  }

 private:
  index add(pattern::state s) {
    if (p_->states_.size() >= pattern::max_states) {
      full_ = true;
      return 0;
    }
    p_->states_.push_back(s);
    return static_cast<index>(p_->states_.size() - 1);
  }
  index fork(index next, index other) {
    return add({.what = op::fork, .next = next, .other = other});
  }

  // The state from which node n is matched before `next`.
  index before(index n, index next) {
    if (full_) return 0;
    const regex_node& node = syntax_->nodes[n];
    switch (node.op) {
      case regex_op::set:
        return add({.what = op::set, .set = node.set, .next = next});
      case regex_op::at_begin:
        return add({.what = op::at_begin, .next = next});
      case regex_op::at_end:
        return add({.what = op::at_end, .next = next});
      case regex_op::sequence:
        for (auto i = node.children.rbegin(); i != node.children.rend(); ++i) {
          next = before(*i, next);
        }
        return next;
      case regex_op::choice: {
        index all = before(node.children.back(), next);
        for (std::size_t i = node.children.size() - 1; i-- > 0;) {
          const index one = before(node.children[i], next);
          all = fork(one, all);
        }
        return all;
      }
      case regex_op::repeat:
        return repeated(node, next);
    }
    return next;
  }

  index repeated(const regex_node& node, index next) {
    const index body = node.children[0];
    std::uint32_t optional = node.max - node.min;
    if (node.max == regex_syntax::unbounded) {
      const index loop = fork(next, next);
      const index first = before(body, loop);
      if (!full_) p_->states_[loop].next = first;
      next = loop;
      optional = 0;
    }
    const index end = next;
    for (std::uint32_t i = 0; i < optional && !full_; ++i) {
      const index one = before(body, next);
      next = fork(one, end);
    }
    for (std::uint32_t i = 0; i < node.min && !full_; ++i) {
      next = before(body, next);
    }
    return next;
  }

  pattern* p_;
  const regex_syntax* syntax_;
  bool full_ = false;
};

TINYPHI_FUNC result<pattern> pattern::compile(std::string_view text,
                                              std::size_t max_size) {
  TINYPHI_TRY(regex_syntax syntax, regex_syntax::parse(text, max_size));
  pattern p;
  if (!pattern_compiler(p, syntax).compile()) {
    return error{error_code::limit,
                 "the pattern needs more than the " +
                     std::to_string(max_states) +
                     " states that are allowed; repeat less"};
  }
  p.sets_.reserve(syntax.sets.size());
  for (char_set& s : syntax.sets) {
    quick_set set{std::move(s), {}};
    for (char32_t c = 0; c < 128; ++c) set.ascii[c] = set.all.contains(c);
    p.sets_.push_back(std::move(set));
  }
  return p;
}

// One search: the set of states that are alive after each character.
class pattern_run {
 public:
  using index = pattern::index;

  pattern_run(const pattern& p, std::string_view text, std::uint64_t& steps)
      : p_(&p), text_(text), steps_(&steps), seen_(p.states_.size(), 0) {}

  bool search() {
    for (std::size_t at = 0;;) {
      ++round_;
      for (const index s : reached_) enter(s, at);
      enter(p_->start_, at);
      if (matched_ || at == text_.size() || *steps_ == 0) return matched_;
      const utf8_char c = decode_utf8(text_.substr(at));
      at += c.length;
      reached_.clear();
      for (const index s : alive_) {
        if (p_->takes(p_->states_[s], c.code_point)) {
          reached_.push_back(p_->states_[s].next);
        }
      }
      alive_.clear();
    }
  }

 private:
  // Follows what needs no character.
  void enter(index from, std::size_t at) {
    todo_.push_back(from);
    while (!todo_.empty()) {
      const index i = todo_.back();
      todo_.pop_back();
      if (seen_[i] == round_) continue;
      seen_[i] = round_;
      *steps_ -= std::min<std::uint64_t>(*steps_, 1);
      const pattern::state& s = p_->states_[i];
      switch (s.what) {
        case pattern::op::set:
          alive_.push_back(i);
          break;
        case pattern::op::fork:
          todo_.push_back(s.other);
          todo_.push_back(s.next);
          break;
        case pattern::op::at_begin:
          if (at == 0) todo_.push_back(s.next);
          break;
        case pattern::op::at_end:
          if (at == text_.size()) todo_.push_back(s.next);
          break;
        case pattern::op::match:
          matched_ = true;
          break;
      }
    }
  }

  const pattern* p_;
  std::string_view text_;
  std::uint64_t* steps_;
  std::vector<std::size_t> seen_;  // in which round, from 1
  std::vector<index> alive_, reached_, todo_;
  std::size_t round_ = 0;
  bool matched_ = false;
};

TINYPHI_FUNC bool pattern::found_in(std::string_view text,
                                    std::uint64_t& steps) const {
  return pattern_run(*this, text, steps).search() && steps > 0;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SCHEMA_PATTERN_IPP_
