// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_ANSWER_TOOLS_IPP_
#define TINYPHI_SERVE_ANSWER_TOOLS_IPP_

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <utility>

#include "tinyphi/base/ascii.h"
#include "tinyphi/schema/schema.h"
#include "tinyphi/serve/answer_tools.h"
#include "tinyphi/serve/fields.h"
#include "tinyphi/serve/random_bits.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline std::string tool_field(std::size_t i, std::string_view own,
                              std::string_view name) {
  return "tools[" + std::to_string(i) + "]" + std::string(own) + "." +
         std::string(name);
}

// OpenAI's rule of `strict`. What is wrong with a schema in other ways is found
// when it is made into a form.
inline api_result<void> check_strict(const std::string& text,
                                     const std::string& field) {
  const auto s = schema::read(text, foreign_schema);
  if (!s) return {};
  constexpr std::uint8_t object = type_bit(5);
  for (const schema_rule& r : s->rules()) {
    if (r.types != object && r.properties.empty()) continue;
    const bool closed =
        r.additional != schema_rule::none && s->rules()[r.additional].never;
    const bool whole = r.n_required == r.properties.size();
    if (closed && whole) continue;
    return invalid_value(
        field, field + ": " + s->document().pointer(r.where) +
                   (closed ? "/required: strict wants every property in it"
                           : "/additionalProperties: strict wants it to be "
                             "false"));
  }
  return {};
}

inline const json::object& fields_of(const json::object& tool,
                                     std::string_view own) {
  return own.empty() ? tool
                     : tool.at(json::string_view(own.substr(1))).get_object();
}

inline api_result<void> read_tool_choice(const json::value& v,
                                         std::string_view own,
                                         wanted_tools& w) {
  using choice = wanted_tools::choice;
  if (const auto* word = v.if_string()) {
    w.which = *word == "none"       ? choice::none
              : *word == "required" ? choice::required
                                    : choice::automatic;
    return {};
  }
  const std::string name = string_field(fields_of(v.get_object(), own), "name");
  const auto found = std::ranges::find(w.tools, name, &tool_description::name);
  if (found == w.tools.end()) {
    const std::string field = "tool_choice" + std::string(own) + ".name";
    return invalid_value(field, field + " is none of the tools");
  }
  w.which = choice::named;
  w.named = static_cast<std::size_t>(found - w.tools.begin());
  return {};
}

// Names go into texts, and so do arguments.
inline api_result<tool_call> read_function_call(const json::object& function,
                                                const std::string& at) {
  tool_call c{string_field(function, "name"), {}};
  const bool plain = std::ranges::all_of(
      c.name, [](char x) { return ascii::is_word(x) || x == '-'; });
  if (!plain) {
    return invalid_value(at + ".name", at + ".name is not made of A-Z, a-z, "
                                            "0-9, _ and -");
  }
  const json::value* arguments = find_field(function, "arguments");
  if (arguments == nullptr || arguments->is_object()) {  // Ollama's form
    c.arguments = arguments == nullptr ? "{}" : json::serialize(*arguments);
    return c;
  }
  c.arguments = arguments->get_string();
  // What others write where there are none.
  if (c.arguments.empty()) c.arguments = "{}";
  const auto value = parse_json(c.arguments, at + ".arguments",
                                {.max_bytes = c.arguments.size()});
  if (!value) return invalid_value(at + ".arguments", value.error().message);
  if (!value->is_object()) {
    return invalid_value(at + ".arguments",
                         at + ".arguments is not the text of a JSON object");
  }
  return c;
}

// The turns of a conversation in which tools were called.
class tool_turns {
 public:
  api_result<void> say(role who, std::string text) {
    TINYPHI_CHECK_OK(all_answered());
    messages_.push_back({who, std::move(text)});
    return {};
  }
  // `field` has the id. Calls between which nothing stands are of one turn,
  // which begins with what the first one's `said` is.
  api_result<void> call(tool_call c, const std::string& id,
                        const std::string& field,
                        const std::string& said = {}) {
    if (calls_.empty()) {
      TINYPHI_CHECK_OK(all_answered());
      said_ = said;
    }
    if (!open_.try_emplace(id, open_call{c.name, field}).second) {
      return invalid_value(field, field + " is that of another call, too");
    }
    calls_.push_back(std::move(c));
    return {};
  }
  api_result<void> result(const std::string& id, const std::string& text,
                          const std::string& field) {
    const auto found = open_.find(id);
    if (found == open_.end()) {
      return invalid_value(field, field +
                                      ": the assistant's last turn has no such "
                                      "call that lacks a result");
    }
    end_turn();
    messages_.push_back(result_turn(found->second.tool, text));
    open_.erase(found);
    return {};
  }
  // The id of the first call without a result, of that tool if one is named.
  [[nodiscard]] std::string first_open(std::string_view tool) const {
    const auto found = std::ranges::find_if(open_, [&](const auto& o) {
      return tool.empty() || o.second.tool == tool;
    });
    return found == open_.end() ? std::string() : found->first;
  }
  api_result<std::vector<message>> take() {
    TINYPHI_CHECK_OK(all_answered());
    return std::move(messages_);
  }

