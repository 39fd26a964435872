// SPDX-License-Identifier: MIT
#include "tinyphi/pipeline/include.h"

#include <sys/stat.h>

#include <filesystem>
#include <map>

#include "pipeline/fakes.h"
#include "support/temp_folder.h"
#include "support/test.h"
#include "tinyphi/pipeline/toml_file.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

// Libraries by name, in place of a folder.
using texts = std::map<std::string, std::string>;

host_options having(texts all) {
  host_options options;
  options.read_library =
      [all = std::move(all)](
          const std::filesystem::path&,
          const std::filesystem::path& name) -> result<std::string> {
    const auto it = all.find(name.string());
    if (it != all.end()) return it->second;
    return error{error_code::not_found, "no such file"};
  };
  return options;
}

// A right file; line 2 is `include`, `extra` begins on line 7.
std::string including(std::string_view list, std::string_view extra = {}) {
  return "tinyphi = 1\ninclude = [" + std::string(list) +
         "]\ninput.text = \"text\"\noutput.a = \"s.text\"\n[stage.s]\n"
         "use = \"echo\"\n" +
         std::string(extra);
}

// A library; `text` begins on line 2.
std::string lib(std::string_view text) {
  return "tinyphi = 1\n" + std::string(text);
}

std::string add_env(std::string_view name) {
  return lib("[env]\n" + std::string(name) +
             " = { type = \"text\", default = \"!\" }");
}

}  // namespace

TEST_CASE("what libraries define is there as if the file itself had it") {
  const texts all = {{"a.toml", add_env("END")},
                     {"lib/b.toml", lib("include = [\"../a.toml\"]\n[env]\n"
                                        "MARK = { type = \"text\", default = "
                                        "\"?\" }\n[rules.never_used]\n"
                                        "rule = [{ id = 'x', regex = 'x' }]")}};
  // a.toml is named twice, and read once; names that nothing uses are no slip
  // in a library.
  const std::string text = including("\"lib/b.toml\", \"a.toml\"",
                                     "with.add = \"${env.MARK}${env.END}\"");
  CHECK(faults_of(text, having(all)).empty());
  const auto p = pipeline::compile_text(text, "t.toml", fakes(), having(all));
  REQUIRE_OK(p);
  const auto done = p->run({{"text", value_data("a")}});
  REQUIRE_OK(done);
  CHECK(*done->outputs.find("a")->second.data.get<std::string>() == "a?!");
}

TEST_CASE("what is wrong with a library is told where it stands") {
  struct broken {
    texts libraries;
    std::string include;
    std::string faults;
    std::string extra = {};
  };
  const std::string only =
      "only tables that files share: [env] [mcp] [model] [prompt] [rules] "
      "[secret] "
      "[tool] [type]";
  const broken all[] = {
      {{},
       "\"lib/a.toml\"",
       "t.toml:2:12: error[TP1011]: include 'lib/a.toml': no such file"},
      {{},
       "\"../a.toml\"",
       "t.toml:2:12: error[TP1011]: include '../a.toml' lies outside '.', the "
       "folder of the pipeline"},
      {{},
       "\"/etc/a.toml\"",
       "t.toml:2:12: error[TP1011]: include '/etc/a.toml' lies outside '.', "
       "the "
       "folder of the pipeline"},
      {{{"lib/a.toml", lib("include = [\"../../t.toml\"]")}},
       "\"lib/a.toml\"",
       "lib/a.toml:2:12: error[TP1011]: include '../../t.toml' lies outside "
       "'.', the folder of the pipeline"},
      {{},
       "\"a\\u0000\"",
       std::string("t.toml:2:12: error[TP1011]: include 'a?': a file's name "
                   "holds no NUL")},
      {{{"a.toml", lib("include = [\"b.toml\"]")},
        {"b.toml", lib("include = [\"a.toml\"]")}},
       "\"a.toml\"",
       "b.toml:2:12: error[TP1011]: include 'a.toml': files include each "
       "other: "
       "t.toml -> a.toml -> b.toml -> a.toml"},
      {{},
       "\"t.toml\"",
       "t.toml:2:12: error[TP1011]: include 't.toml': files include each "
       "other: "
       "t.toml -> t.toml"},
      {{{"a.toml", lib("include = \"b.toml\"")}},
       "\"a.toml\"",
       "a.toml:2:11: error[TP1004]: libraries: include is a string, it must be "
       "a list of strings"},
      {{{"a.toml", lib("[stage.t]\nuse = \"echo\"")}},
       "\"a.toml\"",
       "a.toml:2:2: error[TP1011]: a library has no [stage], " + only},
      {{{"a.toml", lib("[modle.m]\npath = \"m.gguf\"")}},
       "\"a.toml\"",
       "a.toml:2:2: error[TP1002]: unknown key 'modle'; did you mean 'model'?"},
      {{{"a.toml", lib("[model]\nm = { pth = \"m.gguf\" }")}},
       "\"a.toml\"",
       "a.toml:3:7: error[TP1002]: model m: unknown key 'pth'; did you mean "
       "'path'?"},
      {{{"a.toml", lib("model = 1")}},
       "\"a.toml\"",
       "a.toml:2:9: error[TP1004]: [model] is an integer, not a table"},
      {{{"a.toml", lib("[tool.t]\nuse = \"echo\"")}},
       "\"a.toml\"",
       "a.toml:2:7: error[TP1003]: tool t: describe is missing, it tells the "
       "model what the tool does"},
      {{{"a.toml", "[env]"}},
       "\"a.toml\"",
       "a.toml:1:1: error[TP1006]: the file must say 'tinyphi = 1', the "
       "version "
       "of its language"},
      {{{"a.toml", "tinyphi = 1\n\xFF"}},
       "\"a.toml\"",
       "a.toml:2:1: error[TP1001]: not UTF-8"},
      {{{"a.toml", add_env("END")}, {"b.toml", add_env("END")}},
       "\"a.toml\", \"b.toml\"",
       "b.toml:3:1: error[TP1012]: env END: 'END' is defined here and at "
       "a.toml:3"},
      {{{"a.toml", add_env("END")}},
       "\"a.toml\"",
       "a.toml:3:1: error[TP1012]: env END: 'END' is defined here and at "
       "t.toml:9",
       "with.add = \"${env.END}\"\n[env]\n"
       "END = { type = \"text\", default = \"?\" }"},
      {{{"a.toml", lib("[env]\nEND = { type = \"txt\" }")}},
       "\"a.toml\"",
       "a.toml:3:16: error[TP1016]: env END: no type 'txt' in [env]; there are "
       "text, path, bool, int, float, duration, size; did you mean 'text'?",
       "with.add = \"${env.END}\""},
  };
  for (const broken& b : all) {
    INFO(b.faults);
    CHECK(faults_of(including(b.include, b.extra), having(b.libraries)) ==
          b.faults);
  }
}

