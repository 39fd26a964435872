// SPDX-License-Identifier: MIT
#include <type_traits>
#include <variant>

#include "cli/pipeline.h"
#include "cli/terminal.h"

namespace cli {

namespace {

namespace json = tinyphi::json;

std::string text_of(const std::string& s) { return s; }
std::string text_of(bool b) { return b ? "true" : "false"; }
std::string text_of(std::int64_t n) { return std::to_string(n); }
std::string text_of(double x) { return json::serialize(json::value(x)); }

// "manual.md:12, Cleaning"
template <class T>
std::string place_of(const T& passage) {
  std::string place = passage.source;
  if (passage.line > 0) place += ":" + std::to_string(passage.line);
  if (!passage.locator.empty()) place += ", " + passage.locator;
  return place;
}

std::string text_of(const tinyphi::documents& docs) {
  std::string out;
  for (const tinyphi::document& d : docs) {
    out += place_of(d) + ":\n  " + d.text + "\n";
  }
  return out;
}

std::string text_of(const tinyphi::citations& citations) {
  std::string out;
  for (const tinyphi::citation& c : citations) {
    if (c.number == 0) {
      out += "[?] unsupported: " + c.sentence + "\n";
    } else {
      out += "[" + std::to_string(c.number) + "] " + place_of(c) + ": \"" +
             c.quote + "\"\n";
    }
  }
  return out;
}

std::string text_of(const tinyphi::labelled_prompt& p) {
  std::string out;
  for (const tinyphi::prompt_segment& s : p.segments) out += s.text;
  return out;
}

}  // namespace

std::string to_text(const tinyphi::value_data& v) {
  return std::visit([](const auto& data) { return text_of(data); }, v);
}

}  // namespace cli