 private:
  struct open_call {
    std::string tool;
    std::string field;
  };

  [[nodiscard]] api_result<void> all_answered() const {
    if (open_.empty()) return {};
    const std::string& field = open_.begin()->second.field;
    return invalid_value(field,
                         field + ": the result of this call must follow it");
  }
  void end_turn() {
    if (calls_.empty()) return;
    message turn = call_turn(std::exchange(calls_, {}));
    if (!said_.empty()) turn.content.insert(0, said_ + "\n");
    messages_.push_back(std::move(turn));
  }

  std::vector<message> messages_;
  std::string said_;
  std::vector<tool_call> calls_;           // of a turn that has not ended
  std::map<std::string, open_call> open_;  // by id
};

inline api_error missing_field(const std::string& at) {
  api_error e = invalid_value(at, at + " is missing");
  e.code = "missing_required_parameter";
  return e;
}

inline role role_of(std::string_view name) {
  if (name == "system" || name == "developer") return role::system;
  return name == "assistant" ? role::assistant : role::user;
}

// The calls of a message; none, if it has none.
inline api_result<const json::array*> calls_of(const json::object& m,
                                               const std::string& at) {
  const json::value* calls = find_field(m, "tool_calls");
  if (calls == nullptr || calls->get_array().empty()) return nullptr;
  if (string_field(m, "role") != "assistant") {
    return invalid_value(at + ".tool_calls",
                         at + ".tool_calls: only an assistant calls tools");
  }
  return &calls->get_array();
}

inline api_result<void> add_message(tool_turns& turns, const json::object& m,
                                    const std::string& at) {
  const std::string name = string_field(m, "role");
  const json::value* content = find_field(m, "content");
  const std::string text = content == nullptr ? "" : joined_text(*content);
  if (name == "tool") {
    const std::string field = at + ".tool_call_id";
    const json::value* id = find_field(m, "tool_call_id");
    if (id == nullptr) return missing_field(field);
    return turns.result(std::string(id->get_string()), text, field);
  }
  TINYPHI_TRY(const json::array* calls, calls_of(m, at));
  if (calls == nullptr) return turns.say(role_of(name), text);
  for (std::size_t i = 0; i < calls->size(); ++i) {
    const json::object& o = (*calls)[i].get_object();
    const std::string here = at + ".tool_calls[" + std::to_string(i) + "]";
    TINYPHI_TRY(tool_call c, read_function_call(o.at("function").get_object(),
                                                here + ".function"));
    TINYPHI_CHECK_OK(
        turns.call(std::move(c), string_field(o, "id"), here + ".id", text));
  }
  return {};
}

inline api_error to_tools_error(const tool_fault& f, const wanted_tools& w) {
  const std::string field = f.of == tool_fault::part::list ? "tools"
                            : f.of == tool_fault::part::name
                                ? tool_field(f.tool, w.own, "name")
                                : tool_field(f.tool, w.own, "parameters");
  if (f.error.code == error_code::internal) return to_api_error(f.error);
  return invalid_value(field, field + ": " + f.error.message);
}

inline std::string tools_key(const wanted_tools& w) {
  std::string key;
  for (const tool_description& d : w.tools) {
    for (const std::string* s : {&d.name, &d.description, &d.parameters}) {
      key += std::to_string(s->size()) + ":" + *s;
    }
  }
  return key;
}

}  // namespace detail

