// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_INCLUDE_IPP_
#define TINYPHI_PIPELINE_INCLUDE_IPP_

#include <algorithm>
#include <map>
#include <utility>

#include "tinyphi/base/mapped_file.h"
#include "tinyphi/pipeline/config_reader.h"
#include "tinyphi/pipeline/include.h"
#include "tinyphi/pipeline/keys.h"
#include "tinyphi/pipeline/toml_file.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC result<std::string> read_library(
    const std::filesystem::path& folder, const std::filesystem::path& name) {
  const std::filesystem::path whole = folder / name;
  std::error_code failed;
  const auto inside =
      std::filesystem::canonical(folder.empty() ? "." : folder, failed);
  const auto real = failed ? whole : std::filesystem::canonical(whole, failed);
  if (failed) {
    return error{error_code::not_found,
                 whole.string() + ": " + failed.message()};
  }
  if (!is_within(real, inside)) {
    return error{
        error_code::invalid_argument,
        whole.string() + ": a link that leads out of " + inside.string()};
  }
  return read_file(real, toml_limits::max_bytes);
}

namespace detail {

class library_collector : private config_reader {
 public:
  library_collector(config_node& tree, const std::filesystem::path& file,
                    const library_reader& read,
                    std::vector<library_file>& libraries,
                    std::vector<diagnostic>& faults)
      : config_reader(tree, faults),
        tree_(&tree),
        file_(file),
        read_(read ? read : library_reader(read_library)),
        libraries_(&libraries) {
    for (const config_member& table : *tree.get<config_table>()) {
      const auto* entries = table.value.get<config_table>();
      if (entries == nullptr || !is_shared(table.key)) continue;
      for (const config_member& e : *entries) {
        names_.emplace(std::pair(table.key, e.key), e.at);
      }
    }
  }

  // False if a library cannot be read.
  bool run() {
    open_.push_back(file_.filename());
    find_misspelt();
    add_includes(*tree_, {});
    return complete_;
  }

 private:
  // The tables that a library has. A file's other tables are its own.
  static constexpr std::string_view shared_tables[] = {
      "env", "mcp", "model", "prompt", "rules", "secret", "tool", "type"};

  // A misspelt `include` is followed all the same: or else every name of a
  // library would be unknown, too.
  void find_misspelt() {
    constexpr std::string_view key = "include";
    if (tree_->find(key) != nullptr) return;
    const auto known = key_names(key_table::file);
    for (const config_member& m : *tree_->get<config_table>()) {
      if (nearest_name(m.key, known) != key) continue;
      report(fault::unknown_key, m.at,
             "unknown key " + quote(m.key) + did_you_mean(m.key, known));
      m.meant = key;
      return;
    }
  }

  static bool is_shared(std::string_view table) {
    return std::ranges::find(shared_tables, table) != std::end(shared_tables);
  }

  // How many files stand one below the other in `include` of a file, whose
  // paths start at `folder`.
  std::size_t add_includes(const config_node& from,
                           const std::filesystem::path& folder) {
    std::size_t height = 0;
    const std::size_t before = faults_->size();
    const auto names = read_texts(from, "include", "libraries");
    complete_ = complete_ && faults_->size() == before;
    if (!names) return height;
    std::vector<config_node> all;  // the tree grows meanwhile
    for (const config_node* name : *names) all.push_back(*name);
    for (const config_node& name : all) {
      height = std::max(height, 1 + add_library(name, folder));
    }
    return height;
  }

  // The same of the library that is named.
  std::size_t add_library(const config_node& node,
                          const std::filesystem::path& folder) {
    const auto& text = *node.get<std::string>();
    const auto refuse = [&](const std::string& why) -> std::size_t {
      report(fault::bad_include, node.at, "include " + quote(text) + why);
      complete_ = false;
      return 0;
    };
    if (text.find('\0') != std::string::npos) {
      return refuse(": a file's name holds no NUL");
    }
    const std::filesystem::path path = (folder / text).lexically_normal();
    const std::filesystem::path root = file_.parent_path();
    if (path.is_absolute() || *path.begin() == "..") {
      return refuse(" lies outside " +
                    quote(root.empty() ? "." : root.string()) +
                    ", the folder of the pipeline");
    }
    if (std::ranges::find(open_, path) != open_.end()) {
      return refuse(": files include each other: " + trail() + path.string());
    }
    // How deep a library leads does not depend on who names it first.
    const auto known = heights_.find(path);
    const std::size_t height = known == heights_.end() ? 0 : known->second;
    if (open_.size() + height > include_limits::max_depth) {
      return refuse(": files include each other more than " +
                    std::to_string(include_limits::max_depth) + " deep");
    }
    if (known != heights_.end()) return height;
    if (libraries_->size() == include_limits::max_libraries) {
      return refuse(": a pipeline has at most " +
                    std::to_string(include_limits::max_libraries) +
                    " libraries");
    }
    const auto read = read_(root, path);
    if (!read) return refuse(": " + read.error().message);
    libraries_->push_back({(root / path).string(), path.parent_path()});
    return heights_[path] = add_tree(*read, path);
  }

