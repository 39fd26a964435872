// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_MODEL_ROUTES_IPP_
#define TINYPHI_SERVE_MODEL_ROUTES_IPP_

#include <algorithm>
#include <chrono>
#include <functional>
#include <utility>

#include "tinyphi/pipeline/stage.h"
#include "tinyphi/serve/answer_start.h"
#include "tinyphi/base/base64.h"
#include "tinyphi/serve/model_routes.h"
#include "tinyphi/serve/native_completion.h"
#include "tinyphi/serve/openai_chat.h"
#include "tinyphi/serve/openai_completions.h"
#include "tinyphi/serve/openai_responses.h"
#include "tinyphi/serve/parse_request.h"
#include "tinyphi/serve/pipeline_routes.h"
#include "tinyphi/serve/progress_signal.h"
#include "tinyphi/serve/request_tables.h"
#include "tinyphi/serve/respond.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

using parse_answer = api_result<answer_request> (*)(const json::object&);

// Ollama's clients say "phi:latest" where others say "phi".
inline std::string known_name(const server_state& s, std::string name,
                              error_form form) {
  constexpr std::string_view tag = ":latest";
  const bool known = std::ranges::any_of(
      s.models, [&](const auto& m) { return m->is_named(name); });
  if (form == error_form::ollama && !known && name.ends_with(tag)) {
    name.resize(name.size() - tag.size());
  }
  return name;
}

// What a body asks for answers, and whom: a model or a pipeline.
struct asked_answer {
  answer_request request;
  std::shared_ptr<served_model> model = {};
  std::shared_ptr<const served_pipeline> pipeline = {};
};

inline api_result<asked_answer> read_answer_request(const http_exchange& x,
                                                    const server_state& s,
                                                    parse_answer parse,
                                                    error_form form) {
  const caller& from = *x.request().from;
  TINYPHI_TRY(const json::object body, parse_body(x.request().body));
  asked_answer asked;
  TINYPHI_TRY(asked.request, parse(body));
  const std::string known = known_name(s, asked.request.model, form);
  const std::string_view name = known;
  if (name.starts_with(pipeline_prefix)) {
    TINYPHI_TRY(asked.pipeline,
                pipeline_for(s, name.substr(pipeline_prefix.size()), from));
  } else {
    TINYPHI_TRY(asked.model, model_for(s, name, from));
  }
  if (s.stop_batch &&
      answer_class(from, asked.request.wanted_class) == priority_class::batch) {
    return to_api_error({error_code::unavailable,
                         "memory is short; requests of class batch come later"},
                        10);
  }
  return asked;
}

// A route whose body asks for answers. `make` outlives what is returned.
inline boost::asio::awaitable<void> answer_route(http_exchange& x,
                                                 server_state& s,
                                                 api_result<asked_answer> asked,
                                                 const make_dialect& make,
                                                 error_form form) {
  if (!asked) {
    co_await respond_with(x, asked.error(), form);
    co_return;
  }
  auto taking = take_place(x, s);
  auto place = co_await std::move(taking);
  if (!place) {
    co_await respond_with(x, place.error(), form);
    co_return;
  }
  auto answering =
      asked->pipeline != nullptr
          ? answer_by_pipeline(x, std::move(asked->pipeline),
                               std::move(asked->request), make, s.answers)
          : serve_answer(x, std::move(asked->model), std::move(asked->request),
                         make, s.answers);
  co_await std::move(answering);
  place->finish(std::chrono::steady_clock::now());
}

inline api_result<const tokenizer*> tokenizer_of(const served_model& m) {
  const tokenizer* t = m.engine().model().tokenizer();
  if (t == nullptr) {
    return to_api_error(
        {error_code::unsupported, "the model has no tokenizer"});
  }
  return t;
}

// The vectors of a request, and how many tokens they took; blocks until the
// engine's thread has computed them.
struct embeddings {
  std::vector<std::vector<float>> vectors;
  std::size_t tokens = 0;
};

// An input as a text, whose ids must be this model's; `at` is its path.
inline api_result<std::string> text_of_input(const plain_prompt& p,
                                             const tokenizer& t,
                                             const std::string& at) {
  if (const auto* text = std::get_if<std::string>(&p)) return *text;
  std::string all;
  std::vector<token_id> run;
  const auto add_run = [&] { all += t.decode(std::exchange(run, {}), true); };
  const auto add_id = [&](token_id id) -> api_result<void> {
    run.push_back(id);
    if (id >= 0 && static_cast<std::size_t>(id) < t.size()) return {};
    // LangChain sends cl100k's ids unless it is told not to.
    return invalid_value(
        at, at + ": there is no token " + std::to_string(id) +
                " in this model's vocabulary; send texts (in LangChain: "
                "check_embedding_ctx_length=False)");
  };
  if (const auto* ids = std::get_if<std::vector<token_id>>(&p)) {
    for (const token_id id : *ids) TINYPHI_CHECK_OK(add_id(id));
  } else {
    for (const auto& part : std::get<mixed_prompt>(p)) {
      if (const auto* id = std::get_if<token_id>(&part)) {
        TINYPHI_CHECK_OK(add_id(*id));
      } else {
        add_run();
        all += std::get<std::string>(part);
      }
    }
  }
  add_run();
  return all;
}

