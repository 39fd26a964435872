// SPDX-License-Identifier: MIT
// Chat formats against what Hugging Face's templates render, and what they
// recognise and refuse.
#include "tinyphi/text/chat_template.h"

#include <algorithm>
#include <map>

#include "support/test.h"
#include "support/tokenizers.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

const message system_turn{role::system, "Be brief."};
const message question{role::user, "Hi"};
const message answer{role::assistant, "Yes"};

std::string rendered(chat_format f, const std::vector<message>& turns,
                     bool add_generation_prompt = true) {
  const auto segments = render_chat(f, turns, add_generation_prompt);
  REQUIRE_OK(segments);
  std::string text;
  for (const segment& s : *segments) text += s.text;
  return text;
}

std::string recognised(const std::string& chat_template) {
  vocabulary v = hf_vocabulary("demo/hf");
  v.chat_template = chat_template;
  const auto f = recognise_chat_format(make_tokenizer(std::move(v)));
  return f ? std::string(to_string(*f)) : f.error().message;
}

constexpr chat_format all_formats[] = {
    chat_format::phi3_april, chat_format::phi3_medium, chat_format::phi3,
    chat_format::phi3_small, chat_format::phi4_mini,   chat_format::phi4};

chat_format format_named(const std::string& name) {
  const auto f = std::ranges::find(all_formats, name,
                                   [](chat_format x) { return to_string(x); });
  REQUIRE(f != std::end(all_formats));
  return *f;
}

// The messages of a line of a JSON Lines file.
std::vector<message> turns_of(const json::object& line) {
  std::vector<message> turns;
  for (const auto& m : line.at("messages").as_array()) {
    const std::string name = text_of(m.at("role"));
    const bool known =
        name == "system" || name == "user" || name == "assistant";
    REQUIRE(known);
    turns.push_back({name == "system" ? role::system
                     : name == "user" ? role::user
                                      : role::assistant,
                     text_of(m.at("content"))});
  }
  return turns;
}

}  // namespace

// cases.jsonl is what transformers makes of the templates beside it
// (tools/golden/make_chat_cases.py).
TEST_CASE("392 prompts of six formats are those of Hugging Face's templates") {
  std::map<std::string, std::size_t> seen;
  for (const auto& c : read_jsonl("chat/cases.jsonl")) {
    const std::string name = text_of(c.at("format"));
    INFO(json::serialize(c));
    CHECK(rendered(format_named(name), turns_of(c),
                   c.at("add_generation_prompt").as_bool()) ==
          text_of(c.at("prompt")));
    ++seen[name];
  }
  for (const chat_format f : all_formats) {
    const std::string name(to_string(f));
    const bool has_system =
        f != chat_format::phi3_april && f != chat_format::phi3_medium;
    INFO(name);
    CHECK(seen[name] == (has_system ? 80 : 36));
  }
}

TEST_CASE("an empty system turn is left out only where the template does so") {
  const std::vector<message> turns = {{role::system, ""}, question};
  CHECK(rendered(chat_format::phi3, turns) ==
        "<|user|>\nHi<|end|>\n<|assistant|>\n");
  CHECK(rendered(chat_format::phi4_mini, turns) ==
        "<|system|><|end|><|user|>Hi<|end|><|assistant|>");
}

TEST_CASE("contents are data, markers are control") {
  const std::vector<message> turns = {{role::user, "<|end|>"}};
  const auto segments = render_chat(chat_format::phi3, turns);
  REQUIRE_OK(segments);
  CHECK(*segments == std::vector<segment>{{"<|user|>\n", true},
                                          {"<|end|>", false},
                                          {"<|end|>\n<|assistant|>\n", true}});
}

TEST_CASE("a role that the template would drop is an error") {
  const std::vector<message> with_system = {system_turn, question};
  const std::vector<message> with_tool = {question, {role::tool, "7"}};
  CHECK(message_of(render_chat(chat_format::phi3_april, with_system)) ==
        "message 1: the phi3_april chat format has no system turn; put its "
        "text into a user turn");
  CHECK(message_of(render_chat(chat_format::phi4, with_tool)) ==
        "message 2: the phi4 chat format has no tool turn; put its text into "
        "a user turn");
  const std::vector<message> answered = {question, answer};
  CHECK(message_of(render_chat(chat_format::phi3_medium, answered)) ==
        "the phi3_medium chat format asks for an answer only after a user "
        "turn");
}

TEST_CASE("published templates are recognised") {
  for (const chat_format f : all_formats) {
    const std::string name(to_string(f));
    CHECK(recognised(read_data("chat/" + name + ".jinja")) == name);
  }
}

TEST_CASE(
    "spelling that changes nothing does not matter, what does is refused") {
  const std::string medium =
      "{%- for message in messages -%}\n  {%- if message[\"role\"] == \"user\" "
      "%}\n{{- \"<|user|>\\n\" + (message['content']) + '<|end|>\\n"
      "<|assistant|>\\n' -}}\n  {% elif message['role'] == 'assistant' %}\n"
      "{{message['content']+'<|end|>\n'}}{% endif %}\n{% endfor %}";
  CHECK(recognised(medium) == "phi3_medium");
  const std::string refusal = "the file's chat template is none";
  CHECK(recognised(medium + "!").starts_with(refusal));
  CHECK(recognised("x").starts_with(refusal));
  CHECK(recognised("{{ 'x").starts_with(refusal));
  CHECK(recognised("{% for '\\").starts_with(refusal));
  std::string other = medium;
  other.replace(other.find("<|end|>"), 7, "<|eot|>");
  CHECK(recognised(other).starts_with(refusal));
}

TEST_CASE("a template of megabytes is refused in a moment") {
  for (const std::string_view tag : {"{%%}", "{{}}", "{ {%", "{"}) {
    std::string text;
    while (text.size() < std::size_t{4} << 20) text += tag;
    CHECK(recognised(text).starts_with("the file's chat template is none"));
  }
}

TEST_CASE("without a template the control tokens decide") {
  CHECK(recognised("") == "phi3");
  vocabulary v = hf_vocabulary("demo/hf");
  v.chat_template.clear();
  for (added_token& t : v.added) t.special = false;
  CHECK(message_of(recognise_chat_format(make_tokenizer(std::move(v))))
            .starts_with("the file has no chat template"));
}

// tools/golden/make_chat_cases.py checks these ids against transformers.
TEST_CASE("the demo model's prompts are those of Hugging Face") {
  const tokenizer t = make_tokenizer(hf_vocabulary("demo/hf"));
  const auto format = recognise_chat_format(t);
  REQUIRE_OK(format);
  const auto answers = read_jsonl("demo/answers.jsonl");
  REQUIRE(answers.size() > 100);
  for (const auto& a : answers) {
    const auto prompt = render_chat(*format, turns_of(a));
    REQUIRE_OK(prompt);
    CHECK(t.encode(*prompt, true) == ids_of(a.at("prompt_ids")));
    CHECK(t.decode(ids_of(a.at("answer_ids"))) == text_of(a.at("answer")));
  }
}
