// SPDX-License-Identifier: MIT
#ifndef TINYPHI_CONSTRAIN_JSON_RULES_IPP_
#define TINYPHI_CONSTRAIN_JSON_RULES_IPP_

#include <array>
#include <utility>

#include "tinyphi/base/json.h"
#include "tinyphi/constrain/json_rules.h"

TINYPHI_NAMESPACE_BEGIN

// Boost.JSON writes a string as in_json_string() spells it.
TINYPHI_FUNC std::string json_string_text(std::string_view text) {
  return json::serialize(json::string(text));
}

TINYPHI_FUNC std::string json_text(const json_tree& t, json_tree::node n) {
  const bool is_object = t.type(n) == json_type::object;
  switch (t.type(n)) {
    case json_type::null:
      return "null";
    case json_type::boolean:
      return t.is_true(n) ? "true" : "false";
    case json_type::number:
      return std::string(t.text(n));
    case json_type::string:
      return json_string_text(t.text(n));
    case json_type::array:
    case json_type::object:
      break;
  }
  std::string out(1, is_object ? '{' : '[');
  for (auto c = t.first(n); c != json_tree::none; c = t.next(c)) {
    if (out.size() > 1) out += ',';
    if (is_object) out += json_string_text(t.key(c)) + ":";
    out += json_text(t, c);
  }
  return out + (is_object ? '}' : ']');
}

namespace detail {

// One character of a JSON string; made once, which takes some 100 us.
inline const byte_automaton& json_character() {
  static const byte_automaton a = [] {
    const auto any = byte_automaton::characters(1, 1);
    TINYPHI_ASSERT(any.has_value());
    auto lifted = byte_automaton::in_json_string(*any);
    TINYPHI_ASSERT(lifted.has_value());
    return *std::move(lifted);
  }();
  return a;
}

// Numbers of which nothing is asked; made once, too.
template <bool Integer>
const byte_automaton& any_plain_number() {
  static const byte_automaton a = [] {
    number_shape shape;
    shape.integer = Integer;
    auto made = number_automaton(shape);
    TINYPHI_ASSERT(made.has_value());
    return *std::move(made);
  }();
  return a;
}

inline std::string writable_format(text_format f) {
  const std::string long_month =
      "(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])";
  const std::string short_month = "(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)";
  const std::string leap =
      "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|"
      "(?:0[48]|[2468][048]|[13579][26])00)-02-29";
  const std::string date = "(?:[0-9]{4}-(?:" + long_month + "|" + short_month +
                           "|02-(?:0[1-9]|1[0-9]|2[0-8]))|" + leap + ")";
  const std::string time =
      "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,9})?"
      "(?:Z|[+\\-](?:[01][0-9]|2[0-3]):[0-5][0-9])";
  const std::string label = "[A-Za-z0-9](?:[A-Za-z0-9\\-]{0,30}[A-Za-z0-9])?";
  const std::string host = label + "(?:\\." + label + "){0,3}";
  switch (f) {
    case text_format::date:
      return date;
    case text_format::time:
      return time;
    case text_format::date_time:
      return date + "T" + time;
    case text_format::hostname:
      return host;
    case text_format::email: {
      const std::string atom = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~\\-]";
      return atom + "{1,32}(?:\\." + atom + "{1,31})?@" + host;
    }
    default:
      return format_pattern(f);
  }
}

template <std::size_t F>
const result<byte_automaton>& made_format() {
  static const result<byte_automaton> made = []() -> result<byte_automaton> {
    TINYPHI_TRY(
        const regex_syntax syntax,
        regex_syntax::parse(writable_format(static_cast<text_format>(F)),
                            std::size_t{1} << 14));
    return byte_automaton::regex(syntax, byte_automaton::extent::whole);
  }();
  return made;
}

template <std::size_t... F>
result<byte_automaton> made_format(text_format f, std::index_sequence<F...>) {
  using getter = const result<byte_automaton>& (*)();
  static constexpr getter getters[] = {&made_format<F>...};
  return getters[static_cast<std::size_t>(f)]();
}

}  // namespace detail

TINYPHI_FUNC result<byte_automaton> format_automaton(text_format f) {
  return detail::made_format(
      f, std::make_index_sequence<std::size(text_format_names)>());
}

template <typename Make>
std::uint32_t json_rules::once(const std::string& key, Make&& make) {
  if (const auto found = known_.find(key); found != known_.end()) {
    return found->second;
  }
  const std::uint32_t n = make();
  known_.emplace(key, n);
  return n;
}

// A line's end, and two blanks for each depth.
TINYPHI_FUNC std::uint32_t json_rules::line(std::size_t depth) {
  return once("line " + std::to_string(depth),
              [&] { return g_->literal("\n" + std::string(depth * 2, ' ')); });
}

TINYPHI_FUNC std::uint32_t json_rules::open_gap(std::size_t depth) {
  if (gaps_ == json_gaps::lines) return line(depth + 1);
  return once("gap", [&] {
    if (gaps_ == json_gaps::compact) return g_->literal("");
    byte_set blanks = byte_set::of(' ');
    blanks.insert('\t');
    const std::uint32_t indent =
        g_->repeat(g_->automaton(byte_automaton::one_of(blanks)), 0, 32);
    const std::uint32_t r = g_->rule(
        "a gap", g_->choice({g_->literal(" "),
                             g_->sequence({g_->literal("\n"), indent})}));
    return g_->choice({g_->literal(""), g_->call(r)});
  });
}

TINYPHI_FUNC std::uint32_t json_rules::close_gap(std::size_t depth) {
  return gaps_ == json_gaps::lines ? line(depth) : open_gap(depth);
}

