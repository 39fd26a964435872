// SPDX-License-Identifier: MIT
// The stage `mcp`: values -> what a tool answers that a server of the Model
// Context Protocol has.
#ifndef TINYPHI_PLUGINS_MCP_MCP_H_
#define TINYPHI_PLUGINS_MCP_MCP_H_

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "plugins/http_fetch/headers.h"
#include "plugins/mcp/http_server.h"
#include "plugins/mcp/line_server.h"
#include "plugins/mcp/local_socket.h"
#include "plugins/mcp/pinned_tool.h"
#include "plugins/mcp/tool_server.h"
#include "plugins/process/program_config.h"
#include "tinyphi/pipeline/stage.h"
#include "tinyphi/pipeline/value_json.h"

TINYPHI_NAMESPACE_BEGIN

struct mcp_stage {
  static constexpr stage_info info{
      .id = "mcp",
      .summary = "Calls a pinned tool of an MCP server",
      .effects = effect::read | effect::write | effect::net,
      .makes = trust::untrusted};
  // Where neither the stage nor the request has a deadline.
  static constexpr std::chrono::seconds default_time{60};

  enum class protocol_kind : std::uint8_t {
    automatic,
    v2024_11_05,
    v2025_03_26,
    v2025_06_18,
    v2025_11_25,
    v2026_07_28
  };
  struct config {
    server_ref server = {};
    std::string tool = {};
    std::vector<std::string> arguments = {};
    byte_size max_bytes{std::uint64_t{256} << 10};
    // Of the server:
    std::vector<std::string> command = {};
    std::map<std::string, secret_text> env = {};
    process_sandbox sandbox{
        .read = {}, .write = {}, .net = {}, .cpu = std::chrono::hours(1)};
    std::filesystem::path socket = {};
    std::string url = {};
    std::map<std::string, secret_text> headers = {};
    protocol_kind protocol = protocol_kind::automatic;
    std::vector<mcp::pinned_tool> tools = {};
  };
  struct inputs {
    named_values values;
  };
  struct outputs {
    named_values values;
  };

  static constexpr auto params() {
    return std::tuple{
        param("server", &config::server)
            .doc("the [mcp.x] that has the parameters from command on"),
        param("tool", &config::tool)
            .required()
            .doc("its name, as the server and tools have it"),
        param("arguments", &config::arguments)
            .doc("those that are in-ports; all, unless it says which"),
        param("max_bytes", &config::max_bytes)
            .range(byte_size{1}, byte_size{std::uint64_t{4} << 20})
            .doc("a longer answer is an error"),
        param("command", &config::command)
            .doc("a program, which [allow].exec names, and its arguments"),
        param("env", &config::env)
            .doc("its environment; ${secret.NAME} keeps one secret"),
        param("sandbox", &config::sandbox)
            .doc("what it may do: { read, write, memory, cpu }"),
        param("socket", &config::socket)
            .doc("instead of a program: the socket of one that runs"),
        param("url", &config::url)
            .doc("likewise: its address, which [allow].net grants"),
        param("headers", &config::headers)
            .doc("fields to send there; ${secret.NAME} keeps one secret"),
        param("protocol", &config::protocol)
            .names("auto", "2024-11-05", "2025-03-26", "2025-06-18",
                   "2025-11-25", "2026-07-28")
            .doc("the revision; auto: the server is asked"),
        param("tools", &config::tools)
            .doc("what the server lists, pinned: [{ name, description, input, "
                 "output }], as `tinyphi inspect --mcp` prints it")};
  }
  static constexpr auto in_ports() {
    return std::tuple{open_ports(&inputs::values)};
  }
  static constexpr auto out_ports() {
    return std::tuple{open_ports(&outputs::values)};
  }

  static stage_ports ports(const config& c) {
    stage_ports all;
    auto shape = shape_of(c);
    if (!shape) {
      all.faults = std::move(shape).error();
      return all;
    }
    for (const mcp::tool_port& p : shape->arguments) {
      all.in.push_back({.name = p.port,
                        .types = {p.type},
                        .required = p.required,
                        .decides = true});
    }
    for (const mcp::tool_port& p : shape->results) {
      all.out.push_back(
          {.name = p.port, .types = {p.type}, .required = p.required});
    }
    if (shape->results.empty()) {
      all.out.push_back({.name = "text", .types = {type(type_kind::text)}});
    }
    all.effects = effects_of(c);
    return all;
  }

  static stage_facts check(const config& c, const call_facts&, const host& h) {
    stage_facts facts;
    facts.idempotent = effects_of(c) == effect::read;
    check_server(c, h, facts);
    return facts;
  }

