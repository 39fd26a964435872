// SPDX-License-Identifier: MIT
// A server that is asked over HTTP: a request for each message, on a connection
// of its own, whose answer is one message or a stream of events.
#ifndef TINYPHI_PLUGINS_MCP_HTTP_SERVER_H_
#define TINYPHI_PLUGINS_MCP_HTTP_SERVER_H_

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/http_fetch/client.h"
#include "plugins/mcp/event_lines.h"
#include "plugins/mcp/tool_server.h"
#include "tinyphi/base/ascii.h"
#include "tinyphi/base/base64.h"
#include "tinyphi/base/mcp_message.h"
#include "tinyphi/version.h"

TINYPHI_NAMESPACE_BEGIN
namespace mcp {

struct http_place {
  web::web_url url;
  web::destination where = web::destination::public_only;
  std::string fields = {};  // "Name: value\r\n", each as it is sent
};

class http_server final : public tool_server {
 public:
  http_server(http_place place, std::optional<mcp_revision> revision,
              web::web_client::options o = {})
      : place_(std::move(place)), revision_(revision), client_(std::move(o)) {}
  http_server(const http_server&) = delete;
  http_server& operator=(const http_server&) = delete;
  // Says goodbye, where there is a session to leave.
  ~http_server() override {
    if (!talk_ || talk_->id.empty()) return;
    web::web_request r{.url = place_.url, .where = place_.where};
    r.method = "DELETE";
    r.fields = place_.fields + version_field(talk_->session->revision()) +
               "Mcp-Session-Id: " + talk_->id + "\r\n";
    stop_condition stop;
    stop.deadline = clock::now() + std::chrono::seconds(1);
    (void)fetch(std::move(r), stop);
  }

  [[nodiscard]] result<tool_listing> list(const stop_condition& stop) override {
    TINYPHI_TRY(const auto t, ready_talk(stop));
    return t.listing;
  }

  // A session that the server has lost is begun again, once.
  [[nodiscard]] result<call_answer> call(const pinned_tool& tool,
                                         json::object arguments,
                                         const stop_condition& stop) override {
    auto answer = call_once(tool, arguments, stop);
    if (answer || !was_lost(answer.error())) return answer;
    return call_once(tool, std::move(arguments), stop);
  }

 private:
  using clock = std::chrono::steady_clock;
  // Before the handshake is tried.
  static constexpr std::chrono::seconds silence{10};
  static constexpr std::string_view lost = "it has lost the session";

  // One conversation; `mutex_` guards what it points to.
  struct talk {
    std::shared_ptr<client_session> session;
    std::string id;  // that the server gave the session; empty: none
    tool_listing listing = {};
    clock::time_point fresh_until = {};
  };
  struct reply {
    std::int64_t status = 0;
    std::vector<std::string> messages;
    std::string session;
  };

  static bool was_lost(const error& e) {
    return e.code == error_code::unavailable && e.message == lost;
  }

  template <class F>
  auto with_session(const talk& t, F f) {
    const std::lock_guard lock(mutex_);
    return f(*t.session);
  }

  [[nodiscard]] result<call_answer> call_once(const pinned_tool& tool,
                                              json::object arguments,
                                              const stop_condition& stop) {
    TINYPHI_TRY(talk t, ready_talk(stop));
    TINYPHI_CHECK_OK(check_pin(tool, t.listing));
    std::string fields = argument_fields(tool, arguments);
    auto m = with_session(t, [&](client_session& s) {
      return s.call(tool.name, std::move(arguments));
    });
    if (!m) return std::move(m).error();
    auto step = exchange(t, *m, stop, std::move(fields));
    if (!step) {
      with_session(t, [&](client_session& s) {
        return s.cancel(m->number, "it failed");
      });
      return std::move(step).error();
    }
    for (auto& [number, answer] : step->answers) {
      if (number == m->number) return std::move(answer);
    }
    return error{error_code::bad_data, "its reply has no answer to the call"};
  }

  // A session that has begun, with a listing that may be believed. One thread
  // at a time sees to that.
  [[nodiscard]] result<talk> ready_talk(const stop_condition& stop) {
    std::unique_lock setup(setup_, std::defer_lock);
    while (!setup.try_lock_for(std::chrono::milliseconds(20))) {
      TINYPHI_CHECK_OK(stop.check());
    }
    for (int tries = 0;; ++tries) {
      if (!talk_) TINYPHI_CHECK_OK(begin(stop));
      if (clock::now() < talk_->fresh_until) return *talk_;
      auto listed = update_listing(stop);
      if (listed) return *talk_;
      talk_.reset();
      if (tries > 0 || !was_lost(listed.error())) {
        return std::move(listed).error();
      }
    }
  }

