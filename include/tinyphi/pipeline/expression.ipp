// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_EXPRESSION_IPP_
#define TINYPHI_PIPELINE_EXPRESSION_IPP_

#include <algorithm>
#include <charconv>

#include "tinyphi/base/utf8.h"
#include "tinyphi/pipeline/expression.h"

TINYPHI_NAMESPACE_BEGIN

// Recursive descent; the first fault is thrown inside and returned by parse.
class expression_parser {
 public:
  using op = expression::op;
  using kind = expression::kind;
  using node = expression::node;
  using parse_error = expression::parse_error;

  expression_parser(std::string_view text, const expression::resolver& resolve)
      : text_(text), resolve_(&resolve) {}

  expression whole() {
    const std::size_t root = either();
    skip_space();
    if (at_ != text_.size()) fail(at_, "unexpected '" + rest() + "'");
    want(root, kind::boolean, 0, "the condition");
    return std::move(out_);
  }

 private:
  [[noreturn]] static void fail(std::size_t offset, std::string message) {
    throw parse_error{offset, false, std::move(message)};
  }

  std::string rest() const {
    const std::string_view tail = text_.substr(at_);
    return std::string(
        tail.substr(0, complete_utf8_length(tail.substr(0, 12))));
  }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' ||
                                  text_[at_] == '\n' || text_[at_] == '\r')) {
      ++at_;
    }
  }

  static bool word_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_';
  }

  std::string_view peek_word() const {
    std::size_t end = at_;
    while (end < text_.size() && word_char(text_[end])) ++end;
    return text_.substr(at_, end - at_);
  }

  bool take_word(std::string_view word) {
    skip_space();
    if (peek_word() != word) return false;
    at_ += word.size();
    return true;
  }

  bool take(std::string_view symbol) {
    skip_space();
    if (!text_.substr(at_).starts_with(symbol)) return false;
    at_ += symbol.size();
    return true;
  }

  std::size_t add(node n, std::size_t offset) {
    if (out_.nodes_.size() == expression::max_nodes) {
      fail(offset,
           "more than " + std::to_string(expression::max_nodes) + " parts");
    }
    out_.nodes_.push_back(std::move(n));
    return out_.nodes_.size() - 1;
  }

  static std::string_view name(kind k) {
    constexpr std::string_view names[] = {"true or false", "a number", "text",
                                          "a list"};
    return names[static_cast<std::size_t>(k)];
  }

  void want(std::size_t n, kind k, std::size_t offset, std::string_view what) {
    const kind found = out_.nodes_[n].gives;
    if (found == k) return;
    fail(offset, std::string(what) + " is " + std::string(name(found)) +
                     ", it must be " + std::string(name(k)));
  }

  std::size_t logical(op what, std::size_t left, std::size_t left_at,
                      std::size_t right, std::size_t right_at) {
    want(left, kind::boolean, left_at, "the left side");
    want(right, kind::boolean, right_at, "the right side");
    return add({.what = what, .left = left, .right = right}, left_at);
  }

  std::size_t either() {
    const std::size_t start = begin();
    std::size_t left = both();
    while (take_word("or")) {
      const std::size_t at = begin();
      left = logical(op::either, left, start, both(), at);
    }
    return left;
  }

  std::size_t both() {
    const std::size_t start = begin();
    std::size_t left = negation();
    while (take_word("and")) {
      const std::size_t at = begin();
      left = logical(op::both, left, start, negation(), at);
    }
    return left;
  }

  std::size_t negation() {
    if (!take_word("not")) return comparison();
    const std::size_t start = begin();
    enter(start);
    const std::size_t operand = negation();
    --depth_;
    want(operand, kind::boolean, start, "what follows 'not'");
    return add({.what = op::negate, .left = operand}, start);
  }

  std::size_t comparison() {
    const std::size_t start = begin();
    const std::size_t left = primary();
    constexpr std::pair<std::string_view, op> symbols[] = {
        {"==", op::equal},         {"!=", op::unequal}, {"<=", op::less_equal},
        {">=", op::greater_equal}, {"<", op::less},     {">", op::greater}};
    for (const auto& [symbol, what] : symbols) {
      if (!take(symbol)) continue;
      const std::size_t at = begin();
      const std::size_t right = primary();
      const kind k = out_.nodes_[left].gives;
      const bool ordered = what != op::equal && what != op::unequal;
      if (k == kind::other || (ordered && k == kind::boolean)) {
        fail(start, std::string(name(k)) + " cannot be compared with '" +
                        std::string(symbol) + "'" +
                        (k == kind::other ? "; use len()" : ""));
      }
      want(right, k, at, "the right side");
      return add({.what = what, .left = left, .right = right}, start);
    }
    return left;
  }

  std::size_t primary() {
    const std::size_t start = begin();
    if (take("(")) {
      enter(start);
      const std::size_t inner = either();
      --depth_;
      if (!take(")")) fail(at_, "')' is missing");
      return inner;
    }
    if (take("'")) return quoted(start);
    if (start < text_.size() &&
        (text_[start] == '-' || (text_[start] >= '0' && text_[start] <= '9'))) {
      return number(start);
    }
    const std::string_view word = peek_word();
    if (word.empty()) fail(start, "a value is missing");
    at_ += word.size();
    if (word == "true" || word == "false") {
      return add({.what = op::constant, .value = word == "true"}, start);
    }
    if (word == "len" && take("(")) return length(start);
    if (word == "has" && take("(")) {
      const std::size_t at = begin();
      const std::size_t path_node = path(at, true);
      out_.nodes_[path_node].what = op::has;
      out_.nodes_[path_node].gives = kind::boolean;
      if (!take(")")) fail(at_, "')' is missing");
      return path_node;
    }
    at_ = start;
    return path(start, false);
  }

  std::size_t length(std::size_t start) {
    const std::size_t at = begin();
    enter(start);
    const std::size_t operand = either();
    --depth_;
    if (!take(")")) fail(at_, "')' is missing");
    const node& n = out_.nodes_[operand];
    if (n.what != op::slot ||
        (n.gives != kind::other && n.gives != kind::text)) {
      fail(at, "len() takes a text or a list of a stage");
    }
    out_.nodes_[operand].what = op::length;
    out_.nodes_[operand].gives = kind::number;
    return operand;
  }

  std::size_t quoted(std::size_t start) {
    std::string text;
    while (at_ < text_.size() && text_[at_] != '\'') {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      text += text_[at_++];
    }
    if (!take("'")) fail(start, "the text has no closing quote");
    return add({.what = op::constant, .gives = kind::text, .value = text},
               start);
  }

  std::size_t number(std::size_t start) {
    double x = 0;
    const char* first = text_.data() + start;
    const char* last = text_.data() + text_.size();
    const auto [end, ec] = std::from_chars(first, last, x);
    if (ec != std::errc()) fail(start, "not a number");
    at_ = start + static_cast<std::size_t>(end - first);
    return add({.what = op::constant, .gives = kind::number, .value = x},
               start);
  }

  std::size_t path(std::size_t start, bool only_presence) {
    while (at_ < text_.size() && (word_char(text_[at_]) || text_[at_] == '.')) {
      ++at_;
    }
    const std::string_view full = text_.substr(start, at_ - start);
    if (full.find('.') == std::string_view::npos) {
      fail(start, "'" + std::string(full) +
                      "' is not a value; write input.x, stage.port or env.X");
    }
    auto found = (*resolve_)(full);
    if (auto* message = std::get_if<std::string>(&found)) {
      throw parse_error{start, true, std::move(*message)};
    }
    auto& meaning = std::get<expression::meaning>(found);
    if (const auto* s = std::get_if<expression::slot>(&meaning)) {
      (only_presence ? out_.reads_ : out_.needs_).push_back(s->index);
      if (!only_presence) out_.reads_.push_back(s->index);
      return add(
          {.what = op::slot, .gives = kind_of(s->type), .index = s->index},
          start);
    }
    if (only_presence) fail(start, "has() asks for a value that may be absent");
    const auto& data = std::get<value_data>(meaning);
    node n;
    if (const auto* b = data.get<bool>()) {
      n.value = *b;
    } else if (const auto number = data.number()) {
      n.gives = kind::number, n.value = *number;
    } else {
      n.gives = kind::text, n.value = *data.get<std::string>();
    }
    return add(std::move(n), start);
  }

  static kind kind_of(const type& t) {
    switch (t.kind()) {
      case type_kind::boolean:
        return kind::boolean;
      case type_kind::integer:
      case type_kind::number:
      case type_kind::duration:
      case type_kind::size:
        return kind::number;
      case type_kind::text:
      case type_kind::path:
      case type_kind::file:
        return kind::text;
      default:
        return kind::other;
    }
  }

  std::size_t begin() {
    skip_space();
    return at_;
  }
  void enter(std::size_t offset) {
    if (++depth_ > expression::max_nodes) fail(offset, "nested too deep");
  }

  std::string_view text_;
  const expression::resolver* resolve_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;
  expression out_;
};

