// SPDX-License-Identifier: MIT
#include "tinyphi/pipeline/secret.h"

#include <sys/stat.h>

#include <concepts>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <map>
#include <ostream>

#include "pipeline/fakes.h"
#include "support/temp_folder.h"
#include "support/test.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

template <class T>
concept printable = requires(std::ostream& out, const T& t) {
  out << t;
};
static_assert(!printable<secret_text>);
static_assert(!std::equality_comparable<secret_text>);
static_assert(printable<std::string_view>);

// Whether the text is the secret, and how many bytes its headers have.
struct vault {
  static constexpr stage_info info{.id = "vault", .summary = "Keeps a secret"};
  struct config {
    secret_text token;
    std::map<std::string, secret_text> headers;
    std::string label;
  };
  struct inputs {
    std::string_view text;
  };
  struct outputs {
    bool same = false;
    std::int64_t bytes = 0;
  };
  static constexpr auto params() {
    return std::tuple{param("token", &config::token),
                      param("headers", &config::headers),
                      param("label", &config::label)};
  }
  static constexpr auto in_ports() {
    return std::tuple{port("text", &inputs::text)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("same", &outputs::same),
                      port("bytes", &outputs::bytes)};
  }
  // Before the stage is created, a secret is a name.
  static stage_facts check(const config& c, const call_facts&, const host&) {
    stage_facts facts;
    if (!c.token.reveal().empty()) {
      facts.faults.push_back({fault::setup_failed, "token", 0, "is open"});
    }
    return facts;
  }
  vault(config c, const host&) : config_(std::move(c)) {
    if (config_.token.is_given() && config_.token.reveal() == "unwanted") {
      throw stage_error(error_code::invalid_argument, "not that one");
    }
  }
  task<outputs> run(run_context&, inputs in) const {
    outputs out;
    out.same = in.text == config_.token.reveal();
    for (const auto& [name, value] : config_.headers) {
      out.bytes += static_cast<std::int64_t>(value.reveal().size());
    }
    co_return out;
  }
  config config_;
};

registry plugins() { return fakes().add<vault>(); }

// A right file but for what is added; `stage` begins on line 7.
std::string keeping(std::string_view stage, std::string_view rest = {}) {
  return "tinyphi = 1\ninput.text = \"text\"\noutput.same = \"s.same\"\n"
         "output.bytes = \"s.bytes\"\n[stage.s]\nuse = \"vault\"\n" +
         std::string(stage) + "\n" + std::string(rest);
}

// What the environment of a test has.
host_options env(std::map<std::string, std::string> all) {
  host_options options;
  options.env = [all = std::move(all)](
                    const std::string& name) -> std::optional<std::string> {
    const auto it = all.find(name);
    if (it == all.end()) return std::nullopt;
    return it->second;
  };
  return options;
}

std::string faults(std::string_view text) {
  return to_string(check_pipeline_text(text, "t.toml", plugins()).faults,
                   "t.toml");
}

// Why the stage with `secret` cannot be created.
std::string refused(const std::string& secret, const host_options& options,
                    const std::filesystem::path& file = "t.toml") {
  const std::string text =
      keeping("with.token = \"${secret.a}\"", "[secret]\na = " + secret);
  CHECK(faults(text).empty());
  const auto p = pipeline::compile_text(text, file, plugins(), options);
  const std::string said = message_of(p);
  const std::string begin =
      file.string() + ":5:8: error[TP4000]: stage s: secret a: ";
  CHECK(said.starts_with(begin));
  return said.substr(std::min(begin.size(), said.size()));
}

}  // namespace

TEST_CASE("a stage has its secrets when it is created, and nobody else") {
  const temp_folder folder;
  const auto file = folder.write("secrets/b", "second\r\n");
  REQUIRE(::chmod(file.c_str(), 0400) == 0);
  // systemd gives access to credentials by lists, which look like group rights.
  const auto credential = folder.write("credentials/c.d", "third\n\n");
  REQUIRE(::chmod(credential.c_str(), 0440) == 0);
  const std::string text = keeping(
      "with.token = \"${secret.a}\"\nwith.headers = { x = \"${secret.b}\", "
      "y = \"${secret.c}\", z = \"plain\" }",
      "[env]\nBOX = { type = \"path\", default = \"secrets\" }\n[secret]\n"
      "a = { env = \"TOKEN\" }\nb = { file = \"${env.BOX}/b\" }\n"
      "c = { credential = \"c.d\" }");
  const auto p = pipeline::compile_text(
      text, folder.path() / "t.toml", plugins(),
      env({{"TOKEN", "first"},
           {"CREDENTIALS_DIRECTORY", credential.parent_path().string()}}));
  REQUIRE_OK(p);
  const auto done = p->run({{"text", value_data("first")}});
  REQUIRE_OK(done);
  CHECK(*done->outputs.find("same")->second.data.get<bool>());
  // One end of line goes: "second", "third\n", "plain".
  CHECK(*done->outputs.find("bytes")->second.data.get<std::int64_t>() ==
        6 + 6 + 5);
}