  std::size_t add_tree(const std::string& text,
                       const std::filesystem::path& path) {
    auto tree = parse_toml(text, "a library", *faults_, libraries_->size());
    complete_ = complete_ && tree.has_value();
    if (!tree) return 0;
    check_version(*tree);
    open_.push_back(path);
    const std::size_t height = add_includes(*tree, path.parent_path());
    open_.pop_back();
    const auto known = key_names(key_table::file);
    for (config_member& m : std::get<config_table>(tree->data)) {
      if (is_shared(m.key)) {
        add_table(std::move(m));
      } else if (m.key == "tinyphi" || m.key == "include") {
        continue;
      } else if (std::ranges::find(known, m.key) != known.end()) {
        report(fault::bad_include, m.at,
               "a library has no [" + m.key +
                   "], only tables that files share: " + joined_names());
      } else {
        report(
            fault::unknown_key, m.at,
            "unknown key " + quote(m.key) + suggestion(m.key, shared_tables));
      }
    }
    return height;
  }

  void add_table(config_member table) {
    const std::string where = "[" + table.key + "]";
    auto* entries = std::get_if<config_table>(&table.value.data);
    if (entries == nullptr) {
      return report(
          fault::wrong_type, table.value.at,
          where + " is " + std::string(table.value.kind()) + ", not a table");
    }
    if (!check_size(entries->size(), table.at, where)) return;
    auto& all = std::get<config_table>(tree_->data);
    auto mine = std::ranges::find(all, table.key, &config_member::key);
    if (mine == all.end()) {
      config_node empty{config_table(), table.value.at, {}};
      all.push_back({table.key, table.at, std::move(empty)});
      mine = all.end() - 1;
    }
    auto* known = std::get_if<config_table>(&mine->value.data);
    if (known == nullptr) return;  // the reader of the file reports it
    for (config_member& e : *entries) {
      const auto [other, is_new] =
          names_.emplace(std::pair(table.key, e.key), e.at);
      if (is_new) {
        known->push_back(std::move(e));
      } else {
        report(fault::defined_twice, e.at,
               table.key + " " + e.key + ": " + quote(e.key) +
                   " is defined here and at " + place(other->second));
      }
    }
  }

  [[nodiscard]] std::string place(position at) const {
    const std::string file =
        at.library == 0 ? file_.string() : (*libraries_)[at.library - 1].name;
    return file + ":" + std::to_string(at.line);
  }

  [[nodiscard]] std::string trail() const {
    std::string names;
    for (const auto& path : open_) names += path.string() + " -> ";
    return names;
  }

  [[nodiscard]] static std::string joined_names() {
    std::string names;
    for (const std::string_view table : shared_tables) {
      names += (names.empty() ? "[" : " [") + std::string(table) + "]";
    }
    return names;
  }

  config_node* tree_;
  std::filesystem::path file_;
  library_reader read_;
  std::vector<library_file>* libraries_;
  // The file and the libraries that lead to the one that is read.
  std::vector<std::filesystem::path> open_;
  std::map<std::filesystem::path, std::size_t> heights_;
  std::map<std::pair<std::string, std::string>, position> names_;
  bool complete_ = true;
};

}  // namespace detail

TINYPHI_FUNC bool add_libraries(config_node& tree,
                                const std::filesystem::path& file,
                                const library_reader& read,
                                std::vector<library_file>& libraries,
                                std::vector<diagnostic>& faults) {
  return detail::library_collector(tree, file, read, libraries, faults).run();
}

TINYPHI_FUNC void name_libraries(std::span<diagnostic> faults,
                                 std::span<const library_file> libraries) {
  for (diagnostic& d : faults) {
    if (d.at.library == 0 || !d.file.empty()) continue;
    d.file = libraries[d.at.library - 1].name;
  }
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_INCLUDE_IPP_
