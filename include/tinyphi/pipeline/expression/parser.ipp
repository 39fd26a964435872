// SPDX-License-Identifier: MIT
// The parser of expressions; syntax.ipp includes it.
#ifndef TINYPHI_PIPELINE_EXPRESSION_PARSER_IPP_
#define TINYPHI_PIPELINE_EXPRESSION_PARSER_IPP_

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <limits>

#include "tinyphi/base/ascii.h"
#include "tinyphi/base/utf8.h"
#include "tinyphi/pipeline/expression/syntax.h"

TINYPHI_NAMESPACE_BEGIN

// Recursive descent; the first fault is thrown inside and returned by parse.
class expression_parser {
 public:
  using node = expression_node;
  using kind = node::kind;
  using op = expression_operator;

  explicit expression_parser(std::string_view text) : text_(text) {}

  expression_tree whole(std::size_t* end) {
    either();
    skip_space();
    if (end != nullptr) {
      *end = at_;
    } else if (at_ != text_.size()) {
      fail(at_, unexpected());
    }
    return std::move(out_);
  }

 private:
  [[noreturn]] static void fail(std::size_t offset, std::string message) {
    throw expression_fault{expression_fault::kind::syntax, offset,
                           std::move(message)};
  }

  std::string unexpected() const {
    const std::string_view tail = text_.substr(at_);
    std::string message =
        "unexpected '" +
        std::string(tail.substr(0, complete_utf8_length(tail.substr(0, 12)))) +
        "'";
    constexpr std::pair<std::string_view, std::string_view> hints[] = {
        {"==", "join comparisons with 'and'"},
        {"!=", "join comparisons with 'and'"},
        {"<", "join comparisons with 'and'"},
        {">", "join comparisons with 'and'"},
        {"=", "write '=='"},
        {"&&", "write 'and'"}};
    for (const auto& [sign, hint] : hints) {
      if (tail.starts_with(sign)) return message + "; " + std::string(hint);
    }
    return message;
  }

  void skip_space() {
    while (at_ < text_.size() && ascii::is_space(text_[at_])) ++at_;
  }
  // Where the next token begins.
  std::size_t begin() {
    skip_space();
    return at_;
  }
  void advance(std::size_t n) { last_ = at_ += n; }

  std::string_view peek_word() const {
    std::size_t end = at_;
    while (end < text_.size() && ascii::is_word(text_[end])) ++end;
    return text_.substr(at_, end - at_);
  }

  bool take_word(std::string_view word) {
    skip_space();
    if (peek_word() != word) return false;
    advance(word.size());
    return true;
  }
  bool take(std::string_view symbol) {
    skip_space();
    const std::string_view tail = text_.substr(at_);
    if (!tail.starts_with(symbol)) return false;
    // A tag of a template that eats white space ends so.
    if (tail.starts_with("-}}") || tail.starts_with("-%}")) return false;
    advance(symbol.size());
    return true;
  }
  void expect(std::string_view symbol) {
    if (!take(symbol)) {
      fail(at_, "'" + std::string(symbol) + "' is missing");
    }
  }

  void count(std::size_t offset) {
    if (++n_parts_ > expression_tree::max_nodes) {
      fail(offset, "the expression has more than " +
                       std::to_string(expression_tree::max_nodes) + " parts");
    }
  }
  std::size_t add(node n, std::size_t begin) {
    count(n.what == kind::operation ? n.name_offset : begin);
    n.begin = begin;
    n.end = last_;
    out_.nodes_.push_back(std::move(n));
    return out_.nodes_.size() - 1;
  }
  // `parse` one level deeper.
  template <class Parse>
  auto nested(std::size_t offset, Parse parse) {
    if (++depth_ > expression_tree::max_depth) {
      fail(offset, "nested more than " +
                       std::to_string(expression_tree::max_depth) + " deep");
    }
    const auto inner = parse();
    --depth_;
    return inner;
  }

  std::size_t operation(op what, std::size_t at, std::size_t left,
                        std::size_t right) {
    node n;
    n.what = kind::operation;
    n.operation = what;
    n.name_offset = at;
    n.operands = {left, right};
    return add(std::move(n), out_.nodes_[left].begin);
  }
  std::size_t sign(op what, std::size_t at, std::size_t operand) {
    node n;
    n.what = kind::operation;
    n.operation = what;
    n.name_offset = at;
    n.operands = {operand};
    return add(std::move(n), at);
  }

  std::size_t either() {
    std::size_t left = both();
    for (std::size_t at = begin(); take_word("or"); at = begin()) {
      left = operation(op::either, at, left, both());
    }
    return left;
  }

  std::size_t both() {
    std::size_t left = negated();
    for (std::size_t at = begin(); take_word("and"); at = begin()) {
      left = operation(op::both, at, left, negated());
    }
    return left;
  }

  std::size_t negated() {
    const std::size_t at = begin();
    if (!take_word("not")) return comparison();
    return sign(op::negate, at, nested(at, [&] { return negated(); }));
  }

