// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SCHEMA_REGEX_SYNTAX_IPP_
#define TINYPHI_SCHEMA_REGEX_SYNTAX_IPP_

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

#include "tinyphi/base/ascii.h"
#include "tinyphi/base/utf8.h"
#include "tinyphi/schema/regex_syntax.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC bool char_set::contains(char32_t c) const {
  const auto among = [&](utf8proc_int32_t x) {
    const auto point = static_cast<char32_t>(x);
    return std::any_of(ranges.begin(), ranges.end(),
                       [&](const code_point_range& r) {
                         return r.first <= point && point <= r.last;
                       }) ||
           (categories != 0 && (categories >> utf8proc_category(x) & 1) != 0);
  };
  const auto x = static_cast<utf8proc_int32_t>(c);
  bool found = among(x);
  if (ignore_case && !found) {
    found = among(utf8proc_tolower(x)) || among(utf8proc_toupper(x));
  }
  return found != negated;
}

namespace detail {

inline constexpr std::uint32_t category_bits(
    std::initializer_list<utf8proc_category_t> categories) {
  std::uint32_t bits = 0;
  for (const auto c : categories) bits |= std::uint32_t{1} << c;
  return bits;
}

struct named_categories {
  std::string_view name;
  std::uint32_t bits;
};
inline constexpr std::uint32_t all_categories = (std::uint32_t{1} << 30) - 1;
inline constexpr named_categories regex_categories[] = {
    {"L", category_bits({UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_LL,
                         UTF8PROC_CATEGORY_LT, UTF8PROC_CATEGORY_LM,
                         UTF8PROC_CATEGORY_LO})},
    {"Lu", category_bits({UTF8PROC_CATEGORY_LU})},
    {"Ll", category_bits({UTF8PROC_CATEGORY_LL})},
    {"N", category_bits({UTF8PROC_CATEGORY_ND, UTF8PROC_CATEGORY_NL,
                         UTF8PROC_CATEGORY_NO})},
    {"Nd", category_bits({UTF8PROC_CATEGORY_ND})},
    {"P", category_bits({UTF8PROC_CATEGORY_PC, UTF8PROC_CATEGORY_PD,
                         UTF8PROC_CATEGORY_PS, UTF8PROC_CATEGORY_PE,
                         UTF8PROC_CATEGORY_PI, UTF8PROC_CATEGORY_PF,
                         UTF8PROC_CATEGORY_PO})},
    {"Z", category_bits({UTF8PROC_CATEGORY_ZS, UTF8PROC_CATEGORY_ZL,
                         UTF8PROC_CATEGORY_ZP})},
    {"S", category_bits({UTF8PROC_CATEGORY_SM, UTF8PROC_CATEGORY_SC,
                         UTF8PROC_CATEGORY_SK, UTF8PROC_CATEGORY_SO})}};

// Everything but the ranges, which are in order and do not touch.
inline std::vector<code_point_range> complement(
    const std::vector<code_point_range>& ranges) {
  std::vector<code_point_range> out;
  char32_t from = 0;
  for (const code_point_range& r : ranges) {
    if (r.first > from) out.push_back({from, r.first - 1});
    from = r.last + 1;
  }
  out.push_back({from, 0x10FFFF});
  return out;
}

class regex_parser {
 public:
  using index = std::uint32_t;

  explicit regex_parser(std::string_view text) : text_(text) {}

  result<regex_syntax> parse() {
    if (const std::size_t bad = find_invalid_utf8(text_);
        bad != std::string_view::npos) {
      return error{error_code::bad_data,
                   "byte " + std::to_string(bad) + " is not UTF-8"};
    }
    leading_flags();
    TINYPHI_TRY(const index root, choice(0));
    if (!done()) return fault(")", "closes no group; write '\\)'");
    TINYPHI_CHECK_OK(check_ends(root, true, true));
    return std::move(out_);
  }

 private:
  [[nodiscard]] bool done() const { return at_ == text_.size(); }
  [[nodiscard]] std::string_view rest() const { return text_.substr(at_); }
  [[nodiscard]] bool sees(std::string_view what) const {
    return rest().starts_with(what);
  }
  bool take(std::string_view what) {
    if (!sees(what)) return false;
    at_ += what.size();
    return true;
  }
  char32_t take_char() {
    const utf8_char c = decode_utf8(rest());
    at_ += c.length;
    return c.code_point;
  }

  // The error about `found`, which stands at `at` or where the parser is.
  [[nodiscard]] error fault(std::string_view found, std::string_view what,
                            std::optional<std::size_t> at = {}) const {
    const std::size_t number =
        1 + count_characters(text_.substr(0, at.value_or(at_)));
    return {error_code::bad_data, "'" + std::string(found) + "' at character " +
                                      std::to_string(number) + ": " +
                                      std::string(what)};
  }
  [[nodiscard]] error unsupported(std::string_view found, std::string_view what,
                                  std::optional<std::size_t> at = {}) const {
    return fault(found, std::string(what) + " has no finite automaton here",
                 at);
  }

