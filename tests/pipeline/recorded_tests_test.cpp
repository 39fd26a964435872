// SPDX-License-Identifier: MIT
// Replays, [[test]] with a trace, and snapshots.
#include <fstream>

#include "pipeline/recording.h"
#include "support/temp_folder.h"
#include "support/test.h"
#include "tinyphi/pipeline/testing/recorded.h"
#include "tinyphi/pipeline/testing/run_tests.h"
#include "tinyphi/pipeline/testing/snapshot.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

constexpr std::string_view head = R"toml(tinyphi = 1
input.q = "text"
output.a = "gen.text"
output.n = "look.count"
output.loud = "loud.text"
[stage]
look = { use = "find.x", in.query = "input.q", with.index = "i.db" }
ask = { use = "lay_out", in.docs = "look.docs", with.names = "docs* q" }
gen = { use = "answer" }
loud = { use = "echo", in.text = "gen.text", with.add = "!" }
)toml";

std::string replaced(std::string text, std::string_view from,
                     std::string_view to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

// A folder with a pipeline file and the trace of a request.
struct recorded_folder {
  explicit recorded_folder(const std::string& q = "xx") {
    write(std::string(head));
    const auto p = pipeline::compile(file(), fakes());
    REQUIRE_OK(p);
    trace = record_request(*p, {{"q", q}}).text;
    folder.write("t.jsonl", trace);
  }
  [[nodiscard]] std::filesystem::path file() const {
    return folder.path() / "p.toml";
  }
  void write(const std::string& text) const { folder.write("p.toml", text); }

  // The outcome and the problems of each test of `text`, one a line.
  [[nodiscard]] std::string outcomes(const std::string& text,
                                     bool update = false) const {
    write(text);
    const auto checked = check_pipeline(file(), fakes());
    REQUIRE_OK(checked);
    INFO(to_string(checked->faults, "p.toml"));
    REQUIRE(checked->proved);
    test_options options;
    options.update = update;
    const test_report report =
        run_tests(checked->proved, checked->tests, "p.toml", options);
    REQUIRE_OK(report.snapshots);
    std::string all;
    for (const test_outcome& t : report.tests) {
      all += t.what == test_outcome::kind::passed ? "passed" : "failed";
      for (const diagnostic& d : t.problems) {
        all += "\n" + to_string(d, "p.toml");
      }
      for (const std::string& u : t.updates) all += "\n" + u;
      all += "\n";
    }
    return all;
  }

  temp_folder folder;
  std::string trace;
};

const std::string traced_test =
    "[[test]]\nname = \"t\"\ntrace = \"t.jsonl\"\nexpect = [\"output.loud == "
    "'docs=2;q=xx;!'\"]\n";

}  // namespace

TEST_CASE("a replay runs a stage and what waits for it, no other") {
  const recorded_folder f;
  // Other passages, and another stage behind the one that runs again.
  std::string text = replaced(f.trace, "\"count\":2", "\"count\":5");
  const auto trace = read_trace(text, "t.jsonl");
  REQUIRE_OK(trace);
  const auto run_from = [&](const std::string& pipeline_text,
                            std::string_view from) {
    const auto p = pipeline::compile_text(pipeline_text, f.file(), fakes());
    REQUIRE_OK(p);
    const graph& g = p->graph();
    const auto stage = std::ranges::find(g.stages, from, &graph_stage::id);
    REQUIRE(stage != g.stages.end());
    auto found = recorded_runs::take(
        *trace, g,
        stages_before(*trace, g,
                      static_cast<std::size_t>(stage - g.stages.begin())));
    if (!found) return to_string(found.error(), "t.jsonl");
    auto doubles = std::make_shared<run_doubles>();
    doubles->recorded = [&](std::size_t i, const stage_call& call) {
      return found->find(i, call);
    };
    const recording again =
        record_request(*p, trace->head.inputs, true, std::move(doubles));
    std::string said = message_of(again.ended) + ":";
    for (const trace_event& e : again.events) {
      said += " " + e.call.stage + (e.faked ? "*" : "");
    }
    for (const auto& [name, v] : again.ended->outputs) {
      said += " " + name + "=" + json::serialize(to_json(v.data));
    }
    return said;
  };
  const std::string changed =
      replaced(std::string(head), "with.add = \"!\"", "with.add = \"?\"");
  CHECK(run_from(changed, "loud") ==
        "(no error): look* ask gen* loud a=\"docs=2;q=xx;\" n=5 "
        "loud=\"docs=2;q=xx;?\"");
  CHECK(run_from(changed, "gen") ==
        "(no error): look* ask gen loud a=\"docs=2;q=xx;\" n=5 "
        "loud=\"docs=2;q=xx;?\"");
  CHECK(run_from(changed, "look").find("n=2") != std::string::npos);
  CHECK(run_from(replaced(changed, "i.db", "j.db"), "loud") ==
        "t.jsonl: error[TP5009]: stage look has changed since; record the "
        "request again, or let the stage run");
  CHECK(run_from(replaced(changed, "i.db", "j.db"), "look")
            .starts_with("(no error)"));
}