  std::size_t comparison() {
    const std::size_t left = sum();
    constexpr std::pair<std::string_view, op> symbols[] = {
        {"==", op::equal},         {"!=", op::unequal}, {"<=", op::less_equal},
        {">=", op::greater_equal}, {"<", op::less},     {">", op::greater}};
    constexpr std::pair<std::string_view, op> words[] = {
        {"in", op::in}, {"contains", op::contains}, {"matches", op::matches}};
    const std::size_t at = begin();
    for (const auto& [symbol, what] : symbols) {
      if (take(symbol)) return operation(what, at, left, sum());
    }
    for (const auto& [word, what] : words) {
      if (take_word(word)) return operation(what, at, left, sum());
    }
    return left;
  }

  std::size_t sum() {
    std::size_t left = product();
    while (true) {
      const std::size_t at = begin();
      if (take("+")) {
        left = operation(op::add, at, left, product());
      } else if (take("-")) {
        left = operation(op::subtract, at, left, product());
      } else {
        return left;
      }
    }
  }

  std::size_t product() {
    std::size_t left = unary();
    while (true) {
      const std::size_t at = begin();
      if (take("*")) {
        left = operation(op::multiply, at, left, unary());
      } else if (take("/")) {
        left = operation(op::divide, at, left, unary());
      } else {
        return left;
      }
    }
  }

  std::size_t unary() {
    const std::size_t at = begin();
    if (!take("-")) return piped();
    return sign(op::minus, at, nested(at, [&] { return unary(); }));
  }

  std::size_t piped() {
    const std::size_t start = begin();
    std::size_t value = primary();
    const std::size_t depth = depth_;
    while (take("|")) {
      const std::size_t at = begin();
      if (text_.substr(at).starts_with("|")) {
        fail(at - 1, "unexpected '||'; write 'or'");
      }
      const std::string_view name = take_name("the name of a function");
      value = nested(at, [&] { return call(start, at, name, {value}); });
      ++depth_;  // What is piped stands inside.
    }
    depth_ = depth;
    return value;
  }

  std::string_view take_name(std::string_view what) {
    const std::string_view word = peek_word();
    if (word.empty() || ascii::is_digit(word[0])) {
      fail(at_, std::string(what) + " is missing");
    }
    advance(word.size());
    return word;
  }

  // Behind the name: the arguments, if there are any.
  std::size_t call(std::size_t start, std::size_t at, std::string_view name,
                   std::vector<std::size_t> arguments) {
    node n;
    n.what = kind::call;
    n.name = name;
    n.name_offset = at;
    n.operands = std::move(arguments);
    if (take("(")) list(")", n.operands);
    return add(std::move(n), start);
  }

  void list(std::string_view close, std::vector<std::size_t>& items) {
    if (take(close)) return;
    do {
      items.push_back(either());
    } while (take(","));
    expect(close);
  }

  std::size_t primary() {
    const std::size_t start = begin();
    if (take("(")) {
      const std::size_t inner = nested(start, [&] { return either(); });
      expect(")");
      return inner;
    }
    if (take("[")) {
      node n;
      n.what = kind::list;
      nested(start, [&] {
        list("]", n.operands);
        return 0;
      });
      return add(std::move(n), start);
    }
    const char c = start < text_.size() ? text_[start] : ' ';
    if (c == '\'' || c == '"') return quoted(start);
    if (ascii::is_digit(c)) return number(start);
    if (c == '!') fail(start, "unexpected '!'; write 'not'");
    const std::string_view word = peek_word();
    constexpr std::string_view reserved[] = {"and", "or",       "not",
                                             "in",  "contains", "matches"};
    if (word.empty() ||
        std::ranges::find(reserved, word) != std::end(reserved)) {
      fail(start, "a value is missing");
    }
    advance(word.size());
    if (word == "true" || word == "false") {
      return constant(word == "true", type_kind::boolean, start);
    }
    skip_space();
    if (text_.substr(at_).starts_with("(")) {
      return nested(start, [&] { return call(start, start, word, {}); });
    }
    at_ = last_;
    return path(start, word);
  }

  std::size_t constant(value_data data, type_kind k, std::size_t start) {
    node n;
    n.constant = std::move(data);
    n.constant_kind = k;
    return add(std::move(n), start);
  }

  std::size_t path(std::size_t start, std::string_view first) {
    using step = node::step;
    node n;
    n.what = kind::path;
    n.name = first;
    n.steps.push_back({step::kind::name, n.name, 0, start, n.name.size()});
    bool of_all = false;
    while (at_ < text_.size()) {
      step s;
      s.offset = at_;
      if (text_[at_] == '.') {
        advance(1);
        s.name = take_name("a name");
        n.name += '.' + s.name;
      } else if (text_[at_] == '[') {
        advance(1);
        if (take("]")) {
          s.what = step::kind::every_item;
          n.name += "[]";
          of_all = true;
        } else {
          if (of_all) {
            fail(s.offset,
                 "one item of a list of all items; take first() or last()");
          }
          s.what = step::kind::item;
          s.index = nested(s.offset, [&] { return either(); });
          const node& index = out_.nodes_[s.index];
          n.name += '[';
          n.name += text_.substr(index.begin, index.end - index.begin);
          n.name += ']';
          expect("]");
        }
      } else {
        break;
      }
      s.spelling = n.name.size();
      count(s.offset);
      n.steps.push_back(std::move(s));
    }
    return add(std::move(n), start);
  }

