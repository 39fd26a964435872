// SPDX-License-Identifier: MIT
// Any text as CSV: a fault with the line it is on, or rows of which each has
// the header's columns, and which written and read again are the same.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/table/csv.h"

namespace {

using namespace tinyphi;

void require(bool holds) {
  if (!holds) std::abort();
}

std::string quoted_field(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) out.append(c == '"' ? 2 : 1, c);
  return out + '"';
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  constexpr std::size_t most = 1000;
  const auto rows = tables::read_csv(text, most);
  if (!rows) {
    const bool is_line = rows.error().message.starts_with("line ");
    require(is_line == (rows.error().code == error_code::bad_data));
    return 0;
  }
  require(rows->size() <= most);
  if (rows->empty()) return 0;
  std::string again;
  const auto& first = *rows->front().get<value_data::record>();
  for (const auto& m : first) again += quoted_field(m.name) + ',';
  again.back() = '\n';
  for (const value_data& row : *rows) {
    const auto& members = *row.get<value_data::record>();
    require(std::ranges::equal(members, first, {}, &value_data::member::name,
                               &value_data::member::name));
    for (const auto& m : members) {
      again += quoted_field(*m.value.get<std::string>()) + ',';
    }
    again.back() = '\n';
  }
  const auto same = tables::read_csv(again, most);
  require(same && *same == *rows);
  return 0;
}
