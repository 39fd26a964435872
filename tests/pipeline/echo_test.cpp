// SPDX-License-Identifier: MIT
#include "tinyphi/pipeline/echo.h"

#include <map>

#include "pipeline/fakes.h"
#include "support/test.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

using texts = std::map<std::string, std::string>;

struct world {
  texts env = {};
  texts libraries = {};
};

host_options in(world w) {
  host_options options;
  options.env =
      [env = w.env](const std::string& name) -> std::optional<std::string> {
    const auto it = env.find(name);
    if (it == env.end()) return std::nullopt;
    return it->second;
  };
  options.read_library =
      [all = w.libraries](
          const std::filesystem::path&,
          const std::filesystem::path& name) -> result<std::string> {
    const auto it = all.find(name.string());
    if (it != all.end()) return it->second;
    return error{error_code::not_found, "no such file"};
  };
  return options;
}

// The echo of a right file, which is a right file itself, and its own echo
// wherever there is neither an environment nor a library.
std::string echo_of(const std::string& text, const world& w = {}) {
  const auto first = echo_pipeline_text(text, "t.toml", fakes(), in(w));
  REQUIRE_OK(first);
  INFO(to_string(first->checked.faults, "t.toml"));
  REQUIRE(first->checked.proved != nullptr);
  const auto again = echo_pipeline_text(first->text, "t.toml", fakes(), in({}));
  REQUIRE_OK(again);
  INFO(first->text);
  INFO(to_string(again->checked.faults, "t.toml"));
  CHECK(again->checked.faults.size() == first->checked.faults.size());
  CHECK(again->text == first->text);
  return first->text;
}

bool has(const std::string& text, std::string_view line) {
  return ("\n" + text).find("\n" + std::string(line) + "\n") !=
         std::string::npos;
}

const std::string echoing =
    "tinyphi = 1\ninput.text = \"text\"\noutput.a = \"s.text\"\n"
    "[stage.s]\nuse = \"echo\"\n";

}  // namespace

