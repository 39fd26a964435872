// SPDX-License-Identifier: MIT
// What JSON texts are made of, as parts of a grammar: gaps, strings, numbers,
// formats, and any value. Each is put into the grammar once.
#ifndef TINYPHI_CONSTRAIN_JSON_RULES_H_
#define TINYPHI_CONSTRAIN_JSON_RULES_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/constrain/grammar.h"
#include "tinyphi/constrain/number_automaton.h"
#include "tinyphi/schema/formats.h"
#include "tinyphi/schema/json_tree.h"

TINYPHI_NAMESPACE_BEGIN

// What may stand between the parts of a JSON text.
enum class json_gaps : std::uint8_t {
  compact,  // nothing
  spaced,   // one blank behind ':' or none; behind { [ , and before } ]
            // nothing, one blank, or one line's end and up to 32 blanks or tabs
  lines,    // a pretty print: two blanks more for each depth; at most 32 deep
};

// A JSON string with its quotes, as a constraint writes it: characters as they
// are; \" \\ \b \f \n \r \t; \u00xx for the other control characters.
[[nodiscard]] std::string json_string_text(std::string_view text);
// A value without white space, its strings as above, its numbers as they were
// written.
[[nodiscard]] std::string json_text(const json_tree& t, json_tree::node n);

// What a string whose value has this format may be, where the format can be
// written; a bit less than what the validator takes: no leap seconds, host
// names of at most four labels. limit never occurs for them.
[[nodiscard]] result<byte_automaton> format_automaton(text_format f);

class json_rules {
 public:
  json_rules(grammar& g, json_gaps gaps) : g_(&g), gaps_(gaps) {}

  // In a pretty print more than this is not written.
  static constexpr std::size_t max_lines_depth = 32;
  // Whether the depth of a value changes how it is written.
  [[nodiscard]] bool depth_matters() const { return gaps_ == json_gaps::lines; }

  // Nodes of the grammar. `depth` is that of the array or object around the
  // gap.
  std::uint32_t open_gap(std::size_t depth);   // behind { [ and ,
  std::uint32_t close_gap(std::size_t depth);  // before } ]
  std::uint32_t name_gap();                    // behind :
  // An empty array or object.
  std::uint32_t empty(char open, char close);

  // A string of min to max characters (no_limit: any number).
  std::uint32_t string(std::uint32_t min, std::uint32_t max);
  // A string whose characters `body` takes, which is not yet lifted to JSON.
  result<std::uint32_t> string_of(const byte_automaton& body);
  result<std::uint32_t> number(const number_shape& s);
  std::uint32_t any_number(bool integer);
  std::uint32_t boolean();
  // Any value, in an array or object of that depth; any array; any object.
  std::uint32_t any_value(std::size_t depth);
  std::uint32_t any_array(std::size_t depth);
  std::uint32_t any_object(std::size_t depth);
  // `item` min to max times, with commas between.
  std::uint32_t list(std::uint32_t item, std::size_t depth, std::uint32_t min,
                     std::uint32_t max);
  std::uint32_t comma(std::size_t depth);
  // A name that is none of `names`, the colon, and the gap behind it.
  result<std::uint32_t> other_name(const std::vector<std::string>& names);
  std::uint32_t name(std::string_view text);

 private:
  template <typename Make>
  std::uint32_t once(const std::string& key, Make&& make);
  std::uint32_t line(std::size_t depth);

  grammar* g_;
  json_gaps gaps_;
  std::map<std::string, std::uint32_t> known_;  // nodes
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/constrain/json_rules.ipp"
#endif

#endif  // TINYPHI_CONSTRAIN_JSON_RULES_H_
