// SPDX-License-Identifier: MIT
#include "plugins/mcp/client_session.h"

#include "plugins/mcp/event_lines.h"
#include "support/test.h"

using namespace tinyphi;
using mcp::client_session;
using mcp::session_step;

namespace {

json::value parsed(std::string_view line) {
  CHECK(line.find('\n') == std::string_view::npos);
  auto v = parse_json(line, "line");
  if (!v) FAIL(line);
  return *v;
}

// The one message of a step, which has nothing else.
json::value only_message(const session_step& s) {
  REQUIRE(s.messages.size() == 1);
  CHECK((s.answers.empty() && !s.listing && !s.failed));
  const json::value m = parsed(s.messages.front().text);
  CHECK(m.at("jsonrpc") == "2.0");
  return m;
}
bool is_silent(const session_step& s) {
  return s.messages.empty() && s.answers.empty() && !s.listing && !s.failed;
}
std::string failure(const session_step& s) {
  REQUIRE(s.failed);
  return std::string(to_string(s.failed->code)) + ": " + s.failed->message;
}
std::string listing_failure(const session_step& s) {
  REQUIRE(s.listing);
  REQUIRE_FALSE(*s.listing);
  return std::string(to_string(s.listing->error().code)) + ": " +
         s.listing->error().message;
}

session_step answer(client_session& s, std::uint64_t id,
                    const std::string& result) {
  return s.take(R"({"jsonrpc":"2.0","id":)" + std::to_string(id) +
                R"(,"result":)" + result + "}\n");
}
session_step refuse(client_session& s, std::uint64_t id, const std::string& e) {
  return s.take(R"({"jsonrpc":"2.0","id":)" + std::to_string(id) +
                R"(,"error":)" + e + "}\n");
}

constexpr const char* modern =
    R"({"resultType":"complete","supportedVersions":["2026-07-28"]})";

client_session modern_session(const mcp::session_limits& limits = {}) {
  client_session s("1", newest_mcp_revision, limits);
  CHECK(is_silent(s.begin()));
  CHECK(s.is_ready());
  return s;
}
client_session old_session(const std::string& revision) {
  client_session s("1", newest_mcp_handshake);
  CHECK(only_message(s.begin()).at("method") == "initialize");
  CHECK(only_message(answer(s, 1,
                            R"({"protocolVersion":")" + revision +
                                R"(","capabilities":{}})"))
            .at("method") == "notifications/initialized");
  CHECK(s.is_ready());
  return s;
}

std::string tool_json(const std::string& name, const std::string& more = "") {
  return R"({"name":")" + name + R"(","inputSchema":{"type":"object"})" + more +
         "}";
}

std::uint64_t call(client_session& s, std::string_view tool = "t") {
  const auto m = s.call(tool, {{"a", 1}});
  REQUIRE(m);
  return m->number;
}
// The answer to a call whose result is `r`: its text, or "code: message".
std::string called(const std::string& r) {
  auto s = modern_session();
  const session_step step = answer(s, call(s), r);
  REQUIRE(step.answers.size() == 1);
  const auto& a = step.answers.front().second;
  if (a) return (a->is_error ? "error " : "") + a->text;
  return std::string(to_string(a.error().code)) + ": " + a.error().message;
}

}  // namespace

TEST_CASE(
    "client_session: a server of the newest revision is asked without "
    "a handshake, and each request says its revision") {
  client_session s("0.1");
  const auto probe = only_message(s.begin());
  CHECK(probe.at("method") == "server/discover");
  CHECK(s.is_probing());
  const auto& meta = probe.at("params").at("_meta");
  CHECK(meta.at("io.modelcontextprotocol/protocolVersion") == "2026-07-28");
  CHECK(meta.at("io.modelcontextprotocol/clientInfo").at("version") == "0.1");
  CHECK(meta.at("io.modelcontextprotocol/clientCapabilities").is_object());
  CHECK(is_silent(answer(s, 1, modern)));
  REQUIRE(s.is_ready());
  CHECK(s.revision() == newest_mcp_revision);
  const auto m = s.call("add", {{"a", 1}});
  REQUIRE(m);
  CHECK((m->method == "tools/call" && m->name == "add"));
  const auto params = parsed(m->text).at("params");
  CHECK(params.at("arguments").at("a") == 1);
  CHECK(params.at("_meta").is_object());
}

