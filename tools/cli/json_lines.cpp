// SPDX-License-Identifier: MIT
#include "cli/json_lines.h"

#include <iostream>

#include "cli/terminal.h"
#include "exit_code.h"

namespace cli {

namespace {

namespace json = tinyphi::json;
using tinyphi::error;
using tinyphi::error_code;
using tinyphi::result;

constexpr std::size_t max_line_bytes = std::size_t{64} << 20;

enum class line_end { found, end_of_input, too_long };

// Reads a line without asking for more memory than a line may take.
line_end read_bounded_line(std::string& line) {
  line.clear();
  std::streambuf* in = std::cin.rdbuf();
  constexpr int end = std::char_traits<char>::eof();
  for (int c = in->sbumpc(); c != end; c = in->sbumpc()) {
    if (c == '\n') return line_end::found;
    if (line.size() == max_line_bytes) return line_end::too_long;
    line += static_cast<char>(c);
  }
  return line.empty() ? line_end::end_of_input : line_end::found;
}

error wrong(const char* key, const char* what) {
  return {error_code::bad_data,
          std::string("no \"") + key + "\" that is " + what};
}

}  // namespace

result<std::string> json_line::string(const char* key) const {
  const json::value* v = object_.if_contains(key);
  if (v == nullptr || !v->is_string()) return wrong(key, "a string");
  return std::string(v->get_string());
}

result<std::vector<std::string>> json_line::strings(const char* key) const {
  const json::value* v = object_.if_contains(key);
  if (v == nullptr || !v->is_array()) return wrong(key, "a list of strings");
  std::vector<std::string> all;
  for (const json::value& one : v->get_array()) {
    if (!one.is_string()) return wrong(key, "a list of strings");
    all.emplace_back(one.get_string());
  }
  return all;
}

int for_each_json_line(
    const std::function<result<std::string>(const json_line&)>& answer) {
  std::string line;
  for (std::size_t number = 1;; ++number) {
    const std::string where = "standard input: line " + std::to_string(number);
    const line_end end = read_bounded_line(line);
    if (end == line_end::end_of_input) return exit_done;
    if (end == line_end::too_long) {
      return fail({error_code::limit, where + " has more than " +
                                          std::to_string(max_line_bytes) +
                                          " bytes"});
    }
    if (line.empty()) continue;
    auto parsed = tinyphi::parse_json(line, where);
    if (!parsed) return fail(parsed.error());
    if (!parsed->is_object()) {
      return fail({error_code::bad_data, where + " is not an object"});
    }
    const auto out = answer(json_line(std::move(parsed->as_object())));
    if (!out) return fail(error(out.error()).within(where));
    print_line(*out);
  }
}

}  // namespace cli
