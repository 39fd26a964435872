// SPDX-License-Identifier: MIT
// The lines of JSON that go to a program and come back.
#ifndef TINYPHI_PLUGINS_PROCESS_TOOL_LINE_H_
#define TINYPHI_PLUGINS_PROCESS_TOOL_LINE_H_

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/process/exchange.h"
#include "tinyphi/base/json.h"
#include "tinyphi/base/utf8.h"
#include "tinyphi/pipeline/param_types.h"
#include "tinyphi/pipeline/stage.h"
#include "tinyphi/pipeline/value_json.h"

TINYPHI_NAMESPACE_BEGIN
namespace process {

inline constexpr std::size_t max_line_bytes = std::size_t{1} << 20;

using declared_ports = std::map<std::string, declared_port>;

namespace detail {

// Nothing, or why the value of a port is too long.
inline std::optional<std::string> too_long(const value_data& v,
                                           const declared_port& p) {
  if (!p.max_bytes) return std::nullopt;
  const auto most = static_cast<std::size_t>(*p.max_bytes);
  const auto* text = v.get<std::string>();
  if (text != nullptr ? text->size() <= most : json_text(v, most).has_value()) {
    return std::nullopt;
  }
  return "has more than " + std::to_string(most) + " bytes";
}

// Takes out what no text needs: control characters but for ends of lines and
// tabulators.
inline void clean(json::value& v) {
  if (auto* text = v.if_string()) {
    const auto is_bad = [](char c) {
      const auto u = static_cast<unsigned char>(c);
      return (u < 0x20 && c != '\n' && c != '\r' && c != '\t') || u == 0x7f;
    };
    text->erase(std::remove_if(text->begin(), text->end(), is_bad),
                text->end());
  } else if (auto* items = v.if_array()) {
    for (json::value& item : *items) clean(item);
  } else if (auto* members = v.if_object()) {
    for (auto& m : *members) clean(m.value());
  }
}

// One line of at most `most` bytes, as a person may read it.
inline std::string readable(std::string_view text, std::size_t most) {
  std::string line = to_valid_utf8(text);
  if (line.size() > most) {
    line.resize(complete_utf8_length(std::string_view(line).substr(0, most)));
  }
  hide_controls(line);
  return line;
}

// What the program itself calls an error.
inline error told_error(const json::value& told) {
  const auto* members = told.if_object();
  const auto text = [&](std::string_view key) -> std::string_view {
    const auto* v = members != nullptr ? members->if_contains(key) : nullptr;
    const auto* s = v != nullptr ? v->if_string() : nullptr;
    return s != nullptr ? std::string_view(s->data(), s->size())
                        : std::string_view();
  };
  constexpr error_code own[] = {
      error_code::invalid_argument, error_code::not_found, error_code::bad_data,
      error_code::unsupported,      error_code::io,        error_code::limit,
      error_code::unavailable,      error_code::exhausted};
  error e{error_code::io, readable(text("message"), 500)};
  for (const error_code code : own) {
    if (to_string(code) == text("code")) e.code = code;
  }
  if (e.message.empty()) e.message = "an error without a message";
  return std::move(e).within("says");
}

inline error no_answer(const program_output& output) {
  const auto& end = output.ending;
  const bool cpu = end.signal == SIGXCPU;
  if (cpu) {
    return error{error_code::limit,
                 "used up its processor time; allow more in with.sandbox.cpu"};
  }
  if (end.signal) {
    const char* const name = ::sigabbrev_np(*end.signal);
    return error{error_code::io,
                 "was ended by signal " + std::to_string(*end.signal) +
                     (name != nullptr ? " (SIG" + std::string(name) + ")"
                                      : std::string())};
  }
  return error{error_code::io, "ended with status " +
                                   std::to_string(end.status) +
                                   " and without an answer"};
}

inline error bad_answer(std::string why) {
  return error{error_code::bad_data, std::move(why)};
}

}  // namespace detail

// {"id":1,"in":{...},"deadline_ms":5000} and an end of line.
[[nodiscard]] inline result<std::string> question(const named_values& values,
                                                  const declared_ports& ports,
                                                  steady_time deadline) {
  const auto too_large = [](const std::string& name) {
    return error{error_code::limit, "in." + name +
                                        " makes the line for the "
                                        "program longer than " +
                                        std::to_string(max_line_bytes) +
                                        " bytes"};
  };
  std::string line = R"({"id":1,"in":{)";
  for (const auto& [name, v] : values) {
    if (const auto p = ports.find(name); p != ports.end()) {
      if (const auto why = detail::too_long(v.data, p->second)) {
        return error{error_code::limit, "in." + name + " " + *why};
      }
    }
    if (!line.ends_with('{')) line += ',';
    line += json::serialize(json::string_view(name)) + ':';
    if (line.size() > max_line_bytes) return too_large(name);
    const auto text = json_text(v.data, max_line_bytes - line.size());
    if (!text) return too_large(name);
    line += *text;
  }
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      deadline - std::chrono::steady_clock::now());
  line += R"(},"deadline_ms":)" +
          std::to_string(std::max<std::int64_t>(left.count(), 0)) + "}\n";
  return line;
}

