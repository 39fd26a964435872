// SPDX-License-Identifier: MIT
#include "plugins/classify/classify.h"

#include "plugins/prompt/prompt.h"
#include "support/demo_host.h"
#include "support/run_stage.h"
#include "support/test.h"
#include "tinyphi/generate/session.h"
#include "tinyphi/pipeline.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

// By a plain forward pass over each label and the end of the turn.
std::vector<double> expected(const labelled_prompt& prompt,
                             const std::vector<std::string>& labels) {
  const tokenizer& t = *demo().tokenizer();
  std::vector<segment> segments;
  for (const auto& s : prompt.segments) segments.push_back({s.text, s.control});
  const std::size_t before = t.encode(segments, true).size();
  const std::size_t vocab = demo().config().vocab_size;
  std::vector<double> all;
  for (const std::string& label : labels) {
    auto whole = segments;
    whole.push_back({label, false});
    whole.push_back({"<|end|>", true});
    const auto ids = t.encode(whole, true);
    auto s = session::create(demo(), ids.size(), 1);
    REQUIRE_OK(s);
    const auto logits = s->run(ids);
    REQUIRE_OK(logits);
    double p = 1;
    for (std::size_t i = before; i < ids.size(); ++i) {
      const auto row = logits->subspan((i - 1) * vocab, vocab);
      double total = 0;
      for (const float x : row) total += std::exp(double{x});
      p *= std::exp(double{row[static_cast<std::size_t>(ids[i])]}) / total;
    }
    all.push_back(p);
  }
  double sum = 0;
  for (const double p : all) sum += p;
  for (double& p : all) p /= sum;
  return all;
}

std::string file(std::string_view labels, std::string_view when) {
  return "tinyphi = 1\ninput.text = \"text\"\noutput.label = \"sort.label\"\n"
         "output.more = \"again.label?\"\noutput.scores = \"sort.scores\"\n"
         "[stage.ask]\nuse = \"prompt\"\nwith.user = \"{{ text }}\"\n"
         "[stage.sort]\nuse = \"classify\"\nwith.labels = " +
         std::string(labels) +
         "\n[stage.again]\nuse = \"classify\"\nwith.labels = ['a', 'b']\n"
         "when = \"" +
         std::string(when) + "\"\n";
}

registry plugins() {
  registry r;
  r.add<classify_stage>().add<prompt_stage>();
  return r;
}

std::string faults_of(const std::string& text) {
  return to_string(
      check_pipeline_text(text, "t.toml", plugins(), demo_host()).faults,
      "t.toml");
}

}  // namespace

TEST_CASE("the scores of labels are their shares of the probability") {
  host h = with_demo();
  const std::vector<std::string> labels = {"yes", "yes, it does", "no",
                                           "The pump waits."};
  const classify_stage stage({{"phi"}, labels}, h);
  labelled_prompt prompt = asking("Does a green light mean that it is ready?");
  const auto given = run_stage(stage, {&prompt});
  REQUIRE_OK(given);
  const auto wanted = expected(prompt, labels);
  REQUIRE(given->scores.size() == labels.size());
  double sum = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    INFO(labels[i]);
    CHECK(given->scores[i] == Approx(wanted[i]).epsilon(1e-3));
    sum += given->scores[i];
  }
  CHECK(sum == Approx(1));
  const auto best = std::ranges::max_element(wanted) - wanted.begin();
  CHECK(given->label == labels[static_cast<std::size_t>(best)]);
  CHECK(given->score == std::ranges::max(given->scores));

  // Exact tokens count, not what the text would be.
  std::vector<segment> other;
  const labelled_prompt else_asked = asking("Is it red?");
  for (const auto& s : else_asked.segments) {
    other.push_back({s.text, s.control});
  }
  prompt.ids = demo().tokenizer()->encode(other, true);
  const auto by_ids = run_stage(stage, {&prompt});
  const auto by_text = run_stage(stage, {&else_asked});
  REQUIRE_OK(by_ids);
  REQUIRE_OK(by_text);
  CHECK(by_ids->scores == by_text->scores);
  CHECK(by_ids->scores != given->scores);
}

