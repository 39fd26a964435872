// SPDX-License-Identifier: MIT
// [tool.x], and the stages that let a model call tools: agent, tool.pick.
#include "plugins/agent/agent.h"

#include "plugins/approve/approve.h"
#include "plugins/prompt/prompt.h"
#include "plugins/tool_pick/tool_pick.h"
#include "support/demo_host.h"
#include "support/run_stage.h"
#include "support/test.h"
#include "tinyphi/pipeline.h"
#include "tinyphi/pipeline/testing/run_tests.h"
#include "tinyphi/schema/schema_check.h"

using namespace tinyphi;
using namespace tinyphi_test;
using Catch::Matchers::Contains;

namespace {

// Opens a ticket: an effect that must not happen unasked.
struct ticket_stage {
  static constexpr stage_info info{
      .id = "ticket", .summary = "Opens a ticket", .effects = effect::write};
  struct config {};
  struct inputs {
    std::string_view title;
    std::optional<std::int64_t> urgency;
  };
  struct outputs {
    std::string number;
  };
  static constexpr auto params() { return std::tuple{}; }
  static constexpr auto in_ports() {
    return std::tuple{port("title", &inputs::title).control(),
                      port("urgency", &inputs::urgency)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("number", &outputs::number)};
  }
  ticket_stage(config, host&) {}
  task<outputs> run(run_context&, inputs in) const {
    co_return outputs{"T-" + std::string(in.title)};
  }
};

// Finds what nobody has checked; it fails where there is nothing.
struct find_stage {
  static constexpr stage_info info{.id = "find",
                                   .summary = "Finds",
                                   .effects = effect::read,
                                   .makes = trust::untrusted};
  struct config {};
  struct inputs {
    std::string_view query;
    std::string_view where;
  };
  struct outputs {
    std::string found;
  };
  static constexpr auto params() { return std::tuple{}; }
  static constexpr auto in_ports() {
    return std::tuple{port("query", &inputs::query),
                      port("where", &inputs::where)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("found", &outputs::found)};
  }
  find_stage(config, host&) {}
  task<outputs> run(run_context&, inputs in) const {
    if (in.query == "nothing") {
      throw stage_error(error_code::not_found, "there is nothing");
    }
    co_return outputs{std::string(in.query) + " in " + std::string(in.where)};
  }
};

registry plugins() {
  registry r;
  r.add<agent_stage>()
      .add<approve_stage>()
      .add<find_stage>()
      .add<prompt_stage>()
      .add<ticket_stage>()
      .add<tool_pick_stage>();
  return r;
}

// Behind it come the tools that the agent has, and tests.
std::string file(const std::string& tools, const std::string& names,
                 const std::string& rest = "") {
  return "tinyphi = 1\ninput.q = 'text'\noutput.reply = 'agent.text'\n"
         "[stage]\nask = { use = 'prompt', with.user = '{{ q }}', with.fit = { "
         "q = 100 } }\nagent = { use = 'agent', with.tools = [" +
         names + "] }\n" + tools + rest;
}
const std::string search =
    "[env]\nWHERE = { type = 'text', default = 'the manual' "
    "}\n[tool.search]\nuse "
    "= 'find'\ndescribe = 'Searches the manual'\nin.where = 'env.WHERE'\n";
const std::string ticket =
    "[tool.ticket]\nuse = 'ticket'\ndescribe = 'Opens a ticket'\n";

std::string faults_of(const std::string& text) {
  return to_string(
      check_pipeline_text(text, "t.toml", plugins(), demo_host()).faults,
      "t.toml");
}

// The problems of the file's tests, one a line.
std::string problems_of(const std::string& text) {
  const auto checked =
      check_pipeline_text(text, "t.toml", plugins(), demo_host());
  INFO(to_string(checked.faults, "t.toml"));
  REQUIRE(checked.proved);
  std::string all;
  for (const auto& t :
       run_tests(checked.proved, checked.tests, "t.toml", {}).tests) {
    for (const diagnostic& d : t.problems) all += d.message + "\n";
  }
  return all;
}

// A test of a script that ends with the text "ok".
std::string test_of(const std::string& script, const std::string& expect,
                    const std::string& more = "") {
  return "[[test]]\nname = 't'\ninput = { q = 'Why?' }\nscript = { agent = [" +
         script + "] }\nexpect = [" + expect + "]\n" + more;
}

const std::string call_search = "{ call = 'search', args = { query = 'red' } }";
const std::string call_ticket =
    "{ call = 'ticket', args = { title = 'Pump', urgency = 2 } }";

}  // namespace

