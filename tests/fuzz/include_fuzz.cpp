// SPDX-License-Identifier: MIT
// Any bytes as a pipeline file with its libraries: a line "=== NAME" begins the
// library NAME. Refused with places inside the right file, or proved.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

#include "../pipeline/fakes.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  using namespace tinyphi;
  static const registry plugins = tinyphi_test::fakes();
  std::map<std::string, std::string> files;
  std::string* file = &files["fuzz.toml"];
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size() - 1) + 1;
    const std::string_view line = rest.substr(0, end);
    if (line.starts_with("=== ")) {
      const std::string name(line.substr(4, line.find('\n') - 4));
      file = &files[std::filesystem::path(name).lexically_normal().string()];
    } else {
      *file += line;
    }
    rest.remove_prefix(end);
  }
  host_options options;
  std::size_t n_read = 0;
  options.read_library =
      [&](const std::filesystem::path& folder,
          const std::filesystem::path& name) -> result<std::string> {
    if (!folder.empty() || name.is_absolute() || *name.begin() == "..") {
      std::abort();
    }
    if (++n_read > (include_limits::max_libraries + 1) * 256) std::abort();
    const auto it = files.find(name.string());
    if (it != files.end()) return it->second;
    return error{error_code::not_found, "no such file"};
  };
  const pipeline_check checked =
      check_pipeline_text(files["fuzz.toml"], "fuzz.toml", plugins, options);
  if (has_errors(checked.faults) == (checked.proved != nullptr)) std::abort();
  for (const diagnostic& d : checked.faults) {
    const std::string name = d.file.empty() ? "fuzz.toml" : d.file;
    const auto it = files.find(name);
    if (d.message.empty()) std::abort();
    if (d.at.library != 0 && d.file.empty()) std::abort();
    if (it == files.end()) {
      if (d.at.library != 0) std::abort();
      continue;  // a file that is called
    }
    const auto lines =
        static_cast<std::size_t>(std::ranges::count(it->second, '\n'));
    if (d.at.line > lines + 1) std::abort();
  }
  (void)to_json(checked.faults, "fuzz.toml");
  return 0;
}
