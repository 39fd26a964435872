// SPDX-License-Identifier: MIT
// tinyphi explain: what the code of a diagnostic means, and what to do.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/command.h"
#include "cli/explain_pages.h"
#include "cli/terminal.h"
#include "exit_code.h"
#include "tinyphi/base/json.h"
#include "tinyphi/pipeline/diagnostic.h"
#include "tinyphi/pipeline/key_rows.h"

namespace cli {

namespace {

namespace json = tinyphi::json;
using tinyphi::key_table;
using tinyphi::language_key;
using tinyphi::named_fault;
using tinyphi::value_shape;

struct explain_options {
  std::string code;  // or its name; empty: all
  bool as_json = false;
};

json::object to_json(const named_fault& f) {
  return {{"code", to_string(f.code)},
          {"name", f.name},
          {"severity", to_string(severity_of(f.code))}};
}

int list_codes(bool as_json) {
  json::array all;
  for (const named_fault& f : tinyphi::named_faults) {
    if (as_json) {
      all.push_back(to_json(f));
    } else {
      print_line(to_string(f.code) + "  " + std::string(f.name));
    }
  }
  if (as_json) print_line(json::serialize(all));
  return exit_done;
}

// "text or table", "one of fail, collect", "int from 1 to 64"
std::string shape_text(const language_key& k) {
  constexpr std::pair<value_shape, std::string_view> names[] = {
      {value_shape::text, "text"},
      {value_shape::boolean, "bool"},
      {value_shape::integer, "int"},
      {value_shape::number, "number"},
      {value_shape::duration, "duration"},
      {value_shape::size, "size"},
      {value_shape::reference, "reference"},
      {value_shape::texts, "list of text"},
      {value_shape::references, "list of references"},
      {value_shape::table, "table"},
      {value_shape::tables, "list of tables"},
      {value_shape::any_table, "table"},
      {value_shape::any_tables, "list of tables"},
      {value_shape::any, "any value"}};
  std::string text;
  for (const auto& [shape, name] : names) {
    if (!has(k.shape, shape)) continue;
    if (!text.empty()) text += " or ";
    text += shape == value_shape::text && !k.words.empty()
                ? "one of " + std::string(k.words)
                : std::string(name);
    if (shape == value_shape::integer && k.high != language_key::unbounded) {
      text += " from " + std::to_string(static_cast<std::int64_t>(k.low)) +
              " to " + std::to_string(static_cast<std::int64_t>(k.high));
    }
  }
  return text + (k.required ? ", required" : "");
}

// All tables, or one.
int explain_keys(key_table only, bool as_json) {
  json::array all;
  key_table last = key_table::none;
  for (const language_key& k : tinyphi::language_keys) {
    if (k.shape == value_shape::none) continue;
    if (only != key_table::none && k.table != only) continue;
    const std::string name(k.name.empty() ? "NAME" : k.name);
    if (as_json) {
      all.push_back({{"table", json::string_view(title_of(k.table))},
                     {"key", name},
                     {"value", shape_text(k)},
                     {"required", k.required},
                     {"doc", json::string_view(k.doc)}});
      continue;
    }
    if (k.table != last) {
      print_line((last == key_table::none ? "" : "\n") +
                 std::string(title_of(k.table)));
    }
    last = k.table;
    print_line("  " + padded(name, 12) + "  " + std::string(k.doc) + " (" +
               shape_text(k) + ")");
  }
  if (as_json) print_line(json::serialize(all));
  return exit_done;
}

// The table that is meant by "stage", "[stage]", "stage.repeat"; none if there
// is no such.
key_table table_called(std::string_view name) {
  const auto plain = [](std::string_view title) {
    std::string out;
    for (const char c : title) {
      if (c != '[' && c != ']') out += c;
    }
    if (const std::size_t at = out.find(".NAME"); at != std::string::npos) {
      out.erase(at, 5);
    }
    return out;
  };
  const std::string wanted = plain(name);
  key_table found = key_table::none;
  for (const language_key& k : tinyphi::language_keys) {
    // [stage.NAME] comes behind [stage], and has more to say.
    if (plain(title_of(k.table)) == wanted) found = k.table;
  }
  return found;
}

int no_such_code(const std::string& found, const std::string& code) {
  std::vector<std::string> codes;
  for (const named_fault& f : tinyphi::named_faults) {
    codes.push_back(to_string(f.code));
  }
  std::vector<std::string_view> known(codes.begin(), codes.end());
  std::string hint = tinyphi::did_you_mean(code, known);
  if (hint.empty()) {
    known.clear();
    for (const named_fault& f : tinyphi::named_faults) known.push_back(f.name);
    hint = tinyphi::did_you_mean(found, known);
  }
  return fail({tinyphi::error_code::not_found,
               "no code " + tinyphi::quote(found) +
                   (hint.empty() ? "; tinyphi explain lists all, and tinyphi "
                                   "explain keys what a file may have"
                                 : hint)});
}

int explain(const explain_options& o) {
  if (o.code.empty()) return list_codes(o.as_json);
  if (o.code == "keys") return explain_keys(key_table::none, o.as_json);
  if (const key_table table = table_called(o.code); table != key_table::none) {
    return explain_keys(table, o.as_json);
  }
  std::string code = o.code;
  for (char& c : code) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  const auto fault =
      std::ranges::find_if(tinyphi::named_faults, [&](const named_fault& f) {
        return to_string(f.code) == code || f.name == o.code;
      });
  if (fault == std::end(tinyphi::named_faults)) {
    return no_such_code(o.code, code);
  }
  code = to_string(fault->code);
  const auto page =
      std::ranges::find(explain_pages(), code, &explain_page::code);
  if (page == explain_pages().end()) {
    return fail({tinyphi::error_code::internal, code + " has no page"});
  }
  if (o.as_json) {
    json::object out = to_json(*fault);
    out["page"] = page->text;
    print_line(json::serialize(out));
  } else {
    print_line(code + " " + std::string(fault->name) + " (" +
               std::string(to_string(severity_of(fault->code))) + ")\n");
    print(page->text);
  }
  return exit_done;
}

}  // namespace

void add_explain(CLI::App& app, action& run) {
  CLI::App* command = add_command(
      app, "explain", "explain the code of a fault, or the keys of a file",
      "tinyphi explain TP2007");
  auto o = std::make_shared<explain_options>();
  command->add_option("code", o->code,
                      "the code, or its name; `keys` for all that a file may "
                      "have, or the name of a table such as `stage` or "
                      "`stage.repeat`; without one: list all codes");
  command->add_flag(
      "--json", o->as_json,
      "one JSON object with the page, or an array of all codes, or "
      "of keys");
  command->final_callback([o, &run] { run = [o] { return explain(*o); }; });
}

}  // namespace cli
