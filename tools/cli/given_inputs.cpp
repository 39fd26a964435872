// SPDX-License-Identifier: MIT
#include "cli/given_inputs.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "cli/terminal.h"
#include "tinyphi/base/mapped_file.h"
#include "tinyphi/base/utf8.h"
#include "tinyphi/pipeline/value_json.h"

namespace cli {

namespace {

using tinyphi::error;
using tinyphi::error_code;
using tinyphi::input_spec;
using tinyphi::quote;
using tinyphi::result;

error wrong(std::string message) {
  return {error_code::invalid_argument, std::move(message)};
}

result<const input_spec*> find_input(const tinyphi::graph& g,
                                     std::string_view name) {
  const auto it = std::ranges::find(g.inputs, name, &input_spec::name);
  if (it != g.inputs.end()) return &*it;
  std::vector<std::string_view> names;
  for (const input_spec& i : g.inputs) names.push_back(i.name);
  return wrong("no input " + quote(name) + tinyphi::did_you_mean(name, names));
}

// What helps whoever named a file that cannot be read.
std::string_view advice(error_code code) {
  switch (code) {
    case error_code::not_found:
      return "; a text that begins with @ is written with @@";
    case error_code::invalid_argument:
      return "; name a file, or give - and pipe the text in";
    case error_code::limit:
      return "; max_bytes of the input says how many";
    default:
      return "";
  }
}

bool is_text(const input_spec& input) {
  return input.type.is(tinyphi::type_kind::text);
}

result<std::string> read_text(const input_spec& input,
                              const std::string& file) {
  const std::size_t most =
      is_text(input)
          ? input.max_bytes
          : std::max(input.max_bytes, tinyphi::request_limits{}.text);
  auto text = file == "-" ? read_stdin(most) : tinyphi::read_file(file, most);
  if (!text) {
    error e = std::move(text).error();
    e.message += advice(e.code);
    return e;
  }
  if (const std::size_t at = tinyphi::find_invalid_utf8(*text);
      at != std::string::npos) {
    return error{error_code::bad_data,
                 (file == "-" ? "standard input" : file) + ": byte " +
                     std::to_string(at) +
                     " is not UTF-8; iconv -f LATIN1 -t UTF-8 turns a text of "
                     "Western Europe into it"};
  }
  // A text is as the file has it; the line end behind a number is not its part.
  if (!is_text(input) && text->ends_with('\n')) text->pop_back();
  if (!is_text(input) && text->ends_with('\r')) text->pop_back();
  return *std::move(text);
}

// The file that a value stands for: "-" is standard input. Nothing: it is a
// text itself.
std::optional<std::string> file_of(const std::string& value) {
  if (value == "-") return value;
  if (!value.starts_with('@') || value.starts_with("@@")) return std::nullopt;
  return value.substr(1);
}

}  // namespace

result<tinyphi::input_values> given_inputs(
    const tinyphi::graph& g, const std::vector<std::string>& given) {
  tinyphi::input_values values;
  std::string reads_stdin;  // the input that does
  for (const std::string& one : given) {
    const auto equals = one.find('=');
    if (equals == std::string::npos) {
      return wrong("--input " + one +
                   ": not of the form NAME=TEXT, NAME=@FILE or NAME=-");
    }
    const std::string name = one.substr(0, equals);
    std::string text = one.substr(equals + 1);
    TINYPHI_TRY(const input_spec* input, find_input(g, name));
    if (values.contains(name))
      return wrong("--input " + name + ": given twice");
    const std::string where = "input " + name;
    if (const auto file = file_of(text)) {
      if (file->empty()) {
        return wrong(where +
                     ": no file is named behind @; a text that begins "
                     "with @ is written with @@");
      }
      if (*file == "-" && !reads_stdin.empty()) {
        return wrong(where + ": standard input is read once, and input " +
                     reads_stdin + " has it; give one of them as @FILE");
      }
      if (*file == "-") reads_stdin = name;
      auto read = read_text(*input, *file);
      if (!read) return std::move(read).error().within(where);
      text = *std::move(read);
    } else if (text.starts_with("@@")) {
      text.erase(0, 1);
    }
    TINYPHI_TRY(auto value, parse_input(g, name, text));
    values.emplace(name, std::move(value));
  }
  return values;
}

result<tinyphi::input_values> request_inputs(
    const tinyphi::graph& g, const tinyphi::json::object& request,
    const tinyphi::input_values& shared) {
  tinyphi::input_values values = shared;
  for (const auto& [key, v] : request) {
    const std::string name(key);
    TINYPHI_TRY(const input_spec* input, find_input(g, name));
    if (shared.contains(name)) {
      return wrong("input " + name +
                   ": -i gives it to all requests; leave it "
                   "out here or there");
    }
    TINYPHI_TRY(auto value, check_input(*input, tinyphi::from_json(v)));
    values.emplace(name, std::move(value));
  }
  for (const input_spec& i : g.inputs) {
    if (i.default_value || i.optional || values.contains(i.name)) continue;
    return wrong("input " + i.name + " (" + to_string(i.type) + ") is missing");
  }
  return values;
}

}  // namespace cli
