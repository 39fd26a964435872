// SPDX-License-Identifier: MIT
// From JSON Schema to the types of the language: which type the values have
// that a schema allows.
#ifndef TINYPHI_PIPELINE_SCHEMA_TYPE_H_
#define TINYPHI_PIPELINE_SCHEMA_TYPE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tinyphi/pipeline/type.h"
#include "tinyphi/schema/schema.h"

TINYPHI_NAMESPACE_BEGIN

// The types of a schema's rules. A value that a rule allows is of the rule's
// type, unless a number in it is none of 64 bits:
//
//   an object that has `properties` and allows no others   a record; its fields
//                                                          may be optional
//   an array                                               a list
//   texts of an `enum` or `const`                          a text of these
//   words string, number, integer, boolean                       text, float,
//   int, bool $ref                                                   what it
//   leads to anything else, and what leads back to itself           json
class schema_types {
 public:
  // Of a type with all that it is made of, parts in parts counted again.
  static constexpr std::size_t max_parts = 1024;
  static constexpr std::size_t max_words = 256;  // more are any text

  explicit schema_types(schema s)
      : schema_(std::move(s)), known_(schema_.rules().size()) {}

  [[nodiscard]] type of(std::uint32_t rule) { return make(rule).type; }
  // Rules whose type would be too large, deep or wide, 32 at most. Theirs is
  // json.
  [[nodiscard]] const std::vector<schema_fault>& faults() const {
    return faults_;
  }

 private:
  using index = std::uint32_t;
  static constexpr std::size_t max_faults = 32;
  static constexpr std::size_t max_steps = 512;  // of references and levels
  static constexpr index none = json_tree::none;

  struct made {
    tinyphi::type type;
    std::size_t height = 1;
    std::size_t parts = 1;
  };
  struct entry {
    enum class state : std::uint8_t { fresh, open, done };
    state now = state::fresh;
    made result;
  };

  made make(index rule);
  made make_fresh(const schema_rule& r);
  made make_list(const schema_rule& r);
  made make_record(const schema_rule& r);
  [[nodiscard]] std::vector<std::string> words_of(const schema_rule& r) const;
  [[nodiscard]] std::string name_of(const schema_rule& r) const;
  made fail(const schema_rule& r, std::string message);

  schema schema_;
  std::vector<entry> known_;  // by rule
  std::vector<schema_fault> faults_;
  std::size_t n_steps_ = 0;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/schema_type.ipp"
#endif

#endif  // TINYPHI_PIPELINE_SCHEMA_TYPE_H_
