// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_DAEMON_IPP_
#define TINYPHI_SERVE_DAEMON_IPP_

#include <pthread.h>

#include <algorithm>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <exception>
#include <functional>
#include <thread>
#include <utility>

#include "tinyphi/base/memory.h"
#include "tinyphi/serve/access_log.h"
#include "tinyphi/serve/daemon.h"
#include "tinyphi/serve/daemon_memory.ipp"
#include "tinyphi/serve/daemon_paths.h"
#include "tinyphi/serve/energy.h"
#include "tinyphi/serve/http_server.h"
#include "tinyphi/serve/key_ring.h"
#include "tinyphi/serve/listening_socket.h"
#include "tinyphi/serve/memory_watch.h"
#include "tinyphi/serve/model_routes.h"
#include "tinyphi/serve/open_files.h"
#include "tinyphi/serve/ops_routes.h"
#include "tinyphi/serve/pipeline_routes.h"
#include "tinyphi/serve/sandbox.h"
#include "tinyphi/serve/server_state.h"
#include "tinyphi/serve/systemd.h"
#include "tinyphi/serve/trace_context.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline constexpr std::size_t n_workers = 2;
inline constexpr std::chrono::seconds max_ending{5};
// An answer of a pipeline waits on a thread of its own, most of the time.
inline constexpr std::size_t pipeline_threads = 16;

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
    const auto ms = [](std::chrono::milliseconds t) {
      return static_cast<double>(t.count());
    };
    state_.answers.deadlines = {ms(config_.queue_deadline),
                                ms(config_.first_token_deadline),
                                ms(config_.total_deadline)};
    state_.max_body = config_.max_body;
    state_.counts = state_.answers.counts = &counts_;
    state_.compat = {config_.vllm_metrics, config_.llamacpp_metrics};
    state_.open_metrics = config_.open_metrics;
    state_.snapshot = [this] { return take_snapshot(); };
    add_ops_routes(routes_, state_);
    add_model_routes(routes_, state_);
    add_pipeline_routes(routes_, state_);
  }

  ~impl() {
    if (loader_.joinable()) loader_.join();
    server_.reset();
    workers_.join();
    // Nobody may call into an io thread that is gone.
    for (const auto& m : state_.models) m->stop();
  }

  result<void> open() {
    if (program_.access_log >= 0) {
      TINYPHI_TRY(auto log, access_log::open(program_.access_log));
      log_ = std::move(log);
    }
    if (auto meter = energy_meter::open()) energy_ = *std::move(meter);
    const auto credentials =
        program_.env("CREDENTIALS_DIRECTORY").value_or(std::string());
    if (!config_.keys.empty()) {
      TINYPHI_TRY(const auto file, resolve_key_file(config_.keys, credentials));
      TINYPHI_TRY(auto keys, load_keys(file));
      keys_ = key_ring(std::move(keys));
      state_.keys_needed = !keys_.empty();
    }
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
    io_.run();
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
  server_hooks hooks() {
    server_hooks h;
    h.let_in = std::bind_front(&impl::let_in, this);
    h.ended = std::bind_front(&impl::ended, this);
    return h;
  }

  api_result<std::shared_ptr<const caller>> let_in(const http_request& r,
                                                   const route* to,
                                                   const peer_facts& peer) {
    if (to != nullptr && to->access == route_access::open) {
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
    if (r.from != nullptr) {
      state_.limiter.charge_tokens(
          *r.from, report.prompt_tokens, report.cached_tokens,
          report.generated_tokens, std::chrono::steady_clock::now());
    }
    if (state_.draining) end_if_drained();
  }

  // On a thread of its own, so that the port answers while models are read.
  void load() {
    for (std::size_t i = 0; i < config_.models.size(); ++i) {
      auto loaded = load_model(config_.models[i], shares_.kv_bytes[i]);
      const bool last = i + 1 == config_.models.size();
      boost::asio::post(io_, [this, last, m = std::move(loaded)]() mutable {
        if (!m) {
          failed_ = std::move(m).error();
          end();
          return;
        }
        keys_.for_each([&](const caller& who) {
          if (who.weight != 1)
            (*m)->engine().set_weight(who.tenant, who.weight);
        });
        state_.models.push_back(*std::move(m));
        if (last && !failed_) open_pipelines();
        if (last && !failed_) enter_sandbox();
        if (last && !failed_) {
          state_.loading = false;
          program_.say("ready");
          notes_.ready();
          notes_.status("serving");
        }
      });
      if (!loaded_ok_) return;
    }
  }

  // What is open stays so: from here on, nothing new is.
  void enter_sandbox() {
    if (!program_.sandbox) return;
    auto entered = restrict_calls();
    if (!entered) {
      failed_ = std::move(entered).error();
      end();
    } else if (!entered->on) {
      program_.say(entered->note);
    }
  }

  // All of the configuration, or why the daemon cannot be started.
  void open_pipelines() {
    host_options options;
    options.open_model = [this](const model_spec& spec) {
      return engine_for(spec);
    };
    options.describe_model = program_.describe_model;
    options.env = program_.env;
    options.pool_threads = detail::pipeline_threads;
    for (const pipeline_entry& entry : config_.pipelines) {
      auto opened = open_pipeline(entry, *program_.plugins, options,
                                  detail::unix_seconds());
      if (!opened) {
        failed_ = std::move(opened).error();
        end();
        return;
      }
      counts_.serve_model(std::string(pipeline_prefix) + entry.name);
      state_.pipelines.push_back(*std::move(opened));
    }
  }

  // A pipeline's model is one that is served: the same file, or the first where
  // the pipeline names none.
  result<engine> engine_for(const model_spec& spec) {
    std::error_code ignored;
    for (std::size_t i = 0; i < config_.models.size(); ++i) {
      const auto& path = config_.models[i].path;
      if (spec.path.empty() ||
          (!path.empty() &&
           std::filesystem::equivalent(path, spec.path, ignored))) {
        return state_.models[i]->engine();
      }
    }
    return error{error_code::not_found,
                 "model '" + spec.name + "' (" + spec.path.string() +
                     ") is not served: give it a [model] table of its own"};
  }

  result<std::shared_ptr<served_model>> load_model(const model_entry& entry,
                                                   std::size_t kv_bytes) {
    loaded_ok_ = false;
    load_options load = to_load_options(entry);
    load.stop = loading_;
    load.budget = budget_;
    load.warn = [this](const error& e) { program_.say(e.message); };
    auto file = program_.open_model(entry.path);
    if (!file) {
      return std::move(file).error().within(detail::model_label(entry));
    }
    auto weights = model::load(*std::move(file), load);
    if (!weights) {
      return std::move(weights).error().within(detail::model_label(entry));
    }
    engine_options options = to_engine_options(config_, entry);
    options.kv_bytes = kv_bytes;
    counts_.serve_model(entry.id);
    options.on_step =
        [this, s = counts_.find(entry.id, priority_class::normal)](
            double ms, std::size_t slice) { counts_.step(s, ms, slice); };
    options.budget = budget_;
    auto made = engine::create(*std::move(weights), options);
    if (!made) {
      return std::move(made).error().within(detail::model_label(entry));
    }
    if (const std::string note = made->cache_note(); !note.empty()) {
      program_.say(note);
    }
    loaded_ok_ = true;
    return std::make_shared<served_model>(
        entry.id, entry.aliases, *std::move(made), detail::unix_seconds());
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
      if (e) return;
      if (feeds_watchdog(probe(state_, std::chrono::steady_clock::now()))) {
        notes_.alive();
      }
      feed_watchdog();
    });
  }

  // Looks after the memory, once a second while there is work, and seldom else:
  // an idle daemon takes no time.
  void watch_memory() {
    const bool busy = !state_.running.all().empty();
    watch_timer_.expires_after(std::chrono::seconds(busy ? 1 : 5));
    watch_timer_.async_wait([this](const boost::system::error_code& e) {
      if (e) return;
      pressure_ = memory_.look(std::chrono::steady_clock::now());
      state_.memory_critical = pressure_.not_ready;
      state_.stop_batch = pressure_.stop_batch;
      if (pressure_.drop_cache || pressure_.shrink_budget ||
          pressure_.new_budget) {
        for (const auto& m : state_.models) m->engine().drop_cache();
      }
      watch_memory();
    });
  }

  metrics_snapshot take_snapshot() {
    metrics_snapshot now;
    const auto at = std::chrono::steady_clock::now();
    for (const auto& m : state_.models) {
      const engine_load l = m->engine().load();
      model_gauges g;
      g.model = m->id();
      const auto normal = static_cast<std::size_t>(priority_class::normal);
      g.running[normal] = l.running;
      g.waiting[normal] = l.waiting;
      g.pages_cached = std::min(l.pages_cached, l.pages_in_use);
      g.pages_used = l.pages_in_use - g.pages_cached;
      g.pages_free = l.pages - l.pages_in_use;
      g.page_tokens = page_tokens;
      g.heartbeat_age_seconds =
          l.idle ? 0 : std::chrono::duration<double>(at - l.last_beat).count();
      g.preempted_to_disk = l.swaps;
      g.preempted_to_recompute =
          l.preemptions - std::min(l.swaps, l.preemptions);
      now.models.push_back(std::move(g));
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
    return now;
  }

  void wait_for_signal() {
    signals_.async_wait([this](const boost::system::error_code& e, int signal) {
      if (e) return;
      if (signal == SIGHUP) {
        program_.say(
            "SIGHUP: this version reads its configuration at its start only");
      } else if (state_.draining) {
        end();
        return;
      } else {
        drain();
      }
      wait_for_signal();
    });
  }

  // No new answers; those under way have some time to end.
  void drain() {
    state_.draining = true;
    notes_.stopping();
    loading_.token.cancel();
    drain_timer_.expires_after(config_.drain);
    drain_timer_.async_wait([this](const boost::system::error_code& e) {
      if (!e) state_.running.cancel_all("shutdown");
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
  server_state state_;
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
  stop_condition loading_;
  std::optional<error> failed_;
  bool ended_ = false;
  bool loaded_ok_ = false;  // the loader's own
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
