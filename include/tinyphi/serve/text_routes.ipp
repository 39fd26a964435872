// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_TEXT_ROUTES_IPP_
#define TINYPHI_SERVE_TEXT_ROUTES_IPP_

#include <utility>

#include "tinyphi/serve/model_routes.ipp"
#include "tinyphi/serve/respond.h"
#include "tinyphi/serve/text_routes.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// They answer on a worker: a long text takes a moment.

using text_work = api_result<json::value> (*)(const json::object& body,
                                              served_model& m,
                                              const caller& from);

inline api_result<json::value> tokenize_text(const json::object& body,
                                             served_model& m, const caller&) {
  std::vector<std::string> ignored;
  TINYPHI_CHECK_OK(check_fields(body, request_tables::tokenize, ignored));
  TINYPHI_TRY(const tokenizer* t, tokenizer_of(m));
  const segment s{string_field(body, "content"),
                  bool_field(body, "parse_special", true)};
  const auto ids = t->encode({&s, 1}, bool_field(body, "add_special", false));
  json::array tokens;
  const bool pieces = bool_field(body, "with_pieces", false);
  for (const token_id id : ids) {
    if (pieces) {
      tokens.push_back({{"id", id}, {"piece", valid_text(t->bytes(id))}});
    } else {
      tokens.push_back(id);
    }
  }
  return json::value{{"tokens", std::move(tokens)}};
}

inline api_result<json::value> detokenize_ids(const json::object& body,
                                              served_model& m, const caller&) {
  std::vector<std::string> ignored;
  TINYPHI_CHECK_OK(check_fields(body, request_tables::detokenize, ignored));
  TINYPHI_TRY(const tokenizer* t, tokenizer_of(m));
  std::vector<token_id> ids;
  for (const json::value& id : body.at("tokens").get_array()) {
    ids.push_back(id.to_number<token_id>());
    if (ids.back() >= static_cast<token_id>(t->size())) {
      return invalid_value(
          "tokens", "tokens: there is no token " + std::to_string(ids.back()) +
                        "; the vocabulary has " + std::to_string(t->size()));
    }
  }
  return json::value{{"content", t->decode(ids, true)}};
}

inline api_result<json::value> template_text(const json::object& body,
                                             served_model& m, const caller&) {
  std::vector<std::string> ignored;
  TINYPHI_CHECK_OK(check_fields(body, request_tables::apply_template, ignored));
  TINYPHI_TRY(const auto messages,
              read_messages(body.at("messages").get_array()));
  const auto& format = m.engine().model().chat_format();
  if (!format) return to_api_error(format.error());
  const auto prompt = render_chat(*format, messages);
  if (!prompt) return to_api_error(prompt.error());
  std::string text;
  for (const segment& s : *prompt) text += s.text;
  return json::value{{"prompt", text}};
}

// How long the prompt of a chat is, for the caller: what it knows of earlier
// answers counts.
inline api_result<json::value> count_tokens(const json::object& body,
                                            served_model& m,
                                            const caller& from) {
  TINYPHI_TRY(const answer_request r, parse_chat(body));
  // What cannot be answered has no length either.
  const auto ok =
      check_sampling(r.params.sampling, m.engine().model().config().vocab_size);
  if (!ok) return to_api_error(ok.error());
  TINYPHI_TRY(const auto messages, told_messages(m, r));
  auto ids = chat_tokens(m.engine().model(), messages, r.continue_last,
                         m.turns(), answer_domain(from, r.cache_salt));
  if (!ids) return to_api_error(ids.error());
  return json::value{{"object", "response.input_tokens"},
                     {"input_tokens", ids->size()}};
}

// The model that a body asks for; the first one if it names none.
inline api_result<std::shared_ptr<served_model>> model_of(
    const http_exchange& x, const server_state& s, const json::object& body) {
  const json::value* name = find_field(body, "model");
  const bool named = name != nullptr && name->is_string();
  return model_for(s, named ? std::string_view(name->get_string()) : "",
                   *x.request().from);
}

inline boost::asio::awaitable<void> text_route(http_exchange& x,
                                               server_state& s,
                                               text_work work) {
  const auto body = parse_body(x.request().body);
  if (!body) {
    co_await respond_with(x, body.error());
    co_return;
  }
  auto m = model_of(x, s, *body);
  if (!m) {
    co_await respond_with(x, m.error());
    co_return;
  }
  run_context workers({}, s.answers.workers->get_executor(), trust::trusted);
  const auto f = [&] { return work(*body, **m, *x.request().from); };
  auto working = workers.blocking(f);
  auto out = co_await std::move(working);
  if (!out) {
    co_await respond_with(x, out.error());
    co_return;
  }
  auto responding = respond_json(x, *std::move(out));
  co_await std::move(responding);
}

}  // namespace detail

TINYPHI_FUNC void add_text_routes(router& to, server_state& s) {
  const auto texts = [&](const char* pattern, detail::text_work work) {
    to.add({"POST", pattern, route_access::key, s.max_body, error_form::openai,
            [&s, work](http_exchange& x, const std::vector<std::string>&) {
              return detail::text_route(x, s, work);
            }});
  };
  texts("/v1/chat/completions/input_tokens", detail::count_tokens);
  texts("/tokenize", detail::tokenize_text);
  texts("/detokenize", detail::detokenize_ids);
  texts("/apply-template", detail::template_text);
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_TEXT_ROUTES_IPP_
