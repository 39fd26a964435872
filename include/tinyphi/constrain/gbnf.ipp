// SPDX-License-Identifier: MIT
// llama.cpp's GBNF: rules `name ::= ...` of literals, classes of characters,
// groups, '|' and repetitions.
#ifndef TINYPHI_CONSTRAIN_GBNF_IPP_
#define TINYPHI_CONSTRAIN_GBNF_IPP_

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "tinyphi/base/ascii.h"
#include "tinyphi/base/utf8.h"
#include "tinyphi/constrain/grammar.h"
#include "tinyphi/constrain/grammar.ipp"
#include "tinyphi/constrain/utf8_ranges.h"

TINYPHI_NAMESPACE_BEGIN

class gbnf_reader {
 public:
  explicit gbnf_reader(std::string_view text) : text_(text) {}

  result<grammar> read() {
    constexpr std::size_t max_bytes = std::size_t{256} << 10;
    if (text_.size() > max_bytes) {
      return error{error_code::limit,
                   "the grammar has " + std::to_string(text_.size()) +
                       " bytes; " + std::to_string(max_bytes) + " are allowed"};
    }
    for (skip(true); at_ < text_.size(); skip(true)) {
      TINYPHI_CHECK_OK(rule());
    }
    for (const auto& [name, r] : rules_) {
      if (!r.defined) {
        return wrong(r.line, "there is no rule '" + name + "'");
      }
    }
    const auto root = rules_.find("root");
    if (root == rules_.end()) {
      return wrong(1, "there is no rule 'root', which the answer is");
    }
    g_.start = root->second.index;
    TINYPHI_CHECK_OK(mend_repeats());
    return std::move(g_);
  }

 private:
  struct named {
    std::uint32_t index = 0;
    std::size_t line = 0;  // where it is first named
    bool defined = false;
  };
  struct count {
    std::uint32_t min, max;
  };
  static constexpr std::size_t max_depth = 64;
  static constexpr std::uint32_t max_count = 100000;

  static error wrong(std::size_t line, const std::string& what) {
    return {error_code::bad_data,
            "grammar, line " + std::to_string(line) + ": " + what};
  }
  [[nodiscard]] error wrong(const std::string& what) const {
    return wrong(line_, what);
  }
  [[nodiscard]] bool is(char c) const {
    return at_ < text_.size() && text_[at_] == c;
  }
  [[nodiscard]] std::string found() const {
    if (at_ >= text_.size()) return "the grammar's end";
    const char c = text_[at_];
    return c == '\n' || c == '\r' ? std::string("the line's end")
           : c < ' ' || c == 0x7f ? std::string("a control character")
                                  : "'" + std::string(1, c) + "'";
  }