TEST_CASE("a secret that cannot be read is told when its stage is created") {
  const temp_folder folder;
  const auto token = folder.write("token", "x");
  const auto is = [&](const char* mode, std::size_t bytes) {
    folder.write("token", std::string(bytes, 'x'));
    REQUIRE(::chmod(token.c_str(),
                    static_cast<::mode_t>(std::stoul(mode, nullptr, 8))) == 0);
    return refused("{ file = \"token\" }", {}, folder.path() / "t.toml");
  };
  const std::string open =
      token.string() +
      ": others than its owner may read or write it; chmod 0600 it";
  CHECK(is("0640", 1) == open);
  CHECK(is("0604", 1) == open);
  CHECK(is("0602", 1) == open);
  CHECK(is("0600", 0) == "it is empty");
  CHECK(is("0600", max_secret_bytes + 1) ==
        token.string() + ": 65537 bytes, at most 65536 are allowed");
  CHECK(refused("{ file = \"none\" }", {}, folder.path() / "t.toml") ==
        (folder.path() / "none").string() + ": No such file or directory");
  CHECK(refused("{ env = \"NONE\" }", env({})) ==
        "the environment has no variable NONE");
  CHECK(refused("{ env = \"E\" }", env({{"E", "\n"}})) == "it is empty");
  CHECK(refused("{ env = \"E\" }",
                env({{"E", std::string(max_secret_bytes + 1, 'x')}})) ==
        "65537 bytes, at most 65536 are allowed");
  CHECK(refused("{ credential = \"c\" }", env({})) ==
        "this process was given no credentials; systemd does with "
        "LoadCredential=c:/path in the unit, else name a file");
  CHECK(refused("{ credential = \"c\" }",
                env({{"CREDENTIALS_DIRECTORY", folder.path().string()}})) ==
        (folder.path() / "c").string() + ": No such file or directory");
}

TEST_CASE("a secret stands alone, in a parameter that takes one") {
  struct broken {
    std::string text;
    std::string faults;
  };
  const std::string alone =
      "a secret stands alone, as the whole value of a parameter that takes one";
  const std::string a = "[secret]\na = { env = \"A\" }\n";
  const std::string used = "with.token = \"${secret.a}\"\n";
  const broken all[] = {
      {keeping("with.token = \"Bearer ${secret.a}\"", a),
       "t.toml:7:22: error[TP4006]: stage s: " + alone},
      {keeping("with.headers = { x = \"${secret.a}${secret.a}\" }", a),
       "t.toml:7:23: error[TP4006]: stage s: " + alone},
      {keeping("with.label = \"${secret.a}\"", a),
       "t.toml:7:14: error[TP4006]: stage s: with.label takes none; " + alone},
      {keeping("when = \"input.text == '${secret.a}'\"", a),
       "t.toml:7:24: error[TP4006]: stage s.when: " + alone},
      {keeping("when = \"input.text == secret.a\"", a),
       "t.toml:7:23: error[TP4006]: stage s.when: 'secret.a' is no value; " +
           alone},
      {keeping("in.text = \"secret.a\"", a),
       "t.toml:7:11: error[TP4006]: stage s.in.text: 'secret.a' is no "
       "value; " +
           alone},
      {keeping("fallback = { same = \"${secret.a}\" }", a),
       "t.toml:7:22: error[TP4006]: stage s: " + alone},
      {keeping(used,
               a + "[switch.t]\nx = \"'${secret.a}' == ''\"\ny = \"else\""),
       "t.toml:12:7: error[TP4006]: switch t.x: " + alone},
      {keeping(used,
               a + "[env]\nE = { type = \"text\", default = \"${secret.a}\" }"),
       "t.toml:12:33: error[TP4006]: env E.default: " + alone},
      {keeping(used, a + "[model.m]\npath = \"${secret.a}\""),
       "t.toml:12:9: error[TP4006]: model m: " + alone},
      {keeping(used + "with.headers = { x = \"${secret.b}\" }", a),
       "t.toml:8:22: error[TP1009]: stage s: ${secret.b} names nothing in "
       "[secret]; did you mean 'a'?"},
      {keeping("with.token = \"${secrt.a}\"", a),
       "t.toml:7:15: error[TP1009]: stage s: ${secrt.a} names nothing in "
       "[env]; "
       "did you mean 'secret.a'?"},
      {keeping("with.token = \"open\"", ""),
       "t.toml:7:14: error[TP1004]: stage s: with.token is a string, the "
       "plugin "
       "wants secret"},
      {keeping("with.headers = { x = 1 }", ""),
       "t.toml:7:16: error[TP1004]: stage s: with.headers is a table, the "
       "plugin wants table of secret or text"},
      {keeping("", a), "t.toml:9:1: error[TP1014]: secret a is never used"},
      {keeping(used, "[secret.a]"),
       "t.toml:9:9: error[TP1003]: secret a: credential, file or env is "
       "missing, it says where the secret comes from"},
      {keeping(used, "[secret]\na = { env = \"A\", file = \"a\" }"),
       "t.toml:10:7: error[TP1013]: secret a: file and env exclude each "
       "other"},
      {keeping(used, "[secret]\na = { evn = \"A\" }"),
       "t.toml:10:7: error[TP1002]: secret a: unknown key 'evn'; did you mean "
       "'env'?"},
      {keeping(used, "[secret]\na = { credential = \"../a\" }"),
       "t.toml:10:20: error[TP1005]: secret a: credential is '../a', a name is "
       "a letter or digit, then letters, digits and '.', '_', '-'"},
      {keeping(used, "[secret]\na = { env = \"A=B\" }"),
       "t.toml:10:13: error[TP1005]: secret a: env is 'A=B', a name is a "
       "letter or digit, then letters, digits and '_'"},
      {keeping(used, "[secret]\na = { file = \"\" }"),
       "t.toml:10:14: error[TP1005]: secret a: file is '', it must name a "
       "file"},
  };
  for (const broken& b : all) CHECK(faults(b.text) == b.faults);
}

