// SPDX-License-Identifier: MIT
#include "plugins/json_pick/json_pick.h"

#include "support/run_stage.h"
#include "support/test.h"
#include "tinyphi/pipeline/named_types.h"
#include "tinyphi/pipeline/value_json.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

json_pick_stage::config config_of(const std::string& path,
                                  const std::string& type) {
  return {path, {type, *parse_type(type)}};
}

// What is picked, as JSON; "-" if it is absent.
std::string picked(const char* text, const std::string& path,
                   const std::string& type) {
  host h = no_models();
  const json_pick_stage stage(config_of(path, type), h);
  const auto out = run_stage(stage, {from_json(json::parse(text))});
  INFO(message_of(out));
  REQUIRE(out.has_value());
  if (out->value.empty()) return "-";
  return json::serialize(to_json(out->value.at("value").data));
}

std::string fault_of(const std::string& path, const std::string& type) {
  const auto faults = json_pick_stage::ports(config_of(path, type)).faults;
  if (faults.empty()) return "";
  return faults[0].param + ":" + std::to_string(faults[0].offset) + ": " +
         faults[0].message;
}

}  // namespace

TEST_CASE("json.pick takes a value that is there and of its type") {
  const char* const text = R"({"a":[{"b c":7},{"b c":null}],"n":[1,2.5]})";
  CHECK(picked(text, "a[0].b c", "int") == "7");
  CHECK(picked(text, "a[0].b c", "float") == "7E0");
  CHECK(picked(text, "n", "list<float>") == "[1E0,2.5E0]");
  CHECK(picked(text, "a", "json") == R"([{"b c":7},{"b c":null}])");
  CHECK(picked("[[3]]", "[0][0]", "int") == "3");
  for (const char* const absent :
       {"a[2]", "a[1].b c", "a.b", "n[0].x", "x", "a[18446744073709551615]"}) {
    INFO(absent);
    CHECK(picked(text, absent, "json") == "-");
  }
  CHECK(picked(text, "a[0].b c", "text") == "-");
  CHECK(picked(text, "n", "list<int>") == "-");
}

TEST_CASE("json.pick knows its type before it runs, and its faults a place") {
  const auto ports = json_pick_stage::ports(config_of("a.b[3]", "list<int>"));
  CHECK(ports.faults.empty());
  REQUIRE(ports.out.size() == 1);
  CHECK(ports.out[0].types[0] == type::list_of(type_kind::integer));
  CHECK(!ports.out[0].required);
  CHECK(fault_of("", "int") == "path:0: is empty");
  CHECK(fault_of("a..b", "int") == "path:2: a name is missing");
  CHECK(fault_of("a.", "int") == "path:2: a name is missing");
  CHECK(fault_of("a[x]", "int") == "path:1: an item is a number such as [0]");
  CHECK(fault_of("a[1", "int") == "path:1: an item is a number such as [0]");
  CHECK(fault_of("a[-1]", "int") == "path:1: an item is a number such as [0]");
  CHECK(fault_of("a[99999999999999999999]", "int").starts_with("path:1: "));
  CHECK(fault_of("[0]a", "int") == "path:3: '.' or '[' is missing");
  std::string deep;
  for (int i = 0; i < 33; ++i) deep += "[0]";
  CHECK(fault_of(deep, "int") == "path:96: has more than 32 steps");
  host h = no_models();
  CHECK_THROWS_WITH(json_pick_stage(config_of("a..b", "text"), h),
                    Catch::StartsWith("with.path: a name is missing"));
}
