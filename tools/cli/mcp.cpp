// SPDX-License-Identifier: MIT
// tinyphi mcp: pipelines as tools of the Model Context Protocol.
#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "cli/command.h"
#include "cli/given_inputs.h"
#include "cli/pipeline.h"
#include "cli/standard_bytes.h"
#include "cli/terminal.h"
#include "exit_code.h"
#include "tinyphi/generate/engine.h"
#include "tinyphi/serve/mcp_session.h"
#include "tinyphi/serve/mcp_tool.h"
#include "tinyphi/version.h"

namespace cli {

namespace {

namespace asio = boost::asio;
namespace json = tinyphi::json;
using tinyphi::error;
using tinyphi::error_code;
using tinyphi::mcp_failure;
using tinyphi::mcp_result;
using tinyphi::result;

constexpr std::size_t max_tools = 128;
// How long calls may go on when the client has closed its end, and how long
// ended ones may take to notice.
constexpr std::chrono::seconds max_ending{5};
constexpr std::chrono::seconds max_cancelling{2};
// Progress is left out while the client is this far behind.
constexpr std::size_t max_unsent_progress = std::size_t{64} << 10;

struct mcp_options {
  std::vector<std::string> files;
  std::string model;
  int first_within = 60;  // seconds
};

// A pipeline that has been proved.
struct tool_source {
  std::string file;
  std::shared_ptr<tinyphi::graph> graph;
  tinyphi::host_options host;
};
using pipelines = std::map<std::string, tinyphi::pipeline, std::less<>>;

// The stage that has asked a person. Any thread may call.
class denial {
 public:
  static constexpr const char* nobody = "nobody can be asked here";

  tinyphi::approval deny(const std::string& stage) {
    const std::lock_guard lock(mutex_);
    if (stage_.empty()) stage_ = stage;
    return {.given = false, .reason = nobody};
  }
  [[nodiscard]] std::string stage() const {
    const std::lock_guard lock(mutex_);
    return stage_;
  }

 private:
  mutable std::mutex mutex_;
  std::string stage_;  // empty: none has
};

// All but load() happens on the thread of run().
class mcp_server {
 public:
  mcp_server(std::vector<tool_source> sources, std::vector<json::object> tools,
             tinyphi::cancel_token loading, std::chrono::seconds first_within)
      : sources_(std::move(sources)),
        loading_(std::move(loading)),
        first_within_(first_within),
        session_(TINYPHI_VERSION, std::move(tools)),
        io_(loop_, {[this](std::string_view bytes) { take(bytes); },
                    [this] { stop_if_done(); }, [this] { end_now(); }}) {}

  // Until the client goes: the exit status.
  int run() {
    signals_.async_wait([this](const boost::system::error_code& ec, int) {
      if (ec) return;
      signals_.clear();  // the next one ends the process
      end_now();
    });
    // A client may ask for the tools while models are loaded.
    std::thread loader([this] { load(); });
    io_.start();
    wait_for_client();
    loop_.run();
    loading_.cancel();
    loader.join();
    return status_;
  }

 private:
  struct running_call {
    tinyphi::cancel_token stop;
    std::set<std::string, std::less<>> stages;  // that have ended
  };

  void load() {
    auto loaded = std::make_shared<result<pipelines>>(pipelines());
    try {
      for (const tool_source& s : sources_) {
        auto p = tinyphi::pipeline::create(s.graph, s.file, s.host);
        if (!p) {
          *loaded = p.error();
          break;
        }
        (*loaded)->emplace(s.graph->name, *std::move(p));
      }
    } catch (const std::exception& e) {
      *loaded = error{error_code::internal, e.what()};
    }
    asio::post(loop_, [this, loaded] { begin_all(std::move(*loaded)); });
  }

  // The calls that waited for their pipelines.
  void begin_all(result<pipelines> loaded) {
    auto calls = std::move(waiting_);
    waiting_.clear();
    if (loaded) {
      pipelines_ = *std::move(loaded);
      for (tinyphi::mcp_call& c : calls) begin(std::move(c));
      return;
    }
    if (!loading_.cancelled()) status_ = fail(loaded.error());
    for (const tinyphi::mcp_call& c : calls) {
      finish(c.number, mcp_failure(loaded.error().message));
    }
    end_now();
  }

