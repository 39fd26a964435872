// SPDX-License-Identifier: MIT
// The parser behind gguf_file::parse: every count, length and extent is checked
// against the bytes that are there before anything is allocated or read.
#ifndef TINYPHI_FILES_GGUF_PARSE_IPP_
#define TINYPHI_FILES_GGUF_PARSE_IPP_

#include <array>
#include <bit>

#include "tinyphi/base/bytes.h"
#include "tinyphi/files/gguf.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// No file in use comes near these; they keep hostile ones cheap.
inline constexpr std::uint64_t max_gguf_key = 65535;
inline constexpr std::uint64_t max_gguf_tensor_name = 255;
inline constexpr std::uint64_t max_gguf_string = std::uint64_t{16} << 20;
inline constexpr std::uint64_t max_gguf_alignment = 4096;
inline constexpr std::uint32_t max_gguf_dims = 4;

// Length and one character, type, one byte of value.
inline constexpr std::uint64_t min_gguf_value_record = 8 + 1 + 4 + 1;
// Length and one character, number of dimensions, one of them, type, offset.
inline constexpr std::uint64_t min_gguf_tensor_record = 8 + 1 + 4 + 8 + 4 + 8;

// Bytes of one element, 0 for strings and arrays.
inline std::size_t gguf_width(gguf_type type) {
  constexpr std::array<std::uint8_t, 13> widths{1, 1, 2, 2, 4, 4, 4,
                                                1, 0, 0, 8, 8, 8};
  return widths[static_cast<std::size_t>(type)];
}

// What ggml.h calls its type `id`, whether tinyphi can read it or not.
inline std::string ggml_type_name(std::uint32_t id) {
  constexpr std::array<std::string_view, 40> names{
      "F32",   "F16",   "Q4_0",    "Q4_1",     "",         "",         "Q5_0",
      "Q5_1",  "Q8_0",  "Q8_1",    "Q2_K",     "Q3_K",     "Q4_K",     "Q5_K",
      "Q6_K",  "Q8_K",  "IQ2_XXS", "IQ2_XS",   "IQ3_XXS",  "IQ1_S",    "IQ4_NL",
      "IQ3_S", "IQ2_S", "IQ4_XS",  "I8",       "I16",      "I32",      "I64",
      "F64",   "IQ1_M", "BF16",    "Q4_0_4_4", "Q4_0_4_8", "Q4_0_8_8", "TQ1_0",
      "TQ2_0", "",      "",        "",         "MXFP4"};
  if (id < names.size() && !names[id].empty()) return std::string(names[id]);
  return "id " + std::to_string(id);
}

// A byte_reader whose failures are messages: "<origin>: byte N: <what>".
class gguf_cursor {
 public:
  gguf_cursor(std::span<const std::byte> bytes, std::string_view origin)
      : in_(bytes), origin_(origin) {}

  [[nodiscard]] std::size_t offset() const { return in_.offset(); }
  // `what` is wrong with the number, or the string's length, read last.
  [[nodiscard]] error fault(std::string_view what,
                            error_code code = error_code::bad_data) const {
    return {code, std::string(origin_) + ": byte " + std::to_string(field_) +
                      ": " + std::string(what)};
  }

  template <class T>
  [[nodiscard]] result<T> read(std::string_view what) {
    field_ = in_.offset();
    const std::optional<T> value = in_.read<T>();
    if (!value) return ends(what);
    return *value;
  }

  [[nodiscard]] result<std::span<const std::byte>> read_bytes(
      checked_size n, std::string_view what) {
    const auto size = n.get();
    const auto piece = size ? in_.read_bytes(*size) : std::nullopt;
    if (!piece) return ends(what);
    return *piece;
  }

  // A count of records that are at least record_bytes long each.
  [[nodiscard]] result<std::uint64_t> count(std::uint64_t record_bytes,
                                            std::string_view what) {
    TINYPHI_TRY(const auto n, read<std::uint64_t>(what));
    if (n > in_.remaining() / record_bytes) {
      return fault(std::to_string(n) + " " + std::string(what) +
                   " do not fit in the " + std::to_string(in_.remaining()) +
                   " bytes that are left");
    }
    return n;
  }

  [[nodiscard]] result<std::string_view> string(std::uint64_t max,
                                                std::string_view what) {
    TINYPHI_TRY(const auto n, read<std::uint64_t>(what));
    if (n > max) {
      return fault(std::string(what) + " of " + std::to_string(n) +
                   " bytes, at most " + std::to_string(max) + " are allowed");
    }
    TINYPHI_TRY(const auto bytes, read_bytes(n, what));
    return as_text(bytes);
  }

