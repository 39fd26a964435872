// SPDX-License-Identifier: MIT
#include "plugins/table/table_read.h"
#include "support/run_stage.h"
#include "support/temp_folder.h"
#include "support/test.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

// The rows as JSON, or "CODE: MESSAGE".
std::string shown(const result<std::vector<value_data>>& rows) {
  if (rows)
    return json::serialize(to_json(value_data(value_data::list(*rows))));
  return std::string(to_string(rows.error().code)) + ": " +
         rows.error().message;
}
std::string csv(std::string_view text, std::size_t max_rows = 9) {
  return shown(tables::read_csv(text, max_rows));
}
std::string lines(std::string_view text) {
  return shown(tables::read_json_lines(text, 2));
}

}  // namespace

TEST_CASE("a table of CSV is read as RFC 4180 has it") {
  CHECK(csv("") == "[]");
  CHECK(csv("a,b\r\n") == "[]");
  CHECK(csv("\xEF\xBB\xBF"
            "a,b\n1,\n,2") == R"([{"a":"1","b":""},{"a":"","b":"2"}])");
  CHECK(csv("a,b\r\n\"x,\"\"y\"\"\r\nz\",\"\"\r\n") ==
        R"([{"a":"x,\"y\"\r\nz","b":""}])");
  CHECK(csv("a\n\n") == R"([{"a":""}])");
}

TEST_CASE("a broken line of CSV is told by its number") {
  CHECK(csv("a,b\n1,2\n3\n") == "bad_data: line 3: 1 fields, the header has 2");
  CHECK(csv("a\n\"x\ny\"\n1,2") ==
        "bad_data: line 4: 2 fields, the header has 1");
  CHECK(csv("a\nx\"y") == "bad_data: line 2: a quote inside a plain field");
  CHECK(csv("a\n1\n\"x\ny\n") == "bad_data: line 3: a quote is never closed");
  CHECK(csv("a\n\"x\"y") == "bad_data: line 2: text behind a closing quote");
  CHECK(csv("a,a") == "bad_data: line 1: two columns 'a'");
  CHECK(csv("a,\n1,2") ==
        "bad_data: line 1: the name of a column has 0 bytes, allowed are 1 to "
        "64");
  CHECK(csv(std::string(65, 'x')).starts_with("bad_data: line 1: the name"));
  CHECK(csv(std::string(256, ',')) == "bad_data: line 1: more than 256 fields");
  CHECK(csv("a\n1\n2\n", 1) == "limit: more than 1 rows of 1 fields");
}

TEST_CASE("JSON lines are values, one a line") {
  CHECK(lines("{\"a\":1}\n\n[2]\r\n") == R"([{"a":1},[2]])");
  CHECK(lines("1\n2\n3") == "limit: more than 2 rows");
  CHECK_THAT(lines("1\n{\n"), Catch::StartsWith("bad_data: line 2: "));
}

TEST_CASE("table.read knows a format by its name, below [allow].read") {
  const temp_folder folder;
  folder.write("in/t.csv", "a\n1\n");
  folder.write("in/t.jsonl", "7\n");
  folder.write("in/t.txt", "a\n1\n");
  folder.write("t.csv", "a\n1\n");
  host h({}, folder.path(), {}, {}, {{folder.path() / "in"}, {}});
  using kind = table_read_stage::config::kind;
  const auto read = [&](const std::string& name, kind format) {
    const table_read_stage stage({format}, {}, h);
    auto out = run_stage(stage, {{name}});
    if (!out) return shown(std::move(out).error());
    CHECK(out->count == static_cast<std::int64_t>(out->rows.size()));
    return shown(out->rows);
  };
  CHECK(read("in/t.csv", kind::by_name) == R"([{"a":"1"}])");
  CHECK(read("in/t.jsonl", kind::by_name) == "[7]");
  CHECK(read("in/t.txt", kind::csv) == R"([{"a":"1"}])");
  CHECK(read("in/t.txt", kind::by_name) ==
        "unsupported: file 'in/t.txt' ends in neither .csv nor .jsonl; give "
        "with.format");
  CHECK_THAT(read("in/t.csv", kind::jsonl),
             Catch::StartsWith("bad_data: file 'in/t.csv': line 1: "));
  CHECK(read("t.csv", kind::by_name) ==
        "invalid_argument: file 't.csv' lies in no folder of [allow].read");
}
