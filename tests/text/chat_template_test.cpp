// SPDX-License-Identifier: MIT
#include "tinyphi/text/chat_template.h"

#include "support/test.h"
#include "support/tokenizers.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

const message system_turn{role::system, "Be brief."};
const message question{role::user, "Hi"};
const message answer{role::assistant, "Yes"};
const message next_question{role::user, " Why? "};

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

}  // namespace

TEST_CASE("each format renders as its template does") {
  const std::vector<message> all = {system_turn, question, answer,
                                    next_question};
  const std::vector<message> turns = {question, answer, next_question};
  CHECK(rendered(chat_format::phi3_april, turns) ==
        "<s><|user|>\nHi<|end|>\n<|assistant|>\nYes<|end|>\n"
        "<|user|>\n Why? <|end|>\n<|assistant|>\n");
  CHECK(rendered(chat_format::phi3_medium, turns) ==
        "<|user|>\nHi<|end|>\n<|assistant|>\nYes<|end|>\n"
        "<|user|>\n Why? <|end|>\n<|assistant|>\n");
  CHECK(rendered(chat_format::phi3, all) ==
        "<|system|>\nBe brief.<|end|>\n<|user|>\nHi<|end|>\n"
        "<|assistant|>\nYes<|end|>\n<|user|>\n Why? <|end|>\n<|assistant|>\n");
  CHECK(rendered(chat_format::phi3_small, all) ==
        "<|endoftext|><|system|>\nBe brief.<|end|>\n<|user|>\nHi<|end|>\n"
        "<|assistant|>\nYes<|end|>\n<|user|>\n Why? <|end|>\n<|assistant|>\n");
  CHECK(rendered(chat_format::phi4_mini, all) ==
        "<|system|>Be brief.<|end|><|user|>Hi<|end|><|assistant|>Yes<|end|>"
        "<|user|> Why? <|end|><|assistant|>");
  CHECK(rendered(chat_format::phi4, all) ==
        "<|im_start|>system<|im_sep|>Be brief.<|im_end|>"
        "<|im_start|>user<|im_sep|>Hi<|im_end|>"
        "<|im_start|>assistant<|im_sep|>Yes<|im_end|>"
        "<|im_start|>user<|im_sep|> Why? <|im_end|>"
        "<|im_start|>assistant<|im_sep|>");
}

TEST_CASE("without a generation prompt the templates end as they say") {
  const std::vector<message> turns = {question};
  CHECK(rendered(chat_format::phi3, turns, false) ==
        "<|user|>\nHi<|end|>\n<|endoftext|>");
  CHECK(rendered(chat_format::phi3_small, turns, false) ==
        "<|endoftext|><|user|>\nHi<|end|>\n<|endoftext|>");
  CHECK(rendered(chat_format::phi4_mini, turns, false) ==
        "<|user|>Hi<|end|><|endoftext|>");
  CHECK(rendered(chat_format::phi4, turns, false) ==
        "<|im_start|>user<|im_sep|>Hi<|im_end|>");
  CHECK(rendered(chat_format::phi3_medium, {question, answer}, false) ==
        "<|user|>\nHi<|end|>\n<|assistant|>\nYes<|end|>\n");
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
  CHECK(recognised(read_data(
            "tokenizer/microsoft-Phi-3.5-mini-instruct.jinja")) == "phi3");
  const std::string april =
      "{% for message in messages %}{% if (message['role'] == 'user') %}"
      "{{'<|user|>' + '\\n' + message['content'] + '<|end|>' + '\\n' + "
      "'<|assistant|>' + '\\n'}}{% elif (message['role'] == 'assistant') %}"
      "{{message['content'] + '<|end|>' + '\\n'}}{% endif %}{% endfor %}";
  CHECK(recognised(april) == "phi3_medium");
  CHECK(recognised("{{ bos_token }}" + april) == "phi3_april");
  CHECK(recognised(
            "{{ bos_token }}{% for message in messages %}{{'<|' + "
            "message['role'] + '|>' + '\\n' + message['content'] + "
            "'<|end|>\\n' }}{% endfor %}{% if add_generation_prompt %}"
            "{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}") ==
        "phi3_small");
  CHECK(recognised(
            "{% for message in messages %}{% if message['role'] == 'system' "
            "and 'tools' in message and message['tools'] is not none %}"
            "{{ '<|' + message['role'] + '|>' + message['content'] + "
            "'<|tool|>' + message['tools'] + '<|/tool|>' + '<|end|>' }}"
            "{% else %}{{ '<|' + message['role'] + '|>' + message['content'] "
            "+ '<|end|>' }}{% endif %}{% endfor %}"
            "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% else %}"
            "{{ eos_token }}{% endif %}") == "phi4_mini");
  CHECK(recognised(
            "{% for message in messages %}{% if (message['role'] == "
            "'system') %}{{'<|im_start|>system<|im_sep|>' + "
            "message['content'] + '<|im_end|>'}}{% elif (message['role'] == "
            "'user') %}{{'<|im_start|>user<|im_sep|>' + message['content'] + "
            "'<|im_end|>'}}{% elif (message['role'] == 'assistant') %}"
            "{{'<|im_start|>assistant<|im_sep|>' + message['content'] + "
            "'<|im_end|>'}}{% endif %}{% endfor %}"
            "{% if add_generation_prompt %}"
            "{{ '<|im_start|>assistant<|im_sep|>' }}{% endif %}") == "phi4");
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

TEST_CASE("the demo model's prompts are those of Hugging Face") {
  const tokenizer t = make_tokenizer(hf_vocabulary("demo/hf"));
  const auto format = recognise_chat_format(t);
  REQUIRE_OK(format);
  const auto answers = read_jsonl("demo/answers.jsonl");
  REQUIRE(answers.size() > 100);
  for (const auto& a : answers) {
    std::vector<message> turns;
    for (const auto& m : a.at("messages").as_array()) {
      const std::string name = text_of(m.at("role"));
      turns.push_back({name == "system" ? role::system
                       : name == "user" ? role::user
                                        : role::assistant,
                       text_of(m.at("content"))});
    }
    const auto prompt = render_chat(*format, turns);
    REQUIRE_OK(prompt);
    CHECK(t.encode(*prompt, true) == ids_of(a.at("prompt_ids")));
    CHECK(t.decode(ids_of(a.at("answer_ids"))) == text_of(a.at("answer")));
  }
}
