// SPDX-License-Identifier: MIT
// Metadata access; gguf_parse.ipp reads the file.
#ifndef TINYPHI_FILES_GGUF_IPP_
#define TINYPHI_FILES_GGUF_IPP_

#include <array>
#include <limits>

#include "tinyphi/base/bytes.h"
#include "tinyphi/base/plain_text.h"
#include "tinyphi/files/gguf.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline bool gguf_is_string(gguf_type type) { return type == gguf_type::string; }
inline bool gguf_is_float(gguf_type type) {
  return type == gguf_type::f32 || type == gguf_type::f64;
}
inline bool gguf_is_integer(gguf_type type) {
  return !gguf_is_string(type) && !gguf_is_float(type) &&
         type != gguf_type::boolean && type != gguf_type::array;
}

inline std::string gguf_count_text(std::uint64_t min, std::uint64_t max) {
  return min == max ? std::to_string(min)
                    : std::to_string(min) + " to " + std::to_string(max);
}

template <class T>
T gguf_load(std::span<const std::byte> bytes, std::size_t index) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

// Element `i` as an integer, if the type is one and the value fits.
inline std::optional<std::int64_t> gguf_integer(const gguf_value& v,
                                                std::size_t i) {
  switch (v.type) {
    case gguf_type::u8:
      return gguf_load<std::uint8_t>(v.bytes, i);
    case gguf_type::i8:
      return gguf_load<std::int8_t>(v.bytes, i);
    case gguf_type::u16:
      return gguf_load<std::uint16_t>(v.bytes, i);
    case gguf_type::i16:
      return gguf_load<std::int16_t>(v.bytes, i);
    case gguf_type::u32:
      return gguf_load<std::uint32_t>(v.bytes, i);
    case gguf_type::i32:
      return gguf_load<std::int32_t>(v.bytes, i);
    case gguf_type::i64:
      return gguf_load<std::int64_t>(v.bytes, i);
    case gguf_type::u64: {
      const auto n = gguf_load<std::uint64_t>(v.bytes, i);
      if (n > static_cast<std::uint64_t>(
                  std::numeric_limits<std::int64_t>::max())) {
        return std::nullopt;
      }
      return static_cast<std::int64_t>(n);
    }
    default:
      return std::nullopt;
  }
}

inline std::optional<double> gguf_float(const gguf_value& v, std::size_t i) {
  if (v.type == gguf_type::f32) return gguf_load<float>(v.bytes, i);
  if (v.type == gguf_type::f64) return gguf_load<double>(v.bytes, i);
  return std::nullopt;
}

inline std::string gguf_kind(const gguf_value& v) {
  if (!v.is_array) return "a value of type " + std::string(to_string(v.type));
  return "an array of " + std::to_string(v.count) + " values of type " +
         std::string(to_string(v.type));
}

}  // namespace detail

TINYPHI_FUNC std::string_view to_string(gguf_type type) {
  constexpr std::array<std::string_view, 13> names{
      "u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
      "bool", "string", "array", "u64", "i64", "f64"};
  return names[static_cast<std::size_t>(type)];
}

TINYPHI_FUNC const gguf_value* gguf_file::find_value(
    std::string_view key) const {
  const auto at = metadata_.find(key);
  return at == metadata_.end() ? nullptr : &at->second;
}

TINYPHI_FUNC error gguf_file::fault(std::string_view key,
                                    std::string_view what) const {
  return {error_code::bad_data,
          origin_ + ": " + std::string(key) + ": " + std::string(what)};
}

TINYPHI_FUNC result<std::optional<std::int64_t>> gguf_file::integer(
    std::string_view key, std::int64_t min, std::int64_t max) const {
  const gguf_value* v = find_value(key);
  if (v == nullptr) return std::optional<std::int64_t>();
  const auto found = v->is_array ? std::nullopt : detail::gguf_integer(*v, 0);
  if (!found || *found < min || *found > max) {
    return fault(key, (found ? std::to_string(*found) : detail::gguf_kind(*v)) +
                          " where tinyphi needs an integer from " +
                          std::to_string(min) + " to " + std::to_string(max));
  }
  return found;
}

TINYPHI_FUNC result<std::optional<double>> gguf_file::number(
    std::string_view key) const {
  const gguf_value* v = find_value(key);
  if (v == nullptr) return std::optional<double>();
  if (!v->is_array) {
    if (const auto f = detail::gguf_float(*v, 0)) return f;
    if (const auto i = detail::gguf_integer(*v, 0)) {
      return std::optional<double>(static_cast<double>(*i));
    }
  }
  return fault(key, detail::gguf_kind(*v) + " where tinyphi needs a number");
}

