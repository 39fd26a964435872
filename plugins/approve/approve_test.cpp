// SPDX-License-Identifier: MIT
#include "plugins/approve/approve.h"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <thread>

#include "support/temp_folder.h"
#include "support/test.h"
#include "tinyphi/pipeline.h"
#include "tinyphi/pipeline/testing/run_tests.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

// mail -> "yes" or "no", whatever the mail says of fire.
struct sort_stage {
  static constexpr stage_info info{.id = "sort", .summary = "Sorts mails"};
  struct config {};
  struct inputs {
    std::string_view mail;
  };
  struct outputs {
    std::string label;
  };
  static constexpr auto params() { return std::tuple{}; }
  static constexpr auto in_ports() {
    return std::tuple{port("mail", &inputs::mail)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("label", &outputs::label)};
  }
  sort_stage(config, host&) {}
  task<outputs> run(run_context&, inputs in) const {
    const bool fire = in.mail.find("fire") != std::string_view::npos;
    co_return outputs{fire ? "yes" : "no"};
  }
};

// Sends a text to a place, and says so.
struct page_stage {
  static constexpr stage_info info{
      .id = "page", .summary = "Calls somebody", .effects = effect::net};
  struct config {};
  struct inputs {
    std::string_view body;
    std::optional<std::string_view> url;
  };
  struct outputs {
    std::string text;
  };
  static constexpr auto params() { return std::tuple{}; }
  static constexpr auto in_ports() {
    return std::tuple{port("body", &inputs::body),
                      port("url", &inputs::url).control()};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("text", &outputs::text)};
  }
  page_stage(config, host&) {}
  task<outputs> run(run_context&, inputs in) const {
    co_return outputs{"sent " + std::string(in.body)};
  }
};

const registry& plugins() {
  static const registry all = [] {
    registry r;
    r.add<sort_stage>().add<page_stage>().add<approve_stage>();
    return r;
  }();
  return all;
}

constexpr std::string_view head = R"(tinyphi = 1
input.mail = { type = "text", trust = "untrusted" }
output.sent = "page.text?"
)";
// Asks about a mail that is sorted out.
constexpr std::string_view ask =
    "ask = { use = 'approve', when = \"sort.label == 'yes'\", "
    "in.mail = 'input.mail', with.ask = 'Call the engineer?' }\n";

std::string triage(std::string_view stages, std::string_view allow = "") {
  return std::string(head) + std::string(allow) +
         "[stage]\nsort = { use = 'sort' }\n" + std::string(stages);
}

std::string faults(const std::string& text) {
  return to_string(check_pipeline_text(text, "t.toml", plugins()).faults,
                   "t.toml");
}

result<run_result> run(const std::string& text, const std::string& mail,
                       approver answer, const stop_condition& stop = {}) {
  const auto p = pipeline::compile_text(text, "/t.toml", plugins());
  REQUIRE_OK(p);
  return p->run({{"mail", mail}}, stop, {}, std::move(answer));
}

approver says(bool yes) {
  return [yes](const approval_question&, const stop_condition&) {
    return approval{.given = yes, .reason = yes ? "" : "a person said no"};
  };
}

std::string reason_of(const run_result& r, std::string_view stage) {
  const auto it = std::ranges::find(r.stages, stage, &stage_report::id);
  return std::string(to_string(it->outcome)) + ": " + it->reason;
}

}  // namespace

TEST_CASE("approve: what waits for a person is driven by that person") {
  const std::string page =
      "page = { use = 'page', when = \"sort.label == 'yes'\", "
      "in.body = 'input.mail' }\n";
  const std::string waits = "page = { use = 'page', in.body = 'ask.mail' }\n";
  CHECK(faults(triage(page)) ==
        "t.toml:6:31: error[TP4002]: stage page: has effect net, and untrusted "
        "data decides whether it runs: page.when <- sort.label <- input.mail; "
        "put a person in between (use = \"approve\") or grant page.when with a "
        "reason in [allow].flow");
  CHECK(faults(triage(std::string(ask) + waits)).empty());
  const std::string grant =
      "allow.flow = [{ to = 'page.when', why = 'it is cheap' }]\n";
  CHECK(faults(triage(page, grant)) ==
        "t.toml:4:15: note[TP4009]: [allow].flow: page.when is driven by "
        "untrusted data: it is cheap");
  CHECK(faults(triage(std::string(ask) + waits, grant)) ==
        "t.toml:4:15: error[TP4008]: [allow].flow: nothing needs the grant for "
        "'page.when'");
  // Where it goes, too, may be what a person has seen.
  const auto to = [&](const std::string& url) {
    return faults(triage(std::string(ask) +
                         "page = { use = 'page', in.body = "
                         "'ask.mail', in.url = '" +
                         url + "' }\n"));
  };
  CHECK(to("ask.mail").empty());
  CHECK(to("input.mail").find("error[TP4001]: stage page: in.url decides") !=
        std::string::npos);
}

