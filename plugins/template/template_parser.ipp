// SPDX-License-Identifier: MIT
// Template text to nodes: one pass of recursive descent, bounded in depth.
#ifndef TINYPHI_PLUGINS_TEMPLATE_TEMPLATE_PARSER_IPP_
#define TINYPHI_PLUGINS_TEMPLATE_TEMPLATE_PARSER_IPP_

#include <algorithm>

#include "plugins/template/template.h"
#include "tinyphi/base/ascii.h"

TINYPHI_NAMESPACE_BEGIN
namespace templates {

// Used once; the first fault is thrown inside and returned by parse.
class template_parser {
 public:
  explicit template_parser(std::string_view text)
      : text_(text.substr(0, text.size() - text.ends_with('\n'))) {}

  parsed_template run() {
    if (text_.size() > parsed_template::max_bytes) {
      fail(0, "a template has at most " +
                  std::to_string(parsed_template::max_bytes) + " bytes");
    }
    const std::string_view end = block(out_.nodes_, {}, 0);
    if (!end.empty()) {
      fail(tag_at_, "{% " + std::string(end) + " %} without a block to end");
    }
    for (const std::string& item : items_) {
      const auto use = out_.uses_.find(item);
      if (use == out_.uses_.end()) continue;
      fail(use->second.offset,
           quote(item) + " stands for the items of a loop, and only inside it");
    }
    return std::move(out_);
  }

 private:
  using node = detail::node;

  [[noreturn]] static void fail(std::size_t offset, std::string message) {
    throw template_fault{fault::bad_template, offset, std::move(message)};
  }

  // Nodes up to an {% end... %}, {% elif %} or {% else %}, whose first word is
  // given back, or up to the end of the text.
  std::string_view block(std::vector<node>& nodes, const presence_facts& known,
                         std::size_t depth) {
    if (depth > parsed_template::max_depth) {
      fail(tag_at_, "blocks may be nested " +
                        std::to_string(parsed_template::max_depth) + " deep");
    }
    while (at_ < text_.size()) {
      plain_text(nodes);
      if (at_ >= text_.size()) break;
      tag_at_ = at_;
      const char kind = text_[at_ + 1];
      at_ += 2;
      if (kind == '#') {
        comment();
        continue;
      }
      if (at_ < text_.size() && text_[at_] == '-') ++at_;
      if (kind == '{') {
        node& print = nodes.emplace_back();
        print.what = node::kind::print;
        print.value = read_formula(known);
        close("}}");
        continue;
      }
      const std::string_view word = name();
      if (word == "for") {
        loop(nodes.emplace_back(), known, depth);
      } else if (word == "if") {
        branch(nodes.emplace_back(), known, depth);
      } else if (word == "endfor" || word == "endif" || word == "else" ||
                 word == "elif") {
        return word;
      } else {
        constexpr std::string_view tags[] = {"for",  "endfor", "if",
                                             "elif", "else",   "endif"};
        fail(tag_at_, "unknown tag " + quote(word) + did_you_mean(word, tags));
      }
    }
    return {};
  }

  void comment() {
    const std::size_t end = text_.find("#}", at_);
    if (end == std::string_view::npos) fail(tag_at_, "{# without #}");
    eat_space_ = end > at_ && text_[end - 1] == '-';
    at_ = end + 2;
  }

  // Up to the next tag; "-" at a tag eats the white space beside it.
  void plain_text(std::vector<node>& nodes) {
    const std::size_t begin = at_;
    for (; at_ < text_.size(); ++at_) {
      const std::string_view mark = text_.substr(at_, 2);
      if (mark == "{{" || mark == "{%" || mark == "{#") break;
    }
    std::string_view plain = text_.substr(begin, at_ - begin);
    if (eat_space_) {
      plain.remove_prefix(
          std::min(plain.find_first_not_of(white), plain.size()));
    }
    if (text_.substr(at_).size() > 2 && text_[at_ + 2] == '-') {
      plain = plain.substr(0, plain.find_last_not_of(white) + 1);
    }
    eat_space_ = false;
    if (!plain.empty()) nodes.emplace_back().text = plain;
  }

