// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_TESTING_RUN_TESTS_IPP_
#define TINYPHI_PIPELINE_TESTING_RUN_TESTS_IPP_

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>

#include "tinyphi/base/mapped_file.h"
#include "tinyphi/pipeline/request.ipp"
#include "tinyphi/pipeline/testing/coverage.ipp"
#include "tinyphi/pipeline/testing/recorded.h"
#include "tinyphi/pipeline/testing/run_tests.h"
#include "tinyphi/pipeline/testing/snapshot.h"
#include "tinyphi/pipeline/value_json.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// JSON in a message, cut where it is long.
inline std::string cut(const std::string& text) {
  constexpr std::size_t longest = 200;
  if (text.size() <= longest) return text;
  return text.substr(0, complete_utf8_length(
                            std::string_view(text).substr(0, longest))) +
         "...";
}
inline std::string shown(const value_data& data) {
  return cut(json::serialize(to_json(data)));
}

class test_runner {
 public:
  test_runner(const std::shared_ptr<graph>& g, std::string_view file,
              const test_options& options)
      : g_(g), file_(file), options_(&options), reached_(*g) {
    if (options.host.pool == nullptr) own_pool_.emplace(2);
  }

  test_outcome run(const test_case& t) {
    test_outcome out{
        .name = t.name, .at = t.at, .what = {}, .problems = {}, .updates = {}};
    updates_.clear();
    if (t.with_model && !options_->with_models) {
      out.what = test_outcome::kind::skipped;
      out.problems.push_back(
          {fault::expect_failed, t.at,
           "test " + quote(t.name) + " asks a model; run it with --models"});
      return out;
    }
    const auto started = std::chrono::steady_clock::now();
    std::size_t passed = 0;
    for (std::size_t n = 0; n < t.times; ++n) {
      auto problems = run_once(t);
      if (problems.empty()) {
        ++passed;
      } else {
        out.problems = std::move(problems);
      }
    }
    if (passed >= t.pass) {
      out.problems.clear();
    } else {
      out.what = test_outcome::kind::failed;
      if (t.times > 1) {
        out.problems.push_back({fault::expect_failed, t.at,
                                "test " + quote(t.name) + ": " +
                                    std::to_string(passed) + " of " +
                                    std::to_string(t.times) + " runs passed, " +
                                    std::to_string(t.pass) + " must"});
      }
    }
    out.updates = std::exchange(updates_, {});
    out.seconds = std::chrono::duration<double>(
                      std::chrono::steady_clock::now() - started)
                      .count();
    return out;
  }

  [[nodiscard]] std::vector<diagnostic> not_covered() const {
    return reached_.missing(*g_);
  }

  // Writes the snapshots that were taken, and forgets those of tests that the
  // file does not have any more.
  [[nodiscard]] result<void> write_snapshots(
      const std::vector<test_case>& tests) {
    TINYPHI_CHECK_OK(read_snapshots());
    std::vector<std::string> names;
    for (const test_case& t : tests) {
      if (!t.snapshot.empty()) names.push_back(t.name);
    }
    snapshots_->keep(names);
    return snapshots_->write();
  }

 private:
  // What was wrong; empty: it passed.
  std::vector<diagnostic> run_once(const test_case& t) {
    const std::string where = "test " + quote(t.name) + ": ";
    input_values recorded_inputs;
    std::optional<recorded_runs> recorded;
    if (!t.trace.empty()) {
      auto wrong = read_recorded(t, recorded_inputs, recorded);
      if (wrong) {
        wrong->message = where + wrong->message;
        return {*std::move(wrong)};
      }
    }
    for (std::size_t i = 0; i < g_->stages.size(); ++i) {
      if (t.left_out[i] || t.recorded[i] || t.fakes.contains(i) ||
          !t.needs_fake[i].empty()) {
        continue;
      }
      const auto created = create(t, i);
      if (!created) {
        return {{fault::setup_failed, t.at, where + created.error().message}};
      }
    }
    run_options options;
    options.stop = options_->stop;
    options.record = std::make_shared<run_record>();
    const auto clock = t.with_model ? nullptr : std::make_shared<test_clock>();
    options.clock = clock;
    std::vector<diagnostic> problems;
    const auto forbid = [&](std::size_t stage) {
      problems.push_back(
          {fault::needs_fake, t.at, where + t.needs_fake[stage]});
    };
    const auto forbid_tool = [&](const std::string& why) {
      problems.push_back({fault::needs_fake, t.at, where + why});
    };
    const auto miss = [&](std::size_t stage) {
      problems.push_back({fault::stale_trace, t.trace_at,
                          where + t.trace.filename().string() +
                              " has no such run of stage " +
                              g_->stages[stage].id +
                              ", which runs now; record the request again, or "
                              "fake it"});
    };
    const auto doubles =
        doubles_of(t, recorded ? &*recorded : nullptr, forbid, miss);
    add_tool_doubles(t, forbid_tool, *doubles);
    options.doubles = doubles;
    options.approve = [&t](const approval_question& q, const stop_condition&) {
      return std::ranges::find(t.approved, q.stage) != t.approved.end()
                 ? approval{.given = true}
                 : approval{.given = false, .reason = "the test says no"};
    };
    const auto ended =
        run(t.trace.empty() ? t.inputs : recorded_inputs, options, clock.get());
    reached_.add(*g_, *options.record);
    if (!problems.empty()) return problems;
    if (!ended && !t.expects_error) {
      problems.push_back(
          {fault::expect_failed, t.at,
           where + "the request failed: " + ended.error().message});
      return problems;
    }
    const expression_values values = values_of(ended, *options.record);
    for (const test_expectation& e : t.expect) {
      auto wrong = find_fault(e, values);
      if (wrong.empty()) continue;
      problems.push_back({fault::expect_failed, e.at, where + wrong});
    }
    if (!t.snapshot.empty()) compare_snapshots(t, values, problems);
    return problems;
  }

