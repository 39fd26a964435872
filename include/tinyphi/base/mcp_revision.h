// SPDX-License-Identifier: MIT
// The revisions of the Model Context Protocol that are spoken here.
#ifndef TINYPHI_BASE_MCP_REVISION_H_
#define TINYPHI_BASE_MCP_REVISION_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN

enum class mcp_revision : std::uint8_t {
  v2024_11_05,
  v2025_03_26,
  v2025_06_18,
  v2025_11_25,
  v2026_07_28
};
// In the order of mcp_revision. Only the last has no handshake.
inline constexpr std::string_view mcp_revision_names[] = {
    "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"};
inline constexpr auto newest_mcp_revision = mcp_revision::v2026_07_28;
inline constexpr auto newest_mcp_handshake = mcp_revision::v2025_11_25;

[[nodiscard]] constexpr std::string_view to_string(mcp_revision r) {
  return mcp_revision_names[static_cast<std::size_t>(r)];
}
[[nodiscard]] constexpr std::optional<mcp_revision> find_mcp_revision(
    std::string_view name) {
  std::size_t i = 0;
  for (const std::string_view known : mcp_revision_names) {
    if (known == name) return static_cast<mcp_revision>(i);
    ++i;
  }
  return std::nullopt;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_BASE_MCP_REVISION_H_
