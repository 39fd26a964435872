// SPDX-License-Identifier: MIT
// Template text to nodes: one pass of recursive descent, bounded in depth.
#ifndef TINYPHI_PLUGINS_PROMPT_TEMPLATE_COMPILER_IPP_
#define TINYPHI_PLUGINS_PROMPT_TEMPLATE_COMPILER_IPP_

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "plugins/prompt/template.h"
#include "plugins/prompt/template_scanner.h"
#include "tinyphi/pipeline/diagnostic.h"

TINYPHI_NAMESPACE_BEGIN
namespace prompts {

// Used once, by prompt_template::compile. A fault travels up as false.
class template_compiler : detail::template_scanner {
 public:
  explicit template_compiler(std::string_view text)
      : template_scanner(text.substr(0, text.size() - text.ends_with('\n'))) {}

  [[nodiscard]] std::variant<prompt_template, template_fault> run() && {
    if (text_.size() > prompt_template::max_bytes) {
      fail(0, "a template has at most " +
                  std::to_string(prompt_template::max_bytes) + " bytes");
      return fault_;
    }
    std::string_view end;
    if (!block(out_.nodes_, end, 0)) return fault_;
    if (!end.empty()) {
      fail(tag_at_, "{% " + std::string(end) + " %} without a block to end");
      return fault_;
    }
    for (const auto& [name, use] : out_.variables_) {
      if (use.looped && (use.printed > 0 || use.printed_in_loop)) {
        fail(use.offset, "'" + name +
                             "' is looped over and also printed; print fields "
                             "of its items");
        return fault_;
      }
    }
    return std::move(out_);
  }

 private:
  using node = detail::node;
  using operand = detail::operand;
  using condition = detail::condition;

  // Nodes up to an {% end... %}, {% elif %} or {% else %}, whose first word
  // becomes `end`, or up to the end of the text (`end` is empty).
  bool block(std::vector<node>& nodes, std::string_view& end,
             std::size_t depth) {
    if (depth > prompt_template::max_depth) {
      return fail(tag_at_, "blocks may be nested " +
                               std::to_string(prompt_template::max_depth) +
                               " deep");
    }
    while (at_ < text_.size()) {
      plain_text(nodes);
      if (at_ >= text_.size()) break;
      tag_at_ = at_;
      const char kind = text_[at_ + 1];
      at_ += 2;
      if (kind == '#') {
        const std::size_t close = text_.find("#}", at_);
        if (close == std::string_view::npos) {
          return fail(tag_at_, "{# without #}");
        }
        at_ = close + 2;
        continue;
      }
      accept("-");
      if (kind == '{') {
        node& print = nodes.emplace_back();
        print.what = node::kind::print;
        if (!value(print.value, true) || !close("}}")) return false;
        continue;
      }
      const std::string_view word = name();
      if (word == "for" || word == "if") {
        nodes.emplace_back();
        const bool ok = word == "for" ? loop(nodes.back(), depth)
                                      : branch(nodes.back(), depth);
        if (!ok) return false;
        continue;
      }
      if (word == "endfor" || word == "endif" || word == "else" ||
          word == "elif") {
        end = word;
        return true;
      }
      static constexpr std::array<std::string_view, 6> known = {
          "for", "endfor", "if", "elif", "else", "endif"};
      return fail(tag_at_, "unknown tag '" + std::string(word) + "'" +
                               did_you_mean(word, known));
    }
    end = {};
    return true;
  }

  // Up to the next tag; "-" at a tag eats the white space beside it.
  void plain_text(std::vector<node>& nodes) {
    const std::size_t begin = at_;
    while (at_ < text_.size() &&
           !(text_[at_] == '{' && at_ + 1 < text_.size() &&
             (text_[at_ + 1] == '{' || text_[at_ + 1] == '%' ||
              text_[at_ + 1] == '#'))) {
      ++at_;
    }
    std::string_view plain = text_.substr(begin, at_ - begin);
    if (eat_space_) {
      plain.remove_prefix(
          std::min(plain.find_first_not_of(" \t\r\n"), plain.size()));
    }
    if (text_.substr(at_).size() > 2 && text_[at_ + 2] == '-') {
      plain = plain.substr(0, plain.find_last_not_of(" \t\r\n") + 1);
    }
    eat_space_ = false;
    if (plain.empty()) return;
    out_.fixed_text_ += plain;
    nodes.emplace_back().text = plain;
  }