  [[nodiscard]] result<void> begin(const stop_condition& stop) {
    talk t{std::make_shared<client_session>(TINYPHI_VERSION, revision_), {}};
    std::vector<outgoing> queue = t.session->begin().messages;
    while (!queue.empty()) {
      const bool was_probing = t.session->is_probing();
      stop_condition patience = stop;
      if (was_probing) {
        const auto last = clock::now() + silence;
        patience.deadline = std::min(stop.deadline.value_or(last), last);
      }
      auto step = exchange(t, queue.front(), patience);
      const bool is_foreign =
          !step &&
          (step.error().code == error_code::unsupported ||
           (step.error().code == error_code::deadline && !stop.reason()));
      if (was_probing && is_foreign) {
        // It knows nothing of the newest revision's way.
        revision_ = newest_mcp_handshake;
        t = {std::make_shared<client_session>(TINYPHI_VERSION, revision_), {}};
        queue = t.session->begin().messages;
        continue;
      }
      if (!step) return std::move(step).error();
      queue.erase(queue.begin());
      std::ranges::move(step->messages, std::back_inserter(queue));
    }
    if (!t.session->is_ready()) {
      return error{error_code::bad_data, "its reply has no answer to " +
                                             std::string("the handshake")};
    }
    talk_ = std::move(t);
    return {};
  }

  [[nodiscard]] result<void> update_listing(const stop_condition& stop) {
    talk& t = *talk_;
    std::vector<outgoing> queue =
        with_session(t, [](client_session& s) { return s.list().messages; });
    std::optional<result<tool_listing>> listing;
    while (!queue.empty()) {
      TINYPHI_TRY(auto step, exchange(t, queue.front(), stop));
      queue.erase(queue.begin());
      std::ranges::move(step.messages, std::back_inserter(queue));
      if (step.listing) listing = std::move(step.listing);
    }
    if (!listing) {
      return error{error_code::bad_data,
                   "its reply has no answer to tools/list"};
    }
    TINYPHI_TRY(t.listing, *std::move(listing));
    t.fresh_until = clock::now() + t.listing.fresh_for;
    return {};
  }

  // Sends a message, and what its reply leads to. unsupported: the server does
  // not know what this is.
  [[nodiscard]] result<session_step> exchange(talk& t, const outgoing& m,
                                              const stop_condition& stop,
                                              std::string fields = {}) {
    TINYPHI_TRY(const reply r, post(t, m, stop, std::move(fields)));
    session_step all;
    const bool is_done = r.status / 100 == 2;
    if (!is_done && r.status == 404 && !t.id.empty()) {
      return error{error_code::unavailable, std::string(lost)};
    }
    if (!is_done && (r.messages.empty() || !is_message(r.messages.front()))) {
      return refused(r.status);
    }
    if (m.number == 0) return all;  // it was told something, no more
    const mcp_revision revision =
        with_session(t, [](client_session& s) { return s.revision(); });
    if (!r.session.empty() && revision != newest_mcp_revision) {
      if (!is_printed(r.session) || r.session.size() > 1024) {
        return error{error_code::bad_data,
                     "its Mcp-Session-Id is not printable ASCII of at most "
                     "1024 bytes"};
      }
      t.id = r.session;
    }
    for (const std::string& text : r.messages) {
      session_step step = with_session(
          t, [&](client_session& s) { return s.take_message(text); });
      if (step.failed) return std::move(*step.failed);
      std::ranges::move(step.messages, std::back_inserter(all.messages));
      std::ranges::move(step.answers, std::back_inserter(all.answers));
      if (step.listing) all.listing = std::move(step.listing);
    }
    // What the server has asked meanwhile.
    if (m.method != "tools/call") return all;
    for (const outgoing& told : all.messages) {
      TINYPHI_CHECK_OK(post(t, told, stop, {}));
    }
    return all;
  }

  static error refused(std::int64_t status) {
    const std::string text = "it answers with status " + std::to_string(status);
    if (status == 400 || status == 404 || status == 405) {
      return {error_code::unsupported, text};
    }
    if (status == 401 || status == 403) {
      return {error_code::invalid_argument,
              text + ": it wants other headers than these"};
    }
    return {error_code::unavailable, text};
  }

  static bool is_message(const std::string& text) {
    const auto v = parse_json(text, "it", {session_limits().max_line, 32});
    return v && v->is_object() && v->get_object().contains("jsonrpc");
  }

  static bool is_printed(std::string_view text) {
    return std::ranges::all_of(text,
                               [](char c) { return c > ' ' && c < '\x7f'; });
  }

  // Whether the answer to the request is among the events so far.
  class answer_watch {
   public:
    explicit answer_watch(std::uint64_t number) : number_(number) {}
    bool operator()(std::string_view kind, std::string_view body) {
      if (!is_stream(kind)) return false;
      while (const auto event = events_.next(body)) {
        const auto v =
            parse_json(*event, "it", {session_limits().max_line, 32});
        const json::object* o = v ? v->if_object() : nullptr;
        if (o == nullptr || o->contains("method")) continue;
        const json::value* id = o->if_contains("id");
        if (id != nullptr && *id == json::value(number_)) return true;
      }
      return false;
    }

