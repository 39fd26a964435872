// SPDX-License-Identifier: MIT
// The keys of pipeline files: what each table may have, of which shape, and a
// sentence for each. The reader knows keys and words from here alone, and
// `tinyphi schema` and `tinyphi explain` tell the same.
#ifndef TINYPHI_PIPELINE_KEYS_H_
#define TINYPHI_PIPELINE_KEYS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN

// The tables that the language has. One that is named after its outer table
// in the plural has entries whose names the author chooses.
enum class key_table : std::uint8_t {
  none,
  file,
  pipeline,
  envs,
  env,
  secrets,
  secret,
  allow,
  grant,
  limits,
  inputs,
  input,
  outputs,
  output,
  models,
  model,
  rule_sets,
  rules,
  prompts,
  prompt,
  mcp_servers,
  mcp_server,
  types,
  tools,
  tool,
  switches,
  cases,
  stages,
  stage,
  bindings,
  first,
  repeat,
  carries,
  retry,
  triggers,
  trigger,
  test,
  runs,
};

// What a value may be; several of these may be allowed.
enum class value_shape : std::uint16_t {
  none = 0,
  text = 1,
  boolean = 2,
  integer = 4,
  number = 8,
  duration = 16,      // "500ms", "2m"
  size = 32,          // 65536, "64KiB"
  reference = 64,     // "stage.port"
  texts = 128,        // a list
  references = 256,   // a list
  table = 512,        // whose keys are known
  tables = 1024,      // a list of such
  any_table = 2048,   // data, or keys that are known elsewhere
  any_tables = 4096,  // a list of such
  any = 8192,
};
[[nodiscard]] constexpr value_shape operator|(value_shape a, value_shape b) {
  return static_cast<value_shape>(static_cast<unsigned>(a) |
                                  static_cast<unsigned>(b));
}
[[nodiscard]] constexpr bool has(value_shape all, value_shape one) {
  return (static_cast<unsigned>(all) & static_cast<unsigned>(one)) != 0;
}

struct language_key {
  static constexpr double unbounded = std::numeric_limits<double>::infinity();

  key_table table;
  std::string_view name;  // empty: the author chooses it
  value_shape shape;      // none: a later version of the language has it
  std::string_view doc;
  key_table inner = key_table::none;  // of a table, or of those in a list
  std::string_view words = {};        // all that a text may be: "fail, collect"
  double low = -unbounded;            // of an integer, or of a size
  double high = unbounded;
  bool required = false;
  bool fills = false;  // ${env.X} may stand in it

  [[nodiscard]] constexpr language_key must() const {
    language_key k = *this;
    k.required = true;
    return k;
  }
  [[nodiscard]] constexpr language_key filled() const {
    language_key k = *this;
    k.fills = true;
    return k;
  }
  // One of `all`, or what else the shape allows.
  [[nodiscard]] constexpr language_key one_of(std::string_view all) const {
    language_key k = *this;
    k.words = all;
    return k;
  }
  [[nodiscard]] constexpr language_key range(double lo, double hi) const {
    language_key k = *this;
    k.low = lo, k.high = hi;
    return k;
  }
};

// How a table is called: "[stage.NAME]", "[[test]]"; empty for the file itself.
[[nodiscard]] std::string_view title_of(key_table table);
// Its rows of language_keys (key_rows.h), in their order.
[[nodiscard]] std::vector<const language_key*> rows_of(key_table table);
// The names of its keys; those that a later version has, or those of this one.
[[nodiscard]] std::vector<std::string_view> key_names(key_table table,
                                                      bool later = false);
// The words of one key of the table.
[[nodiscard]] std::vector<std::string_view> key_words(key_table table,
                                                      std::string_view name);
// "a, b" as its words.
[[nodiscard]] std::vector<std::string_view> split_words(std::string_view words);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/keys.ipp"
#endif

#endif  // TINYPHI_PIPELINE_KEYS_H_
