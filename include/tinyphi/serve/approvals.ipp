// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_APPROVALS_IPP_
#define TINYPHI_SERVE_APPROVALS_IPP_

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdint>
#include <utility>

#include "tinyphi/serve/approvals.h"
#include "tinyphi/serve/blake2b.h"
#include "tinyphi/serve/hex_text.h"
#include "tinyphi/serve/http_rules.h"
#include "tinyphi/serve/key_ring.h"
#include "tinyphi/serve/on_pool.h"
#include "tinyphi/serve/utc_time.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline std::int64_t seconds_of(std::chrono::system_clock::time_point at) {
  return std::chrono::floor<std::chrono::seconds>(at.time_since_epoch())
      .count();
}

inline bool may_decide(const caller& who, const pending_approval& p) {
  return who.admin || p.from->tenant == who.tenant;
}

}  // namespace detail

TINYPHI_FUNC pending_approval
new_approval(std::string pipeline, std::string request,
             std::shared_ptr<const caller> from, approval_question q,
             std::optional<steady_time> deadline) {
  const auto left = deadline ? *deadline - std::chrono::steady_clock::now()
                             : steady_time::duration(std::chrono::hours(24));
  pending_approval p;
  p.id = random_id();
  p.pipeline = std::move(pipeline);
  p.request = std::move(request);
  p.from = std::move(from);
  p.digest = hex_text(blake2b_256(*q.arguments));
  p.question = std::move(q);
  p.asked = std::chrono::system_clock::now();
  p.until = p.asked +
            std::chrono::duration_cast<std::chrono::system_clock::duration>(
                std::min<steady_time::duration>(left, std::chrono::hours(24)));
  return p;
}

TINYPHI_FUNC std::string too_large_to_show(const approval_question& q) {
  if (q.arguments) return {};
  return "the values have more than " +
         std::to_string(approval_question::max_argument_bytes) +
         " bytes, and all of them must be shown";
}

struct approvals::entry {
  entry(approvals& owner, pending_approval p)
      : all(&owner.all_),
        at(all->emplace(all->end(), *owner.io_, std::move(p))) {}
  entry(const entry&) = delete;
  entry& operator=(const entry&) = delete;
  ~entry() { all->erase(at); }

  list* all;
  list::iterator at;
};

TINYPHI_FUNC approver approvals::asker(asking_run run) {
  return approver::waiting(
      [this, shared = std::make_shared<const asking_run>(std::move(run))](
          approval_question q, stop_condition stop) {
        return ask(shared, std::move(q), std::move(stop));
      });
}

TINYPHI_FUNC std::string approvals::refusal(const caller& from,
                                            const approval_question& q) const {
  if (!closed_.empty()) return closed_;
  if (std::string why = too_large_to_show(q); !why.empty()) return why;
  if (all_.size() >= max_waiting) {
    return std::to_string(max_waiting) +
           " questions wait for an answer already, as many as may";
  }
  const auto own = std::ranges::count_if(
      all_, [&](const waiting& w) { return w.from->tenant == from.tenant; });
  if (static_cast<std::size_t>(own) >= max_of_caller) {
    return std::to_string(max_of_caller) +
           " questions of this caller wait for an answer already, as many as "
           "may";
  }
  return {};
}

TINYPHI_FUNC void approvals::tell(const asking_run& run,
                                  const settled_question& q) const {
  if (run.ended) run.ended(q);
  if (say) {
    say("approval: pipeline " + run.pipeline + ", stage " + q.stage + ": " +
        q.outcome);
  }
}

TINYPHI_FUNC task<approval> approvals::ask(
    std::shared_ptr<const asking_run> run, approval_question q,
    stop_condition stop) {
  const std::string stage = q.stage;
  if (std::string why = refusal(*run->from, q); !why.empty()) {
    tell(*run, {stage, false, why, "denied: " + why});
    co_return approval{.given = false, .reason = std::move(why)};
  }
  const entry mine(*this, new_approval(run->pipeline, run->request, run->from,
                                       std::move(q), stop.deadline));
  waiting& w = *mine.at;
  if (say) {
    say("approval: pipeline " + run->pipeline + ", stage " + stage +
        " waits for a person, until " + utc_time(detail::seconds_of(w.until)));
  }
  if (run->waits) run->waits(w);
  std::shared_ptr<approval_file> file;
  if (!folder.empty()) {
    auto writing = write_file(w);
    file = co_await std::move(writing);
  }
  constexpr auto quietly = boost::asio::as_tuple(boost::asio::use_awaitable);
  constexpr std::chrono::seconds look{1};  // for runs that end meanwhile
  while (!w.answer && !stop.reason()) {
    const auto next = std::chrono::steady_clock::now() + look;
    w.timer.expires_at(std::min(stop.deadline.value_or(next), next));
    co_await w.timer.async_wait(quietly);
    const auto cancelled = co_await boost::asio::this_coro::cancellation_state;
    if (cancelled.cancelled() != boost::asio::cancellation_type::none) break;
    if (!file) continue;
    auto looking = look_at(*file, w);
    co_await std::move(looking);
  }
  if (w.answer) {
    tell(*run, {stage, w.answer->given, w.answer->reason, w.decided});
    co_return *std::move(w.answer);
  }
  const std::string silence = "nobody answered";
  tell(*run, {stage, false, silence, "denied: " + silence});
  co_return approval{.given = false, .reason = silence};
}

