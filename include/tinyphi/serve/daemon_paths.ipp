// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_DAEMON_PATHS_IPP_
#define TINYPHI_SERVE_DAEMON_PATHS_IPP_

#include <algorithm>
#include <string>
#include <system_error>
#include <vector>

#include "tinyphi/serve/daemon_paths.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// Hugging Face's cache is folders of links to files elsewhere.
inline constexpr int max_model_links = 1024;

inline std::filesystem::path folder_of(const std::filesystem::path& path) {
  std::error_code ignored;
  const auto whole = std::filesystem::absolute(path, ignored);
  return whole.parent_path();
}

inline void add_model_path(const std::filesystem::path& path, bool reloads,
                           std::vector<std::filesystem::path>& out) {
  std::error_code failed;
  if (!std::filesystem::is_directory(path, failed)) {
    // The link's folder and the file that it leads to now.
    if (reloads) out.push_back(folder_of(path));
    out.push_back(path);
    return;
  }
  out.push_back(path);
  int n = 0;
  for (std::filesystem::directory_iterator at(path, failed), end;
       !failed && at != end && n < max_model_links; at.increment(failed), ++n) {
    std::error_code ignored;
    if (at->is_symlink(ignored)) out.push_back(at->path());
  }
}

// systemd separates several by colons.
inline void add_folders_of(const daemon_program& p, const char* name,
                           std::vector<std::filesystem::path>& out) {
  const std::string all = p.env(name).value_or(std::string());
  for (std::size_t begin = 0; begin < all.size();) {
    const std::size_t end = std::min(all.find(':', begin), all.size());
    if (end > begin) out.emplace_back(all.substr(begin, end - begin));
    begin = end + 1;
  }
}

}  // namespace detail

TINYPHI_FUNC sandbox_paths daemon_paths(const daemon_config& c,
                                        const daemon_program& p) {
  sandbox_paths out;
  const bool reloads = !p.config_file.empty();
  out.read = c.sandbox_read;
  out.write = c.sandbox_write;
  if (reloads) out.read.push_back(detail::folder_of(p.config_file));
  if (!c.keys.empty() && !c.keys.starts_with("credential:")) {
    out.read.push_back(reloads ? detail::folder_of(c.keys)
                               : std::filesystem::path(c.keys));
  }
  detail::add_folders_of(p, "CREDENTIALS_DIRECTORY", out.read);
  for (const char* name : {"STATE_DIRECTORY", "CACHE_DIRECTORY"}) {
    detail::add_folders_of(p, name, out.write);
  }
  for (const model_entry& m : c.models) {
    if (m.path.empty()) continue;
    detail::add_model_path(m.path, reloads, out.read);
    if (m.cache_repacked) out.write.push_back(detail::folder_of(m.path));
  }
  for (const pipeline_entry& entry : c.pipelines) {
    out.write.push_back(detail::folder_of(entry.path));
  }
  if (!c.approvals.empty()) {
    // A folder that is not there yet cannot be named to the kernel.
    std::error_code told_later;
    if (std::filesystem::create_directory(c.approvals, told_later)) {
      std::filesystem::permissions(
          c.approvals, std::filesystem::perms::owner_all, told_later);
    }
    out.write.push_back(c.approvals);
  }
  if (!c.cache_folder.empty()) out.write.push_back(c.cache_folder);
  for (const listen_address& a : c.listen) {
    if (a.kind == listen_kind::unix_socket) {
      out.sockets.push_back(detail::folder_of(a.path));
    }
  }
  return out;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_DAEMON_PATHS_IPP_
