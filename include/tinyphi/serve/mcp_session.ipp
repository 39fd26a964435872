// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_MCP_SESSION_IPP_
#define TINYPHI_SERVE_MCP_SESSION_IPP_

#include <algorithm>
#include <charconv>
#include <utility>

#include "tinyphi/base/utf8.h"
#include "tinyphi/pipeline/diagnostic.h"
#include "tinyphi/serve/mcp_session.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC mcp_result mcp_failure(std::string why) {
  return {.is_error = true, .texts = {std::move(why)}};
}

TINYPHI_FUNC mcp_session::mcp_session(std::string version,
                                      std::vector<json::object> tools,
                                      const mcp_limits& limits)
    : version_(std::move(version)), tools_(std::move(tools)), limits_(limits) {
  std::ranges::sort(tools_, {}, [](const json::object& tool) {
    return mcp_text(&tool, "name").value_or(std::string_view());
  });
}

TINYPHI_FUNC mcp_step mcp_session::take(std::string_view bytes) {
  mcp_step out;
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::string_view part = bytes.substr(0, end);
    const bool is_whole = end != std::string_view::npos;
    bytes.remove_prefix(is_whole ? end + 1 : bytes.size());
    if (!is_too_long_ && line_.size() + part.size() > limits_.max_line) {
      is_too_long_ = true;
      std::string().swap(line_);
      refuse(
          mcp_invalid_request,
          "a line of more than " + std::to_string(limits_.max_line) + " bytes",
          out);
    }
    if (!is_too_long_) line_ += part;
    if (!is_whole) break;
    if (!is_too_long_) take_line(line_, out);
    is_too_long_ = false;
    line_.clear();
  }
  return out;
}

TINYPHI_FUNC mcp_step mcp_session::take_whole(std::string_view message) {
  mcp_step out;
  take_line(message, out);
  return out;
}

TINYPHI_FUNC mcp_step mcp_session::end() {
  mcp_step out;
  if (!is_too_long_) take_line(line_, out);
  is_too_long_ = false;
  line_.clear();
  return out;
}

TINYPHI_FUNC void mcp_session::refuse(int code, std::string_view why,
                                      mcp_step& out) {
  out.failed = code;
  out.lines.push_back(json::serialize(mcp_error(nullptr, code, why)));
}

TINYPHI_FUNC void mcp_session::take_line(std::string_view line, mcp_step& out) {
  if (line.find_first_not_of(" \t\r\n") == std::string_view::npos) return;
  const auto message =
      parse_json(line, "message", {limits_.max_line, limits_.max_depth});
  if (!message) {
    return refuse(mcp_parse_error, message.error().message, out);
  }
  if (const auto* messages = message->if_array()) {
    return take_batch(*messages, out);
  }
  answer a = take_message(*message, 0, out);
  if (const auto* e = mcp_object(a ? &*a : nullptr, "error")) {
    out.failed = static_cast<int>(e->at("code").as_int64());
  }
  if (auto line_out = settle(0, std::move(a))) {
    out.lines.push_back(*std::move(line_out));
  }
}

// Only one revision has batches.
TINYPHI_FUNC void mcp_session::take_batch(const json::array& messages,
                                          mcp_step& out) {
  std::string wrong;
  if (agreed_ != mcp_revision::v2025_03_26) {
    wrong = "an array; a line is one message";
  } else if (messages.empty() || messages.size() > limits_.max_batch) {
    wrong = "a batch of " + std::to_string(messages.size()) +
            " messages; from 1 to " + std::to_string(limits_.max_batch) +
            " are allowed";
  }
  if (!wrong.empty()) {
    return refuse(mcp_invalid_request, wrong, out);
  }
  const std::size_t batch = ++n_batches_;
  // One more, so that it does not end before all of it has been read.
  batches_[batch].n_waiting = 1;
  for (const json::value& message : messages) {
    ++batches_[batch].n_waiting;
    const std::size_t n_calls = out.calls.size();
    answer a = take_message(message, batch, out);
    if (!a && out.calls.size() > n_calls) continue;  // it is waited for
    (void)settle(batch, std::move(a));
  }
  if (auto line = settle(batch, std::nullopt)) {
    out.lines.push_back(*std::move(line));
  }
}