  // Whoever starts a server to use it begins at once. An input that is open and
  // that nobody writes to, as a job of the background has it, never ends.
  void wait_for_client() {
    ending_.expires_after(first_within_);
    ending_.async_wait([this](const boost::system::error_code& ec) {
      if (ec || is_ending_ || has_client_) return;
      status_ =
          fail(error{error_code::deadline,
                     "no client has said anything on standard input for " +
                         std::to_string(first_within_.count()) + " s"});
      end_now();
    });
  }

  void take(std::string_view bytes) {
    if (is_ending_) return;
    if (!std::exchange(has_client_, true)) ending_.cancel();
    const bool is_end = bytes.empty();
    tinyphi::mcp_step step = is_end ? session_.end() : session_.take(bytes);
    for (const std::string& line : step.lines) send(line);
    for (tinyphi::mcp_call& c : step.calls) {
      running_[c.number];
      if (pipelines_) {
        begin(std::move(c));
      } else {
        waiting_.push_back(std::move(c));
      }
    }
    for (const std::uint64_t n : step.cancelled) {
      const auto it = running_.find(n);
      if (it != running_.end()) it->second.stop.cancel();
    }
    if (is_end) end_soon();
  }

  void begin(tinyphi::mcp_call call) {
    const tinyphi::pipeline& p = pipelines_->at(call.tool);
    auto inputs = request_inputs(p.graph(), call.arguments, {});
    if (!inputs)
      return finish(call.number, mcp_failure(inputs.error().message));
    const auto denied = std::make_shared<denial>();
    tinyphi::run_options options;
    options.stop.token = running_[call.number].stop;
    options.approve = [denied](const tinyphi::approval_question& q,
                               const tinyphi::stop_condition&) {
      return denied->deny(q.stage);
    };
    if (call.wants_progress) {
      const std::size_t n_stages = p.graph().stages.size();
      auto trace = std::make_shared<tinyphi::request_trace>();
      trace->on_event = [this, n = call.number,
                         n_stages](const tinyphi::trace_event& e) {
        using kind = tinyphi::trace_event::kind;
        if (!e.callers.empty() || e.outcome == kind::failed) return;
        asio::dispatch(loop_, [this, n, n_stages, stage = e.call.stage] {
          tell_progress(n, n_stages, stage);
        });
      };
      options.trace = std::move(trace);
    }
    auto running = run_call(p, call.number, *std::move(inputs),
                            std::move(options), denied);
    asio::co_spawn(loop_, std::move(running),
                   [this, n = call.number](std::exception_ptr thrown) {
                     if (thrown) finish(n, mcp_failure("internal error"));
                   });
  }

  tinyphi::task<void> run_call(tinyphi::pipeline p, std::uint64_t number,
                               tinyphi::input_values inputs,
                               tinyphi::run_options options,
                               std::shared_ptr<denial> denied) {
    auto running = p.async_run(std::move(inputs), std::move(options));
    const auto done = co_await std::move(running);
    const std::string stage = denied->stage();
    finish(number, stage.empty()
                       ? tinyphi::tool_result_of(done)
                       : tinyphi::denied_result(done, stage, denial::nobody));
  }

  void tell_progress(std::uint64_t number, std::size_t n_stages,
                     const std::string& stage) {
    const auto it = running_.find(number);
    if (it == running_.end() || !it->second.stages.insert(stage).second ||
        io_.n_unsent() > max_unsent_progress) {
      return;
    }
    const auto line =
        session_.progress(number, it->second.stages.size(), n_stages,
                          "stage " + stage + " has ended");
    if (line) send(*line);
  }

  void finish(std::uint64_t number, const mcp_result& r) {
    running_.erase(number);
    if (const auto line = session_.finish(number, r)) send(*line);
    stop_if_done();
  }

  void send(const std::string& line) { io_.send(line + "\n"); }

  // The client says no more; it may still listen.
  void end_soon() {
    is_ending_ = true;
    ending_.expires_after(max_ending);
    ending_.async_wait([this](const boost::system::error_code& ec) {
      if (!ec) end_now();
    });
    stop_if_done();
  }

