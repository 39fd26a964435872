// SPDX-License-Identifier: MIT
// The values that travel between stages, and the trust labels they carry.
// What a value may hold is said by its type (type.h); C++ structs become
// values and back by record.h.
#ifndef TINYPHI_PIPELINE_VALUE_H_
#define TINYPHI_PIPELINE_VALUE_H_

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
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
  // The exact tokens, where those of the joined segments would be more than
  // was proven; usually empty.
  std::vector<std::int32_t> ids = {};

  friend bool operator==(const labelled_prompt&,
                         const labelled_prompt&) = default;
};

// What a value holds, without its label: JSON's kinds, and prompts. It never
// changes, and a copy shares the texts, lists and records of the original, so
// that it costs no more than a counter.
class value_data {
 public:
  struct member;
  using list = std::vector<value_data>;
  // Members in the order of their type, no name twice.
  using record = std::vector<member>;

  value_data() = default;  // null, which only values of JSON can be
  template <std::same_as<bool> B>
  value_data(B b) : data_(b) {}
  template <std::integral N>
  requires(!std::same_as<N, bool>) value_data(N n)
      : data_(static_cast<std::int64_t>(n)) {}
  value_data(double x) : data_(x) {}
  value_data(std::string text) : data_(share(std::move(text))) {}
  value_data(std::string_view text) : value_data(std::string(text)) {}
  value_data(const char* text) : value_data(std::string(text)) {}
  value_data(list items) : data_(share(std::move(items))) {}
  value_data(record members);
  value_data(labelled_prompt prompt) : data_(share(std::move(prompt))) {}

  // Null if the data is of another kind. T is bool, std::int64_t, double,
  // std::string, list, record or labelled_prompt.
  template <class T>
  [[nodiscard]] const T* get() const {
    if constexpr (std::is_arithmetic_v<T>) {
      return std::get_if<T>(&data_);
    } else {
      const auto* shared = std::get_if<std::shared_ptr<const T>>(&data_);
      return shared == nullptr ? nullptr : shared->get();
    }
  }
  [[nodiscard]] bool is_null() const { return data_.index() == 0; }
  // An integer counts as a number; nothing else does.
  [[nodiscard]] std::optional<double> number() const {
    if (const auto* n = get<std::int64_t>()) return static_cast<double>(*n);
    if (const auto* x = get<double>()) return *x;
    return std::nullopt;
  }
  // A member of a record; null if there is none, or if this is no record.
  [[nodiscard]] const value_data* find(std::string_view name) const;

  // What it shares with its copies; null for null, booleans and numbers.
  [[nodiscard]] const void* payload() const {
    return std::visit(
        []<class T>(const T& x) -> const void* {
          if constexpr (requires { x.get(); }) {
            return x.get();
          } else {
            return nullptr;
          }
        },
        data_);
  }
  // Of memory, what the payload takes without the values in it.
  [[nodiscard]] std::size_t own_bytes() const;

  // Equal in depth; an integer never equals a number.
  friend bool operator==(const value_data& a, const value_data& b);

 private:
  template <class T>
  static std::shared_ptr<const T> share(T x) {
    return std::make_shared<const T>(std::move(x));
  }

  std::variant<std::monostate, bool, std::int64_t, double,
               std::shared_ptr<const std::string>, std::shared_ptr<const list>,
               std::shared_ptr<const record>,
               std::shared_ptr<const labelled_prompt>>
      data_;
};

struct value_data::member {
  std::string name;
  value_data value;

  friend bool operator==(const member&, const member&) = default;
};

inline value_data::value_data(record members)
    : data_(share(std::move(members))) {}

inline const value_data* value_data::find(std::string_view name) const {
  const record* r = get<record>();
  if (r == nullptr) return nullptr;
  const auto it = std::ranges::find(*r, name, &member::name);
  return it == r->end() ? nullptr : &it->value;
}

inline std::size_t value_data::own_bytes() const {
  constexpr std::size_t counters = 2 * sizeof(void*);  // of a shared_ptr
  if (const auto* text = get<std::string>()) {
    return counters + sizeof(std::string) + text->size();
  }
  if (const auto* items = get<list>()) {
    return counters + sizeof(list) + items->size() * sizeof(value_data);
  }
  if (const auto* members = get<record>()) {
    return counters + sizeof(record) + members->size() * sizeof(member);
  }
  const auto* prompt = get<labelled_prompt>();
  if (prompt == nullptr) return 0;
  std::size_t n = counters + sizeof(labelled_prompt) +
                  prompt->ids.size() * sizeof(std::int32_t);
  for (const prompt_segment& s : prompt->segments) {
    n += sizeof(prompt_segment) + s.text.size();
  }
  return n;
}

inline bool operator==(const value_data& a, const value_data& b) {
  if (a.data_.index() != b.data_.index()) return false;
  return std::visit(
      [&]<class T>(const T& x) {
        const T& y = *std::get_if<T>(&b.data_);
        if constexpr (requires { *x; }) {
          return x == y || *x == *y;
        } else {
          return x == y;
        }
      },
      a.data_);
}

struct value {
  value_data data;
  trust label = trust::trusted;

  // Null if the value is of another kind.
  template <class T>
  [[nodiscard]] const T* get() const {
    return data.get<T>();
  }

  friend bool operator==(const value&, const value&) = default;
};

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_VALUE_H_
