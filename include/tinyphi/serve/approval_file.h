// SPDX-License-Identifier: MIT
// A question to a person as a file in a folder, and the answer beside it.
#ifndef TINYPHI_SERVE_APPROVAL_FILE_H_
#define TINYPHI_SERVE_APPROVAL_FILE_H_

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "tinyphi/base/error.h"
#include "tinyphi/base/unique_fd.h"
#include "tinyphi/pipeline/approval.h"

TINYPHI_NAMESPACE_BEGIN

// The question is ID.json, there whole or not at all. ID.yes says yes if it is
// a copy of it, byte for byte; ID.no says no, whatever is in it. All three go
// when this does, so that no answer counts twice.
class approval_file {
 public:
  // Makes the folder, for its owner only, where there is none. io if that, or
  // the file, cannot be written; invalid_argument for a folder in which
  // everybody may write, or which is neither this user's nor root's: whoever
  // writes there says yes.
  [[nodiscard]] static result<approval_file> ask(
      const std::filesystem::path& folder, std::string_view id,
      std::string text);
  approval_file(approval_file&&) noexcept = default;
  approval_file& operator=(approval_file&&) = delete;
  ~approval_file();

  // Nothing while there is no answer, or no whole one.
  [[nodiscard]] std::optional<approval> look() const;

 private:
  approval_file(unique_fd folder, std::string id, std::string text);
  [[nodiscard]] std::string name(std::string_view end) const;

  unique_fd folder_;  // none: this was moved
  std::string id_, text_;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/approval_file.ipp"
#endif

#endif  // TINYPHI_SERVE_APPROVAL_FILE_H_
