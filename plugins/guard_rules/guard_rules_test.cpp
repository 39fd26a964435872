// SPDX-License-Identifier: MIT
#include "plugins/guard_rules/guard_rules.h"

#include "support/run_stage.h"
#include "support/temp_folder.h"
#include "support/test.h"
#include "tinyphi/pipeline.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

registry plugins() {
  registry r;
  r.add<guard_rules_stage>();
  return r;
}

// `rest` begins on line 4.
std::string file(std::string_view rest) {
  return "tinyphi = 1\ninput.text = \"text\"\noutput.v = \"s.verdict\"\n" +
         std::string(rest);
}

std::string faults_of(std::string_view rest) {
  const auto checked = check_pipeline_text(file(rest), "t.toml", plugins(), {});
  return to_string(checked.faults, "t.toml");
}

verdict judged(const pipeline& p, std::string text) {
  const auto r = p.run({{"text", std::move(text)}});
  REQUIRE_OK(r);
  return from_data<verdict>(r->outputs.find("v")->second.data);
}

}  // namespace

TEST_CASE("guard.rules blocks what the rules of files and tables find") {
  temp_folder folder;
  folder.write(
      "secrets.toml",
      "[[rules]]\nid = \"shop-key\"\nregex = 'parts_[a-z0-9]{8}'\n"
      "keywords = [\"parts_\"]\ndescription = \"a key of the shop\"\n");
  const std::string text = file(
      "env.NAME = { type = \"text\", default = \"secrets\" }\n"
      "[rules.secrets]\nfile = \"${env.NAME}.toml\"\n"
      "[rules.own]\nrule = [{ id = 'code', regex = '^red$$|green$' },\n"
      "  { id = 'half', regex = 'half', score = 0.5 }]\n"
      "[stage.s]\nuse = \"guard.rules\"\nwith.rules = [\"own\", \"secrets\"]");
  const auto p =
      pipeline::compile_text(text, folder.path() / "t.toml", plugins(), {});
  REQUIRE_OK(p);
  const verdict by_file = judged(*p, "it is parts_abcd1234.");
  CHECK(by_file == verdict{true, "shop-key", "a key of the shop"});
  CHECK(judged(*p, "a green") ==
        verdict{true, "code", "the text has what rule 'code' finds"});
  CHECK(judged(*p, "half of it") == verdict{false, {}, {}});

  std::filesystem::remove(folder.path() / "secrets.toml");
  const auto gone =
      pipeline::compile_text(text, folder.path() / "t.toml", plugins(), {});
  CHECK_THAT(message_of(gone), Catch::Contains("error[TP4000]: stage s: ") &&
                                   Catch::Contains("secrets.toml"));
  folder.write("secrets.toml", "[[rules]]\nid = 'a'\nregex = '('\n");
  CHECK_THAT(message_of(pipeline::compile_text(text, folder.path() / "t.toml",
                                               plugins(), {})),
             Catch::Contains("secrets.toml:3:9: error[TP1005]: rule 'a'"));
}