  index add(regex_node n) {
    out_.nodes.push_back(std::move(n));
    return static_cast<index>(out_.nodes.size() - 1);
  }
  index add_set(char_set s) {
    s.ignore_case = ignore_case_;
    out_.sets.push_back(std::move(s));
    return add(
        {.op = regex_op::set, .set = static_cast<index>(out_.sets.size() - 1)});
  }

  void leading_flags() {
    for (const std::string_view flags : {"(?i)", "(?s)", "(?is)", "(?si)"}) {
      if (!take(flags)) continue;
      ignore_case_ = flags.find('i') != std::string_view::npos;
      dot_is_all_ = flags.find('s') != std::string_view::npos;
      return;
    }
  }

  result<index> choice(std::size_t depth) {
    if (depth > max_depth) {
      return fault("(", "groups nest deeper than the 32 levels allowed");
    }
    std::vector<index> branches;
    do {
      TINYPHI_TRY(const index branch, sequence(depth));
      branches.push_back(branch);
    } while (take("|"));
    if (branches.size() == 1) return branches[0];
    return add({.op = regex_op::choice, .children = std::move(branches)});
  }

  result<index> sequence(std::size_t depth) {
    std::vector<index> parts;
    while (!done() && !sees("|") && !sees(")")) {
      TINYPHI_TRY(const index one, atom(depth));
      TINYPHI_TRY(const index repeated, repetition(one));
      parts.push_back(repeated);
    }
    return add({.op = regex_op::sequence, .children = std::move(parts)});
  }

  result<index> atom(std::size_t depth) {
    if (sees("(")) return group(depth);
    if (sees("[")) return bracket();
    if (sees("\\")) {
      char_set s;
      TINYPHI_TRY(const bool single, escape(s));
      (void)single;
      return add_set(std::move(s));
    }
    for (const std::string_view odd : {"*", "+", "?", "{"}) {
      if (sees(odd)) {
        return fault(odd, "there is nothing before it to repeat; write '\\" +
                              std::string(odd) + "' for the character");
      }
    }
    for (const std::string_view odd : {"}", "]"}) {
      if (sees(odd)) {
        return fault(odd, "closes nothing; write '\\" + std::string(odd) +
                              "' for the character");
      }
    }
    if (take("^")) return add({.op = regex_op::at_begin});
    if (take("$")) return add({.op = regex_op::at_end});
    if (take(".")) {
      if (dot_is_all_) return add_set({.ranges = {{0, 0x10FFFF}}});
      return add_set({.ranges = {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}},
                      .negated = true});
    }
    const char32_t c = take_char();
    return add_set({.ranges = {{c, c}}});
  }

  result<index> group(std::size_t depth) {
    const std::size_t begin = at_;
    take("(");
    if (take("?")) {
      for (const std::string_view look : {"=", "!", "<=", "<!"}) {
        if (sees(look)) {
          return unsupported("(?" + std::string(look),
                             look[0] == '<' ? "look-behind" : "look-ahead",
                             begin);
        }
      }
      if (take("<")) {
        const std::size_t end = rest().find('>');
        if (end == 0 || end == std::string_view::npos) {
          return fault("(?<", "the group's name has no end", begin);
        }
        at_ += end + 1;
      } else if (!take(":")) {
        return fault(
            "(?" + std::string(rest().substr(0, 1)),
            "(?:...) and (?<name>...) are allowed, and (?i) or (?s) at "
            "the beginning of the pattern",
            begin);
      }
    }
    TINYPHI_TRY(const index inside, choice(depth + 1));
    if (!take(")")) return fault("(", "the group has no end", begin);
    return inside;
  }

