// SPDX-License-Identifier: MIT
// The Model Context Protocol from a client's side, without any input or output:
// bytes of a server become answers, and questions become messages for it. It
// asks first whether the server speaks the revision without a handshake, and
// shakes hands with those that do not.
#ifndef TINYPHI_PLUGINS_MCP_CLIENT_SESSION_H_
#define TINYPHI_PLUGINS_MCP_CLIENT_SESSION_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/base/json.h"
#include "tinyphi/base/mcp_revision.h"

TINYPHI_NAMESPACE_BEGIN
namespace mcp {

struct session_limits {
  std::size_t max_line = std::size_t{4} << 20;  // bytes, without the line's end
  std::size_t max_depth = 32;                   // of the JSON in a line
  std::size_t max_open = 64;      // requests that wait for an answer
  std::size_t max_batch = 64;     // messages in one line
  std::size_t max_pages = 16;     // of a listing,
  std::size_t max_tools = 128;    // all of them together,
  std::size_t max_cursor = 1024;  // and bytes of what names the next page
  std::size_t max_name = 128;     // bytes of a tool's name
  // Lines that are no messages, and answers that nobody waits for. One more
  // ends the session.
  std::size_t max_stray = 16;
  // How long a listing may be believed, whatever the server says.
  std::chrono::milliseconds longest_fresh{300'000};
};

// A tool as a server lists it.
struct listed_tool {
  std::string name;
  std::string description;
  json::value input;
  json::value output;  // null: it says nothing of it
};
struct tool_listing {
  std::vector<listed_tool> tools;          // by name; each name once
  std::chrono::milliseconds fresh_for{0};  // how long it may be believed
};

// What a tool has answered.
struct call_answer {
  bool is_error = false;  // the tool's own
  std::string text;       // what is no text is a line in brackets that names it
  std::optional<json::value> structured;
};

// For the server: JSON of one line, without the line's end.
struct outgoing {
  std::string text;
  std::string_view method = {};  // empty: an answer
  std::string name = {};         // of the tool that is called
  std::uint64_t number = 0;      // of the request; 0: it is none
};

// What bytes or questions have led to.
struct session_step {
  std::vector<outgoing> messages;  // to be sent, in this order
  std::vector<std::pair<std::uint64_t, result<call_answer>>> answers;
  std::optional<result<tool_listing>> listing;
  std::optional<error> failed;  // the session has ended; nothing follows
};

// One server. Whatever it sends, each call is answered at most once, and what
// is kept of it is bounded. Texts of the server in errors have no control
// characters and are cut.
class client_session {
 public:
  // `revision`: what is spoken, without asking first. A server that has been
  // silent is asked again in a session of newest_mcp_handshake.
  client_session(std::string version,
                 std::optional<mcp_revision> revision = std::nullopt,
                 const session_limits& limits = {});

  // What begins the session. It comes first, and once.
  [[nodiscard]] session_step begin();
  // The next bytes, cut anywhere.
  [[nodiscard]] session_step take(std::string_view bytes);
  // The same for one message, where the transport itself says where it ends.
  [[nodiscard]] session_step take_message(std::string_view text);

  // Whether it is still asked which revision it speaks; a server may be silent.
  [[nodiscard]] bool is_probing() const { return phase_ == phase::probing; }
  // Whether tools may be listed and called.
  [[nodiscard]] bool is_ready() const { return phase_ == phase::ready; }
  // Once it is ready.
  [[nodiscard]] mcp_revision revision() const { return revision_; }

  // Asks for all tools; not while a listing is under way. The answer is a
  // step's `listing`.
  [[nodiscard]] session_step list();
  [[nodiscard]] bool is_listing() const { return listing_.has_value(); }
  // Whether the server has said since list() that its tools are others now.
  [[nodiscard]] bool has_other_tools() const { return has_other_tools_; }

  // Calls a tool with `arguments`, an object. limit: too much is under way.
  [[nodiscard]] result<outgoing> call(std::string_view tool,
                                      json::object arguments);
  // Gives a call up: its answer is passed over. What the server is told.
  [[nodiscard]] std::optional<outgoing> cancel(std::uint64_t number,
                                               std::string_view reason);

  // What the server has sent that is no message, for errors: "; it has ...".
  [[nodiscard]] std::string stray() const;

 private:
  enum class phase : std::uint8_t { fresh, probing, shaking, ready, ended };
  enum class question : std::uint8_t { discover, handshake, list, call };

  [[nodiscard]] outgoing request(question q, std::string_view method,
                                 json::object params);
  void shake_hands(session_step& out);
  void ask_page(session_step& out);
  void take_line(std::string_view line, session_step& out);
  void take_one(const json::value& message, session_step& out);
  void take_request(const json::object& m, const json::value& id,
                    std::string_view method, session_step& out);
  void take_answer(const json::object& m, const json::value& id,
                   session_step& out);
  void take_discovery(const json::object* r, session_step& out);
  void take_handshake(const json::object& m, const json::object* r,
                      session_step& out);
  void take_page(const json::object& m, const json::object* r,
                 session_step& out);
  [[nodiscard]] result<void> add_tools(const json::array& page);
  [[nodiscard]] result<listed_tool> read_tool(const json::value& v) const;
  [[nodiscard]] result<call_answer> read_answer(const json::object& m,
                                                const json::object* r) const;
  [[nodiscard]] static result<void> check_result_type(const json::object& r);
  void note_stray(std::string_view line, std::string_view why,
                  session_step& out);
  void fail(error e, session_step& out);

  std::string version_;
  std::optional<mcp_revision> given_;
  session_limits limits_;
  phase phase_ = phase::fresh;
  mcp_revision revision_ = newest_mcp_revision;
  std::string line_;  // what has come of the next line
  std::uint64_t last_ = 0;
  std::map<std::uint64_t, question> open_;
  std::set<std::uint64_t> given_up_;  // the newest ones
  std::optional<tool_listing> listing_;
  std::size_t n_pages_ = 0;
  std::string cursor_;
  bool has_other_tools_ = false;
  std::size_t n_stray_ = 0;
  std::string first_stray_;
};

}  // namespace mcp
TINYPHI_NAMESPACE_END

#include "plugins/mcp/client_session.ipp"

#endif  // TINYPHI_PLUGINS_MCP_CLIENT_SESSION_H_
