// SPDX-License-Identifier: MIT
// The pipelines that `tinyphi new` writes.
#ifndef TOOLS_CLI_NEW_FILES_H_
#define TOOLS_CLI_NEW_FILES_H_

#include <span>
#include <string_view>

namespace cli {

struct new_file {
  std::string_view name;  // below the new folder; empty: its pipeline file
  std::string_view text;
};
struct new_kind {
  std::string_view name;
  std::string_view summary;
  std::span<const new_file> files;  // the pipeline first
  // What `tinyphi run FILE` needs behind it.
  std::string_view run_arguments;
};
[[nodiscard]] std::span<const new_kind> new_kinds();

}  // namespace cli

#endif  // TOOLS_CLI_NEW_FILES_H_