TEST_CASE(
    "the arguments of a tool are the in-ports that the file leaves open") {
  const auto checked = check_pipeline_text(
      file(search + ticket + "approve = '10s'\n", "'search', 'ticket'"),
      "t.toml", plugins(), demo_host());
  INFO(to_string(checked.faults, "t.toml"));
  REQUIRE(checked.proved);
  const auto& tools = checked.proved->tools;
  CHECK(tools.find("search")->second->parameters ==
        R"({"type":"object","properties":{"query":)"
        R"({"type":"string","maxLength":65536}},)"
        R"("required":["query"],"additionalProperties":false})");
  CHECK(tools.find("search")->second->makes == trust::untrusted);
  // Nobody says yes to what was not shown: all is required.
  CHECK(tools.find("ticket")->second->parameters ==
        R"({"type":"object","properties":{"title":)"
        R"({"type":"string","maxLength":65536},)"
        R"("urgency":{"type":"integer"}},"required":["title","urgency"],)"
        R"("additionalProperties":false})");
  CHECK(tools.find("ticket")->second->unasked_effects == effect::none);
}

TEST_CASE("what is wrong with a tool is told where it stands") {
  const auto told = [](const std::string& tools, const std::string& names,
                       const std::string& what) {
    const std::string all = faults_of(file(tools, names));
    INFO(tools);
    CHECK_THAT(all, Contains(what));
    CHECK(std::ranges::count(all, '\n') == 0);  // one cause, one message
  };
  told(search, "'serch'", "no [tool.serch]; did you mean 'search'?");
  told(search + ticket, "'search'", "tool ticket is never used");
  told("[tool.search]\nuse = 'find'\n", "'search'",
       "tool search: describe is missing");
  told("[tool.search]\nuse = 'fnd'\ndescribe = 'x'\n", "'search'",
       "tool search: no plugin 'fnd'");
  told("[tool.ask]\nuse = 'find'\ndescribe = 'x'\n", "'ask'",
       "'ask' is defined on line");
  told("[tool.x]\nuse = 'agent'\ndescribe = 'x'\nwith.tools = []\n", "'x'",
       "tool x: a model cannot give in.prompt, which is a prompt");
  told(search + "when = 'true'\n", "'search'", "unknown key 'when'");
  told("[tool.search]\nuse = 'find'\ndescribe = 'x'\nin.were = 'env.WHERE'\n",
       "'search'", "'were'");
}

TEST_CASE("a model with untrusted words has no unasked effect") {
  const std::string driven = faults_of(file(search + ticket,
                                            "'search', "
                                            "'ticket'"));
  CHECK_THAT(driven, Contains("error[TP4005]: tool ticket: has effect write, "
                              "and stage agent may call it with untrusted"));
  CHECK(std::ranges::count(driven, '\n') == 0);
  // What a user says may drive it, a person's yes and a grant as well.
  CHECK(faults_of(file(ticket, "'ticket'")) == "");
  CHECK(faults_of(file(search + ticket + "approve = '10s'\n",
                       "'search', 'ticket'")) == "");
  CHECK_THAT(
      faults_of(file(search + ticket, "'search', 'ticket'",
                     "[allow]\nflow = [{ to = 'ticket', why = 'w' }]\n")),
      Contains("note[TP4009]"));
}

