// SPDX-License-Identifier: MIT
#include "tinyphi/serve/mcp_session.h"

#include <iterator>

#include "support/test.h"

using namespace tinyphi;

namespace {

// Two tools, given in the wrong order.
std::vector<json::object> two_tools() {
  return {{{"name", "second"},
           {"inputSchema", {{"type", "object"}}},
           {"outputSchema", {{"type", "object"}}},
           {"annotations", {{"readOnlyHint", true}}}},
          {{"name", "first"}, {"inputSchema", {{"type", "object"}}}}};
}

mcp_session new_session(const mcp_limits& limits = {}) {
  return mcp_session("1", two_tools(), limits);
}

json::value parsed(std::string_view line) {
  CHECK(line.find('\n') == std::string_view::npos);
  auto v = parse_json(line, "line");
  if (!v) FAIL(line);
  return *v;
}

// What one line leads to.
mcp_step take(mcp_session& s, const std::string& line) {
  return s.take(line + "\n");
}
json::value ask(mcp_session& s, const std::string& line) {
  const mcp_step step = take(s, line);
  INFO(line);
  REQUIRE(step.lines.size() == 1);
  CHECK(step.calls.empty());
  return parsed(step.lines.front());
}
std::int64_t code_of(const json::value& answer) {
  return answer.at("error").at("code").as_int64();
}

constexpr const char* modern_meta =
    R"("io.modelcontextprotocol/protocolVersion":"2026-07-28",)"
    R"("io.modelcontextprotocol/clientCapabilities":{})";

std::string request(int id, const std::string& method,
                    const std::string& params) {
  return R"({"jsonrpc":"2.0","id":)" + std::to_string(id) + R"(,"method":")" +
         method + R"(","params":{)" + params + "}}";
}
std::string modern(int id, const std::string& method,
                   const std::string& params = "",
                   const std::string& meta = "") {
  return request(id, method,
                 R"("_meta":{)" + meta + (meta.empty() ? "" : ",") +
                     modern_meta + "}" + (params.empty() ? "" : ",") + params);
}
std::string call(int id, const std::string& tool,
                 const std::string& meta = "") {
  return modern(id, "tools/call",
                R"("name":")" + tool + R"(","arguments":{"a":1})", meta);
}
std::string cancelled(const std::string& id) {
  return R"({"jsonrpc":"2.0","method":"notifications/cancelled",)"
         R"("params":{"requestId":)" +
         id + "}}";
}

void agree(mcp_session& s, std::string_view revision) {
  const auto answer =
      ask(s, request(0, "initialize",
                     R"("protocolVersion":")" + std::string(revision) + "\""));
  CHECK(answer.at("result").at("protocolVersion").as_string() == revision);
}

}  // namespace

TEST_CASE("bytes are cut into lines wherever they are cut themselves") {
  const std::string bytes = modern(1, "tools/list") + "\r\n\n  \r\n" +
                            modern(2, "server/discover") + "\n" + "[\n" +
                            modern(3, "tools/list");
  mcp_session whole = new_session();
  auto all = whole.take(bytes).lines;
  for (auto& line : whole.end().lines) all.push_back(std::move(line));
  REQUIRE(all.size() == 4);
  CHECK(parsed(all[0]).at("id").as_int64() == 1);
  CHECK(parsed(all[1]).at("id").as_int64() == 2);
  CHECK(code_of(parsed(all[2])) == -32700);
  CHECK(parsed(all[2]).at("id").is_null());
  CHECK(parsed(all[3]).at("id").as_int64() == 3);
  mcp_session cut = new_session();
  std::vector<std::string> pieces;
  for (const char c : bytes) {
    const auto lines = cut.take({&c, 1}).lines;
    pieces.insert(pieces.end(), lines.begin(), lines.end());
  }
  for (auto& line : cut.end().lines) pieces.push_back(std::move(line));
  CHECK(pieces == all);
}

