// SPDX-License-Identifier: MIT
#include "tinyphi/base/mcp_revision.h"

#include "support/test.h"

using namespace tinyphi;

TEST_CASE("mcp_revision: five have names, and no other text is one") {
  for (const std::string_view name : mcp_revision_names) {
    const auto found = find_mcp_revision(name);
    REQUIRE(found);
    CHECK(to_string(*found) == name);
  }
  CHECK(to_string(newest_mcp_revision) == "2026-07-28");
  CHECK(to_string(newest_mcp_handshake) == "2025-11-25");
  CHECK_FALSE(find_mcp_revision(""));
  CHECK_FALSE(find_mcp_revision("2025-11-26"));
}
