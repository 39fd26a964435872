// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_WATCHED_FOLDER_IPP_
#define TINYPHI_SERVE_WATCHED_FOLDER_IPP_

#include <sys/stat.h>

#include <algorithm>
#include <span>
#include <tuple>
#include <utility>

#include "tinyphi/base/json.h"
#include "tinyphi/base/mapped_file.h"
#include "tinyphi/base/replacement_file.h"
#include "tinyphi/serve/watched_folder.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC watched_folder::watched_folder(watched_files what,
                                            std::filesystem::path record)
    : what_(std::move(what)), record_(std::move(record)) {
  read_record();
}

TINYPHI_FUNC result<std::vector<std::string>> watched_folder::look() {
  std::error_code failed;
  std::filesystem::directory_iterator at(what_.folder, failed);
  std::map<std::string, file_mark> now;
  std::vector<std::tuple<std::int64_t, std::string>> ready;
  for (; !failed && at != std::filesystem::directory_iterator();
       at.increment(failed)) {
    std::string name = at->path().filename().string();
    struct ::stat s {};
    if (!what_.takes(name) || ::lstat(at->path().c_str(), &s) != 0 ||
        !S_ISREG(s.st_mode)) {
      continue;
    }
    constexpr std::int64_t second = 1'000'000'000;
    const file_mark mark{s.st_ino, static_cast<std::uint64_t>(s.st_size),
                         s.st_mtim.tv_sec * second + s.st_mtim.tv_nsec};
    if (now.size() == max_files) {
      return error{error_code::limit, "more than " + std::to_string(max_files) +
                                          " files of " + what_.folder.string() +
                                          " are " + what_.pattern};
    }
    const auto before = seen_.find(name);
    const auto done = done_.find(name);
    const bool is_done = done != done_.end() && done->second == mark;
    if (!is_done && before != seen_.end() && before->second == mark) {
      ready.emplace_back(mark.modified_ns, name);
    }
    now.emplace(std::move(name), mark);
  }
  if (failed) {
    return error{failed == std::errc::no_such_file_or_directory
                     ? error_code::not_found
                     : error_code::io,
                 what_.folder.string() + ": " + failed.message()};
  }
  seen_ = std::move(now);
  std::erase_if(done_, [&](const auto& d) { return !seen_.contains(d.first); });
  std::ranges::sort(ready);
  std::vector<std::string> names;
  for (auto& [time, name] : ready) names.push_back(std::move(name));
  return names;
}

TINYPHI_FUNC result<void> watched_folder::set_done(const std::string& name) {
  const auto mark = seen_.find(name);
  if (mark == seen_.end()) return {};
  done_[name] = mark->second;
  return write_record();
}

TINYPHI_FUNC void watched_folder::read_record() {
  const auto text = read_file(record_, max_record);
  if (!text) return;  // there is none yet
  std::string_view rest = *text;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const auto line = parse_json(rest.substr(0, end), "record");
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const json::object* o = line ? line->if_object() : nullptr;
    if (o == nullptr) continue;
    const json::value* name = o->if_contains("name");
    const auto number = [&](const char* key) {
      const json::value* v = o->if_contains(key);
      const std::int64_t* n = v ? v->if_int64() : nullptr;
      return n ? *n : -1;
    };
    if (name == nullptr || !name->is_string()) continue;
    done_[std::string(name->get_string())] = {
        static_cast<std::uint64_t>(number("inode")),
        static_cast<std::uint64_t>(number("size")), number("modified_ns")};
  }
}

TINYPHI_FUNC result<void> watched_folder::write_record() {
  std::string text;
  for (const auto& [name, mark] : done_) {
    text += json::serialize(
                json::object{{"name", name},
                             {"inode", static_cast<std::int64_t>(mark.inode)},
                             {"size", static_cast<std::int64_t>(mark.size)},
                             {"modified_ns", mark.modified_ns}}) +
            "\n";
  }
  replacement_file file(record_);
  constexpr std::uint32_t own = 0600;
  TINYPHI_CHECK_OK(file.create(own));
  TINYPHI_CHECK_OK(file.write(std::as_bytes(std::span(text))));
  return file.commit();
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_WATCHED_FOLDER_IPP_
