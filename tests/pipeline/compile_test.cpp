// SPDX-License-Identifier: MIT
#include "tinyphi/pipeline/compile.h"

#include "pipeline/fakes.h"
#include "support/test.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

// Lines 1 to 3 are the head, `rest` begins on line 4.
std::string file(std::string_view rest) {
  return "tinyphi = 1\ninput.q = \"text\"\noutput.a = \"s.text\"\n" +
         std::string(rest);
}

constexpr std::string_view ask =
    "[stage.s]\nuse = \"answer\"\n[stage.p]\nuse = \"lay_out\"\n";

}  // namespace

TEST_CASE("what does not fit together is found where it stands") {
  struct broken {
    std::string rest;
    std::string faults;
  };
  const broken all[] = {
      {"[stage.s]\nuse = \"ecko\"",
       "t.toml:5:7: error[TP1010]: stage s: no plugin 'ecko'; did you mean "
       "'echo'?"},
      {"[stage.s]\nuse = \"echo\"\nin.text = \"input.q\"\n[stage.f]\nuse = "
       "\"find.x@1\"\nwith.index = \"i\"",
       "t.toml:8:7: error[TP1010]: stage f: plugin 'find.x' is here as @2, not "
       "@1"},
      {"[stage.s]\nuse = \"echo\"\nin.txt = \"input.q\"",
       "t.toml:6:4: error[TP2001]: stage s: plugin 'echo' has no in-port "
       "'txt'; "
       "did you mean 'text'?"},
      {"[stage.s]\nuse = \"echo\"\nin.text = \"input.p\"",
       "t.toml:6:11: error[TP2002]: stage s.in.text: no such value 'input.p'; "
       "did you mean 'input.q'?"},
      {"[stage.s]\nuse = \"echo\"\nin.text = \"f.count\"\n[stage.f]\nuse = "
       "\"find.x\"\nin.query = \"input.q\"\nwith.index = \"i\"",
       "t.toml:6:11: error[TP2003]: stage s.in.text: f.count is int, the port "
       "takes text"},
      {"[stage.s]\nuse = \"echo\"\nin.text = \"input.q?\"",
       "t.toml:6:11: error[TP2007]: stage s.in.text: the port needs a value, "
       "so "
       "'input.q' cannot be marked '?'"},
      {"[stage.s]\nuse = \"echo\"\nafter = [\"t\"]\nin.text = \"input.q\"",
       "t.toml:6:10: error[TP2002]: stage s.after: no stage 't'; did you mean "
       "'s'?"},
      {"[stage.s]\nuse = \"echo\"\nin.text = \"t.text\"\n[stage.t]\nuse = "
       "\"echo\"\nin.text = \"s.text\"",
       "t.toml:4:8: error[TP2006]: stages wait for each other: s -> t -> s"},
      {"[stage.s]\nuse = \"echo\"\nin.text = \"s.text\"",
       "t.toml:4:8: error[TP2006]: stages wait for each other: s -> s"},
      {"[stage.s]\nuse = \"echo\"\nin.text = \"input.q\"\nwhen = \"input.q == "
       "'x'\"",
       "t.toml:3:12: error[TP2007]: output a: s.text may be absent: s.when "
       "may not hold; cover that with first, give a default, or write "
       "\"s.text?\""},
      {"[stage.s]\nuse = \"echo\"\nwhen = \"input.p == 'x'\"\nin.text = "
       "\"input.q\"",
       "t.toml:6:9: error[TP2002]: stage s.when: no such value 'input.p'; did "
       "you mean 'input.q'?"},
      {"[stage.s]\nuse = \"echo\"\nwhen = \"input.q = 'x'\"\nin.text = "
       "\"input.q\"",
       "t.toml:6:17: error[TP2008]: stage s.when: unexpected '= 'x''; write "
       "'=='"},
      {"[stage.s]\nuse = \"echo\"\nwith.add = 1\nwith.wait_ms = 70000\nin.text "
       "= "
       "\"input.q\"",
       "t.toml:6:12: error[TP1004]: stage s: with.add is an integer, the "
       "plugin "
       "wants text\n"
       "t.toml:7:16: error[TP1005]: stage s: with.wait_ms is 70000, allowed "
       "are "
       "0 to 60000"},
      {"[stage.s]\nuse = \"answer\"",
       "t.toml:4:8: error[TP2004]: stage s: in.prompt is not bound and the "
       "file has no prompt that does not depend on the stage"},
      {std::string(ask) + "with.names = '''\nq\n  bad'''\nin.bad = \"input.q\"",
       "t.toml:10:3: error[TP3001]: stage p: with.names: bad name"},
      {std::string(ask) + "with.names = \"worse\"\nin.worse = \"input.q\"",
       "t.toml:8:15: error[TP3001]: stage p: with.names: a worse name"},
      {std::string(ask) + "with.names = \"q docs*\"\nin.docs = \"input.q\"",
       "t.toml:9:11: error[TP2003]: stage p.in.docs: input.q is text, the "
       "port takes list<document>"},
      {std::string(ask) + "with.names = \"q\"\nin.z = \"input.q\"",
       "t.toml:9:4: error[TP3002]: stage p: in.z: no template of the stage "
       "uses 'z'; did you mean 'q'?"},
      // Both are told, and not that `text` has nothing.
      {"[stage.s]\nuse = \"echo\"\nin.txt = \"input.q\"\nin.tetx = \"input.q\"",
       "t.toml:6:4: error[TP2001]: stage s: plugin 'echo' has no in-port "
       "'txt'; did you mean 'text'?\n"
       "t.toml:7:4: error[TP2001]: stage s: plugin 'echo' has no in-port "
       "'tetx'; did you mean 'text'?"},
      {std::string(ask) + "with.names = \"q\"\nwith.cap = 96\n[model.m]\n"
                          "context = 100",
       "t.toml:6:8: error[TP3004]: stage p: worst case 101 tokens (96 of "
       "prompt, 5 reserved for stage s) > context 100 of model m"},
      {std::string(ask) + "with.names = \"q\"\nwith.reserve = 4",
       "t.toml:9:6: error[TP1002]: stage p: unknown parameter 'with.reserve'; "
       "leave it out: it follows from the stages that take the prompt"},
      {std::string(ask) + "with.names = \"q\"\nwith.model = \"m\"\n[model.m]\n"
                          "[model.n]\n[stage.s.with]\nmodel = \"n\"",
       "t.toml:4:8: error[TP3007]: stage s: stage p lays its prompt out for "
       "model m, not for n"},
  };
  for (const broken& b : all) {
    INFO(b.rest);
    CHECK(faults_of(file(b.rest)) == b.faults);
  }
}

