// SPDX-License-Identifier: MIT
// Any bytes as a GGUF file: opened or refused, every value and tensor byte
// readable, and a model configuration or an error.
#include <cstdint>
#include <cstdlib>

#include "tinyphi/files/gguf.h"
#include "tinyphi/model/model_config.h"
#include "tinyphi/tensor/quant.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  using namespace tinyphi;
  const auto file = gguf_file::parse(
      std::as_bytes(std::span<const std::uint8_t>(data, size)), "fuzz");
  if (!file) return 0;
  for (const auto& [key, value] : file->metadata()) {
    (void)describe(value);
    (void)file->integer(key, -5, 5);
    (void)file->number(key);
    (void)file->boolean(key);
    (void)file->string(key);
    (void)file->strings(key, 0, size);
    (void)file->integers(key, 0, size);
    (void)file->floats(key, 0, size);
  }
  for (const tensor_view& t : file->tensors()) {
    const auto first = t.row(0);
    const auto last = t.row(t.rows() - 1);
    if (first.data() != t.bytes.data() ||
        last.data() + last.size() != t.bytes.data() + t.bytes.size()) {
      std::abort();
    }
    std::vector<float> row(t.cols());
    dequantize_row(t.type, first, row);
  }
  (void)read_model_config(*file);
  return 0;
}