TEST_CASE(
    "client_session: whatever else answers the probe is shaken hands "
    "with, in one of four revisions") {
  for (const std::string bad :
       {R"("result":{"supportedVersions":["1999-01-01"]})", R"("result":{})",
        R"("result":[])", R"("error":{"code":-32601,"message":"no"})",
        R"("error":{"code":-32602,"message":"initialize first"})",
        R"("error":{"code":-32022,"data":{"supported":["2025-11-25"]}})",
        R"("error":7)"}) {
    CAPTURE(bad);
    client_session s("1");
    CHECK(s.begin().messages.size() == 1);
    const auto hello =
        only_message(s.take(R"({"jsonrpc":"2.0","id":1,)" + bad + "}\n"));
    CHECK(hello.at("method") == "initialize");
    CHECK(hello.at("params").at("protocolVersion") == "2025-11-25");
    CHECK(hello.at("params").at("capabilities").as_object().empty());
    CHECK_FALSE(hello.at("params").as_object().contains("_meta"));
  }
  for (const std::string revision :
       {"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"}) {
    auto s = old_session(revision);
    CHECK(to_string(s.revision()) == revision);
    CHECK_FALSE(only_message(s.list()).as_object().contains("params"));
  }
  for (const std::string other : {"2026-07-28", "2030-01-01"}) {
    client_session s("1", newest_mcp_handshake);
    CHECK(s.begin().messages.size() == 1);
    CHECK(failure(answer(s, 1, R"({"protocolVersion":")" + other + "\"}")) ==
          "unsupported: it shakes hands on revision '" + other +
              "'; spoken are 2024-11-05, 2025-03-26, 2025-06-18, 2025-11-25, "
              "2026-07-28");
    CHECK_FALSE(s.is_ready());
  }
  client_session s("1", mcp_revision::v2025_03_26);
  CHECK(only_message(s.begin()).at("params").at("protocolVersion") ==
        "2025-03-26");
  CHECK(failure(refuse(s, 1, R"({"code":1,"message":"go\u001b away"})")) ==
        "io: it refuses the handshake: says 'go? away'");
}

TEST_CASE(
    "client_session: a listing comes in pages, sorted, and is fresh as "
    "long as its shortest page says, five minutes at most") {
  auto s = modern_session();
  CHECK(only_message(s.list()).at("method") == "tools/list");
  CHECK(s.is_listing());
  const auto more = only_message(
      answer(s, 1,
             R"({"tools":[)" + tool_json("b", R"(,"description":"B")") +
                 R"(],"nextCursor":"p2","ttlMs":7000})"));
  CHECK(more.at("params").at("cursor") == "p2");
  const auto done = answer(
      s, 2,
      R"({"tools":[)" + tool_json("a", R"(,"outputSchema":{"type":"object"})") +
          R"(],"ttlMs":900000})");
  REQUIRE(done.listing);
  REQUIRE(*done.listing);
  const auto& all = **done.listing;
  REQUIRE(all.tools.size() == 2);
  CHECK((all.tools[0].name == "a" && all.tools[0].output.is_object()));
  CHECK((all.tools[1].description == "B" && all.tools[1].output.is_null()));
  CHECK(all.fresh_for == std::chrono::seconds(7));
  CHECK_FALSE(s.has_other_tools());
  CHECK(is_silent(s.take(
      "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}"
      "\n")));
  CHECK(s.has_other_tools());

  CHECK(only_message(s.list()).at("id") == 3);
  const auto longer = answer(s, 3, R"({"tools":[],"ttlMs":900000})");
  REQUIRE(longer.listing);
  CHECK((*longer.listing)->fresh_for == std::chrono::minutes(5));

  auto old = old_session("2025-11-25");
  CHECK(only_message(old.list()).at("id") == 2);
  const auto listed = answer(old, 2, R"({"tools":[],"ttlMs":5000})");
  REQUIRE(listed.listing);
  CHECK((*listed.listing)->fresh_for.count() == 0);
}