   private:
    std::uint64_t number_;
    event_lines events_;
  };

  static bool is_stream(std::string_view kind) {
    return ascii::lower(kind).starts_with("text/event-stream");
  }

  [[nodiscard]] result<reply> post(const talk& t, const outgoing& m,
                                   const stop_condition& stop,
                                   std::string fields) {
    web::web_request r{.url = place_.url, .where = place_.where};
    r.method = "POST";
    r.fields = place_.fields + std::move(fields) +
               "Content-Type: application/json\r\n"
               "Accept: application/json, text/event-stream\r\n";
    const mcp_revision revision =
        with_session(t, [](client_session& s) { return s.revision(); });
    if (m.method != "initialize") {
      r.fields += version_field(revision);
    }
    if (revision == newest_mcp_revision) {
      if (!m.method.empty()) {
        r.fields += "Mcp-Method: " + std::string(m.method) + "\r\n";
      }
      if (!m.name.empty()) {
        r.fields += "Mcp-Name: " + field_value(m.name) + "\r\n";
      }
    }
    if (!t.id.empty()) r.fields += "Mcp-Session-Id: " + t.id + "\r\n";
    r.body = m.text;
    r.max_bytes = session_limits().max_line;
    if (m.number != 0) r.is_enough = answer_watch(m.number);
    TINYPHI_TRY(auto answer, fetch(std::move(r), stop));
    reply all{answer.status, {}, std::move(answer.session)};
    if (is_stream(answer.kind)) {
      event_lines events;
      while (auto event = events.next(answer.text)) {
        all.messages.push_back(*std::move(event));
      }
    } else if (!answer.text.empty()) {
      all.messages.push_back(std::move(answer.text));
    }
    return all;
  }

  // On the calling thread.
  [[nodiscard]] result<web::web_answer> fetch(web::web_request r,
                                              const stop_condition& stop) {
    boost::asio::io_context io;
    std::optional<result<web::web_answer>> done;
    auto asking = [&]() -> task<void> {
      auto asked = client_.fetch(std::move(r), stop.deadline);
      done.emplace(co_await std::move(asked));
    };
    std::exception_ptr thrown;
    boost::asio::co_spawn(io, asking,
                          [&](std::exception_ptr e) { thrown = e; });
    while (!done && !thrown && !io.stopped()) {
      TINYPHI_CHECK_OK(stop.token.cancelled() ? stop.check() : result<void>());
      io.run_for(std::chrono::milliseconds(20));
    }
    if (done) return *std::move(done);
    return error{error_code::internal, "the request was given up"};
  }

  static std::string version_field(mcp_revision r) {
    return "MCP-Protocol-Version: " + std::string(to_string(r)) + "\r\n";
  }

  // A value of a header: as it is, or else in base64.
  static std::string field_value(std::string_view text) {
    const auto is_plain = [](char c) { return c >= ' ' && c < '\x7f'; };
    const bool is_bare = !text.empty() && std::ranges::all_of(text, is_plain) &&
                         text.front() != ' ' && text.back() != ' ' &&
                         !text.starts_with("=?");
    return is_bare ? std::string(text) : "=?base64?" + base64(text) + "?=";
  }

  // Those arguments that the tool wants in the request's head as well.
  static std::string argument_fields(const pinned_tool& tool,
                                     const json::object& arguments) {
    const auto schema = parse_json(tool.input, "it");
    const json::object* root = schema ? schema->if_object() : nullptr;
    std::string fields;
    const json::object none;
    const json::object* all = mcp_object(root, "properties");
    for (const auto& p : all ? *all : none) {
      const auto name = mcp_text(p.value().if_object(), "x-mcp-header");
      const json::value* v = arguments.if_contains(p.key());
      const auto is_letter = [](char c) {
        return ascii::is_letter(c) || ascii::is_digit(c) || c == '-';
      };
      if (!name || v == nullptr || v->is_object() || v->is_array() ||
          v->is_null() || name->empty() || name->size() > 64 ||
          !std::ranges::all_of(*name, is_letter)) {
        continue;
      }
      const auto* text = v->if_string();
      fields += "Mcp-Param-" + std::string(*name) + ": " +
                field_value(text != nullptr
                                ? std::string_view(text->data(), text->size())
                                : std::string_view(json::serialize(*v))) +
                "\r\n";
    }
    return fields;
  }

  http_place place_;
  std::optional<mcp_revision> revision_;  // that is known
  web::web_client client_;
  std::timed_mutex setup_;
  std::optional<talk> talk_;
  std::mutex mutex_;  // of the session
};

}  // namespace mcp
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_MCP_HTTP_SERVER_H_
