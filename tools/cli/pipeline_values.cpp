// SPDX-License-Identifier: MIT
#include "cli/pipeline.h"
#include "cli/terminal.h"
#include "tinyphi/pipeline/record.h"
#include "tinyphi/pipeline/value_json.h"

namespace cli {

namespace {

namespace json = tinyphi::json;

// "manual.md:12, Cleaning"
template <class T>
std::string place_of(const T& passage) {
  std::string place = passage.source;
  if (passage.line > 0) place += ":" + std::to_string(passage.line);
  if (!passage.locator.empty()) place += ", " + passage.locator;
  return place;
}

std::string text_of(const tinyphi::document& d) {
  return place_of(d) + ":\n  " + d.text + "\n";
}

std::string text_of(const tinyphi::citation& c) {
  if (c.number == 0) return "[?] unsupported: " + c.sentence + "\n";
  return "[" + std::to_string(c.number) + "] " + place_of(c) + ": \"" +
         c.quote + "\"\n";
}

std::string text_of(const tinyphi::labelled_prompt& p) {
  std::string out;
  for (const tinyphi::prompt_segment& s : p.segments) out += s.text;
  return out;
}

template <class Record>
std::string lines_of(const std::vector<Record>& records) {
  std::string out;
  for (const Record& r : records) out += text_of(r);
  return out;
}

}  // namespace

std::string to_text(const tinyphi::value_data& v) {
  if (const auto* text = v.get<std::string>()) return *text;
  if (const auto* p = v.get<tinyphi::labelled_prompt>()) return text_of(*p);
  if (const auto d = tinyphi::read_as<tinyphi::documents>(v)) {
    return lines_of(*d);
  }
  if (const auto c = tinyphi::read_as<tinyphi::citations>(v)) {
    return lines_of(*c);
  }
  return json::serialize(to_json(v));
}

json::object outputs_to_json(const tinyphi::run_result& r) {
  json::object outputs;
  for (const auto& [name, value] : r.outputs) {
    outputs[name] = to_json(value.data);
  }
  return outputs;
}

}  // namespace cli
