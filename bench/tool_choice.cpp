// SPDX-License-Identifier: MIT
// Which tool a model chooses, and with which arguments, in the 60 cases of
// tool_cases.json: decided by labels, and written in line.
//   bench_tool_choice [MODEL [SHARE MARGIN]]
// Without a model it is the demo model. It fails where labels get fewer cases
// right than answers in line.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tinyphi/base/json.h"
#include "tinyphi/base/mapped_file.h"
#include "tinyphi/generate/tool_calls.h"

using namespace tinyphi;

namespace {

struct choice_case {
  const tool_set* tools;
  std::string question;
  std::optional<std::size_t> tool;  // none: an answer
  json::object arguments;           // those that the question says
};

// What a model did in a case.
struct made_choice {
  std::optional<std::size_t> tool;
  std::string arguments = {};
};

constexpr std::size_t most_tokens = 120;

[[noreturn]] void fail(const error& e) {
  std::fprintf(stderr, "%s\n", e.message.c_str());
  std::exit(1);
}

template <class T>
T need(result<T> r) {
  if (!r) fail(r.error());
  return *std::move(r);
}

std::string written(engine& e, const std::vector<message>& turns,
                    const std::string& begun, const constraint& form) {
  const chat_format f = need(e.model().chat_format());
  std::vector<segment> prompt = need(render_chat(f, turns));
  if (!begun.empty()) prompt.push_back({begun});
  generation_params p;
  p.max_tokens = std::max(most_tokens, form.shortest());
  p.format = form;
  generation g = e.complete(prompt, p);
  std::string text = g.text();
  if (g.error()) fail(*g.error());
  return text;
}

made_choice by_label(engine& e, const choice_case& c,
                     const tool_thresholds& t) {
  const std::vector<message> chat = {{role::user, c.question}};
  const auto tool = need(decide_tool(e, *c.tools, chat, true, {}, t)).tool;
  if (!tool) return {};
  const chat_format f = need(e.model().chat_format());
  return {tool,
          written(e, c.tools->told(chat, f, {}), c.tools->call_beginning(*tool),
                  c.tools->arguments(*tool))};
}

made_choice in_line(engine& e, const choice_case& c) {
  const tool_asking a{.by = tool_asking::form::in_line};
  const chat_format f = need(e.model().chat_format());
  const std::vector<message> chat = {{role::user, c.question}};
  const std::string text =
      written(e, c.tools->told(chat, f, a), "", need(c.tools->in_line(a)));
  auto said = need(c.tools->read(text));
  if (said.calls.empty()) return {};
  return {c.tools->find(said.calls[0].name),
          std::move(said.calls[0].arguments)};
}

// Whether the arguments have all that the question says.
bool fits(const json::object& wanted, const std::string& arguments) {
  const auto made = need(parse_json(arguments, "arguments"));
  for (const auto& [name, value] : wanted) {
    const json::value* own = made.get_object().if_contains(name);
    if (own == nullptr || *own != value) return false;
  }
  return true;
}

struct score {
  std::size_t right = 0;  // tool, or none, as wanted
  std::size_t answered = 0, wrong_tool = 0, called_for_nothing = 0;
  std::size_t with_arguments = 0, arguments_right = 0;

  void add(const choice_case& c, const made_choice& m) {
    right += c.tool == m.tool;
    answered += c.tool && !m.tool;
    wrong_tool += c.tool && m.tool && c.tool != m.tool;
    called_for_nothing += !c.tool && m.tool;
    if (!c.tool || c.tool != m.tool || c.arguments.empty()) return;
    ++with_arguments;
    arguments_right += fits(c.arguments, m.arguments);
  }
  void print(const char* name, std::size_t n) const {
    std::printf("%-8s %4zu/%zu %9zu %9zu %9zu %11zu/%zu\n", name, right, n,
                answered, wrong_tool, called_for_nothing, arguments_right,
                with_arguments);
  }
};

std::map<std::string, tool_set> read_sets(const json::object& sets,
                                          const engine& e) {
  std::map<std::string, tool_set> all;
  for (const auto& [name, list] : sets) {
    std::vector<tool_description> tools;
    for (const json::value& t : list.as_array()) {
      tools.push_back({std::string(t.at("name").as_string()),
                       std::string(t.at("description").as_string()),
                       json::serialize(t.at("parameters"))});
    }
    auto made = tool_set::create(need(e.vocabulary()), std::move(tools));
    if (!made) fail(made.error().error);
    all.emplace(name, *std::move(made));
  }
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string root = TINYPHI_ROOT;
  const std::string path =
      argc > 1 ? argv[1] : root + "/pipelines/models/tinyphi-demo-7m-q8_0.gguf";
  tool_thresholds t;
  if (argc > 3)
    t = {std::strtod(argv[2], nullptr), std::strtod(argv[3], nullptr)};
  engine e = need(engine::create(need(model::load(path))));
  const std::string file = root + "/bench/tool_cases.json";
  const auto document =
      need(parse_json(need(read_file(file, std::size_t{1} << 20)), file));
  const auto sets = read_sets(document.at("sets").as_object(), e);
  score label, line;
  const json::array& cases = document.at("cases").as_array();
  for (const json::value& v : cases) {
    const tool_set& set = sets.at(std::string(v.at("tools").as_string()));
    choice_case c{&set,
                  std::string(v.at("question").as_string()),
                  {},
                  v.at("args").as_object()};
    if (!v.at("tool").is_null()) {
      c.tool = set.find(std::string(v.at("tool").as_string()));
    }
    label.add(c, by_label(e, c, t));
    line.add(c, in_line(e, c));
  }
  std::printf("%-8s %7s %9s %9s %9s %13s\n", "", "right", "answered", "other",
              "needless", "arguments");
  label.print("label", cases.size());
  line.print("in line", cases.size());
  return label.right >= line.right ? 0 : 1;
}
