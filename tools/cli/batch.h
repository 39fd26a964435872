// SPDX-License-Identifier: MIT
// tinyphi run --each: one request for each line of a file.
#ifndef TOOLS_CLI_BATCH_H_
#define TOOLS_CLI_BATCH_H_

#include <CLI/CLI.hpp>
#include <cstddef>
#include <string>
#include <vector>

namespace cli {

struct batch_options {
  std::string each;  // empty: no batch
  std::string out;
  std::size_t parallel = 1;
  bool resume = false;
};

// --each, --out, --resume and --parallel. The option --each is returned, so
// that what makes no sense with it can be excluded.
CLI::Option* add_batch_options(CLI::App& command, batch_options& o);

// Runs `file` with -m `model` and the inputs that all requests share, as the
// command line gives them; returns the exit status.
int run_batch(const std::string& file, const std::string& model,
              const std::vector<std::string>& shared, const batch_options& o,
              bool as_json);

}  // namespace cli

#endif  // TOOLS_CLI_BATCH_H_
