// SPDX-License-Identifier: MIT
#ifndef TINYPHI_FILES_SAFETENSORS_IPP_
#define TINYPHI_FILES_SAFETENSORS_IPP_

#include <array>
#include <functional>
#include <utility>

#include "tinyphi/base/bytes.h"
#include "tinyphi/base/json.h"
#include "tinyphi/base/replacement_file.h"
#include "tinyphi/files/safetensors.h"
#include "tinyphi/files/tensor_table.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// As in the reference implementation.
inline constexpr std::uint64_t max_safetensors_header = 100'000'000;
inline constexpr std::size_t max_safetensors_dims = 8;

// Bytes of one element, nothing for a type that the format does not know.
inline std::optional<std::uint64_t> safetensors_width(std::string_view type) {
  constexpr std::array<std::pair<std::string_view, std::uint64_t>, 15> widths{
      {{"F32", 4},
       {"F16", 2},
       {"BF16", 2},
       {"F64", 8},
       {"I64", 8},
       {"I32", 4},
       {"I16", 2},
       {"I8", 1},
       {"U64", 8},
       {"U32", 4},
       {"U16", 2},
       {"U8", 1},
       {"BOOL", 1},
       {"F8_E4M3", 1},
       {"F8_E5M2", 1}}};
  for (const auto& [name, width] : widths) {
    if (name == type) return width;
  }
  return std::nullopt;
}

// The array of `n` natural numbers under `key`.
inline result<std::vector<std::uint64_t>> read_naturals(const json_reader& in,
                                                        std::string_view key,
                                                        std::size_t min_count,
                                                        std::size_t max_count) {
  const std::string allowed = "an array of " + std::to_string(min_count) +
                              " to " + std::to_string(max_count) +
                              " natural numbers is needed";
  const json::value* v = in.find(key);
  const json::array* a = v != nullptr ? v->if_array() : nullptr;
  if (a == nullptr || a->size() < min_count || a->size() > max_count) {
    return in.fault(key, allowed);
  }
  std::vector<std::uint64_t> all;
  for (const json::value& element : *a) {
    const std::int64_t* n = element.if_int64();
    if (n == nullptr || *n < 0) return in.fault(key, allowed);
    all.push_back(static_cast<std::uint64_t>(*n));
  }
  return all;
}

inline result<safetensors_entry> read_safetensors_entry(
    const json::key_value_pair& member, std::string_view origin,
    std::span<const std::byte> data) {
  safetensors_entry e;
  e.name = member.key();
  if (!is_plain_name(e.name)) {
    return error{error_code::bad_data,
                 std::string(origin) +
                     ": the name of a tensor is empty or holds other than "
                     "printable ASCII"};
  }
  const std::string place = std::string(origin) + ": tensor " + e.name;
  const json::object* o = member.value().if_object();
  if (o == nullptr) {
    return error{error_code::bad_data,
                 place + ": its entry in the header is not an object"};
  }
  const json_reader in(*o, place);
  TINYPHI_TRY(const auto type, in.string("dtype"));
  const auto width = type ? safetensors_width(*type) : std::nullopt;
  if (!width) {
    return in.fault("dtype", type && is_plain_name(*type)
                                 ? "unknown type " + std::string(*type)
                                 : "the name of an element type is needed");
  }
  e.type = *type;
  TINYPHI_TRY(const auto shape,
              read_naturals(in, "shape", 0, max_safetensors_dims));
  TINYPHI_TRY(const auto range, read_naturals(in, "data_offsets", 2, 2));
  checked_size need = *width;
  for (const std::uint64_t n : shape) need *= n;
  e.shape.assign(shape.begin(), shape.end());
  if (range[0] > range[1] || range[1] > data.size()) {
    return in.fault("data_offsets",
                    std::to_string(range[0]) + " to " +
                        std::to_string(range[1]) + ", the file holds " +
                        std::to_string(data.size()) +
                        " bytes of tensors; it is cut short or broken");
  }
  e.bytes = data.subspan(range[0], range[1] - range[0]);
  if (need.get() != e.bytes.size()) {
    const auto n = need.get();
    return in.fault("data_offsets",
                    e.type + " " + to_string(e.shape) + " needs " +
                        (n ? std::to_string(*n) : std::string("too many")) +
                        " bytes, " + std::to_string(e.bytes.size()) +
                        " are given");
  }
  return e;
}

}  // namespace detail

TINYPHI_FUNC result<safetensors_file> safetensors_file::open(
    const std::filesystem::path& path) {
  TINYPHI_TRY(mapped_file mapping, mapped_file::open(path));
  TINYPHI_TRY(safetensors_file file, parse(mapping.bytes(), path.string()));
  file.mapping_ = std::move(mapping);
  return file;
}

