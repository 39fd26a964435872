// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_MCP_ROUTES_IPP_
#define TINYPHI_SERVE_MCP_ROUTES_IPP_

#include <algorithm>
#include <boost/asio/dispatch.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tinyphi/base/base64.h"
#include "tinyphi/base/mcp_message.h"
#include "tinyphi/base/utf8.h"
#include "tinyphi/pipeline/diagnostic.h"
#include "tinyphi/pipeline/trace.h"
#include "tinyphi/serve/followed_run.h"
#include "tinyphi/serve/mcp_routes.h"
#include "tinyphi/serve/mcp_session.h"
#include "tinyphi/serve/mcp_tool.h"
#include "tinyphi/serve/respond.h"
#include "tinyphi/version.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// What the head of a request says of the message in its body.
struct mcp_head {
  bool is_newest = false;
  std::optional<mcp_revision> handshake = {};  // that was made before
  std::optional<json::object> refusal = {};    // instead of an answer
};

// Whether a header has that value, plain or as base64.
inline bool header_is(std::string_view header, std::string_view value) {
  return header == value ||
         header == "=?base64?" + tinyphi::base64(value) + "?=";
}

// Proxies go by the head, so that it must not say something else than the body:
// which header does.
inline std::string_view wrong_mcp_header(const http_request& r,
                                         const json::object& message,
                                         const json::object& params) {
  const auto revision =
      mcp_text(mcp_object(&params, "_meta"), mcp_revision_key);
  if (revision != r.header("mcp-protocol-version")) {
    return "mcp-protocol-version";
  }
  const auto method = mcp_text(&message, "method");
  if (method && r.header("mcp-method") != *method) return "mcp-method";
  const auto name = mcp_text(&params, "name");
  const bool names_tool = method == "tools/call" && name;
  if (names_tool && !header_is(r.header("mcp-name"), *name)) return "mcp-name";
  return {};
}

inline mcp_head read_mcp_head(const http_request& r,
                              const json::object* message) {
  mcp_head out;
  const json::object* params = mcp_object(message, "params");
  const bool has_meta =
      mcp_member(mcp_object(params, "_meta"), mcp_revision_key) != nullptr;
  const std::string_view named = r.header("mcp-protocol-version");
  const auto known = find_mcp_revision(named);
  const json::value* id = mcp_member(message, "id");
  const auto refuse = [&](int code, std::string_view why) {
    out.is_newest = true;
    out.refusal = mcp_error(
        id != nullptr && is_mcp_id(*id) ? *id : json::value(), code, why);
  };
  if (has_meta) {
    out.is_newest = true;
    if (const auto wrong = wrong_mcp_header(r, *message, *params);
        !wrong.empty()) {
      refuse(mcp_header_mismatch, "the header " + std::string(wrong) +
                                      " does not say what the body says");
    }
  } else if (named.empty()) {
    // The first revision that has this transport; it knows no such header.
    out.handshake = mcp_revision::v2025_03_26;
  } else if (!known) {
    refuse(mcp_unsupported_revision,
           "protocol version " + quote(named) + " is not spoken here");
    out.refusal->at("error").as_object()["data"] = {
        {"supported", only_newest_mcp()},
        {"requested", to_valid_utf8(named.substr(0, 64))}};
  } else if (*known == newest_mcp_revision) {
    out.is_newest = true;
  } else {
    out.handshake = known;
  }
  return out;
}

// Clients take 404 for a session that is lost where there are handshakes.
inline unsigned mcp_status(std::optional<int> failed, bool is_newest) {
  if (!failed) return 200;
  const bool is_no_message =
      *failed == mcp_parse_error || *failed == mcp_invalid_request;
  if (!is_newest) return is_no_message ? 400 : 200;
  if (*failed == mcp_no_such_method) return 404;
  return *failed == mcp_internal_error ? 500 : 400;
}

inline std::vector<json::object> mcp_tools_of(const server_state& s,
                                              const caller& who) {
  std::vector<json::object> all;
  for (const auto& p : s.pipelines) {
    if (p->tool && pipeline_for(s, p->name, who)) all.push_back(*p->tool);
  }
  return all;
}

inline boost::asio::awaitable<void> respond_message(http_exchange& x,
                                                    unsigned status,
                                                    std::string body) {
  http_response r;
  r.status = status;
  if (body.empty()) r.content_type.clear();
  r.body = std::move(body);
  auto responding = x.respond(std::move(r));
  co_await std::move(responding);
}

inline std::string message_event(std::string_view line) {
  return "event: message\ndata: " + std::string(line) + "\n\n";
}

