// SPDX-License-Identifier: MIT
// The Model Context Protocol from a server's side, without any input or output:
// bytes of a client become answers and calls of tools. It speaks the revision
// whose requests each say what they are (2026-07-28), and those that begin with
// a handshake (2024-11-05 to 2025-11-25).
#ifndef TINYPHI_SERVE_MCP_SESSION_H_
#define TINYPHI_SERVE_MCP_SESSION_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/base/json.h"
#include "tinyphi/base/mcp_message.h"
#include "tinyphi/base/mcp_revision.h"

TINYPHI_NAMESPACE_BEGIN

struct mcp_limits {
  std::size_t max_line = std::size_t{4} << 20;  // bytes, without the line's end
  std::size_t max_depth = 32;                   // of the JSON in a line
  std::size_t max_calls = 64;                   // that run at once
  std::size_t max_batch = 64;                   // messages in one line
  std::size_t max_id_bytes = 1024;              // of an id, of a progressToken
  // Of a page of the list of tools; at least one tool is on each.
  std::size_t max_page = 64;
  std::size_t max_page_bytes = std::size_t{1} << 20;
};

// A tool that is to run.
struct mcp_call {
  std::uint64_t number = 0;  // names the call until it has ended
  std::string tool;          // one of the session's
  json::object arguments;
  bool wants_progress = false;
};

// What a tool has given, or why it has not.
struct mcp_result {
  bool is_error = false;
  std::vector<std::string> texts;  // UTF-8
  std::optional<json::object> structured = {};
};
[[nodiscard]] mcp_result mcp_failure(std::string why);

// What bytes have led to. Lines are messages without their ends.
struct mcp_step {
  std::vector<std::string> lines;        // to be sent, in this order
  std::vector<mcp_call> calls;           // to begin
  std::vector<std::uint64_t> cancelled;  // to end; they are not answered
  std::optional<int> failed = {};  // the code of the last line that refuses
};

// One client. Whatever it sends, each request is answered once, unless it is
// cancelled; answers are JSON of one line and at most max_line bytes.
class mcp_session {
 public:
  // What tools/list says of tools, each with another "name" and of at most
  // max_page_bytes.
  mcp_session(std::string version, std::vector<json::object> tools,
              const mcp_limits& limits = {});

  // The next bytes, cut anywhere.
  [[nodiscard]] mcp_step take(std::string_view bytes);
  // The same of one message that is whole.
  [[nodiscard]] mcp_step take_whole(std::string_view message);
  // As if a handshake had agreed on this revision.
  void assume(mcp_revision r) { agreed_ = r; }
  // No more will come: what stands behind the last line's end is a line.
  [[nodiscard]] mcp_step end();

  // Says that `done` of `all` parts of a call are done. Nothing if the client
  // does not want to know or knows already, or if the call has ended.
  [[nodiscard]] std::optional<std::string> progress(std::uint64_t call,
                                                    std::size_t done,
                                                    std::size_t all,
                                                    std::string_view message);
  // The line to be sent when a call has ended; none if it was cancelled, or if
  // it waits for others of its batch.
  [[nodiscard]] std::optional<std::string> finish(std::uint64_t call,
                                                  const mcp_result& r);
  // Calls that have not ended, cancelled ones among them.
  [[nodiscard]] std::size_t n_running() const { return open_.size(); }

 private:
  // A call that runs.
  struct open_call {
    json::value id;
    mcp_revision revision;
    json::value progress_token;  // null: none
    std::size_t progress = 0;    // as the client knows it
    std::size_t batch = 0;       // 0: none
    bool is_cancelled = false;
  };
  // Messages that came in one line and are answered in one.
  struct open_batch {
    json::array answers;
    std::size_t n_bytes = 0;
    std::size_t n_waiting = 0;
  };
  // A request that is well formed.
  struct request {
    json::value id;
    std::string_view method;
    const json::object* params;  // null: none
    mcp_revision revision;
    std::size_t batch;
  };
  // The JSON-RPC message that answers; nothing: a call has begun, or nothing
  // was asked.
  using answer = std::optional<json::object>;

  static void refuse(int code, std::string_view why, mcp_step& out);
  void take_line(std::string_view line, mcp_step& out);
  void take_batch(const json::array& messages, mcp_step& out);
  answer take_message(const json::value& message, std::size_t batch,
                      mcp_step& out);
  answer take_request(const json::object& message, const json::value& id,
                      std::string_view method, std::size_t batch,
                      mcp_step& out);
  answer dispatch(const request& r, mcp_step& out);
  void take_notification(std::string_view method, const json::object* params,
                         mcp_step& out);
  answer initialize(const request& r);
  answer list_tools(const request& r) const;
  answer call_tool(const request& r, mcp_step& out);

  // Why the request is none of the newest revision; nothing: it is.
  [[nodiscard]] answer check_meta(const json::value& id,
                                  const json::object* params) const;
  [[nodiscard]] bool is_open(const json::value& id) const;
  [[nodiscard]] bool is_short(const json::value& id) const;
  [[nodiscard]] json::object result_of(const open_call& c,
                                       const mcp_result& r) const;
  [[nodiscard]] json::object success(const json::value& id,
                                     mcp_revision revision,
                                     json::object result) const;
  // The line for an answer; nothing if the batch waits for more.
  std::optional<std::string> settle(std::size_t batch, answer a);

  std::string version_;
  std::vector<json::object> tools_;  // by name
  mcp_limits limits_;
  std::string line_;          // what has come of the next line
  bool is_too_long_ = false;  // that line; the rest of it is passed over
  std::optional<mcp_revision> agreed_;  // by a handshake
  std::map<std::uint64_t, open_call> open_;
  std::map<std::size_t, open_batch> batches_;
  std::uint64_t n_calls_ = 0;
  std::size_t n_batches_ = 0;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/mcp_session.ipp"
#endif

#endif  // TINYPHI_SERVE_MCP_SESSION_H_