inline api_result<embeddings> embed_texts(served_model& m,
                                          const embedding_request& r,
                                          const generation_params& params) {
  const model& weights = m.engine().model();
  TINYPHI_TRY(const tokenizer* t, tokenizer_of(m));
  if (r.dimensions != 0 && r.dimensions != weights.config().hidden) {
    return invalid_value("dimensions",
                         "dimensions is " + std::to_string(r.dimensions) +
                             "; this model's vectors have " +
                             std::to_string(weights.config().hidden));
  }
  embeddings out;
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < r.inputs.size(); ++i) {
    const std::string at = "input[" + std::to_string(i) + "]";
    TINYPHI_TRY(std::string text, text_of_input(r.inputs[i], *t, at));
    texts.push_back(std::move(text));
    if (texts.back().empty()) return invalid_value(at, at + " is empty");
    const segment s{texts.back()};
    const std::size_t n = t->encode({&s, 1}, true).size();
    const std::size_t most = weights.config().max_context;
    if (n > most) {
      api_error e = too_long(n, most);
      e.param = at;
      // Llama-server's words are "too large", too.
      e.message = at + " is too large: it has " + std::to_string(n) +
                  " tokens, this model's context " + std::to_string(most) +
                  "; send it in parts";
      return e;
    }
    out.tokens += n;
  }
  auto vectors = m.engine().embed(texts, params);
  if (!vectors) return to_api_error(vectors.error());
  out.vectors = *std::move(vectors);
  return out;
}

inline json::object embeddings_body(const served_model& m,
                                    const embedding_request& r,
                                    const embeddings& e, double /*ms*/) {
  json::array data;
  for (std::size_t i = 0; i < e.vectors.size(); ++i) {
    json::value vector;
    if (r.base64) {
      vector = json::value(base64_floats(e.vectors[i]));
    } else {
      json::array numbers;
      for (const float x : e.vectors[i]) numbers.push_back(x);
      vector = std::move(numbers);
    }
    data.push_back({{"object", "embedding"},
                    {"index", i},
                    {"embedding", std::move(vector)}});
  }
  return {{"object", "list"},
          {"data", std::move(data)},
          {"model", m.id()},
          {"usage", {{"prompt_tokens", e.tokens}, {"total_tokens", e.tokens}}}};
}

// How a route reads requests for embeddings and tells of them.
struct embedding_form {
  api_result<embedding_request> (*parse)(const json::object& body);
  json::object (*tell)(const served_model& m, const embedding_request& r,
                       const embeddings& e, double ms);
  error_form errors = error_form::openai;
};

struct asked_embedding {
  embedding_request request;
  std::shared_ptr<served_model> model = {};
};

inline api_result<asked_embedding> read_embedding_request(
    const http_exchange& x, const server_state& s, const embedding_form& form) {
  TINYPHI_TRY(const json::object body, parse_body(x.request().body));
  asked_embedding asked;
  TINYPHI_TRY(asked.request, form.parse(body));
  TINYPHI_TRY(asked.model,
              model_for(s, known_name(s, asked.request.model, form.errors),
                        *x.request().from));
  return asked;
}

inline boost::asio::awaitable<void> embedding_route(http_exchange& x,
                                                    server_state& s,
                                                    embedding_form form) {
  const auto asked = read_embedding_request(x, s, form);
  if (!asked) {
    co_await respond_with(x, asked.error(), form.errors);
    co_return;
  }
  const embedding_request& request = asked->request;
  served_model& m = *asked->model;
  auto taking = take_place(x, s);
  auto place = co_await std::move(taking);
  if (!place) {
    co_await respond_with(x, place.error(), form.errors);
    co_return;
  }
  generation_params params;
  params.set_origin(origin_of(*x.request().from, std::nullopt));
  const auto series = s.counts->find(m.id(), params.priority);
  s.counts->request_started(series);
  params.stop_when.token = x.gone();
  params.stop_when.deadline =
      after_ms(x.request().arrived, s.answers.deadlines.total_ms);
  run_context workers({}, s.answers.workers->get_executor(), trust::trusted);
  const auto f = [&] { return embed_texts(m, request, params); };
  auto working = workers.blocking(f);
  auto made = co_await std::move(working);
  place->finish(std::chrono::steady_clock::now());
  x.report().model = m.id();
  x.report().ignored = request.ignored;
  const double ms = milliseconds_between(x.request().arrived,
                                         std::chrono::steady_clock::now());
  x.report().total_ms = ms;
  if (made) {
    x.report().prompt_tokens = made->tokens;
    json::object o = form.tell(m, request, *made, ms);
    auto responding = respond_json(x, std::move(o));
    co_await std::move(responding);
  } else {
    co_await respond_with(x, made.error(), form.errors);
  }
  s.counts->request_ended(series, x.report());
}