// The outputs that a program has answered with.
[[nodiscard]] inline result<std::map<std::string, value_data>> answer_of(
    const program_output& output, const declared_ports& ports) {
  if (output.failed) return error(*output.failed);
  const std::string_view all = output.out;
  if (const auto at = find_invalid_utf8(all); at != std::string_view::npos) {
    return detail::bad_answer("its answer is not UTF-8 at byte " +
                              std::to_string(at));
  }
  if (all.empty()) return detail::no_answer(output);
  const std::size_t end = std::min(all.find('\n'), all.size());
  if (end + 1 < all.size()) {
    return detail::bad_answer(
        "wrote more than one line: behind its answer stands " +
        quote(detail::readable(all.substr(end + 1), 60)));
  }
  auto parsed = parse_json(all.substr(0, end), "its answer",
                           {.max_bytes = max_line_bytes});
  if (!parsed) return std::move(parsed).error();
  auto* members = parsed->if_object();
  const auto* id = members != nullptr ? members->if_contains("id") : nullptr;
  if (id == nullptr || !id->is_number() || id->to_number<double>() != 1) {
    return detail::bad_answer(
        "its answer is no object with the \"id\" of the question, which is 1");
  }
  auto* told = members->if_contains("error");
  auto* out = members->if_contains("out");
  if ((told != nullptr) == (out != nullptr) || members->size() != 2) {
    return detail::bad_answer(
        "its answer must have \"id\" and either \"out\" or \"error\", and "
        "nothing else");
  }
  if (told != nullptr) return detail::told_error(*told);
  // A program that fails after it has answered may not have done what it says.
  if (!output.was_ended && output.ending.is_known &&
      (output.ending.signal || output.ending.status != 0)) {
    auto e = detail::no_answer(output);
    if (!output.ending.signal) {
      e.message = "answered, and then ended with status " +
                  std::to_string(output.ending.status);
    }
    return e;
  }
  auto* values = out->if_object();
  if (values == nullptr) {
    return detail::bad_answer("\"out\" of its answer is no object");
  }
  detail::clean(*out);
  std::map<std::string, value_data> found;
  for (const auto& m : *values) {
    const std::string name(m.key());
    const auto p = ports.find(name);
    if (p == ports.end()) {
      return detail::bad_answer("its answer has " +
                                quote(detail::readable(name, 60)) +
                                ", which with.out does not name");
    }
    const value_data data = from_json(m.value());
    if (const auto why = find_misfit(data, p->second.type.type)) {
      return detail::bad_answer("out." + name + ": " + *why);
    }
    if (const auto why = detail::too_long(data, p->second)) {
      return error{error_code::limit, "out." + name + " " + *why};
    }
    found.emplace(name, conform(data, p->second.type.type));
  }
  for (const auto& p : ports) {
    if (found.contains(p.first)) continue;
    return detail::bad_answer("its answer lacks " + quote(p.first) +
                              ", which with.out names");
  }
  return found;
}

// The last line that a program has written about itself, without secrets.
[[nodiscard]] inline std::string last_words(
    std::string_view text, const std::vector<secret_text>& secrets) {
  constexpr std::size_t most = 200;
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  const std::size_t start = text.rfind('\n');
  if (start != std::string_view::npos) text.remove_prefix(start + 1);
  for (const secret_text& secret : secrets) {
    const std::string_view hidden = secret.reveal();
    if (!hidden.empty() && text.find(hidden) != std::string_view::npos) {
      return "(they have a secret)";
    }
  }
  return detail::readable(text, most);
}

}  // namespace process
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_PROCESS_TOOL_LINE_H_
