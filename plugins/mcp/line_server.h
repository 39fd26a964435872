// SPDX-License-Identifier: MIT
// A server that speaks in lines, over pipes or a socket. It is opened when
// somebody asks it first, kept, and opened anew when it has ended. One of the
// threads that wait reads for all.
#ifndef TINYPHI_PLUGINS_MCP_LINE_SERVER_H_
#define TINYPHI_PLUGINS_MCP_LINE_SERVER_H_

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/mcp/line_connection.h"
#include "plugins/mcp/tool_server.h"
#include "plugins/process/exchange.h"
#include "plugins/process/tool_line.h"
#include "tinyphi/version.h"

TINYPHI_NAMESPACE_BEGIN
namespace mcp {

struct line_times {
  std::chrono::milliseconds silence{10'000};  // before the handshake is tried
  // A program that is to end: after its input has, and after SIGTERM.
  std::chrono::milliseconds leaving{2000};
  std::chrono::milliseconds grace{1000};
};

class line_server final : public tool_server {
 public:
  using opener = std::function<result<line_connection>()>;

  // `secrets` are not repeated in errors.
  line_server(opener open, std::optional<mcp_revision> revision,
              std::vector<secret_text> secrets = {},
              const line_times& times = {})
      : open_(std::move(open)),
        revision_(revision),
        secrets_(std::move(secrets)),
        times_(times) {}
  line_server(const line_server&) = delete;
  line_server& operator=(const line_server&) = delete;
  ~line_server() override {
    if (link_ != nullptr) end(link_->connection);
  }

  [[nodiscard]] result<tool_listing> list(const stop_condition& stop) override {
    lock_type lock(mutex_);
    TINYPHI_TRY(const auto l, listed_link(lock, stop));
    return l->listing;
  }

  [[nodiscard]] result<call_answer> call(const pinned_tool& tool,
                                         json::object arguments,
                                         const stop_condition& stop) override {
    lock_type lock(mutex_);
    TINYPHI_TRY(const auto l, listed_link(lock, stop));
    TINYPHI_CHECK_OK(check_pin(tool, l->listing));
    TINYPHI_TRY(const outgoing m,
                l->session.call(tool.name, std::move(arguments)));
    send(*l, m);
    const auto has_answer = [&] { return l->answers.contains(m.number); };
    auto waited = wait(lock, l, stop, has_answer);
    if (!waited) {
      if (const auto told =
              l->session.cancel(m.number, to_string(waited.error().code))) {
        send(*l, *told);
        write(*l);
      }
      return std::move(waited).error();
    }
    const auto it = l->answers.find(m.number);
    auto answer = std::move(it->second);
    l->answers.erase(it);
    return answer;
  }

 private:
  using clock = std::chrono::steady_clock;
  using lock_type = std::unique_lock<std::mutex>;
  static constexpr std::chrono::milliseconds look_up{20};
  static constexpr std::size_t max_unsent = std::size_t{8} << 20;
  static constexpr std::size_t max_words = std::size_t{4} << 10;

  // One server from its beginning to its end.
  struct link {
    link(line_connection c, client_session s)
        : connection(std::move(c)), session(std::move(s)) {}

    line_connection connection;
    client_session session;
    clock::time_point begun = clock::now();
    std::string unsent;
    std::string words;  // the last that it has said aside
    std::map<std::uint64_t, result<call_answer>> answers;
    tool_listing listing;
    std::optional<error> no_listing;
    clock::time_point listing_begun{}, fresh_until{};
    bool is_read = false;         // by one of those who wait
    std::optional<error> failed;  // it has ended
  };
  using link_ptr = std::shared_ptr<link>;

  // A server whose listing may be believed.
  [[nodiscard]] result<link_ptr> listed_link(lock_type& lock,
                                             const stop_condition& stop) {
    const auto asked = clock::now();
    while (true) {
      TINYPHI_TRY(const auto l, ready_link(lock, stop));
      auto listed = update_listing(lock, l, stop);
      if (listed) return l;
      // One that was about to end is begun anew: nothing has been called yet.
      const bool may_be_tried = l->failed && l->begun < asked;
      if (!may_be_tried) return std::move(listed).error();
    }
  }

