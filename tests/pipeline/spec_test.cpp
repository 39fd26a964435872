// SPDX-License-Identifier: MIT
#include "tinyphi/pipeline/spec.h"

#include "pipeline/fakes.h"
#include "support/test.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

// A right file; line 1 is `tinyphi`, `extra` begins on line 8.
std::string with(std::string_view extra) {
  return R"(tinyphi = 1
input.q = "text"
output.a = "s.text"
[stage.s]
use = "echo"
in.text = "input.q"

)" + std::string(extra);
}

}  // namespace

TEST_CASE("the smallest useful file is right") {
  CHECK(faults_of(with("")).empty());
}

TEST_CASE("every key that is wrong is found where it stands") {
  struct broken {
    std::string text;
    std::string faults;
  };
  const broken all[] = {
      {with("timout = \"5s\""),
       "t.toml:8:1: error[TP1002]: stage s: unknown key 'timout'; did you mean "
       "'timeout'?"},
      {with("[pipelines]\nname = \"x\""),
       "t.toml:8:2: error[TP1002]: unknown key 'pipelines'; did you mean "
       "'pipeline'?"},
      {with("[pipeline]\nnmae = \"x\""),
       "t.toml:9:1: error[TP1002]: [pipeline]: unknown key 'nmae'; did you "
       "mean "
       "'name'?"},
      {with("[pipeline]\nname = 5"),
       "t.toml:9:8: error[TP1004]: [pipeline]: name is an integer, it must be "
       "a "
       "string"},
      {with("timeout = \"5 s\""),
       "t.toml:8:11: error[TP1004]: stage s: timeout must be a time above zero "
       "and up to a day such as \"500ms\", \"45s\" or \"2m\""},
      {with("timeout = \"25h\""),
       "t.toml:8:11: error[TP1004]: stage s: timeout must be a time above zero "
       "and up to a day such as \"500ms\", \"45s\" or \"2m\""},
      {with("fallback = \"stop\""),
       "t.toml:8:12: error[TP1005]: stage s: fallback is 'stop', it must be "
       "\"skip\" or a table of values by out-port"},
      {with("fallback = true"),
       "t.toml:8:12: error[TP1004]: stage s: fallback is true or false, it "
       "must be \"skip\" or a table of values by out-port"},
      {with("retry = 11"),
       "t.toml:8:9: error[TP1005]: stage s.retry is 11, allowed are 1 to 10"},
      {with("retry = { on = [\"io\"] }"),
       "t.toml:8:1: error[TP1003]: stage s.retry: max is missing, it says how "
       "many attempts more than one"},
      {with("retry = { max = 1, on = [\"oi\"] }"),
       "t.toml:8:26: error[TP1005]: stage s.retry.on: no error code 'oi'; did "
       "you mean 'io'?"},
      {with("repeat = { max = 2 }"),
       "t.toml:8:1: error[TP1003]: stage s.repeat: until is missing, it says "
       "when it is enough"},
      {with("repeat = { until = \"true\", max = 1 }"),
       "t.toml:8:34: error[TP1005]: stage s.repeat: max is 1, allowed are 2 to "
       "100"},
      {with("[pipeline]\nserve = true"),
       "t.toml:9:1: error[TP1008]: [pipeline]: 'serve' is not supported yet"},
      {with("[switch.x]\nelse = [\"s\"]"),
       "t.toml:9:8: error[TP1004]: switch x.else is a list, it must be a "
       "condition, or \"else\""},
      {with("[each.x]"),
       "t.toml:8:2: error[TP1002]: unknown key 'each'; write `each` in the "
       "stage that runs for every item"},
      {with("[allow]\nflow = [{ to = \"s.when\" }]"),
       "t.toml:9:9: error[TP1003]: [allow].flow: a grant says `to` what, and "
       "`why`"},
      {with("[stage.Big]\nuse = \"echo\""),
       "t.toml:8:8: error[TP1007]: stage 'Big': a name is a lower-case letter "
       "and up to 31 lower-case letters, digits and '_'"},
      {with("[stage.input]\nuse = \"echo\""),
       "t.toml:8:8: error[TP1007]: stage input: the language itself uses this "
       "name"},
      {with("[stage.t]\nin.text = \"input.q\""),
       "t.toml:8:8: error[TP1003]: stage t: use is missing, it names the "
       "plugin"},
      {with("[stage.t]\nuse = \"echo@x\"\nin.text = \"input.q\""),
       "t.toml:9:7: error[TP1004]: stage t: use is 'echo@x', behind '@' stands "
       "a "
       "whole number"},
      {with("[stage.t]\nuse = \"echo\"\nin.text = \"question\""),
       "t.toml:10:11: error[TP1004]: stage t: in.text is 'question', it must "
       "be "
       "a reference like \"input.question\" or \"stage.port\""},
      {with("[input.r]\ntype = \"txt\""),
       "t.toml:9:8: error[TP1016]: input r: no type 'txt'; there are text, "
       "bool, int, float, duration, size, file, json, document, call, "
       "citation, verdict, failure, message; did you mean 'text'?"},
      {with("[input.r]\ntype = \"list<usage>\""),
       "t.toml:9:8: error[TP1008]: input r: type 'list<usage>' is not supported "
       "yet"},
      {with("[allow]\nread = \"docs\""),
       "t.toml:9:8: error[TP1004]: [allow]: read is a string, it must be "
       "a list of strings"},
      {with("[allow]\nwrite = [\"a\\u0000b\"]"),
       "t.toml:9:10: error[TP1005]: [allow].write: a name of files holds no "
       "NUL"},
      {with("[input.r]\ntype = \"text\"\ntrust = \"usr\""),
       "t.toml:10:9: error[TP1005]: input r: trust must be trusted, user or "
       "untrusted; did you mean 'user'?"},
      {with("[input.r]\ntype = \"text\"\nmax_bytes = 0"),
       "t.toml:10:13: error[TP1005]: input r: max_bytes is 0, allowed are 1 to "
       "67108864"},
      {with("[input.r]\ntype = \"int\"\ndefault = \"x\""),
       "t.toml:10:11: error[TP2003]: input r: default: a text, not an int"},
      {with("[output.b]\ndoc = \"x\""),
       "t.toml:8:9: error[TP1003]: output b: from is missing"},
      {with("[output.b]\nfrom = \"input.q\"\nfirst = [\"input.q\"]"),
       "t.toml:8:9: error[TP1013]: output b: from and first exclude each "
       "other"},
      {with("[model.m]\ncontext = 0"),
       "t.toml:9:11: error[TP1005]: model m: context is 0, allowed are 1 to "
       "1048576"},
      {with("[rules.r]\nfile = \"a\"\nrule = [{ id = \"x\", regex = \"x\" }]"),
       "t.toml:8:8: error[TP1013]: rules r: file and rule exclude each other"},
      {with("[rules.r]"),
       "t.toml:8:8: error[TP1003]: rules r: file is missing, or rule = [{ id, "
       "regex }]"},
      {with("[rules.r]\nfile = \"\""),
       "t.toml:9:8: error[TP1005]: rules r: file is empty, it must name a rule "
       "file"},
      {with("[rules.r]\nrule = [\"x\"]"),
       "t.toml:9:8: error[TP1004]: rules r: rule must be a list of tables such "
       "as [{ id = \"part\", regex = 'P-[0-9]+' }]"},
      {with("[rules.r]\nrule = []"),
       "t.toml:9:8: error[TP1004]: rules r: rule must be a list of tables such "
       "as [{ id = \"part\", regex = 'P-[0-9]+' }]"},
      {with("[rules.r]\nfiel = \"a\""),
       "t.toml:9:1: error[TP1002]: rules r: unknown key 'fiel'; did you mean "
       "'file'?"},
      {with("[rules.R]\nfile = \"a\""),
       "t.toml:8:8: error[TP1007]: rules 'R': a name is a lower-case letter "
       "and "
       "up to 31 lower-case letters, digits and '_'"},
      {with("[env]\nN = { type = \"int\", default = 9, max = 8 }"),
       "t.toml:9:31: error[TP1005]: env N is 9, its max is 8"},
      {with("[env]\nN = { type = \"float\", default = 9, max = 8 }"),
       "t.toml:9:33: error[TP1005]: env N is 9.0, its max is 8.0"},
      {with("[env]\nN = { type = \"int\", default = 9, max = 8.5 }"),
       "t.toml:9:31: error[TP1005]: env N is 9, its max is 8.5"},
      {with("[env]\nN = { type = \"itn\", default = 9 }"),
       "t.toml:9:14: error[TP1016]: env N: no type 'itn' in [env]; there are "
       "text, path, bool, int, float, duration, size; did you mean 'int'?"},
      {with("[env]\nN = { type = 1 }"),
       "t.toml:9:14: error[TP1004]: env N: a type is a string"},
      {with("[env]\nN = { type = \"int\" }"),
       "t.toml:9:1: error[TP1009]: env N is not set and has no default"},
      {with("[env]\nn = { type = \"int\", default = 1 }"),
       "t.toml:9:1: error[TP1007]: env 'n': a name is capital letters, digits "
       "and '_'"},
      {with("with.add = \"a ${env.NO}\"\n[env]\nNA = { type = \"int\", default "
            "= 1 }"),
       "t.toml:8:15: error[TP1009]: stage s: ${env.NO} names nothing in [env]; "
       "did you mean 'env.NA'?"},
      {with("with.add = '${secret.x}'"),
       "t.toml:8:12: error[TP1009]: stage s: ${secret.x} names nothing in "
       "[secret]"},
      {with("with.add = '${env.X'"),
       "t.toml:8:13: error[TP1009]: stage s: '${' without '}'; write '$${' for "
       "the characters themselves"},
      {with("with = 5"),
       "t.toml:8:8: error[TP1004]: stage s: with is an integer, not a table of "
       "parameters"},
      {with("doc = 1979-05-27"),
       "t.toml:8:7: error[TP1004]: dates and times have no use in a pipeline "
       "file; write a string"},
      {"tinyphi = 2\n" + with("").substr(12),
       "t.toml:1:11: error[TP1006]: this program reads version 1 of the "
       "language: 'tinyphi = 1'"},
      {with("").substr(12),
       "t.toml:1:1: error[TP1006]: the file must say 'tinyphi = 1', the "
       "version "
       "of its language"},
      {"tinyphi = 1",
       "t.toml: error[TP1003]: the file has no [output], so "
       "nothing would come out"},
  };
  for (const broken& b : all) {
    INFO(b.text);
    CHECK(faults_of(b.text) == b.faults);
  }
}

