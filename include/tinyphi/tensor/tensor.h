// SPDX-License-Identifier: MIT
// A tensor as a file holds it: a view, owned by whoever owns the file.
#ifndef TINYPHI_TENSOR_TENSOR_H_
#define TINYPHI_TENSOR_TENSOR_H_

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "tinyphi/tensor/dtype.h"

TINYPHI_NAMESPACE_BEGIN

// Row-major; the last entry of `shape` is the one along a row (Hugging Face
// order: a linear layer is [rows = outputs][cols = inputs]; GGUF stores the
// dimensions the other way round and its reader turns them). Whoever makes a
// tensor_view has checked that bytes.size() is what type and shape need and
// that rows hold whole blocks.
struct tensor_view {
  std::string name;
  dtype type = dtype::f32;
  std::vector<std::size_t> shape;
  std::span<const std::byte> bytes;

  [[nodiscard]] std::size_t cols() const {
    return shape.empty() ? 1 : shape.back();
  }
  [[nodiscard]] std::size_t rows() const {
    std::size_t n = 1;
    for (std::size_t i = 0; i + 1 < shape.size(); ++i) n *= shape[i];
    return n;
  }
  [[nodiscard]] std::span<const std::byte> row(std::size_t r) const {
    const std::size_t n = row_bytes(type, cols());
    return bytes.subspan(r * n, n);
  }
};

// "[3072][9216]" for messages.
[[nodiscard]] inline std::string to_string(
    const std::vector<std::size_t>& shape) {
  std::string s;
  for (std::size_t n : shape) s += "[" + std::to_string(n) + "]";
  return s.empty() ? "a scalar" : s;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_TENSOR_TENSOR_H_
