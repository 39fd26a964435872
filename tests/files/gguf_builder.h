// SPDX-License-Identifier: MIT
// Builds GGUF files in memory, right or broken on purpose.
#ifndef TESTS_FILES_GGUF_BUILDER_H_
#define TESTS_FILES_GGUF_BUILDER_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/files/gguf.h"

namespace tinyphi_test {

// Bytes in the order they are added.
class byte_string {
 public:
  template <class T>
  byte_string& number(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  byte_string& text(std::string_view s) {  // with its length before it
    number<std::uint64_t>(s.size());
    bytes_.append(s);
    return *this;
  }
  byte_string& raw(std::string_view s) {
    bytes_.append(s);
    return *this;
  }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// Every field can be given wrongly: what is not given is right.
class gguf_builder {
 public:
  std::uint32_t magic = 0x46554747;
  std::uint32_t version = 3;
  std::uint64_t extra_tensors = 0;  // claimed, not there
  std::uint64_t extra_values = 0;
  std::size_t alignment = 32;  // of the data; say it with a key as well

  template <class T>
  gguf_builder& value(std::string_view key, tinyphi::gguf_type type, T v) {
    values_.text(key).number(static_cast<std::uint32_t>(type)).number(v);
    ++n_values_;
    return *this;
  }
  gguf_builder& u32(std::string_view key, std::uint32_t v) {
    return value(key, tinyphi::gguf_type::u32, v);
  }
  gguf_builder& f32(std::string_view key, float v) {
    return value(key, tinyphi::gguf_type::f32, v);
  }
  gguf_builder& flag(std::string_view key, bool v) {
    return value(key, tinyphi::gguf_type::boolean, v);
  }
  gguf_builder& string(std::string_view key, std::string_view v) {
    values_.text(key).number<std::uint32_t>(8).text(v);
    ++n_values_;
    return *this;
  }
  gguf_builder& strings(std::string_view key,
                        const std::vector<std::string>& all) {
    values_.text(key).number<std::uint32_t>(9).number<std::uint32_t>(8);
    values_.number<std::uint64_t>(all.size());
    for (const std::string& s : all) values_.text(s);
    ++n_values_;
    return *this;
  }
  template <class T>
  gguf_builder& array(std::string_view key, tinyphi::gguf_type type,
                      const std::vector<T>& all) {
    values_.text(key).number<std::uint32_t>(9);
    values_.number(static_cast<std::uint32_t>(type));
    values_.number<std::uint64_t>(all.size());
    for (const T& v : all) values_.number(v);
    ++n_values_;
    return *this;
  }
  // The bytes of one metadata record as they are.
  gguf_builder& raw_value(const byte_string& record) {
    values_.raw(record.bytes());
    ++n_values_;
    return *this;
  }

  // dims in the file's order, the one along a row first.
  gguf_builder& tensor(std::string_view name,
                       const std::vector<std::uint64_t>& dims,
                       std::uint32_t type, std::uint64_t offset) {
    records_.text(name).number(static_cast<std::uint32_t>(dims.size()));
    for (const std::uint64_t n : dims) records_.number(n);
    records_.number(type).number(offset);
    ++n_tensors_;
    return *this;
  }
  // An F32 tensor with these values, behind what is there.
  gguf_builder& floats(std::string_view name,
                       const std::vector<std::uint64_t>& dims,
                       const std::vector<float>& all) {
    data_.resize((data_.size() + alignment - 1) / alignment * alignment);
    tensor(name, dims, 0, data_.size());
    data_.append(reinterpret_cast<const char*>(all.data()), all.size() * 4);
    return *this;
  }
  gguf_builder& data(std::size_t bytes) {
    data_.append(bytes, '\0');
    return *this;
  }

  [[nodiscard]] std::string bytes() const {
    byte_string file;
    file.number(magic).number(version);
    file.number(n_tensors_ + extra_tensors).number(n_values_ + extra_values);
    file.raw(values_.bytes()).raw(records_.bytes());
    std::string all = file.bytes();
    if (!data_.empty()) {
      all.resize((all.size() + alignment - 1) / alignment * alignment);
    }
    return all + data_;
  }

 private:
  byte_string values_;
  byte_string records_;
  std::string data_;
  std::uint64_t n_values_ = 0;
  std::uint64_t n_tensors_ = 0;
};

}  // namespace tinyphi_test

#endif  // TESTS_FILES_GGUF_BUILDER_H_