TEST_CASE("an agent calls tools with its arguments and tells what it did") {
  const auto problems = problems_of(file(
      search + ticket + "approve = '10s'\n", "'search', 'ticket'",
      test_of(
          call_search + ", " + call_ticket + ", { text = 'ok' }",
          "'output.reply == \"ok\"', 'calls(search) == 1', 'calls(ticket) == "
          "1', 'denied(ticket) == 0', 'agent.rounds == 2', "
          "'agent.calls[0].result contains \"red in the manual\"', "
          "'agent.calls[1].outcome == \"done\"'",
          "approve = ['ticket']\nfake = { ticket.number = 'T-7' }\n")));
  CHECK(problems == "");
}

TEST_CASE("silence denies, and a tool with an effect needs a fake in tests") {
  const std::string tools = ticket + "approve = '10s'\n";
  CHECK(problems_of(file(
            tools, "'ticket'",
            test_of(call_ticket + ", { text = 'no' }",
                    "'denied(ticket) == 1', 'calls(ticket) == 0', "
                    "'agent.calls[0].outcome == \"denied\"', "
                    "'agent.calls[0].result == \"error: denied\"'"))) == "");
  CHECK_THAT(
      problems_of(file(tools, "'ticket'",
                       test_of(call_ticket + ", { text = 'no' }",
                               "'ran(agent)'", "approve = ['ticket']\n"))),
      Contains("tool ticket changes something outside; fake it"));
}

TEST_CASE("who says yes sees the tool and all that it is given") {
  const auto p =
      pipeline::compile_text(file(ticket + "approve = '10s'\n", "'ticket'"),
                             "t.toml", plugins(), demo_host());
  REQUIRE_OK(p);
  const auto& tool = *p->graph().tools.find("ticket")->second;
  approval_question asked;
  const auto result = run_task([&](run_context& cx) {
    static call_site site;
    site.approve = [&](const approval_question& q, const stop_condition&) {
      asked = q;
      return approval{.given = true};
    };
    static std::optional<run_context> own;
    own.emplace(cx.stop(), cx.pool(), trust::user, request_origin{}, site);
    return tool.call(
        *own, value_data(value_data::record{{"title", "Pump"},
                                            {"urgency", std::int64_t{2}}}));
  });
  REQUIRE_OK(result);
  CHECK(result->outcome == tool_outcome::done);
  CHECK(*result->value.find("number")->get<std::string>() == "T-Pump");
  CHECK(asked.stage == "ticket");
  CHECK(asked.text == "May the model use the tool ticket?");
  REQUIRE(asked.values.size() == 2);
  CHECK(asked.values[0].text == "Pump");
  CHECK(asked.values[1].text == "2");
}

TEST_CASE("arguments that are not a tool's, and failures, are told once") {
  const auto fails = [](const std::string& script) {
    return problems_of(
        file(search, "'search'", test_of(script, "'output.reply == \"ok\"'")));
  };
  const std::string end = ", { text = 'ok' }";
  CHECK(fails("{ call = 'search', args = { query = 7 } }" + end) == "");
  CHECK(fails("{ call = 'search', args = { query = 'nothing' } }" + end) == "");
  CHECK_THAT(
      fails("{ call = 'search', args = { query = 'nothing' } }, { call = "
            "'search', args = { query = 7 } }" +
            end),
      Contains("tool search: argument query: an integer, not a text"));
  CHECK_THAT(
      fails("{ call = 'search', args = { query = 7 } }, { call = 'search' }" +
            end),
      Contains("tool search: argument query is missing"));
  CHECK_THAT(fails(call_search + ", " + call_search + end),
             Contains("the model calls search again with the same arguments"));
  CHECK_THAT(fails(call_search),
             Contains("calls search again with the same arguments"));
}

TEST_CASE(
    "a turn of a script is a call of a tool that the stage has, or a text") {
  const auto told = [](const std::string& turn) {
    return faults_of(file(search, "'search'", test_of(turn, "'ran(agent)'")));
  };
  CHECK_THAT(told("{ call = 'serch' }"),
             Contains("script.agent: stage agent has no tool 'serch'; did you "
                      "mean 'search'?"));
  CHECK_THAT(told("{ call = 'search', args = { queyr = 'x' } }"),
             Contains("script.agent: tool search has no argument 'queyr'; did "
                      "you mean 'query'?"));
  CHECK_THAT(told("{ say = 'x' }"), Contains("a turn of the model is { call"));
  CHECK_THAT(told("{ text = 'x', call = 'search' }"),
             Contains("a turn of the model is { call"));
}