TEST_CASE("what a trace cannot know is not taken from it") {
  const recorded_folder f;
  const auto p = pipeline::compile(f.file(), fakes());
  REQUIRE_OK(p);
  const graph& g = p->graph();
  const auto known = [&](const std::string& text) {
    const auto trace = read_trace(text, "t.jsonl");
    REQUIRE_OK(trace);
    std::string ids;
    const auto all = stages_known(*trace, g);
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (all[i]) ids += g.stages[i].id + " ";
    }
    return ids;
  };
  // Not `ask`: prompts are made again.
  CHECK(known(f.trace) == "look gen loud ");
  CHECK(known(replaced(f.trace, "{\"id\":\"gen\",\"done\":true}",
                       "{\"id\":\"gen\",\"done\":false}")) == "look loud ");
  CHECK(known(replaced(f.trace, "\"id\":\"loud\"", "\"id\":\"other\"")) ==
        "look gen ");
  const auto taken = [&](const std::string& text) -> std::string {
    const auto trace = read_trace(text, "t.jsonl");
    REQUIRE_OK(trace);
    const auto found =
        recorded_runs::take(*trace, g, std::vector<bool>(4, true));
    return found ? "(no error)" : to_string(found.error(), "t.jsonl");
  };
  CHECK_THAT(taken(f.trace),
             Catch::StartsWith("t.jsonl: error[TP5001]: stage ask cannot have "
                               "given prompt: "));
  const auto of_look = [&](std::string_view from, std::string_view to) {
    const auto trace = read_trace(replaced(f.trace, from, to), "t.jsonl");
    REQUIRE_OK(trace);
    const auto found = recorded_runs::take(*trace, g, stages_known(*trace, g));
    return found ? "(no error)" : to_string(found.error(), "t.jsonl");
  };
  CHECK(of_look("\"count\":2", "\"count\":\"2\"") ==
        "t.jsonl: error[TP5001]: stage look cannot have given count: a text, "
        "not an int");
  CHECK(of_look("\"count\":2", "\"cuont\":2") ==
        "t.jsonl: error[TP5001]: stage look has no out-port 'cuont'");
  CHECK(of_look(",\"count\":2", "") ==
        "t.jsonl: error[TP5001]: stage look gave count, but the trace does not "
        "say what it was");
}

TEST_CASE("a test takes inputs and what must not run from a trace") {
  const recorded_folder f;
  const std::string text(head);
  CHECK(f.outcomes(text + traced_test) == "passed\n");
  // What runs, runs as it is now.
  CHECK_THAT(f.outcomes(replaced(text, "with.add = \"!\"", "with.add = \"?\"") +
                        traced_test),
             Catch::Contains("error[TP5004]") && Catch::Contains("q=xx;?"));
  // What stands for it, does not.
  CHECK(f.outcomes(replaced(text, "use = \"answer\"",
                            "use = \"answer\", with.max_tokens = 4") +
                   traced_test) ==
        "failed\np.toml:13:9: error[TP5009]: test 't': t.jsonl: stage gen has "
        "changed since; record the request again, or let the stage run\n");
  std::string other = replaced(text, "input.q =", "input.r =");
  other = replaced(replaced(other, "input.q", "input.r"), "docs* q", "docs* r");
  CHECK_THAT(f.outcomes(other + traced_test),
             Catch::Contains("error[TP5009]: test 't': t.jsonl was recorded "
                             "with other inputs: input r (text) is missing"));
  // With `only`, all others come from the trace.
  CHECK(f.outcomes(text +
                   "[[test]]\nname = \"t\"\ntrace = \"t.jsonl\"\nonly = "
                   "[\"look\"]\nexpect = [\"look.count == 2\", \"gen.text == "
                   "'docs=2;q=xx;'\"]\n") == "passed\n");
  // A fake comes before the trace.
  CHECK(f.outcomes(text + replaced(traced_test, "docs=2;q=xx;!", "so!") +
                   "fake = { gen.text = \"so\" }\n") == "passed\n");
}