  // Blanks and comments, and line ends if `lines`.
  void skip(bool lines) {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '#') {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      } else if (c == ' ' || c == '\t' || (lines && (c == '\n' || c == '\r'))) {
        if (c == '\n') ++line_;
        ++at_;
      } else {
        return;
      }
    }
  }

  static bool of_name(char c) { return ascii::is_word(c) || c == '-'; }
  std::string_view name() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && of_name(text_[at_])) ++at_;
    return text_.substr(begin, at_ - begin);
  }

  named& rule_named(std::string_view name) {
    const auto [found, made] = rules_.try_emplace(std::string(name));
    if (made) found->second = {g_.rule(std::string(name)), line_, false};
    return found->second;
  }

  result<void> rule() {
    const std::string_view n = name();
    if (n.empty()) return wrong(found() + " found, a rule's name is expected");
    skip(false);
    if (!text_.substr(at_).starts_with("::=")) {
      return wrong(found() + " found behind '" + std::string(n) +
                   "', '::=' is expected");
    }
    at_ += 3;
    named& r = rule_named(n);
    if (std::exchange(r.defined, true)) {
      return wrong("rule '" + std::string(n) + "' is there twice");
    }
    const std::uint32_t index = r.index;
    skip(true);
    TINYPHI_TRY(g_.rules[index].node, choice(0));
    if (at_ < text_.size() && !is('\n') && !is('\r')) {
      return wrong(found() + " found behind rule '" + std::string(n) + "'");
    }
    return {};
  }

  // In groups, lines may end anywhere; in a rule, behind '|' only.
  result<std::uint32_t> choice(std::size_t depth) {
    if (depth > max_depth) {
      return wrong("groups are nested deeper than the " +
                   std::to_string(max_depth) + " that are allowed");
    }
    std::vector<std::uint32_t> ways;
    while (true) {
      TINYPHI_TRY(const std::uint32_t way, sequence(depth));
      ways.push_back(way);
      if (!is('|')) break;
      ++at_;
      skip(true);
    }
    return ways.size() == 1 ? ways.front() : g_.choice(std::move(ways));
  }

  result<std::uint32_t> sequence(std::size_t depth) {
    std::vector<std::uint32_t> parts;
    for (skip(depth > 0); at_ < text_.size(); skip(depth > 0)) {
      if (g_.nodes.size() > grammar::max_nodes) {
        return error{error_code::limit, "the grammar has more than the " +
                                            std::to_string(grammar::max_nodes) +
                                            " parts that are allowed"};
      }
      const char c = text_[at_];
      if (c == '|' || c == ')' || c == '\n' || c == '\r') break;
      TINYPHI_TRY(std::uint32_t part, element(depth));
      while (const auto n = repetition()) {
        if (!*n) return n->error();
        TINYPHI_TRY(part, repeated(part, **n));
      }
      parts.push_back(part);
    }
    return g_.sequence(std::move(parts));
  }

  result<std::uint32_t> element(std::size_t depth) {
    const char c = text_[at_];
    switch (c) {
      case '"':
        return literal();
      case '[':
        return character_class();
      case '.':
        ++at_;
        return one_of({.ranges = {}, .categories = 0, .negated = true});
      case '(': {
        const std::size_t begin = line_;
        ++at_;
        TINYPHI_TRY(const std::uint32_t inside, choice(depth + 1));
        if (!is(')')) {
          return wrong(begin, "the group that begins here has no ')'");
        }
        ++at_;
        return inside;
      }
      case '<':
      case '!':
        return wrong(
            "tokens, as in '<...>', are not supported; write their text");
      default:
        if (!of_name(c)) {
          return wrong(found() +
                       " found; a rule's name, a literal, a class of "
                       "characters or a group is expected");
        }
        return g_.call(rule_named(name()).index);
    }
  }

  // One character of a literal or a class, which are not at their end.
  result<char32_t> character() {
    if (is('\\')) return escape();
    const utf8_char c = decode_utf8(text_.substr(at_));
    if (!c.valid) return wrong("bytes that are not UTF-8");
    if (c.code_point == U'\n') {
      return wrong("the line ends in a literal or a class");
    }
    at_ += c.length;
    return c.code_point;
  }

  result<char32_t> escape() {
    ++at_;
    if (at_ >= text_.size()) return wrong("the grammar ends behind '\\'");
    const char c = text_[at_++];
    switch (c) {
      case 'n':
        return U'\n';
      case 'r':
        return U'\r';
      case 't':
        return U'\t';
      case '"':
      case '\\':
      case '[':
      case ']':
      case '-':
      case '^':
        return static_cast<char32_t>(c);
      case 'x':
        return code_point(2);
      case 'u':
        return code_point(4);
      case 'U':
        return code_point(8);
      default:
        --at_;
        return wrong("'\\' before " + found() +
                     R"(; \n \r \t \" \\ \[ \] \- \^ \xHH \uHHHH \UHHHHHHHH )"
                     "are allowed");
    }
  }

  result<char32_t> code_point(std::size_t digits) {
    char32_t c = 0;
    for (std::size_t i = 0; i < digits; ++i, ++at_) {
      const int value = at_ < text_.size() ? ascii::hex_digit(text_[at_]) : -1;
      if (value < 0) {
        return wrong(found() + " found, " + std::to_string(digits) +
                     " hexadecimal digits are expected");
      }
      c = c * 16 + static_cast<char32_t>(value);
      if (c > 0x10FFFF) return wrong("there is no such character");
    }
    if (c >= 0xD800 && c <= 0xDFFF) {
      return wrong("half of a surrogate pair is no character");
    }
    return c;
  }

  result<std::uint32_t> literal() {
    ++at_;
    std::string out;
    while (!is('"')) {
      if (at_ >= text_.size()) return wrong("a literal has no end");
      TINYPHI_TRY(const char32_t c, character());
      append_utf8(out, c);
    }
    ++at_;
    return g_.literal(out);
  }

  result<std::uint32_t> character_class() {
    ++at_;
    char_set set;
    if (is('^')) {
      ++at_;
      set.negated = true;
    }
    while (!is(']')) {
      if (at_ >= text_.size()) return wrong("a class has no end");
      TINYPHI_TRY(const char32_t first, character());
      char32_t last = first;
      if (is('-') && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        ++at_;
        TINYPHI_TRY(last, character());
        if (last < first) return wrong("a range ends before it begins");
      }
      set.ranges.push_back({first, last});
    }
    ++at_;
    return one_of(set);
  }

  result<std::uint32_t> one_of(const char_set& set) {
    TINYPHI_TRY(byte_automaton a, byte_automaton::one_character(set));
    return g_.automaton(std::move(a));
  }

  // * + ? {n} {n,} {n,m}; nothing if none of them stands here.
  std::optional<result<count>> repetition() {
    if (at_ >= text_.size()) return std::nullopt;
    constexpr std::uint32_t any = byte_automaton::no_limit;
    switch (text_[at_]) {
      case '*':
        ++at_;
        return count{0, any};
      case '+':
        ++at_;
        return count{1, any};
      case '?':
        ++at_;
        return count{0, 1};
      case '{':
        ++at_;
        return bounds();
      default:
        return std::nullopt;
    }
  }

  result<count> bounds() {
    count out{0, byte_automaton::no_limit};
    TINYPHI_TRY(out.min, number());
    if (is(',')) {
      ++at_;
      if (!is('}')) {
        TINYPHI_TRY(out.max, number());
      }
    } else {
      out.max = out.min;
    }
    if (!is('}')) return wrong(found() + " found, '}' is expected");
    ++at_;
    if (out.max < out.min) return wrong("a repetition's bounds are swapped");
    return out;
  }

  result<std::uint32_t> number() {
    std::uint32_t n = 0;
    bool any = false;
    for (; at_ < text_.size() && ascii::is_digit(text_[at_]); ++at_) {
      n = n * 10 + static_cast<std::uint32_t>(text_[at_] - '0');
      any = true;
      if (n > max_count) {
        return wrong("a repetition is counted to " + std::to_string(max_count) +
                     " at most");
      }
    }
    if (!any) return wrong(found() + " found, a number is expected");
    return n;
  }

  result<std::uint32_t> repeated(std::uint32_t part, count n) {
    if (n.max == 0) return g_.literal("");
    const std::uint32_t made = g_.repeat(part, n.min, n.max);
    repeats_.emplace_back(made, line_);
    return made;
  }

  // A repetition of what may be empty is written as one of what is not, where
  // that is simple.
  result<void> mend_repeats() {
    const detail::grammar_facts facts(g_);
    for (const auto& [n, line] : repeats_) {
      grammar_node& node = g_.nodes[n];
      std::uint32_t body = node.children[0];
      if (!facts.nullable(body)) continue;
      while (g_.nodes[body].op == grammar_op::sequence &&
             g_.nodes[body].children.size() == 1) {
        body = g_.nodes[body].children[0];
      }
      const grammar_node& inside = g_.nodes[body];
      if (node.max == 1) {
        node.op = grammar_op::sequence;
      } else if (inside.op == grammar_op::repeat && inside.min <= 1 &&
                 inside.max == byte_automaton::no_limit) {
        node.children = inside.children;
        node.min = 0;
        node.max = byte_automaton::no_limit;
      } else {
        return wrong(line,
                     "a repetition of what may be empty; let what is "
                     "repeated have a character at least");
      }
    }
    return {};
  }

  std::string_view text_;
  std::size_t at_ = 0, line_ = 1;
  grammar g_;
  std::map<std::string, named> rules_;
  std::vector<std::pair<std::uint32_t, std::size_t>> repeats_;  // and lines
};

TINYPHI_FUNC result<grammar> gbnf_grammar(std::string_view text) {
  TINYPHI_TRY(grammar g, gbnf_reader(text).read());
  TINYPHI_CHECK_OK(g.check());
  return g;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_CONSTRAIN_GBNF_IPP_