TINYPHI_FUNC std::variant<expression, expression::parse_error>
expression::parse(std::string_view text, const resolver& resolve) {
  try {
    return expression_parser(text, resolve).whole();
  } catch (const parse_error& e) {
    return e;
  }
}

TINYPHI_FUNC bool expression::holds(const lookup& values) const {
  const auto is_absent = [&](std::size_t i) { return values(i) == nullptr; };
  if (std::any_of(needs_.begin(), needs_.end(), is_absent)) return false;
  return std::get<bool>(evaluate(nodes_.size() - 1, values));
}

TINYPHI_FUNC expression::scalar expression::evaluate(
    std::size_t n, const lookup& values) const {
  const node& e = nodes_[n];
  const auto truth = [&](std::size_t i) {
    return std::get<bool>(evaluate(i, values));
  };
  const auto compare = [&](auto order) {
    return order(evaluate(e.left, values), evaluate(e.right, values));
  };
  switch (e.what) {
    case op::constant:
      return e.value;
    case op::has:
      return values(e.index) != nullptr;
    case op::length: {
      const value& v = *values(e.index);
      if (const auto* text = v.get<std::string>()) {
        return static_cast<double>(text->size());
      }
      const auto* items = v.get<value_data::list>();
      return items == nullptr ? 0 : static_cast<double>(items->size());
    }
    case op::slot: {
      const value& v = *values(e.index);
      if (const auto* b = v.get<bool>()) return *b;
      if (const auto x = v.data.number()) return *x;
      if (const auto* t = v.get<std::string>()) return *t;
      return false;
    }
    case op::negate:
      return !truth(e.left);
    case op::both:
      return truth(e.left) && truth(e.right);
    case op::either:
      return truth(e.left) || truth(e.right);
    case op::equal:
      return compare(std::equal_to<>());
    case op::unequal:
      return compare(std::not_equal_to<>());
    case op::less:
      return compare(std::less<>());
    case op::less_equal:
      return compare(std::less_equal<>());
    case op::greater:
      return compare(std::greater<>());
    case op::greater_equal:
      return compare(std::greater_equal<>());
  }
  return false;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_EXPRESSION_IPP_