TEST_CASE("a line of max_line bytes is read, a longer one is passed over") {
  mcp_limits limits;
  const std::string asked = modern(1, "tools/list");
  limits.max_line = asked.size();
  mcp_session s = new_session(limits);
  CHECK(ask(s, asked).at("result").is_object());
  const mcp_step step = s.take(asked + " " + asked + "\n" + asked + "\n");
  REQUIRE(step.lines.size() == 2);
  CHECK(code_of(parsed(step.lines[0])) == -32600);
  CHECK(parsed(step.lines[1]).at("id").as_int64() == 1);
  // It is answered once, however many pieces of it come.
  std::size_t n = 0;
  for (int i = 0; i < 8; ++i) n += s.take(asked).lines.size();
  n += s.end().lines.size();
  CHECK(n == 1);
}

TEST_CASE("JSON nests 32 deep at most") {
  mcp_session s = new_session();
  const auto nested = [](int depth) {  // of the value, below three objects
    return modern(1, "tools/call",
                  R"("name":"no","arguments":{"a":)" +
                      std::string(static_cast<std::size_t>(depth), '[') +
                      std::string(static_cast<std::size_t>(depth), ']') + "}");
  };
  CHECK(ask(s, nested(29)).at("result").at("isError").as_bool());
  CHECK(code_of(ask(s, nested(30))) == -32700);
}

TEST_CASE("what is no message of JSON-RPC is refused with its id, if it has") {
  mcp_session s = new_session();
  const std::pair<const char*, bool> wrong[] = {
      {"7", false},
      {"null", false},
      {"[]", false},
      {R"([{"jsonrpc":"2.0","id":1,"method":"ping"}])", false},
      {"{}", false},
      {R"({"jsonrpc":"1.0","id":1,"method":"ping"})", true},
      {R"({"jsonrpc":2.0,"id":1,"method":"ping"})", true},
      {R"({"id":1,"method":"ping"})", true},
      {R"({"jsonrpc":"2.0","id":1})", true},
      {R"({"jsonrpc":"2.0","id":1,"method":7})", true},
      {R"({"jsonrpc":"2.0","id":1,"method":7,"result":{}})", true},
      {R"({"jsonrpc":"2.0","id":null,"method":"ping"})", false},
      {R"({"jsonrpc":"2.0","id":1.5,"method":"ping"})", false},
      {R"({"jsonrpc":"2.0","id":{},"method":"ping"})", false}};
  for (const auto& [line, has_id] : wrong) {
    INFO(line);
    const json::value answer = ask(s, line);
    CHECK(code_of(answer) == -32600);
    CHECK(answer.at("id") == (has_id ? json::value(1) : json::value()));
  }
  CHECK(code_of(ask(s, R"({"jsonrpc":"2.0","id":1,"method":"ping",)"
                       R"("params":[]})")) == -32602);
  // What asks nothing is not answered.
  for (const char* line :
       {R"({"jsonrpc":"2.0","id":1,"result":{}})",
        R"({"jsonrpc":"2.0","id":1,"error":{}})",
        R"({"jsonrpc":"2.0","method":"tools/call","params":{"name":"first"}})",
        R"({"jsonrpc":"2.0","method":"notifications/initialized"})",
        R"({"jsonrpc":"2.0","method":"notifications/cancelled"})"}) {
    const mcp_step step = take(s, line);
    CHECK(step.lines.empty());
    CHECK(step.calls.empty());
  }
}

TEST_CASE("an id is as long as is allowed and comes back as it was") {
  mcp_limits limits;
  limits.max_id_bytes = 4;
  mcp_session s = new_session(limits);
  for (const char* id : {"0", "-7", "18446744073709551615", R"("")", R"("1")",
                         R"("\u00e4\u00f6")"}) {
    const json::value answer = ask(s, std::string(R"({"jsonrpc":"2.0","id":)") +
                                          id + R"(,"method":"ping"})");
    CHECK(answer.at("id") == parsed(id));
  }
  CHECK(code_of(ask(s, R"({"jsonrpc":"2.0","id":"12345","method":"ping"})")) ==
        -32600);
  CHECK(code_of(ask(s, call(1, "first", R"("progressToken":"12345")"))) ==
        -32602);
  CHECK(code_of(ask(s, call(1, "first", R"("progressToken":[])"))) == -32602);
}

