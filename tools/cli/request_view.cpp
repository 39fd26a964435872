// SPDX-License-Identifier: MIT
#include "cli/request_view.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <mutex>
#include <optional>
#include <random>
#include <span>
#include <utility>

#include "cli/terminal.h"
#include "tinyphi/base/replacement_file.h"

namespace cli {

namespace {

namespace fs = std::filesystem;
namespace json = tinyphi::json;
using tinyphi::error;
using tinyphi::error_code;
using tinyphi::result;

std::string new_request_id() {
  std::random_device random;
  std::string id;
  for (int i = 0; i < 16; ++i) id += "0123456789abcdef"[random() % 16];
  return id;
}

// The place of the pipeline's file from the trace's folder, so that both may
// move together.
std::string file_from(const fs::path& trace, const fs::path& file) {
  std::error_code unknown;
  const fs::path whole = fs::absolute(file, unknown);
  const fs::path from = fs::absolute(trace, unknown).parent_path();
  const fs::path way =
      whole.lexically_normal().lexically_relative(from.lexically_normal());
  return (way.empty() ? whole : way).string();
}

// Figures of all runs of one stage.
struct stage_figures {
  std::size_t runs = 0;
  double seconds = 0;
  tinyphi::usage used;
};

// Stages of called files behind those that call them: "notes/ask".
std::string path_of(const tinyphi::trace_event& e) {
  std::string path;
  for (const tinyphi::stage_call& caller : e.callers)
    path += caller.stage + "/";
  return path + e.call.stage;
}

std::string right(std::string text, std::size_t width) {
  return text.size() < width ? std::string(width - text.size(), ' ') + text
                             : text;
}

// Tokens that were made in each second of making them; "-" if none were.
std::string speed_of(const tinyphi::usage& u) {
  if (u.completion_tokens == 0 || u.decode_seconds <= 0) return "-";
  return fixed(static_cast<double>(u.completion_tokens) / u.decode_seconds, 1);
}

}  // namespace

struct request_view::state {
  std::shared_ptr<const tinyphi::graph> g;
  view_options options;
  std::shared_ptr<tinyphi::run_record> record =
      std::make_shared<tinyphi::run_record>();
  std::chrono::steady_clock::time_point started =
      std::chrono::steady_clock::now();

  std::mutex mutex;  // of all below while the request runs
  std::optional<tinyphi::replacement_file> file;
  std::size_t n_bytes = 0;
  std::optional<error> failed;  // to write
  std::vector<std::pair<std::string, stage_figures>> figures;

  void write(const std::string& line) {
    if (!file || failed) return;
    n_bytes += line.size() + 1;
    if (n_bytes > tinyphi::trace_limits::max_bytes) {
      failed = error{error_code::limit,
                     options.trace + ": the trace would have more than " +
                         std::to_string(tinyphi::trace_limits::max_bytes) +
                         " bytes; it was not written"};
      return;
    }
    const std::string whole = line + "\n";
    const auto done = file->write(std::as_bytes(std::span(whole)));
    if (!done) failed = done.error();
  }

  void add(const tinyphi::trace_event& e) {
    const std::string line = options.trace.empty() ? "" : to_json_line(e);
    const std::lock_guard lock(mutex);
    if (!line.empty()) write(line);
    if (e.outcome == tinyphi::trace_event::kind::skipped) return;
    const std::string path = path_of(e);
    auto it = std::ranges::find(figures, path,
                                &std::pair<std::string, stage_figures>::first);
    if (it == figures.end()) {
      it = figures.insert(it, std::pair(path, stage_figures()));
    }
    stage_figures& s = it->second;
    ++s.runs;
    s.seconds += e.seconds;
    tinyphi::add_usage(s.used, e.used);
  }

  [[nodiscard]] std::string table() const {
    std::string out = padded("stage", 20) +
                      "  runs        ms  tokens in    cached  tokens out"
                      "  tokens/s\n";
    for (const auto& [path, s] : figures) {
      out += padded(path, 20) + right(std::to_string(s.runs), 6) +
             right(fixed(s.seconds * 1000, 1), 10) +
             right(std::to_string(s.used.prompt_tokens), 11) +
             right(std::to_string(s.used.cached_tokens), 10) +
             right(std::to_string(s.used.completion_tokens), 12) +
             right(speed_of(s.used), 10) + "\n";
    }
    return out;
  }

  [[nodiscard]] json::array figures_to_json() const {
    json::array all;
    for (const auto& [path, s] : figures) {
      json::object one{{"stage", path},
                       {"runs", s.runs},
                       {"seconds", s.seconds},
                       {"tokens_in", s.used.prompt_tokens},
                       {"tokens_cached", s.used.cached_tokens},
                       {"tokens_out", s.used.completion_tokens}};
      if (s.used.decode_seconds > 0) {
        one["tokens_per_second"] =
            static_cast<double>(s.used.completion_tokens) /
            s.used.decode_seconds;
      }
      all.push_back(std::move(one));
    }
    return all;
  }

  // How many tokens each segment adds to those before it; empty if the model's
  // tokenizer is not known here.
  [[nodiscard]] std::vector<std::size_t> count_tokens(
      const tinyphi::labelled_prompt& p) const {
    std::vector<std::size_t> counts;
    const auto facts = g->services->facts(p.model);
    if (!facts || !facts->tokenizer) return counts;
    std::vector<tinyphi::segment> segments;
    std::size_t before = 0;
    for (const tinyphi::prompt_segment& s : p.segments) {
      segments.push_back({s.text, s.control});
      const std::size_t n = facts->tokenizer->encode(segments, true).size();
      counts.push_back(n - std::min(n, before));
      before = n;
    }
    return counts;
  }