  bool loop(node& n, std::size_t depth) {
    const std::size_t at = tag_at_;
    n.what = node::kind::loop;
    skip_space();
    const std::size_t item_at = at_;
    n.text = name();
    if (n.text.empty()) return fail("a name must follow 'for'");
    if (n.text == "loop" || loops_contain(n.text) ||
        out_.variables_.contains(n.text)) {
      return fail(item_at, "'" + n.text + "' already stands for something");
    }
    if (name() != "in") return fail("'in' must follow 'for " + n.text + "'");
    skip_space();
    const std::size_t list_at = at_;
    n.value.from = operand::source::variable;
    n.value.name = name();
    if (n.value.name.empty()) return fail("a list must follow 'in'");
    if (loops_contain(n.value.name) || n.value.name == "loop") {
      return fail(list_at, "'" + n.value.name + "' is not a list");
    }
    use(n.value.name, list_at).looped = true;
    if (!close("%}")) return false;
    loops_.push_back(n.text);
    std::string_view end;
    n.arms.emplace_back();
    if (!block(n.arms[0].body, end, depth + 1)) return false;
    loops_.pop_back();
    if (end != "endfor") return fail(at, "{% for %} without {% endfor %}");
    return close("%}");
  }

  bool branch(node& n, std::size_t depth) {
    const std::size_t at = tag_at_;
    n.what = node::kind::branch;
    std::string_view end = "elif";
    while (end != "endif") {
      if (end.empty() || end == "endfor" ||
          (!n.arms.empty() && n.arms.back().is_else)) {
        return fail(at, "{% if %} without {% endif %}");
      }
      n.arms.emplace_back();
      n.arms.back().is_else = end == "else";
      if (end == "elif" && !either(n.arms.back().when, depth)) return false;
      if (!close("%}")) return false;
      if (!block(n.arms.back().body, end, depth + 1)) return false;
    }
    return close("%}");
  }

  bool either(condition& c, std::size_t depth) {
    return joined(c, depth, "or", condition::kind::either,
                  &template_compiler::both);
  }
  bool both(condition& c, std::size_t depth) {
    return joined(c, depth, "and", condition::kind::both,
                  &template_compiler::single);
  }
  bool joined(condition& c, std::size_t depth, std::string_view word,
              condition::kind kind,
              bool (template_compiler::*part)(condition&, std::size_t)) {
    if (!(this->*part)(c, depth)) return false;
    if (!accept_word(word)) return true;
    condition all{.what = kind, .operands = {}, .parts = {std::move(c)}};
    do {
      all.parts.emplace_back();
      if (!(this->*part)(all.parts.back(), depth)) return false;
    } while (accept_word(word));
    c = std::move(all);
    return true;
  }
  bool single(condition& c, std::size_t depth) {
    if (depth > prompt_template::max_depth) {
      return fail("the condition is nested too deep");
    }
    if (accept_word("not")) {
      c.what = condition::kind::negation;
      c.parts.emplace_back();
      return single(c.parts.back(), depth + 1);
    }
    if (accept("(")) {
      return either(c, depth + 1) && (accept(")") || fail("')' is missing"));
    }
    c.operands.emplace_back();
    if (!value(c.operands.back(), false)) return false;
    if (accept("==")) {
      c.what = condition::kind::equal;
    } else if (accept("!=")) {
      c.what = condition::kind::unequal;
    } else {
      return true;
    }
    c.operands.emplace_back();
    return value(c.operands.back(), false);
  }

