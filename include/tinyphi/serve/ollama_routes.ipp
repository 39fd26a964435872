// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_OLLAMA_ROUTES_IPP_
#define TINYPHI_SERVE_OLLAMA_ROUTES_IPP_

#include <cmath>
#include <utility>

#include "tinyphi/serve/model_routes.ipp"
#include "tinyphi/serve/ollama.h"
#include "tinyphi/serve/ollama_routes.h"
#include "tinyphi/serve/ollama_table.h"
#include "tinyphi/serve/respond.h"
#include "tinyphi/version.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// Of all matrices and norms that a configuration asks for.
inline std::uint64_t count_parameters(const model_config& c) {
  const std::uint64_t hidden = c.hidden, heads = c.n_heads, kv = c.n_kv_heads;
  const std::uint64_t attention = hidden * c.head_dim * (2 * heads + 2 * kv);
  const std::uint64_t block =
      attention + 3 * hidden * c.intermediate + 2 * hidden;
  const std::uint64_t table = hidden * c.vocab_size;
  return c.n_layers * block + table * (c.tied_embeddings ? 1 : 2) + hidden;
}

inline ollama_model ollama_facts(const served_model& m) {
  const model_config& c = m.engine().model().config();
  return {.id = m.id(),
          .family = std::string(to_string(c.arch)),
          .fingerprint = m.fingerprint(),
          .created = m.created(),
          .bytes = m.engine().model().weight_bytes(),
          .parameters = count_parameters(c),
          .context = c.max_context,
          .embedding = c.hidden,
          .blocks = c.n_layers,
          .heads = c.n_heads,
          .kv_heads = c.n_kv_heads};
}

inline boost::asio::awaitable<void> ollama_models(http_exchange& x,
                                                  const server_state& s,
                                                  bool running) {
  std::vector<ollama_model> all;
  for (const auto& m : s.models) all.push_back(ollama_facts(*m));
  json::object o = ollama_list(all, running);
  auto responding = respond_json(x, std::move(o));
  co_await std::move(responding);
}

inline api_result<json::object> ollama_shown(http_exchange& x,
                                             const server_state& s) {
  TINYPHI_TRY(const json::object body, parse_body(x.request().body));
  TINYPHI_CHECK_OK(
      check_fields(body, request_tables::ollama_show, x.report().ignored));
  const std::string name =
      string_field(body, "model", string_field(body, "name"));
  TINYPHI_TRY(
      const auto m,
      model_for(s, known_name(s, name, error_form::ollama), *x.request().from));
  return ollama_description(ollama_facts(*m));
}

inline boost::asio::awaitable<void> respond_ollama(
    http_exchange& x, api_result<json::object> answer) {
  if (!answer) {
    co_await respond_with(x, answer.error(), error_form::ollama);
    co_return;
  }
  auto responding = respond_json(x, *std::move(answer));
  co_await std::move(responding);
}

// The answer to a request without a text: the model is there, and would take
// the rest of it.
inline api_result<json::object> ollama_looked_for(const asked_answer& asked,
                                                  bool chat) {
  std::string name = asked.request.model;
  if (const auto& m = asked.model; m != nullptr) {
    const auto ok = check_sampling(asked.request.params.sampling,
                                   m->engine().model().config().vocab_size);
    if (!ok) return to_api_error(ok.error());
    if (name.empty()) name = ollama_name(m->id());
  }
  return ollama_loaded(chat, name, unix_seconds());
}

// A chat or a text. `make` outlives what is returned.
inline boost::asio::awaitable<void> ollama_answer(http_exchange& x,
                                                  server_state& s, bool chat,
                                                  const make_dialect& make) {
  constexpr error_form form = error_form::ollama;
  auto asked = read_answer_request(
      x, s, chat ? parse_ollama_chat : parse_ollama_generate, form);
  if (!asked || !asked->request.messages.empty() ||
      !asked->request.prompts.empty()) {
    return answer_route(x, s, std::move(asked), make, form);
  }
  x.report().ignored = asked->request.ignored;
  return respond_ollama(x, ollama_looked_for(*asked, chat));
}

