// SPDX-License-Identifier: MIT
#include "cli/batch.h"

#include <algorithm>
#include <deque>
#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "cli/batch_output.h"
#include "cli/given_inputs.h"
#include "cli/line_file.h"
#include "cli/pipeline.h"
#include "cli/terminal.h"
#include "exit_code.h"
#include "tinyphi/base/content_hash.h"
#include "tinyphi/base/mapped_file.h"
#include "tinyphi/pipeline/toml_file.h"

namespace cli {

namespace {

namespace fs = std::filesystem;
namespace json = tinyphi::json;
using tinyphi::error;
using tinyphi::error_code;
using tinyphi::result;

// What messages call a line of --each.
constexpr std::string_view request_name = "request";
constexpr std::size_t max_parallel = 64;

std::string hash_of(std::string_view text) {
  return std::to_string(
      tinyphi::content_hash_of(std::as_bytes(std::span(text))));
}

// The names of the environment that a file asks for, with their values.
using environment = std::map<std::string, std::optional<std::string>>;

// What decides the result of a request besides its inputs: the file and the
// files that it calls, their rules, the environment as they see it, the model's
// name, and what the requests share.
class source_list {
 public:
  explicit source_list(const tinyphi::host_options& host) : host_(host) {}

  // The file, and all that it calls. One that cannot be read is left out: the
  // graph is proved already.
  void add_file(const fs::path& file) {
    std::error_code unknown;
    const fs::path place = fs::weakly_canonical(file, unknown);
    const auto text =
        tinyphi::read_file(place, tinyphi::toml_limits::max_bytes);
    if (!text || !all_.emplace(place.string(), hash_of(*text)).second) return;
    std::vector<tinyphi::diagnostic> faults;
    const auto spec = tinyphi::read_spec(*text, place, host_.env, faults);
    if (!spec) return;
    for (const auto& [name, rules] : spec->rules) {
      if (!rules.path.empty()) add_bytes(rules.path);
    }
    for (const tinyphi::library_file& library : spec->libraries) {
      add_bytes(place.parent_path() / library.folder /
                fs::path(library.name).filename());
    }
    for (const tinyphi::stage_spec& s : spec->stages) {
      if (s.plugin.starts_with("./")) add_file(place.parent_path() / s.plugin);
    }
  }

  void add(const std::string& what, std::string_view value) {
    all_.emplace(what, hash_of(value));
  }

  [[nodiscard]] const batch_sources& all() const { return all_; }

 private:
  void add_bytes(const fs::path& file) {
    const auto mapped = tinyphi::mapped_file::open(file);
    if (!mapped) return;
    all_.emplace(file.string(),
                 std::to_string(tinyphi::content_hash_of(mapped->bytes())));
  }

  const tinyphi::host_options& host_;
  batch_sources all_;
};

batch_sources sources_of(const std::string& file, const std::string& model,
                         const tinyphi::input_values& shared,
                         const line_summary& lines,
                         const tinyphi::host_options& host,
                         const environment& asked) {
  source_list sources(host);
  sources.add_file(file);
  for (const auto& [name, value] : asked) {
    sources.add("environment " + name, value ? "=" + *value : "");
  }
  for (const auto& [name, data] : shared) {
    sources.add("-i " + name, json::serialize(to_json(data)));
  }
  sources.add("-m", model);
  sources.add("the lines of --each", std::to_string(lines.hash));
  return sources.all();
}

// Requests that run, each on a thread of its own, in the order of their lines:
// the first is waited for first, so that no more than `most` are in memory.
class request_line {
 public:
  request_line(const tinyphi::pipeline& p, const tinyphi::cancel_token& token,
               std::size_t most)
      : pipeline_(p), most_(most) {
    stop_.token = token;
  }
  request_line(const request_line&) = delete;
  request_line& operator=(const request_line&) = delete;
  // Nobody wants what is left; it is waited for.
  ~request_line() {
    if (!running_.empty()) stop_.token.cancel();
  }

  [[nodiscard]] bool empty() const { return running_.empty(); }
  [[nodiscard]] bool full() const { return running_.size() >= most_; }

  void start(tinyphi::input_values inputs) {
    running_.push_back(std::async(
        std::launch::async, [this, inputs = std::move(inputs)]() mutable {
          return pipeline_.run(std::move(inputs), stop_);
        }));
  }
  result<tinyphi::run_result> take_first() {
    auto first = std::move(running_.front());
    running_.pop_front();
    return first.get();
  }

