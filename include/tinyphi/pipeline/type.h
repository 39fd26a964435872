// SPDX-License-Identifier: MIT
// The types of the pipeline language. A type is a structure: equal structure
// is equal type, whatever a record is called, and whatever else a schema asks
// of its values.
#ifndef TINYPHI_PIPELINE_TYPE_H_
#define TINYPHI_PIPELINE_TYPE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/pipeline/value.h"
#include "tinyphi/schema/schema.h"

TINYPHI_NAMESPACE_BEGIN

enum class type_kind : std::uint8_t {
  any,       // not known, since a fault was reported; fits everything
  text,      // UTF-8
  boolean,   // true or false
  integer,   // 64 bits
  number,    // a finite double
  duration,  // an integer of milliseconds
  size,      // an integer of bytes
  path,      // a text: a place that the author or the operator wrote
  file,      // a text: a place that came as data
  json,      // any JSON
  list,
  record,
  prompt
};

// A type, and what it is made of. Immutable; a copy is cheap. Any thread may
// read it.
class type {
 public:
  struct field;
  // Nesting of types, and members of a record: more is refused by the reader.
  static constexpr std::size_t max_depth = 16;
  static constexpr std::size_t max_fields = 64;

  type() = default;  // any
  // A kind that has no parts: neither list nor record.
  type(type_kind kind) : kind_(kind) {}
  [[nodiscard]] static type list_of(type element);
  // The name is for messages only.
  [[nodiscard]] static type record_of(std::string name,
                                      std::vector<field> fields);
  // A text that is one of `words`, of which there is at least one.
  [[nodiscard]] static type one_of(std::vector<std::string> words);
  // `t` for those of its values that `rules` allow; they allow no others. The
  // name is for messages only.
  [[nodiscard]] static type ruled_by(type t, schema rules, std::string name);

  [[nodiscard]] type_kind kind() const { return kind_; }
  [[nodiscard]] bool is(type_kind kind) const { return kind_ == kind; }
  [[nodiscard]] bool is_number() const {
    return kind_ == type_kind::integer || kind_ == type_kind::number;
  }
  // Of a list; `any` for every other type.
  [[nodiscard]] type element() const;
  // Of a record; empty for every other type.
  [[nodiscard]] std::span<const field> fields() const;
  // Null if there is no such field.
  [[nodiscard]] const field* find_field(std::string_view name) const;
  [[nodiscard]] const type* find(std::string_view name) const;
  // Of a text whose values are known; empty for every other type.
  [[nodiscard]] std::span<const std::string> words() const;
  // What is asked of a value besides its structure; null for nothing.
  [[nodiscard]] const schema* rules() const;

  friend bool operator==(const type& a, const type& b);

 private:
  struct parts;

  type_kind kind_ = type_kind::any;
  std::shared_ptr<const parts> parts_;

  friend std::string to_string(const type& t);
};

struct type::field {
  std::string name;
  tinyphi::type type;
  bool optional = false;  // a record may lack it
};

// Types by name: the [type.x] tables of a file.
using type_table = std::map<std::string, type, std::less<>>;

// As a pipeline file writes it: "text", "list<document>". A record without a
// name is "{ a, b }", a text of known values "one of a, b".
[[nodiscard]] std::string to_string(const type& t);

// Whether a value of one type may go where the other is wanted: the same
// structure; an int as a float; a path as a file; a text of known values as a
// text; what has a form in JSON as json. Lists and records go by their parts; a
// field that is always there as one that a record may lack.
[[nodiscard]] bool fits(const type& from, const type& to);

// What is wrong with `data` as a `t`, beginning with the place in it, such as
// "[2].title: a number, not a text"; nothing if it is one. What a schema says
// has a pointer and the rule: "/n: -1 found; at least 0 is allowed (type.x:
// /properties/n/minimum)"; where there is a schema, 1.0 is an integer.
[[nodiscard]] std::optional<std::string> find_misfit(const value_data& data,
                                                     const type& t);
// The same for data that was `given` in part, and then completed: schemas are
// silent about the rest.
[[nodiscard]] std::optional<std::string> find_misfit(const value_data& data,
                                                     const type& t,
                                                     const value_data& given);

// `data` of a type that fits `t`, exactly as `t` has it: integers become
// floats, 1.0 an integer, and members come in the order of the type.
[[nodiscard]] value_data conform(const value_data& data, const type& t);

// "a text", "true or false", "a list", ...
[[nodiscard]] std::string_view kind_of(const value_data& data);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/type.ipp"
#endif

#endif  // TINYPHI_PIPELINE_TYPE_H_