TEST_CASE("references to what is wrong itself are no second fault") {
  const std::pair<std::string, std::string> all[] = {
      {with("[stage.t-1]\nuse = \"echo\"\nin.text = \"s.text\"\n"
            "[output.b]\nfrom = \"t-1.text\""),
       "t.toml:8:8: error[TP1007]: stage 't-1': a name is a lower-case letter "
       "and up to 31 lower-case letters, digits and '_'"},
      {with("[input.R]\ntype = \"text\"\n[output.b]\nfrom = \"input.R\""),
       "t.toml:8:8: error[TP1007]: input 'R': a name is a lower-case letter "
       "and up to 31 lower-case letters, digits and '_'"},
      {with("[switch.s]\na = \"true\"\nb = \"else\""),
       "t.toml:4:8: error[TP1012]: stage s: 's' is defined on line 8, too; "
       "stages, switches and tools share their names"},
      {with("[switch.z]\na = \"true\"\nb = \"false\"\n[stage.t]\nuse = "
            "\"echo\"\nin.text = \"s.text\"\nwhen = \"z.a\"\n[output.b]\n"
            "from = \"t.text?\""),
       "t.toml:10:1: error[TP2012]: switch z: the last case must be \"else\", "
       "and only the last"},
      {with("with.add = \"${env.N}\"\n[env]\nN = { type = \"text\" }"),
       "t.toml:10:1: error[TP1009]: env N is not set and has no default"},
      {with("[env]\nN = { type = \"text\" }\n[output.b]\nfrom = \"env.N\""),
       "t.toml:9:1: error[TP1009]: env N is not set and has no default"},
      {with("[env]\nN = { type = \"text\" }\n[model.m]\npath = "
            "\"${env.N}\""),
       "t.toml:9:1: error[TP1009]: env N is not set and has no default"},
  };
  for (const auto& [text, faults] : all) {
    INFO(text);
    CHECK(faults_of(text) == faults);
  }
}