  // "text", 12, name, item.field, loop.index; then filters.
  bool value(operand& o, bool printed) {
    skip_space();
    const std::size_t at = at_;
    if (at_ < text_.size() && (text_[at_] == '\'' || text_[at_] == '"')) {
      o.from = operand::source::text;
      return quoted(o.text) && filters(o, at, printed);
    }
    if (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') {
      o.from = operand::source::number;
      const auto* first = text_.data() + at_;
      const auto [last, status] =
          std::from_chars(first, text_.data() + text_.size(), o.number);
      if (status != std::errc{}) return fail("the number is too large");
      at_ += static_cast<std::size_t>(last - first);
      return filters(o, at, printed);
    }
    o.name = name();
    if (o.name.empty()) return fail(at, "a value is missing");
    const bool is_item = loops_contain(o.name);
    if (!is_item && o.name != "loop") {
      o.from = operand::source::variable;
      if (accept(".")) {
        return fail(at, "'" + o.name +
                            "' has no fields; only the items of a list have");
      }
      return filters(o, at, printed);
    }
    if (!accept(".")) {
      return fail(at, "'" + o.name +
                          "' cannot be used whole; name a field, "
                          "as in " +
                          o.name + (is_item ? ".text" : ".index"));
    }
    o.from = is_item ? operand::source::field : operand::source::loop;
    o.field = name();
    static constexpr std::array<std::string_view, 6> item_fields = {
        "id", "source", "title", "locator", "text", "score"};
    static constexpr std::array<std::string_view, 5> loop_fields = {
        "index", "index0", "first", "last", "length"};
    const std::span<const std::string_view> known =
        is_item ? std::span<const std::string_view>(item_fields)
                : std::span<const std::string_view>(loop_fields);
    if (!is_item && loops_.empty()) return fail(at, "'loop' outside a loop");
    if (std::find(known.begin(), known.end(), o.field) == known.end()) {
      return fail(at, "'" + o.name + "' has no field '" + o.field + "'" +
                          did_you_mean(o.field, known));
    }
    return filters(o, at, printed);
  }

  bool filters(operand& o, std::size_t at, bool printed) {
    while (accept("|")) {
      detail::filter f{};
      if (!one_filter(f)) return false;
      if (printed) out_.fixed_text_ += f.text;
      o.filters.push_back(std::move(f));
    }
    if (printed) out_.fixed_text_ += o.text;
    if (o.from != operand::source::variable) return true;
    variable_use& u = use(o.name, at);
    const auto is_default = [](const detail::filter& f) {
      return f.kind == detail::filter_kind::fallback;
    };
    if (!printed ||
        std::any_of(o.filters.begin(), o.filters.end(), is_default)) {
      u.tested = true;
    }
    if (!o.filters.empty() &&
        o.filters.front().kind == detail::filter_kind::length) {
      u.looped = true;
    } else if (printed && loops_.empty()) {
      ++u.printed;
    } else if (printed) {
      u.printed_in_loop = true;
    }
    return true;
  }

  bool one_filter(detail::filter& f) {
    using detail::filter_kind;
    static constexpr std::array<std::string_view, 7> names = {
        "trim", "lower", "upper", "json", "lines", "default", "length"};
    skip_space();
    const std::size_t at = at_;
    const std::string_view word = name();
    const auto it = std::find(names.begin(), names.end(), word);
    if (it == names.end()) {
      return fail(at, "unknown filter '" + std::string(word) + "'" +
                          did_you_mean(word, names));
    }
    f.kind = static_cast<filter_kind>(it - names.begin());
    const bool takes_argument =
        f.kind == filter_kind::lines || f.kind == filter_kind::fallback;
    if (!takes_argument) return true;
    if (!accept("(")) return fail("'(' must follow " + std::string(word));
    skip_space();
    if (f.kind == filter_kind::fallback) {
      if (!quoted(f.text)) return false;
    } else {
      const auto* first = text_.data() + at_;
      const auto [last, status] =
          std::from_chars(first, text_.data() + text_.size(), f.count);
      if (status != std::errc{}) return fail(at, "lines() takes a number");
      at_ += static_cast<std::size_t>(last - first);
    }
    return accept(")") || fail("')' is missing");
  }

  [[nodiscard]] bool loops_contain(std::string_view item) const {
    return std::find(loops_.begin(), loops_.end(), item) != loops_.end();
  }
  variable_use& use(const std::string& variable, std::size_t offset) {
    return out_.variables_.try_emplace(variable, variable_use{offset})
        .first->second;
  }

  std::size_t tag_at_ = 0;
  std::vector<std::string> loops_;  // item names, outermost first
  prompt_template out_;
};

inline std::variant<prompt_template, template_fault> prompt_template::compile(
    std::string_view text) {
  return template_compiler(text).run();
}

}  // namespace prompts
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_PROMPT_TEMPLATE_COMPILER_IPP_