TEST_CASE(
    "client_session: a listing that breaks a rule is an error that says "
    "which, and no tool is taken of it") {
  const auto listed = [](const std::string& r, mcp::session_limits l = {}) {
    auto s = modern_session(l);
    CHECK(s.list().messages.size() == 1);
    const auto step = answer(s, 1, r);
    CHECK_FALSE(s.is_listing());
    const std::string why = listing_failure(step);
    const std::string place = "its listing of tools: ";
    CHECK(why.find(place) != std::string::npos);
    return why;
  };
  const auto of = [](const std::string& tools) {
    return R"({"tools":[)" + tools + "]}";
  };
  CHECK(listed("{}").ends_with("has no list \"tools\""));
  CHECK(listed("7").ends_with("has no list \"tools\""));
  CHECK(listed(of("7")).ends_with("without a name of 1 to 128 bytes"));
  CHECK(listed(of(tool_json(std::string(129, 'x'))))
            .ends_with("without a name of 1 to 128 bytes"));
  CHECK(listed(of(R"({"name":"a"})"))
            .ends_with("tool 'a': inputSchema must be an object"));
  CHECK(listed(of(tool_json("a", R"(,"outputSchema":7)")))
            .ends_with("outputSchema must be an object"));
  CHECK(listed(of(tool_json("a", R"(,"description":7)")))
            .ends_with("description must be a text"));
  CHECK(listed(of(tool_json("a") + "," + tool_json("a")))
            .ends_with("has the tool 'a' twice"));
  CHECK(listed(R"({"tools":[],"nextCursor":""})")
            .ends_with("nextCursor must be a text of 1 to 1024 bytes"));
  CHECK(listed(R"({"tools":[],"resultType":"new"})")
            .ends_with("unknown type 'new'"));
  CHECK(listed(of(tool_json("a") + "," + tool_json("b")), {.max_tools = 1})
            .ends_with("has more than 1 tools"));

  auto s = modern_session();
  CHECK(s.list().messages.size() == 1);
  CHECK(listing_failure(refuse(s, 1, R"({"code":-32601,"message":"none"})")) ==
        "io: its listing of tools: says 'none'");
  CHECK(s.list().messages.size() == 1);
  for (std::uint64_t page = 2; page < 17; ++page) {
    CHECK(only_message(answer(s, page, R"({"tools":[],"nextCursor":"x"})"))
              .at("id") == page + 1);
  }
  CHECK(listing_failure(answer(s, 17, R"({"tools":[],"nextCursor":"x"})")) ==
        "limit: its listing of tools: has more than 16 pages");
}

