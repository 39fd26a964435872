// SPDX-License-Identifier: MIT
// The tensors of a file, in its order and by name; and which names are fit to
// stand in a message.
#ifndef TINYPHI_FILES_TENSOR_TABLE_H_
#define TINYPHI_FILES_TENSOR_TABLE_H_

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tinyphi/tensor/tensor.h"

TINYPHI_NAMESPACE_BEGIN

class tensor_table {
 public:
  // False, and nothing is added, if there is a tensor of that name already.
  [[nodiscard]] bool add(tensor_view t) {
    if (!index_.try_emplace(t.name, all_.size()).second) return false;
    all_.push_back(std::move(t));
    return true;
  }
  [[nodiscard]] const std::vector<tensor_view>& all() const { return all_; }
  // Null if there is none.
  [[nodiscard]] const tensor_view* find(std::string_view name) const {
    const auto at = index_.find(name);
    return at == index_.end() ? nullptr : &all_[at->second];
  }

 private:
  std::vector<tensor_view> all_;
  std::map<std::string, std::size_t, std::less<>> index_;
};

// A tensor that begins inside another one of `all`, or null. No writer makes
// them, and a small file of them could ask for any amount of memory: every
// tensor is packed for itself. Of Tensor: its bytes.
template <class Tensor>
[[nodiscard]] const Tensor* find_overlap(const std::vector<Tensor>& all) {
  std::vector<const Tensor*> order;
  for (const Tensor& t : all) {
    if (!t.bytes.empty()) order.push_back(&t);
  }
  const auto begin = [](const Tensor* t) { return t->bytes.data(); };
  std::ranges::sort(order, std::ranges::less(), begin);
  const auto overlaps = [](const Tensor* a, const Tensor* b) {
    return b->bytes.data() < a->bytes.data() + a->bytes.size();
  };
  const auto found = std::ranges::adjacent_find(order, overlaps);
  return found == order.end() ? nullptr : *(found + 1);
}

// Names from files reach terminals through messages, so a name is printable
// ASCII without spaces; every published one is.
[[nodiscard]] inline bool is_plain_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return c > ' ' && c < '\x7F';
  });
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_FILES_TENSOR_TABLE_H_
