// SPDX-License-Identifier: MIT
// The values that travel between stages, and the trust labels they carry.
#ifndef TINYPHI_PIPELINE_VALUE_H_
#define TINYPHI_PIPELINE_VALUE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN

// How far a text may be believed: written by the pipeline's author, by the
// person who asks, or by somebody else (documents, tools). What comes out of a
// stage is as untrusted as the worst that went in.
enum class trust : std::uint8_t { trusted, user, untrusted };

[[nodiscard]] constexpr std::string_view to_string(trust t) {
  constexpr std::string_view names[] = {"trusted", "user", "untrusted"};
  return names[static_cast<std::size_t>(t)];
}
[[nodiscard]] constexpr trust join(trust a, trust b) { return std::max(a, b); }

// A passage that retrieval found.
struct document {
  std::string id;        // unique in its index, e.g. "reset.md#2"
  std::string source;    // the file it is from, relative to the indexed folder
  std::string title;     // of the whole document
  std::string locator;   // where in it: a heading path or a page
  std::size_t line = 0;  // where in the file, from 1; 0: not known
  std::string text;
  double score = 0;  // higher is better; comparable within one list only

  friend bool operator==(const document&, const document&) = default;
};
using documents = std::vector<document>;

// A sentence of an answer and the passage that supports it.
struct citation {
  std::string sentence;
  std::size_t number = 0;  // the passage's number in the prompt, from 1;
                           // 0: none supports it, and the rest is empty
  std::string id;
  std::string source;
  std::string title;
  std::string locator;
  std::size_t line = 0;
  std::string quote;   // the words of the passage that support the sentence
  double overlap = 0;  // share of the sentence's words found there, 0 to 1

  friend bool operator==(const citation&, const citation&) = default;
};
using citations = std::vector<citation>;

// A prompt as it reaches the tokenizer: pieces that know who wrote them. Only
// control segments, which come from a chat format, may hold control tokens.
struct prompt_segment {
  std::string text;
  trust label = trust::trusted;
  bool control = false;

  friend bool operator==(const prompt_segment&,
                         const prompt_segment&) = default;
};
struct labelled_prompt {
  std::vector<prompt_segment> segments;
  std::string model;       // the [model.x] it was laid out for
  std::size_t tokens = 0;  // as counted by that model's tokenizer; 0: unknown

  friend bool operator==(const labelled_prompt&,
                         const labelled_prompt&) = default;
};

// In the order of value_data's alternatives.
enum class value_type : std::uint8_t {
  text,
  boolean,
  integer,
  number,
  docs,
  cites,
  prompt
};

// The type's name in a pipeline file.
[[nodiscard]] constexpr std::string_view to_string(value_type t) {
  constexpr std::string_view names[] = {"text", "bool",      "int",   "float",
                                        "docs", "citations", "prompt"};
  return names[static_cast<std::size_t>(t)];
}

using value_data = std::variant<std::string, bool, std::int64_t, double,
                                documents, citations, labelled_prompt>;

struct value {
  value_data data;
  trust label = trust::trusted;

  [[nodiscard]] value_type type() const {
    return static_cast<value_type>(data.index());
  }
  // Null if the value is of another type.
  template <class T>
  [[nodiscard]] const T* get() const {
    return std::get_if<T>(&data);
  }

  friend bool operator==(const value&, const value&) = default;
};

// The value_type that holds a T.
template <class T, std::size_t I = 0>
[[nodiscard]] constexpr value_type type_of() {
  static_assert(I < std::variant_size_v<value_data>, "not a pipeline value");
  if constexpr (std::is_same_v<T, std::variant_alternative_t<I, value_data>>) {
    return static_cast<value_type>(I);
  } else {
    return type_of<T, I + 1>();
  }
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_VALUE_H_