TEST_CASE("tool.pick runs one tool, whose result its model never reads") {
  const auto text = [](const std::string& more) {
    return "tinyphi = 1\ninput.q = 'text'\noutput.what = 'pick.tool'\n"
           "output.number = 'pick.result?'\n"
           "[stage]\nask = { use = 'prompt', with.user = '{{ q }}', with.fit = "
           "{ q = 100 } }\npick = { use = 'tool.pick', with.tools = "
           "['ticket'] }\n" +
           ticket + "approve = '10s'\n" + more;
  };
  const std::string head =
      "[[test]]\nname = 't'\ninput = { q = 'Why?' }\nscript = { pick = [" +
      call_ticket + "] }\n";
  CHECK(problems_of(text(head + "expect = ['output.what == \"ticket\"', "
                                "'not has(output.number)', 'denied(ticket) "
                                "== 1']\n")) == "");
  CHECK(problems_of(text(
            head +
            "approve = ['ticket']\nfake = { ticket.number = 'T-7' }\n"
            "expect = ['has(output.number)', 'calls(ticket) == 1']\n")) == "");
}

TEST_CASE("whatever a model writes, a tool gets arguments of its types") {
  for (const std::string decide : {"label", "inline"}) {
    INFO(decide);
    auto text = file(ticket, "'ticket'");
    text.replace(text.find("with.tools"), 0,
                 "with.decide = '" + decide +
                     "', with.max_tokens = 8, "
                     "with.rounds = 1, "
                     "with.call_tokens = 40, ");
    const auto p =
        pipeline::compile_text(text, "t.toml", plugins(), demo_host());
    REQUIRE_OK(p);
    const auto done =
        p->run({{"q", std::string("Open a ticket for the pump")}});
    REQUIRE_OK(done);
    CHECK(done->outputs.find("reply") != done->outputs.end());
  }
  host h = with_demo();
  const auto p = pipeline::compile_text(file(search + ticket,
                                             "'search', "
                                             "'ticket'",
                                             "[allow]\nflow = [{ to = "
                                             "'ticket', why = 'w' }]\n"),
                                        "t.toml", plugins(), demo_host());
  REQUIRE_OK(p);
  agents::file_tools tools;
  for (const auto& [name, tool] : p->graph().tools) tools.push_back(tool);
  agents::tool_model::options o;
  o.model = "phi";
  o.asking.may_answer = false;
  o.sampling.temperature = 2;
  const agents::tool_model m(tools, o, h);
  run_context cx({}, {}, trust::user);
  usage used;
  std::vector<segment> prompt = m.told(asking("What does a red light mean?"));
  const std::size_t before = demo().tokenizer()->encode(prompt, true).size();
  const auto plain = demo().tokenizer()->encode(
      segments_for("phi", asking("What does a red light mean?")), true);
  // What is reserved is enough for what is told.
  CHECK(before - plain.size() + 30 <= agents::tokens_told(tools, "phi", h));
  for (int i = 0; i < 4; ++i) {
    const agents::turn t = m.next(prompt, cx, used);
    REQUIRE(t.tool);
    const auto rules = schema::read(tools[*t.tool]->parameters);
    REQUIRE(rules);
    const auto faults = check_text(*rules, t.arguments);
    REQUIRE_OK(faults);
    CHECK(faults->empty());
    prompt = m.continued(prompt, *t.tool, t.arguments, "<|end|> 7");
  }
  // A result's control tokens are plain text.
  const auto ids = demo().tokenizer()->encode(prompt, true);
  const auto end = demo().tokenizer()->encode(
      std::vector<segment>{{"<|end|>", true}}, false);
  CHECK(std::ranges::count(ids, end.front()) == 1 + 4 * 2);
  CHECK(m.cut(std::string(4000, 'x'), 20).size() < 4000);
  CHECK(m.cut("short", 20) == "short");
}
