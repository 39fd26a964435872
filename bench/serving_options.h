// SPDX-License-Identifier: MIT
// What bench/serving is asked for, and the model that it measures.
#ifndef BENCH_SERVING_OPTIONS_H_
#define BENCH_SERVING_OPTIONS_H_

#include <cstddef>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cli/shapes.h"
#include "serving.h"

namespace bench {

struct settings {
  std::string model =
      TINYPHI_ROOT "/pipelines/models/tinyphi-demo-7m-q8_0.gguf";
  std::string shape, type = "q4_0";
  std::vector<std::string> cases;
  std::size_t threads = 0, rounds = 5, prompt = 3000, prefix = 1000;
  std::size_t answer = 256, gap_ms = 250;
  bool as_json = false;
};

inline settings parse(int argc, char** argv) {
  settings o;
  const std::map<std::string_view, std::string*> texts = {
      {"--model", &o.model}, {"--shape", &o.shape}, {"--type", &o.type}};
  const std::map<std::string_view, std::size_t*> numbers = {
      {"--threads", &o.threads}, {"--rounds", &o.rounds},
      {"--prompt", &o.prompt},   {"--prefix", &o.prefix},
      {"--answer", &o.answer},   {"--gap-ms", &o.gap_ms}};
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--json") {
      o.as_json = true;
      continue;
    }
    const char* given = i + 1 < argc ? argv[++i] : nullptr;
    if (given == nullptr) fail(std::string(name) + ": nothing follows it");
    if (const auto text = texts.find(name); text != texts.end()) {
      *text->second = given;
    } else if (const auto n = numbers.find(name); n != numbers.end()) {
      char* end = nullptr;
      *n->second = std::strtoul(given, &end, 10);
      const std::size_t least = name == "--threads" ? 0 : 1;
      if (*end != '\0' || *n->second < least || *n->second > 100'000) {
        fail(std::string(name) + " " + given + ": allowed are numbers from " +
             std::to_string(least) + " to 100000");
      }
    } else if (name == "--case") {
      o.cases.emplace_back(given);
    } else {
      fail(std::string(name) +
           ": unknown; the first lines of "
           "bench/serving.cpp say what there is");
    }
  }
  return o;
}

inline tinyphi::model open(const settings& o) {
  if (o.shape.empty()) return value(tinyphi::model::load(o.model));
  const auto type = tinyphi::parse_dtype(o.type);
  if (!type) fail("--type " + o.type + ": unknown");
  return value(
      tinyphi::model::random(value(cli::find_shape(o.shape)), *type, 1));
}

// A token of one letter: text of it is never held back as half a character.
inline token_id letter(const tinyphi::model& m) {
  const tinyphi::tokenizer* t = m.tokenizer();
  const std::size_t n = t == nullptr ? 0 : t->size();
  for (std::size_t i = 0; i < n; ++i) {
    if (t->bytes(static_cast<token_id>(i)) == "e") {
      return static_cast<token_id>(i);
    }
  }
  return 400;
}

}  // namespace bench

#endif  // BENCH_SERVING_OPTIONS_H_