  // The stage and those of its tools that run in the test.
  result<void> create(const test_case& t, std::size_t i) {
    graph_stage& stage = g_->stages[i];
    for (const std::string& name : stage.tools) {
      graph& body = *g_->tools.find(name)->second->body;
      const bool is_needed =
          !t.tool_fakes.contains(name) && !t.tool_needs_fake.contains(name);
      for (std::size_t n = 0; n < body.stages.size(); ++n) {
        // The last one is what the tool is for; the others ask a person.
        const bool is_last = n + 1 == body.stages.size();
        if (body.stages[n].instance || (is_last && !is_needed)) continue;
        TINYPHI_CHECK_OK(create_stage(body, n, file_));
      }
    }
    // One that a script stands for needs no model, and was made without.
    const bool is_scripted = t.turns.contains(i);
    if (stage.call.is_scripted != is_scripted) stage.instance.reset();
    stage.call.is_scripted = is_scripted;
    if (stage.instance) return {};
    return create_stage(*g_, i, file_);
  }

  // The request of the test's trace; or what is wrong with it.
  [[nodiscard]] std::optional<diagnostic> read_recorded(
      const test_case& t, input_values& inputs,
      std::optional<recorded_runs>& runs) const {
    const std::string name = t.trace.filename().string();
    const auto text = read_file(t.trace, trace_limits::max_bytes);
    if (!text) {
      return diagnostic{fault::bad_fake, t.trace_at,
                        "trace: " + text.error().message};
    }
    auto trace = read_trace(*text, name);
    if (!trace) {
      return diagnostic{fault::bad_fake, t.trace_at,
                        "trace: " + trace.error().message};
    }
    const auto taken = take_inputs(*g_, trace->head.inputs);
    if (!taken) {
      return diagnostic{
          fault::stale_trace, t.trace_at,
          name + " was recorded with other inputs: " + taken.error().message +
              "; record the request again"};
    }
    auto found = recorded_runs::take(*trace, *g_, t.recorded);
    if (!found) {
      diagnostic wrong = found.error();
      wrong.at = t.trace_at;
      wrong.message = name + ": " + wrong.message;
      return wrong;
    }
    inputs = std::move(trace->head.inputs);
    runs = *std::move(found);
    return std::nullopt;
  }

  // Once. With --update a file that cannot be read is written anew.
  [[nodiscard]] result<void> read_snapshots() {
    if (snapshots_) return {};
    const auto path = snapshot_file::path_of(g_->services->base_dir(), file_);
    auto read = snapshot_file::read(path);
    if (!read && !options_->update) return std::move(read).error();
    snapshots_ = read ? *std::move(read) : snapshot_file(path);
    return {};
  }

  void compare_snapshots(const test_case& t, const expression_values& values,
                         std::vector<diagnostic>& problems) {
    const std::string where = "test " + quote(t.name) + ": ";
    if (const auto read = read_snapshots(); !read) {
      problems.push_back({fault::snapshot_differs, t.snapshot.front().at,
                          where + read.error().message});
      return;
    }
    std::vector<snapshot_file::entry> all;
    bool differs = false;
    for (const test_snapshot& s : t.snapshot) {
      const snapshot_file::entry* before = snapshots_->find(t.name, s.text);
      const auto value = s.value.evaluate(values);  // an error: it is absent
      if (value) all.push_back({s.text, snapshot_of(*value), 0});
      if (value ? before != nullptr && before->json == all.back().json
                : before == nullptr) {
        continue;
      }
      differs = true;
      std::string place = "snapshots/" + snapshots_->path().filename().string();
      if (before != nullptr && before->line != 0) {
        place += ":" + std::to_string(before->line);
      }
      if (options_->update) {
        updates_.push_back(place + ": " + s.text + " is " +
                           changed(value, before, all));
        continue;
      }
      problems.push_back({fault::snapshot_differs, s.at,
                          where + s.text + " differs from " + place +
                              ": it is " + changed(value, before, all) +
                              "; --update takes the new value"});
    }
    if (differs && options_->update) snapshots_->set(t.name, std::move(all));
  }

