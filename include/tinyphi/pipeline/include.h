// SPDX-License-Identifier: MIT
// Libraries: files that `include` names. What they define is put into the tree
// of the pipeline file, where every place still knows its file.
#ifndef TINYPHI_PIPELINE_INCLUDE_H_
#define TINYPHI_PIPELINE_INCLUDE_H_

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "tinyphi/pipeline/config_node.h"
#include "tinyphi/pipeline/diagnostic.h"
#include "tinyphi/pipeline/host.h"

TINYPHI_NAMESPACE_BEGIN

struct include_limits {
  static constexpr std::size_t max_depth = 4;  // one below the other
  static constexpr std::size_t max_libraries = 64;
};

// A library; position::library counts them.
struct library_file {
  std::string name;  // as messages have it
  // Where its relative paths start, seen from the pipeline's folder.
  std::filesystem::path folder;
};

// The text of the file `name` below `folder`; links must not lead out of it.
[[nodiscard]] result<std::string> read_library(
    const std::filesystem::path& folder, const std::filesystem::path& name);

// Adds what the libraries of `file` define to its tree, and the libraries to
// `libraries`. Each is read once, by `read` or, if that is empty, from the
// disk. False (reported) if one of them cannot be read: names are then missing.
bool add_libraries(config_node& tree, const std::filesystem::path& file,
                   const library_reader& read,
                   std::vector<library_file>& libraries,
                   std::vector<diagnostic>& faults);

// Gives diagnostics with a place in a library its name.
void name_libraries(std::span<diagnostic> faults,
                    std::span<const library_file> libraries);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/include.ipp"
#endif

#endif  // TINYPHI_PIPELINE_INCLUDE_H_
