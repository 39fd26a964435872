// SPDX-License-Identifier: MIT
// Runs the nodes of a template; bounded in steps and output.
#ifndef TINYPHI_PLUGINS_PROMPT_TEMPLATE_RENDER_IPP_
#define TINYPHI_PLUGINS_PROMPT_TEMPLATE_RENDER_IPP_

#include <utf8proc.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "plugins/prompt/template.h"
#include "tinyphi/base/error.h"
#include "tinyphi/base/json.h"
#include "tinyphi/base/plain_text.h"
#include "tinyphi/base/utf8.h"

TINYPHI_NAMESPACE_BEGIN
namespace prompts {
namespace detail {

// A computed value: text, or what a condition can test.
struct datum {
  std::variant<std::monostate, std::string, std::int64_t, double, bool,
               std::span<const document>>
      data;
  trust label = trust::trusted;
  bool is_default = false;  // default() gave it

  [[nodiscard]] bool truth() const {
    return std::visit(
        [](const auto& x) {
          using T = std::decay_t<decltype(x)>;
          if constexpr (std::is_same_v<T, std::monostate>) {
            return false;
          } else if constexpr (std::is_arithmetic_v<T>) {
            return x != T{};
          } else {
            return !x.empty();
          }
        },
        data);
  }
  [[nodiscard]] std::string text() const {
    return std::visit(
        [](const auto& x) -> std::string {
          using T = std::decay_t<decltype(x)>;
          if constexpr (std::is_same_v<T, std::string>) {
            return x;
          } else if constexpr (std::is_same_v<T, bool>) {
            return x ? "true" : "false";
          } else if constexpr (std::is_same_v<T, std::int64_t>) {
            return std::to_string(x);
          } else if constexpr (std::is_same_v<T, double>) {
            return plain_number(x, 12);
          } else {
            return {};
          }
        },
        data);
  }
};

template <class MapCharacter>
std::string map_characters(std::string_view text, MapCharacter map) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const utf8_char c = decode_utf8(text.substr(i));
    append_utf8(out, static_cast<char32_t>(
                         map(static_cast<utf8proc_int32_t>(c.code_point))));
    i += c.length;
  }
  return out;
}

inline std::string first_lines(std::string_view text, std::size_t n) {
  std::size_t end = 0;
  for (; n > 0 && end < text.size(); --n) {
    const std::size_t newline = text.find('\n', end);
    if (newline == std::string_view::npos) return std::string(text);
    end = newline + (n > 1 ? 1 : 0);
  }
  return std::string(text.substr(0, end));
}

inline datum apply(const filter& f, datum x) {
  switch (f.kind) {
    case filter_kind::trim: {
      const std::string text = x.text();
      const std::size_t begin = text.find_first_not_of(" \t\r\n");
      const std::size_t end = text.find_last_not_of(" \t\r\n") + 1;
      x.data = begin == std::string::npos ? std::string()
                                          : text.substr(begin, end - begin);
      break;
    }
    case filter_kind::lower:
      x.data = map_characters(x.text(), utf8proc_tolower);
      break;
    case filter_kind::upper:
      x.data = map_characters(x.text(), utf8proc_toupper);
      break;
    case filter_kind::json:
      x.data = json::serialize(json::value(x.text()));
      break;
    case filter_kind::lines:
      x.data = first_lines(x.text(), f.count);
      break;
    case filter_kind::fallback:
      if (!x.truth()) x = {f.text, trust::trusted, true};
      break;
    case filter_kind::length: {
      const auto* list = std::get_if<std::span<const document>>(&x.data);
      x.data = static_cast<std::int64_t>(list != nullptr ? list->size()
                                                         : x.text().size());
      break;
    }
  }
  return x;
}

class renderer {
 public:
  renderer(const bindings& values, bool control,
           std::vector<prompt_template::printed_value>* printed)
      : values_(values), control_(control), printed_(printed) {}

  result<void> run(const std::vector<node>& nodes) {
    for (const node& n : nodes) {
      TINYPHI_CHECK_OK(step());
      TINYPHI_CHECK_OK(run(n));
    }
    return {};
  }

  [[nodiscard]] std::vector<prompt_segment> take() && {
    return std::move(segments_);
  }

 private:
  struct loop_state {
    std::string_view name;
    std::span<const document> items;
    std::size_t index = 0;
  };

  result<void> step() {
    if (++steps_ <= prompt_template::max_steps) return {};
    return error{error_code::limit,
                 "the template takes more than " +
                     std::to_string(prompt_template::max_steps) + " steps"};
  }

  result<void> run(const node& n) {
    switch (n.what) {
      case node::kind::text:
        return put(n.text, trust::trusted, control_);
      case node::kind::print: {
        const datum x = evaluate(n.value);
        std::string text = x.text();
        TINYPHI_CHECK_OK(put(text, x.label, false));
        if (printed_ != nullptr && loops_.empty() && !x.is_default &&
            n.value.from == operand::source::variable) {
          printed_->push_back({n.value.name, std::move(text)});
        }
        return {};
      }
      case node::kind::loop:
        return run_loop(n);
      case node::kind::branch:
        for (const arm& a : n.arms) {
          if (a.is_else || holds(a.when)) return run(a.body);
        }
    }
    return {};
  }

