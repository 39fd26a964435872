// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_PIPELINE_IPP_
#define TINYPHI_PIPELINE_PIPELINE_IPP_

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>

#include "tinyphi/base/mapped_file.h"
#include "tinyphi/pipeline/pipeline.h"
#include "tinyphi/pipeline/request_queue.h"
#include "tinyphi/pipeline/toml_file.h"
#include "tinyphi/pipeline/value_json.h"

TINYPHI_NAMESPACE_BEGIN

// The caller's pool, or one of our own, and who may use it.
struct pipeline::pool {
  pool(const host_options& options, const request_limits& limits)
      : queue(limits.concurrency, limits.queue) {
    if (options.pool == nullptr) {
      own.emplace(std::max<std::size_t>(options.pool_threads, 1));
    }
    executor =
        options.pool ? options.pool->get_executor() : own->get_executor();
  }

  std::optional<boost::asio::thread_pool> own;
  boost::asio::any_io_executor executor;
  request_queue queue;
};

namespace detail {

// The same, but files that call each other open a model once.
inline host_options sharing_models(host_options options) {
  using key = std::pair<std::string, std::size_t>;  // path, context
  struct models {
    std::mutex mutex;
    std::map<key, engine> engines;
    std::map<key, model_facts> facts;
  };
  const auto known = std::make_shared<models>();
  const auto once = [known](auto& map, const auto& make,
                            const model_spec& m) -> decltype(make(m)) {
    const key k{m.path.string(), m.context};
    const std::lock_guard lock(known->mutex);
    if (const auto it = map.find(k); it != map.end()) return it->second;
    TINYPHI_TRY(auto made, make(m));
    return map.emplace(k, std::move(made)).first->second;
  };
  if (options.open_model) {
    options.open_model = [known, once, open = std::move(options.open_model)](
                             const model_spec& m) {
      return once(known->engines, open, m);
    };
  }
  if (options.describe_model) {
    options.describe_model =
        [known, once, describe = std::move(options.describe_model)](
            const model_spec& m) { return once(known->facts, describe, m); };
  }
  return options;
}

}  // namespace detail

TINYPHI_FUNC pipeline_check
check_pipeline_text(std::string_view text, const std::filesystem::path& file,
                    const registry& plugins, const host_options& options) {
  pipeline_check checked;
  const auto spec =
      read_spec(text, file, options.env, checked.faults, options.read_library);
  if (spec && !spec->incomplete) {
    checked.proved = compile_graph(
        *spec, plugins, detail::sharing_models(options), file, checked.faults);
  }
  // Where a stage is wrong, what its tests say of it may be right.
  if (checked.proved && !has_errors(checked.faults)) {
    checked.tests = compile_tests(*spec, *checked.proved, checked.faults);
  }
  if (has_errors(checked.faults)) checked.proved = nullptr;
  std::ranges::stable_sort(checked.faults, {}, &diagnostic::at);
  return checked;
}

TINYPHI_FUNC result<pipeline_check> check_pipeline(
    const std::filesystem::path& file, const registry& plugins,
    const host_options& options) {
  TINYPHI_TRY(const std::string text, read_file(file, toml_limits::max_bytes));
  return check_pipeline_text(text, file, plugins, options);
}

TINYPHI_FUNC result<value_data> parse_input(const graph& g,
                                            std::string_view name,
                                            std::string_view text) {
  std::vector<std::string_view> names;
  for (const input_spec& input : g.inputs) {
    names.push_back(input.name);
    if (input.name != name) continue;
    if (input.type.is(type_kind::json) || input.type.is(type_kind::list) ||
        input.type.is(type_kind::record)) {
      const auto value = parse_json(text, "input " + input.name);
      if (value) return from_json(*value);
      return error{error_code::invalid_argument, value.error().message};
    }
    if (auto value = parse_value(input.type, text)) return *std::move(value);
    return error{error_code::invalid_argument,
                 "input " + input.name + ": " + quote(text) + " is not " +
                     (input.type.is(type_kind::integer) ? "an " : "a ") +
                     to_string(input.type)};
  }
  return error{error_code::invalid_argument,
               "no input " + quote(name) + did_you_mean(name, names)};
}

