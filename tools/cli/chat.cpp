// SPDX-License-Identifier: MIT
// tinyphi chat: a chat in the terminal.
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/sampling_options.h"
#include "cli/terminal.h"
#include "exit_code.h"

namespace cli {

namespace {

struct chat_options {
  model_options model;
  sampling_options sampling;
  std::string system;
};

// The talk so far; `system` turns at its beginning stay for good.
class history {
 public:
  explicit history(const std::string& system) {
    if (!system.empty()) turns_.push_back({tinyphi::role::system, system});
    n_fixed_ = turns_.size();
  }

  [[nodiscard]] const std::vector<tinyphi::message>& turns() const {
    return turns_;
  }
  void add(tinyphi::role role, std::string text) {
    turns_.push_back({role, std::move(text)});
  }
  void drop_last() { turns_.pop_back(); }
  // Forgets the oldest question and its answer, if a newer one remains.
  bool drop_oldest() {
    if (turns_.size() < n_fixed_ + 3) return false;
    const auto first = turns_.begin() + static_cast<std::ptrdiff_t>(n_fixed_);
    turns_.erase(first, first + 2);
    return true;
  }

 private:
  std::vector<tinyphi::message> turns_;
  std::size_t n_fixed_ = 0;
};

// Prints the answer to the last turn of `talk` and adds it. Ctrl-C ends it;
// what was said until then stays. True if the talk is to end with it.
tinyphi::result<bool> answer(tinyphi::engine& engine,
                             tinyphi::generation_params params, history& talk) {
  for (;;) {
    const interrupt_guard interrupt;
    params.stop_when.token = interrupt.token();
    auto reply = engine.chat(talk.turns(), params);
    std::string text;
    for (const std::string_view piece : reply) {
      text += piece;
      print(piece);
    }
    if (!text.empty()) print("\n");
    const bool interrupted = interrupt.token().cancelled();
    if (reply.error() && !interrupted) {
      if (reply.error()->code == tinyphi::error_code::limit && text.empty() &&
          talk.drop_oldest()) {
        note("the talk fills the context; its oldest turn is forgotten");
        continue;
      }
      return *reply.error();
    }
    talk.add(tinyphi::role::assistant, std::move(text));
    return interrupt.must_end();
  }
}

// A question, or why there is none: the end of the input or Ctrl-C, or a signal
// that ends the process.
struct question {
  std::optional<std::string> text;
  bool must_end = false;
};

question ask() {
  const interrupt_guard interrupt;
  if (stdin_is_terminal()) std::fputs("> ", stderr);
  auto text = read_line(interrupt);
  return {std::move(text), interrupt.must_end()};
}

int chat(const chat_options& o) {
  auto params = to_params(o.sampling);
  if (!params) return fail(params.error());
  auto engine = [&] {
    const interrupt_guard interrupt;
    return load_engine(o.model, interrupt.token());
  }();
  if (!engine) return fail(engine.error());
  if (const auto& format = engine->model().chat_format(); !format) {
    return fail(format.error());
  }
  if (stdin_is_terminal()) {
    note("Ctrl-C stops an answer; Ctrl-D, or Ctrl-C here, quits");
  }

  history talk(o.system);
  int status = exit_done;
  bool must_end = false;
  while (!must_end) {
    question asked = ask();
    must_end = asked.must_end;
    if (!asked.text) break;
    if (asked.text->empty()) continue;
    talk.add(tinyphi::role::user, *std::move(asked.text));
    const auto answered = answer(*engine, *params, talk);
    if (!answered) {
      status = fail(answered.error());
      talk.drop_last();
    } else {
      must_end = *answered;
    }
  }
  if (stdin_is_terminal()) std::fputc('\n', stderr);
  if (must_end) return exit_try_again;
  return stdin_is_terminal() ? exit_done : status;
}

}  // namespace

void add_chat(CLI::App& app, action& run) {
  CLI::App* command = add_command(
      app, "chat",
      "chat in the terminal; Ctrl-C stops the answer, Ctrl-D quits",
      "tinyphi chat -m phi-3-mini.gguf --system 'Answer in one sentence.'");
  auto o = std::make_shared<chat_options>();
  add_model_options(*command, o->model);
  command->add_option("--system", o->system, "what the model is told first");
  add_sampling_options(*command, o->sampling);
  command->final_callback([o, &run] { run = [o] { return chat(*o); }; });
}

}  // namespace cli