  result<void> run_loop(const node& n) {
    const datum list = evaluate(n.value);
    const auto* items = std::get_if<std::span<const document>>(&list.data);
    if (items == nullptr) return {};
    loops_.push_back({n.text, *items});
    for (std::size_t i = 0; i < items->size(); ++i) {
      TINYPHI_CHECK_OK(step());
      loops_.back().index = i;
      TINYPHI_CHECK_OK(run(n.arms[0].body));
    }
    loops_.pop_back();
    return {};
  }

  [[nodiscard]] bool holds(const condition& c) const {
    switch (c.what) {
      case condition::kind::truth:
        return evaluate(c.operands[0]).truth();
      case condition::kind::equal:
        return evaluate(c.operands[0]).text() == evaluate(c.operands[1]).text();
      case condition::kind::unequal:
        return evaluate(c.operands[0]).text() != evaluate(c.operands[1]).text();
      case condition::kind::negation:
        return !holds(c.parts[0]);
      case condition::kind::both:
        for (const condition& part : c.parts) {
          if (!holds(part)) return false;
        }
        return true;
      case condition::kind::either:
        for (const condition& part : c.parts) {
          if (holds(part)) return true;
        }
    }
    return false;
  }

  [[nodiscard]] datum evaluate(const operand& o) const {
    datum x = plain(o);
    for (const filter& f : o.filters) x = apply(f, std::move(x));
    return x;
  }

  [[nodiscard]] datum plain(const operand& o) const {
    switch (o.from) {
      case operand::source::text:
        return {o.text, trust::trusted};
      case operand::source::number:
        return {o.number, trust::trusted};
      case operand::source::variable: {
        const auto it = values_.find(o.name);
        if (it == values_.end()) return {};
        datum x{{}, it->second.label};
        std::visit(
            [&](const auto& v) {
              using T = std::decay_t<decltype(v)>;
              if constexpr (std::is_same_v<T, std::string_view>) {
                x.data = std::string(v);
              } else {
                x.data = v;
              }
            },
            it->second.data);
        return x;
      }
      case operand::source::loop:
        return {loop_field(loops_.back(), o.field), trust::trusted};
      case operand::source::field:
        for (const loop_state& l : loops_) {
          if (l.name == o.name) return item_field(l.items[l.index], o.field);
        }
    }
    return {};
  }

  static std::variant<std::monostate, std::string, std::int64_t, double, bool,
                      std::span<const document>>
  loop_field(const loop_state& l, std::string_view field) {
    const auto index = static_cast<std::int64_t>(l.index);
    if (field == "index") return index + 1;
    if (field == "index0") return index;
    if (field == "first") return l.index == 0;
    if (field == "last") return l.index + 1 == l.items.size();
    return static_cast<std::int64_t>(l.items.size());
  }

  // Documents come from outside, whatever the label of their list.
  static datum item_field(const document& d, std::string_view field) {
    if (field == "score") return {d.score, trust::untrusted};
    const std::string& text = field == "id"        ? d.id
                              : field == "source"  ? d.source
                              : field == "title"   ? d.title
                              : field == "locator" ? d.locator
                                                   : d.text;
    return {text, trust::untrusted};
  }

  result<void> put(const std::string& text, trust label, bool control) {
    if (text.size() > prompt_template::max_output - n_bytes_) {
      return error{error_code::limit,
                   "the prompt is longer than " +
                       std::to_string(prompt_template::max_output) + " bytes"};
    }
    n_bytes_ += text.size();
    if (text.empty()) return {};
    if (!segments_.empty() && segments_.back().label == label &&
        segments_.back().control == control) {
      segments_.back().text += text;
    } else {
      segments_.push_back({text, label, control});
    }
    return {};
  }

  const bindings& values_;
  bool control_;
  std::vector<prompt_template::printed_value>* printed_;
  std::vector<loop_state> loops_;
  std::vector<prompt_segment> segments_;
  std::size_t steps_ = 0;
  std::size_t n_bytes_ = 0;
};

}  // namespace detail

inline prompt_template::beginning prompt_template::constant_beginning() const {
  if (nodes_.empty()) return {{}, true};
  const detail::node& first = nodes_.front();
  if (first.what != detail::node::kind::text) return {};
  return {first.text, nodes_.size() == 1};
}

inline result<std::vector<prompt_segment>> prompt_template::render(
    const bindings& values, bool control,
    std::vector<printed_value>* printed) const {
  detail::renderer r(values, control, printed);
  TINYPHI_CHECK_OK(r.run(nodes_));
  return std::move(r).take();
}

}  // namespace prompts
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_PROMPT_TEMPLATE_RENDER_IPP_
