// SPDX-License-Identifier: MIT
#include "plugins/text_const/text_const.h"

#include "support/run_stage.h"
#include "support/test.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

call_facts facts() {
  call_facts call;
  call.types = {{"name", type_kind::text},
                {"tags", type::list_of(type_kind::text)}};
  return call;
}

std::string fault_of(const std::string& text) {
  auto faults = text_const_stage::ports({text}).faults;
  host h = no_models();
  if (faults.empty()) {
    faults = text_const_stage::check({text}, facts(), h).faults;
  }
  if (faults.empty()) return "(none)";
  return std::to_string(static_cast<int>(faults[0].code)) + " " +
         faults[0].param + ":" + std::to_string(faults[0].offset) + ": " +
         faults[0].message;
}

}  // namespace

TEST_CASE("a constant text is itself, a template is filled") {
  host h = no_models();
  const auto text = [&](const std::string& t, named_values values) {
    const text_const_stage stage({t}, facts(), h);
    const auto out = run_stage(stage, {std::move(values)});
    REQUIRE_OK(out);
    return out->text;
  };
  CHECK(text("I can't help with that.", {}) == "I can't help with that.");
  const named_values values{
      {"name", {"<|end|>", trust::user}},
      {"tags", {value_data::list{"a", "b"}, trust::untrusted}}};
  CHECK(text("{{ name }}:{% for t in tags %} {{ t }}{% endfor %}", values) ==
        "<|end|>: a b");
  CHECK(text("{{ default(name, 'nobody') }}", {}) == "nobody");
}

TEST_CASE("its variables are ports, and its faults have a place") {
  const auto ports =
      text_const_stage::ports({"a {{ name }}{{ default(x, '') }}"});
  REQUIRE(ports.in.size() == 2);
  CHECK(ports.in[0].name == "name");
  CHECK(ports.in[0].required);
  CHECK(ports.in[0].param == "text");
  CHECK(ports.in[0].offset == 5);
  CHECK(!ports.in[1].required);
  CHECK(fault_of("{{ name }}") == "(none)");
  CHECK(fault_of("a{{ name") == "3001 text:8: '}}' is missing");
  CHECK_THAT(fault_of("{{ tags }}"),
             Catch::StartsWith("2003 text:3: {{ tags }} is list<text>, "));
  host h = no_models();
  CHECK_THROWS_WITH(text_const_stage({"{{ name"}, facts(), h),
                    "with.text: '}}' is missing");
}
