// SPDX-License-Identifier: MIT
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/pipeline.h"
#include "cli/terminal.h"
#include "exit_code.h"
#include "tinyphi/base/mapped_file.h"
#include "tinyphi/base/replacement_file.h"
#include "tinyphi/pipeline/testing/recorded.h"
#include "tinyphi/pipeline/testing/run_tests.h"

namespace cli {

namespace {

namespace json = tinyphi::json;
using tinyphi::test_outcome;
using tinyphi::test_report;

struct test_command {
  std::vector<std::string> files;
  std::string tag;
  std::string junit;
  std::string from_trace;
  bool with_models = false;
  bool update = false;
  bool coverage = false;
  bool as_json = false;
};

std::string_view name_of(test_outcome::kind k) {
  constexpr std::string_view names[] = {"passed", "failed", "skipped"};
  return names[static_cast<std::size_t>(k)];
}

json::object to_json(const test_outcome& t, const std::string& file) {
  json::array updates;
  for (const std::string& u : t.updates) updates.push_back(json::string(u));
  return {{"file", file},
          {"line", t.at.line},
          {"name", t.name},
          {"outcome", name_of(t.what)},
          {"seconds", t.seconds},
          {"problems", json::parse(tinyphi::to_json(t.problems, file))},
          {"updates", std::move(updates)}};
}

void print_updates(const test_outcome& t) {
  for (const std::string& u : t.updates) print_line("  " + printable(u));
}

void print_outcome(const test_outcome& t, const std::string& file) {
  if (t.what == test_outcome::kind::passed) {
    print_line("ok " + t.name);
    return print_updates(t);
  }
  print_line((t.what == test_outcome::kind::failed ? "FAILED " : "skipped ") +
             t.name);
  print_line(printable(to_string(t.problems, file)));
  print_updates(t);
}

// Text between tags or in an attribute of XML.
std::string xml_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        // XML has no other control characters.
        out += static_cast<unsigned char>(c) < 0x20 && c != '\n' ? '?' : c;
    }
  }
  return out;
}

// As servers of continuous integration read it.
std::string junit_suite(const std::string& file, const test_report& report) {
  using kind = test_outcome::kind;
  std::string out = "  <testsuite name=\"" + xml_text(file) + "\" tests=\"" +
                    std::to_string(report.tests.size()) + "\" failures=\"" +
                    std::to_string(report.count(kind::failed)) +
                    "\" skipped=\"" +
                    std::to_string(report.count(kind::skipped)) + "\">\n";
  for (const test_outcome& t : report.tests) {
    out += "    <testcase name=\"" + xml_text(t.name) + "\" classname=\"" +
           xml_text(file) + "\" time=\"" + std::to_string(t.seconds) + "\">";
    const std::string why = xml_text(to_string(t.problems, file));
    if (t.what == kind::failed) {
      out += "<failure>" + why + "</failure>";
    } else if (t.what == kind::skipped) {
      out += "<skipped message=\"" + why + "\"/>";
    }
    out += "</testcase>\n";
  }
  return out + "  </testsuite>\n";
}

tinyphi::result<void> write_junit(const std::string& path,
                                  const std::string& suites) {
  const std::string text =
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n" + suites +
      "</testsuites>\n";
  tinyphi::replacement_file file(path);
  TINYPHI_CHECK_OK(file.create());
  TINYPHI_CHECK_OK(file.write(std::as_bytes(std::span(text))));
  return file.commit();
}

// Prints a test with the request of a trace.
int print_test(const std::string& path) {
  const auto text = tinyphi::read_file(path, tinyphi::trace_limits::max_bytes);
  if (!text) return fail(text.error());
  const auto trace = tinyphi::read_trace(*text, path);
  if (!trace) return fail(trace.error());
  namespace fs = std::filesystem;
  const fs::path folder = fs::path(path).parent_path();
  const fs::path file = (folder / trace->head.file).lexically_normal();
  const auto proved =
      prove(file.string(), false, pipeline_host(tinyphi::cancel_token()));
  if (proved.graph == nullptr) return proved.status;
  // Of the trace, from the folder of the pipeline.
  std::error_code unknown;
  const fs::path whole = fs::absolute(path, unknown).lexically_normal();
  const fs::path way = whole.lexically_relative(
      fs::absolute(file, unknown).parent_path().lexically_normal());
  const std::string test =
      test_from(*trace, *proved.graph, (way.empty() ? whole : way).string());
  print(test);
  if (test.find("\nsnapshot = ") != std::string::npos) {
    note("take its snapshot with tinyphi test " + file.string() +
         " --update once the test stands there");
  }
  return exit_done;
}

