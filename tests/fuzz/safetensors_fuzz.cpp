// SPDX-License-Identifier: MIT
// Any bytes as a safetensors file: opened or refused, and every view whole.
#include <cstdint>
#include <cstdlib>

#include "tinyphi/files/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  using namespace tinyphi;
  const auto file = safetensors_file::parse(
      std::as_bytes(std::span<const std::uint8_t>(data, size)), "fuzz");
  if (!file) return 0;
  for (const safetensors_entry& e : file->entries()) {
    if (file->find(e.name) != &e) std::abort();
    const auto t = file->view(e);
    if (!t) continue;
    const auto last = t->row(t->rows() - 1);
    if (last.data() + last.size() != e.bytes.data() + e.bytes.size()) {
      std::abort();
    }
  }
  return 0;
}