TEST_CASE("advice on what is gone stands where it was only") {
  CHECK(
      faults_of(file("[stage.s]\nuse = \"echo\"\nin.text = \"input.q\"\nfamily "
                     "= \"phi\"\nwith.reserve = 1\n[model.m]\nfamily = "
                     "\"phi\"")) ==
      "t.toml:7:1: error[TP1002]: stage s: unknown key 'family'\n"
      "t.toml:8:6: error[TP1002]: stage s: unknown parameter "
      "'with.reserve'\n"
      "t.toml:10:1: error[TP1002]: model m: unknown key 'family'; leave it "
      "out: the model's file says it");
}

TEST_CASE("outputs are checked for source, type and default") {
  const auto output = [](const std::string& line) {
    return faults_of("tinyphi = 1\ninput.q = \"text\"\n" + line +
                     "\n[stage.f]\nuse = \"find.x\"\nwith.index = \"i\"\n"
                     "in.query = \"input.q\"\nwhen = \"has(input.q)\"");
  };
  CHECK(output("output.a = \"f.doc\"") ==
        "t.toml:3:12: error[TP2002]: output a: no such value 'f.doc'; did you "
        "mean 'f.docs'?");
  CHECK(
      output("output.a = { from = \"f.docs\", stream = true, default = [] }") ==
      "t.toml:3:31: error[TP1002]: output a: unknown key 'stream'; leave it "
      "out: the first output that takes a stream is one");
  CHECK(output("output.a = { from = \"f.docs\", default = \"no\" }") ==
        "t.toml:3:41: error[TP2003]: output a: default: a text, not a "
        "list<document>");
  CHECK(
      output("output.a = { first = [\"f.count\", \"input.q\"] }") ==
      "t.toml:3:34: error[TP2003]: output a: input.q is text, f.count is int");
  CHECK(output("output.a = { from = \"f.docs\", default = [] }").empty());
}

TEST_CASE("open ports take the input of their name, or the only prompt") {
  // f.query is bound; q, also where it may be absent, and the prompt are open.
  const std::string text =
      file(std::string(ask) +
           "with.names = \"q? docs*\"\nin.docs = \"f.docs\"\n[stage.f]\nuse = "
           "\"find.x\"\nwith.index = \"i\"\nin.query = \"input.q\"\n");
  CHECK(faults_of(text).empty());
  const auto checked = check_pipeline_text(text, "t.toml", fakes());
  REQUIRE(checked.proved);
  for (const graph_stage& s : checked.proved->stages) {
    for (const graph_port& p : s.in) {
      REQUIRE(p.binding.from.size() == 1);
      const std::string& source = p.binding.from[0].name;
      CHECK(p.implicit == (p.info.name == "q" || p.info.name == "prompt"));
      if (p.info.name == "q") CHECK(source == "input.q");
      if (p.info.name == "prompt") CHECK(source == "p.prompt");
    }
  }
  CHECK(faults_of(text + "[stage.o]\nuse = \"lay_out\"\nwith.names = "
                         "\"q\"\n") ==
        "t.toml:4:8: error[TP2005]: stage s: in.prompt is not bound and there "
        "are 2 prompts: p.prompt, o.prompt");
}