TEST_CASE("a trace that cannot be used fails its test alone") {
  const recorded_folder f;
  const std::string text(head);
  const auto with_trace = [&](const std::string& trace) {
    f.folder.write("t.jsonl", trace);
    return f.outcomes(text + traced_test +
                      "[[test]]\nname = \"other\"\ninput = { q = \"x\" "
                      "}\nfake = { gen.text = \"\" }\nexpect = "
                      "[\"ran(look)\"]\n");
  };
  CHECK(with_trace("{}") ==
        "failed\np.toml:13:9: error[TP5001]: test 't': trace: t.jsonl:1: "
        "'trace' is not an integer from 0 to 1000000000\npassed\n");
  // Without the run of gen.
  const auto line = f.trace.find("\"stage\":\"gen\"");
  const auto begin = f.trace.rfind('\n', line);
  const auto end = f.trace.find('\n', line);
  CHECK(with_trace(f.trace.substr(0, begin) + f.trace.substr(end)) ==
        "failed\np.toml:13:9: error[TP5009]: test 't': t.jsonl has no such run "
        "of stage gen, which runs now; record the request again, or fake "
        "it\npassed\n");
  std::filesystem::remove(f.folder.path() / "t.jsonl");
  CHECK_THAT(f.outcomes(text + traced_test),
             Catch::Contains("error[TP5001]: test 't': trace: ") &&
                 Catch::Contains("t.jsonl"));
  const auto faults = [&](const std::string& keys) {
    return faults_of(text +
                     "[[test]]\nname = \"t\"\nexpect = "
                     "[\"ran(look)\"]\n" +
                     keys);
  };
  CHECK(faults("trace = \"t.jsonl\"\ninput = { q = \"x\" }") ==
        "t.toml:15:1: error[TP1013]: test 't': input and trace exclude each "
        "other; a trace has the inputs of its request");
  CHECK(faults("trace = \"\"") ==
        "t.toml:14:9: error[TP1005]: test 't': trace must be the name of a "
        "file");
  CHECK(faults("trace = 1").starts_with("t.toml:14:9: error[TP1004]"));
}

TEST_CASE("a failed request becomes a test of the failure") {
  const temp_folder folder;
  const std::string text = R"toml(tinyphi = 1
input.q = "text"
output.a = "bad.text"
[stage]
first = { use = "find.x", in.query = "input.q", with.index = "i.db" }
bad = { use = "throw", when = "first.count > 0" }
)toml";
  const auto p = pipeline::compile_text(
      replaced(text, "\"bad.text\"", "\"bad.text?\""), "p.toml", fakes());
  REQUIRE_OK(p);
  const recording r = record_request(*p, {{"q", "x"}});
  CHECK(message_of(r.ended) == "stage bad: the server is down");
  const auto trace = read_trace(r.text, "t.jsonl");
  REQUIRE_OK(trace);
  CHECK(trace->end.failed_stage == "bad");
  CHECK(test_from(*trace, p->graph(), "t.jsonl") ==
        "[[test]]\nname   = \"recorded in t.jsonl\"\ntrace  = \"t.jsonl\"\n"
        "expect = [\"error.code == 'unavailable'\",\n          \"error.stage "
        "== 'bad'\"]\n");
  // A replay lets what failed run again, whatever it begins with.
  const auto before = stages_before(*trace, p->graph(), 1);
  CHECK(before == std::vector<bool>{true, false});
}

