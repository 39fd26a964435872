// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_DAEMON_IPP_
#define TINYPHI_SERVE_DAEMON_IPP_

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tinyphi/base/memory.h"
#include "tinyphi/serve/access_log.h"
#include "tinyphi/serve/approval_routes.h"
#include "tinyphi/serve/approvals.h"
#include "tinyphi/serve/daemon.h"
#include "tinyphi/serve/daemon_paths.h"
#include "tinyphi/serve/energy.h"
#include "tinyphi/serve/http_server.h"
#include "tinyphi/serve/key_ring.h"
#include "tinyphi/serve/listening_socket.h"
#include "tinyphi/serve/mcp_routes.h"
#include "tinyphi/serve/memory_watch.h"
#include "tinyphi/serve/model_routes.h"
#include "tinyphi/serve/ollama_routes.h"
#include "tinyphi/serve/open_files.h"
#include "tinyphi/serve/ops_routes.h"
#include "tinyphi/serve/pipeline_routes.h"
#include "tinyphi/serve/sandbox.h"
#include "tinyphi/serve/served_set.h"
#include "tinyphi/serve/server_state.h"
#include "tinyphi/serve/systemd.h"
#include "tinyphi/serve/text_routes.h"
#include "tinyphi/serve/trace_context.h"
#include "tinyphi/serve/trigger_runner.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline constexpr std::size_t n_workers = 2;
inline constexpr std::chrono::seconds max_ending{5};

// The first of the folders that systemd gave for what outlives the process.
inline std::filesystem::path state_folder(const daemon_program& p) {
  const std::string all = p.env("STATE_DIRECTORY").value_or(std::string());
  return all.substr(0, all.find(':'));
}

}  // namespace detail

class daemon::impl {
 public:
  impl(daemon_config c, daemon_program program, memory_shares shares)
      : config_(std::move(c)),
        program_(std::move(program)),
        shares_(std::move(shares)),
        budget_(shares_.budget),
        workers_(detail::n_workers),
        counts_(program_.version,
                std::chrono::duration<double>(
                    std::chrono::system_clock::now().time_since_epoch())
                    .count()),
        signals_(io_, SIGTERM, SIGINT, SIGHUP),
        drain_timer_(io_),
        watch_timer_(io_),
        notes_(program_.env),
        watchdog_timer_(io_) {
    state_.answers.io = &io_;
    state_.answers.workers = &workers_;
    state_.answers.running = &state_.running;
    state_.answers.counts = &counts_;
    state_.answers.approvals = &approvals_;
    use_deadlines();
    // Both the io thread and the loader have something to say.
    program_.say = [say = std::move(program_.say),
                    one = std::make_shared<std::mutex>()](std::string_view l) {
      const std::lock_guard lock(*one);
      say(l);
    };
    approvals_.folder = config_.approvals;
    approvals_.workers = &workers_;
    approvals_.say = [this](std::string_view line) { program_.say(line); };
    state_.max_body = config_.max_body;
    state_.counts = state_.answers.counts = &counts_;
    state_.compat = {config_.vllm_metrics, config_.llamacpp_metrics};
    state_.open_metrics = config_.open_metrics;
    state_.snapshot = [this] { return take_snapshot(); };
    state_.reload = [this] { return reload(); };
    state_.drain = [this] { drain(); };
    add_ops_routes(routes_, state_);
    add_model_routes(routes_, state_);
    add_text_routes(routes_, state_);
    triggers_.emplace(
        trigger_services{&io_, &workers_, &state_.running, &approvals_,
                         detail::state_folder(program_),
                         [this](std::string_view line) { program_.say(line); },
                         [this] {
                           if (state_.draining) end_if_drained();
                         }});
    state_.triggers = &*triggers_;
    add_mcp_routes(routes_, state_);
    add_pipeline_routes(routes_, state_);
    add_approval_routes(routes_, state_);
    if (config_.ollama) add_ollama_routes(routes_, state_);
  }

  ~impl() {
    if (loader_.joinable()) loader_.join();
    server_.reset();
    ending_ = true;
    workers_.join();
    for (const auto& old : replaced_) {
      if (const auto m = old.lock()) m->stop();
    }
    // Nobody may call into an io thread that is gone.
    for (const auto& m : state_.models) {
      m->stop();
      // What was wrong with its cache at the start has been told.
      tell_cache_note(*m);
    }
  }