  // Adds what is wrong with the parameters that say which server it is.
  static void check_server(const config& c, const host& h, stage_facts& facts) {
    const auto report = [&](fault code, std::string param, std::string why) {
      facts.faults.push_back({code, std::move(param), 0, std::move(why)});
    };
    const bool is_program = !c.command.empty();
    const bool is_socket = !c.socket.empty();
    const int n = int{is_program} + int{is_socket} + int{!c.url.empty()};
    if (n != 1) {
      report(n > 1 ? fault::keys_conflict : fault::missing_key, "command",
             "a server has either a command, a socket or a url");
    } else if (is_program) {
      process::check_program(c.command, c.env, c.sandbox, h, facts);
    } else if (!is_socket) {
      if (const auto place = place_of(c, h); !place) {
        report(place.error().code == error_code::bad_data ? fault::out_of_range
                                                          : fault::not_allowed,
               "url", place.error().message);
      } else {
        facts.hosts = web::granting(place->url, h.allowed_hosts());
      }
      web::check_headers(c.headers, facts.faults);
    }
    if (n == 1 && !is_program) {
      if (!c.env.empty()) {
        report(fault::keys_conflict, "env",
               "is for a command; who runs already has its environment");
      }
    }
    if (const auto why = mcp::wrong_socket(c.socket); !why.empty()) {
      report(fault::out_of_range, "socket", why);
    }
    if (n == 1 && c.url.empty() && !c.headers.empty()) {
      report(fault::keys_conflict, "headers", "are for a url");
    }
  }

  // The server; equal ones are one. Throws a stage_error: this machine or
  // [allow] does not let it be.
  static std::shared_ptr<mcp::tool_server> server_of(const config& c,
                                                     const host& h) {
    std::optional<mcp_revision> revision;
    if (c.protocol != protocol_kind::automatic) {
      revision = static_cast<mcp_revision>(static_cast<int>(c.protocol) - 1);
    }
    std::string key = std::to_string(static_cast<int>(c.protocol));
    const auto add = [&key](std::string_view part) {
      key += ' ' + std::to_string(part.size()) + ' ';
      key += part;
    };
    auto& all = mcp::shared_servers::of_process();
    if (!c.url.empty()) {
      auto place = unwrap(place_of(c, h));
      if (place.url.is_secure && !web::tls_client::is_built_in) {
        throw stage_error(error_code::unsupported,
                          web::tls_client::without_tls);
      }
      place.fields = web::fields_of(c.headers);
      add("url");
      add(c.url);
      add(place.fields);
      const auto make = [&] {
        return std::make_shared<mcp::http_server>(std::move(place), revision);
      };
      return all.get(key, make);
    }
    mcp::line_server::opener open;
    std::vector<secret_text> secrets;
    if (!c.socket.empty()) {
      add("socket");
      add(c.socket.string());
      open = [path = c.socket] { return mcp::connect_local(path); };
    } else {
      const auto start = process::start_of(c.command, c.env, c.sandbox, h);
      for (const auto& [name, secret] : c.env) {
        if (!secret.name().empty()) secrets.push_back(secret);
      }
      for (const auto* texts : {&start.arguments, &start.environment}) {
        add(std::to_string(texts->size()));
        for (const std::string& one : *texts) add(one);
      }
      for (const auto* places : {&start.limits.read, &start.limits.write}) {
        add(std::to_string(places->size()));
        for (const auto& one : *places) add(one.string());
      }
      add(std::to_string(start.limits.memory));
      add(std::to_string(start.limits.cpu.count()));
      open = [start] { return mcp::start_program(start); };
    }
    const auto make = [&] {
      return std::make_shared<mcp::line_server>(std::move(open), revision,
                                                std::move(secrets));
    };
    return all.get(key, make);
  }

  mcp_stage(config c, const call_facts&, const host& h)
      : name_(quote(!c.server.name.empty() ? c.server.name
                    : !c.command.empty()   ? c.command.front()
                                           : c.url + c.socket.string())),
        max_bytes_(c.max_bytes.bytes),
        tool_(*pinned(c)),
        shape_(*shape_of(c)),
        server_(server_of(c, h)) {}

  task<outputs> run(run_context& cx, inputs in) const {
    stop_condition stop = cx.stop();
    if (!stop.deadline) {
      stop.deadline = std::chrono::steady_clock::now() + default_time;
    }
    // A little earlier, so that the error says which server was too slow.
    constexpr std::chrono::milliseconds early{50};
    if (*stop.deadline - std::chrono::steady_clock::now() > 4 * early) {
      *stop.deadline -= early;
    }
    const auto work = [&] { return ask(in.values, stop); };
    outputs out = co_await cx.blocking(work);
    co_return out;
  }

 private:
  static effect effects_of(const config& c) {
    // Nobody here sees what it does.
    if (!c.socket.empty() || !c.url.empty()) return effect::net;
    return c.sandbox.write.empty() ? effect::read
                                   : effect::read | effect::write;
  }

  // bad_data: it is no address.
  static result<mcp::http_place> place_of(const config& c, const host& h) {
    auto url = web::parse_url(c.url);
    if (!url) {
      return error{error_code::bad_data,
                   quote(c.url) + " is no address: " + url.error().message};
    }
    TINYPHI_TRY(const auto where, web::find_grant(*url, h.allowed_hosts()));
    return mcp::http_place{.url = *std::move(url), .where = where};
  }

