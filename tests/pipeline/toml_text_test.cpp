// SPDX-License-Identifier: MIT
#include "tinyphi/pipeline/toml_text.h"

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "support/effort.h"
#include "support/test.h"
#include "tinyphi/pipeline/toml_file.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

config_node tree_of(const std::string& text) {
  std::vector<diagnostic> faults;
  const auto tree = parse_toml(text, "a file", faults);
  INFO(text);
  INFO(to_string(faults, "t.toml"));
  REQUIRE(tree.has_value());
  return *tree;
}

std::string spelled(const config_node& node) {
  std::string out;
  spell(node, out);
  return out;
}

}  // namespace

TEST_CASE("trees written as TOML are read as the same trees") {
  for (const std::string text : {
           R"(a = "\u0000\u001f\u007f\u0085 \r\n\t\b\f\"\\'")",
           "a = '''\n\n it's\n'''",
           "a = \"ends in '\\n'\"",
           "a = \"three ''' and\\nmore\"",
           "a = '\"'",
           "a = 'C:\\x'",
           "a = [1, 1.0, 1e300, -0.0, inf, -inf, true, [], {}, [[]]]",
           "\"\" = 1\n\"a b\".'c\"d' = { \"e.f\" = 1 }",
           "[a]\nz = 1\ny = { x = 1 }\nb.c.d = 2\n[a.e]\n[[f]]\n[[f]]\ng = 1",
           "[a.z]\n[a.b]\n[a.y.x]\nq = \"1\\n2\"",
           "a = {}\nb = [{}, {}]",
           "a = [{ b = [{ c = \"1\\n2\" }] }, 3]",
       }) {
    const config_node tree = tree_of(text);
    const std::string written = to_toml(tree);
    INFO(written);
    const config_node again = tree_of(written);
    CHECK(to_toml(again) == written);
    // Tables come behind the other members of the root.
    if (text[0] == 'a') CHECK(spelled(again) == spelled(tree));
  }
}

TEST_CASE("any text is a TOML string, in one line and in several") {
  std::mt19937 random(7);
  const std::string_view parts[] = {"'", "''",   "\"",   "\\", "\n", "\r", "\t",
                                    "x", "\x01", "\x7f", "é",  "$",  "#"};
  std::uniform_int_distribution<std::size_t> any(0, std::size(parts) - 1);
  for (int round = 0; round < effort(2000, 200); ++round) {
    std::string text;
    for (std::size_t n = any(random); n > 0; --n) text += parts[any(random)];
    config_node node;
    node.data = text;
    const config_node root{config_table{{"k", {}, node}}, {}, {}};
    const std::string written = to_toml(root);
    INFO(written);
    CHECK(*tree_of(written).find("k")->value.get<std::string>() == text);
    CHECK(toml_string(text).find('\n') == std::string::npos);
  }
}
