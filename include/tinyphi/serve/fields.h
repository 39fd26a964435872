// SPDX-License-Identifier: MIT
// Tables of request fields: the one source of what is checked, what is said
// when a check fails, and what /openapi.json promises.
#ifndef TINYPHI_SERVE_FIELDS_H_
#define TINYPHI_SERVE_FIELDS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/base/json.h"
#include "tinyphi/serve/api_error.h"

TINYPHI_NAMESPACE_BEGIN

// Kinds of JSON values; a field may take several.
enum class field_kind : std::uint8_t {
  none = 0,
  boolean = 1,
  integer = 2,
  number = 4,  // integers too
  string = 8,
  array = 16,
  object = 32
};
[[nodiscard]] constexpr field_kind operator|(field_kind a, field_kind b) {
  return static_cast<field_kind>(static_cast<unsigned>(a) |
                                 static_cast<unsigned>(b));
}
[[nodiscard]] constexpr bool takes(field_kind set, field_kind kind) {
  return (static_cast<unsigned>(set) & static_cast<unsigned>(kind)) != 0;
}

// What becomes of a field that a client sends.
enum class field_use : std::uint8_t {
  honoured,
  refused,  // 400, with `about` as the reason, unless it has its `harmless`
            // value
  ignored   // accepted and named in the log
};

// What a value is beyond its kind.
enum class field_shape : std::uint8_t {
  plain,
  one_token,     // below the number of rows, which only a model knows
  text_token,    // below that of texts: the last rows may only fill up
  token_biases,  // {"ID": number} or [[ID, number], ...]; false bans, as -100
  text_biases,   // the same, and texts instead of ids
  prompts,       // a text, ids, or an array of texts and arrays of ids
  // The same, with texts among the ids, and as an object with one of `members`.
  mixed_prompts,
  vector_size  // one of the models' own
};

// Fields that another one makes superfluous.
struct field_condition {
  std::string_view name, word;
  std::string_view other = {};  // another word that does the same
};

// One field of an object. A field that is null counts as absent.
struct field {
  std::string_view name;
  field_kind kinds = field_kind::none;
  std::string_view about =
      {};  // a sentence for the document, or why it is refused
  field_use use = field_use::honoured;
  bool required = false;
  // Numbers: the range. Strings: characters (code points, as JSON Schema counts
  // them). Arrays: items, unless `most_items` says so. Objects without
  // `members`: members.
  double least = 0;
  double most = 1e15;
  bool above_least = false;  // `least` itself is not allowed
  // Items of fields that are a string or an array.
  double least_items = 0;
  double most_items = 0;
  int step = 0;           // integers: a multiple of it
  bool not_zero = false;  // integers
  // Strings: if there are any, one of these. `about` says why no other, and
  // `otherwise` is the error's code then.
  std::span<const std::string_view> words = {};
  std::string_view otherwise = "invalid_value";
  std::span<const field> members = {};  // objects: their fields
  // Arrays: what each item is, as a field of its own. Points to one.
  const field* items = nullptr;
  // Refused fields: the values that ask for nothing, a JSON array ("[false]").
  std::string_view harmless = {};
  std::string_view example = {};  // as JSON
  field_shape shape = field_shape::plain;
  // Required unless the field of this name, beside it, has this word.
  field_condition required_unless = {};
};

namespace detail {
// A text whose tokens have a bias: field_shape::text_biases.
inline constexpr field bias_text{.name = "text", .least = 1, .most = 256};
}  // namespace detail

// What two fields of one request have to do with each other.
enum class rule_kind : std::uint8_t {
  one_of,  // not both
  not_both_true,
  needs  // `first` above 0 needs `second` to be true
};
struct field_rule {
  rule_kind kind;
  std::string_view first, second;
  std::string_view about;
};

struct request_table {
  std::string_view name;  // of the schema: "ChatRequest"
  std::span<const field> fields;
  std::span<const field_rule> rules = {};
};

inline constexpr std::size_t max_ignored_fields = 32;

// Checks every field of `body`; the error names the first that is wrong by its
// path, "messages[2].role". Fields that the table has as ignored, and those
// that it does not know, are added to `ignored`, max_ignored_fields at most.
[[nodiscard]] api_result<void> check_fields(const json::object& body,
                                            const request_table& table,
                                            std::vector<std::string>& ignored);

// What only the models that are there know.
struct schema_limits {
  std::size_t vocab_size = 0;                  // 0: ids up to what fits
  std::size_t n_texts = 0;                     // the same
  std::vector<std::size_t> vector_sizes = {};  // of embeddings; empty: any
};

// The table as a JSON schema (2020-12) that is as strict as check_fields, and,
// with limits, as the models.
[[nodiscard]] json::object schema_of(const request_table& table,
                                     const schema_limits& limits = {});

// The value of a checked field, or what it is when it is absent or null.
[[nodiscard]] const json::value* find_field(const json::object& body,
                                            std::string_view name);
[[nodiscard]] bool bool_field(const json::object& body, std::string_view name,
                              bool otherwise);
[[nodiscard]] double number_field(const json::object& body,
                                  std::string_view name, double otherwise);
[[nodiscard]] std::int64_t integer_field(const json::object& body,
                                         std::string_view name,
                                         std::int64_t otherwise);
[[nodiscard]] std::string string_field(const json::object& body,
                                       std::string_view name,
                                       std::string_view otherwise = {});
// A string, or the texts of an array's parts, joined.
[[nodiscard]] std::string joined_text(const json::value& v);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/field_schema.ipp"
#include "tinyphi/serve/fields.ipp"
#endif

#endif  // TINYPHI_SERVE_FIELDS_H_