  result<index> repetition(index body) {
    const std::size_t begin = at_;
    std::uint32_t min = 0, max = regex_syntax::unbounded;
    if (take("*")) {
    } else if (take("+")) {
      min = 1;
    } else if (take("?")) {
      max = 1;
    } else if (take("{")) {
      if (!count(min)) return bad_count(begin);
      max = min;
      if (take(",")) {
        max = regex_syntax::unbounded;
        if (!sees("}") && !count(max)) return bad_count(begin);
      }
      if (!take("}") || max < min) return bad_count(begin);
    } else {
      return body;
    }
    const std::string_view written = text_.substr(begin, at_ - begin);
    const regex_op op = out_.nodes[body].op;
    if (op == regex_op::at_begin || op == regex_op::at_end) {
      return fault(written, "'^' and '$' cannot be repeated", begin);
    }
    const std::uint32_t most = max == regex_syntax::unbounded ? min : max;
    if (most > regex_syntax::max_group_count && op != regex_op::set) {
      return fault(written,
                   "more than 32 times; only a single character or "
                   "class can be repeated more often, to 1000 times",
                   begin);
    }
    if (take("+")) {
      return unsupported(std::string(written) + "+", "a possessive repetition",
                         begin);
    }
    take("?");
    for (const std::string_view again : {"*", "+", "?", "{"}) {
      if (sees(again)) return fault(again, "repeats a repetition; use a group");
    }
    return add(
        {.op = regex_op::repeat, .min = min, .max = max, .children = {body}});
  }
  bool count(std::uint32_t& n) {
    n = 0;
    const std::size_t begin = at_;
    while (!done() && ascii::is_digit(text_[at_]) &&
           n <= regex_syntax::max_count) {
      n = n * 10 + static_cast<std::uint32_t>(text_[at_++] - '0');
    }
    return at_ > begin && n <= regex_syntax::max_count;
  }
  [[nodiscard]] error bad_count(std::size_t begin) const {
    return fault(text_.substr(begin, 1),
                 "{m}, {m,} or {m,n} with m <= n <= 1000 is allowed; write "
                 "'\\{' for the character",
                 begin);
  }

  // [...]; the set's ranges may overlap.
  result<index> bracket() {
    const std::size_t begin = at_;
    take("[");
    char_set s;
    s.negated = take("^");
    bool empty = true;
    while (!take("]")) {
      if (done()) return fault("[", "the class has no end", begin);
      if (sees("[:") || sees("[.") || sees("[=")) {
        return fault(rest().substr(0, 2),
                     "POSIX classes are not allowed; write '\\['");
      }
      empty = false;
      TINYPHI_TRY(const auto low, member(s));
      const std::size_t dash = at_;
      if (sees("-]") || !take("-")) {
        continue;
      }
      if (done()) return fault("[", "the class has no end", begin);
      char_set unused;
      TINYPHI_TRY(const auto high, member(unused));
      if (!low || !high || *high < *low) {
        return fault(text_.substr(dash, at_ - dash),
                     "a range goes from one character to a later one; write "
                     "'\\-' for the character",
                     dash);
      }
      s.ranges.back() = {*low, *high};
    }
    if (empty) return fault("[]", "the class is empty", begin);
    return add_set(std::move(s));
  }
  // Adds one character, which it returns, or the set that an escape stands for.
  result<std::optional<char32_t>> member(char_set& s) {
    if (sees("\\")) {
      TINYPHI_TRY(const bool single, escape(s));
      if (!single) return std::optional<char32_t>();
    } else {
      const char32_t c = take_char();
      s.ranges.push_back({c, c});
    }
    return std::optional<char32_t>(s.ranges.back().first);
  }