  detail::formula read_formula(const presence_facts& known) {
    skip_space();
    detail::formula f;
    f.offset = at_;
    auto tree = expression_tree::parse(text_.substr(at_), &at_);
    if (!tree) {
      fail(f.offset + tree.error().offset, std::move(tree).error().message);
    }
    at_ += f.offset;
    f.tree = *std::move(tree);
    for (const auto& path : f.tree.paths(known)) {
      const std::string_view first = path.names[0];
      if (first == "loop") {
        if (loops_.empty())
          fail(f.offset + path.offset, "'loop' outside a loop");
      } else if (!stands_for_item(first)) {
        use(first, f.offset + path.offset).required |= !path.optional;
      }
    }
    return f;
  }

  void loop(node& n, const presence_facts& known, std::size_t depth) {
    const std::size_t at = tag_at_;
    n.what = node::kind::loop;
    skip_space();
    const std::size_t item_at = at_;
    n.text = name();
    if (n.text.empty()) fail(at_, "a name must follow 'for'");
    constexpr std::string_view words[] = {"loop",    "and",  "or",
                                          "not",     "in",   "contains",
                                          "matches", "true", "false"};
    if (std::ranges::find(words, n.text) != std::end(words) ||
        stands_for_item(n.text)) {
      fail(item_at, quote(n.text) + " already stands for something");
    }
    if (name() != "in") fail(item_at, "'in' must follow 'for " + n.text + "'");
    n.value = read_formula(known);
    const expression_node& list = n.value.tree.nodes().back();
    if (list.what != expression_node::kind::path) {
      fail(n.value.offset, "a loop goes over a path, such as docs");
    }
    if (list.steps.size() == 1 && !stands_for_item(list.name) &&
        list.name != "loop") {
      use(list.name, n.value.offset).looped = true;
    }
    close("%}");
    loops_.push_back(n.text);
    items_.push_back(n.text);
    const std::string_view end =
        block(n.arms.emplace_back().body,
              known_in_loop(known, n.value.tree, n.text), depth + 1);
    loops_.pop_back();
    if (end != "endfor") fail(at, "{% for %} without {% endfor %}");
    close("%}");
  }

  void branch(node& n, presence_facts known, std::size_t depth) {
    const std::size_t at = tag_at_;
    n.what = node::kind::branch;
    for (std::string_view end = "elif"; end != "endif";) {
      const bool after_else = !n.arms.empty() && !n.arms.back().when;
      if ((end != "elif" && end != "else") || after_else) {
        fail(at, "{% if %} without {% endif %}");
      }
      detail::arm& arm = n.arms.emplace_back();
      presence_facts here = known;
      if (end == "elif") {
        arm.when = read_formula(known);
        here.add(arm.when->tree.proves(true));
        known.add(arm.when->tree.proves(false));
      }
      close("%}");
      end = block(arm.body, here, depth + 1);
    }
    close("%}");
  }

  void close(std::string_view mark) {
    skip_space();
    eat_space_ = at_ < text_.size() && text_[at_] == '-';
    if (eat_space_) ++at_;
    if (!text_.substr(at_).starts_with(mark)) {
      fail(at_, quote(mark) + " is missing");
    }
    at_ += mark.size();
  }

  void skip_space() {
    at_ = std::min(text_.find_first_not_of(white, at_), text_.size());
  }
  // A name, or nothing.
  std::string_view name() {
    skip_space();
    const std::size_t begin = at_;
    while (at_ < text_.size() && ascii::is_word(text_[at_]) &&
           !(at_ == begin && ascii::is_digit(text_[at_]))) {
      ++at_;
    }
    return text_.substr(begin, at_ - begin);
  }

  [[nodiscard]] bool stands_for_item(std::string_view name) const {
    return std::ranges::find(loops_, name) != loops_.end();
  }
  variable_use& use(std::string_view name, std::size_t offset) {
    return out_.uses_.try_emplace(std::string(name), variable_use{offset})
        .first->second;
  }

  static constexpr std::string_view white = " \t\r\n";

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t tag_at_ = 0;
  bool eat_space_ = false;          // "-%}" was read
  std::vector<std::string> loops_;  // the names that they bind, outermost first
  std::vector<std::string> items_;  // of all loops
  parsed_template out_;
};

inline result<parsed_template, template_fault> parsed_template::parse(
    std::string_view text) {
  try {
    return template_parser(text).run();
  } catch (template_fault& f) {
    return std::move(f);
  }
}

}  // namespace templates
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_TEMPLATE_TEMPLATE_PARSER_IPP_
