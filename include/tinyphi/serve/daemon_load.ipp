// SPDX-License-Identifier: MIT
// How a daemon loads what it serves, and reloads it: part of daemon.ipp.
#ifndef TINYPHI_SERVE_DAEMON_LOAD_IPP_
#define TINYPHI_SERVE_DAEMON_LOAD_IPP_

#include <algorithm>
#include <boost/asio/post.hpp>
#include <exception>
#include <functional>
#include <new>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tinyphi/serve/daemon.ipp"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// What a thread of its own must not throw.
template <class T, class F>
result<T> caught(F f) {
  try {
    return f();
  } catch (const std::exception& e) {
    return error{error_code::limit, e.what()};
  }
}

}  // namespace detail

TINYPHI_FUNC void daemon::impl::load() {
  auto loaded = detail::caught<served_set>(
      [&] { return load_served(config_, shares_, loading_needs()); });
  boost::asio::post(io_, [this, set = std::move(loaded)]() mutable {
    if (set) {
      take(*std::move(set));
      enter_sandbox();
    } else {
      fail(std::move(set).error());
    }
    if (failed_) return;
    state_.loading = false;
    program_.say("ready");
    notes_.ready();
    notes_.status("serving");
    if (std::exchange(reload_again_, false)) reload();
  });
}

TINYPHI_FUNC loading daemon::impl::loading_needs() {
  return {&program_, budget_, &counts_, loading_,
          std::bind_front(&impl::destroy, this)};
}

// The io thread cannot wait for a model's end.
TINYPHI_FUNC void daemon::impl::destroy(served_model* m) {
  try {
    if (!ending_) {
      boost::asio::post(workers_, [m] { delete m; });
      return;
    }
  } catch (const std::bad_alloc&) {
  }
  delete m;
}

TINYPHI_FUNC void daemon::impl::take(served_set set) {
  for (const loaded_model& m : set_.models) replaced_.push_back(m.model);
  std::erase_if(replaced_, [](const auto& m) { return m.expired(); });
  set_ = std::move(set);
  state_.models.clear();
  for (const loaded_model& m : set_.models) {
    state_.models.push_back(m.model);
    tell_cache_note(*m.model);
    keys_.for_each([&](const caller& who) {
      m.model->engine().set_weight(who.tenant, who.weight);
    });
  }
  state_.pipelines = set_.pipelines;
  triggers_->use(set_.pipelines);
}

// SIGHUP, or POST /admin/reload. One that comes while this is under way
// begins when it has ended. False if there is nothing to read again.
TINYPHI_FUNC bool daemon::impl::reload() {
  if (!program_.read_config) {
    program_.say("reload: there is no configuration file to read again");
    return false;
  }
  if (state_.loading || reloading_) {
    reload_again_ = true;
    return true;
  }
  if (state_.draining) return false;
  reloading_ = true;
  notes_.reloading();
  notes_.status("reloading");
  if (loader_.joinable()) loader_.join();
  try {
    loader_ = std::thread([this, before = set_] {
      auto next = detail::caught<prepared>([&] { return prepare(before); });
      boost::asio::post(io_, [this, n = std::move(next)]() mutable {
        end_reload(std::move(n));
      });
    });
  } catch (const std::exception& e) {  // no thread, or no memory
    end_reload(error{error_code::unavailable, e.what()});
  }
  return true;
}

// On the loader's thread: all that can fail.
TINYPHI_FUNC auto daemon::impl::prepare(const served_set& before)
    -> result<prepared> {
  prepared next;
  TINYPHI_TRY(const daemon_config file, program_.read_config());
  std::vector<std::string> left;
  next.config = reloaded_config(config_, file, left);
  for (const std::string& name : left) {
    program_.say("'" + name +
                 "' is read at the start only, and stays as it was");
  }
  TINYPHI_TRY(next.keys, read_keys(next.config));
  if (next.keys.empty() && !keys_.empty()) {
    return error{error_code::invalid_argument,
                 "keys cannot be given up while the daemon runs: whoever "
                 "had one would be let in without"};
  }
  daemon_config within = next.config;
  // As at the start, also while the cgroup's limit is lower: keys must be
  // taken back whatever that is.
  within.memory = shares_.budget;
  TINYPHI_TRY(const auto shares, share_memory(within, program_, 0));
  TINYPHI_TRY(next.set,
              load_served(next.config, shares, loading_needs(), before));
  return next;
}

TINYPHI_FUNC void daemon::impl::end_reload(result<prepared> next) {
  reloading_ = false;
  if (state_.draining) return;
  reload_failed_ = !next;
  if (next) {
    config_ = std::move(next->config);
    use_deadlines();
    keys_ = std::move(next->keys);
    state_.keys_needed = !keys_.empty();
    take(std::move(next->set));
    approvals_.deny_all("the server was reloaded");
    program_.say("reloaded: " + std::to_string(set_.models.size()) +
                 " models, of which " + std::to_string(set_.n_kept) +
                 " were there; " + std::to_string(set_.pipelines.size()) +
                 " pipelines");
  } else {
    program_.say("not reloaded, all is served as before: " +
                 next.error().message);
  }
  notes_.ready();
  notes_.status(next ? "serving" : "serving; the last reload failed");
  if (std::exchange(reload_again_, false)) reload();
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_DAEMON_LOAD_IPP_