  [[nodiscard]] result<std::string_view> name(std::uint64_t max,
                                              std::string_view what) {
    TINYPHI_TRY(const auto text, string(max, what));
    if (!is_plain_name(text)) {
      return fault(std::string(what) +
                   " is empty or holds other than printable ASCII");
    }
    return text;
  }

 private:
  [[nodiscard]] error ends(std::string_view what) const {
    return fault("the file ends inside " + std::string(what) +
                 "; it is cut short or broken");
  }
  byte_reader in_;
  std::string_view origin_;
  std::size_t field_ = 0;
};

inline result<std::uint32_t> read_gguf_version(gguf_cursor& in) {
  TINYPHI_TRY(const auto magic, in.read<std::uint32_t>("the magic number"));
  if (magic != 0x46554747) {
    return in.fault("not a GGUF file: it does not begin with \"GGUF\"");
  }
  TINYPHI_TRY(const auto version, in.read<std::uint32_t>("the version"));
  if (version == 2 || version == 3) return version;
  if (version != 0 && (version & 0xFFFF) == 0) {
    return in.fault(
        "a big-endian GGUF file; convert it to little-endian "
        "(gguf_convert_endian.py)",
        error_code::unsupported);
  }
  return in.fault("GGUF version " + std::to_string(version) +
                      ", versions 2 and 3 are supported; convert the model "
                      "again with a current converter",
                  error_code::unsupported);
}

inline result<gguf_type> read_gguf_type(gguf_cursor& in, std::string_view key) {
  TINYPHI_TRY(const auto id, in.read<std::uint32_t>("a metadata type"));
  if (id > static_cast<std::uint32_t>(gguf_type::f64)) {
    return in.fault(std::string(key) + ": metadata type " + std::to_string(id) +
                    ", 0 to 12 are allowed");
  }
  return static_cast<gguf_type>(id);
}

// Checks the extent of the value and, if there are strings, of each.
inline result<gguf_value> read_gguf_value(gguf_cursor& in, std::string_view key,
                                          std::span<const std::byte> file) {
  gguf_value value;
  TINYPHI_TRY(value.type, read_gguf_type(in, key));
  if (value.type == gguf_type::array) {
    value.is_array = true;
    TINYPHI_TRY(value.type, read_gguf_type(in, key));
    if (value.type == gguf_type::array) {
      return in.fault(std::string(key) +
                      ": an array of arrays; arrays hold numbers, booleans or "
                      "strings");
    }
    const std::size_t width = gguf_width(value.type);
    TINYPHI_TRY(value.count, in.count(width != 0 ? width : 8,
                                      "elements of " + std::string(key)));
  }
  if (value.type != gguf_type::string) {
    TINYPHI_TRY(
        value.bytes,
        in.read_bytes(checked_size(value.count) * gguf_width(value.type), key));
    return value;
  }
  const std::size_t begin = in.offset();
  for (std::size_t i = 0; i < value.count; ++i) {
    TINYPHI_CHECK_OK(in.string(max_gguf_string, key));
  }
  value.bytes = file.subspan(begin, in.offset() - begin);
  return value;
}

