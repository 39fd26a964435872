// SPDX-License-Identifier: MIT
// The keywords of every draft, each as one that is checked, one that says
// nothing about values, or one that is refused.
#ifndef TINYPHI_SCHEMA_SCHEMA_WORDS_IPP_
#define TINYPHI_SCHEMA_SCHEMA_WORDS_IPP_

#include <algorithm>
#include <iterator>
#include <string>

#include "tinyphi/base/ascii.h"
#include "tinyphi/base/edit_distance.h"
#include "tinyphi/schema/schema.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// What a word is to the reader: a schema_keyword's number, or one of these.
enum schema_word_role : std::uint8_t {
  role_annotation = 100,
  role_definitions,
  role_dialect,
  role_id,
  role_unique_items,
  role_unsupported
};
struct schema_word {
  std::string_view name;
  std::uint8_t role;
};
constexpr std::uint8_t role_of(schema_keyword k) {
  return static_cast<std::uint8_t>(k);
}
// In order of names.
inline constexpr schema_word schema_words[] = {
    {"$anchor", role_unsupported},
    {"$comment", role_annotation},
    {"$defs", role_definitions},
    {"$dynamicAnchor", role_unsupported},
    {"$dynamicRef", role_unsupported},
    {"$id", role_id},
    {"$recursiveAnchor", role_unsupported},
    {"$recursiveRef", role_unsupported},
    {"$ref", role_of(schema_keyword::ref)},
    {"$schema", role_dialect},
    {"$vocabulary", role_unsupported},
    {"additionalItems", role_unsupported},
    {"additionalProperties", role_of(schema_keyword::additional_properties)},
    {"allOf", role_of(schema_keyword::all_of)},
    {"anyOf", role_of(schema_keyword::any_of)},
    {"const", role_of(schema_keyword::constant)},
    {"contains", role_unsupported},
    {"contentEncoding", role_annotation},
    {"contentMediaType", role_annotation},
    {"contentSchema", role_annotation},
    {"default", role_annotation},
    {"definitions", role_definitions},
    {"dependencies", role_unsupported},
    {"dependentRequired", role_unsupported},
    {"dependentSchemas", role_unsupported},
    {"deprecated", role_annotation},
    {"description", role_annotation},
    {"disallow", role_unsupported},
    {"else", role_unsupported},
    {"enum", role_of(schema_keyword::enumeration)},
    {"examples", role_annotation},
    {"exclusiveMaximum", role_of(schema_keyword::exclusive_maximum)},
    {"exclusiveMinimum", role_of(schema_keyword::exclusive_minimum)},
    {"extends", role_unsupported},
    {"format", role_of(schema_keyword::format)},
    {"if", role_unsupported},
    {"items", role_of(schema_keyword::items)},
    {"maxContains", role_unsupported},
    {"maxItems", role_of(schema_keyword::max_items)},
    {"maxLength", role_of(schema_keyword::max_length)},
    {"maxProperties", role_of(schema_keyword::max_properties)},
    {"maximum", role_of(schema_keyword::maximum)},
    {"minContains", role_unsupported},
    {"minItems", role_of(schema_keyword::min_items)},
    {"minLength", role_of(schema_keyword::min_length)},
    {"minProperties", role_of(schema_keyword::min_properties)},
    {"minimum", role_of(schema_keyword::minimum)},
    {"multipleOf", role_of(schema_keyword::multiple_of)},
    {"not", role_unsupported},
    {"oneOf", role_of(schema_keyword::one_of)},
    {"pattern", role_of(schema_keyword::pattern)},
    {"patternProperties", role_unsupported},
    {"prefixItems", role_of(schema_keyword::prefix_items)},
    {"properties", role_of(schema_keyword::properties)},
    {"propertyNames", role_unsupported},
    {"readOnly", role_annotation},
    {"required", role_of(schema_keyword::required)},
    {"then", role_unsupported},
    {"title", role_annotation},
    {"type", role_of(schema_keyword::type)},
    {"unevaluatedItems", role_unsupported},
    {"unevaluatedProperties", role_unsupported},
    {"uniqueItems", role_unique_items},
    {"writeOnly", role_annotation}};
static_assert(std::is_sorted(std::begin(schema_words), std::end(schema_words),
                             [](const schema_word& a, const schema_word& b) {
                               return a.name < b.name;
                             }));

inline const schema_word* find_schema_word(std::string_view name) {
  const auto* at = std::lower_bound(
      std::begin(schema_words), std::end(schema_words), name,
      [](const schema_word& w, std::string_view n) { return w.name < n; });
  return at != std::end(schema_words) && at->name == name ? at : nullptr;
}

// A word as a hasty writer means it: min_length is minLength.
inline std::string plain_schema_word(std::string_view word) {
  std::string out;
  for (const char c : word) {
    if (c == '_' || c == '-') continue;
    out += ascii::lower(c);
  }
  return out;
}

// The word that says something about values and that `found` nearly is, or
// none.
inline std::string_view near_schema_word(std::string_view found) {
  if (found.size() > 32) return {};
  const std::string plain = plain_schema_word(found);
  for (const schema_word& w : schema_words) {
    if (w.role == role_annotation || w.role == role_id ||
        w.role == role_dialect) {
      continue;
    }
    // A short word is near to many that have nothing to do with it.
    const std::size_t n = w.name.size();
    const std::size_t allowed = n >= 7 ? 2 : n >= 4 ? 1 : 0;
    if (plain.size() > n + allowed || n > plain.size() + allowed) continue;
    if (edit_distance(plain, plain_schema_word(w.name)) <= allowed) {
      return w.name;
    }
  }
  return {};
}

}  // namespace detail

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SCHEMA_SCHEMA_WORDS_IPP_
