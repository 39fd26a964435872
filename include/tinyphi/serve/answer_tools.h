// SPDX-License-Identifier: MIT
// Tools that a client lets an answer call: what its request says of them, and
// what a model has made of such requests.
#ifndef TINYPHI_SERVE_ANSWER_TOOLS_H_
#define TINYPHI_SERVE_ANSWER_TOOLS_H_

#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tinyphi/base/json.h"
#include "tinyphi/generate/tool_calls.h"
#include "tinyphi/serve/answer_request.h"
#include "tinyphi/serve/api_error.h"

TINYPHI_NAMESPACE_BEGIN

// `tools` and `tool_choice` of a checked body go into r.tools. `own` is what
// leads from a tool to its fields: ".function", or nothing where they stand
// beside its type.
[[nodiscard]] api_result<void> read_tools(const json::object& body,
                                          std::string_view own,
                                          answer_request& r);

// The messages of a checked chat, with calls and their results as text. Every
// result must answer a call of the assistant's last turn, and every call must
// have one before anybody else speaks.
[[nodiscard]] api_result<std::vector<message>> read_tool_messages(
    const json::array& messages);

// "call_" and 24 letters and digits that nobody can guess.
[[nodiscard]] std::string new_call_id();

// The tools that a model's requests had last, and how the model likes their
// labels anyway. Any thread; they are made on the thread that asks.
class tool_cache {
 public:
  static constexpr std::size_t max_sets = 16;
  static constexpr std::size_t max_bytes = std::size_t{32} << 20;
  static constexpr std::size_t max_likings = 64;
  static constexpr std::size_t max_liking_bytes = std::size_t{4} << 20;

  using liking = std::vector<double>;

  // The error names the tool's field, and of a schema the pointer.
  [[nodiscard]] api_result<std::shared_ptr<const tool_set>> get(
      const engine& e, const wanted_tools& w);
  // `prompt` is that of an empty question, and whose it is.
  [[nodiscard]] std::optional<liking> find(const std::string& prompt);
  void keep(std::string prompt, liking l);
  [[nodiscard]] std::size_t size() const;

 private:
  // What was used last is first.
  template <class T>
  struct recent {
    struct entry {
      std::string key;
      T value;
      std::size_t bytes;
    };
    std::list<entry> entries = {};

    const T* find(const std::string& key);
    void keep(entry e, std::size_t most, std::size_t most_bytes);
  };

  mutable std::mutex mutex_;
  recent<std::shared_ptr<const tool_set>> sets_;
  recent<liking> likings_;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/answer_tools.ipp"
#endif

#endif  // TINYPHI_SERVE_ANSWER_TOOLS_H_