TEST_CASE("a prompt that depends on the stage is not the one it takes") {
  const auto checked = check_pipeline_text(
      "tinyphi = 1\ninput.q = \"text\"\noutput.a = \"e.text\"\n" +
          std::string(ask) +
          "with.names = \"q\"\n[stage.o]\nuse = \"lay_out\"\nwith.names = "
          "\"draft\"\nin.draft = \"s.text\"\n[stage.e]\nuse = "
          "\"answer\"\nin.prompt = \"o.prompt\"\n",
      "t.toml", fakes());
  REQUIRE(checked.proved);
  const graph& g = *checked.proved;
  CHECK(g.stages[0].in[0].binding.from[0].name == "p.prompt");
}

TEST_CASE(
    "nothing else is bound by rule: not by type, not by an output's name") {
  const std::string find = "[stage.f]\nuse = \"find.x\"\nwith.index = \"i\"\n";
  CHECK(faults_of(file("[stage.s]\nuse = \"echo\"\n" + find)) ==
        "t.toml:4:8: error[TP2004]: stage s: in.text (text) is not bound, and "
        "no input is called 'text'\n"
        "t.toml:6:8: error[TP2004]: stage f: in.query (text) is not bound, and "
        "no input is called 'query'");
  // Printed, looped over, or only tested: where the template uses it.
  for (const std::string name : {"quest", "docs*", "quest?"}) {
    const std::string plain = name.substr(0, name.find_first_of("*?"));
    CHECK(faults_of(file(std::string(ask) + "with.names = \"q " + name +
                         "\"\n" + find + "in.query = \"input.q\"\n")) ==
          "t.toml:8:17: error[TP3002]: stage p: the template uses '" + plain +
              "', which is neither bound as in." + plain + " nor an input");
  }
  CHECK(faults_of("tinyphi = 1\ninput.docs = \"text\"\noutput.a = "
                  "\"s.text\"\n" +
                  std::string(ask) + "with.names = \"docs*\"\n") ==
        "t.toml:6:8: error[TP2003]: stage p.in.docs: input.docs is text, the "
        "port takes list<document>");
}

TEST_CASE("a stage that cannot be created says why, with its own code") {
  const std::string text =
      file(std::string(ask) +
           "with.names = \"q docs*\"\nin.docs = "
           "\"f.docs\"\n[stage.f]\nuse = \"find.x\"\nin.query "
           "= \"input.q\"\nwith.index = \"missing.db\"\n");
  CHECK(faults_of(text).empty());
  const auto p = pipeline::compile_text(text, "/base/t.toml", fakes());
  REQUIRE(!p);
  CHECK(p.error().code == error_code::not_found);
  CHECK(message_of(p) ==
        "/base/t.toml:10:8: error[TP4000]: stage f: /base/missing.db: no such "
        "index");
}

TEST_CASE("a file that is not there is an error, not a fault") {
  const auto p = check_pipeline("/no/such.toml", fakes());
  REQUIRE(!p);
  CHECK(p.error().code == error_code::not_found);
}

TEST_CASE("the context comes from the host where the file names none") {
  host_options options;
  options.describe_model = [](const model_spec& m) -> result<model_facts> {
    if (m.name == "gone") return error{error_code::not_found, "no such model"};
    return model_facts{.context = 14, .tokenizer = {}};
  };
  const std::string text = file(std::string(ask) + "with.names = \"q\"\n");
  CHECK(
      faults_of(text, options) ==
      "t.toml:6:8: error[TP3004]: stage p: worst case 15 tokens (10 of prompt, "
      "5 reserved for stage s) > context 14 of model default");
  CHECK(faults_of(text + "[model.gone]", options) ==
        "t.toml:6:8: error[TP4000]: stage p: no such model");
}

TEST_CASE("a context that the model does not have is not believed") {
  host_options options;
  options.describe_model = [](const model_spec&) -> result<model_facts> {
    return model_facts{.context = 4096};
  };
  const std::string text = file(std::string(ask) + "with.names = \"q\"\n");
  CHECK(faults_of(text + "[model.m]\ncontext = 4096", options).empty());
  CHECK(faults_of(text + "[model.m]\ncontext = 4097", options) ==
        "t.toml:9:8: error[TP3006]: model m: context is 4097, its file has "
        "4096");
}

