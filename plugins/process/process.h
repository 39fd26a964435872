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
#include "plugins/process/tool_line.h"
#include "tinyphi/base/ascii.h"
#include "tinyphi/pipeline/config_reader.h"
#include "tinyphi/pipeline/stage.h"

TINYPHI_NAMESPACE_BEGIN

// with.sandbox.
struct process_sandbox {
  std::vector<std::string> read;
  std::vector<std::string> write;
  std::vector<std::string> net;
  byte_size memory{std::uint64_t{1} << 30};
  std::chrono::milliseconds cpu{10000};

  static constexpr auto params() {
    return std::tuple{
        param("read", &process_sandbox::read)
            .doc("files and folders that it may read besides the system's"),
        param("write", &process_sandbox::write)
            .doc("files and folders that it may read and write"),
        param("net", &process_sandbox::net).doc("none today"),
        param("memory", &process_sandbox::memory)
            .range(byte_size{std::uint64_t{16} << 20},
                   byte_size{std::uint64_t{64} << 30})
            .doc("of each of its processes"),
        param("cpu", &process_sandbox::cpu)
            .range(std::chrono::seconds(1), std::chrono::hours(1))
            .doc("processor time of each of its processes, in whole seconds")};
  }
};

struct process_stage {
  static constexpr stage_info info{
      .id = "process",
      .summary = "Asks a program of [allow].exec, in a sandbox",
      .effects = effect::read | effect::write,
      .makes = trust::untrusted};
  static constexpr std::size_t max_arguments = 64;
  static constexpr std::size_t max_argument_bytes = 32 << 10;      // of all
  static constexpr std::size_t max_environment_bytes = 128 << 10;  // of all
  static constexpr std::size_t max_places = 64;  // of read and of write
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
      {"pin",
       "leave it out: it is for protocol = \"mcp\", which this version "
       "does not speak"},
      {"tool",
       "leave it out: it is for protocol = \"mcp\", which this version "
       "does not speak"}};
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
    if (c.command.empty()) {
      report(fault::missing_key, "command", "names no program");
    } else if (const auto granted = find_grant(c, h); !granted) {
      report(fault::not_allowed, "command", granted.error().message);
    } else {
      facts.programs = {*granted};
    }
    if (const auto why = wrong_arguments(c.command); !why.empty()) {
      report(fault::out_of_range, "command", why);
    }
    if (c.out.empty()) {
      report(fault::missing_key, "out",
             "names no port: nothing would come of it");
    }
    std::size_t n_bytes = 0;
    for (const auto& [name, secret] : c.env) {
      n_bytes += name.size() + secret.reveal().size();
      if (const auto why = wrong_variable(name, secret.reveal());
          !why.empty()) {
        report(fault::out_of_range, "env." + name, why);
      }
    }
    if (n_bytes > max_environment_bytes) {
      report(fault::out_of_range, "env",
             too_much("bytes", n_bytes, max_environment_bytes));
    }
    for (const auto* places : {&c.sandbox.read, &c.sandbox.write}) {
      const std::string name =
          places == &c.sandbox.read ? "sandbox.read" : "sandbox.write";
      if (places->size() > max_places) {
        report(fault::out_of_range, name,
               too_much("entries", places->size(), max_places));
      }
      for (const std::string& place : *places) {
        if (!place.empty() && place.find('\0') == std::string::npos) continue;
        report(fault::out_of_range, name,
               "a name of files is not empty and holds no NUL");
      }
    }
    if (!c.sandbox.net.empty()) {
      report(fault::not_supported, "sandbox.net",
             "a program in the sandbox has no network in this version; fetch "
             "by http.fetch and give it the text");
    }
    if (!h.no_programs().empty()) {
      report(fault::not_supported, "command", h.no_programs());
    }
    return facts;
  }

  process_stage(config c, const call_facts&, const host& h)
      : in_(std::move(c.in)), out_(std::move(c.out)) {
    unwrap(held());
    if (!h.no_programs().empty()) {
      throw stage_error(error_code::unavailable, h.no_programs());
    }
    program_ = unwrap(find_grant(c, h));
    unwrap(process::checked_program(program_));
    start_.arguments = std::move(c.command);
    start_.arguments.front() = program_.string();
    for (const auto& [name, secret] : c.env) {
      const std::string_view value = secret.reveal();
      if (const auto why = wrong_variable(name, value); !why.empty()) {
        throw stage_error(error_code::invalid_argument,
                          "with.env." + name + ": " + why);
      }
      if (!secret.name().empty()) secrets_.push_back(secret);
      start_.environment.push_back(name + "=" + std::string(value));
    }
    const auto absolute = [&](const std::vector<std::string>& names) {
      std::vector<std::filesystem::path> places;
      for (const std::string& name : names) places.push_back(place(name, h));
      return places;
    };
    start_.limits.read = absolute(c.sandbox.read);
    start_.limits.write = absolute(c.sandbox.write);
    start_.limits.memory = c.sandbox.memory.bytes;
    start_.limits.cpu = std::chrono::ceil<std::chrono::seconds>(c.sandbox.cpu);
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
  static std::filesystem::path place(std::string_view name, const host& h) {
    return std::filesystem::absolute(h.base_dir() / name).lexically_normal();
  }

  // The program, if [allow].exec has it.
  static result<std::filesystem::path> find_grant(const config& c,
                                                  const host& h) {
    const auto program = place(c.command.front(), h);
    const auto holds = [&](const std::filesystem::path& granted) {
      return is_within(program, granted);
    };
    if (std::ranges::any_of(h.allowed_programs(), holds)) return program;
    std::string names;
    for (const auto& granted : h.allowed_programs()) {
      names +=
          (names.empty() ? ", which names " : ", ") + quote(granted.string());
    }
    if (names.empty()) names = ", which names no program";
    return error{error_code::invalid_argument,
                 quote(program.string()) + " is not in [allow].exec" + names};
  }

  static std::string too_much(std::string_view of, std::size_t n,
                              std::size_t most) {
    return "has " + std::to_string(n) + " " + std::string(of) + ", at most " +
           std::to_string(most) + " are allowed";
  }

  // Empty: nothing.
  static std::string wrong_arguments(const std::vector<std::string>& all) {
    std::size_t n_bytes = 0;
    for (const std::string& text : all) {
      n_bytes += text.size();
      if (text.find('\0') != std::string::npos) {
        return "an argument holds no NUL";
      }
    }
    if (all.size() > max_arguments) {
      return too_much("entries", all.size(), max_arguments);
    }
    if (n_bytes > max_argument_bytes) {
      return too_much("bytes", n_bytes, max_argument_bytes);
    }
    return {};
  }
  static std::string wrong_variable(std::string_view name,
                                    std::string_view value) {
    if (name.empty() || ascii::is_digit(name.front()) ||
        !std::ranges::all_of(name, ascii::is_word)) {
      return "a variable's name is letters, digits and '_'";
    }
    // What makes a loader, a shell or an interpreter run what the file's author
    // has not named.
    constexpr std::string_view beginnings[] = {
        "LD_", "DYLD_", "PYTHON", "PERL", "RUBY", "NODE_", "BASH_", "MALLOC_"};
    constexpr std::string_view names[] = {"ENV",
                                          "IFS",
                                          "PS4",
                                          "SHELLOPTS",
                                          "BASHOPTS",
                                          "GCONV_PATH",
                                          "GETCONF_DIR",
                                          "GLIBC_TUNABLES",
                                          "LOCPATH",
                                          "NLSPATH",
                                          "HOSTALIASES",
                                          "RESOLV_HOST_CONF",
                                          "_JAVA_OPTIONS",
                                          "JAVA_TOOL_OPTIONS",
                                          "JDK_JAVA_OPTIONS",
                                          "LUA_INIT"};
    const auto begins = [&](std::string_view with) {
      return name.starts_with(with);
    };
    if (std::ranges::any_of(beginnings, begins) ||
        std::ranges::find(names, name) != std::end(names)) {
      return "this variable changes what a program runs; put what it should "
             "say into the program";
    }
    if (name == "TMPDIR") {
      return "tinyphi itself says this: each call has a folder of its own";
    }
    if (value.find('\0') != std::string_view::npos) {
      return "a variable's value holds no NUL";
    }
    return {};
  }

  // Whether this machine's sandbox holds; tried once.
  static result<void> held() {
    static std::atomic<bool> is_known = false;
    if (is_known) return {};
    auto holds = process::probe_sandbox();
    if (holds) is_known = true;
    return holds;
  }

  [[nodiscard]] outputs ask(const named_values& values,
                            const stop_condition& stop) const {
    const std::string line =
        unwrap(process::question(values, in_, *stop.deadline));
    const auto folder = unwrap(process::private_folder::make());
    process::program_start start = start_;
    start.program = unwrap(process::checked_program(program_));
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
    return std::move(e).within(quote(program_.string()));
  }

  std::map<std::string, declared_port> in_;
  std::map<std::string, declared_port> out_;
  std::filesystem::path program_;
  process::program_start start_;
  std::vector<secret_text> secrets_;  // that it is given
};
static_assert(stage<process_stage>);

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_PROCESS_PROCESS_H_