TEST_CASE("nothing that is printed of a pipeline has a part of a secret") {
  const std::string mark = "MARKED-5Yk2";
  const temp_folder folder;
  folder.write("open", mark);
  folder.write("long", mark + std::string(max_secret_bytes, 'x'));
  const auto options = env({{"TOKEN", mark}});
  std::string said;
  for (const std::string source :
       {"{ env = \"TOKEN\" }", "{ file = \"open\" }", "{ file = \"long\" }"}) {
    const std::string text = keeping(
        "with.token = \"${secret.a}\"\nwith.headers = { x = \"${secret.a}\" }",
        "[secret]\na = " + source);
    const std::string wrong[] = {
        text, text + "\n[env]\nE = { type = \"text\" }",
        keeping("with.label = \"${secret.a}\"", "[secret]\na = " + source)};
    for (const std::string& one : wrong) {
      const auto checked = check_pipeline_text(one, folder.path() / "t.toml",
                                               plugins(), options);
      said += to_string(checked.faults, "t.toml") +
              to_json(checked.faults, "t.toml");
      if (!checked.proved) continue;
      for (const auto format : {graph_format::text, graph_format::dot,
                                graph_format::mermaid, graph_format::svg}) {
        said += describe(*checked.proved, format);
      }
      said += plan_text(*checked.proved);
      const auto p = pipeline::create(checked.proved, "t.toml", options);
      said += message_of(p);
      if (!p) continue;
      const auto done = p->run({{"text", value_data("x")}});
      said += message_of(done);
    }
  }
  const registry all = plugins();
  for (const param_info& p : all.find("vault")->params) {
    said += p.name + p.type + p.default_value;
  }
  // All was said that there is to say.
  for (const char* part :
       {"TP4006", "TP1009", "TP4000", "vault", "others than its owner",
        "65547 bytes", "table of secret or text"}) {
    INFO(part);
    CHECK(said.find(part) != std::string::npos);
  }
  CHECK(said.find(mark) == std::string::npos);
  CHECK(said.find("5Yk2") == std::string::npos);
}

TEST_CASE("core dumps have no secrets") {
  const secret_text secret = secret_text::of("text");
  const auto place = reinterpret_cast<std::uintptr_t>(secret.reveal().data());
  std::ifstream maps("/proc/self/smaps");
  std::string line, flags;
  for (bool inside = false; std::getline(maps, line);) {
    unsigned long begin = 0, end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2) {
      inside = begin <= place && place < end;
    } else if (inside && line.starts_with("VmFlags:")) {
      flags = line + " ";
    }
  }
  CHECK(flags.find(" dd ") != std::string::npos);
}

TEST_CASE("copies of a secret share its text, and it outlives the first") {
  secret_text copy;
  CHECK(!copy.is_given());
  {
    const secret_text named = secret_text::named("a");
    CHECK(named.is_given());
    CHECK(named.reveal().empty());
    copy = named.with_text("text");
    const secret_text second = copy;
    CHECK(second.reveal().data() == copy.reveal().data());
    CHECK(second.name() == "a");
  }
  CHECK(copy.reveal() == "text");
  CHECK(secret_text::of("").is_given());
}
