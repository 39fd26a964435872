// SPDX-License-Identifier: MIT
// tinyphi new: a folder with a small pipeline that works, and its tests.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "cli/command.h"
#include "cli/new_files.h"
#include "cli/terminal.h"
#include "exit_code.h"
#include "tinyphi/base/ascii.h"
#include "tinyphi/base/json.h"
#include "tinyphi/pipeline/diagnostic.h"

namespace cli {

namespace {

namespace fs = std::filesystem;
namespace json = tinyphi::json;
using tinyphi::error;
using tinyphi::error_code;
using tinyphi::result;

struct new_options {
  std::string kind;
  std::string folder;  // empty: named after the kind
  bool as_json = false;
};

// As a shell reads it as one word.
std::string shell_word(const std::string& text) {
  const auto is_plain = [](char c) {
    return tinyphi::ascii::is_word(c) ||
           std::string_view("/.-+,").find(c) != std::string_view::npos;
  };
  if (std::ranges::all_of(text, is_plain)) return text;
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + "'";
}

error refused(const fs::path& path, const std::error_code& why) {
  const auto code = why == std::errc::no_such_file_or_directory
                        ? error_code::not_found
                        : error_code::io;
  return {code, path.string() + ": " + why.message()};
}

result<void> make_folder(const fs::path& folder) {
  std::error_code failed;
  if (fs::create_directory(folder, failed)) return {};
  if (failed) return refused(folder, failed);
  return error{error_code::invalid_argument,
               folder.string() + " is there already; give another name"};
}

// Adds the file to `made` once it is there.
result<void> write_new(const fs::path& path, std::string_view text,
                       std::vector<fs::path>& made) {
  std::FILE* file = std::fopen(path.c_str(), "wx");  // x: never a file's place
  if (file == nullptr) {
    return refused(path, {errno, std::generic_category()});
  }
  made.push_back(path);
  bool whole = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  int why = errno;
  if (std::fclose(file) != 0 && whole) {
    whole = false;
    why = errno;
  }
  if (whole) return {};
  return refused(path, {why, std::generic_category()});
}

// The folder with its files: all of them, or nothing is left behind.
class new_folder {
 public:
  explicit new_folder(fs::path folder) : folder_(std::move(folder)) {}
  new_folder(const new_folder&) = delete;
  new_folder& operator=(const new_folder&) = delete;
  // What is not kept goes, the newest first. A folder that somebody else has
  // put something into meanwhile stays.
  ~new_folder() {
    std::error_code unknown;
    for (auto it = made_.rbegin(); it != made_.rend(); ++it) {
      fs::remove(*it, unknown);
    }
  }

  result<void> write(std::span<const new_file> files) {
    TINYPHI_CHECK_OK(add_folder(folder_));
    for (const new_file& f : files) {
      const fs::path path =
          folder_ / (f.name.empty() ? folder_.filename().string() + ".toml"
                                    : std::string(f.name));
      const fs::path parent = path.parent_path();
      if (std::ranges::find(made_, parent) == made_.end()) {
        TINYPHI_CHECK_OK(add_folder(parent));
      }
      TINYPHI_CHECK_OK(write_new(path, f.text, made_));
      written_.push_back(path.string());
    }
    return {};
  }
  std::vector<std::string> keep() {
    made_.clear();
    return std::move(written_);
  }

 private:
  result<void> add_folder(const fs::path& folder) {
    TINYPHI_CHECK_OK(make_folder(folder));
    made_.push_back(folder);
    return {};
  }

  fs::path folder_;
  std::vector<fs::path> made_;
  std::vector<std::string> written_;
};

int no_such_kind(const std::string& kind) {
  std::vector<std::string_view> names;
  std::string list;
  for (const new_kind& k : new_kinds()) {
    names.push_back(k.name);
    list += (list.empty() ? "" : ", ") + std::string(k.name);
  }
  const std::string hint = tinyphi::did_you_mean(kind, names);
  return fail_usage("no kind " + tinyphi::quote(kind) +
                    (hint.empty() ? "; there are " + list : hint));
}

// The files, the pipeline first, and the commands that go on with it.
int say_what_next(const std::vector<std::string>& files, const new_kind& kind,
                  bool as_json) {
  const std::string file = shell_word(files.front());
  const std::string next[] = {
      "tinyphi test " + file,
      "tinyphi run " + file + " " + std::string(kind.run_arguments)};
  if (as_json) {
    json::object out;
    out["files"] = json::array(files.begin(), files.end());
    out["next"] = json::array(std::begin(next), std::end(next));
    print_line(json::serialize(out));
    return exit_done;
  }
  for (const std::string& path : files) print_line("wrote " + path);
  print_line("Next:");
  for (const std::string& command : next) print_line("  " + command);
  return exit_done;
}

int make_new(const new_options& o) {
  const auto kind = std::ranges::find(new_kinds(), o.kind, &new_kind::name);
  if (kind == new_kinds().end()) return no_such_kind(o.kind);
  fs::path folder =
      fs::path(o.folder.empty() ? o.kind : o.folder).lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();  // "name/"
  const std::string name = folder.filename().string();
  const bool has_control = std::ranges::any_of(name, [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
  });
  if (name.empty() || name == "." || name == ".." || name.front() == '-' ||
      has_control) {
    return fail_usage(tinyphi::quote(o.folder) +
                      " is no name of a new folder, such as my-" + o.kind);
  }
  new_folder made(folder);
  const auto written = made.write(kind->files);
  if (!written) return fail(written.error());
  return say_what_next(made.keep(), *kind, o.as_json);
}

}  // namespace

void add_new(CLI::App& app, action& run) {
  std::string kinds;
  for (const new_kind& k : new_kinds()) {
    kinds += "  " + padded(k.name, 10) + std::string(k.summary) + "\n";
  }
  CLI::App* command = add_command(
      app, "new", "write a small pipeline to begin with",
      ("tinyphi new docs manuals\n"
       "\n"
       "Writes the folder NAME with NAME.toml, a pipeline that works and has\n"
       "tests, and the files that it reads. The kinds are\n" +
       kinds +
       "Nothing is overwritten: a NAME that is there already is refused. The\n"
       "pipeline passes tinyphi check and tinyphi test as it is, without a\n"
       "model; run asks the built-in demo model unless -m names another.")
          .c_str());
  auto o = std::make_shared<new_options>();
  command->add_option("kind", o->kind, "one of the kinds below")->required();
  command->add_option("name", o->folder,
                      "the folder to make, its parent is there; without it "
                      "the kind's name");
  command->add_flag("--json", o->as_json,
                    "one JSON object: the files that were written, and the "
                    "next commands");
  command->final_callback([o, &run] { run = [o] { return make_new(*o); }; });
}

}  // namespace cli
