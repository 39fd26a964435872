// SPDX-License-Identifier: MIT
// Gives every file of a folder to a fuzz target, once: what libFuzzer found
// stays tested where there is no libFuzzer. Usage: fuzz_replay TARGET FOLDER
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

// FUZZ_TARGETS: X(name) of each (meson.build), whose functions are renamed.
#define X(name) \
  extern "C" int fuzz_##name(const std::uint8_t* data, std::size_t size);
FUZZ_TARGETS
#undef X

using fuzz_target = int (*)(const std::uint8_t*, std::size_t);

static fuzz_target find_target(std::string_view wanted) {
#define X(name) \
  if (wanted == #name) return fuzz_##name;
  FUZZ_TARGETS
#undef X
  return nullptr;
}

int main(int argc, char** argv) {
  const fuzz_target target = argc == 3 ? find_target(argv[1]) : nullptr;
  if (target == nullptr) return 64;
  std::vector<std::filesystem::path> inputs;
  std::error_code ec;
  for (const auto& entry : std::filesystem::directory_iterator(argv[2], ec)) {
    if (entry.is_regular_file()) inputs.push_back(entry.path());
  }
  if (inputs.empty()) {
    std::fprintf(stderr, "%s: no inputs\n", argv[2]);
    return 66;
  }
  std::sort(inputs.begin(), inputs.end());
  for (const auto& path : inputs) {
    // Printed first: the last line names the input that ended the process.
    std::printf("%s\n", path.filename().c_str());
    std::fflush(stdout);
    std::ifstream file(path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    target(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    std::printf("ok %s\n", path.filename().c_str());
  }
  std::printf("%zu passed, 0 failed\n", inputs.size());
}
