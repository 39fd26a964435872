// SPDX-License-Identifier: MIT
#include "plugins/guard_pii/guard_pii.h"

#include "support/run_stage.h"
#include "support/test.h"
#include "tinyphi/pipeline.h"

using namespace tinyphi;
using namespace tinyphi_test;

TEST_CASE("guard.pii hides the kinds that it is told to, alike values alike") {
  host h = no_models();
  const guard_pii_stage stage({{"email"}, {}}, h);
  const auto out =
      run_stage(stage, {"a@example.com or b@example.com, not a@example.com; "
                        "4111 1111 1111 1111",
                        {},
                        {}});
  REQUIRE_OK(out);
  CHECK(out->text ==
        "[EMAIL_1] or [EMAIL_2], not [EMAIL_1]; 4111 1111 1111 1111");
  CHECK(out->count == 3);
}

TEST_CASE("guard.pii refuses kinds that there are not") {
  host h = no_models();
  CHECK(guard_pii_stage::check({}, {}, h).faults.empty());
  CHECK(guard_pii_stage::check({{}, guard_pii_stage::actions::redact}, {}, h)
            .faults.size() == 1);
  const auto other = guard_pii_stage::check(
      {{"card"}, guard_pii_stage::actions::restore}, {}, h);
  REQUIRE(other.faults.size() == 1);
  CHECK_THAT(other.faults[0].message, Catch::Contains("leave it out"));
  const auto facts = guard_pii_stage::check({{"card", "emial"}, {}}, {}, h);
  REQUIRE(facts.faults.size() == 1);
  CHECK(facts.faults[0].message == "no kind 'emial'; did you mean 'email'?");
}

TEST_CASE("a model sees placeholders, the reader names") {
  constexpr std::string_view file = R"(tinyphi = 1
input.note     = { type = "text", trust = "untrusted", max_bytes = 20000 }
input.names    = "list<text>"
input.answer   = "text"
output.summary = "restore.text"
output.seen    = "redact.text"
output.hidden  = "redact.count"
output.put     = "restore.count"
[stage]
redact  = { use = "guard.pii", in.text = "input.note", in.words = "input.names", with.kinds = ["phone", "email", "date"] }
restore = { use = "guard.pii", in.text = "input.answer", in.keys = "redact.keys", with.action = "restore" }
)";
  registry plugins;
  plugins.add<guard_pii_stage>();
  const auto p = pipeline::compile_text(file, "t.toml", plugins, {});
  REQUIRE_OK(p);
  const auto r =
      p->run({{"note", "Ada Byron, 555-0123, has a cough; Ada Byron coughs."},
              {"names", value_data::list{"Ada Byron"}},
              {"answer", "[WORD_1] coughs; call [PHONE_1], not [PHONE_2]."}});
  REQUIRE_OK(r);
  const auto text = [&](std::string_view name) {
    return *r->outputs.find(name)->second.get<std::string>();
  };
  CHECK(text("seen") == "[WORD_1], [PHONE_1], has a cough; [WORD_1] coughs.");
  CHECK(text("summary") == "Ada Byron coughs; call 555-0123, not [PHONE_2].");
  CHECK(*r->outputs.find("hidden")->second.get<std::int64_t>() == 3);
  CHECK(*r->outputs.find("put")->second.get<std::int64_t>() == 2);
}

TEST_CASE("guard.pii says what is bound to the wrong action") {
  host h = no_models();
  const guard_pii_stage redact({}, h);
  guard_pii_stage::config config;
  config.action = guard_pii_stage::actions::restore;
  const guard_pii_stage restore(config, h);
  const value_data keys =
      value_data::record{{"[WORD_1]", "[WORD_2]"}, {"[WORD_2]", "Ada"}};
  const auto restored = run_stage(restore, {"[WORD_1]", {}, keys});
  REQUIRE_OK(restored);
  CHECK(restored->text == "[WORD_2]");  // once
  CHECK(restored->keys == value_data(value_data::record()));

  const auto refused = [&](const guard_pii_stage& stage,
                           guard_pii_stage::inputs in) {
    const auto out = run_stage(stage, std::move(in));
    REQUIRE(!out);
    CHECK(out.error().code == error_code::invalid_argument);
    return out.error().message;
  };
  const std::vector<std::string> ada{"Ada"};
  CHECK(refused(restore, {"x", {}, {}}) ==
        "with.action is \"restore\", and in.keys has no value; bind it to the "
        "out-port keys of the stage that redacted, such as in.keys = "
        "\"redact.keys\"");
  CHECK_THAT(refused(restore, {"x", ada, keys}), Catch::Contains("in.words"));
  CHECK_THAT(refused(redact, {"x", {}, keys}), Catch::Contains("in.keys"));
  CHECK_THAT(refused(restore, {"x", {}, value_data("[WORD_1]")}),
             Catch::StartsWith("in.keys is a text, it must be a record"));
  const value_data wrong = value_data::record{{"[WORD_1]", std::int64_t{1}}};
  CHECK_THAT(refused(restore, {"x", {}, wrong}),
             Catch::StartsWith("in.keys: '[WORD_1]' is a"));
  const value_data no_placeholder = value_data::record{{"a", "b"}};
  CHECK_THAT(refused(restore, {"x", {}, no_placeholder}),
             Catch::Contains("no placeholder"));
  CHECK_THAT(refused(redact, {"x", std::vector<std::string>{"A"}, {}}),
             Catch::Contains("2 at least"));
}
