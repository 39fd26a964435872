// SPDX-License-Identifier: MIT
#include "tinyphi/serve/openapi.h"

#include "support/mini_schema.h"
#include "support/request_bodies.h"
#include "support/test.h"
#include "tinyphi/serve/approval_routes.h"
#include "tinyphi/serve/model_routes.h"
#include "tinyphi/serve/ollama_routes.h"
#include "tinyphi/serve/ops_routes.h"
#include "tinyphi/serve/pipeline_routes.h"
#include "tinyphi/serve/request_tables.h"
#include "tinyphi/serve/text_routes.h"

using namespace tinyphi;
using tinyphi_test::mini_schema;

namespace {

// The daemon's own routes; nobody calls them here.
struct daemon_routes {
  daemon_routes() {
    add_ops_routes(to, state);
    add_model_routes(to, state);
    add_text_routes(to, state);
    add_pipeline_routes(to, state);
    add_approval_routes(to, state);
    add_ollama_routes(to, state);
  }
  json::value document(bool keys = false) const {
    return openapi_document(
        to.routes(), {.version = "1.2.3",
                      .keys = keys,
                      .limits = {.vocab_size = 32, .vector_sizes = {64}}});
  }
  server_state state;
  router to;
};

void check_references(const json::value& v, const json::value& root) {
  if (const auto* all = v.if_array()) {
    for (const json::value& one : *all) check_references(one, root);
  }
  const auto* o = v.if_object();
  if (o == nullptr) return;
  for (const auto& [key, value] : *o) {
    if (key == "$ref") {
      const std::string to(value.as_string());
      INFO(to);
      json::error_code ec;
      CHECK(root.find_pointer(to.substr(1), ec) != nullptr);
    } else {
      check_references(value, root);
    }
  }
}

}  // namespace

TEST_CASE("every route of the daemon is described") {
  const daemon_routes d;
  const json::value document = d.document();
  CHECK(document.at("openapi") == "3.2.0");
  CHECK(document.at("info").at("version") == "1.2.3");
  CHECK(d.to.routes().size() > 8);
  std::size_t absent = 0;
  for (const route& r : d.to.routes()) {
    if (r.takes) continue;  // a path that a pipeline's file chose
    INFO(r.method << " " << r.pattern);
    const operation* known = find_operation(r.method, r.pattern);
    if (known == nullptr && r.errors == error_form::ollama) {
      ++absent;
      CHECK_FALSE(document.at("paths").as_object().contains(r.pattern));
      continue;
    }
    REQUIRE(known != nullptr);
    std::string method = r.method;
    for (char& c : method) c = static_cast<char>(c | 0x20);
    const json::value& o = document.at("paths").at(r.pattern).at(method);
    CHECK(o.as_object().contains("requestBody") == (r.max_body > 0));
    CHECK(o.at("responses").as_object().contains("200"));
    CHECK(o.at("responses").as_object().contains("503"));
    CHECK(o.at("responses").as_object().contains("413"));
  }
  CHECK(absent == 7);  // those of Ollama that are answered by 501
  const auto stream_types = [&](const char* path) {
    return document.at("paths")
        .at(path)
        .at("post")
        .at("responses")
        .at("200")
        .at("content")
        .as_object();
  };
  CHECK(stream_types("/api/chat").contains("application/x-ndjson"));
  CHECK(stream_types("/v1/responses").contains("text/event-stream"));
  CHECK(document.at("paths")
            .at("/v1/models/{id}")
            .at("get")
            .at("parameters")
            .at(0)
            .at("name") == "id");
}

TEST_CASE("references of the document lead somewhere") {
  const json::value document = daemon_routes().document();
  check_references(document, document);
}

TEST_CASE("bodies have the schema of the table that checks them") {
  const json::value document = daemon_routes().document();
  const json::value& chat =
      document.at("components").at("schemas").at("ChatRequest");
  CHECK(chat == schema_of(request_tables::chat,
                          {.vocab_size = 32, .vector_sizes = {64}}));
  const json::value& content = document.at("paths")
                                   .at("/v1/chat/completions")
                                   .at("post")
                                   .at("requestBody")
                                   .at("content")
                                   .at("application/json");
  CHECK(content.at("schema").at("$ref") == "#/components/schemas/ChatRequest");
  std::vector<std::string> ignored;
  CHECK(check_fields(content.at("example").as_object(), request_tables::chat,
                     ignored));
  CHECK(
      mini_schema(document).takes(content.at("example"), content.at("schema")));
}

TEST_CASE("streamed answers are events, and errors have OpenAI's form") {
  const json::value document = daemon_routes().document();
  const json::value& responses = document.at("paths")
                                     .at("/v1/chat/completions")
                                     .at("post")
                                     .at("responses");
  CHECK(responses.at("200").at("content").as_object().contains(
      "text/event-stream"));
  const json::value& schema =
      responses.at("400").at("content").at("application/json").at("schema");
  const mini_schema s(document);
  for (const api_error& e :
       {invalid_value("n", "m"), to_api_error({error_code::internal, "m"}),
        to_api_error({error_code::unavailable, "m"}, 2)}) {
    CHECK(s.takes(json::parse(to_body(e)), schema));
  }
  CHECK_FALSE(s.takes({{"error", "text"}}, schema));
}

TEST_CASE("Ollama's routes have its form of errors") {
  const route r{"POST", "/api/chat",        route_access::key,
                1,      error_form::ollama, {}};
  const json::value document = openapi_document({&r, 1}, {.version = "1"});
  CHECK(document.at("paths")
            .at("/api/chat")
            .at("post")
            .at("responses")
            .at("400")
            .at("content")
            .at("application/json")
            .at("schema")
            .at("$ref") == "#/components/schemas/OllamaError");
}

TEST_CASE("keys are asked for where there are some, not for /health") {
  const daemon_routes d;
  const json::value with = d.document(true);
  const json::value without = d.document(false);
  const auto chat = [](const json::value& document) -> const json::object& {
    return document.at("paths")
        .at("/v1/chat/completions")
        .at("post")
        .as_object();
  };
  CHECK(chat(with).contains("security"));
  CHECK(chat(with).at("responses").as_object().contains("401"));
  CHECK_FALSE(chat(without).contains("security"));
  CHECK_FALSE(chat(without).at("responses").as_object().contains("401"));
  CHECK_FALSE(with.at("paths").at("/health").at("get").as_object().contains(
      "security"));
  CHECK(with.at("components").as_object().contains("securitySchemes"));
  CHECK_FALSE(without.at("components").as_object().contains("securitySchemes"));
}

TEST_CASE("parts of a path are parameters; what has no words is left out") {
  const route all[] = {
      {"DELETE",
       "/v1/requests/{id}",
       route_access::key,
       0,
       error_form::openai,
       {}},
      {"GET", "/new/{a}", route_access::key, 0, error_form::openai, {}}};
  const json::value document = openapi_document(all, {.version = "1"});
  CHECK(document.at("paths").as_object().size() == 1);
  const json::value& o =
      document.at("paths").at("/v1/requests/{id}").at("delete");
  REQUIRE(o.at("parameters").as_array().size() == 1);
  CHECK(o.at("parameters").at(0).at("name") == "id");
  CHECK(o.at("responses").as_object().contains("404"));
}
