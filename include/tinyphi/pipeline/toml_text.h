// SPDX-License-Identifier: MIT
// Nodes to TOML: the way back from toml_file.h.
#ifndef TINYPHI_PIPELINE_TOML_TEXT_H_
#define TINYPHI_PIPELINE_TOML_TEXT_H_

#include <string>
#include <string_view>

#include "tinyphi/pipeline/config_node.h"

TINYPHI_NAMESPACE_BEGIN

// The file that the table `root` is, in one form whatever it was read from: a
// header for each table of the second level, such as [stage.find], one line for
// each key, and a text of several lines as it reads. parse_toml of it is the
// same tree, its members in the same order, but that those of the root that are
// no tables come first. A secret_name is written as "${secret.NAME}".
[[nodiscard]] std::string to_toml(const config_node& root);

// `text` as a TOML string of one line.
[[nodiscard]] std::string toml_string(std::string_view text);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/toml_text.ipp"
#endif

#endif  // TINYPHI_PIPELINE_TOML_TEXT_H_
