// SPDX-License-Identifier: MIT
// tinyphi explain: what the code of a diagnostic means, and what to do.
#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"
#include "cli/explain_pages.h"
#include "cli/terminal.h"
#include "exit_code.h"
#include "tinyphi/base/json.h"
#include "tinyphi/pipeline/diagnostic.h"

namespace cli {

namespace {

namespace json = tinyphi::json;
using tinyphi::named_fault;

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
                   (hint.empty() ? "; tinyphi explain lists all" : hint)});
}

int explain(const explain_options& o) {
  if (o.code.empty()) return list_codes(o.as_json);
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
  CLI::App* command =
      add_command(app, "explain", "explain the code of a fault in a file",
                  "tinyphi explain TP2007");
  auto o = std::make_shared<explain_options>();
  command->add_option("code", o->code,
                      "the code, or its name; without one: list all codes");
  command->add_flag("--json", o->as_json,
                    "one JSON object with the page, or an array of all codes");
  command->final_callback([o, &run] { run = [o] { return explain(*o); }; });
}

}  // namespace cli
