// SPDX-License-Identifier: MIT
#include "plugins/table/table_write.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <random>
#include <thread>

#include "plugins/table/table_read.h"
#include "support/effort.h"
#include "support/run_stage.h"
#include "support/temp_folder.h"
#include "support/test.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

using config = table_write_stage::config;
using rows = std::vector<value_data>;
constexpr auto append = files::write_mode::append;
constexpr auto replace = files::write_mode::replace;

rows parse(std::string_view text) {
  const auto parsed = parse_json(text, "rows");
  REQUIRE_OK(parsed);
  return *from_json(*parsed).get<value_data::list>();
}

std::string content(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string shown(const error& e) {
  return std::string(to_string(e.code)) + ": " + e.message;
}

// How many rows were written, or "CODE: MESSAGE".
std::string write(config c, rows in, const type& row = type_kind::json,
                  stop_condition stop = {}) {
  host h = no_models();
  call_facts call;
  call.types["rows"] = type::list_of(row);
  const table_write_stage stage(std::move(c), call, h);
  const auto out = run_stage(stage, {std::move(in)}, std::move(stop));
  return out ? std::to_string(out->rows) : shown(out.error());
}

// What check says of the parameters.
std::string faults(config c, const type& row) {
  host h = no_models();
  call_facts call;
  call.types["rows"] = type::list_of(row);
  std::string all;
  for (const auto& f : table_write_stage::check(c, call, h).faults) {
    all += (all.empty() ? "" : "; ") + f.param + ": " + f.message;
  }
  return all;
}

type reading() {
  return type::record_of(
      "reading", {{"sensor", type_kind::text}, {"celsius", type_kind::number}});
}

}  // namespace

TEST_CASE("table.write has the columns of a type, of the first row, or given") {
  const temp_folder folder;
  const auto file = folder.path() / "t.csv";
  const auto all = parse(R"([{"sensor":"p1","celsius":91.5},
                             {"celsius":-3,"sensor":"p2"}])");
  CHECK(write({.path = file}, all, reading()) == "2");
  CHECK(content(file) == "sensor,celsius\np1,91.5\np2,-3\n");
  CHECK(write({.path = file, .mode = replace},
              parse(R"([{"b":true,"a":null},{"a":[1,{"x":"y"}]}])")) == "2");
  CHECK(content(file) == "b,a\ntrue,\n,\"[1,{\"\"x\"\":\"\"y\"\"}]\"\n");
  CHECK(write({.path = file, .mode = replace, .columns = {"c", "a"}},
              parse(R"([{"a":1,"b":2,"c":0.1},["=1+1",9007199254740993]])")) ==
        "2");
  CHECK(content(file) == "c,a\n0.1,1\n=1+1,9007199254740993\n");
  CHECK(write({.path = file, .mode = replace}, {}, reading()) == "0");
  CHECK(content(file) == "sensor,celsius\n");
  CHECK(write({.path = file, .mode = replace}, {}) == "0");
  CHECK(content(file).empty());
}

TEST_CASE("table.write writes JSON lines, whole or some members") {
  const temp_folder folder;
  const auto file = folder.path() / "t.jsonl";
  const auto all = parse(R"([{"b":"x\ny","a":1},{"a":2,"c":null}])");
  CHECK(write({.path = file}, all) == "2");
  CHECK(write({.path = file}, parse("[7]")) == "1");
  CHECK(content(file) ==
        "{\"b\":\"x\\ny\",\"a\":1}\n{\"a\":2,\"c\":null}\n7\n");
  CHECK(write({.path = file, .mode = replace, .columns = {"a", "b"}}, all) ==
        "2");
  CHECK(content(file) == "{\"a\":1,\"b\":\"x\\ny\"}\n{\"a\":2}\n");
}