  result<void> open() {
    if (program_.access_log >= 0) {
      TINYPHI_TRY(auto log, access_log::open(program_.access_log));
      log_ = std::move(log);
    }
    if (auto meter = energy_meter::open()) energy_ = *std::move(meter);
    TINYPHI_TRY(keys_, read_keys(config_));
    state_.keys_needed = !keys_.empty();
    http_rules rules;
    rules.hosts = config_.hosts;
    rules.origins = config_.origins;
    server_limits limits;
    TINYPHI_TRY(const std::size_t files, raise_open_files());
    limits.connections = std::min(limits.connections, connections_for(files));
    server_.emplace(io_, routes_, std::move(rules), limits, hooks());
    for (const listen_address& address : config_.listen) {
      if (address.kind == listen_kind::systemd) {
        TINYPHI_CHECK_OK(take_passed_sockets());
        continue;
      }
      TINYPHI_TRY(auto socket, open_listener(address));
      TINYPHI_CHECK_OK(server_->listen_on(
          socket.fd, address.kind == listen_kind::unix_socket));
      addresses_.push_back(socket.name);
      sockets_.push_back(std::move(socket));
    }
    return {};
  }

  result<void> run() {
    loader_ = std::thread([this] { load(); });
    wait_for_signal();
    watch_memory();
    feed_watchdog();
    run_io();
    // Whoever was cut off notices now, and lets go of what it holds.
    io_.restart();
    io_.run_for(detail::max_ending);
    if (failed_) return *failed_;
    return {};
  }

  [[nodiscard]] const std::vector<std::string>& addresses() const {
    return addresses_;
  }

 private:
  // What fails for want of memory fails alone: the thread goes on.
  void run_io() {
    for (;;) {
      try {
        io_.run();
        return;
      } catch (const std::bad_alloc&) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    }
  }

  void use_deadlines() {
    const auto ms = [](std::chrono::milliseconds t) {
      return static_cast<double>(t.count());
    };
    state_.answers.deadlines = {ms(config_.queue_deadline),
                                ms(config_.first_token_deadline),
                                ms(config_.total_deadline)};
  }

  result<key_ring> read_keys(const daemon_config& c) {
    if (c.keys.empty()) return key_ring();
    const auto credentials =
        program_.env("CREDENTIALS_DIRECTORY").value_or(std::string());
    TINYPHI_TRY(const auto file, resolve_key_file(c.keys, credentials));
    TINYPHI_TRY(auto keys, load_keys(file));
    return key_ring(std::move(keys));
  }

  server_hooks hooks() {
    server_hooks h;
    h.let_in = std::bind_front(&impl::let_in, this);
    h.ended = std::bind_front(&impl::ended, this);
    return h;
  }

  api_result<std::shared_ptr<const caller>> let_in(const http_request& r,
                                                   const route* to,
                                                   const peer_facts& peer) {
    if (to != nullptr &&
        (to->access == route_access::open || (to->lets_in && to->lets_in(r)))) {
      return local_caller(std::nullopt);
    }
    auto who = identify(keys_, r, peer.local, peer.uid);
    if (!who) return who;
    if (to != nullptr && to->access == route_access::admin && !(*who)->admin) {
      api_error e;
      e.status = 403;
      e.type = "permission_error";
      e.code = "not_an_admin";
      e.message = "only admins may: a key with admin = true, or a unix socket";
      return e;
    }
    return who;
  }

  void ended(const http_request& r, const route* to,
             const request_report& report) {
    if (log_) {
      access_record line;
      line.at = std::chrono::system_clock::now();
      line.id = r.id;
      if (const auto trace = trace_of(r)) line.trace = trace->trace_id;
      if (r.from != nullptr) line.key = r.from->name;
      if (to != nullptr) line.route = to->pattern;
      if (const auto m = state_.find(report.model);
          m != nullptr && !report.model.empty()) {
        line.generation = m->fingerprint();
      }
      line.report = &report;
      log_->add(line);
    }
    if (!report.cause.empty()) {
      program_.say("request " + r.id + ": " + report.cause);
    }
    if (r.from != nullptr) {
      state_.limiter.charge_tokens(
          *r.from, report.prompt_tokens, report.cached_tokens,
          report.generated_tokens, std::chrono::steady_clock::now());
    }
    if (state_.draining) end_if_drained();
  }

