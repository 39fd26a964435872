// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_SCHEMA_TYPE_IPP_
#define TINYPHI_PIPELINE_SCHEMA_TYPE_IPP_

#include <algorithm>

#include "tinyphi/pipeline/schema_type.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC schema_types::made schema_types::make(index rule) {
  entry& e = known_[rule];
  if (e.now == entry::state::done) return e.result;
  if (e.now == entry::state::open) return {type_kind::json};
  e.now = entry::state::open;
  const schema_rule& r = schema_.rules()[rule];
  made m;
  if (++n_steps_ <= max_steps) m = make_fresh(r);
  const bool is_deep = n_steps_-- > max_steps || m.height > type::max_depth;
  if (is_deep) {
    m = fail(r, "types nest more than " + std::to_string(type::max_depth) +
                    " deep here");
  } else if (m.parts > max_parts) {
    m = fail(r, "a type of " + std::to_string(m.parts) + " parts; at most " +
                    std::to_string(max_parts) + " are allowed");
  }
  e.result = m;
  e.now = entry::state::done;
  return m;
}

TINYPHI_FUNC schema_types::made schema_types::fail(const schema_rule& r,
                                                   std::string message) {
  if (faults_.size() < max_faults) {
    faults_.push_back({schema_fault_code::too_large,
                       schema_.document().pointer(r.where),
                       std::move(message)});
  }
  return {type_kind::json};
}

TINYPHI_FUNC schema_types::made schema_types::make_fresh(const schema_rule& r) {
  if (r.ref != none) {
    // What stands beside the reference allows less, never more.
    made target = make(r.ref);
    if (!target.type.is(type_kind::json)) return target;
  }
  if (auto words = words_of(r); !words.empty()) {
    if (words.size() > max_words) return {type_kind::text};
    return {type::one_of(std::move(words))};
  }
  constexpr std::uint8_t number = type_bit(2);
  switch (r.types) {
    case type_bit(1):
      return {type_kind::boolean};
    case number:
    case number | integer_bit:
      return {type_kind::number};
    case type_bit(3):
      return {type_kind::text};
    case type_bit(4):
      return make_list(r);
    case type_bit(5):
      return make_record(r);
    case integer_bit:
      return {type_kind::integer};
    default:
      return {type_kind::json};
  }
}

TINYPHI_FUNC schema_types::made schema_types::make_list(const schema_rule& r) {
  made item{type_kind::json};
  if (r.prefix_items.empty() && r.items != none) item = make(r.items);
  return {type::list_of(item.type), item.height + 1, item.parts + 1};
}

TINYPHI_FUNC schema_types::made schema_types::make_record(
    const schema_rule& r) {
  const bool is_closed =
      r.additional != none && schema_.rules()[r.additional].never;
  const auto is_open = [](const schema_property& p) { return p.rule == none; };
  if (!is_closed || r.properties.empty() ||
      std::ranges::any_of(r.properties, is_open)) {
    return {type_kind::json};
  }
  if (r.properties.size() > type::max_fields) {
    return fail(r, std::to_string(r.properties.size()) +
                       " properties; a record has at most " +
                       std::to_string(type::max_fields));
  }
  std::vector<type::field> fields;
  made all;
  for (const schema_property& p : r.properties) {
    made one = make(p.rule);
    all.height = std::max(all.height, one.height + 1);
    all.parts += one.parts;
    fields.push_back({std::string(p.name), std::move(one.type), !p.required});
  }
  all.type = type::record_of(name_of(r), std::move(fields));
  return all;
}

// The texts that are allowed, if no other values are.
TINYPHI_FUNC std::vector<std::string> schema_types::words_of(
    const schema_rule& r) const {
  const json_tree& doc = schema_.document();
  const bool is_list = r.enumeration != none;
  const index first = is_list ? doc.first(r.enumeration) : r.constant;
  std::vector<std::string> words;
  for (index v = first; v != none; v = is_list ? doc.next(v) : none) {
    if (doc.type(v) != json_type::string) return {};
    words.emplace_back(doc.text(v));
  }
  return words;
}

// That of its place in $defs.
TINYPHI_FUNC std::string schema_types::name_of(const schema_rule& r) const {
  const json_tree& doc = schema_.document();
  const auto around = doc.parent(r.where);
  if (around == none || doc.key(around) != "$defs") return {};
  return std::string(doc.key(r.where));
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_SCHEMA_TYPE_IPP_
