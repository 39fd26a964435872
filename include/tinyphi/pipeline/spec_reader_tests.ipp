// SPDX-License-Identifier: MIT
// The part of spec_reader that reads [[test]].
#ifndef TINYPHI_PIPELINE_SPEC_READER_TESTS_IPP_
#define TINYPHI_PIPELINE_SPEC_READER_TESTS_IPP_

#include "tinyphi/pipeline/spec_reader.h"
#include "tinyphi/pipeline/spec_reader.ipp"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC void spec_reader::read_tests() {
  const config_member* tests = root_->find("test");
  if (tests == nullptr) return;
  const auto* list = tests->value.get<config_array>();
  if (list == nullptr) {
    return report(fault::wrong_type, tests->value.at,
                  "test is " + std::string(tests->value.kind()) +
                      "; each test begins with [[test]]");
  }
  if (!check_size(list->size(), tests->at, "[[test]]")) return;
  for (const config_node& node : *list) read_test(node);
}

TINYPHI_FUNC void spec_reader::read_test(const config_node& node) {
  test_spec test;
  test.at = node.at;
  if (node.get<config_table>() == nullptr) {
    return report(fault::wrong_type, node.at,
                  "a test is " + std::string(node.kind()) +
                      "; each test begins with [[test]]");
  }
  const auto* name =
      optional_key<std::string>(node, "name", "a test", "a string");
  if (name == nullptr || name->empty()) {
    if (name != nullptr || node.find("name") == nullptr) {
      report(fault::missing_key, node.at,
             "a test: name is missing, it says what the test shows");
    }
    return;
  }
  test.name = *name;
  const std::string where = "test " + quote(test.name);
  for (const test_spec& other : spec_.tests) {
    if (other.name != test.name) continue;
    return report(fault::defined_twice, node.at,
                  where + ": the test on line " +
                      std::to_string(other.at.line) + " has that name, too");
  }
  check_keys(node, where, key_table::test);
  optional_key<std::string>(node, "doc", where, "a string");
  if (const auto tags = read_texts(node, "tags", where)) {
    for (const config_node* tag : *tags) {
      test.tags.push_back(*tag->get<std::string>());
    }
  }
  const auto take = [&](std::string_view key, std::optional<config_node>& out) {
    if (optional_key<config_table>(node, key, where, "a table")) {
      out = node.find(key)->value;
    }
  };
  take("input", test.input);
  take("fake", test.fake);
  take("script", test.script);
  const auto take_names = [&](std::string_view key, auto& out) {
    const auto names = read_texts(node, key, where);
    if (!names) return;
    for (const config_node* id : *names) {
      out.push_back({*id->get<std::string>(), false, id->at});
    }
  };
  take_names("only", test.only);
  take_names("approve", test.approve);
  if (const auto expect = read_texts(node, "expect", where)) {
    for (const config_node* e : *expect) test.expect.push_back(*e);
  }
  if (const auto values = read_texts(node, "snapshot", where)) {
    for (const config_node* v : *values) test.snapshot.push_back(*v);
  }
  read_test_trace(node, where, test);
  if (test.expect.empty() && test.snapshot.empty()) {
    report(fault::missing_key, node.at,
           where + ": expect is missing, so the test could not fail");
  }
  read_test_runs(node, where, test);
  spec_.tests.push_back(std::move(test));
}

TINYPHI_FUNC void spec_reader::read_test_trace(const config_node& node,
                                               const std::string& where,
                                               test_spec& test) {
  const auto* name = optional_key<std::string>(node, "trace", where,
                                               "a string, the name of a file");
  if (name == nullptr) return;
  if (name->empty() || name->find('\0') != std::string::npos) {
    return report(fault::out_of_range, node.find("trace")->value.at,
                  where + ": trace must be the name of a file");
  }
  if (const config_member* input = node.find("input")) {
    return report(fault::keys_conflict, input->at,
                  where +
                      ": input and trace exclude each other; a trace has the "
                      "inputs of its request");
  }
  test.trace = (base_dir_ / *name).lexically_normal();
  test.trace_at = node.find("trace")->value.at;
}

TINYPHI_FUNC void spec_reader::read_test_runs(const config_node& node,
                                              const std::string& where,
                                              test_spec& test) {
  if (const auto mode = read_choice(node, "mode", where,
                                    key_words(key_table::test, "mode"))) {
    test.with_model = *mode == 1;
  }
  const config_member* runs = node.find("runs");
  if (runs == nullptr) return;
  if (!test.with_model) {
    report(fault::keys_conflict, runs->at,
           where +
               ": runs needs mode = \"model\"; with fakes each run is the "
               "same");
    return;
  }
  if (!check_table(*runs, where + ".runs", key_table::runs)) return;
  if (const auto n =
          read_integer(runs->value, "times", where + ".runs", 1, 100)) {
    test.times = static_cast<std::size_t>(*n);
  }
  test.pass = test.times;
  if (const auto n = read_integer(runs->value, "pass", where + ".runs", 1,
                                  static_cast<std::int64_t>(test.times))) {
    test.pass = static_cast<std::size_t>(*n);
  }
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_SPEC_READER_TESTS_IPP_
