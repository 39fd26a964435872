// SPDX-License-Identifier: MIT
#include "tinyphi/pipeline/trace_file.h"

#include "pipeline/recording.h"
#include "support/test.h"
#include "tinyphi/pipeline/testing/recorded.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

const std::string head_line =
    R"({"trace":1,"tinyphi":"0.1.0","request":"r","file":"t.toml","hash":"h","inputs":{"q":"x"}})";
const std::string run_line =
    R"({"request":"r","file":"t.toml","hash":"h","stage_hash":"s","stage":"a","item":2,"round":1,"attempt":1,"start":0,"seconds":0.5,"tokens_in":3,"tokens_cached":2,"tokens_out":1,"label":"user","outcome":"done","in":{"text":"x"},"out":{"text":"y"}})";
const std::string end_line =
    R"({"end":"done","seconds":1,"stages":[{"id":"a","done":true}],"outputs":{"a":["y"]}})";

// `line` with `from` replaced by `to`.
std::string with(std::string line, std::string_view from, std::string_view to) {
  const auto at = line.find(from);
  REQUIRE(at != std::string::npos);
  return line.replace(at, from.size(), to);
}

std::string fault_in(const std::string& text) {
  const auto r = read_trace(text, "t.jsonl");
  if (!r) {
    CHECK((r.error().code == error_code::bad_data ||
           r.error().code == error_code::limit));
  }
  return message_of(r);
}

}  // namespace

TEST_CASE("a trace is read as it was written") {
  const auto good = pipeline::compile_text(R"toml(tinyphi = 1
input.q = "text"
output.n = "look.count"
output.a = "gen.text"
output.b = "never.text?"
[stage]
look = { use = "find.x", in.query = "input.q", with.index = "i.db" }
ask = { use = "lay_out", in.docs = "look.docs", with.names = "docs* q" }
gen = { use = "answer" }
bad = { use = "throw", fallback = "skip" }
never = { use = "echo", in.text = "bad.text" }
)toml",
                                           "t.toml", fakes());
  REQUIRE_OK(good);
  const recording r = record_request(*good, {{"q", "xx"}});
  REQUIRE_OK(r.ended);
  const auto read = read_trace(r.text, "t.jsonl");
  REQUIRE_OK(read);
  CHECK(read->head.inputs == input_values{{"q", "xx"}});
  CHECK(read->head.hash == good->graph().hash);
  CHECK(to_lines(read->events) == to_lines(r.events));
  REQUIRE(read->events.size() == r.events.size());
  for (std::size_t i = 0; i < r.events.size(); ++i) {
    CHECK(read->events[i].stage_hash == r.events[i].stage_hash);
    CHECK(read->events[i].label == r.events[i].label);
    CHECK(read->events[i].seconds == Approx(r.events[i].seconds));
  }
  CHECK(read->end.outputs.size() == 2);
  CHECK(!read->end.failure);
  CHECK(test_from(*read, good->graph(), "t.jsonl") ==
        "[[test]]\nname   = \"recorded in t.jsonl\"\ntrace  = \"t.jsonl\"\n"
        "expect = [\"output.n == 2\",\n          \"output.a == "
        "'docs=2;q=xx;'\",\n          \"not ran(bad)\",\n          \"not "
        "ran(never)\"]\n");
}

