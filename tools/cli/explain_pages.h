// SPDX-License-Identifier: MIT
// What is known of each code of a diagnostic: the files of tools/explain.
#ifndef TOOLS_CLI_EXPLAIN_PAGES_H_
#define TOOLS_CLI_EXPLAIN_PAGES_H_

#include <span>
#include <string_view>

namespace cli {

struct explain_page {
  std::string_view code;  // "TP2007"
  std::string_view text;  // Markdown
};
[[nodiscard]] std::span<const explain_page> explain_pages();

}  // namespace cli

#endif  // TOOLS_CLI_EXPLAIN_PAGES_H_
