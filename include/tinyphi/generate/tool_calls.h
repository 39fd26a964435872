// SPDX-License-Identifier: MIT
// Tools that a model may call: how they are told to it, how it is asked which
// of them a question needs, and the form of a call. Nothing here runs a tool.
#ifndef TINYPHI_GENERATE_TOOL_CALLS_H_
#define TINYPHI_GENERATE_TOOL_CALLS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/constrain/constraint.h"
#include "tinyphi/generate/engine.h"
#include "tinyphi/schema/schema.h"
#include "tinyphi/text/chat_template.h"

TINYPHI_NAMESPACE_BEGIN

struct tool_description {
  std::string name;              // 1 to 64 of A-Z a-z 0-9 _ and -
  std::string description = {};  // what it does; told in one line
  std::string parameters = {};  // JSON Schema of an object; empty: no arguments
};

// A call that a model makes, or has made.
struct tool_call {
  std::string name;
  std::string arguments;  // the text of a JSON object
};

// Why a list of tools cannot be used.
struct tool_fault {
  enum class part : std::uint8_t { list, name, parameters };
  part of = part::list;
  std::size_t tool = 0;  // which one of the list
  // The message names the tool and, of a schema, the JSON pointer.
  tinyphi::error error;
};

// How a model says what it wants to do.
struct tool_asking {
  enum class form : std::uint8_t {
    label,    // decides by a label first; arguments or an answer come then
    in_line,  // writes {"tool": NAME, "args": {...}} or {"reply": TEXT}
  };
  form by = form::label;
  bool may_answer = true;  // it need not call anything
  // In line, where it is above 1: a list of so many calls at most.
  std::size_t most_calls = 1;
};

// A checked list of tools for one vocabulary. Immutable; any thread.
class tool_set {
 public:
  static constexpr std::size_t max_tools = 128;
  static constexpr std::size_t max_calls = 4;
  static constexpr std::size_t max_bytes = std::size_t{256} << 10;  // all texts

  // Schemas are those of others: words that no draft knows are passed over,
  // what cannot be enforced is an error.
  [[nodiscard]] static result<tool_set, tool_fault> create(
      const token_trie& t, std::vector<tool_description> tools);

  [[nodiscard]] std::size_t size() const { return tools_.size(); }
  [[nodiscard]] const tool_description& operator[](std::size_t tool) const {
    return tools_[tool].told;
  }
  [[nodiscard]] std::optional<std::size_t> find(std::string_view name) const;

  // One for each tool, and the last one for an answer, if that may be. None is
  // the beginning of another.
  [[nodiscard]] std::vector<std::string> labels(bool may_answer) const;
  // What the model is told of the tools, of calls and of results.
  [[nodiscard]] std::string system_text(const tool_asking& a) const;
  // The conversation with that text in it: in its first system turn, or where
  // the format has none, in its first user turn.
  [[nodiscard]] std::vector<message> told(std::span<const message> conversation,
                                          chat_format f,
                                          const tool_asking& a) const;
  // The same with the question for a label behind its last turn. The answer is
  // one of labels().
  [[nodiscard]] std::vector<message> asked(
      std::span<const message> conversation, chat_format f,
      bool may_answer) const;

  // What asks for a label.
  [[nodiscard]] static std::string_view question(bool may_answer);
  // The form of that answer.
  [[nodiscard]] result<constraint> decision(bool may_answer) const;
  // What an answer begins with that calls the tool. The arguments and a '}'
  // follow.
  [[nodiscard]] std::string call_beginning(std::size_t tool) const;
  // The form of a tool's arguments.
  [[nodiscard]] const constraint& arguments(std::size_t tool) const {
    return tools_[tool].arguments;
  }
  // The form of an answer in line.
  [[nodiscard]] result<constraint> in_line(const tool_asking& a) const;

  // An answer in line as what it says; bad_data if it has not its form.
  struct read_answer {
    std::vector<tool_call> calls;
    std::string reply;  // if there are none
  };
  [[nodiscard]] result<read_answer> read(std::string_view answer) const;
  // Whether there is such a tool and the arguments are its: whoever runs it
  // asks here, wherever the call comes from. The message says where not.
  [[nodiscard]] result<void> check(const tool_call& call) const;

 private:
  struct entry {
    tool_description told;
    schema rules;
    constraint arguments;
  };
  explicit tool_set(token_trie t) : vocabulary_(std::move(t)) {}
  [[nodiscard]] static result<entry, tool_fault> make(const token_trie& t,
                                                      tool_description d,
                                                      std::size_t index);
  token_trie vocabulary_;
  std::vector<entry> tools_;
};

// Turns of a conversation for what was called and what came of it. A result is
// data: whatever control tokens it spells are plain text there.
[[nodiscard]] message call_turn(std::span<const tool_call> calls);
[[nodiscard]] message result_turn(std::string_view tool,
                                  std::string_view result);

// A tool is called if it has at least such a share of the labels' probability,
// and so much more than every other label.
struct tool_thresholds {
  double share = 0.5;
  double margin = 0.1;
};
struct tool_decision {
  std::optional<std::size_t> tool;  // none: an answer
  std::vector<double> shares;       // of the labels, in their order
};
// From the labels' log-probabilities behind the question, and behind an empty
// one, which say how the model likes them anyway. Where no answer may be the
// likeliest tool is taken.
[[nodiscard]] tool_decision choose_tool(std::span<const double> scores,
                                        std::span<const double> empty_scores,
                                        bool may_answer,
                                        const tool_thresholds& t = {});

// The log-probabilities of labels behind the tokens of a prompt that ends where
// an answer begins. Blocks as engine::score, which uses `params` alike.
[[nodiscard]] result<std::vector<double>> score_labels(
    engine& e, std::vector<token_id> prompt,
    std::span<const std::string> labels, const generation_params& params = {});
// What stands behind asked() of it tells the model's liking: the conversation's
// leading system turns.
[[nodiscard]] std::span<const message> without_question(
    std::span<const message> conversation);
// All of it: what the model would do next in the conversation. Two prompts are
// read; that of the empty question begins as the other one.
[[nodiscard]] result<tool_decision> decide_tool(
    engine& e, const tool_set& tools, std::span<const message> conversation,
    bool may_answer, const generation_params& params = {},
    const tool_thresholds& t = {});

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/generate/tool_calls.ipp"
#endif

#endif  // TINYPHI_GENERATE_TOOL_CALLS_H_
