// SPDX-License-Identifier: MIT
// tinyphi eval: how good a pipeline is, over cases with what is expected.
#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/answer_score.h"
#include "cli/command.h"
#include "cli/eval_report.h"
#include "cli/given_inputs.h"
#include "cli/line_file.h"
#include "cli/pipeline.h"
#include "cli/terminal.h"
#include "exit_code.h"
#include "tinyphi/pipeline/testing/run_tests.h"

namespace cli {

namespace {

namespace json = tinyphi::json;
using tinyphi::error;
using tinyphi::error_code;
using tinyphi::quote;
using tinyphi::result;

constexpr std::string_view case_name = "case";
constexpr std::size_t max_cases = 100'000;
constexpr std::size_t max_expectations = 100;
constexpr std::size_t max_baseline_bytes = std::size_t{64} << 20;

struct eval_options {
  std::string file;
  std::string cases;
  std::string model;
  std::string by = "f1";
  std::string baseline;
  std::optional<double> min;
  bool as_json = false;
};

// One line of the cases.
struct eval_case {
  tinyphi::input_values inputs;
  std::vector<tinyphi::test_expectation> expect;
  std::optional<std::string> answer;

  [[nodiscard]] bool asks_error() const {
    return std::ranges::any_of(expect, &tinyphi::test_expectation::asks_error);
  }
};

error wrong(std::string message) {
  return {error_code::bad_data, std::move(message)};
}

result<std::vector<tinyphi::test_expectation>> read_expect(
    const tinyphi::graph& g, const json::value& given) {
  std::vector<tinyphi::test_expectation> all;
  const json::array* list = given.if_array();
  if (list == nullptr || list->empty() || list->size() > max_expectations) {
    return wrong("expect is a list of 1 to " +
                 std::to_string(max_expectations) + " expressions");
  }
  for (const json::value& one : *list) {
    if (!one.is_string()) return wrong("expect: an expression is a text");
    const std::string text(one.get_string());
    auto e = compile_expectation(g, text, {});
    if (!e) {
      return wrong("expect " + quote(text) + ": " + e.error().message);
    }
    all.push_back(*std::move(e));
  }
  return all;
}

result<eval_case> read_case(const tinyphi::graph& g, const json::object& o) {
  constexpr std::string_view keys[] = {"input", "expect", "answer"};
  for (const auto& member : o) {
    const std::string_view name = member.key();
    if (std::ranges::find(keys, name) != std::end(keys)) continue;
    const std::string near = tinyphi::did_you_mean(name, keys);
    return wrong(
        "unknown key " + quote(name) +
        (near.empty() ? "; a case has input, and expect or answer" : near));
  }
  const json::value* input = o.if_contains("input");
  const json::value* expect = o.if_contains("expect");
  const json::value* answer = o.if_contains("answer");
  if (input == nullptr || !input->is_object()) {
    return wrong("input is missing, or no object of inputs by name");
  }
  if ((expect == nullptr) == (answer == nullptr)) {
    return wrong(expect == nullptr
                     ? "has neither expect nor answer; it has one of them"
                     : "has expect and answer; it has one of them");
  }
  eval_case c;
  TINYPHI_TRY(c.inputs, request_inputs(g, input->get_object(), {}));
  if (expect != nullptr) {
    TINYPHI_TRY(c.expect, read_expect(g, *expect));
    return c;
  }
  const json::string* text = answer->if_string();
  c.answer = text == nullptr ? "" : std::string(text->data(), text->size());
  if (tinyphi::fts::split_words(*c.answer).empty()) {
    return wrong("answer is a text with at least one word");
  }
  return c;
}

// Tokens of the answers of models that the file's own stages ask.
std::size_t tokens_of(const tinyphi::graph& g,
                      const tinyphi::run_record& record) {
  std::int64_t n = 0;
  for (const tinyphi::graph_stage& s : g.stages) {
    if (!s.facts.answer) continue;
    const auto port =
        std::ranges::find(s.out, "tokens", &tinyphi::port_info::name);
    const auto slot =
        s.first_slot + static_cast<std::size_t>(port - s.out.begin());
    if (port == s.out.end() || slot >= record.slots.size() ||
        !record.slots[slot]) {
      continue;
    }
    const tinyphi::value_data& data = *record.slots[slot];
    if (const auto* one = data.get<std::int64_t>()) n += *one;
    if (const auto* items = data.get<tinyphi::value_data::list>()) {
      for (const tinyphi::value_data& item : *items) {
        if (const auto* one = item.get<std::int64_t>()) n += *one;
      }
    }
  }
  return static_cast<std::size_t>(std::max<std::int64_t>(n, 0));
}

class evaluation {
 public:
  evaluation(const tinyphi::pipeline& p, const std::string& by,
             const tinyphi::cancel_token& token)
      : pipeline_(p), by_(by), token_(token) {}

