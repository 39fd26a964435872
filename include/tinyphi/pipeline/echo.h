// SPDX-License-Identifier: MIT
// A pipeline file in its normal form: as the compiler understood it.
#ifndef TINYPHI_PIPELINE_ECHO_H_
#define TINYPHI_PIPELINE_ECHO_H_

#include <filesystem>
#include <string>
#include <string_view>

#include "tinyphi/pipeline/pipeline.h"

TINYPHI_NAMESPACE_BEGIN

struct pipeline_echo {
  pipeline_check checked;
  // Empty if an error is among the faults. Paths in it start where those of the
  // file do, so that it is a pipeline file of the same folder and means the
  // same, and its own echo is the same text.
  std::string text;
};

// The normal form has
// - what the file takes of its libraries in place of `include`;
// - every in-port that is bound by rule, bound by name;
// - parameters, models, major versions, inputs and types with the values that
//   hold where the file says nothing. [limits] is as in the file: what it does
//   not say is its caller's to say;
// - ${env.X} filled in with the value that it has now, and no [env] entry that
//   only stood there. A variable that a [secret] is read from stays ${env.X};
// - "${secret.X}" as it stands. No secret is opened for it;
// - one order of tables and of the keys of a stage, and no comments.
// The arguments are those of check_pipeline_text. The error is `limit`, for a
// text that would be too long for a pipeline file.
[[nodiscard]] result<pipeline_echo> echo_pipeline_text(
    std::string_view text, const std::filesystem::path& file,
    const registry& plugins, const host_options& options = {});

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/echo.ipp"
#endif

#endif  // TINYPHI_PIPELINE_ECHO_H_