  // "NEW, it was OLD"
  static std::string changed(const result<value_data>& value,
                             const snapshot_file::entry* before,
                             const std::vector<snapshot_file::entry>& all) {
    if (value && before != nullptr) {
      return difference(before->json, all.back().json);
    }
    return value ? shown(*value) + ", there was none"
                 : "absent, it was " + cut(before->json);
  }

  // `forbid` is told of a stage that would do what a test must not, `miss` of
  // one whose run was not recorded.
  template <class F, class M>
  static std::shared_ptr<run_doubles> doubles_of(const test_case& t,
                                                 const recorded_runs* recorded,
                                                 F& forbid, M& miss) {
    auto doubles = std::make_shared<run_doubles>();
    doubles->left_out = t.left_out;
    doubles->fake = [&t, &forbid](std::size_t stage, std::size_t attempt)
        -> std::optional<result<call_outputs>> {
      const auto it = t.fakes.find(stage);
      if (it == t.fakes.end()) {
        if (t.needs_fake[stage].empty() || t.recorded[stage]) {
          return std::nullopt;
        }
        forbid(stage);
        return result<call_outputs>(error{error_code::unavailable, "no fake"});
      }
      const stage_fake& f =
          it->second[std::min(attempt, it->second.size() - 1)];
      if (f.failure) return result<call_outputs>(*f.failure);
      return result<call_outputs>(f.outputs);
    };
    if (recorded == nullptr) return doubles;
    doubles->recorded =
        [recorded, &miss](
            std::size_t stage,
            const stage_call& call) -> std::optional<result<call_outputs>> {
      if (!recorded->stages()[stage]) return std::nullopt;
      if (auto found = recorded->find(stage, call)) return found;
      miss(stage);
      return result<call_outputs>(
          error{error_code::unavailable, "not recorded"});
    };
    return doubles;
  }

  // `forbid` is told why a tool must not run.
  template <class F>
  void add_tool_doubles(const test_case& t, F& forbid,
                        run_doubles& doubles) const {
    doubles.turn = [this, &t](std::string_view stage,
                              std::size_t n) -> std::optional<value_data> {
      const auto it = std::ranges::find(g_->stages, stage, &graph_stage::id);
      const auto turns =
          t.turns.find(static_cast<std::size_t>(it - g_->stages.begin()));
      if (turns == t.turns.end()) return std::nullopt;
      return turns->second[std::min(n, turns->second.size() - 1)];
    };
    doubles.tool =
        [&t, &forbid, n_calls = std::map<std::string, std::size_t>()](
            std::string_view tool,
            std::size_t) mutable -> std::optional<result<call_outputs>> {
      const auto fake = t.tool_fakes.find(tool);
      if (fake != t.tool_fakes.end()) {
        const auto& all = fake->second;
        const std::size_t n = n_calls[std::string(tool)]++;
        const stage_fake& f = all[std::min(n, all.size() - 1)];
        if (f.failure) return result<call_outputs>(*f.failure);
        return result<call_outputs>(f.outputs);
      }
      const auto needed = t.tool_needs_fake.find(tool);
      if (needed == t.tool_needs_fake.end()) return std::nullopt;
      forbid(needed->second);
      return result<call_outputs>(error{error_code::unavailable, "no fake"});
    };
  }

  static task<void> run_into(std::shared_ptr<const graph> g,
                             input_values inputs, run_options options,
                             boost::asio::any_io_executor pool,
                             std::optional<result<run_result>>& out) {
    out.emplace(co_await run_graph(std::move(g), std::move(inputs),
                                   std::move(options), std::move(pool)));
  }

  // Once nothing is left to compute, a wait ends.
  static void run_on(boost::asio::io_context& context, test_clock& clock) {
    const auto& jobs = boost::asio::use_service<pool_jobs>(context);
    while (!context.stopped()) {
      const bool idle = jobs.none();
      if (context.poll() > 0 || context.stopped()) continue;
      if (!idle || !clock.advance()) context.run_one();
    }
  }