TEST_CASE("what is wrong with [rules] and their names is found in its place") {
  const std::string stage =
      "[stage.s]\nuse = \"guard.rules\"\nwith.rules = [\"a\"]\n";
  CHECK(faults_of(stage + "[rules.a]\nfile = \"a.toml\"").empty());
  const std::pair<std::string, std::string_view> all[] = {
      {stage + "[rules.other]\nfile = \"a.toml\"",
       "t.toml:6:15: error[TP1005]: stage s: with.rules: no [rules.a]"},
      {"[stage.s]\nuse = \"guard.rules\"\nwith.rules = [\"secrts\"]\n"
       "[rules.secrets]\nfile = \"a.toml\"",
       "t.toml:6:15: error[TP1005]: stage s: with.rules: no [rules.secrts]; "
       "did you mean 'secrets'?"},
      {"[stage.s]\nuse = \"guard.rules\"\nwith.rules = [\"a\", \"a\"]\n"
       "[rules.a]\nfile = \"a.toml\"",
       "t.toml:6:20: error[TP1005]: stage s: with.rules: [rules.a] is named "
       "twice"},
      {"[stage.s]\nuse = \"guard.rules\"\nwith.rules = \"a\"\n"
       "[rules.a]\nfile = \"a.toml\"",
       "t.toml:6:14: error[TP1004]: stage s: with.rules is a string, the "
       "plugin wants list of rules"},
      {"[stage.s]\nuse = \"guard.rules\"\nwith.rules = []",
       "t.toml:6:14: error[TP1005]: stage s: with.rules: names no [rules.x], "
       "so nothing would be found"},
      {"[stage.s]\nuse = \"guard.rules\"",
       "t.toml:4:8: error[TP1003]: stage s: with.rules must be given"},
      {stage + "[rules.a]\nfile = \"a.toml\"\n[rules.b]\nfile = \"b.toml\"",
       "t.toml:9:8: error[TP1014]: rules b is never used"},
      {stage + "[rules.a]\nrule = [{ id = 'x', regex = '(' }]",
       "t.toml:8:29: error[TP1005]: stage s: with.rules: [rules.a]: rule 'x': "
       "regex: not a pattern of RE2: missing ): ("},
      {stage + "[rules.a]\nrule = [{ id = 'x', regxe = 'a' }]",
       "t.toml:8:21: error[TP1002]: stage s: with.rules: [rules.a]: rule 'x': "
       "unknown key 'regxe'; did you mean 'regex'?"},
      {stage + "[rules.a]\nrule = [{ id = 'x', path = 'a' }]",
       "t.toml:8:8: error[TP6004]: stage s: with.rules: [rules.a]: there is no "
       "rule with a regex, so nothing is found"},
  };
  for (const auto& [text, faults] : all) {
    INFO(text);
    CHECK(faults_of(text) == faults);
  }
}

TEST_CASE("rules of a library are rules of the file, with their places") {
  const auto check = [](const std::string& rules) {
    host_options options;
    options.read_library = [rules](const std::filesystem::path&,
                                   const std::filesystem::path&) {
      return result<std::string>("tinyphi = 1\n[rules.a]\nrule = " + rules);
    };
    const std::string text =
        "tinyphi = 1\ninclude = [\"a.toml\"]\ninput.text = \"text\"\n"
        "output.v = \"s.verdict\"\n[stage.s]\nuse = \"guard.rules\"\n"
        "with.rules = [\"a\"]";
    const auto p = pipeline::compile_text(text, "t.toml", plugins(), options);
    return p ? judged(*p, "it is red").rule : p.error().message;
  };
  CHECK(check("[{ id = 'code', regex = 'red' }]") == "code");
  CHECK(check("[{ id = 'x', regex = '(' }]") ==
        "a.toml:3:29: error[TP1005]: stage s: with.rules: [rules.a]: rule 'x': "
        "regex: not a pattern of RE2: missing ): (");
}

TEST_CASE("a stopped judgement is no verdict") {
  host h({}, "/", {}, {{"a", {"a", {}, "/nowhere.toml", {}}}});
  CHECK(guard_rules_stage::check({{{"a"}}}, {}, h).faults.empty());
  CHECK_THROWS_AS(guard_rules_stage({{{"a"}}}, h), stage_error);
  temp_folder folder;
  const auto path =
      folder.write("r.toml", "[[rules]]\nid = 'a'\nregex = 'never'\n");
  host good({}, "/", {}, {{"a", {"a", {}, path, {}}}});
  const guard_rules_stage stage({{{"a"}}}, good);
  stop_condition stop;
  CHECK(run_stage(stage, {"x"}, stop));
  stop.token.cancel();
  CHECK(run_stage(stage, {"x"}, stop).error().code == error_code::cancelled);
  // Even if nobody asked: a part of a judgement lets nothing through.
  const guard::rule_set set = unwrap(guard::load_rules(path));
  CHECK(guard::judge("x", std::vector{set}, &stop).blocked);
  CHECK(!guard::judge("x", std::vector{set}).blocked);
}

TEST_CASE("what cannot be judged is blocked") {
  const auto failed = [] {
    return result<guard::verdict>(error{error_code::limit, "too long"});
  };
  CHECK(guard::judge_closed(failed) ==
        verdict{true, {}, "the text could not be judged: too long"});
  const auto thrown = []() -> result<guard::verdict> {
    throw std::runtime_error("no memory");
  };
  CHECK(guard::judge_closed(thrown) ==
        verdict{true, {}, "the text could not be judged: no memory"});
}