// Tells of each stage that has ended, once.
inline std::shared_ptr<request_trace> progress_trace(
    boost::asio::io_context& io, std::shared_ptr<mcp_session> session,
    std::uint64_t number, std::size_t n_stages,
    std::shared_ptr<followed_run> run) {
  auto trace = std::make_shared<request_trace>();
  const auto ended = std::make_shared<std::set<std::string>>();
  trace->on_event = [&io, session, number, n_stages, run,
                     ended](const trace_event& e) {
    if (!e.callers.empty() || e.outcome == trace_event::kind::failed) return;
    boost::asio::dispatch(
        io, [session, number, n_stages, run, ended, stage = e.call.stage] {
          if (!ended->insert(stage).second) return;
          const auto line = session->progress(number, ended->size(), n_stages,
                                              "stage " + stage + " has ended");
          if (line) run->leave(message_event(*line));
        });
  };
  return trace;
}

// The line that answers a call; none if it waits for others of its batch.
inline boost::asio::awaitable<std::optional<std::string>> run_tool(
    http_exchange& x, server_state& s, std::shared_ptr<mcp_session> session,
    mcp_call call, begun_late& stream) {
  const auto p = pipeline_for(s, call.tool, *x.request().from);
  auto inputs = p ? pipeline_inputs(**p, call.arguments)
                  : api_result<input_values>(p.error());
  if (!inputs) {
    co_return session->finish(call.number, mcp_failure(inputs.error().message));
  }
  auto entry = s.running.add(entry_of_run(x, **p));
  x.report().model = entry->model;
  const counted_run counted(x, *entry.operator->(), s.counts);
  const auto run = std::make_shared<followed_run>(*s.answers.io);
  run_options options = options_of_run(x, **p, entry->stop, s.answers, run, {});
  if (call.wants_progress) {
    options.trace = progress_trace(*s.answers.io, session, call.number,
                                   (*p)->compiled.graph().stages.size(), run);
  }
  auto following = follow(*s.answers.io, run, (*p)->compiled,
                          *std::move(inputs), std::move(options), stream);
  const auto done = co_await std::move(following);
  const auto& no = run->denied;
  co_return session->finish(
      call.number,
      no ? denied_result(done, no->stage, no->reason) : tool_result_of(done));
}

inline boost::asio::awaitable<void> run_tools(
    http_exchange& x, server_state& s, std::shared_ptr<mcp_session> session,
    mcp_step step) {
  auto taking = take_place(x, s);
  auto place = co_await std::move(taking);
  if (!place) {
    co_await respond_with(x, place.error());
    co_return;
  }
  // Events need a client that reads them.
  const bool reads_events = x.request().header("accept").find(
                                "text/event-stream") != std::string_view::npos;
  begun_late stream(x, "text/event-stream");
  std::string last;
  for (mcp_call& call : step.calls) {
    call.wants_progress = call.wants_progress && reads_events;
    auto running = run_tool(x, s, session, std::move(call), stream);
    if (auto line = co_await std::move(running)) last = *std::move(line);
    if (x.gone().cancelled()) co_return;
  }
  place->finish(std::chrono::steady_clock::now());
  if (!stream.begun) {
    auto responding = respond_message(x, 200, std::move(last));
    co_await std::move(responding);
    co_return;
  }
  auto writing = stream.write(message_event(last));
  if (co_await std::move(writing)) co_await x.end_stream();
}

inline boost::asio::awaitable<void> answer_mcp(http_exchange& x,
                                               server_state& s) {
  if (const auto no = not_serving(s)) {
    co_await respond_with(x, *no);
    co_return;
  }
  const http_request& r = x.request();
  constexpr mcp_limits limits;
  const auto message =
      parse_json(r.body, "message", {limits.max_line, limits.max_depth});
  const mcp_head head =
      read_mcp_head(r, message ? message->if_object() : nullptr);
  if (head.refusal) {
    auto refusing = respond_message(x, 400, json::serialize(*head.refusal));
    co_await std::move(refusing);
    co_return;
  }
  const auto session = std::make_shared<mcp_session>(
      TINYPHI_VERSION, mcp_tools_of(s, *r.from), limits);
  if (head.handshake) session->assume(*head.handshake);
  mcp_step step = session->take_whole(r.body);
  if (!step.calls.empty()) {
    auto running = run_tools(x, s, session, std::move(step));
    co_await std::move(running);
    co_return;
  }
  // What asks nothing is accepted, and has no answer.
  const bool has_answer = !step.lines.empty();
  auto responding = respond_message(
      x, has_answer ? mcp_status(step.failed, head.is_newest) : 202,
      has_answer ? std::move(step.lines.front()) : std::string());
  co_await std::move(responding);
}

}  // namespace detail

TINYPHI_FUNC void add_mcp_routes(router& to, server_state& s) {
  // It describes itself, by tools/list, and not in the document.
  to.add({"POST", "/mcp", route_access::key, s.max_body, error_form::openai,
          [&s](http_exchange& x, const std::vector<std::string>&) {
            return detail::answer_mcp(x, s);
          },
          [](std::string_view path) { return path == "/mcp"; }});
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_MCP_ROUTES_IPP_
