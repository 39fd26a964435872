// SPDX-License-Identifier: MIT
// Runs one stage without a pipeline around it.
#ifndef TESTS_SUPPORT_RUN_STAGE_H_
#define TESTS_SUPPORT_RUN_STAGE_H_

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <exception>
#include <optional>
#include <string>
#include <utility>

#include "tinyphi/pipeline/stage.h"

namespace tinyphi_test {

// For stages that run no model and read no file.
inline tinyphi::host no_models() { return tinyphi::host({}, "/", {}); }

// Collects what a stage streams.
class text_collector final : public tinyphi::text_sink {
 public:
  tinyphi::task<void> send(std::string piece) override {
    text += piece;
    co_return;
  }
  std::string text;
};

template <class T>
tinyphi::task<void> keep(tinyphi::task<T> work, std::optional<T>& value) {
  value = co_await std::move(work);
}

// The outputs of `start(context)`, or the error that the stage threw.
template <class F>
auto run_task(F start, tinyphi::stop_condition stop = {}) {
  boost::asio::io_context io;
  boost::asio::thread_pool pool(1);
  tinyphi::run_context cx(std::move(stop), pool.get_executor(),
                          tinyphi::trust::trusted);
  using T = typename decltype(start(cx))::value_type;
  std::optional<T> value;
  std::exception_ptr thrown;
  boost::asio::co_spawn(io, keep(start(cx), value),
                        [&](std::exception_ptr e) { thrown = e; });
  io.run();
  try {
    if (thrown) std::rethrow_exception(thrown);
  } catch (const tinyphi::stage_error& e) {
    return tinyphi::result<T>(e.error);
  }
  return tinyphi::result<T>(*std::move(value));
}

template <class S>
tinyphi::result<typename S::outputs> run_stage(
    const S& s, typename S::inputs in, tinyphi::stop_condition stop = {}) {
  return run_task(
      [&](tinyphi::run_context& cx) { return s.run(cx, std::move(in)); },
      std::move(stop));
}

}  // namespace tinyphi_test

#endif  // TESTS_SUPPORT_RUN_STAGE_H_