TEST_CASE("rows that do not fit their columns leave no file") {
  const temp_folder folder;
  const auto refuse = [&](std::string_view all,
                          std::vector<std::string> columns = {}) {
    const auto file = folder.path() / "t.csv";
    const std::string what =
        write({.path = file, .columns = std::move(columns)}, parse(all));
    CHECK(!std::filesystem::exists(file));
    return what;
  };
  CHECK(refuse(R"([["x"]])") ==
        "invalid_argument: row 0: a list names no columns; give with.columns");
  CHECK(refuse("[{}]") ==
        "invalid_argument: row 0: is empty; give with.columns");
  CHECK(refuse(R"([["x","y"],["x"]])", {"a", "b"}) ==
        "invalid_argument: row 1: 1 cells for the 2 columns 'a', 'b'; a value "
        "that is absent is left out of a list");
  CHECK(refuse(R"([{"a":1},"x"])") ==
        "invalid_argument: row 1: a text, it must be a record, an object or a "
        "list of cells");
  CHECK(refuse(R"([{"":1}])") ==
        "invalid_argument: row 0: the name of a column has 0 bytes, allowed "
        "are 1 to 64; give with.columns");
  value_data::record wide;
  for (int i = 0; i < 257; ++i) wide.push_back({"c" + std::to_string(i), i});
  const auto file = folder.path() / "t.csv";
  CHECK(write({.path = file}, {value_data(wide)}) ==
        "invalid_argument: row 0: 257 columns, at most 256 are allowed; give "
        "with.columns");
  const rows large(9, value_data(value_data::record{
                          {"a", std::string(std::size_t{1} << 20, 'x')}}));
  CHECK(write({.path = file}, large)
            .starts_with("limit: the lines up to row 7 have 8388616 bytes, "
                         "allowed are 8388608"));
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("rows are appended to a file with their columns only") {
  const temp_folder folder;
  const auto file = folder.write("t.csv", "a,b\r\n1,2");
  const auto add = [&](std::string_view all,
                       std::vector<std::string> columns = {}) {
    return write({.path = file, .columns = std::move(columns)}, parse(all));
  };
  CHECK(add(R"([{"b":"4","a":"3"}])") == "1");
  CHECK(content(file) == "a,b\r\n1,2\n3,4\n");
  CHECK(add("[]") == "0");
  const std::string before = content(file);
  const std::string others =
      "invalid_argument: " + file.string() +
      ": has the columns 'a', 'b', these rows have 'b', 'a'; nothing was "
      "written, choose another file or give with.columns";
  CHECK(add(R"([["4","3"]])", {"b", "a"}) == others);
  CHECK_THAT(add(R"([{"a":1,"b":2,"c":3}])"), Catch::Contains("'a', 'b', 'c'"));
  CHECK(content(file) == before);
  // What a row lacks is an empty cell, also where the file has it.
  CHECK(add(R"([{"b":"5"},{}])") == "2");
  CHECK(content(file) == before + ",5\n,\n");
  folder.write("t.csv", "a,\"b");
  CHECK(add(R"([{"a":1}])") ==
        "bad_data: " + file.string() + ": line 1: a quote is never closed");
  folder.write("t.csv", "\xEF\xBB\xBF");
  CHECK_THAT(add(R"([{"a":1}])"), Catch::Contains("these rows have 'a'"));
  CHECK(write({.path = folder.path() / "no/t.csv"}, parse(R"([{"a":1}])"))
            .starts_with("not_found: "));
}

TEST_CASE("what table.write writes table.read reads: hostile cells") {
  const temp_folder folder;
  const auto file = folder.path() / "t.csv";
  std::mt19937 random(7);
  const auto below = [&](std::size_t n) { return random() % n; };
  const std::string_view pieces[] = {
      "\"", ",",    "\n", "\r",   "\r\n",         "=1+1",
      "+",  "-",    "@",  "\x01", "\x1b",         " ",
      "\t", "",     "a",  "'",    "\xEF\xBB\xBF", "\\",
      ";",  "\x7f", "%",  "\v",   "\u00E9",       "\u202E"};
  const auto any_text = [&] {
    std::string text;
    for (std::size_t n = below(6); n > 0; --n) {
      text += pieces[below(std::size(pieces))];
    }
    if (below(8) == 0) text += '\0';
    return text;
  };
  host h({}, folder.path(), {}, {}, {{folder.path()}, {}});
  const table_read_stage reader({}, {}, h);
  for (int round = 0; round < sweep_rounds(300, 20000); ++round) {
    std::vector<std::string> columns;
    const std::size_t n_columns = 1 + below(4);
    while (columns.size() < n_columns) {
      columns.push_back(any_text() + std::to_string(columns.size()));
    }
    rows expected;
    std::filesystem::remove(file);
    for (std::size_t part = 1 + below(3); part > 0; --part) {
      rows added;
      for (std::size_t n = below(4); n > 0; --n) {
        value_data::record row;
        for (const std::string& c : columns) row.push_back({c, any_text()});
        added.emplace_back(std::move(row));
      }
      expected.insert(expected.end(), added.begin(), added.end());
      REQUIRE(write({.path = file, .columns = columns}, added) ==
              std::to_string(added.size()));
    }
    const auto found = run_stage(reader, {{"t.csv"}});
    REQUIRE_OK(found);
    REQUIRE(found->rows == expected);
  }
}

TEST_CASE("many writers append whole rows below one header") {
  const temp_folder folder;
  const auto file = folder.path() / "t.csv";
  constexpr std::size_t n_writers = 4, n_rounds = 20;
  const auto work = [&](std::size_t writer) {
    for (std::size_t i = 0; i < n_rounds; ++i) {
      write({.path = file},
            rows(3, value_data(value_data::record{
                        {"writer", static_cast<std::int64_t>(writer)},
                        {"text", std::string(5000, 'x')}})));
    }
  };
  const pid_t other = ::fork();
  if (other == 0) {
    work(n_writers);
    ::_exit(0);
  }
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < n_writers; ++i) threads.emplace_back(work, i);
  for (std::thread& t : threads) t.join();
  int status = -1;
  REQUIRE(::waitpid(other, &status, 0) == other);
  REQUIRE(status == 0);
  const auto found = tables::read_csv(content(file), 10000);
  REQUIRE_OK(found);
  REQUIRE(found->size() == (n_writers + 1) * n_rounds * 3);
  for (const value_data& row : *found) {
    CHECK(row.find("text")->get<std::string>()->size() == 5000);
  }
}