TEST_CASE("faults of the file itself come before those of its libraries") {
  CHECK(
      faults_of(including("\"a.toml\"", "with.wait_ms = -1"),
                having({{"a.toml", lib("[env]\nend = 1")}})) ==
      "t.toml:7:16: error[TP1005]: stage s: with.wait_ms is -1, allowed are 0 "
      "to 60000\n"
      "a.toml:3:1: error[TP1007]: env 'end': a name is capital letters, "
      "digits and '_'");
}

TEST_CASE("libraries are four deep at most, in whatever order they are named") {
  texts all;
  for (const char c : {'a', 'b', 'c', 'd'}) {
    all[std::string(1, c) + ".toml"] =
        lib("include = [\"" + std::string(1, static_cast<char>(c + 1)) +
            ".toml\"]");
  }
  all["e.toml"] = lib("");
  all["0.toml"] = lib("include = [\"b.toml\"]");
  CHECK(faults_of(including("\"b.toml\""), having(all)).empty());
  CHECK(faults_of(including("\"0.toml\", \"b.toml\""), having(all)) ==
        "d.toml:2:12: error[TP1011]: include 'e.toml': files include each "
        "other more than 4 deep");
  CHECK(faults_of(including("\"b.toml\", \"0.toml\""), having(all)) ==
        "0.toml:2:12: error[TP1011]: include 'b.toml': files include each "
        "other more than 4 deep");
}

TEST_CASE("what libraries have has bounds") {
  texts all;
  std::string names;
  for (int i = 0; i < 65; ++i) {
    const std::string name = "l" + std::to_string(i) + ".toml";
    names += "\"" + name + "\",";
    all[name] = lib("");
  }
  CHECK(faults_of(including(names), having(all))
            .find("TP1011]: include 'l64.toml': a pipeline has at most 64 "
                  "libraries") != std::string::npos);
  std::string entries;
  for (int i = 0; i < 257; ++i) {
    entries += "[secret.s" + std::to_string(i) + "]\nenv = \"X\"\n";
  }
  CHECK(
      faults_of(including("\"a.toml\""), having({{"a.toml", lib(entries)}})) ==
      "a.toml:2:2: error[TP1005]: [secret] has 257 entries, allowed are 256");
}