TEST_CASE("all faults of a file come at once, in its order") {
  CHECK(
      faults_of(with("timout = \"1s\"\nretri = 2")) ==
      "t.toml:8:1: error[TP1002]: stage s: unknown key 'timout'; did you mean "
      "'timeout'?\n"
      "t.toml:9:1: error[TP1002]: stage s: unknown key 'retri'; did you mean "
      "'retry'?");
}

TEST_CASE("${env.X} keeps its type alone and is text inside a text") {
  const std::string text = with(
      "with.add = \"$${x} ${env.NAME}-${env.N}\"\n"
      "with.wait_ms = \"${env.N}\"\n[env]\n"
      "N = { type = \"int\", default = 3, min = 1 }\n"
      "NAME = { type = \"text\", default = \"d\" }");
  host_options options;
  options.env = [](const std::string& name) -> std::optional<std::string> {
    if (name == "NAME") return "[stage.evil]";
    return std::nullopt;
  };
  const auto p = pipeline::compile_text(text, "t.toml", fakes(), options);
  REQUIRE_OK(p);
  const auto r = p->run({{"q", std::string("q")}});
  REQUIRE_OK(r);
  CHECK(*r->outputs.find("a")->second.get<std::string>() ==
        "q${x} [stage.evil]-3");
  options.env = [](const std::string&) { return std::optional("0"); };
  CHECK(faults_of(text, options) ==
        "t.toml:11:1: error[TP1005]: env N is 0, its min is 1");
  options.env = [](const std::string&) { return std::optional("3x"); };
  CHECK(faults_of(text, options).find("not of type int") != std::string::npos);
}

