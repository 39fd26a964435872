// SPDX-License-Identifier: MIT
// tinyphi inspect FILE --mcp NAME: what a server lists, as a pipeline file pins
// it.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "cli/command.h"
#include "cli/pipeline.h"
#include "cli/terminal.h"
#include "exit_code.h"
#include "plugins/mcp/mcp.h"
#include "tinyphi/pipeline/spec.h"
#include "tinyphi/pipeline/toml_file.h"
#include "tinyphi/pipeline/toml_text.h"

namespace cli {

namespace {

namespace json = tinyphi::json;
using tinyphi::error;
using tinyphi::error_code;
using tinyphi::mcp_stage;
using tinyphi::result;

constexpr std::chrono::seconds longest{60};

int fail_check(const std::vector<tinyphi::diagnostic>& faults,
               const std::string& file) {
  const std::string text = printable(to_string(faults, file)) + "\n";
  std::fwrite(text.data(), 1, text.size(), stderr);
  return exit_config;
}

// A text as a pipeline file writes it, where "${x}" is a variable.
std::string file_text(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char next = i + 1 < text.size() ? text[i + 1] : ' ';
    out += text[i];
    if (text[i] == '$' && (next == '$' || next == '{')) out += '$';
  }
  // JSON is full of quotes.
  const auto is_escaped = [](char c) {
    const auto u = static_cast<unsigned char>(c);
    return u < 0x20 || u == 0x7f || c == '\'';
  };
  if (std::ranges::none_of(out, is_escaped)) return "'" + out + "'";
  return tinyphi::toml_string(out);
}

void print_tools(const std::string& name, const tinyphi::mcp::tool_listing& l) {
  for (const tinyphi::mcp::listed_tool& t : l.tools) {
    print_line("[[mcp." + name + ".tools]]");
    print_line("name = " + file_text(t.name));
    if (!t.description.empty()) {
      print_line("description = " + file_text(t.description));
    }
    print_line("input = " + file_text(json::serialize(t.input)));
    if (!t.output.is_null()) {
      print_line("output = " + file_text(json::serialize(t.output)));
    }
    print_line("");
  }
}

result<tinyphi::mcp::tool_listing> ask(const tinyphi::shared_params& shared,
                                       const std::string& name,
                                       tinyphi::host& h,
                                       std::vector<tinyphi::diagnostic>& faults,
                                       const tinyphi::stop_condition& stop) {
  const std::string where = "mcp " + name;
  tinyphi::param_reader reader(&shared.params, where, shared.at, h, faults);
  mcp_stage::config c;
  std::apply([&](const auto&... row) { (reader.read(c, row), ...); },
             mcp_stage::params());
  tinyphi::stage_facts facts;
  mcp_stage::check_server(c, h, facts);
  for (const tinyphi::param_fault& f : facts.faults) {
    faults.push_back({f.code, reader.place(f.param, f.offset),
                      where + ": " + f.param + ": " + f.message});
  }
  if (!faults.empty()) return tinyphi::mcp::tool_listing();
  c.server.name = name;
  try {
    tinyphi::detail::open_secrets<mcp_stage>(c, h);
    return mcp_stage::server_of(c, h)->list(stop);
  } catch (const tinyphi::stage_error& e) {
    return e.error;
  }
}

}  // namespace

int inspect_server(const std::string& file, const std::string& name) {
  const interrupt_guard interrupt;
  tinyphi::stop_condition stop;
  stop.token = interrupt.token();
  stop.deadline = std::chrono::steady_clock::now() + longest;
  const auto options = pipeline_host(stop.token);
  const auto text = tinyphi::read_file(file, tinyphi::toml_limits::max_bytes);
  if (!text) return fail(text.error());
  std::vector<tinyphi::diagnostic> faults;
  const auto spec = tinyphi::read_spec(*text, file, options.env, faults);
  if (!spec) return fail_check(faults, file);
  const auto it = spec->mcp_servers.find(name);
  if (it == spec->mcp_servers.end()) {
    std::vector<std::string_view> known;
    for (const auto& s : spec->mcp_servers) known.push_back(s.first);
    return fail(
        {error_code::not_found, file + ": no [mcp." + name + "]" +
                                    tinyphi::did_you_mean(name, known)});
  }
  // The rest of the file may wait for what is printed here.
  if (it->second.poisoned) return fail_check(faults, file);
  tinyphi::host h(options, std::filesystem::path(file).parent_path(),
                  spec->models, spec->rules, spec->allowed, spec->secrets,
                  types_of(*spec));
  faults.clear();
  auto listing = ask(it->second, name, h, faults, stop);
  if (!faults.empty()) return fail_check(faults, file);
  if (!listing)
    return fail(
        std::move(listing).error().within("server " + tinyphi::quote(name)));
  print_tools(name, *listing);
  return exit_done;
}

}  // namespace cli
