// SPDX-License-Identifier: MIT
// JSON Schema within one profile: a document is read into rules that are
// checked whole, or refused with every reason. Nothing of it is ever silently
// ignored.
#ifndef TINYPHI_SCHEMA_SCHEMA_H_
#define TINYPHI_SCHEMA_SCHEMA_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/schema/formats.h"
#include "tinyphi/schema/json_tree.h"
#include "tinyphi/schema/pattern.h"

TINYPHI_NAMESPACE_BEGIN

// One code per cause; codes keep their meaning for ever and are numbers of
// diagnostics' TP codes.
enum class schema_fault_code : std::uint16_t {
  bad_json = 6101,             // not JSON, or a name twice in one object
  bad_value = 6102,            // a keyword with a value that it cannot have
  unsupported_keyword = 6103,  // of a draft of JSON Schema, not of the profile
  unknown_keyword = 6104,      // of no draft
  bad_reference = 6105,        // $ref to elsewhere, or to what is no schema
  endless_reference = 6106,    // a schema that refers to itself for one value
  bad_pattern = 6107,          // a pattern that has no automaton
  bad_format = 6108,           // a format that is not checked here
  too_large = 6109,            // more of something than is allowed
  overlapping = 6110,          // oneOf whose branches one value may fit
  unwritable = 6111,           // checked, but nothing can be held to it
};

struct schema_fault {
  schema_fault_code code = schema_fault_code::bad_json;
  std::string pointer;  // RFC 6901; empty: the document
  std::string message;  // what was found, what is allowed; without the pointer

  friend bool operator==(const schema_fault&, const schema_fault&) = default;
};

// "TP6103 schema: /properties/a/not: message".
[[nodiscard]] std::string to_string(const schema_fault& fault);

struct schema_options {
  // Of a word that no draft knows: an error; or else, in schemas of others, it
  // is passed over and listed, unless it is nearly a keyword.
  bool strict = true;
  std::size_t max_bytes = std::size_t{1} << 20;
  std::size_t max_nodes = 32768;  // values of the document
};
// For schemas that came with a request or from a server.
inline constexpr schema_options foreign_schema{
    .strict = false, .max_bytes = std::size_t{256} << 10, .max_nodes = 8192};

// The keywords that a value is checked against; the order is
// schema_keyword_names'.
enum class schema_keyword : std::uint8_t {
  ref,
  type,
  enumeration,
  constant,
  minimum,
  maximum,
  exclusive_minimum,
  exclusive_maximum,
  multiple_of,
  min_length,
  max_length,
  pattern,
  format,
  min_items,
  max_items,
  items,
  prefix_items,
  min_properties,
  max_properties,
  required,
  properties,
  additional_properties,
  any_of,
  one_of,
  all_of,
  never,  // the schema false
};
inline constexpr std::string_view schema_keyword_names[] = {
    "$ref",
    "type",
    "enum",
    "const",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "minItems",
    "maxItems",
    "items",
    "prefixItems",
    "minProperties",
    "maxProperties",
    "required",
    "properties",
    "additionalProperties",
    "anyOf",
    "oneOf",
    "allOf"};

// The names of `type`, in the order of type_bit.
inline constexpr std::string_view schema_type_names[] = {
    "null", "boolean", "number", "string", "array", "object", "integer"};
[[nodiscard]] constexpr std::uint8_t type_bit(std::size_t name) {
  return static_cast<std::uint8_t>(1u << name);
}
inline constexpr std::uint8_t any_type = 0x7F;
inline constexpr std::uint8_t integer_bit = type_bit(6);

// A name that `properties` or `required` has, in the document's order.
struct schema_property {
  std::string_view name;                 // of the document
  std::uint32_t rule = json_tree::none;  // none: in `required` only
  bool required = false;
};

// The keywords of one schema. Indices are of schema's rules, nodes of its
// document; `none` is what is not there.
struct schema_rule {
  using node = json_tree::node;
  static constexpr std::uint32_t none = json_tree::none;
  static constexpr std::uint64_t unbounded = ~std::uint64_t{0};

  node where = 0;  // the schema itself
  bool never = false;
  std::uint8_t types = any_type;
  node enumeration = none, constant = none;
  node minimum = none, maximum = none, exclusive_minimum = none,
       exclusive_maximum = none, multiple_of = none;
  std::uint64_t min_length = 0, max_length = unbounded;
  std::uint64_t min_items = 0, max_items = unbounded;
  std::uint64_t min_properties = 0, max_properties = unbounded;
  std::uint32_t pattern = none;  // of schema's patterns
  std::optional<text_format> format;
  std::uint32_t items = none, additional = none, ref = none;
  std::vector<std::uint32_t> prefix_items, any_of, one_of, all_of;
  std::vector<schema_property> properties;
  std::vector<std::uint32_t> by_name;  // of `properties`, in order of names
  std::size_t n_required = 0;

  // Null if neither `properties` nor `required` has it.
  [[nodiscard]] const schema_property* find(std::string_view name) const;
};

// A checked schema. Immutable and cheap to copy; any thread.
class schema {
 public:
  // The faults of the document, in its order, 32 at most; never none.
  using faults = std::vector<schema_fault>;

  // A document of draft 2020-12, or of draft-07 if its $schema says so.
  [[nodiscard]] static result<schema, faults> read(
      std::string_view text, const schema_options& options = {});

  [[nodiscard]] const json_tree& document() const { return parts_->document; }
  // The document's own is the first.
  [[nodiscard]] const std::vector<schema_rule>& rules() const {
    return parts_->rules;
  }
  // The rule that a value is checked against.
  [[nodiscard]] std::uint32_t root() const { return root_; }
  // The same document, of which values are checked against another rule.
  [[nodiscard]] schema rooted_at(std::uint32_t rule) const {
    schema other = *this;
    other.root_ = rule;
    return other;
  }
  [[nodiscard]] const std::vector<pattern>& patterns() const {
    return parts_->patterns;
  }
  // Pointers to the words that were passed over, 64 at most.
  [[nodiscard]] const std::vector<std::string>& ignored() const {
    return parts_->ignored;
  }

 private:
  friend class schema_reader;
  struct parts {
    json_tree document;
    std::vector<schema_rule> rules;
    std::vector<pattern> patterns;
    std::vector<std::string> ignored;
  };
  explicit schema(std::shared_ptr<const parts> p) : parts_(std::move(p)) {}
  std::shared_ptr<const parts> parts_;
  std::uint32_t root_ = 0;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/schema/schema.ipp"
#endif

#endif  // TINYPHI_SCHEMA_SCHEMA_H_