TINYPHI_FUNC result<std::optional<bool>> gguf_file::boolean(
    std::string_view key) const {
  const gguf_value* v = find_value(key);
  if (v == nullptr) return std::optional<bool>();
  if (v->is_array || v->type != gguf_type::boolean) {
    return fault(key,
                 detail::gguf_kind(*v) + " where tinyphi needs true or false");
  }
  return std::optional<bool>(v->bytes[0] != std::byte{0});
}

TINYPHI_FUNC result<std::optional<std::string_view>> gguf_file::string(
    std::string_view key) const {
  const gguf_value* v = find_value(key);
  if (v == nullptr) return std::optional<std::string_view>();
  if (v->is_array || v->type != gguf_type::string) {
    return fault(key, detail::gguf_kind(*v) + " where tinyphi needs a string");
  }
  return std::optional<std::string_view>(
      as_text(v->bytes.subspan(sizeof(std::uint64_t))));
}

TINYPHI_FUNC result<const gguf_value*> gguf_file::find_array(
    std::string_view key, std::string_view allowed, bool (*fits)(gguf_type),
    std::size_t min_count, std::size_t max_count) const {
  const gguf_value* v = find_value(key);
  if (v == nullptr) return v;
  if (!v->is_array || !fits(v->type) || v->count < min_count ||
      v->count > max_count) {
    return fault(key, detail::gguf_kind(*v) +
                          " where tinyphi needs an array of " +
                          detail::gguf_count_text(min_count, max_count) + " " +
                          std::string(allowed));
  }
  return v;
}

TINYPHI_FUNC result<std::optional<std::vector<std::string_view>>>
gguf_file::strings(std::string_view key, std::size_t min_count,
                   std::size_t max_count) const {
  using values = std::vector<std::string_view>;
  TINYPHI_TRY(
      const gguf_value* v,
      find_array(key, "strings", detail::gguf_is_string, min_count, max_count));
  if (v == nullptr) return std::optional<values>();
  values all;
  all.reserve(v->count);
  // The extents were checked when the file was opened.
  byte_reader in(v->bytes);
  for (std::size_t i = 0; i < v->count; ++i) {
    all.push_back(as_text(*in.read_bytes(*in.read<std::uint64_t>())));
  }
  return std::optional<values>(std::move(all));
}

TINYPHI_FUNC result<std::optional<std::vector<std::int64_t>>>
gguf_file::integers(std::string_view key, std::size_t min_count,
                    std::size_t max_count) const {
  using values = std::vector<std::int64_t>;
  TINYPHI_TRY(const gguf_value* v,
              find_array(key, "integers", detail::gguf_is_integer, min_count,
                         max_count));
  if (v == nullptr) return std::optional<values>();
  values all(v->count);
  for (std::size_t i = 0; i < v->count; ++i) {
    const auto n = detail::gguf_integer(*v, i);
    if (!n) return fault(key, "an element that 63 bits do not hold");
    all[i] = *n;
  }
  return std::optional<values>(std::move(all));
}

TINYPHI_FUNC result<std::optional<std::vector<float>>> gguf_file::floats(
    std::string_view key, std::size_t min_count, std::size_t max_count) const {
  using values = std::vector<float>;
  TINYPHI_TRY(
      const gguf_value* v,
      find_array(key, "floats", detail::gguf_is_float, min_count, max_count));
  if (v == nullptr) return std::optional<values>();
  values all(v->count);
  for (std::size_t i = 0; i < v->count; ++i) {
    all[i] = static_cast<float>(*detail::gguf_float(*v, i));
  }
  return std::optional<values>(std::move(all));
}

TINYPHI_FUNC std::string describe(const gguf_value& value,
                                  std::size_t max_chars) {
  if (value.is_array) {
    return "[" + std::to_string(value.count) + " " +
           std::string(to_string(value.type)) + "]";
  }
  if (value.type == gguf_type::boolean) {
    return value.bytes[0] != std::byte{0} ? "true" : "false";
  }
  if (const auto f = detail::gguf_float(value, 0)) {
    return plain_number(*f);
  }
  if (const auto i = detail::gguf_integer(value, 0)) return std::to_string(*i);
  if (value.type != gguf_type::string) return "(more than 63 bits)";
  const std::string_view all =
      as_text(value.bytes.subspan(sizeof(std::uint64_t)));
  std::string text = "\"";
  for (const char c : all.substr(0, max_chars)) {
    text += c >= ' ' && c < '\x7F' ? c : '.';
  }
  return text + (all.size() > max_chars ? "..." : "") + "\"";
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_FILES_GGUF_IPP_