TINYPHI_FUNC std::uint32_t json_rules::name_gap() {
  return once("name gap", [&] {
    switch (gaps_) {
      case json_gaps::compact:
        return g_->literal("");
      case json_gaps::lines:
        return g_->literal(" ");
      case json_gaps::spaced:
        break;
    }
    return g_->choice({g_->literal(""), g_->literal(" ")});
  });
}

TINYPHI_FUNC std::uint32_t json_rules::empty(char open, char close) {
  return once(std::string("empty ") + open, [&] {
    const std::uint32_t gap =
        gaps_ == json_gaps::lines ? g_->literal("") : open_gap(0);
    return g_->sequence({g_->literal(std::string_view(&open, 1)), gap,
                         g_->literal(std::string_view(&close, 1))});
  });
}

TINYPHI_FUNC std::uint32_t json_rules::string(std::uint32_t min,
                                              std::uint32_t max) {
  const std::string size = std::to_string(min) + " " + std::to_string(max);
  return once("string " + size, [&] {
    const std::uint32_t character = once(
        "character", [&] { return g_->automaton(detail::json_character()); });
    const std::uint32_t body =
        g_->rule("a string's body", g_->repeat(character, min, max), true);
    const std::uint32_t quote =
        once("quote", [&] { return g_->literal("\""); });
    return g_->sequence(
        {quote, max == 0 ? g_->literal("") : g_->call(body), quote});
  });
}

TINYPHI_FUNC result<std::uint32_t> json_rules::string_of(
    const byte_automaton& body) {
  TINYPHI_TRY(byte_automaton lifted, byte_automaton::in_json_string(body));
  const std::uint32_t quote = once("quote", [&] { return g_->literal("\""); });
  const std::uint32_t r =
      g_->rule("a string's body", g_->automaton(std::move(lifted)), true);
  return g_->sequence({quote, g_->call(r), quote});
}

TINYPHI_FUNC result<std::uint32_t> json_rules::number(const number_shape& s) {
  TINYPHI_TRY(byte_automaton a, number_automaton(s));
  return g_->automaton(std::move(a));
}

TINYPHI_FUNC std::uint32_t json_rules::any_number(bool integer) {
  return once(integer ? "integer" : "number", [&] {
    const std::uint32_t r = g_->rule(
        "a number", g_->automaton(integer ? detail::any_plain_number<true>()
                                          : detail::any_plain_number<false>()));
    return g_->call(r);
  });
}

TINYPHI_FUNC std::uint32_t json_rules::boolean() {
  return once("boolean", [&] {
    return g_->choice({g_->literal("true"), g_->literal("false")});
  });
}

TINYPHI_FUNC std::uint32_t json_rules::comma(std::size_t depth) {
  return g_->sequence({g_->literal(","), open_gap(depth)});
}

TINYPHI_FUNC std::uint32_t json_rules::list(std::uint32_t item,
                                            std::size_t depth,
                                            std::uint32_t min,
                                            std::uint32_t max) {
  return g_->repeat(item, comma(depth), min, max);
}

TINYPHI_FUNC std::uint32_t json_rules::any_value(std::size_t depth) {
  if (!depth_matters()) depth = 0;
  const std::string key = "value " + std::to_string(depth);
  if (const auto found = known_.find(key); found != known_.end()) {
    return found->second;
  }
  // The rule is known before what it is made of, which calls it.
  const std::uint32_t r = g_->rule("any value");
  const std::uint32_t call = g_->call(r);
  known_.emplace(key, call);
  std::vector<std::uint32_t> kinds{string(0, byte_automaton::no_limit),
                                   any_number(false), boolean(),
                                   g_->literal("null")};
  if (!depth_matters() || depth < max_lines_depth) {
    kinds.push_back(any_array(depth));
    kinds.push_back(any_object(depth));
  }
  g_->rules[r].node = g_->choice(std::move(kinds));
  return call;
}

TINYPHI_FUNC std::uint32_t json_rules::any_array(std::size_t depth) {
  const std::uint32_t items =
      list(any_value(depth + 1), depth, 1, byte_automaton::no_limit);
  return g_->choice(
      {empty('[', ']'), g_->sequence({g_->literal("["), open_gap(depth), items,
                                      close_gap(depth), g_->literal("]")})});
}

TINYPHI_FUNC std::uint32_t json_rules::any_object(std::size_t depth) {
  const std::uint32_t member =
      g_->sequence({string(0, byte_automaton::no_limit), g_->literal(":"),
                    name_gap(), any_value(depth + 1)});
  const std::uint32_t members =
      list(member, depth, 1, byte_automaton::no_limit);
  return g_->choice({empty('{', '}'),
                     g_->sequence({g_->literal("{"), open_gap(depth), members,
                                   close_gap(depth), g_->literal("}")})});
}

TINYPHI_FUNC std::uint32_t json_rules::name(std::string_view text) {
  return g_->sequence({g_->literal(json_string_text(text) + ":"), name_gap()});
}

TINYPHI_FUNC result<std::uint32_t> json_rules::other_name(
    const std::vector<std::string>& names) {
  std::uint32_t text = 0;
  if (names.empty()) {
    text = string(0, byte_automaton::no_limit);
  } else {
    std::vector<byte_automaton> known;
    for (const std::string& n : names)
      known.push_back(byte_automaton::literal(n));
    TINYPHI_TRY(const byte_automaton any,
                byte_automaton::characters(0, byte_automaton::no_limit));
    TINYPHI_TRY(const byte_automaton these, byte_automaton::either(known));
    TINYPHI_TRY(const byte_automaton others,
                byte_automaton::without(any, these));
    TINYPHI_TRY(text, string_of(others));
  }
  return g_->sequence({text, g_->literal(":"), name_gap()});
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_CONSTRAIN_JSON_RULES_IPP_