  // What a configuration says, ready to take its place.
  struct prepared {
    daemon_config config;
    key_ring keys;
    served_set set;
  };

  // daemon_load.ipp, on a thread of its own, so that the port answers while
  // models are read.
  void load();
  void take(served_set set);
  bool reload();
  result<prepared> prepare(const served_set& before);
  void end_reload(result<prepared> next);
  loading loading_needs();
  void destroy(served_model* m);

  void fail(error e) {
    failed_ = std::move(e);
    end();
  }

  // What is open stays so: from here on, nothing new is.
  void enter_sandbox() {
    if (!program_.sandbox) return;
    auto entered = restrict_calls();
    if (!entered) {
      fail(std::move(entered).error());
    } else if (!entered->on) {
      program_.say(entered->note);
    }
  }

  // What is wrong with the folder of caches, when it is read or written; once,
  // if that is the same.
  void tell_cache_note(const served_model& m) {
    const std::string note = m.engine().cache_note();
    if (!note.empty() && cache_notes_.insert(note).second) program_.say(note);
  }

  // Sockets that systemd opened: by their own address it is decided who may
  // reach them.
  result<void> take_passed_sockets() {
    TINYPHI_TRY(const auto passed, passed_sockets(program_.env));
    if (passed.empty()) {
      return error{error_code::unavailable,
                   "listen = \"systemd\": no sockets were passed; start the "
                   ".socket unit, or name addresses"};
    }
    for (const int fd : passed) {
      TINYPHI_TRY(const socket_name name, name_of_socket(fd));
      if (!name.is_unix) {
        TINYPHI_CHECK_OK(check_exposure(name.host, !keys_.empty(),
                                        config_.plain_http_known));
      }
      TINYPHI_CHECK_OK(server_->listen_on(fd, name.is_unix));
      addresses_.push_back(name.text);
    }
    return {};
  }

  // Tells systemd that we are alive as long as that is true: a stuck engine or
  // a stuck loop is restarted.
  void feed_watchdog() {
    if (!notes_.watchdog()) return;
    watchdog_timer_.expires_after(*notes_.watchdog() / 3);
    watchdog_timer_.async_wait([this](const boost::system::error_code& e) {
      if (e || ended_) return;
      feed_watchdog();
      if (feeds_watchdog(probe(state_, std::chrono::steady_clock::now()))) {
        notes_.alive();
      }
    });
  }

  // Looks after the memory, once a second while there is work, and seldom else:
  // an idle daemon takes no time.
  void watch_memory() {
    const bool busy = !state_.running.all().empty();
    watch_timer_.expires_after(std::chrono::seconds(busy ? 1 : 5));
    watch_timer_.async_wait([this](const boost::system::error_code& e) {
      if (e || ended_) return;
      watch_memory();  // first, since the rest may fail for want of memory
      pressure_ = memory_.look(std::chrono::steady_clock::now());
      state_.memory_critical = pressure_.not_ready;
      state_.stop_batch = pressure_.stop_batch;
      if (pressure_.drop_cache || pressure_.shrink_budget ||
          pressure_.new_budget) {
        for (const auto& m : state_.models) m->engine().drop_cache();
      }
      const std::size_t before = budget_.limit();
      const std::size_t after = budget_after(pressure_, before, shares_.budget);
      if (after == before) return;
      budget_.set_limit(after);
      const auto mib = [](std::size_t n) { return std::to_string(n >> 20); };
      program_.say("the memory budget is " + mib(after) + " MiB now, it was " +
                   mib(before) + ": the cgroup's limit has changed");
    });
  }

  metrics_snapshot take_snapshot() {
    metrics_snapshot now;
    const auto at = std::chrono::steady_clock::now();
    for (const auto& m : state_.models) {
      now.models.push_back(gauges_of(*m, at));
    }
    if (energy_) {
      energy_->read();
      now.energy_joules = energy_->joules();
    }
    const memory_sample sample = read_memory(at);
    now.resident_bytes = sample.resident;
    now.memory_some = pressure_.some;
    now.memory_full = pressure_.full;
    if (log_) now.log_lines_dropped = log_->dropped();
    now.last_reload_successful = !reload_failed_;
    return now;
  }

