// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PLUGINS_MCP_CLIENT_SESSION_IPP_
#define TINYPHI_PLUGINS_MCP_CLIENT_SESSION_IPP_

#include <algorithm>

#include "plugins/mcp/client_session.h"
#include "tinyphi/base/mcp_message.h"
#include "tinyphi/base/utf8.h"

TINYPHI_NAMESPACE_BEGIN
namespace mcp {

namespace detail {

// One line, as a person may read it, in quotes.
inline std::string shown(std::string_view foreign, std::size_t most = 200) {
  std::string line =
      to_valid_utf8(foreign.substr(0, std::min(foreign.size(), 4 * most)));
  const bool is_cut = line.size() > most || foreign.size() > 4 * most;
  if (line.size() > most) {
    line.resize(complete_utf8_length(std::string_view(line).substr(0, most)));
  }
  hide_controls(line);
  return "'" + line + (is_cut ? "...'" : "'");
}

inline error bad(std::string why) {
  return error{error_code::bad_data, std::move(why)};
}

// What an answer that is an error says.
inline error told_error(const json::object& m) {
  const json::object* e = mcp_object(&m, "error");
  const json::value* code = mcp_member(e, "code");
  const bool is_ours = code != nullptr && code->is_int64() &&
                       code->get_int64() == mcp_invalid_params;
  return {is_ours ? error_code::invalid_argument : error_code::io,
          "says " + shown(mcp_text(e, "message").value_or("an error"), 500)};
}

}  // namespace detail

inline client_session::client_session(std::string version,
                                      std::optional<mcp_revision> revision,
                                      const session_limits& limits)
    : version_(std::move(version)), given_(revision), limits_(limits) {}

inline session_step client_session::begin() {
  session_step out;
  if (given_ == newest_mcp_revision) {
    phase_ = phase::ready;
  } else if (given_) {
    shake_hands(out);
  } else {
    phase_ = phase::probing;
    out.messages.push_back(request(question::discover, "server/discover", {}));
  }
  return out;
}

inline outgoing client_session::request(question q, std::string_view method,
                                        json::object params) {
  const std::uint64_t id = ++last_;
  open_.emplace(id, q);
  const json::object client{{"name", "tinyphi"}, {"version", version_}};
  if (q == question::handshake) {
    params["clientInfo"] = client;
    params["capabilities"] = json::object();
  } else if (revision_ == newest_mcp_revision) {
    params["_meta"] = {
        {json::string_view(mcp_revision_key),
         json::string_view(to_string(revision_))},
        {json::string_view(mcp_client_key), client},
        {json::string_view(mcp_capabilities_key), json::object()}};
  }
  json::object m{
      {"jsonrpc", "2.0"}, {"id", id}, {"method", json::string_view(method)}};
  if (!params.empty()) m["params"] = std::move(params);
  return {json::serialize(m), method, {}, id};
}

inline void client_session::shake_hands(session_step& out) {
  phase_ = phase::shaking;
  revision_ = given_.value_or(newest_mcp_handshake);
  out.messages.push_back(
      request(question::handshake, "initialize",
              {{"protocolVersion", json::string_view(to_string(revision_))}}));
}

inline session_step client_session::list() {
  session_step out;
  listing_.emplace();
  n_pages_ = 0;
  cursor_.clear();
  has_other_tools_ = false;
  ask_page(out);
  return out;
}

inline void client_session::ask_page(session_step& out) {
  ++n_pages_;
  json::object params;
  if (!cursor_.empty()) params["cursor"] = cursor_;
  out.messages.push_back(
      request(question::list, "tools/list", std::move(params)));
}

inline result<outgoing> client_session::call(std::string_view tool,
                                             json::object arguments) {
  if (open_.size() >= limits_.max_open) {
    return error{error_code::limit, std::to_string(open_.size()) +
                                        " requests wait for an answer, as "
                                        "many as may"};
  }
  outgoing m = request(
      question::call, "tools/call",
      {{"name", json::string_view(tool)}, {"arguments", std::move(arguments)}});
  m.name = tool;
  if (m.text.size() <= limits_.max_line) return m;
  open_.erase(m.number);
  return error{error_code::limit,
               "the arguments make a message of " +
                   std::to_string(m.text.size()) + " bytes, at most " +
                   std::to_string(limits_.max_line) + " are allowed"};
}

inline std::optional<outgoing> client_session::cancel(std::uint64_t number,
                                                      std::string_view reason) {
  if (open_.erase(number) == 0) return std::nullopt;
  given_up_.insert(number);
  constexpr std::size_t most = 256;
  if (given_up_.size() > most) given_up_.erase(given_up_.begin());
  const json::object m{
      {"jsonrpc", "2.0"},
      {"method", "notifications/cancelled"},
      {"params",
       {{"requestId", number}, {"reason", json::string_view(reason)}}}};
  return outgoing{json::serialize(m), "notifications/cancelled"};
}

inline session_step client_session::take(std::string_view bytes) {
  session_step out;
  while (!bytes.empty() && phase_ != phase::ended) {
    const std::size_t end = bytes.find('\n');
    const std::string_view part = bytes.substr(0, end);
    const bool is_whole = end != std::string_view::npos;
    bytes.remove_prefix(is_whole ? end + 1 : bytes.size());
    if (line_.size() + part.size() > limits_.max_line) {
      fail({error_code::limit, "it sends a line of more than " +
                                   std::to_string(limits_.max_line) + " bytes"},
           out);
      break;
    }
    line_ += part;
    if (!is_whole) break;
    const std::string line = std::exchange(line_, {});
    take_line(line, out);
  }
  return out;
}

inline session_step client_session::take_message(std::string_view message) {
  session_step out;
  if (phase_ == phase::ended) return out;
  if (message.size() > limits_.max_line) {
    fail({error_code::limit, "it sends a message of more than " +
                                 std::to_string(limits_.max_line) + " bytes"},
         out);
  } else {
    take_line(message, out);
  }
  return out;
}

inline void client_session::take_line(std::string_view line,
                                      session_step& out) {
  const std::size_t first = line.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return;
  const auto message =
      parse_json(line, "message", {limits_.max_line, limits_.max_depth});
  if (!message) {
    // What is meant to be a message may be the answer that somebody waits for.
    if (line[first] == '{') {
      return fail(detail::bad("it sends " + detail::shown(line, 60) + ": " +
                              message.error().message),
                  out);
    }
    return note_stray(line, "is no message", out);
  }
  const auto* batch = message->if_array();
  const bool may_be_batch =
      phase_ == phase::ready && revision_ == mcp_revision::v2025_03_26;
  if (batch == nullptr) return take_one(*message, out);
  if (!may_be_batch || batch->size() > limits_.max_batch) {
    return note_stray(line, "is no message", out);
  }
  for (const json::value& one : *batch) {
    if (phase_ != phase::ended) take_one(one, out);
  }
}

inline void client_session::take_one(const json::value& message,
                                     session_step& out) {
  const json::object* m = message.if_object();
  if (m == nullptr || mcp_text(m, "jsonrpc") != "2.0") {
    return note_stray(json::serialize(message), "is no message", out);
  }
  const json::value* id = mcp_member(m, "id");
  if (const auto method = mcp_text(m, "method")) {
    if (id != nullptr) return take_request(*m, *id, *method, out);
    if (*method == "notifications/tools/list_changed") has_other_tools_ = true;
    return;
  }
  if (id == nullptr || m->contains("result") == m->contains("error")) {
    return note_stray(json::serialize(message), "is no message", out);
  }
  take_answer(*m, *id, out);
}

// Nothing was offered to servers, but for those before the newest revision
// that a ping is answered.
inline void client_session::take_request(const json::object& m,
                                         const json::value& id,
                                         std::string_view method,
                                         session_step& out) {
  constexpr std::size_t longest_id = 1024;
  const bool is_id = id.is_int64() || id.is_uint64() ||
                     (id.is_string() && id.get_string().size() <= longest_id);
  if (!is_id) {
    return note_stray(json::serialize(m), "is no message", out);
  }
  json::object answer{{"jsonrpc", "2.0"}, {"id", id}};
  const bool is_old =
      phase_ == phase::shaking || revision_ != newest_mcp_revision;
  if (method == "ping" && is_old) {
    answer["result"] = json::object();
  } else {
    answer["error"] = {{"code", mcp_no_such_method},
                       {"message", "this client has no methods"}};
  }
  out.messages.push_back({json::serialize(answer)});
}

inline void client_session::take_answer(const json::object& m,
                                        const json::value& id,
                                        session_step& out) {
  std::uint64_t number = 0;
  if (id.is_int64() && id.get_int64() > 0) {
    number = static_cast<std::uint64_t>(id.get_int64());
  }
  const auto it = open_.find(number);
  if (it == open_.end()) {
    if (given_up_.erase(number) > 0) return;
    return note_stray(json::serialize(m), "answers nothing that was asked",
                      out);
  }
  const question asked = it->second;
  open_.erase(it);
  const json::value* r = mcp_member(&m, "result");
  const json::object* o = r == nullptr ? nullptr : r->if_object();
  switch (asked) {
    case question::discover:
      return take_discovery(o, out);
    case question::handshake:
      return take_handshake(m, o, out);
    case question::list:
      return take_page(m, o, out);
    case question::call:
      out.answers.emplace_back(number, read_answer(m, o));
  }
}

// Whatever else it may be that answers so: it has no revision that begins
// without a handshake.
inline void client_session::take_discovery(const json::object* r,
                                           session_step& out) {
  const json::value* all = mcp_member(r, "supportedVersions");
  const json::array* names = all == nullptr ? nullptr : all->if_array();
  const std::string_view newest = to_string(newest_mcp_revision);
  const auto is_newest = [&](const json::value& v) {
    return v.is_string() && v.get_string() == json::string_view(newest);
  };
  if (names == nullptr || std::ranges::none_of(*names, is_newest)) {
    return shake_hands(out);
  }
  phase_ = phase::ready;
}

inline void client_session::take_handshake(const json::object& m,
                                           const json::object* r,
                                           session_step& out) {
  if (m.contains("error")) {
    return fail(detail::told_error(m).within("it refuses the handshake"), out);
  }
  const auto name = mcp_text(r, "protocolVersion");
  const auto agreed = find_mcp_revision(name.value_or(""));
  if (!agreed || *agreed == newest_mcp_revision) {
    std::string known;
    for (const std::string_view one : mcp_revision_names) {
      known.append(known.empty() ? "" : ", ").append(one);
    }
    return fail({error_code::unsupported,
                 "it shakes hands on revision " +
                     (name ? detail::shown(*name, 40) : "without a name") +
                     "; spoken are " + known},
                out);
  }
  revision_ = *agreed;
  phase_ = phase::ready;
  const json::object told{{"jsonrpc", "2.0"},
                          {"method", "notifications/initialized"}};
  out.messages.push_back({json::serialize(told), "notifications/initialized"});
}

inline result<void> client_session::check_result_type(const json::object& r) {
  const json::value* type = mcp_member(&r, "resultType");
  if (type == nullptr) return {};  // of older servers
  const auto name = mcp_text(&r, "resultType").value_or("");
  if (name == "complete") return {};
  if (name == "input_required") {
    return error{error_code::unsupported,
                 "it asks for more input, which nobody has offered"};
  }
  return detail::bad("its answer is of the unknown type " +
                     detail::shown(name, 40));
}

inline void client_session::take_page(const json::object& m,
                                      const json::object* r,
                                      session_step& out) {
  if (!listing_) return;
  const auto give_up = [&](error e) {
    listing_.reset();
    out.listing = std::move(e).within("its listing of tools");
  };
  if (m.contains("error")) return give_up(detail::told_error(m));
  const json::value* page = mcp_member(r, "tools");
  if (page == nullptr || !page->is_array()) {
    return give_up(detail::bad("has no list \"tools\""));
  }
  if (auto ok = check_result_type(*r); !ok) {
    return give_up(std::move(ok).error());
  }
  if (auto ok = add_tools(page->get_array()); !ok) {
    return give_up(std::move(ok).error());
  }
  const json::value* ttl = mcp_member(r, "ttlMs");
  if (ttl != nullptr && ttl->is_int64() && ttl->get_int64() > 0 &&
      revision_ == newest_mcp_revision) {
    const std::chrono::milliseconds told(std::min<std::int64_t>(
        ttl->get_int64(), limits_.longest_fresh.count()));
    listing_->fresh_for =
        n_pages_ == 1 ? told : std::min(told, listing_->fresh_for);
  } else {
    listing_->fresh_for = {};
  }
  const json::value* next = mcp_member(r, "nextCursor");
  if (next != nullptr && !next->is_null()) {
    cursor_ = mcp_text(r, "nextCursor").value_or("");
    if (cursor_.empty() || cursor_.size() > limits_.max_cursor) {
      return give_up(detail::bad("nextCursor must be a text of 1 to " +
                                 std::to_string(limits_.max_cursor) +
                                 " bytes"));
    }
    if (n_pages_ == limits_.max_pages) {
      return give_up({error_code::limit,
                      "has more than " + std::to_string(n_pages_) + " pages"});
    }
    return ask_page(out);
  }
  out.listing = std::move(*listing_);
  listing_.reset();
}

inline result<void> client_session::add_tools(const json::array& page) {
  for (const json::value& v : page) {
    auto& all = listing_->tools;
    if (all.size() == limits_.max_tools) {
      return error{error_code::limit,
                   "has more than " + std::to_string(all.size()) + " tools"};
    }
    TINYPHI_TRY(listed_tool tool, read_tool(v));
    const auto at =
        std::ranges::lower_bound(all, tool.name, {}, &listed_tool::name);
    if (at != all.end() && at->name == tool.name) {
      return detail::bad("has the tool " + detail::shown(tool.name) + " twice");
    }
    all.insert(at, std::move(tool));
  }
  return {};
}

inline result<listed_tool> client_session::read_tool(
    const json::value& v) const {
  const json::object* o = v.if_object();
  const auto name = mcp_text(o, "name").value_or("");
  if (name.empty() || name.size() > limits_.max_name) {
    return detail::bad("has a tool without a name of 1 to " +
                       std::to_string(limits_.max_name) + " bytes");
  }
  const auto wrong = [&](std::string_view what) {
    return detail::bad("tool " + detail::shown(name) + ": " +
                       std::string(what));
  };
  listed_tool tool;
  tool.name = name;
  const json::value* described = mcp_member(o, "description");
  if (described != nullptr && !described->is_null()) {
    if (!described->is_string()) return wrong("description must be a text");
    tool.description = *mcp_text(o, "description");
  }
  if (mcp_object(o, "inputSchema") == nullptr) {
    return wrong("inputSchema must be an object");
  }
  tool.input = *mcp_member(o, "inputSchema");
  const json::value* output = mcp_member(o, "outputSchema");
  if (output != nullptr && !output->is_null()) {
    if (!output->is_object()) return wrong("outputSchema must be an object");
    tool.output = *output;
  }
  return tool;
}

inline result<call_answer> client_session::read_answer(
    const json::object& m, const json::object* r) const {
  if (m.contains("error")) return detail::told_error(m);
  if (r == nullptr) return detail::bad("its result is no object");
  TINYPHI_CHECK_OK(check_result_type(*r));
  call_answer answer;
  if (const json::value* is_error = mcp_member(r, "isError")) {
    if (!is_error->is_bool()) return detail::bad("isError is no boolean");
    answer.is_error = is_error->get_bool();
  }
  const json::value* content = mcp_member(r, "content");
  if (content != nullptr && !content->is_array()) {
    return detail::bad("its content is no list");
  }
  const json::array none;
  for (const json::value& v : content ? content->get_array() : none) {
    const json::object* part = v.if_object();
    const auto type = mcp_text(part, "type");
    if (!type) return detail::bad("a part of its content has no type");
    if (!answer.text.empty()) answer.text += '\n';
    if (const auto said = mcp_text(part, "text"); *type == "text" && said) {
      answer.text += *said;
      continue;
    }
    const json::object* resource = mcp_object(part, "resource");
    std::string name;
    for (const auto& told : {mcp_text(part, "mimeType"), mcp_text(part, "uri"),
                             mcp_text(resource, "uri")}) {
      if (told) name += " " + detail::shown(*told, 200);
    }
    answer.text += "[" + detail::shown(*type, 40) + name + " left out]";
  }
  if (const json::value* v = mcp_member(r, "structuredContent");
      v != nullptr && !v->is_null()) {
    answer.structured = *v;
  }
  return answer;
}

inline void client_session::note_stray(std::string_view line,
                                       std::string_view why,
                                       session_step& out) {
  if (n_stray_++ == 0) {
    first_stray_ = detail::shown(line, 60) + " " + std::string(why);
  }
  if (n_stray_ <= limits_.max_stray) return;
  fail(
      detail::bad("it has sent more than " + std::to_string(limits_.max_stray) +
                  " lines that say nothing; the first, " + first_stray_),
      out);
}

inline std::string client_session::stray() const {
  if (n_stray_ == 0) return {};
  return "; it has sent " +
         (n_stray_ == 1 ? "a line that says"
                        : std::to_string(n_stray_) + " lines that say") +
         " nothing: " + first_stray_;
}

inline void client_session::fail(error e, session_step& out) {
  phase_ = phase::ended;
  line_ = {};
  open_.clear();
  listing_.reset();
  out.failed = std::move(e);
}

}  // namespace mcp
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_MCP_CLIENT_SESSION_IPP_
