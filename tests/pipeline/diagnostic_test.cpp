// SPDX-License-Identifier: MIT
#include "tinyphi/pipeline/diagnostic.h"

#include "support/test.h"
#include "tinyphi/base/json.h"

using namespace tinyphi;

TEST_CASE("a diagnostic reads as file, line, column, code and message") {
  const diagnostic d{fault::unknown_key, {42, 1}, "unknown key 'timout'"};
  CHECK(to_string(d, "a.toml") ==
        "a.toml:42:1: error[TP1002]: unknown key 'timout'");
  const diagnostic whole{fault::missing_key, {}, "no [output]"};
  CHECK(to_string(whole, "a.toml") == "a.toml: error[TP1003]: no [output]");
  const diagnostic line{fault::bad_case, {7, 0}, "not JSON"};
  CHECK(to_string(line, "in.jsonl") == "in.jsonl:7: error[TP5007]: not JSON");
}

TEST_CASE("a diagnostic is one line, whatever the file's names hold") {
  CHECK(to_string(diagnostic{fault::unknown_key,
                             {2, 1},
                             "unknown key 'a\nx.toml: ok\x1B[2J\x7F'"},
                  "x\n.toml") ==
        "x?.toml:2:1: error[TP1002]: unknown key 'a?x.toml: ok?[2J?'");
}

TEST_CASE("diagnostics as JSON escape what the file says") {
  const diagnostic d{fault::unknown_value, {2, 3}, "no 'a\"b'"};
  const auto v = parse_json(to_json(std::span(&d, 1), "x.toml"), "out");
  REQUIRE_OK(v);
  const json::object& o = v->as_array().at(0).as_object();
  CHECK(o.at("code").as_string() == "TP2002");
  CHECK(o.at("line").as_int64() == 2);
  CHECK(o.at("message").as_string() == "no 'a\"b'");
}

TEST_CASE("did_you_mean offers the nearest name, or none") {
  const std::string_view known[] = {"timeout", "use", "fallback"};
  CHECK(did_you_mean("timout", known) == "; did you mean 'timeout'?");
  CHECK(did_you_mean("tiemout", known) == "; did you mean 'timeout'?");
  CHECK(did_you_mean("ues", known) == "; did you mean 'use'?");
  CHECK(did_you_mean("colour", known).empty());
  CHECK(did_you_mean(std::string(1 << 20, 't'), known).empty());
}