  void end_now() {
    is_ending_ = true;
    loading_.cancel();
    for (auto& [number, call] : running_) call.stop.cancel();
    ending_.expires_after(max_cancelling);
    ending_.async_wait([this](const boost::system::error_code& ec) {
      if (!ec) loop_.stop();
    });
    stop_if_done();
  }

  void stop_if_done() {
    if (is_ending_ && running_.empty() && io_.n_unsent() == 0) loop_.stop();
  }

  std::vector<tool_source> sources_;
  tinyphi::cancel_token loading_;
  std::chrono::seconds first_within_;
  std::optional<pipelines> pipelines_;      // none while they are loaded
  std::vector<tinyphi::mcp_call> waiting_;  // for them
  asio::io_context loop_{1};
  asio::signal_set signals_{loop_, SIGINT, SIGTERM};
  asio::steady_timer ending_{loop_};
  tinyphi::mcp_session session_;
  std::map<std::uint64_t, running_call> running_;
  bool has_client_ = false;  // it has said something, or has gone
  bool is_ending_ = false;
  int status_ = exit_done;
  standard_bytes io_;
};

// Files that name the same model share it.
tinyphi::host_options sharing_engines(tinyphi::host_options host) {
  const auto known = std::make_shared<std::map<std::string, tinyphi::engine>>();
  host.open_model =
      [known, open = std::move(host.open_model)](
          const tinyphi::model_spec& m) -> result<tinyphi::engine> {
    const std::string path = m.path.string();
    if (const auto it = known->find(path); it != known->end()) {
      return it->second;
    }
    TINYPHI_TRY(auto engine, open(m));
    return known->emplace(path, std::move(engine)).first->second;
  };
  return host;
}

int serve_tools(const mcp_options& o) {
  // A client that has gone, or a limit of file sizes, is an error of one write.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  if (o.files.size() > max_tools) {
    return fail_usage(std::to_string(o.files.size()) + " files; at most " +
                      std::to_string(max_tools) + " are allowed");
  }
  const tinyphi::cancel_token loading;
  const tinyphi::host_options shared = sharing_engines(pipeline_host(loading));
  asio::thread_pool pool(shared.pool_threads);
  std::vector<tool_source> sources;
  std::vector<json::object> tools;
  std::map<std::string, std::string, std::less<>> files;  // by tool
  for (const std::string& file : o.files) {
    auto host = pipeline_host(file, o.model, shared);
    if (!host) return fail(host.error());
    host->pool = &pool;
    auto proved = prove(file, false, *host);
    if (!proved.graph) return proved.status;
    auto tool = tinyphi::describe_tool(*proved.graph);
    if (!tool) {
      fail(tool.error());
      return exit_config;
    }
    const auto [other, is_new] = files.emplace(proved.graph->name, file);
    if (!is_new) {
      return fail_usage(file + ": tool " + other->first + " is " +
                        other->second +
                        " already; [pipeline].name gives it another name");
    }
    sources.push_back({file, std::move(proved.graph), *std::move(host)});
    tools.push_back(*std::move(tool));
  }
  mcp_server server(std::move(sources), std::move(tools), loading,
                    std::chrono::seconds(o.first_within));
  return server.run();
}

}  // namespace

void add_mcp(CLI::App& app, action& run) {
  CLI::App* command = add_command(
      app, "mcp",
      "offer pipelines as tools of the Model Context Protocol, on standard "
      "input and output",
      "tinyphi mcp pipelines/docs-qa/docs-qa.toml\n"
      "A client starts it by itself: its configuration names the program, "
      "with \"mcp\"\n"
      "and the files as arguments.");
  auto o = std::make_shared<mcp_options>();
  command
      ->add_option("files", o->files,
                   "pipeline files; each is a tool of its [pipeline].name, "
                   "with its inputs as arguments and its outputs as result")
      ->required()
      ->type_name("FILE");
  add_pipeline_model(*command, o->model);
  command
      ->add_option("--first-within", o->first_within,
                   "seconds in which a client must have said something; an "
                   "input that nobody writes to never ends")
      ->type_name("SECONDS")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str();
  command->final_callback([o, &run] { run = [o] { return serve_tools(*o); }; });
}

}  // namespace cli
