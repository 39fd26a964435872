// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_TRIGGER_RUNNER_IPP_
#define TINYPHI_SERVE_TRIGGER_RUNNER_IPP_

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <exception>
#include <utility>

#include "tinyphi/serve/answer_start.h"
#include "tinyphi/serve/key_ring.h"
#include "tinyphi/serve/on_pool.h"
#include "tinyphi/serve/trigger_runner.h"
#include "tinyphi/serve/watched_folder.h"

TINYPHI_NAMESPACE_BEGIN

// One trigger of one generation of a pipeline. Its loops hold it.
class trigger_runner::armed : public std::enable_shared_from_this<armed> {
 public:
  armed(const trigger_services& s, std::shared_ptr<const served_pipeline> p,
        const trigger_spec& t)
      : services_(&s),
        pipeline_(std::move(p)),
        trigger_(&t),
        timer_(*s.io),
        name_("trigger " + pipeline_->name + "." + t.name) {}

  void start() {
    const auto loop = [](std::shared_ptr<armed> me) -> loop_task {
      if (std::holds_alternative<watched_files>(me->trigger_->when)) {
        auto watching = me->watch();
        co_await std::move(watching);
      } else {
        auto waiting = me->follow_clock();
        co_await std::move(waiting);
      }
    };
    spawn(loop(shared_from_this()));
  }
  void stop() {
    stopped_ = true;
    timer_.cancel();
  }

 private:
  using loop_task = boost::asio::awaitable<void>;

  void spawn(loop_task loop) {
    boost::asio::co_spawn(
        *services_->io, std::move(loop),
        [me = shared_from_this()](const std::exception_ptr& thrown) {
          if (!thrown) return;
          try {
            std::rethrow_exception(thrown);
          } catch (const std::exception& e) {
            me->say(std::string("stopped: ") + e.what());
          }
        });
  }

  void say(const std::string& what) { services_->say(name_ + ": " + what); }

  loop_task on_worker(std::function<void()> work) {
    return on_pool(*services_->workers, std::move(work));
  }

  loop_task sleep(std::chrono::milliseconds time) {
    timer_.expires_after(time);
    boost::system::error_code cancelled;
    auto token =
        boost::asio::redirect_error(boost::asio::use_awaitable, cancelled);
    co_await timer_.async_wait(std::move(token));
  }

  loop_task follow_clock() {
    using clock = std::chrono::system_clock;
    // The clock may be set and the machine may sleep, so no wait is long.
    constexpr std::chrono::milliseconds longest{30'000};
    auto next = next_firing(*trigger_, clock::now());
    while (next && !stopped_) {
      const auto now = clock::now();
      if (now >= *next) {
        fire();
        next = next_firing(*trigger_, now);
        continue;
      }
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(*next - now);
      auto sleeping = sleep(std::min(longest, left));
      co_await std::move(sleeping);
    }
  }

  void fire() {
    if (running_ && (!trigger_->queue || waiting_ == max_waiting)) {
      say(trigger_->queue
              ? "skipped: " + std::to_string(max_waiting) + " runs wait already"
              : "skipped: the run before is still under way");
      return;
    }
    ++waiting_;
    if (running_) return;
    running_ = true;
    const auto runs = [](std::shared_ptr<armed> me) -> loop_task {
      while (me->waiting_ > 0 && !me->stopped_) {
        --me->waiting_;
        auto running = me->run({});
        co_await std::move(running);
      }
      me->running_ = false;
    };
    spawn(runs(shared_from_this()));
  }

  // Whether it ended by itself, well or not.
  boost::asio::awaitable<bool> run(input_values more) {
    auto running = run_once(std::move(more));
    const bool ended = co_await std::move(running);
    if (services_->ended) services_->ended();
    co_return ended;
  }

  boost::asio::awaitable<bool> run_once(input_values more) {
    input_values inputs = trigger_->with;
    inputs.merge(more);
    running_request r;
    r.id = name_;
    r.model = std::string(pipeline_prefix) + pipeline_->name;
    r.state = "running";
    r.began = std::chrono::steady_clock::now();
    r.from = local_caller(std::nullopt);
    auto entry = services_->running->add(std::move(r));
    run_options options;
    options.stop.token = entry->stop;
    options.origin = origin_of(*entry->from, std::nullopt);
    options.approve =
        services_->approvals->asker({pipeline_->name, name_, entry->from});
    auto running =
        pipeline_->compiled.async_run(std::move(inputs), std::move(options));
    const auto done = co_await std::move(running);
    if (done) co_return true;
    if (done.error().code == error_code::cancelled) co_return false;
    say("failed: " + done.error().message);
    co_return true;
  }

  [[nodiscard]] std::filesystem::path record() const {
    const std::string name = pipeline_->name + "." + trigger_->name + ".done";
    return services_->state_folder.empty()
               ? pipeline_->compiled.graph().services->base_dir() / ("." + name)
               : services_->state_folder / name;
  }

  loop_task watch() {
    const auto& files = std::get<watched_files>(trigger_->when);
    watched_folder folder(files, record());
    std::string told;  // the fault that was said last
    const auto tell = [&](const std::string& fault) {
      if (!fault.empty() && fault != told) say(fault);
      told = fault;
    };
    while (!stopped_) {
      result<std::vector<std::string>> names = std::vector<std::string>();
      auto looking = on_worker([&] { names = folder.look(); });
      co_await std::move(looking);
      tell(names ? std::string() : names.error().message);
      for (std::size_t i = 0; names && i < names->size() && !stopped_; ++i) {
        const std::string& name = (*names)[i];
        input_values file;
        file.emplace(trigger_->input,
                     value_data((files.folder / name).string()));
        auto running = run(std::move(file));
        if (!co_await std::move(running)) break;
        result<void> kept;
        auto keeping = on_worker([&] { kept = folder.set_done(name); });
        co_await std::move(keeping);
        if (!kept) {
          tell("what was done cannot be kept: " + kept.error().message);
        }
      }
      if (stopped_) break;
      auto sleeping = sleep(look_every);
      co_await std::move(sleeping);
    }
  }

  const trigger_services* services_;
  std::shared_ptr<const served_pipeline> pipeline_;
  const trigger_spec* trigger_;
  boost::asio::steady_timer timer_;
  std::string name_;
  bool stopped_ = false, running_ = false;
  std::size_t waiting_ = 0;
};

TINYPHI_FUNC trigger_runner::trigger_runner(trigger_services s)
    : services_(std::move(s)) {}

TINYPHI_FUNC trigger_runner::~trigger_runner() { stop(); }

TINYPHI_FUNC void trigger_runner::use(
    const std::vector<std::shared_ptr<const served_pipeline>>& all) {
  for (const auto& old : armed_) old->stop();
  armed_.clear();
  http_.clear();
  for (const auto& p : all) {
    for (const trigger_spec& t : p->compiled.graph().triggers) {
      if (std::holds_alternative<http_trigger>(t.when)) {
        http_.push_back({p, &t});
        continue;
      }
      armed_.push_back(std::make_shared<armed>(services_, p, t));
      armed_.back()->start();
    }
  }
}

TINYPHI_FUNC std::optional<trigger_runner::http_target> trigger_runner::find(
    std::string_view path) const {
  for (const http_target& t : http_) {
    if (std::get<http_trigger>(t.trigger->when).path == path) return t;
  }
  return std::nullopt;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_TRIGGER_RUNNER_IPP_
