// SPDX-License-Identifier: MIT
#include "plugins/memory/memory.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <iterator>
#include <map>
#include <thread>

#include "plugins/fts/index.h"
#include "support/effort.h"
#include "support/temp_folder.h"
#include "support/test.h"
#include "tinyphi/pipeline.h"

using namespace tinyphi;
using namespace tinyphi_test;
namespace fs = std::filesystem;

namespace {

using conversations::turn;

struct fixture {
  temp_folder folder;
  fs::path file = folder.path() / "chat.db";

  // How many turns there are then, or "CODE: MESSAGE".
  std::string save(std::string_view key, const turn& t,
                   const conversations::save_limits& limits = {}) const {
    const auto n = conversations::save(file, key, t, limits);
    return n ? std::to_string(*n) : shown(n.error());
  }
  // "user|reply user|reply", or "CODE: MESSAGE".
  std::string load(std::string_view key,
                   const conversations::load_limits& limits = {}) const {
    const auto turns = conversations::load(file, key, limits);
    if (!turns) return shown(turns.error());
    std::string text;
    for (const turn& t : *turns) {
      text += (text.empty() ? "" : " ") + t.user + '|' + t.reply;
    }
    return text;
  }
  std::string shown(const error& e) const {
    return std::string(to_string(e.code)) + ": " + e.message;
  }
  std::string bytes() const {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  // Changes the file as somebody could who knows how it is made.
  void change(const std::string& sql) const {
    const auto db = sqlite::database::open(file, conversations::memory_kind,
                                           sqlite::database::mode::create);
    REQUIRE_OK(db);
    const auto done = db->execute(sql);
    REQUIRE_OK(done);
  }
};

// Saves 1, 2, 3, ... and writes a byte to the pipe after each.
[[noreturn]] void save_for_ever(const fs::path& file, int acknowledged) {
  for (int i = 1;; ++i) {
    const auto n = conversations::save(
        file, "c", {std::to_string(i), std::string(3000, 'x')}, {.keep = 10});
    if (!n || ::write(acknowledged, "+", 1) != 1) ::_exit(1);
  }
}

}  // namespace

TEST_CASE("memory gives the newest turns that fit, oldest first") {
  const fixture f;
  CHECK(f.load("ada") == "");
  CHECK(!fs::exists(f.file));
  CHECK(f.save("ada", {"one", "1"}) == "1");
  CHECK(f.save("bob", {"two", ""}) == "1");
  CHECK(f.save("ada", {"three", "3"}) == "2");
  CHECK(f.save("ada", {"four", "4"}) == "3");
  CHECK(f.load("ada") == "one|1 three|3 four|4");
  CHECK(f.load("bob") == "two|");
  CHECK(f.load("Ada") == "");
  CHECK(f.load("ada", {.max_turns = 2}) == "three|3 four|4");
  CHECK(f.load("ada", {.max_bytes = 11}) == "three|3 four|4");
  CHECK(f.load("ada", {.max_bytes = 10}) == "four|4");
  CHECK(f.load("ada", {.max_bytes = 4}) == "");
}

TEST_CASE("memory keeps so many turns, and overwrites those that go") {
  const fixture f;
  for (int i = 1; i <= 5; ++i) {
    const std::string n = std::to_string(i);
    const std::string left = std::to_string(std::min(i, 3));
    CHECK(f.save("ada", {"secret" + n, n}, {.keep = 3}) == left);
  }
  CHECK(f.save("bob", {"x", "y"}, {.keep = 3}) == "1");
  CHECK(f.load("ada") == "secret3|3 secret4|4 secret5|5");
  CHECK(f.bytes().find("secret2") == std::string::npos);
  CHECK(f.bytes().find("secret3") != std::string::npos);
  CHECK(f.save("ada", {"6", ""}, {.keep = 1}) == "1");
  CHECK(f.load("ada") == "6|");
  CHECK(f.load("bob") == "x|y");
}

TEST_CASE("what a conversation and its file may hold is bounded") {
  const fixture f;
  const std::string key(256, 'k');
  CHECK(f.save(key, {"a", "b"}) == "1");
  CHECK(f.load(key) == "a|b");
  for (const std::string& bad : {std::string(), key + 'k'}) {
    const std::string what =
        "invalid_argument: the name of the conversation has " +
        std::to_string(bad.size()) + " bytes, allowed are 1 to 256";
    CHECK(f.save(bad, {"a", "b"}) == what);
    CHECK(f.load(bad) == what);
  }
  const std::string longest(std::size_t{1} << 20, 'x');
  CHECK(f.save("a", {longest, longest}) == "1");
  CHECK(f.save("a", {"", longest + 'x'}) ==
        "limit: a text of the turn has 1048577 bytes, allowed are 1048576");

  const conversations::save_limits small{.max_file_bytes = 3 << 20};
  CHECK(f.save("b", {std::string(700'000, 'x'), ""}, small) == "1");
  const std::string before = f.bytes();
  CHECK_THAT(f.save("b", {std::string(300'000, 'x'), ""}, small),
             Catch::StartsWith("limit: " + f.file.string() + ": ") &&
                 Catch::Contains("300000 more may need more than the 3145728 "
                                 "of max_file_bytes"));
  CHECK(f.bytes() == before);
  // What goes makes room.
  CHECK(f.save("b", {std::string(700'000, 'y'), ""},
               {.keep = 1, .max_file_bytes = 3 << 20}) == "1");
  CHECK(fs::file_size(f.file) <= (3 << 20));
}

TEST_CASE("a turn that was acknowledged is there after SIGKILL") {
  for (int round = 0; round < effort(8, 2); ++round) {
    const fixture f;
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t child = ::fork();
    if (child == 0) save_for_ever(f.file, ends[1]);
    ::close(ends[1]);
    char byte = 0;
    int acknowledged = 0;
    while (acknowledged < 4 * round && ::read(ends[0], &byte, 1) == 1) {
      ++acknowledged;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(700 * round));
    ::kill(child, SIGKILL);
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    while (::read(ends[0], &byte, 1) == 1) ++acknowledged;
    ::close(ends[0]);

    const auto turns = conversations::load(
        f.file, "c", {.max_turns = 1000, .max_bytes = 1 << 20});
    REQUIRE_OK(turns);
    // One more may have been written than its writer could tell.
    const int last = turns->empty() ? 0 : std::stoi(turns->back().user);
    CHECK((last == acknowledged || last == acknowledged + 1));
    CHECK(turns->size() == static_cast<std::size_t>(std::min(last, 10)));
    for (std::size_t i = 0; i < turns->size(); ++i) {
      const auto number =
          static_cast<std::size_t>(last) - turns->size() + 1 + i;
      CHECK(turns->at(i).user == std::to_string(number));
      CHECK(turns->at(i).reply == std::string(3000, 'x'));
    }
    CHECK(f.save("c", {"on", "it goes"}) == std::to_string(turns->size() + 1));
  }
}

TEST_CASE("processes and threads save and load at once") {
  const fixture f;
  constexpr int n_threads = 4, n_turns = effort(15, 4);
  const auto work = [&](const std::string& who) {
    bool good = true;
    for (int i = 0; i < n_turns; ++i) {
      const std::string n = std::to_string(i);
      good = good && conversations::save(f.file, "all", {who, n}).has_value();
      const auto own = conversations::save(f.file, who, {n, who});
      good = good && own && *own == i + 1;
      const auto turns = conversations::load(f.file, who);
      good = good && turns && turns->back() == turn{n, who};
    }
    return good;
  };
  const pid_t other = ::fork();
  if (other == 0) ::_exit(work("process") ? 0 : 1);
  std::vector<char> good(n_threads);
  std::vector<std::thread> threads;
  for (int t = 0; t < n_threads; ++t) {
    threads.emplace_back([&, t] {
      good[static_cast<std::size_t>(t)] = work("t" + std::to_string(t));
    });
  }
  for (std::thread& t : threads) t.join();
  int status = -1;
  REQUIRE(::waitpid(other, &status, 0) == other);
  CHECK(status == 0);
  CHECK(good == std::vector<char>(n_threads, 1));
  const auto all = conversations::load(f.file, "all", {.max_turns = 1000});
  REQUIRE_OK(all);
  CHECK(all->size() == (n_threads + 1) * n_turns);
  std::map<std::string, int> next;  // each one's turns are in their order
  for (const turn& t : *all) CHECK(t.reply == std::to_string(next[t.user]++));
}

TEST_CASE("a deadline holds while another one writes, and inside SQLite") {
  const fixture f;
  CHECK(f.save("c", {"a", "b"}) == "1");
  const auto db = sqlite::database::open(f.file, conversations::memory_kind,
                                         sqlite::database::mode::create);
  REQUIRE_OK(db);
  stop_condition stop;
  const auto in_ms = [](int n) {
    return std::chrono::steady_clock::now() + std::chrono::milliseconds(n);
  };
  {
    const auto writer = sqlite::transaction::begin(*db, "BEGIN EXCLUSIVE");
    REQUIRE_OK(writer);
    stop.deadline = in_ms(60);
    const auto saved = conversations::save(f.file, "c", {"c", "d"}, {}, stop);
    CHECK(message_of(saved) ==
          f.file.string() + ": the memory: the deadline has passed");
    stop.deadline.reset();
    std::thread canceller([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
      stop.token.cancel();
    });
    const auto loaded = conversations::load(f.file, "c", {}, stop);
    canceller.join();
    REQUIRE(!loaded);
    CHECK(loaded.error().code == error_code::cancelled);
  }
  CHECK(f.load("c") == "a|b");
  auto working = sqlite::database::open(f.file, conversations::memory_kind,
                                        sqlite::database::mode::read);
  REQUIRE_OK(working);
  stop = {};
  stop.deadline = in_ms(50);
  working->stop_by(stop);
  const auto endless = working->integer(
      "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"
      " SELECT max(x) FROM n");
  REQUIRE(!endless);
  CHECK(endless.error().code == error_code::deadline);
}

TEST_CASE("a file that is no memory is left alone") {
  const fixture f;
  const auto refuse = [&](const std::string& what) {
    const std::string before = f.bytes();
    CHECK(f.load("c") == what);
    CHECK(f.save("c", {"a", "b"}) == what);
    CHECK(f.bytes() == before);
  };
  const std::string left_alone =
      "bad_data: " + f.file.string() +
      ": not a memory of conversations of tinyphi, and left alone; choose "
      "another file for the memory";
  f.folder.write("chat.db", "somebody's notes. " + std::string(2000, 'x'));
  refuse(left_alone);
  fs::remove(f.file);
  const temp_folder docs;
  docs.write("a.md", "The pump is blue.\n");
  const auto index = fts::update_index(docs.path(), f.file);
  REQUIRE_OK(index);
  refuse(left_alone);
  fs::remove(f.file);
  fs::create_directory(f.file);
  const std::string no_file =
      "invalid_argument: " + f.file.string() + ": not a regular file";
  CHECK(f.load("c") == no_file);
  CHECK(f.save("c", {"a", "b"}) == no_file);
}

TEST_CASE("a memory that somebody has changed cannot act, and is told") {
  const auto told = [](const std::string& sql, const std::string& what) {
    const fixture f;
    CHECK(f.save("c", {"a", "b"}) == "1");
    f.change(sql);
    const std::string before = f.bytes();
    const std::string loaded = f.load("c");
    CHECK_THAT(loaded, Catch::Contains(what));
    CHECK(f.bytes() == before);
    return f.save("c", {"c", "d"});
  };
  const std::string tables = "the tables are not those of a memory";
  for (const char* sql :
       {"CREATE TRIGGER t AFTER INSERT ON turn BEGIN DELETE FROM turn; END",
        "CREATE VIEW v AS SELECT 1", "DROP INDEX turn_of_conversation",
        "DROP TABLE turn; CREATE VIEW turn AS SELECT 1 AS id, 'c' AS "
        "conversation, 'x' AS user, 'y' AS reply"}) {
    CHECK_THAT(told(sql, tables), Catch::Contains(tables));
  }
  CHECK_THAT(told("PRAGMA user_version = 2", "memory version 2, this program"),
             Catch::StartsWith("unsupported: "));
  CHECK(told("UPDATE turn SET user = CAST(x'FF' AS TEXT)", "is not UTF-8") ==
        "2");
  CHECK(told("UPDATE turn SET user = CAST(zeroblob(5000000) AS TEXT)",
             "limit: ") == "2");
  CHECK_THAT(told("UPDATE turn SET id = 9223372036854775807", ""),
             Catch::Contains("which nobody saves"));
}

TEST_CASE("damage and a full disk are told, and nothing is lost by them") {
  const fixture f;
  CHECK(f.save("c", {"the pump is blue", "b"}) == "1");
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{65536, 65536};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const std::string what = f.save("c", {std::string(200'000, 'x'), ""});
    ::_exit(what.starts_with("io: ") ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(f.load("c") == "the pump is blue|b");
  std::string bytes = f.bytes();
  bytes[bytes.find("blue")] = 'g';
  f.folder.write("chat.db", bytes);
  CHECK(f.load("c") ==
        "bad_data: " + f.file.string() +
            ": the checksum of a page is wrong; this memory of tinyphi is "
            "damaged: put a copy from before in its place, or delete it with "
            "all conversations in it");
}

TEST_CASE("a damaged memory gives an error or what was saved") {
  const fixture f;
  for (int i = 0; i < 10; ++i) f.save("a", {"u" + std::to_string(i), "r"});
  for (int i = 0; i < 20; ++i) f.save("b", {"u", std::string(3000, 'r')});
  const std::string good = f.bytes(), right = f.load("a");
  REQUIRE(right.find("u9|r") != std::string::npos);
  std::uint32_t random = 7;
  const auto any = [&] { return random = random * 1664525u + 1013904223u; };
  int n_errors = 0, n_right = 0;
  for (int round = 0; round < effort(300, 60); ++round) {
    std::string bad = good;
    for (int i = 0; i < (round % 2 == 0 ? 1 : 16); ++i) {
      bad[(any() >> 8) % bad.size()] = static_cast<char>(any() >> 24);
    }
    if (round % 8 == 0) bad.resize((any() >> 4) % bad.size());
    f.folder.write("chat.db", bad);
    const std::string found = f.load("a");
    if (found == right) {
      ++n_right;
    } else if (!bad.empty()) {
      CHECK(found.find(f.file.string()) != std::string::npos);
      ++n_errors;
    }
    static_cast<void>(f.save("a", {"more", ""}));
  }
  CHECK(n_errors > effort(50, 10));
  CHECK(n_right > effort(20, 4));
}

namespace {

// A file whose stages are on the lines of `stages`.
result<pipeline> compile(const fixture& f, std::string_view trust_of_name,
                         const std::string& outputs,
                         const std::string& stages) {
  registry plugins;
  plugins.add<memory_stage>();
  return pipeline::compile_text(
      "tinyphi = 1\n[input]\nuser = \"text\"\nreply = \"text\"\n"
      "conversation = { type = \"text\", trust = \"" +
          std::string(trust_of_name) + "\" }\n[output]\n" + outputs +
          "\n[stage]\n" + stages,
      f.folder.path() / "chat.toml", plugins, {});
}

const std::string save_stage =
    R"(save = { use = "memory", with.action = "save", with.file = "chat.db" })";
const std::string load_stage =
    R"(load = { use = "memory", with.file = "chat.db", after = ["save"] })";

}  // namespace

TEST_CASE("a pipeline saves a turn, and gets it back untrusted") {
  const fixture f;
  const auto p = compile(f, "user",
                         "turns = \"save.turns\"\n"
                         "history = \"load.history\"",
                         save_stage + "\n" + load_stage);
  REQUIRE_OK(p);
  const auto ask = [&](std::string conversation) {
    return p->run({{"user", "Which oil?"},
                   {"reply", "Number two."},
                   {"conversation", std::move(conversation)}});
  };
  for (const std::int64_t n : {1, 2}) {
    const auto r = ask("ada");
    REQUIRE_OK(r);
    const value& turns = r->outputs.find("turns")->second;
    CHECK(turns.data == value_data(n));
    CHECK(turns.label == trust::user);
    const value& history = r->outputs.find("history")->second;
    CHECK(history.label == trust::untrusted);
    const auto messages = read_as<std::vector<chat_message>>(history.data);
    REQUIRE(messages.has_value());
    CHECK(messages->size() == static_cast<std::size_t>(2 * n));
    CHECK(messages->front() == chat_message{"user", "Which oil?"});
    CHECK(messages->back() == chat_message{"assistant", "Number two."});
  }
  CHECK_THAT(message_of(ask("")), Catch::Contains("has 0 bytes, allowed are"));
}

TEST_CASE("untrusted data names a conversation to load, not one to save") {
  const fixture f;
  const auto refused = [&](std::string_view trust, const std::string& outputs,
                           const std::string& stages) {
    return message_of(compile(f, trust, outputs, stages));
  };
  const std::string use = "{ use = \"memory\", with.file = \"chat.db\", ";
  const std::string both = "x = \"input.user\"\ny = \"input.reply\"\n";
  CHECK_THAT(refused("untrusted", "turns = \"save.turns\"", save_stage),
             Catch::Contains("TP4001") &&
                 Catch::Contains("in.conversation decides what is done (effect "
                                 "write) and is untrusted"));
  CHECK(refused("untrusted", both + "history = \"load.history\"",
                "load = " + use + "with.max_turns = 3 }") == "(no error)");
  CHECK_THAT(refused("user", "x = \"load.turns\"",
                     "load = " + use + "with.max_turns = 3 }"),
             Catch::Contains("load.turns"));
  CHECK_THAT(refused("user", both + "h = \"load.history\"",
                     "load = " + use + "in.user = \"input.user\" }"),
             Catch::Contains("no in-port 'user'"));
  CHECK_THAT(refused("user", both + "h = \"load.history\"",
                     "load = " + use + "with.keep = 2 }"),
             Catch::Contains("with.keep: is for the action save; leave it "
                             "out"));
  CHECK_THAT(
      refused("user", "turns = \"save.turns\"",
              "save = " + use + "with.action = \"save\", with.max_turns = 2 }"),
      Catch::Contains("with.max_turns: is for the action load; leave it "
                      "out"));
}
