// SPDX-License-Identifier: MIT
// What lines go over, and a program that speaks them.
#ifndef TINYPHI_PLUGINS_MCP_LINE_CONNECTION_H_
#define TINYPHI_PLUGINS_MCP_LINE_CONNECTION_H_

#include <optional>
#include <utility>

#include "plugins/process/launch.h"
#include "plugins/process/private_folder.h"
#include "tinyphi/base/unique_fd.h"

TINYPHI_NAMESPACE_BEGIN
namespace mcp {

// The two ends of a conversation, which do not block, and what goes with them.
struct line_connection {
  unique_fd in, out, err;  // to the server, from it, and what it says aside
  std::optional<process::private_folder> folder = {};
  std::optional<process::running_program> program = {};
};

// Starts the program, confined, in a folder of its own.
[[nodiscard]] inline result<line_connection> start_program(
    process::program_start start) {
  TINYPHI_TRY(start.program, process::checked_program(start.program));
  TINYPHI_TRY(auto folder, process::private_folder::make());
  start.folder = folder.path();
  start.environment.push_back("TMPDIR=" + folder.path().string());
  TINYPHI_TRY(auto program, process::launch(start));
  line_connection c;
  c.in = std::move(program.in);
  c.out = std::move(program.out);
  c.err = std::move(program.err);
  c.folder.emplace(std::move(folder));
  c.program.emplace(std::move(program));
  return c;
}

}  // namespace mcp
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_MCP_LINE_CONNECTION_H_