  case_report run(const eval_case& c, std::size_t line) {
    case_report r;
    r.line = line;
    tinyphi::run_options options;
    options.stop.token = token_;
    options.record = std::make_shared<tinyphi::run_record>();
    const auto record = options.record;
    const auto began = std::chrono::steady_clock::now();
    const auto ended = pipeline_.run(c.inputs, std::move(options));
    r.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - began)
            .count();
    r.tokens = tokens_of(pipeline_.graph(), *record);
    r.failed = !ended;
    if (!ended && !c.asks_error()) {
      r.problems.push_back("the request failed: " + ended.error().message);
    }
    if (c.answer) {
      score(*c.answer, ended, r);
    } else if (r.problems.empty()) {
      judge(c, ended, *record, r);
    }
    return r;
  }

 private:
  void score(const std::string& answer,
             const result<tinyphi::run_result>& ended, case_report& r) const {
    r.answer.emplace();
    if (!ended) return;
    const std::string& first = pipeline_.graph().outputs.front().name;
    const auto output = ended->outputs.find(first);
    if (output == ended->outputs.end()) {
      r.problems.push_back("output." + first + " is absent");
      return;
    }
    r.answer = score_answer(to_text(output->second.data), answer);
    r.score = by_ == "exact"      ? r.answer->exact
              : by_ == "contains" ? r.answer->contains
                                  : r.answer->f1;
  }

  void judge(const eval_case& c, const result<tinyphi::run_result>& ended,
             const tinyphi::run_record& record, case_report& r) const {
    std::vector<tinyphi::value_data> failure;
    const auto values =
        values_of_request(pipeline_.graph(), ended, record, failure);
    for (const tinyphi::test_expectation& e : c.expect) {
      std::string fault = find_fault(e, values);
      if (!fault.empty()) r.problems.push_back(std::move(fault));
    }
    r.score = r.problems.empty() ? 1 : 0;
  }

