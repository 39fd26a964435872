// SPDX-License-Identifier: MIT
#ifndef TINYPHI_BASE_JSON_IPP_
#define TINYPHI_BASE_JSON_IPP_

#include <cmath>

#include "tinyphi/base/json.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline std::string_view json_kind(const json::value& v) {
  switch (v.kind()) {
    case json::kind::null:
      return "null";
    case json::kind::bool_:
      return "a boolean";
    case json::kind::int64:
    case json::kind::uint64:
      return "an integer";
    case json::kind::double_:
      return "a number";
    case json::kind::string:
      return "a string";
    case json::kind::array:
      return "an array";
    case json::kind::object:
      return "an object";
  }
  return "something else";
}

}  // namespace detail

TINYPHI_FUNC result<json::value> parse_json(std::string_view text,
                                            std::string_view origin,
                                            const json_limits& limits) {
  if (text.size() > limits.max_bytes) {
    return error{error_code::limit,
                 std::string(origin) + ": " + std::to_string(text.size()) +
                     " bytes of JSON, at most " +
                     std::to_string(limits.max_bytes) + " are allowed"};
  }
  json::parse_options options;
  options.max_depth = limits.max_depth;
  json::stream_parser parser({}, options);
  boost::system::error_code ec;
  const std::size_t used = parser.write_some(text.data(), text.size(), ec);
  if (!ec && used < text.size()) ec = json::error::extra_data;
  if (!ec) parser.finish(ec);
  if (ec) {
    return error{error_code::bad_data, std::string(origin) + ": byte " +
                                           std::to_string(used) +
                                           ": not valid JSON: " + ec.message()};
  }
  return parser.release();
}

TINYPHI_FUNC const json::value* json_reader::find(std::string_view key) const {
  const json::value* v =
      object_->if_contains(json::string_view(key.data(), key.size()));
  return v == nullptr || v->is_null() ? nullptr : v;
}

TINYPHI_FUNC error json_reader::fault(std::string_view key,
                                      std::string_view what) const {
  return {error_code::bad_data,
          origin_ + ": " + std::string(key) + ": " + std::string(what)};
}

TINYPHI_FUNC result<std::optional<std::int64_t>> json_reader::integer(
    std::string_view key, std::int64_t min, std::int64_t max) const {
  const json::value* v = find(key);
  if (v == nullptr) return std::optional<std::int64_t>();
  std::optional<std::int64_t> found;
  if (const auto* i = v->if_int64()) {
    found = *i;
  } else if (const auto* d = v->if_double();
             d && std::abs(*d) < 9e15 && std::floor(*d) == *d) {
    found = static_cast<std::int64_t>(*d);
  }
  const std::string allowed =
      "an integer from " + std::to_string(min) + " to " + std::to_string(max);
  if (!found) {
    return fault(key, std::string(detail::json_kind(*v)) +
                          " where tinyphi needs " + allowed);
  }
  if (*found < min || *found > max) {
    return fault(key,
                 std::to_string(*found) + " where tinyphi needs " + allowed);
  }
  return found;
}

TINYPHI_FUNC result<std::optional<double>> json_reader::number(
    std::string_view key) const {
  const json::value* v = find(key);
  if (v == nullptr) return std::optional<double>();
  if (const auto* d = v->if_double()) return std::optional<double>(*d);
  if (const auto* i = v->if_int64()) {
    return std::optional<double>(static_cast<double>(*i));
  }
  if (const auto* u = v->if_uint64()) {
    return std::optional<double>(static_cast<double>(*u));
  }
  return fault(key, std::string(detail::json_kind(*v)) +
                        " where tinyphi needs a number");
}

TINYPHI_FUNC result<std::optional<bool>> json_reader::boolean(
    std::string_view key) const {
  const json::value* v = find(key);
  if (v == nullptr) return std::optional<bool>();
  if (const auto* b = v->if_bool()) return std::optional<bool>(*b);
  return fault(key, std::string(detail::json_kind(*v)) +
                        " where tinyphi needs true or false");
}

TINYPHI_FUNC result<std::optional<std::string_view>> json_reader::string(
    std::string_view key) const {
  const json::value* v = find(key);
  if (v == nullptr) return std::optional<std::string_view>();
  if (const auto* s = v->if_string()) {
    return std::optional<std::string_view>(
        std::string_view(s->data(), s->size()));
  }
  return fault(key, std::string(detail::json_kind(*v)) +
                        " where tinyphi needs a string");
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_BASE_JSON_IPP_
