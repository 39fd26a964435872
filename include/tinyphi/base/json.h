// SPDX-License-Identifier: MIT
// JSON: Boost.JSON, with limits for text from outside and lookups that say
// what is wrong where. Included by .ipp files and tools, not by public headers.
#ifndef TINYPHI_BASE_JSON_H_
#define TINYPHI_BASE_JSON_H_

#include <boost/json.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tinyphi/base/error.h"

TINYPHI_NAMESPACE_BEGIN

namespace json = boost::json;

struct json_limits {
  std::size_t max_bytes = std::size_t{256} << 20;
  std::size_t max_depth = 32;
};

// Parses a whole JSON text. `origin` names it in messages, which give the byte
// offset of the fault. Duplicate keys: the last one wins, as in Python.
[[nodiscard]] result<json::value> parse_json(std::string_view text,
                                             std::string_view origin,
                                             const json_limits& limits = {});

// A view of one object that knows its name, for reading configuration files:
// each getter returns the value, nothing if the key is absent or null, or an
// error that names file and key. The object must outlive the view.
class json_reader {
 public:
  json_reader(const json::object& object, std::string origin)
      : object_(&object), origin_(std::move(origin)) {}

  [[nodiscard]] const json::object& object() const { return *object_; }
  [[nodiscard]] const std::string& origin() const { return origin_; }

  [[nodiscard]] const json::value* find(std::string_view key) const;
  // Integers also arrive as 5.0; both count. Out of [min, max] is an error.
  [[nodiscard]] result<std::optional<std::int64_t>> integer(
      std::string_view key, std::int64_t min, std::int64_t max) const;
  [[nodiscard]] result<std::optional<double>> number(
      std::string_view key) const;
  [[nodiscard]] result<std::optional<bool>> boolean(std::string_view key) const;
  // The view is into the object.
  [[nodiscard]] result<std::optional<std::string_view>> string(
      std::string_view key) const;

  // The error for `key`: "<origin>: <key>: <what>".
  [[nodiscard]] error fault(std::string_view key, std::string_view what) const;

 private:
  const json::object* object_;
  std::string origin_;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/base/json.ipp"
#endif

#endif  // TINYPHI_BASE_JSON_H_
