// SPDX-License-Identifier: MIT
// tinyphi tokenize: text to ids and back.
#include <iostream>
#include <memory>
#include <string>

#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/terminal.h"
#include "exit_code.h"
#include "tinyphi/base/json.h"
#include "tinyphi/files/model_file.h"
#include "tinyphi/model/vocabulary.h"
#include "tinyphi/text/tokenizer.h"

namespace cli {

namespace {

namespace json = tinyphi::json;
using tinyphi::result;
using tinyphi::tokenizer;

constexpr std::size_t max_text_bytes = std::size_t{1} << 30;

struct tokenize_options {
  model_options model;
  bool special = false;
  bool jsonl = false;
};

// No weights are needed, so none are loaded.
result<tokenizer> open_tokenizer(const std::string& given) {
  TINYPHI_TRY(const auto file, open_model_file(given));
  return tinyphi::load_tokenizer(file);
}

result<std::string> tokenize_json_line(const tokenizer& t,
                                       std::string_view line, bool special,
                                       std::string_view where) {
  TINYPHI_TRY(const json::value parsed, tinyphi::parse_json(line, where));
  const json::object* object = parsed.if_object();
  const json::value* text = object ? object->if_contains("text") : nullptr;
  if (text == nullptr || !text->is_string()) {
    return tinyphi::error{
        tinyphi::error_code::bad_data,
        std::string(where) + ": not an object with a string \"text\""};
  }
  const json::string& s = text->get_string();
  const auto ids = t.encode({s.data(), s.size()}, special);
  json::object out;
  out["ids"] = json::array(ids.begin(), ids.end());
  out["text_back"] = t.decode(ids, true);
  return json::serialize(out);
}

int tokenize_jsonl(const tokenizer& t, bool special) {
  std::string line;
  for (std::size_t number = 1; std::getline(std::cin, line); ++number) {
    if (line.empty()) continue;
    const auto out = tokenize_json_line(
        t, line, special, "standard input: line " + std::to_string(number));
    if (!out) return fail(out.error());
    print_line(*out);
  }
  return exit_done;
}

int tokenize(const tokenize_options& o) {
  const auto t = open_tokenizer(o.model.path);
  if (!t) return fail(t.error());
  if (o.jsonl) return tokenize_jsonl(*t, o.special);
  const auto text = read_stdin(max_text_bytes);
  if (!text) return fail(text.error());
  std::string line;
  for (const tinyphi::token_id id : t->encode(*text, o.special)) {
    if (!line.empty()) line += ',';
    line += std::to_string(id);
  }
  print_line(line);
  return exit_done;
}

}  // namespace

void add_tokenize(CLI::App& app, action& run) {
  CLI::App* command =
      add_command(app, "tokenize",
                  "turn text from standard input into token ids, without BOS",
                  "printf 'Hello world' | tinyphi tokenize -m phi-3-mini");
  auto o = std::make_shared<tokenize_options>();
  add_model_path(*command, o->model);
  command->add_flag("--special", o->special,
                    "parse control tokens in the text");
  command->add_flag("--jsonl", o->jsonl,
                    "each line {\"text\": ...} gives a line {\"ids\": [...], "
                    "\"text_back\": ...}");
  command->final_callback([o, &run] { run = [o] { return tokenize(*o); }; });
}

}  // namespace cli