TINYPHI_FUNC std::optional<std::string> mcp_session::settle(std::size_t batch,
                                                            answer a) {
  if (batch == 0) {
    if (!a) return std::nullopt;
    return json::serialize(*a);
  }
  const auto it = batches_.find(batch);
  open_batch& all = it->second;
  if (a) {
    const std::size_t most = limits_.max_line / 2;
    const std::size_t n = json::serialize(*a).size();
    if (all.n_bytes + n > most) {
      a = mcp_error(a->at("id"), mcp_internal_error,
                    "the answers of this batch have more than " +
                        std::to_string(most) + " bytes; ask for this alone");
    } else {
      all.n_bytes += n;
    }
    all.answers.push_back(*std::move(a));
  }
  if (--all.n_waiting > 0) return std::nullopt;
  std::optional<std::string> line;
  if (!all.answers.empty()) line = json::serialize(all.answers);
  batches_.erase(it);
  return line;
}

TINYPHI_FUNC mcp_session::answer mcp_session::take_message(
    const json::value& message, std::size_t batch, mcp_step& out) {
  const auto refuse = [](const json::value& id, std::string_view why) {
    return mcp_error(id, mcp_invalid_request, why);
  };
  const json::object* o = message.if_object();
  if (o == nullptr) return refuse(nullptr, "a message is an object");
  const json::value* id = mcp_member(o, "id");
  if (id != nullptr && (!is_mcp_id(*id) || !is_short(*id))) {
    return refuse(nullptr, "id must be an integer, or a text of at most " +
                               std::to_string(limits_.max_id_bytes) + " bytes");
  }
  const json::value known = id == nullptr ? json::value() : *id;
  if (mcp_text(o, "jsonrpc") != "2.0") {
    return refuse(known, R"(jsonrpc must be "2.0")");
  }
  const auto method = mcp_text(o, "method");
  if (!method) {
    // Nothing was asked of the client, so that no answer of it has a use.
    const bool is_answer =
        id != nullptr && (o->contains("result") || o->contains("error"));
    if (is_answer && !o->contains("method")) return std::nullopt;
    return refuse(known, "method must be a text");
  }
  if (id == nullptr) {
    take_notification(*method, mcp_object(o, "params"), out);
    return std::nullopt;
  }
  return take_request(*o, known, *method, batch, out);
}

TINYPHI_FUNC void mcp_session::take_notification(std::string_view method,
                                                 const json::object* params,
                                                 mcp_step& out) {
  if (method != "notifications/cancelled") return;
  const json::value* id = mcp_member(params, "requestId");
  if (id == nullptr) return;
  for (auto& [number, call] : open_) {
    if (call.is_cancelled || call.id != *id) continue;
    call.is_cancelled = true;
    out.cancelled.push_back(number);
  }
}

TINYPHI_FUNC mcp_session::answer mcp_session::take_request(
    const json::object& message, const json::value& id, std::string_view method,
    std::size_t batch, mcp_step& out) {
  if (is_open(id)) {
    return mcp_error(id, mcp_invalid_request,
                     "a request of this id has not been answered yet");
  }
  const json::value* given = message.if_contains("params");
  if (given != nullptr && !given->is_object()) {
    return mcp_error(id, mcp_invalid_params, "params must be an object");
  }
  const json::object* params = given == nullptr ? nullptr : given->if_object();
  request r{id, method, params, newest_mcp_revision, batch};
  if (method == "initialize") return initialize(r);
  const json::object* meta = mcp_object(params, "_meta");
  if (mcp_member(meta, mcp_revision_key) == nullptr) {
    if (agreed_) {
      r.revision = *agreed_;
      return dispatch(r, out);
    }
    // A client may ask this before the handshake.
    if (method == "ping") return success(id, newest_mcp_handshake, {});
  }
  if (auto no = check_meta(id, meta)) return no;
  return dispatch(r, out);
}

TINYPHI_FUNC mcp_session::answer mcp_session::check_meta(
    const json::value& id, const json::object* meta) const {
  const auto refuse = [&](std::string_view key, std::string_view what) {
    return mcp_error(id, mcp_invalid_params,
                     "params._meta must have \"" + std::string(key) + "\", " +
                         std::string(what) +
                         "; a client of an older revision begins with "
                         "initialize");
  };
  const auto revision = mcp_text(meta, mcp_revision_key);
  if (!revision) return refuse(mcp_revision_key, "a text");
  if (*revision != to_string(newest_mcp_revision)) {
    const std::string_view told = revision->substr(0, limits_.max_id_bytes);
    json::object error = mcp_error(
        id, mcp_unsupported_revision,
        "protocol version " + quote(*revision) + " is not spoken here");
    error["error"].get_object()["data"] = {
        {"supported", only_newest_mcp()},
        {"requested",
         json::string_view(told.substr(0, complete_utf8_length(told)))}};
    return error;
  }
  if (mcp_object(meta, mcp_capabilities_key) == nullptr) {
    return refuse(mcp_capabilities_key, "an object");
  }
  return std::nullopt;
}

