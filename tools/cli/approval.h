// SPDX-License-Identifier: MIT
// Questions of pipelines to the person at the terminal.
#ifndef TOOLS_CLI_APPROVAL_H_
#define TOOLS_CLI_APPROVAL_H_

#include <string>
#include <vector>

#include "tinyphi/pipeline/approval.h"

namespace cli {

// Says yes for the stages in `approved`. Of others it shows the question on
// stderr and reads the answer from the terminal; where there is none, it says
// no. One question at a time.
[[nodiscard]] tinyphi::approver approve_at_terminal(
    std::vector<std::string> approved);

// The same, but puts other questions into a folder and waits for the answer
// there, as approval_file.h has it; `pipeline` is told to who decides.
[[nodiscard]] tinyphi::approver approve_by_file(
    std::vector<std::string> approved, std::string folder,
    std::string pipeline);

}  // namespace cli

#endif  // TOOLS_CLI_APPROVAL_H_