TEST_CASE("approve: only a yes lowers a label") {
  const auto with = [](const std::string& page) {
    return faults(
        triage(std::string(ask) + "page = { use = 'page', " + page + " }\n"));
  };
  // Behind the yes others may still decide, and a no is nobody's wish.
  CHECK(with("when = \"sort.label == 'yes'\", in.body = 'ask.mail'")
            .find("TP4002") != std::string::npos);
  CHECK(with("when = 'has(ask.approved) and not ask.approved', in.body = "
             "'input.mail'")
            .find("TP4002") != std::string::npos);
  // What stands for an answer is none.
  const auto asked = [](const std::string& keys, const std::string& page) {
    return faults(std::string(head) +
                  "[stage]\nask = { use = 'approve', in.mail = 'input.mail', "
                  "with.ask = 'Call?', " +
                  keys + " }\npage = { use = 'page', " + page + " }\n");
  };
  const std::string sent = "in.body = 'ask.mail'";
  CHECK(asked("fallback = { mail = 'x' }", sent) ==
        "t.toml:5:1: error[TP2014]: stage ask.fallback: values would stand for "
        "a person's answer; write fallback = \"skip\", or leave it out");
  CHECK(asked("fallback = 'skip'", sent).empty());
  CHECK(asked("timeout = '5s'", "when = 'ask.approved', in.body = 'input.mail'")
            .empty());
  CHECK(asked("timeout = '5s'",
              "in.body = { first = ['ask.mail', 'input.mail'] }")
            .empty());
  CHECK(
      faults("tinyphi = 1\ninput.mails = { type = 'list<text>', trust = "
             "'untrusted' }\noutput.sent = 'ask.mail'\n[stage]\nask = { use = "
             "'approve', each = 'input.mails', in.mail = 'item', with.ask = "
             "'Call?' }\n")
          .find("error[TP2010]: stage ask.each: port mail may be absent") !=
      std::string::npos);
}

TEST_CASE(
    "approve: its ports are what the file binds and the question prints") {
  const auto outputs = [](const std::string& lines, const std::string& keys) {
    return faults("tinyphi = 1\ninput.mail = 'text'\ninput.count = 'int'\n" +
                  lines + "[stage]\nask = { use = 'approve', " + keys +
                  " }\nno = { use = 'page', when = 'not ask.approved', in.body "
                  "= 'input.mail' }\n");
  };
  const std::string keys =
      "in.n = 'input.count', with.ask = 'Send {{ mail }}?'";
  CHECK(outputs("output.mail = 'ask.mail?'\noutput.n = 'ask.n?'\n", keys)
            .empty());
  CHECK(outputs("output.mail = 'ask.mail'\noutput.n = 'ask.n?'\n", keys) ==
        "t.toml:4:15: error[TP2007]: output mail: ask.mail may be absent: "
        "a person may say no at stage ask; cover that with first, give a "
        "default, or write \"ask.mail?\"");
  // A yes and a no are all there is.
  CHECK(outputs("output.n = 'ask.n?'\noutput.mail = { first = ['ask.mail', "
                "'no.text'] }\n",
                keys)
            .empty());
  CHECK(outputs("output.n = 'ask.m?'\n", keys).find("'ask.m'") !=
        std::string::npos);
  CHECK(outputs("output.n = { from = 'ask.n', default = 'x' }\n", keys)
            .find("error[TP2003]: output n: default") != std::string::npos);
  CHECK(outputs("output.a = 'ask.approved'\n",
                "in.approved = 'input.mail', with.ask = '{{ count }}?'") ==
        "t.toml:6:66: error[TP1007]: stage ask: with.ask: in.'approved': an "
        "out-port of this name says how the stage ended; take another");
  CHECK(outputs("output.a = 'ask.approved'\n",
                "in.\"a b\" = 'input.mail', with.ask = '{{ count }}?'")
            .find("a name is a lower-case letter") != std::string::npos);
  CHECK(outputs("output.a = 'ask.approved'\n", "with.ask = '{{ cuont }}?'")
            .find("error[TP3002]") != std::string::npos);
  CHECK(outputs("output.a = 'ask.approved'\n", "with.ask = '{{ count'")
            .find("error[TP3001]") != std::string::npos);
}