TINYPHI_FUNC result<safetensors_file> safetensors_file::parse(
    std::span<const std::byte> bytes, std::string origin) {
  safetensors_file file;
  file.origin_ = std::move(origin);
  byte_reader in(bytes);
  const auto size = in.read<std::uint64_t>();
  const auto header = size && *size <= detail::max_safetensors_header
                          ? in.read_bytes(*size)
                          : std::nullopt;
  if (!header) {
    return error{
        error_code::bad_data,
        file.origin_ + ": byte 0: " +
            (size ? "a header of " + std::to_string(*size) +
                        " bytes in a file of " + std::to_string(bytes.size())
                  : "a file of " + std::to_string(bytes.size()) + " bytes") +
            "; it is not a safetensors file, or cut short (headers have at "
            "most 100000000 bytes)"};
  }
  TINYPHI_TRY(const json::value parsed,
              parse_json(as_text(*header), file.origin_ + ": header",
                         {.max_depth = 4}));
  const json::object* members = parsed.if_object();
  if (members == nullptr) {
    return error{error_code::bad_data,
                 file.origin_ + ": the header is not a JSON object"};
  }
  const auto data = bytes.subspan(in.offset());
  for (const json::key_value_pair& member : *members) {
    if (member.key() == "__metadata__") continue;
    TINYPHI_TRY(safetensors_entry e,
                detail::read_safetensors_entry(member, file.origin_, data));
    file.entries_.push_back(std::move(e));
  }
  if (const safetensors_entry* e = find_overlap(file.entries_)) {
    return error{error_code::bad_data, file.origin_ + ": tensor " + e->name +
                                           ": begins inside another tensor"};
  }
  return file;
}

TINYPHI_FUNC const safetensors_entry* safetensors_file::find(
    std::string_view name) const {
  for (const safetensors_entry& e : entries_) {
    if (e.name == name) return &e;
  }
  return nullptr;
}

TINYPHI_FUNC result<tensor_view> safetensors_file::view(
    const safetensors_entry& entry) const {
  const auto type = parse_dtype(entry.type);
  if (!type) {
    return error{error_code::unsupported,
                 origin_ + ": tensor " + entry.name + ": type " + entry.type +
                     " where tinyphi needs one of F32, F16, BF16"};
  }
  if (entry.bytes.empty()) {
    return error{error_code::bad_data, origin_ + ": tensor " + entry.name +
                                           ": shape " + to_string(entry.shape) +
                                           " has no elements"};
  }
  return tensor_view{entry.name, *type, entry.shape, entry.bytes};
}

TINYPHI_FUNC void safetensors_file::release(
    std::span<const std::byte> bytes) const {
  if (!mapping_) return;
  const std::span<const std::byte> all = mapping_->bytes();
  const std::less_equal<const std::byte*> at_most;
  if (at_most(all.data(), bytes.data()) &&
      at_most(bytes.data() + bytes.size(), all.data() + all.size())) {
    mapping_->release(bytes);
  }
}

TINYPHI_FUNC result<safetensors_writer> safetensors_writer::create(
    const std::filesystem::path& path, std::span<const entry> entries) {
  json::object header;
  safetensors_writer w;
  w.path_ = path;
  for (const entry& e : entries) {
    checked_size need = e.element_bytes;
    for (const std::size_t n : e.shape) need *= n;
    const auto end = (checked_size(w.left_) + need).get();
    if (!end || header.contains(e.name)) {
      return error{error_code::invalid_argument,
                   "tensor " + e.name + ": shape " + to_string(e.shape) +
                       " has more elements than can be, or its name is given "
                       "twice"};
    }
    header[e.name] = {{"dtype", json::string_view(e.type)},
                      {"shape", json::value_from(e.shape)},
                      {"data_offsets", {w.left_, *end}}};
    w.left_ = *end;
  }
  std::string text = json::serialize(header);
  text.append((8 - text.size() % 8) % 8, ' ');
  const std::uint64_t size = text.size();
  const auto whole = (checked_size(w.left_) + text.size() + sizeof size).get();
  if (!whole) {
    return error{error_code::invalid_argument,
                 path.string() + ": larger than any file can be"};
  }

  w.out_ = std::make_unique<replacement_file>(path);
  TINYPHI_CHECK_OK(w.out_->create());
  TINYPHI_CHECK_OK(w.out_->reserve(*whole));
  TINYPHI_CHECK_OK(w.out_->write(std::as_bytes(std::span(&size, 1))));
  TINYPHI_CHECK_OK(w.out_->write(as_bytes(text)));
  return w;
}

TINYPHI_FUNC result<void> safetensors_writer::append(
    std::span<const std::byte> values) {
  if (values.size() > left_) {
    return error{error_code::invalid_argument,
                 path_.string() + ": " + std::to_string(values.size() - left_) +
                     " bytes more than its shapes say"};
  }
  left_ -= values.size();
  return out_->write(values);
}

TINYPHI_FUNC result<void> safetensors_writer::commit() {
  if (left_ != 0) {
    return error{error_code::invalid_argument,
                 path_.string() + ": " + std::to_string(left_) +
                     " bytes less than its shapes say"};
  }
  return out_->commit();
}

TINYPHI_FUNC result<void> write_safetensors(
    const std::filesystem::path& path,
    std::span<const safetensors_output> tensors) {
  std::vector<safetensors_writer::entry> entries;
  std::vector<std::span<const std::byte>> parts;
  for (const safetensors_output& t : tensors) {
    const bool is_float = t.values.index() == 0;
    const std::size_t element = is_float ? sizeof(float) : sizeof(std::int64_t);
    parts.push_back(std::visit(
        [](auto values) -> std::span<const std::byte> {
          return std::as_bytes(values);
        },
        t.values));
    checked_size need = element;
    for (const std::size_t n : t.shape) need *= n;
    if (need.get() != parts.back().size()) {
      return error{error_code::invalid_argument,
                   "tensor " + t.name + ": " +
                       std::to_string(parts.back().size()) +
                       " bytes for shape " + to_string(t.shape)};
    }
    entries.push_back({t.name, is_float ? "F32" : "I64", element, t.shape});
  }
  TINYPHI_TRY(auto out, safetensors_writer::create(path, entries));
  for (const auto& part : parts) TINYPHI_CHECK_OK(out.append(part));
  return out.commit();
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_FILES_SAFETENSORS_IPP_
