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

// One field of an object. A field that is null counts as absent.
struct field {
  std::string_view name;
  field_kind kinds = field_kind::none;
  std::string_view about;  // a sentence for the document, or why it is refused
  field_use use = field_use::honoured;
  bool required = false;
  // Numbers: the range. Strings: bytes. Arrays: items. Objects without
  // `members`: members.
  double least = 0;
  double most = 1e15;
  bool above_least = false;  // `least` itself is not allowed
  // Strings: if there are any, one of these.
  std::span<const std::string_view> words = {};
  std::span<const field> members = {};  // objects: their fields
  // Arrays: what each item is, as a field of its own. Points to one.
  const field* items = nullptr;
  // Refused fields: a value that asks for nothing, as JSON ("false").
  std::string_view harmless = {};
  std::string_view example = {};  // as JSON
};

struct request_table {
  std::string_view name;  // of the schema: "ChatRequest"
  std::span<const field> fields;
};

// Checks every field of `body`; the error names the first that is wrong by its
// path, "messages[2].role". Fields that the table has as ignored, and those
// that it does not know, are added to `ignored`, 32 at most.
[[nodiscard]] api_result<void> check_fields(const json::object& body,
                                            const request_table& table,
                                            std::vector<std::string>& ignored);

// The table as a JSON schema.
[[nodiscard]] json::object schema_of(std::span<const field> fields);

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

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/fields.ipp"
#endif

#endif  // TINYPHI_SERVE_FIELDS_H_