TEST_CASE("paths in a library start at its folder, and so do those of a call") {
  const auto none = [](const std::string&) {
    return std::optional<std::string>();
  };
  const texts all = {
      {"lib/a.toml",
       lib("include = [\"deep/b.toml\"]\n[model.m]\npath = \"m.gguf\"\n"
           "[rules.r]\nfile = \"${env.BOX}/r.toml\"\n"
           "[secret.s]\nfile = \"token\"\n[secret.t]\nenv = \"TOKEN\"")},
      {"lib/deep/b.toml",
       lib("[env]\nBOX = { type = \"path\", default = \"../box\" }\n"
           "[model.n]\npath = \"/n.gguf\"")}};
  std::vector<diagnostic> faults;
  const auto spec = read_spec(including("\"lib/a.toml\""), "/base/t.toml", none,
                              faults, having(all).read_library);
  REQUIRE(spec);
  CHECK(to_string(faults, "t.toml").empty());
  CHECK(spec->models.at("m").path == "/base/lib/m.gguf");
  CHECK(spec->models.at("n").path == "/n.gguf");
  CHECK(spec->rules.at("r").path == "/base/lib/box/r.toml");
  CHECK(spec->secrets.at("s").text == "/base/lib/token");
  CHECK(spec->secrets.at("t").text == "TOKEN");
}

TEST_CASE("a model of a library is checked against its file") {
  host_options options = having({{"a.toml", lib("[model.m]\ncontext = 4096")}});
  options.describe_model = [](const model_spec&) {
    model_facts facts;
    facts.context = 2048;
    return result<model_facts>(std::move(facts));
  };
  CHECK(faults_of("tinyphi = 1\ninclude = [\"a.toml\"]\ninput.text = \"text\"\n"
                  "output.a = \"t.text\"\n[stage.s]\nuse = \"lay_out\"\n"
                  "with.names = \"text\"\n[stage.t]\nuse = \"answer\"",
                  options) ==
        "a.toml:2:8: error[TP3006]: model m: context is 4096, its file has "
        "2048");
}

TEST_CASE("libraries on the disk are regular files inside the folder") {
  const temp_folder folder;
  folder.write("in/lib/a.toml", add_env("END"));
  folder.write("out/b.toml", add_env("END"));
  std::filesystem::create_directories(folder.path() / "in/folder.toml");
  std::filesystem::create_symlink("a.toml", folder.path() / "in/lib/near.toml");
  std::filesystem::create_symlink("../out/b.toml",
                                  folder.path() / "in/far.toml");
  std::filesystem::create_symlink("../out", folder.path() / "in/elsewhere");
  REQUIRE(::mkfifo((folder.path() / "in/pipe.toml").c_str(), 0600) == 0);
  folder.write("in/large.toml", std::string(toml_limits::max_bytes + 1, '#'));
  const auto faults = [&](const std::string& name) {
    const auto file = folder.write(
        "in/t.toml",
        including("\"" + name + "\"", "with.add = \"${env.END}\""));
    const auto checked = check_pipeline(file, fakes());
    REQUIRE_OK(checked);
    return to_string(checked->faults, file.string());
  };
  CHECK(faults("lib/a.toml").empty());
  CHECK(faults("lib/near.toml").empty());
  const std::string out =
      "a link that leads out of " +
      std::filesystem::canonical(folder.path() / "in").string();
  for (const auto& [name, why] : std::map<std::string, std::string>{
           {"missing.toml", "No such file or directory"},
           {"lib/a.toml/b", "Not a directory"},
           {"folder.toml", "a folder where a file is needed"},
           {"pipe.toml", "not a regular file"},
           {"far.toml", out},
           {"elsewhere/b.toml", out},
           {"large.toml", "1048577 bytes, at most 1048576 are allowed"}}) {
    const std::string found = faults(name);
    INFO(name << ": " << found);
    CHECK(found.find(":2:12: error[TP1011]: include '" + name + "': ") !=
          std::string::npos);
    CHECK(found.ends_with(": " + why));
  }
}

TEST_CASE("a called file has libraries of its own folder") {
  const temp_folder folder;
  const auto caller = folder.write(
      "t.toml",
      "tinyphi = 1\ninclude = [\"a.toml\"]\ninput.text = \"text\"\n"
      "output.a = \"s.a\"\n[stage.s]\nuse = \"./part/p.toml\"\n");
  folder.write("a.toml", add_env("END"));
  folder.write("part/p.toml",
               including("\"b.toml\"", "with.add = \"${env.END}\""));
  const auto called = folder.write("part/b.toml", add_env("EN"));
  const auto check = [&] {
    const auto checked = check_pipeline(caller, fakes());
    REQUIRE_OK(checked);
    return to_string(checked->faults, caller.string());
  };
  CHECK(check() ==
        (folder.path() / "./part/p.toml").lexically_normal().string() +
            ":7:13: error[TP1009]: stage s: ${env.END} names nothing in [env]; "
            "did you mean 'env.EN'?");
  folder.write("part/b.toml", add_env("END"));
  CHECK(check().empty());
  folder.write("part/b.toml", add_env("END") + "\n[stage.s]");
  CHECK(check().starts_with(called.string() + ":4:2: error[TP1011]: "));
}