  // A server that has begun, and lives as far as one can see.
  [[nodiscard]] result<link_ptr> ready_link(lock_type& lock,
                                            const stop_condition& stop) {
    while (true) {
      if (const link_ptr l = link_; l != nullptr && !l->is_read) {
        // It may have ended while nobody asked.
        read_once(lock, l, std::chrono::milliseconds(0));
      }
      if (link_ != nullptr && link_->failed) link_.reset();
      if (link_ == nullptr) TINYPHI_CHECK_OK(begin(lock, stop));
      const link_ptr l = link_;
      if (l == nullptr) continue;  // it has ended already
      const auto is_over = [&] {
        const int times = l->session.is_probing() ? 1 : 2;
        return l->session.is_ready() ||
               clock::now() >= l->begun + times * times_.silence;
      };
      TINYPHI_CHECK_OK(wait(lock, l, stop, is_over));
      if (l->session.is_ready()) {
        // What has shaken hands once is not asked again.
        if (l->session.revision() != newest_mcp_revision) {
          revision_ = l->session.revision();
        }
        return l;
      }
      if (l->is_read) {
        changed_.wait_for(lock, look_up);
        continue;
      }
      const error silent = is_mute("the handshake");
      const bool was_probed = l->session.is_probing();
      close(lock, l, silent);
      if (!was_probed) return silent;
      // It may have made up its mind in the meantime: a new one is asked.
      revision_ = newest_mcp_handshake;
    }
  }

  [[nodiscard]] error is_mute(const std::string& question) const {
    return {error_code::unavailable,
            "it has not answered " + question + " for " +
                std::to_string(times_.silence.count() / 1000) + " seconds"};
  }

  [[nodiscard]] result<void> begin(lock_type& lock,
                                   const stop_condition& stop) {
    while (is_opening_) {
      TINYPHI_CHECK_OK(stop.check());
      changed_.wait_for(lock, look_up);
    }
    if (link_ != nullptr) return {};
    is_opening_ = true;
    lock.unlock();
    auto opened = open_();
    lock.lock();
    is_opening_ = false;
    changed_.notify_all();
    if (!opened) return std::move(opened).error();
    link_ = std::make_shared<link>(*std::move(opened),
                                   client_session(TINYPHI_VERSION, revision_));
    apply(*link_, link_->session.begin());
    return {};
  }

  // The listing, asked for if it may have changed.
  [[nodiscard]] result<void> update_listing(lock_type& lock, const link_ptr& l,
                                            const stop_condition& stop) {
    const bool is_fresh =
        clock::now() < l->fresh_until && !l->session.has_other_tools();
    if (is_fresh) return {};
    if (!l->session.is_listing()) {
      l->listing_begun = clock::now();
      apply(*l, l->session.list());
    }
    const auto is_over = [&] {
      return !l->session.is_listing() ||
             (clock::now() >= l->listing_begun + times_.silence && !l->is_read);
    };
    TINYPHI_CHECK_OK(wait(lock, l, stop, is_over));
    if (l->session.is_listing()) {
      const error silent = is_mute("tools/list");
      close(lock, l, silent);
      return silent;
    }
    if (l->no_listing) return error(*l->no_listing);
    return {};
  }

  // Until `is_over`, which is asked under the lock.
  template <class IsOver>
  [[nodiscard]] result<void> wait(lock_type& lock, const link_ptr& l,
                                  const stop_condition& stop, IsOver is_over) {
    while (true) {
      if (is_over()) return {};
      if (l->failed) return error(*l->failed);
      if (auto ok = stop.check(); !ok) {
        error e = std::move(ok).error();
        e.message += l->session.stray();
        return e;
      }
      auto pause = look_up;
      if (stop.deadline) {
        pause = std::clamp(std::chrono::ceil<std::chrono::milliseconds>(
                               *stop.deadline - clock::now()),
                           std::chrono::milliseconds(0), look_up);
      }
      if (l->is_read) {
        changed_.wait_for(lock, pause);
      } else {
        read_once(lock, l, pause);
      }
    }
  }

  // Takes what comes within the time; only one thread does.
  void read_once(lock_type& lock, const link_ptr& l,
                 std::chrono::milliseconds pause) {
    line_connection& c = l->connection;
    l->is_read = true;
    write(*l);
    std::array<pollfd, 4> of{
        {{c.out.get(), POLLIN, 0},
         {c.err.get(), POLLIN, 0},
         {c.program ? c.program->pidfd() : -1, POLLIN, 0},
         {l->unsent.empty() ? -1 : c.in.get(), POLLOUT, 0}}};
    std::string out, err;
    bool is_open = true;
    lock.unlock();
    if (::poll(of.data(), of.size(), static_cast<int>(pause.count())) > 0) {
      constexpr std::size_t most = std::size_t{256} << 10;
      if (of[1].revents != 0 &&
          !process::detail::take(c.err.get(), most, err)) {
        c.err.close();
      }
      if (of[0].revents != 0) {
        is_open = process::detail::take(c.out.get(), most, out);
      } else if (of[2].revents != 0) {
        is_open = false;  // whoever else holds the pipe is not the server
      }
    }
    lock.lock();
    l->is_read = false;
    l->words += err;
    if (l->words.size() > max_words) {
      l->words.erase(0, l->words.size() - max_words);
    }
    apply(*l, l->session.take(out));
    if (l->failed) {
      close(lock, l, *l->failed);
    } else if (!is_open) {
      close(lock, l, std::nullopt);
    }
    changed_.notify_all();
  }

