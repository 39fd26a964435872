// SPDX-License-Identifier: MIT
// One question to the demo model, for programs that only have to link and run.
// Each translation unit gets its own copy.
#ifndef TESTS_HEADER_ONLY_ASK_H_
#define TESTS_HEADER_ONLY_ASK_H_

#include <tinyphi/tinyphi.h>

#include <cstdio>
#include <string>

// The first words of the answer; empty and a message on stderr on an error.
static std::string ask(const char* model_path) {
  const auto failed = [](const tinyphi::error& e) {
    std::fprintf(stderr, "%s\n", e.message.c_str());
    return std::string();
  };
  auto model = tinyphi::model::load(model_path);
  if (!model) return failed(model.error());
  auto engine = tinyphi::engine::create(*model);
  if (!engine) return failed(engine.error());
  tinyphi::generation_params params;
  params.max_tokens = 4;
  auto answer = engine->chat({{tinyphi::role::user, "Hello!"}}, params);
  std::string text = answer.text();
  if (answer.error()) return failed(*answer.error());
  return text;
}

#endif  // TESTS_HEADER_ONLY_ASK_H_