 private:
  const tinyphi::pipeline& pipeline_;
  std::size_t most_;
  tinyphi::stop_condition stop_;
  std::deque<std::future<result<tinyphi::run_result>>> running_;
};

// All lines of `in` behind those that are done, which check_all has been
// through.
result<void> run_lines(line_file& in, std::size_t n_lines,
                       const tinyphi::pipeline& p,
                       const tinyphi::input_values& shared,
                       std::size_t parallel, const tinyphi::cancel_token& token,
                       batch_output& out) {
  TINYPHI_CHECK_OK(in.skip(out.n_done()));
  progress_bar bar("requests");
  request_line requests(p, token, parallel);
  bool more = true;
  while (more || !requests.empty()) {
    while (more && !requests.full() && !token.cancelled()) {
      auto object = in.next(request_name);
      more = object && *object && in.number() <= n_lines;
      if (!more) break;
      auto inputs = request_inputs(p.graph(), **object, shared);
      more = inputs.has_value();
      if (more) requests.start(*std::move(inputs));
    }
    if (requests.empty()) break;
    const auto done = requests.take_first();
    // What was stopped has not failed.
    if (!done && token.cancelled()) break;
    TINYPHI_CHECK_OK(done ? out.add(outputs_to_json(*done))
                          : out.add_failure(done.error()));
    bar.show(static_cast<double>(out.n_done()) / static_cast<double>(n_lines));
  }
  if (out.n_done() == n_lines) return {};
  if (token.cancelled()) {
    return error{error_code::cancelled, "stopped behind line " +
                                            std::to_string(out.n_done()) +
                                            "; --resume goes on"};
  }
  return error{error_code::bad_data,
               "line " + std::to_string(out.n_done() + 1) +
                   " of --each has changed while it was read"};
}

}  // namespace

CLI::Option* add_batch_options(CLI::App& command, batch_options& o) {
  CLI::Option* each =
      command
          .add_option(
              "--each", o.each,
              "run one request for each line of FILE, a JSON object whose "
              "members are inputs by name; -i gives what all have in common. "
              "All lines are looked at before the first request runs: one that "
              "cannot be (TP5007) stops all, with exit status 65. A line has "
              "at most 1 MiB")
          ->type_name("FILE");
  CLI::Option* out =
      command
          .add_option(
              "--out", o.out,
              "where results go, one JSON object of outputs a line, in the "
              "order of the requests: line N of FILE answers line N of --each. "
              "Where a request fails the line is null, and FILE with the "
              "ending .failures.jsonl has {index, code, message}; index counts "
              "from 0. The exit status is 1 then")
          ->type_name("FILE")
          ->needs(each);
  each->needs(out);
  command
      .add_flag("--resume", o.resume,
                "go on behind the last complete line of --out, whenever it was "
                "killed; begin if there is none. Refused if the pipeline, what "
                "it calls, its environment, -i, -m or the lines of --each are "
                "not the same; what they were is kept beside --out in "
                ".resume.json")
      ->needs(each);
  command
      .add_option("--parallel", o.parallel,
                  "so many requests at a time, and in memory, but no more than "
                  "[limits].concurrency of FILE; the order of effects among "
                  "them is then not defined")
      ->type_name("N")
      ->check(CLI::Range(std::size_t{1}, max_parallel))
      ->capture_default_str()
      ->needs(each);
  return each;
}

int run_batch(const std::string& file, const std::string& model,
              const std::vector<std::string>& shared, const batch_options& o,
              bool as_json) {
  const interrupt_guard interrupt;
  auto host = pipeline_host(file, model, interrupt.token());
  if (!host) return fail(host.error());
  host->pool_threads = std::max(host->pool_threads, o.parallel);
  environment asked;
  host->env = [&asked, env = std::move(host->env)](const std::string& name) {
    return asked[name] = env(name);
  };
  auto proved = prove(file, as_json, *host);
  if (!proved.graph) return proved.status;
  const auto common = given_inputs(*proved.graph, shared);
  if (!common) return fail(common.error());
  auto in = line_file::open(o.each);
  if (!in) return fail(in.error());
  std::vector<tinyphi::diagnostic> faults;
  const auto lines = in->check_all(
      request_name,
      [&](const json::object& request) -> result<void> {
        const auto inputs = request_inputs(*proved.graph, request, *common);
        return inputs ? result<void>() : inputs.error();
      },
      faults);
  if (!lines) return fail(lines.error());
  if (!faults.empty()) return fail_lines(faults, o.each, as_json);
  auto out = batch_output::open(
      o.out, sources_of(file, model, *common, *lines, *host, asked), o.resume);
  if (!out) return fail(out.error());
  const std::size_t n_before = out->n_done();
  if (n_before > lines->n_lines) {
    return fail({error_code::bad_data,
                 o.out + ": has more lines than " + o.each +
                     ": somebody has changed it; remove it, or name another "
                     "--out"});
  }
  const auto pipeline =
      tinyphi::pipeline::create(std::move(proved.graph), file, *host);
  if (!pipeline) return fail(pipeline.error());
  // More would only wait in the file's own queue, and be refused by it.
  const std::size_t parallel =
      std::min(o.parallel, pipeline->graph().limits.concurrency);
  const auto ended = run_lines(*in, lines->n_lines, *pipeline, *common,
                               parallel, interrupt.token(), *out);
  if (!ended) return fail(error(ended.error()).within(o.out));
  const std::size_t n_failed = out->n_failed();
  if (as_json) {
    print_line(json::serialize(json::object{{"requests", out->n_done()},
                                            {"failed", n_failed},
                                            {"done_before", n_before}}));
  } else {
    print_line(std::to_string(out->n_done() - n_failed) + " done, " +
               std::to_string(n_failed) + " failed" +
               (n_failed == 0 ? "" : "; see " + out->failures_path()));
  }
  return n_failed == 0 ? exit_done : exit_failed;
}

}  // namespace cli