namespace detail {

// The graph, or all faults as one message.
inline result<std::shared_ptr<graph>> proved_graph(pipeline_check checked,
                                                   const std::string& file) {
  if (checked.proved) return std::move(checked.proved);
  return error{error_code::bad_data, to_string(checked.faults, file)};
}

}  // namespace detail

TINYPHI_FUNC result<pipeline> pipeline::create(
    std::shared_ptr<tinyphi::graph> g, const std::string& file,
    const host_options& options, const std::vector<bool>& left_out) {
  TINYPHI_CHECK_OK(create_stages(*g, file, left_out));
  auto shared = std::make_shared<pool>(options, g->limits);
  return pipeline(std::move(g), std::move(shared));
}

TINYPHI_FUNC result<pipeline> pipeline::compile(
    const std::filesystem::path& file, const registry& plugins,
    const host_options& options) {
  TINYPHI_TRY(auto checked, check_pipeline(file, plugins, options));
  TINYPHI_TRY(auto g, detail::proved_graph(std::move(checked), file.string()));
  return create(std::move(g), file.string(), options);
}

TINYPHI_FUNC result<pipeline> pipeline::compile_text(
    std::string_view text, const std::filesystem::path& file,
    const registry& plugins, const host_options& options) {
  TINYPHI_TRY(auto g, detail::proved_graph(
                          check_pipeline_text(text, file, plugins, options),
                          file.string()));
  return create(std::move(g), file.string(), options);
}

TINYPHI_FUNC task<result<run_result>> pipeline::async_run(
    input_values inputs, run_options options) const {
  // The handle may be gone before the request is: the frame holds a copy.
  const auto alive = pool_;
  const auto g = graph_;
  if (g->deadline) {
    const auto end = std::chrono::steady_clock::now() + *g->deadline;
    options.stop.deadline = std::min(options.stop.deadline.value_or(end), end);
  }
  task<result<request_queue::place>> coming = alive->queue.enter(options.stop);
  const auto place = co_await std::move(coming);
  if (!place) co_return place.error();
  task<result<run_result>> whole =
      run_graph(g, std::move(inputs), std::move(options), alive->executor);
  co_return co_await std::move(whole);
}

TINYPHI_FUNC double pipeline::retry_after_seconds() const {
  return pool_->queue.retry_after_seconds();
}

namespace detail {

inline task<void> run_into(const pipeline& p, input_values inputs,
                           run_options options,
                           std::optional<result<run_result>>& out) {
  out.emplace(co_await p.async_run(std::move(inputs), std::move(options)));
}

}  // namespace detail

TINYPHI_FUNC result<run_result> pipeline::run(
    input_values inputs, const stop_condition& stop,
    const std::function<void(std::string_view, std::string_view)>& on_text,
    approver approve) const {
  run_options options;
  options.stop = stop;
  options.approve = std::move(approve);
  if (on_text) {
    options.on_text = [&on_text](std::string_view output,
                                 std::string piece) -> task<void> {
      on_text(output, piece);
      co_return;
    };
  }
  return run(std::move(inputs), std::move(options));
}

TINYPHI_FUNC result<run_result> pipeline::run(input_values inputs,
                                              run_options options) const {
  boost::asio::io_context context(1);
  std::optional<result<run_result>> out;
  const auto ended = [](std::exception_ptr) {};  // `out` stays empty
  boost::asio::co_spawn(
      context,
      detail::run_into(*this, std::move(inputs), std::move(options), out),
      ended);
  context.run();
  if (out) return *std::move(out);
  return error{error_code::internal, "the request ended without a result"};
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_PIPELINE_IPP_