inline json::object ollama_vectors(const served_model& m,
                                   const embedding_request& r,
                                   const embeddings& e, double ms) {
  json::array all;
  for (const std::vector<float>& vector : e.vectors) {
    all.push_back(json::array(vector.begin(), vector.end()));
  }
  return {{"model", r.model.empty() ? ollama_name(m.id()) : r.model},
          {"embeddings", std::move(all)},
          {"total_duration", std::llround(1e6 * ms)},
          {"load_duration", 0},
          {"prompt_eval_count", e.tokens}};
}

// Programs look for these words; whoever wants a page finds none.
inline boost::asio::awaitable<void> say_ollama(http_exchange& x) {
  const std::string_view wanted = x.request().header("accept");
  if (wanted.find("text/html") != std::string_view::npos) {
    api_error e;
    e.status = 404;
    e.code = "not_found";
    e.message = "there is no page here; /openapi.json says what there is";
    co_await respond_with(x, e, error_form::ollama);
    co_return;
  }
  http_response r;
  r.content_type = "text/plain; charset=utf-8";
  r.body = "Ollama is running";
  auto responding = x.respond(std::move(r));
  co_await std::move(responding);
}

inline api_error not_offered() {
  api_error e;
  e.status = 501;
  e.code = "not_offered";
  e.message =
      "models are not managed here, and embeddings are at /api/embed; the "
      "daemon's file says which models there are";
  return e;
}

}  // namespace detail

TINYPHI_FUNC void add_ollama_routes(router& to, server_state& s) {
  const auto add = [&](const char* method, const char* pattern,
                       std::size_t max_body, route_handler handle) {
    to.add({method, pattern, route_access::key, max_body, error_form::ollama,
            std::move(handle)});
  };
  using captures = std::vector<std::string>;
  const auto answers = [&](const char* pattern, bool chat, make_dialect make) {
    add("POST", pattern, s.max_body,
        [&s, chat, make = std::move(make)](http_exchange& x, const captures&) {
          return detail::ollama_answer(x, s, chat, make);
        });
  };
  answers("/api/chat", true, make_ollama_chat);
  answers("/api/generate", false, make_ollama_generate);
  add("POST", "/api/embed", s.max_body,
      [&s](http_exchange& x, const captures&) {
        return detail::embedding_route(
            x, s,
            {parse_ollama_embed, detail::ollama_vectors, error_form::ollama});
      });
  add("POST", "/api/show", s.max_body, [&s](http_exchange& x, const captures&) {
    return detail::respond_ollama(x, detail::ollama_shown(x, s));
  });
  add("GET", "/api/tags", 0, [&s](http_exchange& x, const captures&) {
    return detail::ollama_models(x, s, false);
  });
  add("GET", "/api/ps", 0, [&s](http_exchange& x, const captures&) {
    return detail::ollama_models(x, s, true);
  });
  add("GET", "/api/version", 0, [](http_exchange& x, const captures&) {
    return detail::respond_json(
        x, json::object{{"version", TINYPHI_VERSION "-tinyphi"}});
  });
  to.add({"GET", "/", route_access::open, 0, error_form::ollama,
          [](http_exchange& x, const captures&) {
            return detail::say_ollama(x);
          }});
  // What the original also has.
  constexpr std::pair<const char*, const char*> absent[] = {
      {"POST", "/api/embeddings"},    {"POST", "/api/pull"},
      {"POST", "/api/push"},          {"POST", "/api/create"},
      {"POST", "/api/copy"},          {"DELETE", "/api/delete"},
      {"POST", "/api/blobs/{digest}"}};
  for (const auto& [method, pattern] : absent) {
    add(method, pattern, s.max_body, [](http_exchange& x, const captures&) {
      return detail::respond_ollama(x, detail::not_offered());
    });
  }
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_OLLAMA_ROUTES_IPP_
