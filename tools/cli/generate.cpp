// SPDX-License-Identifier: MIT
// tinyphi generate: one completion.
#include <memory>
#include <string>

#include "cli/command.h"
#include "cli/format_options.h"
#include "cli/model_options.h"
#include "cli/sampling_options.h"
#include "cli/terminal.h"
#include "exit_code.h"
#include "tinyphi/base/json.h"
#include "tinyphi/base/mapped_file.h"

namespace cli {

namespace {

using tinyphi::error;
using tinyphi::error_code;
using tinyphi::result;
namespace json = tinyphi::json;

constexpr std::size_t max_prompt_bytes = std::size_t{64} << 20;

struct generate_options {
  model_options model;
  sampling_options sampling;
  format_options format;
  CLI::Option* prompt_option = nullptr;
  std::string prompt;
  std::string file;
  std::string system;
  bool chat = false;
  bool raw = false;
  bool as_json = false;
};

// From -p, -f or stdin; the line end that editors and echo put last is left
// out of the latter two.
result<std::string> read_prompt(const generate_options& o) {
  if (!o.prompt_option->empty()) return o.prompt;
  if (o.file.empty() && stdin_is_terminal()) {
    return error{error_code::invalid_argument,
                 "no prompt: give -p TEXT, -f FILE, or text on standard input"};
  }
  TINYPHI_TRY(std::string text,
              o.file.empty() ? read_stdin(max_prompt_bytes)
                             : tinyphi::read_file(o.file, max_prompt_bytes));
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

// Needs a chat format if `chat`.
tinyphi::generation start(tinyphi::engine engine, const generate_options& o,
                          bool chat, std::string prompt,
                          const tinyphi::generation_params& params) {
  if (!chat) {
    const tinyphi::segment segments[] = {{std::move(prompt), false}};
    return engine.complete(segments, params);
  }
  std::vector<tinyphi::message> messages;
  if (!o.system.empty()) {
    messages.push_back({tinyphi::role::system, o.system});
  }
  messages.push_back({tinyphi::role::user, std::move(prompt)});
  return engine.chat(messages, params);
}

json::value logprobs_of(const tinyphi::sampled_token& t) {
  json::array top;
  for (const tinyphi::token_logprob& other : t.top) {
    top.push_back({{"id", other.id}, {"logprob", other.logprob}});
  }
  return {{"id", t.id}, {"logprob", t.logprob}, {"top", std::move(top)}};
}

json::object describe(const tinyphi::generation& answer, std::string_view text,
                      bool with_logprobs) {
  const tinyphi::usage usage = answer.usage();
  json::array ids;
  json::array logprobs;
  for (const tinyphi::sampled_token& t : answer.tokens()) {
    ids.emplace_back(t.id);
    if (with_logprobs) logprobs.push_back(logprobs_of(t));
  }
  json::object out;
  out["text"] = json::string_view(text);
  out["ids"] = std::move(ids);
  out["finish_reason"] = json::string_view(to_string(answer.finish()));
  out["prompt_tokens"] = usage.prompt_tokens;
  out["cached_tokens"] = usage.cached_tokens;
  out["completion_tokens"] = usage.completion_tokens;
  out["drafted_tokens"] = usage.drafted_tokens;
  out["accepted_tokens"] = usage.accepted_tokens;
  out["timings"] = {{"queue_seconds", usage.queue_seconds},
                    {"prefill_seconds", usage.prefill_seconds},
                    {"decode_seconds", usage.decode_seconds}};
  if (with_logprobs) out["logprobs"] = std::move(logprobs);
  return out;
}

int generate(const generate_options& o) {
  auto prompt = read_prompt(o);
  if (!prompt) return fail(prompt.error());
  auto params = to_params(o.sampling);
  if (!params) return fail(params.error());
  const auto asked = read_format(o.format);
  if (!asked) return fail(asked.error());
  const interrupt_guard interrupt;
  params->stop_when.token = interrupt.token();
  auto engine = load_engine(o.model, interrupt.token());
  if (!engine) return fail(engine.error());
  auto format = to_constraint(*asked, *engine);
  if (!format) return fail(format.error());
  params->format = *std::move(format);
  const bool chat =
      o.chat || (!o.raw && engine->model().chat_format().has_value());
  if (!o.system.empty() && !chat) {
    return fail_usage(
        "--system goes with a chat turn, and this is a raw prompt");
  }

  auto answer = start(*engine, o, chat, std::move(*prompt), *params);
  std::string text;
  for (const std::string_view piece : answer) {
    text += piece;
    if (!o.as_json) print(piece);
  }
  if (o.as_json && !answer.error()) {
    print_line(json::serialize(
        describe(answer, text, params->sampling.n_logprobs >= 0)));
  } else if (!text.empty() && !text.ends_with('\n')) {
    print("\n");
  }
  if (answer.error()) return fail(*answer.error());
  return answer.finish() == tinyphi::finish_reason::cancelled ? exit_try_again
                                                              : exit_done;
}

}  // namespace

void add_generate(CLI::App& app, action& run) {
  CLI::App* command = add_command(
      app, "generate", "complete one prompt",
      "tinyphi generate -m phi-3-mini.gguf -p 'Why is the sky blue?' -n 100");
  auto o = std::make_shared<generate_options>();
  add_model_options(*command, o->model);
  o->prompt_option =
      command->add_option("-p,--prompt", o->prompt,
                          "the prompt; without -p and -f: standard input");
  command->add_option("-f,--file", o->file, "file with the prompt")
      ->excludes(o->prompt_option);
  command->add_option("--system", o->system,
                      "system message, before the prompt");
  CLI::Option* chat = command->add_flag(
      "--chat", o->chat,
      "as a chat turn (the default if the model has a chat format)");
  command
      ->add_flag("--raw", o->raw,
                 "continue the prompt as plain text, without a chat turn")
      ->excludes(chat);
  add_sampling_options(*command, o->sampling);
  add_format_options(*command, o->format);
  command
      ->add_option("--logprobs", o->sampling.params.sampling.n_logprobs,
                   "with --json: log-probabilities of each token and of the N "
                   "likeliest, 0 to 20")
      ->type_name("N");
  command->add_flag("--json", o->as_json,
                    "text, ids, finish reason and timings as one JSON object");
  command->final_callback([o, &run] { run = [o] { return generate(*o); }; });
}

}  // namespace cli
