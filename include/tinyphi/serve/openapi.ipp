// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_OPENAPI_IPP_
#define TINYPHI_SERVE_OPENAPI_IPP_

#include <algorithm>
#include <array>
#include <utility>

#include "tinyphi/base/ascii.h"
#include "tinyphi/serve/ollama_table.h"
#include "tinyphi/serve/openapi.h"
#include "tinyphi/serve/request_tables.h"
#include "tinyphi/serve/responses_table.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline constexpr operation operations[] = {
    {"POST", "/v1/chat/completions", "Answers a chat.", &request_tables::chat,
     "ChatCompletion", true},
    {"POST", "/v1/chat/completions/input_tokens",
     "How many tokens a chat's prompt has.", &request_tables::chat,
     "TokenCount"},
    {"POST", "/v1/completions", "Goes on with texts.",
     &request_tables::completion, "Completion", true},
    {"POST", "/v1/responses", "Answers, in the form of OpenAI's newer API.",
     &request_tables::responses, "Response", true},
    {"POST", "/completion", "Goes on with a text, in llama-server's form.",
     &request_tables::native_completion, "NativeCompletion", true},
    {"POST", "/v1/embeddings", "Texts as vectors.", &request_tables::embedding,
     "Embeddings"},
    {"POST", "/tokenize", "The tokens of a text.", &request_tables::tokenize,
     "Tokens"},
    {"POST", "/detokenize", "The text of tokens.", &request_tables::detokenize,
     "Text"},
    {"POST", "/apply-template", "A chat as the model reads it.",
     &request_tables::apply_template, "Prompt"},
    {"POST", "/api/chat", "Answers a chat, in Ollama's form.",
     &request_tables::ollama_chat, "Object", true, "application/json",
     "application/x-ndjson"},
    {"POST", "/api/generate", "Answers a text, in Ollama's form.",
     &request_tables::ollama_generate, "Object", true, "application/json",
     "application/x-ndjson"},
    {"POST", "/api/embed", "Texts as vectors, in Ollama's form.",
     &request_tables::ollama_embed, "Object"},
    {"POST", "/api/show", "One model, in Ollama's form.",
     &request_tables::ollama_show, "Object"},
    {"GET", "/api/tags", "The models, in Ollama's form.", nullptr, "Object"},
    {"GET", "/api/ps", "The models in memory, in Ollama's form.", nullptr,
     "Object"},
    {"GET", "/api/version", "The server's version, in Ollama's form.", nullptr,
     "Object"},
    {"GET", "/", "Tells Ollama's clients that the server is there.", nullptr,
     "Plain", false, "text/plain"},
    {"GET", "/v1/pipelines", "The pipelines and what they take and give.",
     nullptr, "Pipelines"},
    {"POST", "/v1/pipelines/{name}", "Runs a pipeline.",
     &request_tables::pipeline, "PipelineResult", true},
    {"GET", "/v1/approvals", "What waits for a person's approval.", nullptr,
     "Approvals"},
    {"POST", "/v1/approvals/{id}", "Approves or denies what waits.",
     &request_tables::decision, "Decided"},
    {"GET", "/v1/models", "The models.", nullptr, "Models"},
    {"GET", "/v1/models/{id}", "One model.", nullptr, "Model"},
    {"GET", "/props", "The first model, in llama-server's form.", nullptr,
     "Props"},
    {"POST", "/admin/reload", "Reads the configuration again, as SIGHUP does.",
     nullptr, "Object"},
    {"POST", "/admin/drain", "Ends the server once its requests have ended.",
     nullptr, "Object"},
    {"GET", "/v1/requests", "The caller's requests under way.", nullptr,
     "Requests"},
    {"DELETE", "/v1/requests/{id}", "Ends a request of the caller's.", nullptr,
     "Cancelled"},
    {"GET", "/slots", "The places for requests of the first model.", nullptr,
     "Slots"},
    {"GET", "/health", "Whether the server is loaded and alive.", nullptr,
     "Object"},
    {"GET", "/ready", "Whether it should be sent work.", nullptr, "Object"},
    {"GET", "/metrics", "Figures for Prometheus.", nullptr, "Plain", false,
     "text/plain"},
    {"GET", "/openapi.json", "This document.", nullptr, "Object"},
};

struct error_status {
  const char* status;
  const char* about;
  bool with_body = false;  // of requests that have a body
  bool with_key = false;   // of routes that need a key
};
// What any request may meet, from the strict layer in front of the routes to
// the deadlines behind them.
inline constexpr error_status error_statuses[] = {
    {"400", "The request is not understood; param names the field."},
    {"401", "The key is missing or wrong.", false, true},
    {"403", "The origin, or the key, may not do this."},
    {"404", "There is no such model, request or route."},
    {"405", "The route has other methods; allow names them."},
    {"408", "The request came too slowly."},
    {"411", "The body's length is not said.", true},
    {"413", "The body is too big."},
    {"415", "The body is encoded.", true},
    {"417", "Something is expected that is not done.", true},
    {"421", "The host is not this server's name."},
    {"429", "The key's own limit is reached; retry-after says until when.",
     true},
    {"431", "The header is too big."},
    {"500", "The server has failed."},
    {"503", "The server is loading, full or shutting down.", false},
    {"504", "A deadline has passed.", true},
};