TEST_CASE("a request of 2026-07-28 says so by itself") {
  mcp_session s = new_session();
  const json::value found = ask(s, modern(1, "server/discover")).at("result");
  CHECK(found.at("supportedVersions") == parsed(R"(["2026-07-28"])"));
  CHECK(found.at("capabilities") == parsed(R"({"tools":{}})"));
  CHECK(found.at("resultType").as_string() == "complete");
  CHECK(found.at("ttlMs").is_int64());
  CHECK(found.at("_meta")
            .at("io.modelcontextprotocol/serverInfo")
            .at("name")
            .as_string() == "tinyphi");
  const json::value list = ask(s, modern(2, "tools/list")).at("result");
  CHECK(list.at("tools").at(0).at("name").as_string() == "first");
  CHECK(list.at("tools").at(1).at("name").as_string() == "second");
  CHECK(list.at("tools").at(1).as_object().contains("outputSchema"));
  CHECK(list.at("cacheScope").as_string() == "private");
  for (const char* method :
       {"ping", "prompts/list", "subscriptions/listen", "tools/listen"}) {
    CHECK(code_of(ask(s, modern(3, method))) == -32601);
  }
}

TEST_CASE("without a handshake, _meta must have its members") {
  mcp_session s = new_session();
  const auto with_meta = [](const std::string& meta) {
    return request(1, "tools/list", R"("_meta":{)" + meta + "}");
  };
  const std::string version = "\"io.modelcontextprotocol/protocolVersion\":";
  const std::string lacking[] = {
      R"({"jsonrpc":"2.0","id":1,"method":"tools/list"})",
      request(1, "server/discover", ""),
      request(1, "tools/list", R"("_meta":7)"),
      with_meta(""),
      with_meta(R"("progressToken":1)"),
      with_meta(version + "7"),
      with_meta(version + R"("2026-07-28")"),
      with_meta(version + R"("2026-07-28",)" +
                R"("io.modelcontextprotocol/clientCapabilities":[])")};
  for (const std::string& line : lacking) {
    INFO(line);
    CHECK(code_of(ask(s, line)) == -32602);
  }
  for (const std::string other : {"2025-11-25", "2027-01-01", ""}) {
    const json::value answer = ask(s, with_meta(version + "\"" + other + "\""));
    CHECK(code_of(answer) == -32022);
    CHECK(answer.at("error").at("data").at("requested").as_string() == other);
    CHECK(answer.at("error").at("data").at("supported") ==
          parsed(R"(["2026-07-28"])"));
  }
}

TEST_CASE(
    "a handshake agrees on one of four revisions, the newest if in doubt") {
  for (std::size_t i = 0; i + 1 < std::size(mcp_revision_names); ++i) {
    mcp_session s = new_session();
    CHECK(ask(s, R"({"jsonrpc":"2.0","id":1,"method":"ping"})").at("result") ==
          json::object());
    agree(s, mcp_revision_names[i]);
    const json::value list = ask(s, request(1, "tools/list", "")).at("result");
    CHECK(list.as_object().size() == 1);
    const json::object& tool = list.at("tools").at(1).as_object();
    CHECK(tool.contains("annotations") == (i >= 1));
    CHECK(tool.contains("outputSchema") == (i >= 2));
    CHECK(code_of(ask(s, request(2, "server/discover", ""))) == -32601);
    CHECK(ask(s, request(3, "ping", "")).at("result") == json::object());
    // The other era is served beside it.
    CHECK(ask(s, modern(4, "server/discover"))
              .at("result")
              .as_object()
              .contains("supportedVersions"));
  }
  mcp_session s = new_session();
  for (const char* other : {"2026-07-28", "2024-10-07", ""}) {
    const auto answer =
        ask(s, request(1, "initialize",
                       R"("protocolVersion":")" + std::string(other) + "\""));
    CHECK(answer.at("result").at("protocolVersion").as_string() ==
          "2025-11-25");
  }
  CHECK(code_of(ask(s, request(1, "initialize", ""))) == -32602);
}