  std::size_t quoted(std::size_t start) {
    constexpr std::pair<char, char> escapes[] = {{'n', '\n'}, {'t', '\t'},
                                                 {'r', '\r'}, {'\\', '\\'},
                                                 {'"', '"'},  {'\'', '\''}};
    std::string text;
    for (std::size_t i = start + 1; i < text_.size(); ++i) {
      if (text_[i] == text_[start]) {
        advance(i + 1 - start);
        return constant(std::move(text), type_kind::text, start);
      }
      if (text_[i] != '\\') {
        text += text_[i];
        continue;
      }
      if (++i == text_.size()) break;
      const auto* known =
          std::ranges::find(escapes, text_[i], &std::pair<char, char>::first);
      if (known == std::end(escapes)) {
        fail(i - 1,
             "'\\' is followed by none of n t r \\ ' \"; write '\\\\' for "
             "itself");
      }
      text += known->second;
    }
    fail(start, "the text has no closing quote");
  }

  // Digits, a fraction and an exponent, then perhaps a unit.
  std::size_t number(std::size_t start) {
    const auto digits = [&](std::size_t at) {
      while (at < text_.size() && ascii::is_digit(text_[at])) ++at;
      return at;
    };
    const auto digit_at = [&](std::size_t at) {
      return at < text_.size() && ascii::is_digit(text_[at]);
    };
    std::size_t end = digits(start);
    bool whole = true;
    if (end < text_.size() && text_[end] == '.' && digit_at(end + 1)) {
      whole = false;
      end = digits(end + 1);
    }
    if (end < text_.size() && (text_[end] == 'e' || text_[end] == 'E')) {
      const bool has_sign = end + 1 < text_.size() &&
                            (text_[end + 1] == '-' || text_[end + 1] == '+');
      const std::size_t first = end + (has_sign ? 2 : 1);
      if (digit_at(first)) {
        whole = false;
        end = digits(first);
      }
    }
    const std::string_view text = text_.substr(start, end - start);
    advance(text.size());
    const std::string_view suffix = peek_word();
    advance(suffix.size());
    if (!suffix.empty()) return with_unit(start, text, suffix);
    if (whole) {
      std::int64_t n = 0;
      if (!read(text, n)) fail(start, "an integer has 64 bits");
      return constant(n, type_kind::integer, start);
    }
    double x = 0;
    if (!read(text, x)) fail(start, "outside the range of a float");
    return constant(x, type_kind::number, start);
  }

  template <class Number>
  static bool read(std::string_view text, Number& x) {
    const char* last = text.data() + text.size();
    return std::from_chars(text.data(), last, x).ec == std::errc();
  }

  std::size_t with_unit(std::size_t start, std::string_view text,
                        std::string_view suffix) {
    struct row {
      std::string_view suffix;
      type_kind gives;
      std::int64_t factor;
    };
    constexpr row rows[] = {{"ms", type_kind::duration, 1},
                            {"s", type_kind::duration, 1000},
                            {"m", type_kind::duration, 60'000},
                            {"h", type_kind::duration, 3'600'000},
                            {"B", type_kind::size, 1},
                            {"KiB", type_kind::size, 1 << 10},
                            {"MiB", type_kind::size, 1 << 20}};
    const row* known = std::ranges::find(rows, suffix, &row::suffix);
    if (known == std::end(rows)) {
      fail(start + text.size(), "no unit '" + std::string(suffix) +
                                    "'; there are ms, s, m, h, B, KiB, MiB");
    }
    std::int64_t n = 0;
    double x = 0;
    if (text.find_first_not_of("0123456789") == std::string_view::npos) {
      if (!read(text, n) ||
          n > std::numeric_limits<std::int64_t>::max() / known->factor) {
        fail(start, "the number is too large");
      }
      n *= known->factor;
    } else {
      if (!read(text, x)) fail(start, "the number is too large");
      x *= static_cast<double>(known->factor);
      if (x > 1e15 || x != std::floor(x)) {
        fail(start, known->gives == type_kind::duration
                        ? "not a whole number of milliseconds"
                        : "not a whole number of bytes");
      }
      n = static_cast<std::int64_t>(x);
    }
    return constant(n, known->gives, start);
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t last_ = 0;  // where the last token ended
  std::size_t depth_ = 0;
  std::size_t n_parts_ = 0;
  expression_tree out_;
};

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_EXPRESSION_PARSER_IPP_