  [[nodiscard]] const std::optional<tinyphi::value_data>& slot(
      const std::string& name) const {
    static const std::optional<tinyphi::value_data> none;
    const auto it =
        std::ranges::find(g->slots, name, &tinyphi::graph_slot::name);
    const auto n = static_cast<std::size_t>(it - g->slots.begin());
    return n < record->slots.size() ? record->slots[n] : none;
  }

  void print_slot(const std::string& name) const {
    const auto& data = slot(name);
    if (!data) return print_line(name + " is absent");
    const auto it =
        std::ranges::find(g->slots, name, &tinyphi::graph_slot::name);
    const auto* prompt = data->get<tinyphi::labelled_prompt>();
    if (prompt == nullptr) {
      std::string text = to_text(*data);
      if (text.ends_with('\n')) text.pop_back();
      print_line(name + " (" + std::string(to_string(it->label)) +
                 "): " + text);
      return;
    }
    print_line(name + " (" + std::string(to_string(it->label)) + ", " +
               std::to_string(prompt->tokens) + " tokens)");
    const auto counts = count_tokens(*prompt);
    for (std::size_t i = 0; i < prompt->segments.size(); ++i) {
      const tinyphi::prompt_segment& s = prompt->segments[i];
      std::string head = "[";
      head += s.control ? "control" : std::string(to_string(s.label));
      if (i < counts.size()) head += ", " + std::to_string(counts[i]);
      print_line(head + "] " + s.text);
    }
  }

  [[nodiscard]] json::value slot_to_json(const std::string& name) const {
    const auto& data = slot(name);
    if (!data) return nullptr;
    json::value out = tinyphi::to_json(*data);
    const auto* prompt = data->get<tinyphi::labelled_prompt>();
    if (prompt == nullptr) return out;
    const auto counts = count_tokens(*prompt);
    json::array& segments = out.as_object()["segments"].as_array();
    for (std::size_t i = 0; i < counts.size(); ++i) {
      segments[i].as_object()["tokens"] = counts[i];
    }
    return out;
  }
};

void add_view_options(CLI::App& command, view_options& o) {
  command
      .add_option("--trace", o.trace,
                  "write what every stage took and gave, a JSON object a line; "
                  "see tinyphi replay")
      ->type_name("FILE");
  command.add_flag("--stats", o.stats,
                   "print tokens, tokens per second, cached prefix and "
                   "milliseconds of each stage to standard error");
  command
      .add_option("--show", o.show,
                  "print a value, a prompt with the label and the tokens of "
                  "each segment; may be given several times")
      ->type_name("STAGE.PORT")
      ->allow_extra_args(false);
}

request_view::request_view(std::unique_ptr<state> s) : state_(std::move(s)) {}
request_view::~request_view() = default;

result<std::unique_ptr<request_view>> request_view::open(
    const view_options& o, std::shared_ptr<const tinyphi::graph> g,
    const tinyphi::input_values& inputs) {
  std::vector<std::string_view> names;
  for (const tinyphi::graph_slot& s : g->slots) names.push_back(s.name);
  for (const std::string& name : o.show) {
    if (std::ranges::find(names, name) != names.end()) continue;
    return error{error_code::invalid_argument,
                 "--show: no value " + tinyphi::quote(name) +
                     tinyphi::did_you_mean(name, names)};
  }
  auto s = std::make_unique<state>();
  s->g = std::move(g);
  s->options = o;
  if (!o.trace.empty()) {
    // What people asked and what documents said is nobody else's business.
    s->file.emplace(o.trace);
    TINYPHI_CHECK_OK(s->file->create(0600));
  }
  auto view = std::unique_ptr<request_view>(new request_view(std::move(s)));
  state& in = *view->state_;
  tinyphi::trace_head head;
  head.request = new_request_id();
  head.file = file_from(o.trace, in.g->file);
  head.hash = in.g->hash;
  head.inputs = inputs;
  in.write(to_json_line(head));
  if (in.failed) return *in.failed;
  view->request_ = head.request;
  return view;
}

void request_view::attach(tinyphi::run_options& options) {
  state_->started = std::chrono::steady_clock::now();
  options.record = state_->record;
  if (state_->options.trace.empty() && !state_->options.stats) return;
  auto trace = std::make_shared<tinyphi::request_trace>();
  trace->request = request_;
  trace->contents = !state_->options.trace.empty();
  trace->on_event = [s = state_](const tinyphi::trace_event& e) { s->add(e); };
  options.trace = std::move(trace);
}

result<void> request_view::finish(const result<tinyphi::run_result>& ended,
                                  json::object* out) {
  state& s = *state_;
  if (out != nullptr) {
    if (s.options.stats) (*out)["stats"] = s.figures_to_json();
    json::object shown;
    for (const std::string& name : s.options.show) {
      shown[name] = s.slot_to_json(name);
    }
    if (!shown.empty()) (*out)["show"] = std::move(shown);
  } else {
    for (const std::string& name : s.options.show) s.print_slot(name);
  }
  if (s.options.stats) {
    const std::string table = printable(s.table());
    std::fwrite(table.data(), 1, table.size(), stderr);
  }
  if (!s.file) return {};
  const std::chrono::duration<double> taken =
      std::chrono::steady_clock::now() - s.started;
  s.write(to_json_line(end_of(ended, *s.record, taken.count())));
  if (s.failed) return *s.failed;
  return s.file->commit();
}

}  // namespace cli