TEST_CASE("a call is answered once, by its result") {
  mcp_session s = new_session();
  const mcp_step step = take(s, call(7, "first"));
  CHECK(step.lines.empty());
  REQUIRE(step.calls.size() == 1);
  const mcp_call& begun = step.calls.front();
  CHECK(begun.tool == "first");
  CHECK(begun.arguments == parsed(R"({"a":1})"));
  CHECK_FALSE(begun.wants_progress);
  CHECK_FALSE(s.progress(begun.number, 1, 2, "x"));
  // Its id is taken until then.
  CHECK(code_of(ask(s, modern(7, "tools/list"))) == -32600);
  const mcp_result good{.texts = {"{}"}, .structured = json::object{{"b", 2}}};
  const auto line = s.finish(begun.number, good);
  REQUIRE(line);
  CHECK(parsed(*line).at("id").as_int64() == 7);
  const json::value result = parsed(*line).at("result");
  CHECK(result.at("content") == parsed(R"([{"type":"text","text":"{}"}])"));
  CHECK(result.at("structuredContent") == parsed(R"({"b":2})"));
  CHECK_FALSE(result.at("isError").as_bool());
  CHECK(result.at("resultType").as_string() == "complete");
  CHECK_FALSE(s.finish(begun.number, good));
  CHECK(ask(s, modern(7, "tools/list")).at("result").is_object());
}

TEST_CASE("older revisions get no more than they know") {
  for (const auto& [revision, structured, message] :
       {std::tuple("2024-11-05", false, false),
        std::tuple("2025-03-26", false, true),
        std::tuple("2025-06-18", true, true)}) {
    mcp_session s = new_session();
    agree(s, revision);
    const mcp_step step = take(s, request(1, "tools/call",
                                          R"("name":"first","arguments":null,)"
                                          R"("_meta":{"progressToken":"p"})"));
    REQUIRE(step.calls.size() == 1);
    CHECK(step.calls[0].wants_progress);
    const auto told = s.progress(step.calls[0].number, 1, 2, "half");
    REQUIRE(told);
    const json::object params = parsed(*told).at("params").as_object();
    CHECK(params.at("progress") == 1);
    CHECK(params.at("total") == 2);
    CHECK(params.at("progressToken") == "p");
    CHECK(params.contains("message") == message);
    CHECK_FALSE(s.progress(step.calls[0].number, 1, 2, "again"));
    CHECK(parsed(*s.progress(step.calls[0].number, 2, 2, "all"))
              .at("params")
              .at("progress") == 2);
    const auto line = s.finish(step.calls[0].number,
                               {.texts = {"t"}, .structured = json::object()});
    const json::object result = parsed(*line).at("result").as_object();
    CHECK(result.contains("structuredContent") == structured);
    CHECK_FALSE(result.contains("resultType"));
    CHECK_FALSE(s.progress(step.calls[0].number, 3, 3, "late"));
  }
}

TEST_CASE("a tool that is not there is a result that says so") {
  mcp_session s = new_session();
  const json::value result = ask(s, call(1, "frist")).at("result");
  CHECK(result.at("isError").as_bool());
  CHECK(result.at("content").at(0).at("text").as_string() ==
        "no tool 'frist'; did you mean 'first'?");
  CHECK(code_of(ask(s, modern(1, "tools/call"))) == -32602);
  CHECK(code_of(ask(s, modern(1, "tools/call",
                              R"("name":"first","arguments":[])"))) == -32602);
}

TEST_CASE("a cancelled call is not answered, and counts until it has ended") {
  mcp_limits limits;
  limits.max_calls = 2;
  mcp_session s = new_session(limits);
  const auto number = take(s, call(1, "first")).calls.at(0).number;
  CHECK(take(s, cancelled("\"1\"")).cancelled.empty());
  CHECK(take(s, cancelled("1")).cancelled == std::vector{number});
  CHECK(take(s, cancelled("1")).cancelled.empty());
  const auto again = take(s, call(1, "first")).calls.at(0).number;
  CHECK(again != number);
  // A third is one too many.
  const json::value full = ask(s, call(2, "first")).at("result");
  CHECK(full.at("isError").as_bool());
  CHECK(full.at("content").at(0).at("text").as_string().starts_with("2 calls"));
  CHECK_FALSE(s.progress(number, 1, 1, "x"));
  CHECK_FALSE(s.finish(number, mcp_failure("cancelled")));
  CHECK(s.n_running() == 1);
  CHECK(take(s, call(2, "first")).calls.size() == 1);
  CHECK(s.finish(again, {}));
}