TEST_CASE(
    "a table whose writer must end, or whose disk is full, is as before") {
  const temp_folder folder;
  const auto file = folder.write("t.csv", "a\n1\n");
  const auto added = parse(R"([{"a":"2"}])");
  {
    const auto fd = files::open_to_append(file);
    REQUIRE_OK(fd);
    const auto locked = files::wait_for_lock(*fd, file, {});
    REQUIRE_OK(locked);
    stop_condition stop;
    stop.deadline =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(50);
    CHECK(write({.path = file}, added, type_kind::json, stop) ==
          "deadline: " + file.string() +
              ": another writer has the file: the deadline has passed");
  }
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1000, 1000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const rows large(
        1, value_data(value_data::record{{"a", std::string(5000, 'x')}}));
    const std::string what = write({.path = file}, large);
    ::_exit(what.starts_with("io: " + file.string() + ": only 996 of") ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(content(file) == "a\n1\n");
  CHECK(write({.path = file}, added) == "1");
  CHECK(content(file) == "a\n1\n2\n");
}

TEST_CASE("what cannot be written is told when the file is checked") {
  const type any = type_kind::json, text = type_kind::text;
  CHECK(faults({.path = "/t.csv"}, reading()).empty());
  CHECK(faults({.path = "/t.jsonl"}, text).empty());
  CHECK(faults({.path = "/t.txt"}, any) ==
        "path: 't.txt' ends in neither .csv nor .jsonl; give with.format");
  CHECK(faults({.path = "/t", .format = config::kind::csv}, any).empty());
  CHECK(
      faults({.path = "/t.csv", .columns = {"sensor", "celcius"}}, reading()) ==
      "columns: in.rows has no field 'celcius'; did you mean 'celsius'?");
  CHECK(faults({.path = "/t.csv", .columns = {"a", "a"}}, any) ==
        "columns: two columns 'a'");
  CHECK(faults({.path = "/t.csv", .columns = {"a", std::string(65, 'x')}}, any)
            .starts_with("columns: the name of a column has 65 bytes"));
  CHECK(faults({.path = "/t.csv"}, type::list_of(text)) ==
        "columns: must be given: rows of type list<text> do not name them");
  CHECK(faults({.path = "/t.csv"}, text) ==
        "columns: a row of type text has none; it must be a record, a JSON "
        "object or a list of cells");
}
