// SPDX-License-Identifier: MIT
// C++ structs as records of the language: a struct lists its fields once, and
// stages take and give it as it is.
//
//   struct place {
//     std::string file;
//     std::int64_t line = 0;
//     static constexpr std::string_view type_name = "place";
//     static constexpr auto fields() {
//       return std::tuple{record_field("file", &place::file),
//                         record_field("line", &place::line)};
//     }
//   };
#ifndef TINYPHI_PIPELINE_RECORD_H_
#define TINYPHI_PIPELINE_RECORD_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "tinyphi/pipeline/type.h"
#include "tinyphi/pipeline/value.h"

TINYPHI_NAMESPACE_BEGIN

template <class Record, class T>
struct record_field_row {
  std::string_view name;
  T Record::*member;
};
template <class Record, class T>
[[nodiscard]] constexpr record_field_row<Record, T> record_field(
    std::string_view name, T Record::*member) {
  return {name, member};
}

template <class T>
concept record_struct = requires {
  { T::type_name } -> std::convertible_to<std::string_view>;
  T::fields();
};

// How a C++ type is written in the language: its type, and the way to data and
// back. from_data expects data of that type.
template <class T>
struct data_traits;

template <class T>
[[nodiscard]] type type_of() {
  return data_traits<T>::type();
}
template <class T>
[[nodiscard]] value_data to_data(T x) {
  return data_traits<T>::to_data(std::move(x));
}
template <class T>
[[nodiscard]] T from_data(const value_data& data) {
  return data_traits<T>::from_data(data);
}

// As from_data, of any data; nothing if it is not of that type.
template <class T>
[[nodiscard]] std::optional<T> read_as(const value_data& data) {
  if (find_misfit(data, type_of<T>())) return std::nullopt;
  return from_data<T>(data);
}

namespace detail {

template <class T, type_kind Kind>
struct plain_traits {
  static tinyphi::type type() { return Kind; }
  static value_data to_data(T x) { return value_data(std::move(x)); }
  static T from_data(const value_data& data) { return *data.get<T>(); }
};

}  // namespace detail

template <>
struct data_traits<std::string>
    : detail::plain_traits<std::string, type_kind::text> {};
template <>
struct data_traits<bool> : detail::plain_traits<bool, type_kind::boolean> {};
template <>
struct data_traits<std::int64_t>
    : detail::plain_traits<std::int64_t, type_kind::integer> {};
template <>
struct data_traits<labelled_prompt>
    : detail::plain_traits<labelled_prompt, type_kind::prompt> {};

// The name of a file that came as data.
struct file_name {
  std::string name;
};
template <>
struct data_traits<file_name> {
  static tinyphi::type type() { return type_kind::file; }
  static value_data to_data(file_name x) { return std::move(x.name); }
  static file_name from_data(const value_data& data) {
    return {*data.get<std::string>()};
  }
};

// A place that the author or the operator wrote, or a stage made of one.
struct written_path {
  std::string name;
};
template <>
struct data_traits<written_path> {
  static tinyphi::type type() { return type_kind::path; }
  static value_data to_data(written_path x) { return std::move(x.name); }
  static written_path from_data(const value_data& data) {
    return {*data.get<std::string>()};
  }
};

template <>
struct data_traits<double> : detail::plain_traits<double, type_kind::number> {
  static double from_data(const value_data& data) { return *data.number(); }
};

// Any JSON.
template <>
struct data_traits<value_data> {
  static tinyphi::type type() { return type_kind::json; }
  static value_data to_data(value_data x) { return x; }
  static value_data from_data(const value_data& data) { return data; }
};

template <class T>
struct data_traits<std::vector<T>> {
  static tinyphi::type type() {
    return tinyphi::type::list_of(data_traits<T>::type());
  }
  static value_data to_data(std::vector<T> items) {
    value_data::list out;
    out.reserve(items.size());
    for (auto&& item : items) {
      out.push_back(data_traits<T>::to_data(std::move(item)));
    }
    return value_data(std::move(out));
  }
  static std::vector<T> from_data(const value_data& data) {
    std::vector<T> out;
    for (const value_data& item : *data.get<value_data::list>()) {
      out.push_back(data_traits<T>::from_data(item));
    }
    return out;
  }
};

