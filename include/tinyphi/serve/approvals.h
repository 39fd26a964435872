// SPDX-License-Identifier: MIT
// What pipelines ask of people, while it waits for an answer.
#ifndef TINYPHI_SERVE_APPROVALS_H_
#define TINYPHI_SERVE_APPROVALS_H_

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tinyphi/base/json.h"
#include "tinyphi/pipeline/approval.h"
#include "tinyphi/serve/api_error.h"
#include "tinyphi/serve/approval_file.h"
#include "tinyphi/serve/caller.h"

TINYPHI_NAMESPACE_BEGIN

// A question that waits.
struct pending_approval {
  std::string id;  // that nobody can guess; of this question only
  std::string pipeline;
  std::string request;  // its id
  std::shared_ptr<const caller> from;
  approval_question question;
  std::string digest;  // of its arguments, as `b2sum -l 256` prints it
  std::chrono::system_clock::time_point asked, until;
};

// Of a question whose arguments are there, with an id of its own. What
// `deadline` leaves of it is at most a day.
[[nodiscard]] pending_approval new_approval(
    std::string pipeline, std::string request,
    std::shared_ptr<const caller> from, approval_question q,
    std::optional<steady_time> deadline);
// Why it cannot be asked about; empty: it can.
[[nodiscard]] std::string too_large_to_show(const approval_question& q);

// What came of one.
struct settled_question {
  std::string stage;
  bool given = false;
  std::string reason;   // why it is not given
  std::string outcome;  // for the log: "approved by ops"
};

// Who runs a pipeline, and who hears of its questions.
struct asking_run {
  std::string pipeline;
  std::string request;
  std::shared_ptr<const caller> from;
  // Told when a question begins to wait, and what came of it; either may be
  // empty.
  std::function<void(const pending_approval&)> waits = {};
  std::function<void(const settled_question&)> ended = {};
};

// All on the io thread. Whatever is not approved in time is denied, with a
// reason.
class approvals {
 public:
  // Beyond these, questions are denied at once.
  static constexpr std::size_t max_waiting = 64;
  static constexpr std::size_t max_of_caller = 16;

  explicit approvals(boost::asio::io_context& io) : io_(&io) {}
  approvals(const approvals&) = delete;
  approvals& operator=(const approvals&) = delete;

  // Where each question is a file as well (approval_file.h), and what reads and
  // writes there; empty: none is.
  std::filesystem::path folder = {};
  boost::asio::thread_pool* workers = nullptr;
  // Told of every question and its end, in words for the log.
  std::function<void(std::string_view)> say = {};

  // Asks for one run. It must not outlive this.
  [[nodiscard]] approver asker(asking_run run);

  // Those that `who` may decide: of its own runs, or of all for an admin. The
  // oldest first.
  [[nodiscard]] std::vector<const pending_approval*> seen_by(
      const caller& who) const;
  // Ends one, once. 404 where `who` has none with this id; 400 for a yes to
  // another digest. What was decided: "p.ask approved".
  [[nodiscard]] api_result<std::string> decide(std::string_view id, bool yes,
                                               std::string_view digest,
                                               const caller& who);
  // Denies all that waits.
  void deny_all(const std::string& reason);
  // The same, and denies all that is asked from now on.
  void close(const std::string& reason);

 private:
  struct waiting : pending_approval {
    waiting(boost::asio::io_context& io, pending_approval p)
        : pending_approval(std::move(p)), timer(io) {}
    boost::asio::steady_timer timer;
    std::optional<approval> answer;
    std::string decided;  // "approved by ops"
  };
  using list = std::list<waiting>;
  // Takes its question off the list when it goes.
  struct entry;

  [[nodiscard]] task<approval> ask(std::shared_ptr<const asking_run> run,
                                   approval_question q, stop_condition stop);
  // Nothing, and said, if it cannot be written.
  [[nodiscard]] task<std::shared_ptr<approval_file>> write_file(
      const pending_approval& p) const;
  [[nodiscard]] task<void> look_at(const approval_file& file, waiting& w);
  [[nodiscard]] std::string refusal(const caller& from,
                                    const approval_question& q) const;
  void answer(waiting& w, approval a, std::string decided);
  void tell(const asking_run& run, const settled_question& q) const;

  boost::asio::io_context* io_;
  list all_;
  std::string closed_;  // why; empty: it is not
};

// {"id", "pipeline", "stage", "question", "arguments", "digest", ...}; the
// arguments are a text of JSON, which the digest is of.
[[nodiscard]] json::object describe_approval(const pending_approval& p);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/approvals.ipp"
#endif

#endif  // TINYPHI_SERVE_APPROVALS_H_