TEST_CASE("what is no trace is refused with its line") {
  const std::string good = head_line + "\n" + run_line + "\n" + end_line + "\n";
  CHECK(fault_in(good) == "(no error)");
  CHECK(fault_in(good.substr(0, good.size() - 1)) == "(no error)");
  CHECK(fault_in("") ==
        "t.jsonl:0: the trace ends before the request did; its last line says "
        "how it ended");
  CHECK(fault_in(head_line + "\n" + run_line + "\n")
            .starts_with("t.jsonl:2: the trace ends before"));
  CHECK(fault_in(good + run_line) ==
        "t.jsonl:4: a line behind the end of the request");
  CHECK(fault_in(good + "\n") ==
        "t.jsonl:4: a line behind the end of the request");
  CHECK(fault_in("[]") == "t.jsonl:1: not a JSON object");
  CHECK(
      fault_in("{\"trace\":").starts_with("t.jsonl:1: byte 9: not valid JSON"));
  CHECK(fault_in("{\"trace\":\"\xff\"}").find("not valid JSON") !=
        std::string::npos);
  CHECK(fault_in(
            with(head_line, "{\"q\":\"x\"}",
                 "{\"q\":" + std::string(60, '[') + std::string(60, ']') + "}"))
            .find("not valid JSON") != std::string::npos);
  // Members of the first line.
  const auto head = [&](std::string_view from, std::string_view to) {
    return fault_in(with(head_line, from, to) + "\n" + end_line);
  };
  CHECK(head("\"trace\":1", "\"trace\":2") ==
        "t.jsonl:1: 'trace' is another version; this program reads version 1");
  CHECK(head("\"trace\":1,", "")
            .starts_with("t.jsonl:1: 'trace' is not an integer from 0 to"));
  CHECK(head("\"hash\":\"h\"", "\"hash\":\"" + std::string(257, 'h') + "\"") ==
        "t.jsonl:1: 'hash' is not a text of at most 256 bytes");
  CHECK(head("\"file\":\"t.toml\"",
             "\"file\":\"" + std::string(4097, 'f') + "\"") ==
        "t.jsonl:1: 'file' is not a text of at most 4096 bytes");
  CHECK(head("{\"q\":\"x\"}", "[1]") ==
        "t.jsonl:1: 'inputs' is not an object with values by name");
  CHECK(head("\"q\":", "\"" + std::string(257, 'q') + "\":") ==
        "t.jsonl:1: 'inputs' has a name of 257 bytes, at most 256 are allowed");
  CHECK(head("\"trace\":1", "\"trace\":1,\"secret\":1") ==
        "t.jsonl:1: 'secret' is no member of such a line");
}