TEST_CASE("a snapshot is compared, and taken with --update") {
  const recorded_folder f;
  const std::string text =
      std::string(head) +
      "[[test]]\nname = \"t\"\ninput = { q = \"x\" }\nfake = { gen.text = "
      "\"Two.\" }\nsnapshot = [\"output.loud\", \"look.docs[0].title\", "
      "\"look.docs[7].title\"]\n";
  CHECK(f.outcomes(text) ==
        "failed\n"
        "p.toml:15:13: error[TP5006]: test 't': output.loud differs from "
        "snapshots/p.json: it is \"Two.!\", there was none; --update takes the "
        "new "
        "value\n"
        "p.toml:15:28: error[TP5006]: test 't': look.docs[0].title differs "
        "from snapshots/p.json: it is \"A\", there was none; --update takes "
        "the new "
        "value\n");
  CHECK(f.outcomes(text, true) ==
        "passed\nsnapshots/p.json: output.loud is \"Two.!\", there was "
        "none\nsnapshots/p.json: "
        "look.docs[0].title is \"A\", there was none\n");
  const auto path = f.folder.path() / "snapshots/p.json";
  const auto content = [&] {
    std::ifstream in(path);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  CHECK(content() ==
        "{\n  \"t\": {\n    \"output.loud\": \"Two.!\",\n    "
        "\"look.docs[0].title\": \"A\"\n  }\n}\n");
  CHECK(f.outcomes(text) == "passed\n");
  CHECK(f.outcomes(text, true) == "passed\n");
  const std::string changed = replaced(text, "\"Two.\"", "\"Three.\"");
  CHECK(f.outcomes(changed) ==
        "failed\np.toml:15:13: error[TP5006]: test 't': output.loud differs "
        "from snapshots/p.json:3: it is \"Three.!\", it was \"Two.!\"; "
        "--update takes "
        "the new value\n");
  CHECK(f.outcomes(changed, true) ==
        "passed\nsnapshots/p.json:3: output.loud is \"Three.!\", it was "
        "\"Two.!\"\n");
  CHECK(content().find("Three.!") != std::string::npos);
  // Absent now.
  CHECK(f.outcomes(replaced(changed, "q = \"x\"", "q = \"y\""))
            .find("look.docs[0].title differs from snapshots/p.json:4: it is "
                  "absent, it "
                  "was \"A\"") != std::string::npos);
  f.folder.write("snapshots/p.json", "[]");
  CHECK_THAT(f.outcomes(text),
             Catch::Contains("error[TP5006]: test 't': ") &&
                 Catch::Contains("p.json: not an object of tests; write it "
                                 "again with --update"));
  CHECK(f.outcomes(text, true).starts_with("passed\n"));
  CHECK(f.outcomes(text) == "passed\n");
  // Without a test that has one, there is no file.
  std::filesystem::remove(path);
  CHECK(f.outcomes(text, true).starts_with("passed\n"));
  CHECK(std::filesystem::exists(path));
  CHECK(f.outcomes(std::string(head) + traced_test, true) == "passed\n");
  CHECK(!std::filesystem::exists(path));
}

TEST_CASE("a number is its snapshot to the last bit") {
  const temp_folder folder;
  const auto path = folder.path() / "n.json";
  auto file = snapshot_file::read(path);
  REQUIRE_OK(file);
  std::vector<snapshot_file::entry> all;
  for (int i = 1; i < 200; ++i) {
    all.push_back({std::to_string(i), snapshot_of(1e-7 / i), 0});
  }
  file->set("t", all);
  REQUIRE_OK(file->write());
  const auto again = snapshot_file::read(path);
  REQUIRE_OK(again);
  std::size_t n_same = 0;
  for (const auto& e : all) n_same += again->find("t", e.name)->json == e.json;
  CHECK(n_same == all.size());
}

TEST_CASE("a snapshot is of a reference") {
  const auto broken = [&](const std::string& value) {
    return faults_of(std::string(head) +
                     "[[test]]\nname = \"t\"\ninput = { q = \"x\" }\nfake = { "
                     "gen.text = \"\" }\nsnapshot = [\"" +
                     value + "\"]\n");
  };
  CHECK(broken("output.loud").empty());
  CHECK(broken("output.lout") ==
        "t.toml:15:14: error[TP2002]: test 't': snapshot 'output.lout': no "
        "such value 'output.lout'; did you mean 'output.loud'?");
  CHECK(broken("1 + 1") ==
        "t.toml:15:14: error[TP5005]: test 't': snapshot '1 + 1': not a "
        "reference, such as output.x or stage.port");
  CHECK_THAT(broken("output."),
             Catch::Contains("error[TP5005]: test 't': snapshot 'output.': "));
}

TEST_CASE("a difference shows where two texts part") {
  CHECK(difference("\"a\"", "\"b\"") == "\"b\", it was \"a\"");
  const std::string same(100, 'x');
  CHECK(difference(same + "old", same + "new") ==
        "..." + std::string(40, 'x') + "new, it was ..." +
            std::string(40, 'x') + "old");
  // In front of whole characters.
  std::string wide;
  for (int i = 0; i < 60; ++i) wide += "\xc3\xa4";
  const std::string said = difference(wide + "x" + same + same, wide + "y");
  CHECK(said.starts_with("...\xc3\xa4"));
  CHECK(said.ends_with("..."));
}
