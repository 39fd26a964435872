// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_ANSWER_FORMAT_IPP_
#define TINYPHI_SERVE_ANSWER_FORMAT_IPP_

#include <algorithm>
#include <utility>

#include "tinyphi/serve/answer_format.h"
#include "tinyphi/serve/fields.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline api_result<void> set_format(answer_request& r, wanted_format f) {
  if (r.format) {
    return invalid_value(f.field, f.field + " and " + r.format->field +
                                      " both say which form the answer has; "
                                      "give one");
  }
  r.format = std::move(f);
  return {};
}

inline result<constraint> make_constraint(const token_trie& vocabulary,
                                          const wanted_format& f) {
  switch (f.kind) {
    case wanted_format::what::json_object:
      return constraint::json_object(vocabulary);
    case wanted_format::what::json_schema: {
      json_form form{.schema = foreign_schema};
      form.schema.strict = f.strict;
      return constraint::json_schema(vocabulary, f.text, form);
    }
    case wanted_format::what::gbnf:
      break;
  }
  return constraint::gbnf(vocabulary, f.text);
}

inline std::string format_key(const wanted_format& f) {
  return std::to_string(static_cast<int>(f.kind)) + (f.strict ? "s" : "-") +
         f.text;
}

// What is wrong with a format is wrong with the request, whatever it is.
inline api_error to_format_error(const error& e, const wanted_format& f) {
  if (e.code == error_code::internal || e.code == error_code::io) {
    return to_api_error(e);
  }
  return invalid_value(f.field, f.field + ": " + e.message);
}

}  // namespace detail

TINYPHI_FUNC api_result<void> read_response_format(const json::object& format,
                                                   std::string_view path,
                                                   answer_request& r) {
  const std::string type = string_field(format, "type"), at(path);
  const json::value* own = find_field(format, "json_schema");
  const json::value* schema = find_field(format, "schema");
  // Nobody who sends a schema is to have a text without it.
  if (own != nullptr && type != "json_schema") {
    return invalid_value(at + ".type",
                         at + ".json_schema goes with type json_schema");
  }
  if (schema != nullptr && type == "text") {
    return invalid_value(at + ".type",
                         at + ".schema goes with type json_schema");
  }
  if (type == "text") return {};
  if (own == nullptr && schema == nullptr && type == "json_schema") {
    api_error e = invalid_value(at, at + " has no schema");
    e.code = "missing_required_parameter";
    return e;
  }
  wanted_format f{.kind = wanted_format::what::json_object,
                  .field = at + ".type",
                  .told = format};
  if (own != nullptr) {
    schema = find_field(own->get_object(), "schema");
  }
  if (schema != nullptr) {
    const json::object& beside = own == nullptr ? format : own->get_object();
    f.kind = wanted_format::what::json_schema;
    f.field = at + (own == nullptr ? ".schema" : ".json_schema.schema");
    f.text = json::serialize(*schema);
    f.strict = bool_field(beside, "strict", false);
  }
  return detail::set_format(r, std::move(f));
}

TINYPHI_FUNC api_result<void> read_grammar_fields(const json::object& body,
                                                  answer_request& r) {
  std::string grammar = string_field(body, "grammar");
  if (!grammar.empty()) {
    TINYPHI_CHECK_OK(detail::set_format(r, {.kind = wanted_format::what::gbnf,
                                            .text = std::move(grammar),
                                            .field = "grammar"}));
  }
  const json::value* schema = find_field(body, "json_schema");
  if (schema == nullptr) return {};
  return detail::set_format(r, {.kind = wanted_format::what::json_schema,
                                .text = json::serialize(*schema),
                                .field = "json_schema"});
}

TINYPHI_FUNC api_result<void> read_ollama_format(const json::value& format,
                                                 answer_request& r) {
  if (format.is_object()) {
    return detail::set_format(r, {.kind = wanted_format::what::json_schema,
                                  .text = json::serialize(format),
                                  .field = "format"});
  }
  if (format.get_string().empty()) return {};
  return detail::set_format(
      r, {.kind = wanted_format::what::json_object, .field = "format"});
}

TINYPHI_FUNC api_result<void> check_format(const answer_request& r,
                                           std::string_view stop) {
  if (!r.format) return {};
  const bool stops = !r.params.stop.empty();
  if (!stops && !r.params.ignore_stop_ids) return {};
  const std::string field(stops ? stop : "ignore_eos");
  return invalid_value(field, field + " and " + r.format->field +
                                  " do not go together: the form alone says "
                                  "where the answer ends; leave one of them "
                                  "out");
}

TINYPHI_FUNC api_result<constraint> format_cache::get(const engine& e,
                                                      const wanted_format& f) {
  std::string key = detail::format_key(f);
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find(entries_, key, &entry::key);
    if (found != entries_.end()) {
      entries_.splice(entries_.begin(), entries_, found);
      return entries_.front().made;
    }
  }
  const auto vocabulary = e.vocabulary();
  if (!vocabulary) return to_api_error(vocabulary.error());
  auto made = detail::make_constraint(*vocabulary, f);
  if (!made) return detail::to_format_error(made.error(), f);
  keep({std::move(key), *made});
  return *std::move(made);
}

TINYPHI_FUNC void format_cache::keep(entry e) {
  const std::lock_guard lock(mutex_);
  // Another thread may have made the same.
  std::erase_if(entries_, [&](const entry& o) { return o.key == e.key; });
  entries_.push_front(std::move(e));
  std::size_t bytes = 0, n = 0;
  const auto too_much = [&](const entry& o) {
    bytes += o.key.size() + o.made.bytes();
    return ++n > max_entries || bytes > max_bytes;
  };
  const auto last = std::ranges::find_if(entries_, too_much);
  entries_.erase(last, entries_.end());
}

TINYPHI_FUNC std::size_t format_cache::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_ANSWER_FORMAT_IPP_