TEST_CASE("every member of a run has its kind and its bounds") {
  const auto run = [&](std::string_view from, std::string_view to) {
    return fault_in(head_line + "\n" + with(run_line, from, to) + "\n" +
                    end_line);
  };
  const std::string integer = "is not an integer from 0 to 1000000000";
  CHECK(run("\"request\":\"r\"", "\"request\":\"q\"") ==
        "t.jsonl:2: 'request' is that of another request");
  CHECK(run("\"stage\":\"a\"", "\"stage\":\"\"") ==
        "t.jsonl:2: 'stage' is empty");
  CHECK(run("\"stage\":\"a\",", "") ==
        "t.jsonl:2: 'stage' is not a text of at most 256 bytes");
  CHECK(run("\"item\":2", "\"item\":-1") == "t.jsonl:2: 'item' " + integer);
  CHECK(run("\"round\":1", "\"round\":1.5") == "t.jsonl:2: 'round' " + integer);
  CHECK(run("\"attempt\":1", "\"attempt\":1000000001") ==
        "t.jsonl:2: 'attempt' " + integer);
  CHECK(run("\"attempt\":1", "\"attempt\":0") ==
        "t.jsonl:2: 'outcome' does not go with the round and the attempt");
  CHECK(
      run("\"outcome\":\"done\"", "\"outcome\":\"skipped\",\"reason\":\"r\"") ==
      "t.jsonl:2: 'outcome' does not go with the round and the attempt");
  CHECK(run("\"seconds\":0.5", "\"seconds\":-0.5") ==
        "t.jsonl:2: 'seconds' is not a number from 0 on");
  CHECK(run("\"seconds\":0.5", "\"seconds\":1e999").starts_with("t.jsonl:2: "));
  CHECK(run("\"start\":0", "\"start\":true") ==
        "t.jsonl:2: 'start' is not a number from 0 on");
  CHECK(run("\"label\":\"user\"", "\"label\":\"root\"") ==
        "t.jsonl:2: 'label' is 'root', allowed are trusted, user, untrusted");
  CHECK(run("\"outcome\":\"done\"", "\"outcome\":\"well\"") ==
        "t.jsonl:2: 'outcome' is 'well', allowed are done, failed, skipped");
  CHECK(run("\"outcome\":\"done\"",
            "\"outcome\":\"failed\",\"code\":\"no\",\"message\":\"m\"")
            .starts_with("t.jsonl:2: 'code' is 'no', allowed are "));
  CHECK(run("\"outcome\":\"done\"",
            "\"outcome\":\"failed\",\"code\":\"io\",\"message\":\"\"") ==
        "t.jsonl:2: 'outcome' needs a message");
  CHECK(run("\"outcome\":\"done\"", "\"outcome\":\"done\",\"code\":\"io\"") ==
        "t.jsonl:2: 'code' is no member of such a line");
  CHECK(run("\"outcome\":\"done\"", "\"outcome\":\"done\",\"faked\":1") ==
        "t.jsonl:2: 'faked' is neither true nor false");
  CHECK(run("{\"text\":\"x\"}", "\"x\"") ==
        "t.jsonl:2: 'in' is not an object with values by name");
  const auto called = [&](const std::string& callers) {
    return run("\"stage\":", "\"callers\":" + callers + ",\"stage\":");
  };
  const std::string caller = R"({"stage":"c","round":1,"attempt":1})";
  CHECK(called("[" + caller + "]") == "(no error)");
  CHECK(called("[1]") == "t.jsonl:2: 'callers' has an item that is no object");
  CHECK(called("[{}]") ==
        "t.jsonl:2: callers: 'stage' is not a text of at most 256 bytes");
  std::string many = caller;
  for (int i = 0; i < 8; ++i) many += "," + caller;
  CHECK(called("[" + many + "]") ==
        "t.jsonl:2: 'callers' is not a list of at most 8");
  const auto end = [&](std::string_view from, std::string_view to) {
    return fault_in(head_line + "\n" + with(end_line, from, to));
  };
  CHECK(end("\"end\":\"done\"", "\"end\":\"well\"") ==
        "t.jsonl:2: 'end' is 'well', allowed are done, failed");
  CHECK(end("\"end\":\"done\"", "\"end\":\"failed\"")
            .starts_with("t.jsonl:2: 'code' is not a text"));
  CHECK(end("\"done\":true", "\"done\":1") ==
        "t.jsonl:2: stages: 'done' is neither true nor false");
  CHECK(end("{\"a\":[\"y\"]}", "null") ==
        "t.jsonl:2: 'outputs' is not an object with values by name");
}

TEST_CASE("a trace has bounds") {
  std::string lines = head_line + "\n";
  for (std::size_t i = 0; i < trace_limits::max_lines; ++i) lines += "{}\n";
  // The second line is wrong, and that comes first.
  CHECK(fault_in(lines).starts_with("t.jsonl:2: "));
  lines = head_line + "\n";
  const std::string skip =
      R"({"request":"r","file":"","hash":"","stage_hash":"","stage":"a","round":0,"attempt":0,"start":0,"seconds":0,"tokens_in":0,"tokens_cached":0,"tokens_out":0,"label":"user","outcome":"skipped","reason":""})"
      "\n";
  for (std::size_t i = 0; i < trace_limits::max_lines; ++i) lines += skip;
  CHECK(fault_in(lines) == "t.jsonl:200001: more than 200000 lines");
  const std::string long_line =
      with(run_line, "\"x\"",
           "\"" + std::string(trace_limits::max_line, 'x') + "\"");
  CHECK(fault_in(head_line + "\n" + long_line).find("the line has 16777") !=
        std::string::npos);
  CHECK(fault_in(std::string(trace_limits::max_bytes + 1, ' ')) ==
        "t.jsonl:1: the trace has 134217729 bytes, at most 134217728 are "
        "allowed");
  // What is written stays within them.
  trace_event e;
  e.call = {"a", std::nullopt, 1, 1};
  e.out.emplace_back("text", std::string(trace_limits::max_line, 'x'));
  CHECK(to_json_line(e).size() < 1000);
}
