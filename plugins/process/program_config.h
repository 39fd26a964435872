// SPDX-License-Identifier: MIT
// What a file says of a program that is started: its command, its environment
// and its sandbox.
#ifndef TINYPHI_PLUGINS_PROCESS_PROGRAM_CONFIG_H_
#define TINYPHI_PLUGINS_PROCESS_PROGRAM_CONFIG_H_

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

#include "plugins/process/launch.h"
#include "tinyphi/base/ascii.h"
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

namespace process {

// Of a command, and of its environment.
inline constexpr std::size_t max_arguments = 64;
inline constexpr std::size_t max_argument_bytes = 32 << 10;      // of all
inline constexpr std::size_t max_environment_bytes = 128 << 10;  // of all
inline constexpr std::size_t max_places = 64;  // of read, of write

namespace detail {

inline std::filesystem::path place(std::string_view name, const host& h) {
  return std::filesystem::absolute(h.base_dir() / name).lexically_normal();
}

// The program, if [allow].exec has it.
inline result<std::filesystem::path> find_grant(
    const std::vector<std::string>& command, const host& h) {
  const auto program = place(command.front(), h);
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

inline std::string too_much(std::string_view of, std::size_t n,
                            std::size_t most) {
  return "has " + std::to_string(n) + " " + std::string(of) + ", at most " +
         std::to_string(most) + " are allowed";
}

// Empty: nothing.
inline std::string wrong_arguments(const std::vector<std::string>& all) {
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
inline std::string wrong_variable(std::string_view name,
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
inline result<void> held() {
  static std::atomic<bool> is_known = false;
  if (is_known) return {};
  auto holds = probe_sandbox();
  if (holds) is_known = true;
  return holds;
}

}  // namespace detail

// Adds what is wrong with the parameters command, env and sandbox. It starts
// nothing.
inline void check_program(const std::vector<std::string>& command,
                          const std::map<std::string, secret_text>& env,
                          const process_sandbox& sandbox, const host& h,
                          stage_facts& facts) {
  const auto report = [&](fault code, std::string param, std::string why) {
    facts.faults.push_back({code, std::move(param), 0, std::move(why)});
  };
  if (command.empty()) {
    report(fault::missing_key, "command", "names no program");
  } else if (const auto granted = detail::find_grant(command, h); !granted) {
    report(fault::not_allowed, "command", granted.error().message);
  } else {
    facts.programs = {*granted};
  }
  if (const auto why = detail::wrong_arguments(command); !why.empty()) {
    report(fault::out_of_range, "command", why);
  }
  std::size_t n_bytes = 0;
  for (const auto& [name, secret] : env) {
    n_bytes += name.size() + secret.reveal().size();
    if (const auto why = detail::wrong_variable(name, secret.reveal());
        !why.empty()) {
      report(fault::out_of_range, "env." + name, why);
    }
  }
  if (n_bytes > max_environment_bytes) {
    report(fault::out_of_range, "env",
           detail::too_much("bytes", n_bytes, max_environment_bytes));
  }
  for (const auto* places : {&sandbox.read, &sandbox.write}) {
    const std::string name =
        places == &sandbox.read ? "sandbox.read" : "sandbox.write";
    if (places->size() > max_places) {
      report(fault::out_of_range, name,
             detail::too_much("entries", places->size(), max_places));
    }
    for (const std::string& place : *places) {
      if (!place.empty() && place.find('\0') == std::string::npos) continue;
      report(fault::out_of_range, name,
             "a name of files is not empty and holds no NUL");
    }
  }
  if (!sandbox.net.empty()) {
    report(fault::not_supported, "sandbox.net",
           "a program in the sandbox has no network in this version; fetch "
           "by http.fetch and give it the text");
  }
  if (!h.no_programs().empty()) {
    report(fault::not_supported, "command", h.no_programs());
  }
}

// How the program is started, but for its folder and what follows from that.
// Throws a stage_error: what this machine or [allow].exec does not let it do.
inline program_start start_of(const std::vector<std::string>& command,
                              const std::map<std::string, secret_text>& env,
                              const process_sandbox& sandbox, const host& h) {
  program_start start;
  unwrap(detail::held());
  if (!h.no_programs().empty()) {
    throw stage_error(error_code::unavailable, h.no_programs());
  }
  start.program = unwrap(detail::find_grant(command, h));
  unwrap(checked_program(start.program));
  start.arguments = command;
  start.arguments.front() = start.program.string();
  for (const auto& [name, secret] : env) {
    const std::string_view value = secret.reveal();
    if (const auto why = detail::wrong_variable(name, value); !why.empty()) {
      throw stage_error(error_code::invalid_argument,
                        "with.env." + name + ": " + why);
    }
    start.environment.push_back(name + "=" + std::string(value));
  }
  const auto absolute = [&](const std::vector<std::string>& names) {
    std::vector<std::filesystem::path> places;
    for (const std::string& name : names)
      places.push_back(detail::place(name, h));
    return places;
  };
  start.limits.read = absolute(sandbox.read);
  start.limits.write = absolute(sandbox.write);
  start.limits.memory = sandbox.memory.bytes;
  start.limits.cpu = std::chrono::ceil<std::chrono::seconds>(sandbox.cpu);
  return start;
}

}  // namespace process
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_PROCESS_PROGRAM_CONFIG_H_
