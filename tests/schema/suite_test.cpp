// SPDX-License-Identifier: MIT
// The JSON Schema Test Suite on keywords of the profile. What differs is listed
// with its reason in exceptions.txt, and each line there must still be true.
#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "support/test.h"
#include "tinyphi/schema/schema_check.h"

using namespace tinyphi;

namespace {

std::ifstream open_data(const char* name) {
  return std::ifstream(tinyphi_test::data_dir() / "schema" / name);
}

std::set<std::string> read_exceptions() {
  std::set<std::string> lines;
  auto file = open_data("exceptions.txt");
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && line[0] != '#') lines.insert(line);
  }
  return lines;
}

// What the suite's group says otherwise than tinyphi does, a line each.
void run_group(const std::string& line, std::set<std::string>& differs,
               std::size_t& n_tests) {
  const auto group = json_tree::read(line);
  REQUIRE_OK(group);
  const auto text = [&](json_tree::node n) {
    return std::string(group->text(n));
  };
  const std::string name = text(group->find(0, "group"));
  const auto s = schema::read(text(group->find(0, "schema")));
  if (!s) {
    const auto code = static_cast<unsigned>(s.error()[0].code);
    differs.insert("refused TP" + std::to_string(code) + " " + name);
    return;
  }
  const auto tests = group->find(0, "tests");
  for (auto t = group->first(tests); t != group->none; t = group->next(t)) {
    const auto title = group->first(t), value = group->next(title);
    const bool valid = group->is_true(group->next(value));
    const auto faults = check_text(*s, text(value));
    INFO(name);
    REQUIRE_OK(faults);
    ++n_tests;
    if (faults->empty() != valid) {
      differs.insert((valid ? "rejected " : "accepted ") + name + " | " +
                     text(title));
    }
  }
}

}  // namespace

TEST_CASE("the JSON Schema Test Suite is passed but for what is listed") {
  std::set<std::string> differs;
  std::size_t n_groups = 0, n_tests = 0;
  auto file = open_data("suite.jsonl");
  for (std::string line; std::getline(file, line); ++n_groups) {
    run_group(line, differs, n_tests);
  }
  CHECK(n_groups == 276);
  CHECK(n_tests == 1116);
  const std::set<std::string> listed = read_exceptions();
  std::string new_ones, old_ones;
  for (const auto& d : differs) {
    if (!listed.contains(d)) new_ones += d + "\n";
  }
  for (const auto& l : listed) {
    if (!differs.contains(l)) old_ones += l + "\n";
  }
  CHECK(new_ones == "");
  CHECK(old_ones == "");
}