TEST_CASE("a label may join the last word of a raw prompt") {
  host h = with_demo();
  const std::vector<std::string> labels = {"ed", "light"};
  const classify_stage stage({{"phi"}, labels}, h);
  labelled_prompt prompt = {{{"The light is r"}}, "phi"};
  const auto given = run_stage(stage, {&prompt});
  REQUIRE_OK(given);
  CHECK(given->label == "ed");
  // Behind exact tokens it is one by itself.
  prompt.ids = demo().tokenizer()->encode(
      std::vector<segment>{{"The light is r", false}}, true);
  const auto by_ids = run_stage(stage, {&prompt});
  REQUIRE_OK(by_ids);
  CHECK(by_ids->scores != given->scores);
}

TEST_CASE("classify stops when its request does") {
  host h = with_demo();
  const classify_stage stage({{"phi"}, {"yes", "no"}}, h);
  const labelled_prompt prompt = asking("Why?");
  stop_condition stop;
  stop.token.cancel();
  CHECK(run_stage(stage, {&prompt}, stop).error().code ==
        error_code::cancelled);
  stop = {};
  stop.deadline = std::chrono::steady_clock::now();
  CHECK(run_stage(stage, {&prompt}, stop).error().code == error_code::deadline);
  labelled_prompt others = prompt;
  others.model = "big";
  CHECK(message_of(run_stage(stage, {&others})) ==
        "the prompt was laid out for model 'big', this stage runs 'phi'; give "
        "both stages the same with.model");
}

TEST_CASE("a prompt keeps room for the longest label") {
  host h = with_demo();
  const std::string label = "not before tomorrow";
  const auto facts = classify_stage::check({{"phi"}, {"no", label}}, {}, h);
  REQUIRE(facts.answer);
  const tokenizer& t = *demo().tokenizer();
  std::vector<segment> turn = {{"<|assistant|>\n", true}};
  const auto before = t.encode(turn, true).size();
  turn.push_back({label, false});
  turn.push_back({"<|end|>", true});
  const auto n = t.encode(turn, true).size() - before;
  CHECK(facts.answer->max_tokens >= n);
  CHECK(facts.answer->max_tokens <= n + 1);
  // Without a tokenizer a byte may be a token.
  host plain({}, "/", {{"phi", {"phi", {}, 0}}});
  const auto bytes = classify_stage::check({{"phi"}, {"no", "yes"}}, {}, plain);
  CHECK(bytes.answer->max_tokens == 5);
}

TEST_CASE("conditions know the labels of classify") {
  CHECK(faults_of(file("['yes', 'no']", "sort.label == 'yes'")).empty());
  CHECK(faults_of(file("['yes', 'no']", "sort.label == 'yess'")) ==
        "t.toml:15:23: error[TP2008]: stage again.when: 'yess' is not one of "
        "yes, no; did you mean 'yes'?");
  std::string many = "[";
  for (int i = 0; i < 65; ++i) many += "'" + std::to_string(i) + "',";
  const std::pair<std::string, std::string_view> all[] = {
      {"['yes']", "has 1 labels, allowed are 2 to 64"},
      {many + "]", "has 65 labels, allowed are 2 to 64"},
      {"['yes', '']", "has an empty label"},
      {"['a', 'b', 'a']", "'a' is named twice"},
  };
  for (const auto& [labels, fault] : all) {
    CHECK(faults_of(file(labels, "true")) ==
          "t.toml:11:15: error[TP1005]: stage sort: with.labels: " +
              std::string(fault));
  }

  const auto p = pipeline::compile_text(
      file("['yes', 'no']",
           "len(sort.scores) == 2 and sort.score <= 1 and sort.label == 'yes'"),
      "t.toml", plugins(), demo_host());
  REQUIRE_OK(p);
  const auto r = p->run({{"text", std::string("Is it ready?")}});
  REQUIRE_OK(r);
  const std::string label =
      *r->outputs.find("label")->second.data.get<std::string>();
  CHECK((label == "yes" || label == "no"));
  CHECK((r->outputs.find("more") != r->outputs.end()) == (label == "yes"));
}