TEST_CASE("approve: a yes passes on what was shown, all else denies") {
  const std::string text = triage(
      std::string(ask) + "page = { use = 'page', in.body = 'ask.mail' }\n");
  approval_question seen;
  const approver look = [&](const approval_question& q,
                            const stop_condition& stop) {
    seen = q;
    CHECK(stop.deadline.has_value());
    return approval{.given = true};
  };
  const std::string fire = "fire\x1b[2J " + std::string(5000, 'x');
  const auto yes = run(text, fire, look);
  REQUIRE_OK(yes);
  CHECK(yes->outputs.find("sent")->second.data == value_data("sent " + fire));
  CHECK(seen.stage == "ask");
  CHECK(seen.text == "Call the engineer?");
  REQUIRE(seen.values.size() == 1);
  CHECK(seen.values[0].name == "mail");
  CHECK(seen.values[0].text == fire.substr(0, 4096));
  CHECK(seen.values[0].n_bytes == fire.size());
  CHECK(seen.values[0].label == trust::untrusted);
  CHECK(seen.label == trust::untrusted);
  CHECK(seen.effects == effect::net);
  REQUIRE(seen.arguments);
  CHECK(json::parse(*seen.arguments) == json::value{{"mail", fire}});
  std::string large = text;
  const std::string untrusted = "trust = \"untrusted\"";
  large.insert(large.find(untrusted), "max_bytes = 100000, ");
  REQUIRE_OK(run(large, "fire" + std::string(70'000, 'x'), look));
  CHECK_FALSE(seen.arguments);  // more than anybody is shown whole

  const auto no = run(text, "fire", says(false));
  REQUIRE_OK(no);
  CHECK(no->outputs.find("sent") == no->outputs.end());
  CHECK(reason_of(*no, "ask") == "done: denied: a person said no");
  CHECK(reason_of(*no, "page") == "skipped: in.body is absent");
  const auto nobody = run(text, "fire", {});
  REQUIRE_OK(nobody);
  CHECK(reason_of(*nobody, "ask") == "done: denied: nobody can be asked here");
  const auto unasked = run(text, "all is well", says(true));
  REQUIRE_OK(unasked);
  CHECK(reason_of(*unasked, "ask").starts_with("skipped: when: "));
}

TEST_CASE("approve: who waits without a thread is asked the same") {
  const std::string text = triage(
      std::string(ask) + "page = { use = 'page', in.body = 'ask.mail' }\n");
  std::string shown;
  const approver later = [&](approval_question q,
                             stop_condition stop) -> task<approval> {
    CHECK(stop.deadline.has_value());
    boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor,
                                    std::chrono::milliseconds(1));
    co_await timer.async_wait(boost::asio::use_awaitable);
    approval answer{.given = true, .shown = q.arguments};
    if (!shown.empty()) answer.shown = shown;
    co_return answer;
  };
  const auto yes = run(text, "fire", later);
  REQUIRE_OK(yes);
  CHECK(yes->outputs.find("sent")->second.data == value_data("sent fire"));
  // A yes to anything else than what goes on is none.
  shown = R"({"mail":"fire "})";
  const auto other = run(text, "fire", later);
  REQUIRE_OK(other);
  CHECK(reason_of(*other, "ask") ==
        "done: denied: what was approved is not what would go on");
  CHECK(other->outputs.find("sent") == other->outputs.end());
}

TEST_CASE("approve: silence denies, and a request that ends asks no more") {
  const std::string text = std::string(head) +
                           "[stage]\nask = { use = 'approve', in.mail = "
                           "'input.mail', with.ask = '?', with.wait = '20ms' "
                           "}\npage = { use = 'page', in.body = 'ask.mail' }\n";
  // A yes that comes too late is none.
  const approver late = [](const approval_question&,
                           const stop_condition& stop) {
    while (!stop.reason()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return approval{.given = true};
  };
  const auto denied = run(text, "x", late);
  REQUIRE_OK(denied);
  CHECK(reason_of(*denied, "ask") ==
        "done: denied: nobody answered within 20 ms");
  CHECK(denied->outputs.find("sent") == denied->outputs.end());

  std::string patient = text;
  patient.replace(patient.find("20ms"), 4, "1h");
  stop_condition stop;
  std::thread other([token = stop.token] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    token.cancel();
  });
  const auto cancelled = run(patient, "x", late, stop);
  other.join();
  REQUIRE(!cancelled);
  CHECK(cancelled.error().code == error_code::cancelled);
}

TEST_CASE("approve: a called file asks, too, and by a name of its own") {
  const temp_folder folder;
  const std::string stages =
      "[stage]\nask = { use = 'approve', in.mail = 'input.mail', with.ask = "
      "'Call?' }\npage = { use = 'page', in.body = 'ask.mail' }\n";
  folder.write("asks.toml", std::string(head) + stages);
  folder.write(
      "calls.toml",
      std::string(head) +
          "[stage]\npage = { use = 'page', in.body = 'input.mail' }\n");
  const auto check = [&](const std::string& file) {
    auto text = std::string(head);
    text.replace(text.find("page.text?"), 10, "call.sent?");
    const auto main = folder.write(
        "main.toml", text +
                         "[stage]\nsort = { use = 'sort' }\ncall = { use = "
                         "'./" +
                         file + "', when = \"sort.label == 'yes'\" }\n");
    return check_pipeline(main, plugins());
  };
  // The file's own effect waits for a person, so its caller may be driven.
  const auto good = check("asks.toml");
  REQUIRE_OK(good);
  CHECK(to_string(good->faults, "") == "");
  const auto bad = check("calls.toml");
  REQUIRE_OK(bad);
  CHECK(to_string(bad->faults, "").find("error[TP4002]: stage call") !=
        std::string::npos);
  REQUIRE_OK(check("asks.toml"));
  const auto p = pipeline::compile(folder.path() / "main.toml", plugins());
  REQUIRE_OK(p);
  std::string asked;
  const auto done =
      p->run({{"mail", std::string("fire")}}, {}, {},
             [&](const approval_question& q, const stop_condition&) {
               asked = q.stage;
               return approval{.given = true};
             });
  REQUIRE_OK(done);
  CHECK(asked == "call.ask");
  CHECK(wrong_approval(p->graph(), "call.ask").empty());
  CHECK(wrong_approval(p->graph(), "sort") == "no stage 'sort' asks a person");
}

TEST_CASE("approve: a test says yes where it says so") {
  const std::string text = triage(
      std::string(ask) + "page = { use = 'page', in.body = 'ask.mail' }\n");
  const auto tested = [&](const std::string& approve) {
    return check_pipeline_text(
        text + "[[test]]\nname = 't'\ninput = { mail = 'fire' }\n" + approve +
            "fake = { page.text = 'sent' }\nexpect = ['ran(page)', "
            "'ask.approved']\n",
        "t.toml", plugins());
  };
  const auto outcome = [&](const std::string& approve) {
    const auto checked = tested(approve);
    REQUIRE(checked.proved);
    return run_tests(checked.proved, checked.tests, "t.toml", {})
        .count(test_outcome::kind::passed);
  };
  CHECK(outcome("approve = ['ask']\n") == 1);
  CHECK(outcome("") == 0);
  CHECK(to_string(tested("approve = ['aks']\n").faults, "t.toml") ==
        "t.toml:11:12: error[TP5001]: test 't': approve: no stage 'aks' asks a "
        "person; did you mean 'ask'?");
}