TEST_CASE("what is declared and never used is a fault") {
  const std::string text =
      "tinyphi = 1\ninput.text = \"text\"\ninput.q = "
      "\"text\"\noutput.a = \"s.text\"\n[stage.s]\nuse = "
      "\"echo\"\n";
  CHECK(faults_of(text) == "t.toml:3:7: error[TP2015]: input q is never used");
  const std::string used = text +
                           "in.text = { first = [\"input.text\", "
                           "\"input.q\"] }\n";
  CHECK(faults_of(used).empty());
  CHECK(faults_of(used + "[stage.t]\nuse = \"echo\"\n") ==
        "t.toml:8:8: error[TP2015]: stage t: nothing uses its outputs (text), "
        "and it has no effect");
  CHECK(faults_of(used + "[model.m]\n") ==
        "t.toml:8:8: error[TP1014]: model m is never used");
  const std::string env = "[env]\nX = { type = \"text\", default = \"x\" }\n";
  CHECK(faults_of(used + env) ==
        "t.toml:9:1: error[TP1014]: env X is never used");
  CHECK(faults_of(used + "with.add = \"${env.X}\"\n" + env).empty());
  CHECK(faults_of("tinyphi = 1\ninput.text = \"text\"\noutput.a = { from = "
                  "\"s.text\", default = \"\" }\n[stage.s]\nuse = "
                  "\"echo\"\nwhen = \"env.X == 'y'\"\n" +
                  env)
            .empty());
  // A fault elsewhere may be why something is unused.
  CHECK(faults_of(text + "in.text = \"input.text\"\nin.txt = \"input.q\"")
            .find("TP2015") == std::string::npos);
}

TEST_CASE("the graph in words, as dot and as mermaid; the plan") {
  const auto checked = check_pipeline_text(
      file(std::string(ask) +
           "with.names = \"q\"\ntimeout = \"2s\"\n[model.m]\n"
           "context = 100\n[limits]\ndeadline = \"1m\""),
      "t.toml", fakes());
  REQUIRE(checked.proved);
  const graph& g = *checked.proved;
  CHECK(describe(g, graph_format::text) == R"(t

input.q: text, user

stage p: lay_out@1
  timeout 2000 ms
  in.q <- input.q (by rule)
  -> p.prompt: prompt, user

stage s: answer@1
  in.prompt <- p.prompt (by rule)
  -> s.text: stream<text>, user

output a <- s.text, streamed
)");
  CHECK(describe(g, graph_format::dot)
            .find("stage_p -> stage_s [label=\"prompt: prompt\"];") !=
        std::string::npos);
  CHECK(describe(g, graph_format::mermaid)
            .find("stage_s -->|\"text: text\"| output_a") != std::string::npos);
  CHECK(plan_text(g) ==
        "p (lay_out): prompt of at most 10 tokens, 5 reserved, model m with "
        "context 100, timeout 2000 ms\n"
        "s (answer): at most 5 tokens, model m with context 100, no timeout of "
        "its own\n"
        "deadline: 60000 ms\n");
}

TEST_CASE("a graph shows what decides whether and when a stage runs") {
  const auto checked = check_pipeline_text(
      "tinyphi = 1\ninput.text = \"text\"\noutput.a = { from = \"s.text\", "
      "default = \"\" }\noutput.b = \"t.text\"\n[stage.s]\nuse = "
      "\"echo\"\nwhen "
      "= \"input.text != ''\"\nafter = [\"t\"]\nfallback = "
      "\"skip\"\n[stage.t]\nuse = \"echo\"\n",
      "t.toml", fakes());
  REQUIRE(checked.proved);
  const graph& g = *checked.proved;
  using Catch::Contains;
  CHECK_THAT(describe(g, graph_format::text),
             Contains("stage s: echo@1\n  when input.text != ''\n  after t\n  "
                      "skipped if it fails\n"));
  CHECK_THAT(describe(g, graph_format::dot),
             Contains("s (echo), skipped if it fails") &&
                 Contains("input_text -> stage_s [label=\"when\", "
                          "style=dashed];") &&
                 Contains("stage_t -> stage_s [label=\"after\", "
                          "style=dashed];"));
  CHECK_THAT(describe(g, graph_format::svg),
             Contains("s (echo)") && Contains("skipped if it fails") &&
                 Contains("stroke-dasharray") && Contains(">when</text>") &&
                 Contains("text: text"));
  CHECK_THAT(describe(g, graph_format::mermaid),
             Contains("stage_t -.->|\"after\"| stage_s"));
}