TINYPHI_FUNC mcp_session::answer mcp_session::dispatch(const request& r,
                                                       mcp_step& out) {
  if (r.method == "tools/list") return list_tools(r);
  if (r.method == "tools/call") return call_tool(r, out);
  const bool has_handshake = r.revision != newest_mcp_revision;
  if (r.method == "ping" && has_handshake) {
    return success(r.id, r.revision, {});
  }
  if (r.method == "server/discover" && !has_handshake) {
    return success(r.id, r.revision,
                   {{"supportedVersions", only_newest_mcp()},
                    {"capabilities", {{"tools", json::object()}}},
                    {"ttlMs", mcp_ttl_ms},
                    {"cacheScope", "private"}});
  }
  return mcp_error(r.id, mcp_no_such_method,
                   "no method " + quote(r.method) + " in revision " +
                       std::string(to_string(r.revision)));
}

TINYPHI_FUNC mcp_session::answer mcp_session::initialize(const request& r) {
  const auto refuse = [&](int code, std::string_view why) {
    return mcp_error(r.id, code, why);
  };
  if (r.batch != 0) {
    return refuse(mcp_invalid_request,
                  "initialize must not be part of a batch");
  }
  const auto wanted = mcp_text(r.params, "protocolVersion");
  if (!wanted) {
    return refuse(mcp_invalid_params, "params.protocolVersion must be a text");
  }
  agreed_ = find_mcp_revision(*wanted).value_or(newest_mcp_handshake);
  if (agreed_ == newest_mcp_revision) agreed_ = newest_mcp_handshake;
  return success(
      r.id, *agreed_,
      {{"protocolVersion", json::string_view(to_string(*agreed_))},
       {"capabilities", {{"tools", json::object()}}},
       {"serverInfo", {{"name", "tinyphi"}, {"version", version_}}}});
}

TINYPHI_FUNC mcp_session::answer mcp_session::list_tools(
    const request& r) const {
  std::size_t first = 0;
  if (const json::value* given = mcp_member(r.params, "cursor")) {
    // A cursor is where its page begins.
    const auto cursor = mcp_text(r.params, "cursor").value_or("");
    const char* end = cursor.data() + cursor.size();
    const auto read = std::from_chars(cursor.data(), end, first);
    if (!given->is_string() || read.ec != std::errc() || read.ptr != end ||
        first >= tools_.size()) {
      return mcp_error(r.id, mcp_invalid_params,
                       "params.cursor is none that was given");
    }
  }
  json::array page;
  std::size_t next = first, n_bytes = 0;
  for (; next < tools_.size() && page.size() < limits_.max_page; ++next) {
    json::object tool = tools_[next];
    if (r.revision < mcp_revision::v2025_06_18) tool.erase("outputSchema");
    if (r.revision < mcp_revision::v2025_03_26) tool.erase("annotations");
    n_bytes += json::serialize(tool).size();
    if (!page.empty() && n_bytes > limits_.max_page_bytes) break;
    page.push_back(std::move(tool));
  }
  json::object list{{"tools", std::move(page)}};
  if (next < tools_.size()) list["nextCursor"] = std::to_string(next);
  if (r.revision == newest_mcp_revision) {
    list["ttlMs"] = mcp_ttl_ms;
    list["cacheScope"] = "private";
  }
  return success(r.id, r.revision, std::move(list));
}