TINYPHI_FUNC api_result<void> read_tools(const json::object& body,
                                         std::string_view own,
                                         answer_request& r) {
  const json::value* tools = find_field(body, "tools");
  const json::value* choice = find_field(body, "tool_choice");
  wanted_tools w;
  w.own = own;
  w.likeliest = find_field(body, "temperature") == nullptr;
  const json::array none;
  for (const json::value& tool : tools == nullptr ? none : tools->get_array()) {
    const json::object& f = detail::fields_of(tool.get_object(), own);
    const json::value* parameters = find_field(f, "parameters");
    tool_description d{string_field(f, "name"), string_field(f, "description")};
    if (parameters != nullptr) d.parameters = json::serialize(*parameters);
    if (bool_field(f, "strict", false) && parameters != nullptr) {
      TINYPHI_CHECK_OK(detail::check_strict(
          d.parameters, detail::tool_field(w.tools.size(), own, "parameters")));
    }
    w.tools.push_back(std::move(d));
  }
  if (choice != nullptr) {
    TINYPHI_CHECK_OK(detail::read_tool_choice(*choice, own, w));
  }
  if (!w.tools.empty()) {
    w.told = tools->get_array();
    if (choice != nullptr) w.told_choice = *choice;
    r.tools = std::move(w);
  } else if (w.which == wanted_tools::choice::required) {
    return invalid_value("tool_choice",
                         "tool_choice asks for a call, but there are no tools");
  }
  return {};
}

TINYPHI_FUNC api_result<std::vector<message>> read_tool_messages(
    const json::array& messages) {
  detail::tool_turns turns;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    TINYPHI_CHECK_OK(
        detail::add_message(turns, messages[i].get_object(),
                            "messages[" + std::to_string(i) + "]"));
  }
  return turns.take();
}

TINYPHI_FUNC std::string new_call_id() {
  constexpr std::string_view letters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  // 24 bits and more for each, of which the remainder is nearly even.
  const auto bits = random_bits<std::array<std::uint32_t, 24>>();
  std::string id = "call_";
  for (const std::uint32_t b : bits) id += letters[b % letters.size()];
  return id;
}

template <class T>
const T* tool_cache::recent<T>::find(const std::string& key) {
  const auto found = std::ranges::find(entries, key, &entry::key);
  if (found == entries.end()) return nullptr;
  entries.splice(entries.begin(), entries, found);
  return &entries.front().value;
}

template <class T>
void tool_cache::recent<T>::keep(entry e, std::size_t most,
                                 std::size_t most_bytes) {
  // Another thread may have made the same.
  std::erase_if(entries, [&](const entry& o) { return o.key == e.key; });
  entries.push_front(std::move(e));
  std::size_t bytes = 0, n = 0;
  const auto too_much = [&](const entry& o) {
    bytes += o.key.size() + o.bytes;
    return ++n > most || bytes > most_bytes;
  };
  const auto last = std::ranges::find_if(entries, too_much);
  entries.erase(last, entries.end());
}

TINYPHI_FUNC api_result<std::shared_ptr<const tool_set>> tool_cache::get(
    const engine& e, const wanted_tools& w) {
  std::string key = detail::tools_key(w);
  {
    const std::lock_guard lock(mutex_);
    if (const auto* known = sets_.find(key)) return *known;
  }
  const auto vocabulary = e.vocabulary();
  if (!vocabulary) return to_api_error(vocabulary.error());
  auto made = tool_set::create(*vocabulary, w.tools);
  if (!made) return detail::to_tools_error(made.error(), w);
  auto set = std::make_shared<const tool_set>(*std::move(made));
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < set->size(); ++i) {
    bytes += set->arguments(i).bytes();
  }
  const std::lock_guard lock(mutex_);
  sets_.keep({std::move(key), set, bytes}, max_sets, max_bytes);
  return set;
}

TINYPHI_FUNC std::optional<tool_cache::liking> tool_cache::find(
    const std::string& prompt) {
  const std::lock_guard lock(mutex_);
  const liking* known = likings_.find(prompt);
  if (known == nullptr) return std::nullopt;
  return *known;
}

TINYPHI_FUNC void tool_cache::keep(std::string prompt, liking l) {
  const std::size_t bytes = l.size() * sizeof(double);
  const std::lock_guard lock(mutex_);
  likings_.keep({std::move(prompt), std::move(l), bytes}, max_likings,
                max_liking_bytes);
}

TINYPHI_FUNC std::size_t tool_cache::size() const {
  const std::lock_guard lock(mutex_);
  return sets_.entries.size();
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_ANSWER_TOOLS_IPP_