  void wait_for_signal() {
    signals_.async_wait([this](const boost::system::error_code& e, int signal) {
      if (e) return;
      // First, since the rest may fail for want of memory.
      wait_for_signal();
      if (signal == SIGHUP) {
        reload();
      } else if (std::exchange(told_to_end_, true)) {
        end();
      } else if (!state_.draining) {
        drain();
      }
    });
  }

  // No new answers; those under way have some time to end.
  void drain() {
    state_.draining = true;
    approvals_.close("the server is shutting down");
    triggers_->stop();
    notes_.stopping();
    loading_.token.cancel();
    drain_timer_.expires_after(config_.drain);
    drain_timer_.async_wait([this](const boost::system::error_code& e) {
      if (e) return;
      state_.running.cancel_all("shutdown");
      drain_timer_.expires_after(detail::max_ending);
      drain_timer_.async_wait([this](const boost::system::error_code& late) {
        if (!late) end();
      });
    });
    end_if_drained();
  }

  void end_if_drained() {
    if (!state_.running.all().empty() || server_->counts().requests > 0) return;
    end();
  }

  void end() {
    if (std::exchange(ended_, true)) return;
    loading_.token.cancel();
    state_.running.cancel_all("shutdown");
    signals_.cancel();
    drain_timer_.cancel();
    watch_timer_.cancel();
    watchdog_timer_.cancel();
    server_->close();
    io_.stop();
  }

  daemon_config config_;
  daemon_program program_;
  memory_shares shares_;
  memory_budget budget_;
  boost::asio::thread_pool workers_;
  metrics counts_;
  std::optional<access_log> log_;
  std::optional<energy_meter> energy_;
  memory_watch memory_;
  memory_action pressure_;  // as seen last
  key_ring keys_;
  router routes_;
  std::atomic<bool> ending_ = false;  // the workers take nothing more
  served_set set_;
  std::vector<std::weak_ptr<served_model>> replaced_;  // by reloads
  server_state state_;
  approvals approvals_{io_};
  // After all that coroutines refer to: it destroys those that have not ended.
  boost::asio::io_context io_{1};
  boost::asio::signal_set signals_;
  boost::asio::steady_timer drain_timer_;
  boost::asio::steady_timer watch_timer_;
  service_notes notes_;
  boost::asio::steady_timer watchdog_timer_;
  std::vector<listening_socket> sockets_;
  std::vector<std::string> addresses_;
  std::optional<http_server> server_;
  std::optional<trigger_runner> triggers_;
  stop_condition loading_;
  std::optional<error> failed_;
  bool ended_ = false;
  bool told_to_end_ = false;  // by a signal
  bool reloading_ = false;
  bool reload_again_ = false;          // asked for while loading
  bool reload_failed_ = false;         // the last one
  std::set<std::string> cache_notes_;  // that were told
  std::thread loader_;
};

TINYPHI_FUNC daemon::daemon(std::unique_ptr<impl> i) : impl_(std::move(i)) {}
TINYPHI_FUNC daemon::~daemon() = default;

TINYPHI_FUNC result<std::unique_ptr<daemon>> daemon::create(
    daemon_config c, daemon_program program) {
  // Before threads and models: what these are is not trusted either.
  if (program.sandbox) {
    TINYPHI_TRY(const auto files, restrict_files(daemon_paths(c, program)));
    if (files.abi == 0) program.say(files.note);
  }
  TINYPHI_TRY(auto shares, share_memory(c, program, available_memory()));
  auto i = std::make_unique<impl>(std::move(c), std::move(program),
                                  std::move(shares));
  TINYPHI_CHECK_OK(i->open());
  return std::unique_ptr<daemon>(new daemon(std::move(i)));
}

TINYPHI_FUNC const std::vector<std::string>& daemon::addresses() const {
  return impl_->addresses();
}
TINYPHI_FUNC result<void> daemon::run() { return impl_->run(); }

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_DAEMON_IPP_