int test_pipelines(const test_command& o) {
  if (!o.from_trace.empty()) return print_test(o.from_trace);
  if (o.files.empty()) {
    return fail_usage(
        "files is required, or --from-trace (see tinyphi test "
        "--help)");
  }
  const interrupt_guard interrupt;
  tinyphi::test_options options;
  options.host = pipeline_host(interrupt.token());
  options.tag = o.tag;
  options.with_models = o.with_models;
  options.update = o.update;
  options.stop.token = interrupt.token();
  std::size_t passed = 0, failed = 0, skipped = 0;
  int status = exit_done;
  json::array all;
  std::string suites;
  for (const std::string& file : o.files) {
    auto proved = prove(file, o.as_json, options.host);
    if (proved.graph == nullptr) {
      status = proved.status;
      continue;
    }
    options.on_outcome = [&](const test_outcome& t) {
      if (!o.as_json) print_outcome(t, file);
    };
    const test_report report =
        run_tests(proved.graph, proved.tests, file, options);
    using kind = test_outcome::kind;
    passed += report.count(kind::passed);
    failed += report.count(kind::failed);
    skipped += report.count(kind::skipped);
    for (const test_outcome& t : report.tests) {
      all.push_back(to_json(t, file));
    }
    suites += junit_suite(file, report);
    if (!report.snapshots) status = fail(report.snapshots.error());
    if (!o.coverage) continue;
    if (o.as_json) {
      all.push_back(json::object{
          {"file", file},
          {"not_covered",
           json::parse(tinyphi::to_json(report.not_covered, file))}});
    } else if (!report.not_covered.empty()) {
      print_line(printable(to_string(report.not_covered, file)));
    }
    if (!report.not_covered.empty() && status == exit_done) {
      status = exit_failed;
    }
  }
  if (!o.junit.empty()) {
    const auto written = write_junit(o.junit, suites);
    if (!written) return fail(written.error());
  }
  if (o.as_json) {
    print_line(json::serialize(all));
  } else {
    print_line(
        std::to_string(passed) + " passed, " + std::to_string(failed) +
        " failed" +
        (skipped == 0 ? "" : ", " + std::to_string(skipped) + " skipped"));
  }
  return failed > 0 ? exit_failed : status;
}

}  // namespace

void add_test(CLI::App& app, action& run) {
  CLI::App* command = add_command(
      app, "test", "run the tests of pipeline files, which need no model",
      "tinyphi test pipelines/docs-qa/docs-qa.toml --coverage");
  auto o = std::make_shared<test_command>();
  command->add_option("files", o->files, "pipeline files");
  command->add_option("--tag", o->tag, "only tests with this tag");
  command->add_flag("--models", o->with_models,
                    "also the tests that ask a model");
  command->add_flag("--update", o->update,
                    "take the values that differ from their snapshots, and "
                    "show the differences");
  command
      ->add_option("--from-trace", o->from_trace,
                   "print a [[test]] with the request of a trace instead, to "
                   "be put into its pipeline file")
      ->type_name("TRACE")
      ->excludes(command->get_option("files"));
  command->add_flag("--coverage", o->coverage,
                    "say which stages, cases, conditions and fallbacks no test "
                    "reached; exit status 1 if there are any");
  command->add_option("--junit", o->junit, "write the results as JUnit XML")
      ->type_name("FILE");
  command->add_flag("--json", o->as_json,
                    "one JSON array with an object for each test");
  command->final_callback(
      [o, &run] { run = [o] { return test_pipelines(*o); }; });
}

}  // namespace cli