TINYPHI_FUNC task<std::shared_ptr<approval_file>> approvals::write_file(
    const pending_approval& p) const {
  std::shared_ptr<approval_file> file;
  std::string fault;
  std::string text = json::serialize(describe_approval(p)) + "\n";
  auto writing = on_pool(*workers, [&] {
    auto made = approval_file::ask(folder, p.id, std::move(text));
    if (made) {
      file = std::make_shared<approval_file>(*std::move(made));
    } else {
      fault = made.error().message;
    }
  });
  co_await std::move(writing);
  if (!fault.empty() && say) say(fault);
  co_return file;
}

TINYPHI_FUNC task<void> approvals::look_at(const approval_file& file,
                                           waiting& w) {
  std::optional<approval> found;
  auto looking = on_pool(*workers, [&] { found = file.look(); });
  co_await std::move(looking);
  if (!found) co_return;
  // The file has all of the arguments, and the answer is a copy of it.
  if (found->given) found->shown = w.question.arguments;
  std::string outcome =
      found->given ? "approved by file" : "denied by file: " + found->reason;
  answer(w, *std::move(found), std::move(outcome));
}

TINYPHI_FUNC void approvals::answer(waiting& w, approval a,
                                    std::string decided) {
  if (w.answer) return;
  w.answer = std::move(a);
  w.decided = std::move(decided);
  w.timer.cancel();
}

TINYPHI_FUNC std::vector<const pending_approval*> approvals::seen_by(
    const caller& who) const {
  std::vector<const pending_approval*> out;
  for (const waiting& w : all_) {
    if (!w.answer && detail::may_decide(who, w)) out.push_back(&w);
  }
  return out;
}

TINYPHI_FUNC api_result<std::string> approvals::decide(std::string_view id,
                                                       bool yes,
                                                       std::string_view digest,
                                                       const caller& who) {
  waiting* found = nullptr;
  for (waiting& w : all_) {
    const bool is_same = detail::same_secret(w.id, id);
    if (is_same && !w.answer && detail::may_decide(who, w)) found = &w;
  }
  if (found == nullptr) {
    api_error e;
    e.status = 404;
    e.code = "not_found";
    e.message =
        "no approval of yours with this id waits; each is decided once, and "
        "GET /v1/approvals lists those that are open";
    return e;
  }
  if (yes && !detail::same_secret(found->digest, digest)) {
    return invalid_value("digest",
                         "digest is not that of the arguments which wait for "
                         "approval; look at them again, nothing is decided");
  }
  const std::string what = found->pipeline + "." + found->question.stage;
  if (yes) {
    answer(*found,
           {.given = true, .reason = {}, .shown = found->question.arguments},
           "approved by " + who.name);
  } else {
    answer(*found, {.given = false, .reason = "a person said no"},
           "denied by " + who.name);
  }
  return what + (yes ? " approved" : " denied");
}

TINYPHI_FUNC void approvals::deny_all(const std::string& reason) {
  for (waiting& w : all_) {
    answer(w, {.given = false, .reason = reason}, "denied: " + reason);
  }
}

TINYPHI_FUNC void approvals::close(const std::string& reason) {
  closed_ = reason;
  deny_all(reason);
}

TINYPHI_FUNC json::object describe_approval(const pending_approval& p) {
  json::array values, effects;
  for (const auto& v : p.question.values) {
    values.push_back({{"name", v.name},
                      {"bytes", v.n_bytes},
                      {"label", json::string_view(to_string(v.label))}});
  }
  for (const auto& [flag, name] : effect_names) {
    if (has(p.question.effects, flag)) {
      effects.emplace_back(json::string_view(name));
    }
  }
  return {{"id", p.id},
          {"object", "approval"},
          {"pipeline", p.pipeline},
          {"stage", p.question.stage},
          {"question", p.question.text},
          {"arguments", p.question.arguments.value_or("")},
          {"digest", p.digest},
          {"values", std::move(values)},
          {"label", json::string_view(to_string(p.question.label))},
          {"effects", std::move(effects)},
          {"request", p.request},
          {"from", p.from->name},
          {"created", detail::seconds_of(p.asked)},
          {"until", utc_time(detail::seconds_of(p.until))}};
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_APPROVALS_IPP_
