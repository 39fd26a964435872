// SPDX-License-Identifier: MIT
#include <type_traits>
#include <variant>

#include "cli/pipeline.h"
#include "cli/terminal.h"

namespace cli {

namespace {

namespace json = tinyphi::json;

json::value json_of(const std::string& s) { return json::string_view(s); }
json::value json_of(bool b) { return b; }
json::value json_of(std::int64_t n) { return n; }
json::value json_of(double x) { return x; }

json::value json_of(const tinyphi::documents& docs) {
  json::array out;
  for (const tinyphi::document& d : docs) {
    out.push_back({{"id", d.id},
                   {"source", d.source},
                   {"title", d.title},
                   {"locator", d.locator},
                   {"line", d.line},
                   {"text", d.text},
                   {"score", d.score}});
  }
  return out;
}

json::value json_of(const tinyphi::citations& citations) {
  json::array out;
  for (const tinyphi::citation& c : citations) {
    out.push_back({{"sentence", c.sentence},
                   {"number", c.number},
                   {"id", c.id},
                   {"source", c.source},
                   {"title", c.title},
                   {"locator", c.locator},
                   {"line", c.line},
                   {"quote", c.quote},
                   {"overlap", c.overlap}});
  }
  return out;
}

json::value json_of(const tinyphi::labelled_prompt& p) {
  json::array segments;
  for (const tinyphi::prompt_segment& s : p.segments) {
    segments.push_back({{"text", s.text},
                        {"trust", json::string_view(to_string(s.label))},
                        {"control", s.control}});
  }
  return {{"segments", std::move(segments)},
          {"model", p.model},
          {"tokens", p.tokens}};
}

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
      out += "[?] no passage says: " + c.sentence + "\n";
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

json::value to_json(const tinyphi::value_data& v) {
  return std::visit([](const auto& data) { return json_of(data); }, v);
}

std::string to_text(const tinyphi::value_data& v) {
  return std::visit([](const auto& data) { return text_of(data); }, v);
}

}  // namespace cli