  // By the steady clock without another one.
  result<run_result> run(const input_values& inputs, const run_options& options,
                         test_clock* clock) {
    boost::asio::io_context context(1);
    const boost::asio::any_io_executor pool =
        own_pool_ ? own_pool_->get_executor()
                  : options_->host.pool->get_executor();
    std::optional<result<run_result>> out;
    const auto ended = [](std::exception_ptr) {};  // `out` stays empty
    boost::asio::co_spawn(context, run_into(g_, inputs, options, pool, out),
                          ended);
    if (clock != nullptr) {
      run_on(context, *clock);
    } else {
      context.run();
    }
    if (out) return *std::move(out);
    return error{error_code::internal, "the request ended without a result"};
  }

  expression_values values_of(const result<run_result>& ended,
                              const run_record& record) {
    return values_of_request(*g_, ended, record, error_);
  }

  std::shared_ptr<graph> g_;
  std::string_view file_;
  const test_options* options_;
  coverage reached_;
  std::optional<boost::asio::thread_pool> own_pool_;
  std::vector<value_data> error_;
  std::optional<snapshot_file> snapshots_;  // once a test has asked for some
  std::vector<std::string> updates_;        // of the test that runs
};

}  // namespace detail

TINYPHI_FUNC expression_values
values_of_request(const graph& g, const result<run_result>& ended,
                  const run_record& record, std::vector<value_data>& failure) {
  const test_numbers numbers(g);
  failure.clear();
  if (!ended) {
    failure = {value_data(to_string(ended.error().code)),
               value_data(record.failed_stage),
               value_data(ended.error().message)};
  }
  expression_values values;
  values.slot = [numbers, &g, &ended, &record,
                 &failure](std::size_t slot) -> const value_data* {
    if (slot < numbers.n_slots) {
      return slot < record.slots.size() && record.slots[slot]
                 ? &*record.slots[slot]
                 : nullptr;
    }
    slot -= numbers.n_slots;
    if (slot >= numbers.n_outputs) {
      slot -= numbers.n_outputs;
      return slot < failure.size() ? &failure[slot] : nullptr;
    }
    if (!ended) return nullptr;
    const auto it = ended->outputs.find(g.outputs[slot].name);
    return it == ended->outputs.end() ? nullptr : &it->second.data;
  };
  values.call = [numbers, &g, &record](std::size_t call) {
    const auto [number, of] = numbers.parts(call);
    const std::string_view function = test_numbers::functions[number];
    if (number >= test_numbers::n_of_stages) {
      const auto tool =
          std::next(g.tools.begin(), static_cast<std::ptrdiff_t>(of));
      const auto it = record.tools.find(tool->first);
      const tool_count n = it == record.tools.end() ? tool_count() : it->second;
      return value_data(function == "calls" ? n.calls : n.denied);
    }
    const std::string& id = g.stages[of].id;
    const auto it = std::ranges::find(record.stages, id, &stage_report::id);
    // A request whose inputs are refused has no reports.
    const stage_report s = it == record.stages.end() ? stage_report() : *it;
    if (function == "failed") return value_data(s.failed);
    if (function == "ran") {
      return value_data(s.outcome == stage_outcome::done);
    }
    return value_data(function == "rounds" ? s.rounds : s.attempts);
  };
  return values;
}

TINYPHI_FUNC std::string find_fault(const test_expectation& e,
                                    const expression_values& values) {
  const auto holds = e.test.holds(values);
  if (!holds) return e.text + " is false: " + holds.error().message;
  if (*holds) return {};
  const expression_node& root = e.test.tree().nodes().back();
  std::string text = e.text + " is false";
  if (root.what != expression_node::kind::operation ||
      root.operands.size() != 2) {
    return text;
  }
  const expression_node& left = e.test.tree().nodes()[root.operands[0]];
  const auto value = e.test.evaluate(values, root.operands[0]);
  if (!value || value->get<bool>() != nullptr) return text;
  return text + ": " +
         e.test.tree().text().substr(left.begin, left.end - left.begin) +
         " is " + detail::shown(*value);
}

TINYPHI_FUNC test_report run_tests(const std::shared_ptr<graph>& g,
                                   const std::vector<test_case>& tests,
                                   std::string_view file,
                                   const test_options& options) {
  detail::test_runner runner(g, file, options);
  test_report report;
  for (const test_case& t : tests) {
    const bool chosen = options.tag.empty() ||
                        std::ranges::find(t.tags, options.tag) != t.tags.end();
    if (!chosen) continue;
    report.tests.push_back(runner.run(t));
    if (options.on_outcome) options.on_outcome(report.tests.back());
  }
  report.not_covered = runner.not_covered();
  if (options.update) report.snapshots = runner.write_snapshots(tests);
  return report;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_TESTING_RUN_TESTS_IPP_
