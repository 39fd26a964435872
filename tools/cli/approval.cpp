// SPDX-License-Identifier: MIT
#include "cli/approval.h"

#include <fcntl.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>

#include "cli/terminal.h"
#include "tinyphi/serve/approval_file.h"
#include "tinyphi/serve/approvals.h"
#include "tinyphi/serve/key_ring.h"

namespace cli {

namespace {

using tinyphi::approval;
using tinyphi::approval_question;

// How often a question looks whether it is still wanted.
constexpr auto period = std::chrono::milliseconds(20);

// Each line behind a bar, so that no text of others looks like one of ours.
std::string behind_bars(std::string_view text) {
  std::string out;
  const std::string shown = printable(text);
  for (std::size_t begin = 0; begin <= shown.size();) {
    const std::size_t end = std::min(shown.find('\n', begin), shown.size());
    out += "  | " + shown.substr(begin, end - begin) + "\n";
    begin = end + 1;
  }
  return out;
}

std::string text_of(const approval_question& q) {
  std::string out =
      "Stage " + printable(q.stage) + " asks:\n" + behind_bars(q.text);
  for (const approval_question::shown_value& v : q.values) {
    out += printable(v.name) + ", " + human_bytes(v.n_bytes) + ":\n" +
           behind_bars(v.text);
    if (v.n_bytes > v.text.size()) {
      out += "  and " + human_bytes(v.n_bytes - v.text.size()) +
             " more, which are not shown\n";
    }
  }
  return out + "Yes? [y/N] ";
}

void print_error(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

// One line that is typed; only "y" and "yes" are a yes.
approval read_answer(int terminal, const tinyphi::stop_condition& stop) {
  std::string line;
  while (!stop.reason()) {
    pollfd ready{.fd = terminal, .events = POLLIN, .revents = 0};
    const int n = ::poll(&ready, 1, static_cast<int>(period.count()));
    if (n == 0 || (n < 0 && errno == EINTR)) continue;
    std::array<char, 256> bytes;
    const ssize_t got =
        n < 0 ? -1 : ::read(terminal, bytes.data(), bytes.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got <= 0) break;
    line.append(bytes.data(), static_cast<std::size_t>(got));
    if (line.find('\n') == std::string::npos && line.size() < bytes.size()) {
      continue;
    }
    line.resize(std::min(line.find('\n'), line.size()));
    const bool yes = line == "y" || line == "Y" || line == "yes" ||
                     line == "Yes" || line == "YES";
    return {.given = yes, .reason = yes ? "" : "a person said no"};
  }
  print_error("\n");
  return {.given = false, .reason = "nobody answered"};
}

approval ask(const approval_question& q, const tinyphi::stop_condition& stop) {
  const int terminal = ::open("/dev/tty", O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (terminal < 0 || !stderr_is_terminal()) {
    if (terminal >= 0) ::close(terminal);
    note("stage " + printable(q.stage) +
         " asks a person, and there is no terminal to ask at: no; --approve " +
         printable(q.stage) + " says yes beforehand");
    return {.given = false,
            .reason = "there is no terminal to ask at; --approve " + q.stage +
                      " says yes beforehand"};
  }
  // What was typed before the question is no answer to it.
  ::tcflush(terminal, TCIFLUSH);
  print_error(text_of(q));
  approval answer = read_answer(terminal, stop);
  ::close(terminal);
  return answer;
}

}  // namespace

tinyphi::approver approve_at_terminal(std::vector<std::string> approved) {
  const auto turn = std::make_shared<std::timed_mutex>();
  return [turn, yes = std::move(approved)](
             const approval_question& q,
             const tinyphi::stop_condition& stop) -> approval {
    if (std::ranges::find(yes, q.stage) != yes.end()) return {.given = true};
    std::unique_lock lock(*turn, std::defer_lock);
    while (!lock.try_lock_for(period)) {
      if (stop.reason()) return {.given = false, .reason = "nobody answered"};
    }
    return ask(q, stop);
  };
}

tinyphi::approver approve_by_file(std::vector<std::string> approved,
                                  std::string folder, std::string pipeline) {
  return [yes = std::move(approved), folder = std::move(folder),
          pipeline = std::move(pipeline)](
             const approval_question& q,
             const tinyphi::stop_condition& stop) -> approval {
    if (std::ranges::find(yes, q.stage) != yes.end()) return {.given = true};
    if (std::string why = tinyphi::too_large_to_show(q); !why.empty()) {
      return {.given = false, .reason = std::move(why)};
    }
    const auto asked = tinyphi::new_approval(
        pipeline, {}, tinyphi::local_caller(::getuid()), q, stop.deadline);
    const auto file = tinyphi::approval_file::ask(
        folder, asked.id,
        tinyphi::json::serialize(tinyphi::describe_approval(asked)) + "\n");
    if (!file) return {.given = false, .reason = file.error().message};
    const std::string place = folder + "/" + asked.id;
    note("stage " + printable(q.stage) + " asks: " + place +
         ".json; a copy of it named " + asked.id + ".yes says yes, a file " +
         asked.id + ".no says no");
    constexpr auto look = std::chrono::milliseconds(200);
    while (!stop.reason()) {
      if (auto answer = file->look()) {
        if (answer->given) answer->shown = q.arguments;
        return *std::move(answer);
      }
      std::this_thread::sleep_for(look);
    }
    return {.given = false, .reason = "nobody answered"};
  };
}

}  // namespace cli
