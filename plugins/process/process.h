// SPDX-License-Identifier: MIT
// The stage `process`: values -> what a program of the author's answers, which
// runs in a sandbox.
#ifndef TINYPHI_PLUGINS_PROCESS_PROCESS_H_
#define TINYPHI_PLUGINS_PROCESS_PROCESS_H_

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "plugins/process/exchange.h"
#include "plugins/process/launch.h"
#include "plugins/process/private_folder.h"
#include "plugins/process/program_config.h"
#include "plugins/process/tool_line.h"
#include "tinyphi/base/ascii.h"
#include "tinyphi/pipeline/config_reader.h"
#include "tinyphi/pipeline/stage.h"

TINYPHI_NAMESPACE_BEGIN

struct process_stage {
  static constexpr stage_info info{
      .id = "process",
      .summary = "Asks a program of [allow].exec, in a sandbox",
      .effects = effect::read | effect::write,
      .makes = trust::untrusted};
  // Where neither the stage nor the request has a deadline.
  static constexpr std::chrono::seconds default_time{60};

  enum class protocol_kind : std::uint8_t { lines };
  struct config {
    std::vector<std::string> command = {};
    std::map<std::string, declared_port> in = {};
    std::map<std::string, declared_port> out = {};
    protocol_kind protocol = protocol_kind::lines;
    std::map<std::string, secret_text> env = {};
    process_sandbox sandbox = {};
  };
  struct inputs {
    named_values values;
  };
  struct outputs {
    named_values values;
  };

  static constexpr auto params() {
    return std::tuple{
        param("command", &config::command)
            .required()
            .doc("the program, which [allow].exec names, and its arguments"),
        param("in", &config::in).doc("in-ports and their types"),
        param("out", &config::out)
            .required()
            .doc("out-ports and their types; its answer has exactly these"),
        param("protocol", &config::protocol)
            .names("lines")
            .doc("a line of JSON to it, and one from it"),
        param("env", &config::env)
            .doc("its environment; ${secret.NAME} keeps one secret"),
        param("sandbox", &config::sandbox)
            .doc("what it may do: { read, write, memory, cpu }")};
  }
  static constexpr retired_key retired_params[] = {
      {"workers", "leave it out: each call has a process of its own"},
      {"pin", "leave it out: a server of MCP is asked by use = \"mcp\""},
      {"tool", "leave it out: a server of MCP is asked by use = \"mcp\""}};
  static constexpr auto in_ports() {
    return std::tuple{open_ports(&inputs::values)};
  }
  static constexpr auto out_ports() {
    return std::tuple{open_ports(&outputs::values)};
  }

  static stage_ports ports(const config& c) {
    stage_ports all;
    const auto add = [&](const auto& declared, std::string_view param,
                         std::vector<port_info>& to) {
      for (const auto& [name, p] : declared) {
        if (!detail::is_id(name) || name == "failed") {
          all.faults.push_back(
              {fault::bad_name, std::string(param), 0,
               quote(name) + ": a port's name is a lower-case letter and up to "
                             "31 lower-case letters, digits and '_', and not "
                             "'failed'"});
        }
        to.push_back({.name = name,
                      .types = {p.type.type},
                      .decides = &declared == &c.in});
      }
    };
    add(c.in, "in", all.in);
    add(c.out, "out", all.out);
    all.effects =
        c.sandbox.write.empty() ? effect::read : effect::read | effect::write;
    return all;
  }

  static stage_facts check(const config& c, const call_facts&, const host& h) {
    stage_facts facts;
    facts.idempotent = c.sandbox.write.empty();
    const auto report = [&](fault code, std::string param, std::string why) {
      facts.faults.push_back({code, std::move(param), 0, std::move(why)});
    };
    if (c.out.empty()) {
      report(fault::missing_key, "out",
             "names no port: nothing would come of it");
    }
    process::check_program(c.command, c.env, c.sandbox, h, facts);
    return facts;
  }

  process_stage(config c, const call_facts&, const host& h)
      : in_(std::move(c.in)),
        out_(std::move(c.out)),
        start_(process::start_of(c.command, c.env, c.sandbox, h)) {
    for (const auto& [name, secret] : c.env) {
      if (!secret.name().empty()) secrets_.push_back(secret);
    }
  }

  task<outputs> run(run_context& cx, inputs in) const {
    stop_condition stop = cx.stop();
    if (!stop.deadline) {
      stop.deadline = std::chrono::steady_clock::now() + default_time;
    }
    const auto work = [&] { return ask(in.values, stop); };
    outputs out = co_await cx.blocking(work);
    co_return out;
  }

 private:
  [[nodiscard]] outputs ask(const named_values& values,
                            const stop_condition& stop) const {
    const std::string line =
        unwrap(process::question(values, in_, *stop.deadline));
    const auto folder = unwrap(process::private_folder::make());
    process::program_start start = start_;
    start.program = unwrap(process::checked_program(start_.program));
    start.folder = folder.path();
    start.environment.push_back("TMPDIR=" + folder.path().string());
    auto program = process::launch(start);
    if (!program) {
      throw stage_error(std::move(program).error().within("with.sandbox"));
    }
    const auto output = process::exchange(*std::move(program), line, stop);
    auto answer = process::answer_of(output, out_);
    if (!answer)
      throw stage_error(explained(std::move(answer).error(), output));
    outputs out;
    for (auto& [name, data] : *answer) {
      out.values[name].data = std::move(data);
    }
    return out;
  }

  // With the last that the program has said about itself.
  [[nodiscard]] error explained(error e,
                                const process::program_output& output) const {
    const std::string said = process::last_words(output.err, secrets_);
    if (!said.empty()) e.message += "; its last words: " + quote(said);
    return std::move(e).within(quote(start_.program.string()));
  }

  std::map<std::string, declared_port> in_;
  std::map<std::string, declared_port> out_;
  process::program_start start_;
  std::vector<secret_text> secrets_;  // that it is given
};
static_assert(stage<process_stage>);

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_PROCESS_PROCESS_H_
