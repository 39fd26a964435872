// SPDX-License-Identifier: MIT
// What the tables mean is read in spec_reader.ipp.
#ifndef TINYPHI_PIPELINE_SPEC_IPP_
#define TINYPHI_PIPELINE_SPEC_IPP_

#include "tinyphi/pipeline/spec.h"
#include "tinyphi/pipeline/spec_reader.h"
#include "tinyphi/pipeline/toml_file.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC std::optional<pipeline_spec> read_spec(
    std::string_view text, const std::filesystem::path& file,
    const std::function<std::optional<std::string>(const std::string&)>& env,
    std::vector<diagnostic>& faults) {
  const std::optional<config_node> root = parse_toml(text, "a pipeline file", faults);
  if (!root) return std::nullopt;
  return spec_reader(*root, file, env, faults).read();
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_SPEC_IPP_