TEST_CASE("hostile TOML is refused with its place") {
  const auto first = [](const std::string& text) {
    const std::string all = faults_of(text);
    return all.substr(0, all.find('\n'));
  };
  CHECK(first(std::string("a\0b", 3)).starts_with("t.toml:1:2: error[TP1001]"));
  CHECK(first("a = 1\nb = \"\xFF\"") == "t.toml:2:6: error[TP1001]: not UTF-8");
  const std::string twice = faults_of("a = 1\na = 2\n");
  CHECK(twice.starts_with("t.toml:2:"));
  CHECK(twice.find("not TOML: ") != std::string::npos);
  CHECK(twice.find("'a'") != std::string::npos);
  CHECK(first(std::string((1 << 20) + 1, '#')) ==
        "t.toml: error[TP1001]: 1048577 bytes, a pipeline file has at most "
        "1048576");
  CHECK(faults_of("a = " + std::string(100, '[') + std::string(100, ']'))
            .find("nested more than 16 levels deep") != std::string::npos);
  CHECK(first("a = " + std::string(500000, '[')).find("TP1001") !=
        std::string::npos);

  std::string dotted = "a";
  for (int i = 0; i < 200000; ++i) dotted += ".a";
  const std::string deep = "a key of more than 16 parts";
  for (const std::string& text : std::vector<std::string>{
           dotted + " = 1", "[" + dotted + "]", "[[" + dotted + "]]",
           "x = { y = 1, " + dotted + " = 1 }",
           "x = [\n{ " + dotted + " = 1 }]", "s = '''\"'''\n" + dotted + " = 1",
           "s = \"\\\"\" #'\n" + dotted + "=1",
           "s = \"\"\"\"\"\"\"\"\n" + dotted + " = 1"}) {
    CHECK(first(text).find(deep) != std::string::npos);
  }
  // Dots elsewhere are no keys.
  CHECK(faults_of(with("doc = \"" + std::string(100, '.') + "\" # " +
                       std::string(100, '.')))
            .empty());
}

TEST_CASE("a hostile file costs no more time and memory than its size") {
  const auto repeated = [](std::size_t n, std::string_view unit) {
    std::string text;
    while (n-- > 0) text += unit;
    return text;
  };
  const auto finds = [](const std::string& text, const std::string& what) {
    return faults_of(text).find(what) != std::string::npos;
  };
  CHECK(finds(with("with.x = [" + repeated(200'000, "'a',") + "]"),
              "unknown parameter 'with.x'"));

  // One text or all together would be gigabytes.
  const auto env = [](std::size_t bytes) {
    return "\n[env.X]\ntype = 'text'\ndefault = '" + std::string(bytes, 'v') +
           "'\n";
  };
  const std::string too_much = "have more than 4194304 bytes";
  CHECK(!finds(
      with("with.add = '" + repeated(100'000, "${env.X}") + "'" + env(1)),
      "error"));
  CHECK(finds(
      with("with.add = '" + repeated(50'000, "${env.X}") + "'" + env(500'000)),
      too_much));
  CHECK(finds(
      with("with.x = [" + repeated(20'000, "'${env.X}',") + "]" + env(500'000)),
      too_much));

  const std::string has_256 = "entries, allowed are 256";
  CHECK(finds(with("in." + std::string(400'000, 'k') + " = { first = [" +
                   repeated(200'000, "1,") + "] }"),
              "has more than 256 bytes"));
  CHECK(finds(with("in.k = { first = [" + repeated(200'000, "1,") + "] }"),
              "200000 " + has_256));
  CHECK(finds(with("after = [" + repeated(100'000, "'c',") + "]"),
              "100000 " + has_256));
  CHECK(finds(with("[rules.r]\nrule = [" + repeated(1'000, "{},") + "]"),
              "rules r: rule has 1000 " + has_256));
  std::string stages;
  for (int i = 0; i < 20'000; ++i) {
    stages += "[stage.s" + std::to_string(i) + "]\nuse = 'echo'\n";
  }
  CHECK(finds(with(stages), "[stage] has 20001 " + has_256));
}

TEST_CASE("places that a file grants start at its own folder") {
  std::vector<diagnostic> faults;
  const auto spec = read_spec(
      with("[env]\nBOX = { type = \"text\", default = \"box\" }\n"
           "[allow]\nread = [\"${env.BOX}/new\", \"../old/\"]\n"
           "write = [\"/var/out\"]\nexec = [\"tools/drive\"]"),
      "/base/t.toml",
      [](const std::string&) { return std::optional<std::string>(); }, faults);
  CHECK(faults.empty());
  REQUIRE(spec);
  using paths = std::vector<std::filesystem::path>;
  CHECK(spec->allowed.read == paths{"/base/box/new", "/old/"});
  CHECK(spec->allowed.write == paths{"/var/out"});
  CHECK(spec->allowed.exec == paths{"/base/tools/drive"});
}