// A tensor record. Offsets count from `data`, whose place is known only when
// all records are read.
struct gguf_record {
  tensor_view view;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

inline result<dtype> read_gguf_dtype(gguf_cursor& in, std::string_view name) {
  TINYPHI_TRY(const auto id, in.read<std::uint32_t>("a tensor type"));
  std::string allowed;
  for (const dtype_info& d : dtypes) {
    if (d.gguf_id == id) return d.type;
    allowed += (allowed.empty() ? "" : ", ") + std::string(d.name);
  }
  return in.fault("tensor " + std::string(name) + ": type " +
                      ggml_type_name(id) + " where tinyphi needs one of " +
                      allowed + "; convert the model to one of them",
                  error_code::unsupported);
}

inline result<gguf_record> read_gguf_record(gguf_cursor& in) {
  gguf_record r;
  TINYPHI_TRY(const auto name,
              in.name(max_gguf_tensor_name, "the name of a tensor"));
  r.view.name = name;
  const std::string place = "tensor " + r.view.name;
  TINYPHI_TRY(const auto n_dims, in.read<std::uint32_t>(place));
  if (n_dims < 1 || n_dims > max_gguf_dims) {
    return in.fault(place + ": " + std::to_string(n_dims) +
                    " dimensions, 1 to 4 are allowed");
  }
  r.view.shape.resize(n_dims);
  checked_size elements = 1;
  for (std::uint32_t i = n_dims; i-- > 0;) {
    TINYPHI_TRY(const auto extent, in.read<std::uint64_t>(place));
    if (extent == 0) return in.fault(place + ": a dimension of 0 elements");
    elements *= extent;
    r.view.shape[i] = extent;
  }
  TINYPHI_TRY(r.view.type, read_gguf_dtype(in, name));
  TINYPHI_TRY(r.offset, in.read<std::uint64_t>(place));
  const dtype_info& type = info(r.view.type);
  if (r.view.cols() % type.block_size != 0) {
    return in.fault(place + ": rows of " + std::to_string(r.view.cols()) +
                    " elements, " + std::string(type.name) +
                    " needs a multiple of " + std::to_string(type.block_size));
  }
  const auto n = elements.get();
  const auto bytes =
      n ? (checked_size(*n / type.block_size) * type.block_bytes).get()
        : std::nullopt;
  if (!bytes) {
    return in.fault(place + ": shape " + to_string(r.view.shape) +
                    " is larger than any file");
  }
  r.bytes = *bytes;
  return r;
}

inline result<void> place_gguf_tensor(gguf_record& r,
                                      std::span<const std::byte> data,
                                      std::uint64_t alignment,
                                      const gguf_file& file) {
  const std::string key = "tensor " + r.view.name;
  if (r.offset % alignment != 0) {
    return file.fault(key, "offset " + std::to_string(r.offset) +
                               " is not a multiple of the alignment " +
                               std::to_string(alignment));
  }
  if (!(checked_size(r.offset) + r.bytes).at_most(data.size())) {
    return file.fault(key, std::string(to_string(r.view.type)) + " " +
                               to_string(r.view.shape) + " needs " +
                               std::to_string(r.bytes) + " bytes at offset " +
                               std::to_string(r.offset) + ", the file holds " +
                               std::to_string(data.size()) +
                               " bytes of tensors; it is cut short or broken");
  }
  r.view.bytes = data.subspan(r.offset, r.bytes);
  return {};
}

}  // namespace detail

TINYPHI_FUNC result<gguf_file> gguf_file::open(
    const std::filesystem::path& path) {
  TINYPHI_TRY(mapped_file mapping, mapped_file::open(path));
  TINYPHI_TRY(gguf_file file, parse(mapping.bytes(), path.string()));
  file.mapping_ = std::move(mapping);
  return file;
}

TINYPHI_FUNC result<gguf_file> gguf_file::parse(
    std::span<const std::byte> bytes, std::string origin) {
  gguf_file file;
  file.origin_ = std::move(origin);
  detail::gguf_cursor in(bytes, file.origin_);
  TINYPHI_TRY(file.version_, detail::read_gguf_version(in));
  TINYPHI_TRY(const auto n_tensors,
              in.count(detail::min_gguf_tensor_record, "tensors"));
  TINYPHI_TRY(const auto n_values,
              in.count(detail::min_gguf_value_record, "metadata values"));

  for (std::uint64_t i = 0; i < n_values; ++i) {
    TINYPHI_TRY(const auto key,
                in.name(detail::max_gguf_key, "a metadata key"));
    TINYPHI_TRY(const gguf_value value,
                detail::read_gguf_value(in, key, bytes));
    if (!file.metadata_.try_emplace(key, value).second) {
      return in.fault(std::string(key) + ": this metadata key comes twice");
    }
  }

  TINYPHI_TRY(const auto parts, file.integer("split.count", 0, 65535));
  if (parts && *parts > 1) {
    return file.fault("split.count", "one of " + std::to_string(*parts) +
                                         " parts; join them first "
                                         "(llama-gguf-split --merge)");
  }
  TINYPHI_TRY(const auto given,
              file.integer("general.alignment", 1, detail::max_gguf_alignment));
  const auto alignment = static_cast<std::uint64_t>(given.value_or(32));
  if (!std::has_single_bit(alignment)) {
    return file.fault("general.alignment",
                      std::to_string(alignment) +
                          " where tinyphi needs a power of two up to 4096");
  }

  std::vector<detail::gguf_record> records;
  for (std::uint64_t i = 0; i < n_tensors; ++i) {
    TINYPHI_TRY(detail::gguf_record record, detail::read_gguf_record(in));
    records.push_back(std::move(record));
  }
  const std::size_t begin =
      std::min(bytes.size(),
               (in.offset() + alignment - 1) & ~std::size_t{alignment - 1});
  for (detail::gguf_record& r : records) {
    TINYPHI_CHECK_OK(
        detail::place_gguf_tensor(r, bytes.subspan(begin), alignment, file));
    const std::string name = r.view.name;
    if (!file.tensors_.add(std::move(r.view))) {
      return file.fault("tensor " + name, "this name comes twice");
    }
  }
  if (const tensor_view* t = find_overlap(file.tensors())) {
    return file.fault("tensor " + t->name, "begins inside another tensor");
  }
  return file;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_FILES_GGUF_PARSE_IPP_
