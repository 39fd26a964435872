// SPDX-License-Identifier: MIT
// A header-only program of two translation units that give the same answer. It
// is built three times: as it is, with other.cpp for this machine's CPU, and
// without exceptions beside every header compiled alone.
#include "ask.h"

static_assert(TINYPHI_HEADER_ONLY == 1);

std::string ask_from_other(const char* model_path);

int main(int argc, char** argv) {
  if (argc != 2) return 64;
  const std::string here = ask(argv[1]);
  const std::string there = ask_from_other(argv[1]);
  std::printf("here: \"%s\", there: \"%s\"\n", here.c_str(), there.c_str());
  return !here.empty() && here == there ? 0 : 1;
}