inline json::object describe_model(const served_model& m) {
  const model& weights = m.engine().model();
  const model_config& c = weights.config();
  json::array aliases;
  for (const std::string& a : m.aliases())
    aliases.push_back(json::string_view(a));
  return {{"id", m.id()},
          {"object", "model"},
          {"created", m.created()},
          {"owned_by", "tinyphi"},
          {"aliases", std::move(aliases)},
          {"meta",
           {{"n_vocab", c.vocab_size},
            {"n_ctx", c.max_context},
            {"n_ctx_train", c.max_context},
            {"n_embd", c.hidden},
            {"size", weights.weight_bytes()}}}};
}

inline boost::asio::awaitable<void> list_models(http_exchange& x,
                                                server_state& s) {
  json::array all;
  for (const auto& m : s.models) all.push_back(describe_model(*m));
  for (const auto& p : s.pipelines) {
    if (p->chat_input.empty() || p->chat_output.empty()) continue;
    all.push_back({{"id", std::string(pipeline_prefix) + p->name},
                   {"object", "model"},
                   {"created", p->created},
                   {"owned_by", "tinyphi"}});
  }
  json::object o{{"object", "list"}, {"data", std::move(all)}};
  auto responding = respond_json(x, std::move(o));
  co_await std::move(responding);
}

inline boost::asio::awaitable<void> show_model(http_exchange& x,
                                               server_state& s,
                                               const std::string& name) {
  auto m = model_for(s, name, *x.request().from);
  if (!m) {
    co_await respond_with(x, m.error());
    co_return;
  }
  json::object o = describe_model(**m);
  auto responding = respond_json(x, std::move(o));
  co_await std::move(responding);
}

// llama-server's /props, without its paths and its prompts (a template may have
// one in it).
inline json::object props_of(const served_model& m) {
  const model& weights = m.engine().model();
  const model_config& c = weights.config();
  // -1: another one each time.
  json::object settings = native_settings(native_defaults());
  settings["seed"] = -1;
  if (m.seed()) settings["seed"] = *m.seed();
  json::object props;
  props["default_generation_settings"] = {{"params", std::move(settings)},
                                          {"n_ctx", c.max_context}};
  props["total_slots"] = m.engine().options().max_sequences;
  props["model_alias"] = m.id();
  props["modalities"] = {{"vision", false}, {"video", false}, {"audio", false}};
  props["endpoint_slots"] = true;
  props["endpoint_props"] = false;
  props["endpoint_metrics"] = true;
  const auto text_of_id = [&](std::optional<std::int32_t> id) {
    const tokenizer* t = weights.tokenizer();
    return t == nullptr || !id ? std::string() : valid_text(t->bytes(*id));
  };
  props["bos_token"] = text_of_id(c.bos_id);
  props["eos_token"] = text_of_id(
      c.eos_ids.empty() ? std::nullopt : std::optional(c.eos_ids.front()));
  props["build_info"] = m.fingerprint();
  props["is_sleeping"] = false;
  return props;
}

inline boost::asio::awaitable<void> show_props(http_exchange& x,
                                               const server_state& s) {
  const auto m = model_for(s, "", *x.request().from);
  if (!m) {
    co_await respond_with(x, m.error());
    co_return;
  }
  json::object o = props_of(**m);
  auto responding = respond_json(x, std::move(o));
  co_await std::move(responding);
}

}  // namespace detail

TINYPHI_FUNC void add_model_routes(router& to, server_state& s) {
  const auto post = [&](const char* pattern, route_handler handle) {
    to.add({"POST", pattern, route_access::key, s.max_body, error_form::openai,
            std::move(handle)});
  };
  const auto answers = [&](const char* pattern, detail::parse_answer parse,
                           make_dialect make) {
    post(pattern, [&s, parse, make = std::move(make)](
                      http_exchange& x, const std::vector<std::string>&) {
      constexpr error_form form = error_form::openai;
      auto asked = detail::read_answer_request(x, s, parse, form);
      return detail::answer_route(x, s, std::move(asked), make, form);
    });
  };
  answers("/v1/chat/completions", parse_chat, make_openai_chat);
  answers("/v1/completions", parse_completion, make_openai_completion);
  answers("/v1/responses", parse_responses, make_openai_responses);
  answers("/completion", parse_native_completion, make_native_completion);
  post("/v1/embeddings",
       [&s](http_exchange& x, const std::vector<std::string>&) {
         return detail::embedding_route(
             x, s, {parse_embedding, detail::embeddings_body});
       });
  to.add({"GET", "/props", route_access::key, 0, error_form::openai,
          [&s](http_exchange& x, const std::vector<std::string>&) {
            return detail::show_props(x, s);
          }});
  to.add({"GET", "/v1/models", route_access::key, 0, error_form::openai,
          [&s](http_exchange& x, const std::vector<std::string>&) {
            return detail::list_models(x, s);
          }});
  to.add({"GET", "/v1/models/{id}", route_access::key, 0, error_form::openai,
          [&s](http_exchange& x, const std::vector<std::string>& captured) {
            return detail::show_model(x, s, captured[0]);
          }});
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_MODEL_ROUTES_IPP_