TINYPHI_FUNC mcp_session::answer mcp_session::call_tool(const request& r,
                                                        mcp_step& out) {
  const auto refuse = [&](std::string_view why) {
    return mcp_error(r.id, mcp_invalid_params, why);
  };
  const auto name = mcp_text(r.params, "name");
  if (!name) return refuse("params.name must be a text");
  const json::value* given = mcp_member(r.params, "arguments");
  if (given != nullptr && !given->is_object() && !given->is_null()) {
    return refuse("params.arguments must be an object");
  }
  const json::value* token =
      mcp_member(mcp_object(r.params, "_meta"), "progressToken");
  if (token != nullptr && (!is_mcp_id(*token) || !is_short(*token))) {
    return refuse("params._meta.progressToken must be an integer, or a text " +
                  std::string("of at most ") +
                  std::to_string(limits_.max_id_bytes) + " bytes");
  }
  open_call c{r.id, r.revision, token == nullptr ? json::value() : *token, 0,
              r.batch};
  std::vector<std::string_view> names;
  for (const json::object& tool : tools_) {
    names.push_back(mcp_text(&tool, "name").value_or(""));
  }
  std::string wrong;
  if (std::ranges::find(names, *name) == names.end()) {
    wrong = "no tool " + quote(*name) + did_you_mean(*name, names);
  } else if (open_.size() >= limits_.max_calls) {
    wrong = std::to_string(open_.size()) +
            " calls are under way, as many as may be; wait for one to end";
  }
  if (!wrong.empty()) {
    return success(r.id, r.revision, result_of(c, mcp_failure(wrong)));
  }
  mcp_call call{++n_calls_, std::string(*name), {}, token != nullptr};
  if (given != nullptr && given->is_object()) {
    call.arguments = given->get_object();
  }
  open_.emplace(call.number, std::move(c));
  out.calls.push_back(std::move(call));
  return std::nullopt;
}

TINYPHI_FUNC bool mcp_session::is_open(const json::value& id) const {
  return std::ranges::any_of(open_, [&](const auto& entry) {
    return !entry.second.is_cancelled && entry.second.id == id;
  });
}

TINYPHI_FUNC bool mcp_session::is_short(const json::value& id) const {
  return !id.is_string() || id.get_string().size() <= limits_.max_id_bytes;
}

TINYPHI_FUNC json::object mcp_session::result_of(const open_call& c,
                                                 const mcp_result& r) const {
  json::array content;
  for (const std::string& text : r.texts) {
    content.push_back({{"type", "text"}, {"text", text}});
  }
  json::object result{{"content", std::move(content)}, {"isError", r.is_error}};
  if (r.structured && c.revision >= mcp_revision::v2025_06_18) {
    result["structuredContent"] = *r.structured;
  }
  return result;
}

TINYPHI_FUNC json::object mcp_session::success(const json::value& id,
                                               mcp_revision revision,
                                               json::object result) const {
  if (revision == newest_mcp_revision) {
    result["resultType"] = "complete";
    result["_meta"] = {{json::string_view(mcp_server_key),
                        {{"name", "tinyphi"}, {"version", version_}}}};
  }
  return {{"jsonrpc", "2.0"}, {"id", id}, {"result", std::move(result)}};
}

TINYPHI_FUNC std::optional<std::string> mcp_session::progress(
    std::uint64_t call, std::size_t done, std::size_t all,
    std::string_view message) {
  const auto it = open_.find(call);
  if (it == open_.end() || it->second.is_cancelled ||
      it->second.progress_token.is_null() || done <= it->second.progress) {
    return std::nullopt;
  }
  open_call& c = it->second;
  c.progress = done;
  json::object params{
      {"progressToken", c.progress_token}, {"progress", done}, {"total", all}};
  if (c.revision >= mcp_revision::v2025_03_26) {
    params["message"] = json::string_view(message);
  }
  return json::serialize(json::object{{"jsonrpc", "2.0"},
                                      {"method", "notifications/progress"},
                                      {"params", std::move(params)}});
}

TINYPHI_FUNC std::optional<std::string> mcp_session::finish(
    std::uint64_t call, const mcp_result& r) {
  const auto it = open_.find(call);
  if (it == open_.end()) return std::nullopt;
  const open_call c = std::move(it->second);
  open_.erase(it);
  if (c.is_cancelled) return settle(c.batch, std::nullopt);
  answer a = success(c.id, c.revision, result_of(c, r));
  if (const std::size_t n = json::serialize(*a).size(); n > limits_.max_line) {
    a = success(c.id, c.revision,
                result_of(c, mcp_failure("the answer has " + std::to_string(n) +
                                         " bytes, a message at most " +
                                         std::to_string(limits_.max_line))));
  }
  return settle(c.batch, std::move(a));
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_MCP_SESSION_IPP_