TEST_CASE(
    "client_session: an answer is its text, with what is no text named, "
    "or an error") {
  CHECK(called(R"({"content":[{"type":"text","text":"3"},)"
               R"({"type":"image","mimeType":"image/png","data":"AA"},)"
               R"({"type":"resource","resource":{"uri":"file:///x"}}]})") ==
        "3\n['image' 'image/png' left out]\n['resource' 'file:///x' left out]");
  CHECK(called(R"({"content":[{"type":"text","text":"no"}],"isError":true})") ==
        "error no");
  CHECK(called("{}").empty());
  CHECK(called("7") == "bad_data: its result is no object");
  CHECK(called(R"({"content":7})") == "bad_data: its content is no list");
  CHECK(called(R"({"content":[7]})") ==
        "bad_data: a part of its content has no type");
  CHECK(called(R"({"isError":"no"})") == "bad_data: isError is no boolean");
  CHECK(called(R"({"resultType":"input_required"})") ==
        "unsupported: it asks for more input, which nobody has offered");
  auto s = modern_session();
  const auto step =
      refuse(s, call(s), R"({"code":-32602,"message":"a is missing"})");
  REQUIRE(step.answers.size() == 1);
  CHECK(step.answers.front().second.error().code ==
        error_code::invalid_argument);
  const auto given = answer(s, call(s), R"({"structuredContent":{"n":3}})");
  REQUIRE(given.answers.size() == 1);
  CHECK(given.answers.front().second->structured->at("n") == 3);
}

TEST_CASE(
    "client_session: answers come in any order, each once; that of a "
    "call that was given up is passed over") {
  auto s = modern_session({.max_open = 2, .max_stray = 1});
  const auto first = call(s), second = call(s);
  CHECK(s.call("t", {}).error().code == error_code::limit);
  CHECK(answer(s, second, "{}").answers.front().first == second);
  const auto told = s.cancel(first, "deadline");
  REQUIRE(told);
  CHECK(parsed(told->text).at("params").at("requestId") == first);
  CHECK_FALSE(s.cancel(first, "again"));
  CHECK(is_silent(answer(s, first, "{}")));  // late
  CHECK(s.stray().empty());
  CHECK(is_silent(answer(s, first, "{}")));  // twice
  CHECK(s.stray().find("answers nothing that was asked") != std::string::npos);
  CHECK(failure(answer(s, 99, "{}")).find("more than 1 lines") !=
        std::string::npos);
  CHECK(is_silent(answer(s, second, "{}")));
}

TEST_CASE(
    "client_session: 16 lines that are no messages are passed over, one "
    "more, a broken message or a line above 4 MiB ends the session") {
  auto s = modern_session();
  for (int i = 0; i < 16; ++i) {
    CHECK(is_silent(s.take("Listening on \xff...\n\r\n")));
  }
  CHECK(
      s.stray().starts_with("; it has sent 16 lines that say nothing: "
                            "'Listening on "));
  CHECK(failure(s.take("[]\n"))
            .starts_with("bad_data: it has sent more than "
                         "16 lines that say nothing"));
  CHECK(is_silent(s.take("[]\n")));

  for (const std::string broken : {"{\"jsonrpc\":\n", "{\"a\":\"\xff\"}\n"}) {
    auto t = modern_session();
    CHECK(failure(t.take(broken)).starts_with("bad_data: it sends '{"));
  }
  std::string deep = R"({"a":)" + std::string(40, '[') + std::string(40, ']');
  auto d = modern_session();
  CHECK(failure(d.take(deep + "}\n")).starts_with("bad_data: it sends"));

  auto longest = modern_session({.max_line = 64});
  CHECK(is_silent(longest.take(std::string(64, ' '))));
  CHECK(is_silent(longest.take("\n")));
  CHECK(failure(longest.take(std::string(65, ' '))) ==
        "limit: it sends a line of more than 64 bytes");
  auto sent = modern_session({.max_line = 400});
  CHECK(sent.call("t", {{"a", std::string(400, 'x')}}).error().code ==
        error_code::limit);
}

TEST_CASE(
    "client_session: what a server asks is answered in the handshakes' "
    "revisions by a ping alone, and refused otherwise") {
  const std::string ping = R"({"jsonrpc":"2.0","id":"p","method":"ping"})";
  auto old = old_session("2025-06-18");
  CHECK(only_message(old.take(ping + "\n")).at("result").as_object().empty());
  const auto no = only_message(
      old.take(R"({"jsonrpc":"2.0","id":1,"method":"sampling/createMessage"})"
               "\n"));
  CHECK(no.at("error").at("code") == -32601);
  auto s = modern_session();
  CHECK(only_message(s.take(ping + "\n")).at("error").at("code") == -32601);
  CHECK(is_silent(s.take(R"({"jsonrpc":"2.0","method":"x/y"})"
                         "\n")));

  auto batches = old_session("2025-03-26");
  const auto both = batches.take("[" + ping + "," + ping + "]\n");
  CHECK(both.messages.size() == 2);
  CHECK(is_silent(old.take("[" + ping + "]\n")));
  CHECK_FALSE(old.stray().empty());
}

TEST_CASE("event_lines: data of whole events, however the body has grown") {
  const std::string body =
      ": hi\r\nid: 1\r\ndata: {\r\ndata:}\r\n\r\n\n\nevent: x\n\n"
      "data:  a\n\ndata\rdata: b\r\rdata: c\n";
  std::vector<std::string> whole, grown;
  mcp::event_lines at_once;
  while (auto e = at_once.next(body)) whole.push_back(*e);
  CHECK(whole == std::vector<std::string>{"{\n}", " a", "b"});
  mcp::event_lines piecewise;
  for (std::size_t n = 0; n <= body.size(); ++n) {
    while (auto e = piecewise.next(std::string_view(body).substr(0, n))) {
      grown.push_back(*e);
    }
  }
  CHECK(grown == whole);
}
