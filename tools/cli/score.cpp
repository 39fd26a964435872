// SPDX-License-Identifier: MIT
// tinyphi score: how likely texts are as continuations of a prompt.
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/json_lines.h"
#include "cli/model_options.h"
#include "cli/terminal.h"
#include "exit_code.h"
#include "tinyphi/base/json.h"

namespace cli {

namespace {

namespace json = tinyphi::json;
using tinyphi::result;

struct score_options {
  model_options model;
  std::string prompt;
  std::vector<std::string> candidates;
};

json::object score_object(const std::string& text,
                          const tinyphi::text_score& s) {
  json::object o;
  o["text"] = text;
  o["logprob"] = s.log_probability;
  o["n_tokens"] = s.logprobs.size();
  o["token_logprobs"] = json::array(s.logprobs.begin(), s.logprobs.end());
  return o;
}

// The line that answers {"prompt": "...", "candidates": ["...", ...]}.
result<std::string> score_line(tinyphi::engine& engine,
                               const std::string& prompt,
                               const std::vector<std::string>& candidates,
                               const tinyphi::cancel_token& token) {
  const tinyphi::segment segments[] = {{prompt, false}};
  tinyphi::generation_params params;
  params.stop_when.token = token;
  TINYPHI_TRY(const auto scores, engine.score(segments, candidates, params));
  json::array all;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    all.push_back(score_object(candidates[i], scores[i]));
  }
  return json::serialize(json::object{{"scores", std::move(all)}});
}

int score(const score_options& o) {
  const interrupt_guard interrupt;
  auto engine = load_engine(o.model, interrupt.token());
  if (!engine) return fail(engine.error());
  if (!o.candidates.empty()) {
    const auto line =
        score_line(*engine, o.prompt, o.candidates, interrupt.token());
    if (!line) return fail(line.error());
    print_line(*line);
    return exit_done;
  }
  return for_each_json_line([&](const json_line& in) -> result<std::string> {
    TINYPHI_TRY(const std::string prompt, in.string("prompt"));
    TINYPHI_TRY(const auto candidates, in.strings("candidates"));
    return score_line(*engine, prompt, candidates, interrupt.token());
  });
}

}  // namespace

void add_score(CLI::App& app, action& run) {
  CLI::App* command = add_command(
      app, "score",
      "print the log-probabilities of texts as continuations of a prompt",
      "tinyphi score -m phi-3-mini.gguf -p 'The sky is' -c ' blue' -c ' red'");
  auto o = std::make_shared<score_options>();
  add_model_options(*command, o->model);
  CLI::Option* prompt = command->add_option(
      "-p,--prompt", o->prompt,
      "the text before the candidates, which is computed once for all; without "
      "it each line of standard input is an object {\"prompt\": TEXT, "
      "\"candidates\": [TEXT, ...]}, and gives a line {\"scores\": [...]}");
  CLI::Option* candidate =
      command->add_option("-c,--candidate", o->candidates,
                          "a text that may follow the prompt, with the space "
                          "that it begins with; may be given several times");
  prompt->needs(candidate);
  candidate->needs(prompt);
  command->final_callback([o, &run] { run = [o] { return score(*o); }; });
}

}  // namespace cli