  const tinyphi::pipeline& pipeline_;
  std::string by_;
  tinyphi::cancel_token token_;
};

result<eval_report> run_cases(line_file& in, const line_summary& lines,
                              const tinyphi::pipeline& p, const eval_options& o,
                              const tinyphi::cancel_token& token) {
  eval_report report;
  report.file = o.file;
  report.by = o.by;
  report.cases_hash = std::to_string(lines.hash);
  evaluation e(p, o.by, token);
  progress_bar bar("cases");
  while (report.cases.size() < lines.n_lines) {
    const auto object = in.next(case_name);
    const auto c = object && *object
                       ? read_case(p.graph(), **object)
                       : result<eval_case>(wrong("is not what it was"));
    if (!c) {
      return wrong(o.cases + ":" + std::to_string(in.number()) +
                   ": has changed while it was read");
    }
    report.cases.push_back(e.run(*c, in.number()));
    if (token.cancelled()) {
      return error{error_code::cancelled,
                   "stopped at case " + std::to_string(report.cases.size())};
    }
    bar.show(static_cast<double>(report.cases.size()) /
             static_cast<double>(lines.n_lines));
  }
  return report;
}

int evaluate(const eval_options& o) {
  const interrupt_guard interrupt;
  // Before anything runs, which may take long.
  std::optional<eval_report> before;
  if (!o.baseline.empty()) {
    auto read = read_report(o.baseline, max_baseline_bytes);
    if (!read) return fail(read.error());
    if (read->by != o.by) {
      return fail_usage(o.baseline + ": its scores are by " + read->by +
                        "; give --by " + read->by + " to compare");
    }
    before = *std::move(read);
  }
  const auto host = pipeline_host(o.file, o.model, interrupt.token());
  if (!host) return fail(host.error());
  auto proved = prove(o.file, o.as_json, *host);
  if (!proved.graph) return proved.status;
  auto in = line_file::open(o.cases);
  if (!in) return fail(in.error());
  std::vector<tinyphi::diagnostic> faults;
  const auto lines = in->check_all(
      case_name,
      [&](const json::object& object) -> result<void> {
        const auto c = read_case(*proved.graph, object);
        return c ? result<void>() : c.error();
      },
      faults);
  if (!lines) return fail(lines.error());
  if (!faults.empty()) return fail_lines(faults, o.cases, o.as_json);
  if (lines->n_lines == 0 || lines->n_lines > max_cases) {
    return fail(wrong(o.cases + ": has " + std::to_string(lines->n_lines) +
                      " cases, 1 to " + std::to_string(max_cases) +
                      " are allowed"));
  }
  const auto pipeline =
      tinyphi::pipeline::create(std::move(proved.graph), o.file, *host);
  if (!pipeline) return fail(pipeline.error());
  const auto report = run_cases(*in, *lines, *pipeline, o, interrupt.token());
  if (!report) return fail(report.error());
  if (o.as_json) {
    print_line(to_json(*report, before ? &*before : nullptr));
  } else {
    print(to_text(*report, o.cases, before ? &*before : nullptr));
  }
  // A mean of many scores is not exact to the last bit.
  if (!o.min || report->score() >= *o.min - 1e-9) return exit_done;
  note("score " + fixed(report->score(), 3) + " is less than --min " +
       fixed(*o.min, 3));
  return exit_failed;
}

}  // namespace

void add_eval(CLI::App& app, action& run) {
  CLI::App* command = add_command(
      app, "eval", "score a pipeline over cases with what is expected",
      "tinyphi eval pipelines/docs-qa/docs-qa.toml cases.jsonl --min 0.9\n"
      "A case is a line {\"input\": {...}, \"answer\": \"TEXT\"}, whose answer "
      "is compared\nwith the first output, or {\"input\": {...}, \"expect\": "
      "[\"EXPR\", ...]}, with\nexpectations as tests have them "
      "(output.x == 'yes', ran(stage)); it scores 1 if all hold, else "
      "0. All lines are looked at before the first case runs (TP5007).\n"
      "Words of answers are compared in lower case and without punctuation:\n"
      "exact 1: the same; contains 1: in the output, in a row; f1: of "
      "precision and recall.\nA case whose request fails scores 0, unless it "
      "expects the error. Requests run for\nreal: what a stage writes is "
      "written. Tokens are those of the answers of the\nfile's own stages.");
  auto o = std::make_shared<eval_options>();
  command->add_option("file", o->file, "pipeline file")->required();
  command
      ->add_option("cases", o->cases,
                   "file with a JSON object a line, of at most 1 MiB")
      ->required();
  add_pipeline_model(*command, o->model);
  command
      ->add_option(
          "--by", o->by,
          "what the score of a case with an answer is: exact, contains "
          "or f1")
      ->type_name("MEASURE")
      ->check(CLI::IsMember({"exact", "contains", "f1"}))
      ->capture_default_str();
  command
      ->add_option("--min", o->min,
                   "exit status 1 if the mean score is less than this, from 0 "
                   "to 1; without it the status says that all cases ran")
      ->type_name("SCORE")
      ->check(CLI::Range(0.0, 1.0));
  command
      ->add_option("--baseline", o->baseline,
                   "compare with an earlier result, as --json printed it")
      ->type_name("FILE");
  command->add_flag("--json", o->as_json,
                    "one JSON object with the means and each case");
  command->final_callback([o, &run] { run = [o] { return evaluate(*o); }; });
}

}  // namespace cli