TEST_CASE("tools come in pages, which are bounded in number and in bytes") {
  std::vector<json::object> tools;
  for (int i = 0; i < 5; ++i) {
    tools.push_back({{"name", std::string(1, static_cast<char>('e' - i))},
                     {"description", std::string(100, 'x')}});
  }
  mcp_limits by_number, by_bytes;
  by_number.max_page = 2;
  by_bytes.max_page_bytes = 300;
  for (const mcp_limits& limits : {by_number, by_bytes}) {
    mcp_session s("1", tools, limits);
    std::string names;
    std::string cursor;
    int pages = 0;
    do {
      const json::object list =
          ask(s, modern(1, "tools/list", cursor)).at("result").as_object();
      ++pages;
      for (const json::value& tool : list.at("tools").as_array()) {
        names += tool.at("name").as_string();
      }
      const json::value* next = list.if_contains("nextCursor");
      cursor = next == nullptr ? "" : "\"cursor\":" + json::serialize(*next);
    } while (!cursor.empty());
    CHECK(names == "abcde");
    CHECK(pages == 3);
    for (const char* wrong :
         {"7", R"("5")", R"("-1")", R"("x")", R"("")", R"("1 ")", "null"}) {
      CHECK(code_of(ask(s, modern(1, "tools/list",
                                  "\"cursor\":" + std::string(wrong)))) ==
            -32602);
    }
  }
}

TEST_CASE("an answer longer than a line is told to be so") {
  mcp_limits limits;
  limits.max_line = 1000;
  mcp_session s = new_session(limits);
  const auto number = take(s, call(1, "first")).calls.at(0).number;
  const auto line = s.finish(number, {.texts = {std::string(1000, 'x')}});
  REQUIRE(line);
  CHECK(line->size() <= 1000);
  CHECK(parsed(*line).at("result").at("isError").as_bool());
}

TEST_CASE("a batch of 2025-03-26 is answered in one line, once all has ended") {
  mcp_limits limits;
  limits.max_batch = 4;
  mcp_session s = new_session(limits);
  agree(s, "2025-03-26");
  const std::string ping = request(1, "ping", "");
  const std::string called = request(2, "tools/call", R"("name":"first")");
  const mcp_step step =
      take(s, "[" + ping + "," + called + ",7," +
                  R"({"jsonrpc":"2.0","method":"notifications/x"}])");
  CHECK(step.lines.empty());
  REQUIRE(step.calls.size() == 1);
  const auto line = s.finish(step.calls[0].number, {.texts = {"t"}});
  REQUIRE(line);
  const json::value all = parsed(*line);
  REQUIRE(all.as_array().size() == 3);
  CHECK(all.at(0).at("id").as_int64() == 1);
  CHECK(code_of(all.at(1)) == -32600);
  CHECK(all.at(2).at("id").as_int64() == 2);
  // What asks nothing, or is cancelled, is answered by nothing.
  CHECK(take(s, R"([{"jsonrpc":"2.0","method":"notifications/x"}])")
            .lines.empty());
  const auto number = take(s, "[" + called + "]").calls.at(0).number;
  CHECK(take(s, "[" + cancelled("2") + "]").cancelled == std::vector{number});
  CHECK_FALSE(s.finish(number, {}));
  CHECK(code_of(ask(s, "[" + ping + "," + ping + "," + ping + "," + ping + "," +
                           ping + "]")) == -32600);
  CHECK(code_of(ask(s, "[" +
                           request(1, "initialize",
                                   R"("protocolVersion":"2025-06-18")") +
                           "]")
                    .at(0)) == -32600);
}

TEST_CASE("the answers of a batch fit a line") {
  mcp_limits limits;
  limits.max_line = 4000;
  mcp_session s = new_session(limits);
  agree(s, "2025-03-26");
  const auto step =
      take(s, "[" + request(1, "tools/call", R"("name":"first")") + "," +
                  request(2, "tools/call", R"("name":"first")") + "]");
  REQUIRE(step.calls.size() == 2);
  const mcp_result big{.texts = {std::string(1500, 'x')}};
  CHECK_FALSE(s.finish(step.calls[0].number, big));
  const auto line = s.finish(step.calls[1].number, big);
  REQUIRE(line);
  CHECK(line->size() <= 4000);
  CHECK(parsed(*line).at(0).as_object().contains("result"));
  CHECK(code_of(parsed(*line).at(1)) == -32603);
}
