// SPDX-License-Identifier: MIT
// All that the schemas of one value ask of it, merged: `allOf`, `$ref` and
// their siblings become one set of bounds.
#ifndef TINYPHI_CONSTRAIN_SCHEMA_SHAPE_H_
#define TINYPHI_CONSTRAIN_SCHEMA_SHAPE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/constrain/number_automaton.h"
#include "tinyphi/schema/schema.h"

TINYPHI_NAMESPACE_BEGIN

struct schema_shape {
  static constexpr std::uint64_t unbounded = schema_rule::unbounded;
  using node = json_tree::node;

  // One of these has to hold, and of a oneOf no other one.
  struct branches {
    std::uint32_t rule;  // whose keyword it is
    bool exclusive;
  };

  bool never = false;
  std::uint8_t types = any_type;
  std::vector<std::uint32_t> rules;         // all that were merged
  std::optional<std::vector<node>> values;  // enum and const
  number_shape number;
  std::uint64_t min_length = 0, max_length = unbounded;
  std::uint64_t min_items = 0, max_items = unbounded;
  std::uint64_t min_properties = 0, max_properties = unbounded;
  std::vector<std::uint32_t> strings;  // rules with a pattern or a format
  std::vector<std::uint32_t> arrays;   // with items or prefixItems
  std::vector<std::uint32_t> objects;  // with names, or additionalProperties
  std::vector<branches> choices;
};

// Merges rules into a shape, and says what cannot be merged.
class shape_merger {
 public:
  shape_merger(const schema& s, schema::faults& faults)
      : schema_(&s), faults_(&faults) {}

  void add(schema_shape& shape, std::uint32_t rule);
  [[nodiscard]] schema_shape merged(const std::vector<std::uint32_t>& rules) {
    schema_shape s;
    for (const std::uint32_t r : rules) add(s, r);
    return s;
  }
  // Whether no value fits both; false if that cannot be seen.
  [[nodiscard]] bool disjoint(const schema_shape& a, const schema_shape& b);
  void fault(schema_fault_code code, std::uint32_t rule,
             std::string_view keyword, std::string message);

 private:
  void add_one(schema_shape& shape, std::uint32_t rule,
               std::vector<std::uint32_t>& others);
  void add_values(schema_shape& shape, const schema_rule& r);
  void add_number(schema_shape& shape, std::uint32_t rule);
  void add_multiple(schema_shape& shape, std::uint32_t rule);
  [[nodiscard]] bool share(const std::vector<json_tree::node>& a,
                           const std::vector<json_tree::node>& b) const;
  [[nodiscard]] std::optional<std::vector<json_tree::node>> values_of(
      const schema_shape& shape, std::string_view name);

  const schema* schema_;
  schema::faults* faults_;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/constrain/schema_shape.ipp"
#endif

#endif  // TINYPHI_CONSTRAIN_SCHEMA_SHAPE_H_