inline json::object reference(std::string name) {
  return {{"$ref", "#/components/schemas/" + std::move(name)}};
}

inline json::object content_of(std::string_view type, json::object schema) {
  json::object media, content;
  media["schema"] = std::move(schema);
  content[type] = std::move(media);
  return content;
}

// The names in braces of "/v1/models/{id}".
inline json::array path_parameters(std::string_view pattern) {
  json::array out;
  for (std::size_t at = pattern.find('{'); at != std::string_view::npos;
       at = pattern.find('{', at + 1)) {
    const std::size_t end = pattern.find('}', at);
    const auto name = pattern.substr(at + 1, end - at - 1);
    out.push_back(json::object{{"name", json::string_view(name)},
                               {"in", "path"},
                               {"required", true},
                               {"schema", {{"type", "string"}}}});
  }
  return out;
}

class document_writer {
 public:
  document_writer(std::span<const route> routes, const openapi_facts& facts)
      : routes_(routes), facts_(&facts) {}

  json::object write() {
    schemas_ = openapi_schemas();
    json::object paths;
    for (const route& r : routes_) {
      const operation* o = find_operation(r.method, r.pattern);
      if (o == nullptr) continue;
      json::value& path = paths[r.pattern];
      if (path.is_null()) path = json::object();
      path.get_object()[ascii::lower(r.method)] = described(r, *o);
    }
    json::object components;
    components["schemas"] = std::move(schemas_);
    if (facts_->keys) {
      components["securitySchemes"] = {
          {"key", {{"type", "http"}, {"scheme", "bearer"}}}};
    }
    json::object document;
    document["openapi"] = "3.2.0";
    document["info"] = {{"title", "tinyphi"},
                        {"version", facts_->version},
                        {"license", {{"name", "MIT"}, {"identifier", "MIT"}}}};
    document["paths"] = std::move(paths);
    document["components"] = std::move(components);
    return document;
  }

 private:
  json::object described(const route& r, const operation& o) {
    json::object out;
    out["summary"] = json::string_view(o.summary);
    json::array parameters = path_parameters(r.pattern);
    if (!parameters.empty()) out["parameters"] = std::move(parameters);
    if (o.body != nullptr) out["requestBody"] = body(*o.body);
    out["responses"] = responses(r, o);
    if (facts_->keys && r.access != route_access::open) {
      json::object key;
      key["key"] = json::array();
      out["security"] = json::array{std::move(key)};
    }
    return out;
  }

  json::object body(const request_table& t) {
    if (!schemas_.contains(t.name)) {
      schemas_[t.name] = schema_of(t, facts_->limits);
    }
    // One whole request, from the examples of the fields.
    json::object example;
    for (const field& f : t.fields) {
      if (!f.required || f.example.empty()) continue;
      example[f.name] = json::parse(f.example);
    }
    json::object content =
        content_of("application/json", reference(std::string(t.name)));
    content["application/json"].get_object()["example"] = std::move(example);
    json::object out;
    out["required"] = true;
    out["content"] = std::move(content);
    return out;
  }

  json::object responses(const route& r, const operation& o) const {
    json::object content = content_of(o.type, reference(std::string(o.answer)));
    if (o.streams) {
      json::object events;
      const bool lines = o.stream_type != "text/event-stream";
      events["itemSchema"] = reference(lines ? "Object" : "Event");
      content[o.stream_type] = std::move(events);
    }
    json::object good;
    good["description"] = "The answer.";
    good["content"] = std::move(content);
    json::object out;
    out["200"] = std::move(good);
    const bool has_body = r.max_body > 0;
    for (const error_status& e : error_statuses) {
      if (e.with_body && !has_body) continue;
      if (e.with_key && (!facts_->keys || r.access == route_access::open)) {
        continue;
      }
      json::object error;
      error["description"] = e.about;
      error["content"] = content_of(
          "application/json",
          reference(r.errors == error_form::ollama ? "OllamaError" : "Error"));
      out[e.status] = std::move(error);
    }
    return out;
  }

  std::span<const route> routes_;
  const openapi_facts* facts_;
  json::object schemas_;
};

}  // namespace detail

TINYPHI_FUNC const operation* find_operation(std::string_view method,
                                             std::string_view pattern) {
  const auto* found =
      std::ranges::find_if(detail::operations, [&](const operation& o) {
        return o.method == method && o.pattern == pattern;
      });
  return found == std::end(detail::operations) ? nullptr : found;
}

TINYPHI_FUNC json::object openapi_document(std::span<const route> routes,
                                           const openapi_facts& facts) {
  return detail::document_writer(routes, facts).write();
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_OPENAPI_IPP_
