// SPDX-License-Identifier: MIT
// A folder of one call's own, removed with all that is in it.
#ifndef TINYPHI_PLUGINS_PROCESS_PRIVATE_FOLDER_H_
#define TINYPHI_PLUGINS_PROCESS_PRIVATE_FOLDER_H_

#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "tinyphi/base/error.h"

TINYPHI_NAMESPACE_BEGIN
namespace process {

class private_folder {
 public:
  [[nodiscard]] static result<private_folder> make();
  private_folder(private_folder&& other) noexcept
      : path_(std::exchange(other.path_, {})) {}
  private_folder& operator=(private_folder&&) = delete;
  ~private_folder();
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  explicit private_folder(std::filesystem::path path)
      : path_(std::move(path)) {}
  std::filesystem::path path_;
};

inline result<private_folder> private_folder::make() {
  std::error_code failed;
  const auto top = std::filesystem::temp_directory_path(failed);
  std::string name = ((failed ? "/tmp" : top) / "tinyphi-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) {
    return error{error_code::io,
                 name + ": " + std::generic_category().message(errno)};
  }
  return private_folder(name);
}

inline private_folder::~private_folder() {
  namespace fs = std::filesystem;
  if (path_.empty()) return;
  std::error_code failed, ignored;
  fs::remove_all(path_, failed);
  if (!failed) return;
  // A folder that nobody may look into is empty; a program that is confined
  // cannot have taken the right away later.
  std::vector<fs::path> closed;
  const auto skip = fs::directory_options::skip_permission_denied;
  for (fs::recursive_directory_iterator at(path_, skip, ignored), end;
       !ignored && at != end; at.increment(ignored)) {
    if (at->symlink_status(ignored).type() == fs::file_type::directory) {
      closed.push_back(at->path());
    }
  }
  for (const fs::path& place : closed) ::rmdir(place.c_str());
  fs::remove_all(path_, ignored);
}

}  // namespace process
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_PROCESS_PRIVATE_FOLDER_H_