TEST_CASE("a file's echo is the file with all that holds in it written out") {
  CHECK(echo_of(R"(# A comment.
tinyphi = 1
stage.a = { use = "echo", when = "input.n > 1", retry = 2, fallback = "skip" }
stage.b = { use = "echo", in.text = "input.text", repeat = { until = "true", max = 3 } }
stage.c = { use = "echo", in.text = "item", each = "input.all", timeout = "2m" }
output.a = "a.text?"
output.b = { first = ["b.text"], doc = "B" }
output.c = "c.text"
[limits]
text = "16KiB"
items = 7
timeout = "5s"
[input]
text = "text"
n = { type = "int", default = 2, trust = "trusted" }
all = { type = "list<text>", max_bytes = 10 }
)") == R"(tinyphi = 1

[pipeline]
name = "t"

[limits]
text = "16KiB"
items = 7
timeout = "5s"

[input.text]
type = "text"
trust = "user"
max_bytes = "16KiB"

[input.n]
type = "int"
trust = "trusted"
default = 2

[input.all]
type = "list<text>"
trust = "user"
max_bytes = 10
max_items = 7

[output.a]
from = "a.text?"

[output.b]
first = ["b.text"]
doc = "B"

[output.c]
from = "c.text"

[stage.a]
use = "echo@1"
in.text = "input.text"
with.wait_ms = 0
when = "input.n > 1"
retry.max = 2
retry.on = ["deadline", "unavailable"]
timeout = "5s"
fallback = "skip"

[stage.b]
use = "echo@1"
in.text = "input.text"
with.wait_ms = 0
repeat.until = "true"
repeat.max = 3
repeat.exhausted = "fail"
timeout = "5s"

[stage.c]
use = "echo@1"
in.text = "item"
with.wait_ms = 0
each = "input.all"
parallel = 1
on_error = "fail"
timeout = "2m"
)");
}

TEST_CASE("the only model is named, and the prompt that a port takes by rule") {
  const std::string text = echo_of(
      "tinyphi = 1\ninput.q = \"text\"\noutput.a = \"say.text\"\n"
      "[stage]\nask = { use = \"lay_out\", with.names = \"q\" }\n"
      "say = { use = \"answer\" }\n");
  CHECK(has(text, "[model.default]"));
  CHECK(has(text, "with.model = \"default\""));
  CHECK(has(text, "with.cap = 10"));
  CHECK(has(text, "in.q = \"input.q\""));
  CHECK(has(text, "in.prompt = \"ask.prompt\""));
  // Nothing asks a model here.
  CHECK(echo_of(echoing).find("model") == std::string::npos);
}

TEST_CASE("libraries: what is used stands in the file, with its paths") {
  const world w{
      .env = {},
      .libraries = {
          {"lib/a.toml",
           "tinyphi = 1\n[env]\nMARK = { type = \"text\", default = \"?\" }\n"
           "HOME = { type = \"path\", default = \"here\" }\n"
           "[model]\nsmall = { path = \"small.gguf\" }\n"
           "other = { path = \"other.gguf\" }\n"
           "[type.line]\nproperties.n = { type = \"integer\" }\n"
           "[type.order]\nproperties.lines = { type = \"array\", items = "
           "{ \"$ref\" = \"line\" }, maxItems = 3 }\n"
           "[type.never]\ntype = \"string\"\n"
           "[prompt.never]\nuser = \"?\"\n"
           "[rules.never]\nrule = [{ id = 'x', regex = 'x' }]\n"
           "[secret.never]\nfile = \"x\"\n"}}};
  const std::string text = echo_of(
      "tinyphi = 1\ninclude = [\"lib/a.toml\"]\n"
      "input.q = \"text\"\ninput.o = \"order?\"\noutput.a = \"say.text\"\n"
      "output.h = \"env.HOME\"\noutput.b = \"see.text\"\noutput.o = "
      "\"input.o?\"\n[stage]\n"
      "ask = { use = \"lay_out\", with.names = \"q\", with.model = \"small\" "
      "}\n"
      "say = { use = \"answer\", with.model = \"small\" }\n"
      "see = { use = \"echo\", in.text = \"input.q\", with.add = "
      "\"${env.MARK}\" }\n",
      w);
  CHECK(text.find("include") == std::string::npos);
  CHECK(text.find("never") == std::string::npos);
  CHECK(text.find("MARK") == std::string::npos);
  CHECK(text.find("other") == std::string::npos);
  CHECK(has(text, "with.add = \"?\""));
  CHECK(has(text, "[env.HOME]\ntype = \"path\"\ndefault = \"lib/here\""));
  CHECK(has(text, "path = \"lib/small.gguf\""));
  // Types with what they mean where they say nothing.
  CHECK(has(text,
            "[type.line]\ntype = \"object\"\n"
            "properties.n = { type = \"integer\" }\n"
            "additionalProperties = false\nrequired = [\"n\"]"));
}

TEST_CASE("variables are filled in, and what looks like one is not") {
  const world w{.env = {{"N", "12"}, {"WORD", "$${x}$"}}, .libraries = {}};
  const std::string text = echo_of(
      "tinyphi = 1\nenv.N = \"int\"\nenv.WORD = \"text\"\n"
      "env.KEPT = { type = \"text\", default = \"k\" }\n"
      "output.a = \"s.text\"\noutput.b = \"t.text?\"\n"
      "[stage.s]\nuse = \"echo\"\nin.text = \"env.KEPT\"\n"
      "with = { add = \"$ $$ $$$$ ${env.WORD}${env.N} $${env.N} $\", wait_ms "
      "= \"${env.N}\" }\n"
      "[stage.t]\nuse = \"echo\"\nin.text = \"env.KEPT\"\nwhen = \"'${' != "
      "'$$'\"\nfallback = { text = \"${env.WORD}\" }\n",
      w);
  CHECK(has(text, "with.add = \"$ $ $$$ $$$${x}$12 $${env.N} $\""));
  CHECK(has(text, "with.wait_ms = 12"));
  CHECK(has(text, "fallback.text = \"$$$${x}$\""));
  CHECK(has(text, "when = \"'${' != '$$'\""));
  CHECK(has(text, "[env.KEPT]\ntype = \"text\"\ndefault = \"k\""));
  CHECK(text.find("[env.N]") == std::string::npos);
  CHECK(text.find("WORD") == std::string::npos);
}

TEST_CASE("no secret is printed, nor a variable that one is read from") {
  const std::string file =
      "tinyphi = 1\nenv.TOKEN = { type = \"text\", default = \"none\" }\n"
      "env.OTHER = \"text\"\nsecret.key = { env = \"TOKEN\" }\n"
      "input.text = { type = \"text\", trust = \"untrusted\" }\n"
      "output.a = \"s.text\"\n"
      "trigger.t = { http = \"/t\", token = \"${secret.key}\" }\n"
      "[stage.s]\nuse = \"echo\"\n"
      "with.add = \"$$${env.TOKEN}${env.OTHER}\"\n";
  const std::string text = echo_of(
      file, {.env = {{"TOKEN", "hush"}, {"OTHER", "said"}}, .libraries = {}});
  CHECK(text.find("hush") == std::string::npos);
  CHECK(has(text, "with.add = \"$$${env.TOKEN}said\""));
  CHECK(has(text, "[secret.key]\nenv = \"TOKEN\""));
  CHECK(has(text, "[env.TOKEN]\ntype = \"text\"\ndefault = \"none\""));
  CHECK(has(text,
            "[trigger.t]\nhttp = \"/t\"\ntoken = \"${secret.key}\"\n"
            "trust = \"untrusted\""));
  CHECK(text.find("OTHER") == std::string::npos);
}

TEST_CASE("a file with an error has no echo") {
  const auto wrong =
      echo_pipeline_text(echoing + "with.ad = 1\n", "t.toml", fakes());
  REQUIRE_OK(wrong);
  CHECK(wrong->checked.proved == nullptr);
  CHECK(wrong->checked.faults.size() == 1);
  CHECK(wrong->text.empty());
  const auto none = echo_pipeline_text("tinyphi =", "t.toml", fakes());
  REQUIRE_OK(none);
  CHECK(none->text.empty());
}

TEST_CASE("an echo too long for a pipeline file is an error") {
  // Each place has the text once more.
  std::string text =
      "tinyphi = 1\nenv.LONG = \"text\"\ninput.text = \"text\"\n";
  std::string stages;
  for (int i = 0; i < 20; ++i) {
    const std::string id = "s" + std::to_string(i);
    text += "output." + id + " = \"" + id + ".text\"\n";
    stages +=
        "[stage." + id + "]\nuse = \"echo\"\nwith.add = \"${env.LONG}\"\n";
  }
  const auto echo_with = [&](std::size_t bytes) {
    return echo_pipeline_text(
        text + stages, "t.toml", fakes(),
        in({.env = {{"LONG", std::string(bytes, 'x')}}, .libraries = {}}));
  };
  REQUIRE_OK(echo_with(50'000));
  const auto longer = echo_with(60'000);
  REQUIRE(!longer);
  CHECK(longer.error().code == error_code::limit);
  CHECK(longer.error().message.find("at most 1048576") != std::string::npos);
}

TEST_CASE("a library that changes while it is read is read once") {
  int reads = 0;
  host_options options;
  options.read_library =
      [&](const std::filesystem::path&,
          const std::filesystem::path&) -> result<std::string> {
    return "tinyphi = 1\nenv.A = { type = \"text\", default = \"" +
           std::to_string(++reads) + "\" }\n";
  };
  const auto echoed = echo_pipeline_text(
      "tinyphi = 1\ninclude = [\"a.toml\"]\n" +
          echoing.substr(echoing.find('\n') + 1) + "with.add = \"${env.A}\"\n",
      "t.toml", fakes(), options);
  REQUIRE_OK(echoed);
  CHECK(has(echoed->text, "with.add = \"1\""));
  CHECK(reads == 1);
}