  // Adds what an escape stands for; true if that is one character.
  result<bool> escape(char_set& s) {
    const std::size_t begin = at_;
    take("\\");
    if (done()) return fault("\\", "escapes nothing; write '\\\\'", begin);
    const char c = text_[at_];
    const auto put = [&](std::vector<code_point_range> ranges, bool other) {
      if (other) ranges = complement(ranges);
      s.ranges.insert(s.ranges.end(), ranges.begin(), ranges.end());
      ++at_;
      return false;
    };
    switch (c) {
      case 'd':
      case 'D':
        return put({{'0', '9'}}, c == 'D');
      case 'w':
      case 'W':
        return put({{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}, c == 'W');
      case 's':
      case 'S':
        return put({{'\t', '\r'},
                    {' ', ' '},
                    {0xA0, 0xA0},
                    {0x1680, 0x1680},
                    {0x2000, 0x200A},
                    {0x2028, 0x2029},
                    {0x202F, 0x202F},
                    {0x205F, 0x205F},
                    {0x3000, 0x3000},
                    {0xFEFF, 0xFEFF}},
                   c == 'S');
      case 'p':
      case 'P':
        return property(s, begin);
      case 'b':
      case 'B':
        return unsupported(text_.substr(begin, 2), "a word's border", begin);
      default:
        break;
    }
    if (c >= '1' && c <= '9') {
      return unsupported(text_.substr(begin, 2), "a back reference", begin);
    }
    TINYPHI_TRY(const char32_t one, escaped_char(begin));
    s.ranges.push_back({one, one});
    return true;
  }

  result<bool> property(char_set& s, std::size_t begin) {
    const bool other = text_[at_++] == 'P';
    const std::size_t end = rest().find('}');
    if (take("{") && end != std::string_view::npos) {
      const std::string_view name = text_.substr(at_, end - 1);
      for (const named_categories& c : regex_categories) {
        if (c.name != name) continue;
        at_ += end;
        s.categories |= other ? all_categories & ~c.bits : c.bits;
        return false;
      }
    }
    return fault(text_.substr(begin, 2),
                 "{L}, {Lu}, {Ll}, {N}, {Nd}, {P}, {Z} or {S} is allowed "
                 "behind it",
                 begin);
  }

  result<char32_t> escaped_char(std::size_t begin) {
    static constexpr std::pair<char, char32_t> named[] = {
        {'t', '\t'}, {'n', '\n'}, {'r', '\r'}, {'v', '\v'}, {'f', '\f'}};
    const char c = text_[at_];
    for (const auto& [name, meant] : named) {
      if (c != name) continue;
      ++at_;
      return meant;
    }
    if (c >= ' ' && c < 0x7F && !ascii::is_letter(c) && !ascii::is_digit(c) &&
        c != '_') {
      ++at_;
      return static_cast<char32_t>(c);
    }
    if (take("x")) {
      if (const auto value = hex(2)) return *value;
    } else if (take("u{")) {
      char32_t value = 0;
      std::size_t digits = 0;
      for (; const auto digit = hex(1); ++digits) {
        value = std::min<char32_t>(value * 16 + *digit, 0x110000);
      }
      if (digits > 0 && take("}") && is_scalar(value)) return value;
    } else if (take("u")) {
      if (const auto high = hex(4)) {
        if (is_scalar(*high)) return *high;
        // One character beyond the basic plane, as JavaScript writes it.
        if (*high < 0xDC00 && take("\\u")) {
          if (const auto low = hex(4); low && *low >= 0xDC00 && *low < 0xE000) {
            return 0x10000 + ((*high - 0xD800) << 10) + (*low - 0xDC00);
          }
        }
      }
    } else if (take("c")) {
      if (!done() && ascii::is_letter(text_[at_])) {
        return static_cast<char32_t>(text_[at_++] & 31);
      }
    } else if (take("0")) {
      if (done() || !ascii::is_digit(text_[at_])) return char32_t{0};
    }
    const std::size_t size =
        decode_utf8(text_.substr(begin + 1)).length + std::size_t{1};
    return fault(
        text_.substr(begin, size),
        "no escape that RE2 and ECMA-262 both know; punctuation, "
        "\\d \\w \\s \\p{...} \\t \\n \\r \\v \\f \\0 \\xHH \\uHHHH are",
        begin);
  }
  static bool is_scalar(char32_t c) {
    return c < 0xD800 || (c >= 0xE000 && c <= 0x10FFFF);
  }
  std::optional<char32_t> hex(std::size_t digits) {
    if (rest().size() < digits) return std::nullopt;
    char32_t value = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      const int digit = ascii::hex_digit(text_[at_ + i]);
      if (digit < 0) return std::nullopt;
      value = value * 16 + static_cast<char32_t>(digit);
    }
    at_ += digits;
    return value;
  }

  // '^' only where nothing stands before it, '$' only where nothing follows.
  result<void> check_ends(index n, bool first, bool last) const {
    const regex_node& node = out_.nodes[n];
    const auto is = [&](index i, regex_op op) {
      return out_.nodes[i].op == op;
    };
    if ((node.op == regex_op::at_begin && !first) ||
        (node.op == regex_op::at_end && !last)) {
      return error{error_code::bad_data,
                   node.op == regex_op::at_begin
                       ? "'^' behind something: it is allowed at the beginning "
                         "of a branch only"
                       : "'$' before something: it is allowed at the end of a "
                         "branch only"};
    }
    if (node.op == regex_op::repeat && node.max != 1) first = last = false;
    const auto& c = node.children;
    for (std::size_t i = 0; i < c.size(); ++i) {
      bool child_first = first, child_last = last;
      if (node.op == regex_op::sequence) {
        for (std::size_t j = 0; j < i; ++j) {
          child_first = child_first && is(c[j], regex_op::at_begin);
        }
        for (std::size_t j = i + 1; j < c.size(); ++j) {
          child_last = child_last && is(c[j], regex_op::at_end);
        }
      }
      TINYPHI_CHECK_OK(check_ends(c[i], child_first, child_last));
    }
    return {};
  }

  static constexpr std::size_t max_depth = 32;
  std::string_view text_;
  std::size_t at_ = 0;
  bool ignore_case_ = false, dot_is_all_ = false;
  regex_syntax out_;
};

}  // namespace detail

TINYPHI_FUNC result<regex_syntax> regex_syntax::parse(std::string_view pattern,
                                                      std::size_t max_size) {
  if (pattern.size() > max_size) {
    return error{error_code::limit, std::to_string(pattern.size()) +
                                        " bytes of pattern, at most " +
                                        std::to_string(max_size) +
                                        " are allowed"};
  }
  return detail::regex_parser(pattern).parse();
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SCHEMA_REGEX_SYNTAX_IPP_