template <record_struct T>
struct data_traits<T> {
  static tinyphi::type type() {
    std::vector<tinyphi::type::field> fields;
    const auto add = [&]<class M>(const record_field_row<T, M>& row) {
      fields.push_back({std::string(row.name), data_traits<M>::type()});
    };
    std::apply([&](const auto&... row) { (add(row), ...); }, T::fields());
    return tinyphi::type::record_of(std::string(T::type_name),
                                    std::move(fields));
  }
  static value_data to_data(T x) {
    value_data::record out;
    const auto add = [&]<class M>(const record_field_row<T, M>& row) {
      out.push_back({std::string(row.name),
                     data_traits<M>::to_data(std::move(x.*row.member))});
    };
    std::apply([&](const auto&... row) { (add(row), ...); }, T::fields());
    return value_data(std::move(out));
  }
  // Members may come in any order, as in JSON.
  static T from_data(const value_data& data) {
    T out;
    const auto take = [&]<class M>(const record_field_row<T, M>& row) {
      out.*row.member = data_traits<M>::from_data(*data.find(row.name));
    };
    std::apply([&](const auto&... row) { (take(row), ...); }, T::fields());
    return out;
  }
};

// The records that the language knows by name.

// A passage that retrieval found.
struct document {
  std::string id;         // unique in its index, e.g. "reset.md#2"
  std::string source;     // the file it is from, relative to the indexed folder
  std::string title;      // of the whole document
  std::string locator;    // where in it: a heading path or a page
  std::int64_t line = 0;  // where in the file, from 1; 0: not known
  std::string text;
  double score = 0;  // higher is better; comparable within one list only

  static constexpr std::string_view type_name = "document";
  static constexpr auto fields() {
    return std::tuple{record_field("id", &document::id),
                      record_field("source", &document::source),
                      record_field("title", &document::title),
                      record_field("locator", &document::locator),
                      record_field("line", &document::line),
                      record_field("text", &document::text),
                      record_field("score", &document::score)};
  }
  friend bool operator==(const document&, const document&) = default;
};
using documents = std::vector<document>;

// A sentence of an answer and the passage that supports it.
struct citation {
  std::string sentence;
  std::int64_t number = 0;  // the passage's number in the prompt, from 1;
                            // 0: none supports it, and the rest is empty
  std::string id;
  std::string source;
  std::string title;
  std::string locator;
  std::int64_t line = 0;
  std::string quote;   // the words of the passage that support the sentence
  double overlap = 0;  // share of the sentence's words found there, 0 to 1

  static constexpr std::string_view type_name = "citation";
  static constexpr auto fields() {
    return std::tuple{record_field("sentence", &citation::sentence),
                      record_field("number", &citation::number),
                      record_field("id", &citation::id),
                      record_field("source", &citation::source),
                      record_field("title", &citation::title),
                      record_field("locator", &citation::locator),
                      record_field("line", &citation::line),
                      record_field("quote", &citation::quote),
                      record_field("overlap", &citation::overlap)};
  }
  friend bool operator==(const citation&, const citation&) = default;
};
using citations = std::vector<citation>;

// What a guard says of a text. A guard that cannot tell says that it is
// blocked.
struct verdict {
  bool blocked = true;
  std::string rule;    // the id of the rule that blocked it; empty: none
  std::string reason;  // in words, without the text itself

  static constexpr std::string_view type_name = "verdict";
  static constexpr auto fields() {
    return std::tuple{record_field("blocked", &verdict::blocked),
                      record_field("rule", &verdict::rule),
                      record_field("reason", &verdict::reason)};
  }
  friend bool operator==(const verdict&, const verdict&) = default;
};

// A turn of a conversation; `message` in the language.
struct chat_message {
  std::string role;  // "system", "user", "assistant", "tool"
  std::string content;

  static constexpr std::string_view type_name = "message";
  static constexpr auto fields() {
    return std::tuple{record_field("role", &chat_message::role),
                      record_field("content", &chat_message::content)};
  }
  friend bool operator==(const chat_message&, const chat_message&) = default;
};

// A call of a tool that a model made; `call` in the language.
struct made_call {
  std::string tool;
  value_data args;      // a record
  std::string outcome;  // "done", "denied", or the code of an error
  std::string result;   // as the model was told it

  static constexpr std::string_view type_name = "call";
  static constexpr auto fields() {
    return std::tuple{record_field("tool", &made_call::tool),
                      record_field("args", &made_call::args),
                      record_field("outcome", &made_call::outcome),
                      record_field("result", &made_call::result)};
  }
  friend bool operator==(const made_call&, const made_call&) = default;
};

// An item of `each` that failed where the others go on.
struct failure {
  std::int64_t index = 0;  // of the item, from 0
  std::string code;        // of the error
  std::string message;

  static constexpr std::string_view type_name = "failure";
  static constexpr auto fields() {
    return std::tuple{record_field("index", &failure::index),
                      record_field("code", &failure::code),
                      record_field("message", &failure::message)};
  }
  friend bool operator==(const failure&, const failure&) = default;
};

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_RECORD_H_