  void apply(link& l, session_step step) {
    for (const outgoing& m : step.messages) send(l, m);
    for (auto& [number, answer] : step.answers) {
      l.answers.emplace(number, std::move(answer));
    }
    if (step.listing) {
      l.no_listing.reset();
      if (*step.listing) {
        l.listing = **std::move(step.listing);
        l.fresh_until = clock::now() + l.listing.fresh_for;
      } else {
        l.no_listing = step.listing->error();
        l.fresh_until = {};
      }
    }
    if (step.failed && !l.failed) l.failed = std::move(step.failed);
  }

  static void send(link& l, const outgoing& m) {
    l.unsent += m.text;
    l.unsent += '\n';
    if (l.unsent.size() > max_unsent && !l.failed) {
      l.failed = {error_code::unavailable, "it does not read what it is sent"};
    }
  }

  static void write(link& l) {
    while (!l.unsent.empty() && l.connection.in.get() >= 0) {
      const auto n =
          process::detail::write_quietly(l.connection.in.get(), l.unsent);
      if (n <= 0) break;  // whoever reads sees the end
      l.unsent.erase(0, static_cast<std::size_t>(n));
    }
  }

  // Ends it; those who wait are told `why`, or how it has ended.
  void close(lock_type& lock, const link_ptr& l, std::optional<error> why) {
    if (link_ == l) link_.reset();
    line_connection c = std::move(l->connection);
    l->is_read = true;  // and there is nothing to be read any more
    lock.unlock();
    const auto how = end(c);
    lock.lock();
    error e = why ? *std::move(why) : ended(how);
    const std::string said = process::last_words(l->words, secrets_);
    if (!said.empty()) e.message += "; its last words: " + quote(said);
    l->failed = std::move(e);
    changed_.notify_all();
  }

  [[nodiscard]] static error ended(
      const std::optional<process::running_program::ending>& how) {
    error e{error_code::unavailable, "it has ended the conversation"};
    if (!how || !how->is_known) return e;
    if (how->signal) {
      const char* const name = ::sigabbrev_np(*how->signal);
      e.message =
          "it was ended by signal " + std::to_string(*how->signal) +
          (name != nullptr ? " (SIG" + std::string(name) + ")" : std::string());
    } else {
      e.message = "it has ended with status " + std::to_string(how->status);
    }
    return e;
  }

  // Closes its input, waits, and ends what is left of it.
  std::optional<process::running_program::ending> end(
      line_connection& c) const {
    c.in.close();
    std::optional<process::running_program::ending> how;
    if (c.program) {
      pollfd process{c.program->pidfd(), POLLIN, 0};
      const auto last = clock::now() + times_.leaving;
      drain_until(c, process, last);
      how = c.program->end(times_.grace);
      c.program.reset();
    }
    c.out.close();
    c.err.close();
    c.folder.reset();
    return how;
  }

  // Until the process ends: who still writes must not hang.
  static void drain_until(line_connection& c, pollfd process,
                          clock::time_point last) {
    std::array<pollfd, 3> of{
        {process, {c.out.get(), POLLIN, 0}, {c.err.get(), POLLIN, 0}}};
    while (true) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(last - clock::now());
      if (left.count() <= 0) return;
      if (::poll(of.data(), of.size(), static_cast<int>(left.count())) < 0 &&
          errno != EINTR) {
        return;
      }
      if (of[0].revents != 0) return;
      for (const std::size_t i : {std::size_t{1}, std::size_t{2}}) {
        std::string passed_over;
        constexpr std::size_t most = std::size_t{64} << 10;
        if (of[i].revents != 0 &&
            !process::detail::take(of[i].fd, most, passed_over)) {
          of[i].fd = -1;
        }
      }
    }
  }

  opener open_;
  std::optional<mcp_revision> revision_;  // that is known
  std::vector<secret_text> secrets_;
  line_times times_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_opening_ = false;
  link_ptr link_;  // null: none is open
};

}  // namespace mcp
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_MCP_LINE_SERVER_H_