  // Null if there is none.
  static const mcp::pinned_tool* pinned(const config& c) {
    const auto it = std::ranges::find(c.tools, c.tool, &mcp::pinned_tool::name);
    return it == c.tools.end() ? nullptr : &*it;
  }

  static result<mcp::tool_shape, std::vector<param_fault>> shape_of(
      const config& c) {
    const mcp::pinned_tool* tool = pinned(c);
    if (tool == nullptr) {
      std::vector<std::string_view> known;
      for (const auto& t : c.tools) known.push_back(t.name);
      return std::vector<param_fault>{
          {fault::unknown_value, "tool", 0,
           quote(c.tool) + " is not among the pinned tools" +
               (c.tools.empty() ? "; `tinyphi inspect FILE --mcp NAME` prints "
                                  "what to put into the file"
                                : did_you_mean(c.tool, known))}};
    }
    const auto row = static_cast<std::size_t>(tool - c.tools.data());
    auto shape = mcp::read_shape(*tool, row);
    if (!shape || c.arguments.empty()) return shape;
    std::vector<param_fault> faults;
    std::vector<std::string_view> known;
    for (const auto& p : shape->arguments) known.push_back(p.name);
    for (const std::string& name : c.arguments) {
      if (std::ranges::find(known, name) != known.end()) continue;
      faults.push_back({fault::unknown_value, "arguments", 0,
                        "the tool has no argument " + quote(name) +
                            did_you_mean(name, known)});
    }
    const auto is_left_out = [&](const mcp::tool_port& p) {
      return std::ranges::find(c.arguments, p.name) == c.arguments.end();
    };
    for (const auto& p : shape->arguments) {
      if (!p.required || !is_left_out(p)) continue;
      faults.push_back({fault::missing_key, "arguments", 0,
                        "the tool requires " + quote(p.name)});
    }
    std::erase_if(shape->arguments, is_left_out);
    if (!faults.empty()) return faults;
    return shape;
  }

  [[nodiscard]] outputs ask(const named_values& values,
                            const stop_condition& stop) const {
    json::object arguments;
    for (const mcp::tool_port& p : shape_.arguments) {
      const auto it = values.find(p.port);
      if (it == values.end()) continue;
      arguments[p.name] = to_json(it->second.data);
    }
    check_schema(shape_.input, json::serialize(arguments),
                 {error_code::invalid_argument, "the arguments"});
    auto answer = server_->call(tool_, std::move(arguments), stop);
    if (!answer) {
      throw stage_error(std::move(answer).error().within("server " + name_));
    }
    if (answer->is_error) {
      throw stage_error(
          error_code::io,
          "the tool says " + mcp::detail::shown(answer->text, 500));
    }
    return outputs_of(*std::move(answer));
  }

  static void check_schema(const schema& s, const std::string& text, error e) {
    const auto faults = check_text(s, text);
    if (faults && faults->empty()) return;
    if (!faults) {
      e = faults.error();
    } else {
      e.message += ": " + to_string(faults->front());
    }
    throw stage_error(std::move(e));
  }

  [[nodiscard]] outputs outputs_of(mcp::call_answer answer) const {
    const std::string data =
        answer.structured ? json::serialize(*answer.structured) : std::string();
    if (shape_.output && !answer.structured) {
      throw stage_error(error_code::bad_data,
                        "the tool's answer lacks structuredContent, which its "
                        "output schema promises");
    }
    if (shape_.output) {
      check_schema(*shape_.output, data,
                   {error_code::bad_data, "the tool's answer"});
    }
    outputs out;
    if (shape_.results.empty()) {
      const bool has_text = !answer.text.empty() && !shape_.output;
      json::value text(has_text ? answer.text : data);
      check_size(text.get_string().size());
      process::detail::clean(text);
      out.values["text"].data = from_json(text);
      return out;
    }
    check_size(data.size());
    process::detail::clean(*answer.structured);
    for (const mcp::tool_port& p : shape_.results) {
      const json::value* v =
          answer.structured->get_object().if_contains(p.name);
      if (v == nullptr) continue;
      const value_data given = from_json(*v);
      if (const auto why = find_misfit(given, p.type)) {
        throw stage_error(error_code::bad_data,
                          "the tool's answer: " + p.name + ": " + *why);
      }
      out.values[p.port].data = conform(given, p.type);
    }
    return out;
  }

  void check_size(std::size_t n) const {
    if (n <= max_bytes_) return;
    throw stage_error(error_code::limit, "the tool's answer has " +
                                             std::to_string(n) +
                                             " bytes, with.max_bytes allows " +
                                             std::to_string(max_bytes_));
  }

  std::string name_;
  std::size_t max_bytes_;
  mcp::pinned_tool tool_;
  mcp::tool_shape shape_;
  std::shared_ptr<mcp::tool_server> server_;
};
static_assert(stage<mcp_stage>);

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_MCP_MCP_H_
