// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_PIPELINE_ROUTES_IPP_
#define TINYPHI_SERVE_PIPELINE_ROUTES_IPP_

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tinyphi/base/utf8.h"
#include "tinyphi/pipeline/value_json.h"
#include "tinyphi/serve/answer_start.h"
#include "tinyphi/serve/approvals.h"
#include "tinyphi/serve/followed_run.h"
#include "tinyphi/serve/key_ring.h"
#include "tinyphi/serve/parse_request.h"
#include "tinyphi/serve/pipeline_routes.h"
#include "tinyphi/serve/request_tables.h"
#include "tinyphi/serve/respond.h"
#include "tinyphi/serve/trigger_runner.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// A named server-sent event.
inline std::string named_event(const char* name, const json::value& data) {
  return "event: " + std::string(name) + "\n" + sse_event(data);
}

// Who is refused since too many wait is told when to come again.
inline api_error pipeline_error(const served_pipeline& p, const error& e) {
  return to_api_error(e, p.compiled.retry_after_seconds());
}

inline json::object outputs_of(const run_result& r) {
  json::object outputs;
  for (const auto& [name, value] : r.outputs) {
    outputs[name] = to_json(value.data);
  }
  json::array stages;
  for (const stage_report& s : r.stages) {
    stages.push_back({{"id", s.id},
                      {"outcome", json::string_view(to_string(s.outcome))},
                      {"reason", s.reason},
                      {"seconds", s.seconds}});
  }
  return {{"outputs", std::move(outputs)},
          {"stages", std::move(stages)},
          {"seconds", r.seconds}};
}

inline boost::asio::awaitable<void> list_pipelines(http_exchange& x,
                                                   server_state& s) {
  json::array all;
  for (const auto& p : s.pipelines) all.push_back(describe_pipeline(*p));
  json::object o{{"object", "list"}, {"data", std::move(all)}};
  auto responding = respond_json(x, std::move(o));
  co_await std::move(responding);
}

// What a body asks of a pipeline, checked.
struct pipeline_request {
  std::shared_ptr<const served_pipeline> pipeline;
  input_values inputs;
  bool stream = false;
};

inline api_result<pipeline_request> read_pipeline_request(
    const http_exchange& x, const server_state& s, const std::string& name) {
  TINYPHI_TRY(const json::object body, parse_body(x.request().body));
  std::vector<std::string> ignored;
  TINYPHI_CHECK_OK(check_fields(body, request_tables::pipeline, ignored));
  pipeline_request r;
  TINYPHI_TRY(r.pipeline, pipeline_for(s, name, *x.request().from));
  r.stream = bool_field(body, "stream", false);
  const json::value* inputs = find_field(body, "inputs");
  TINYPHI_TRY(
      r.inputs,
      pipeline_inputs(*r.pipeline, inputs == nullptr ? json::object()
                                                     : inputs->get_object()));
  return r;
}

// What a body asks of a trigger: an object with the inputs that the trigger
// does not give itself.
inline api_result<pipeline_request> read_trigger_request(
    const http_exchange& x, const server_state& s, const std::string& path) {
  const auto target = s.triggers->find(path);
  if (!target) return no_such_route({}, "POST", path);  // gone by a reload
  TINYPHI_TRY(json::object given, parse_body(x.request().body));
  pipeline_request r;
  TINYPHI_TRY(r.pipeline,
              pipeline_for(s, target->pipeline->name, *x.request().from));
  for (const auto& [name, constant] : target->trigger->with) {
    if (given.if_contains(name) != nullptr) {
      return invalid_value(name, "input " + name + " is the trigger's");
    }
    given[name] = to_json(constant);
  }
  TINYPHI_TRY(r.inputs, pipeline_inputs(*r.pipeline, given));
  return r;
}

// Whether the request shows the token of the trigger of its path.
inline bool shows_token(const server_state& s, const http_request& r) {
  const auto target = s.triggers->find(r.path);
  if (!target) return false;
  const auto token = target->pipeline->tokens.find(target->trigger->name);
  return token != target->pipeline->tokens.end() &&
         same_secret(token->second.reveal(), presented_key(r));
}

// What a stream tells of a question; who may decide it finds all of it in
// /v1/approvals.
inline json::object told_of(const pending_approval& p) {
  return {{"id", p.id},
          {"stage", p.question.stage},
          {"until", describe_approval(p).at("until")}};
}

inline boost::asio::awaitable<void> run_pipeline(
    http_exchange& x, server_state& s, api_result<pipeline_request> request) {
  if (!request) {
    co_await respond_with(x, request.error());
    co_return;
  }
  auto taking = take_place(x, s);
  auto place = co_await std::move(taking);
  if (!place) {
    co_await respond_with(x, place.error());
    co_return;
  }
  const auto p = request->pipeline;
  auto entry = s.running.add(entry_of_run(x, *p));
  x.report().model = entry->model;
  const counted_run counted(x, *entry.operator->(), s.counts);
  const auto run = std::make_shared<followed_run>(*s.answers.io);
  const bool streams = request->stream;
  run_options options = options_of_run(
      x, *p, entry->stop, s.answers, run,
      [run = run.get(), streams](const pending_approval& waiting) {
        if (streams) run->leave(named_event("approval", told_of(waiting)));
      });
  if (streams) {
    options.on_text = [run](std::string_view output, std::string piece) {
      return followed_run::leave_and_wait(
          run, named_event("text",
                           json::object{{"output", json::string_view(output)},
                                        {"text", piece}}));
    };
  }
  begun_late stream(x, "text/event-stream");
  auto following =
      follow(*s.answers.io, run, p->compiled, std::move(request->inputs),
             std::move(options), stream);
  auto done = co_await std::move(following);
  place->finish(std::chrono::steady_clock::now());
  if (x.gone().cancelled()) co_return;
  if (!streams || (!done && !stream.begun)) {
    if (!done) {
      const api_error e = pipeline_error(*p, done.error());
      co_await respond_with(x, e);
    } else {
      json::object o = outputs_of(*done);
      auto responding = respond_json(x, std::move(o));
      co_await std::move(responding);
    }
    co_return;
  }
  if (!done) {
    const api_error e = pipeline_error(*p, done.error());
    x.report().code = e.code;
    x.report().cause = e.cause;
  }
  std::string last =
      done ? named_event("done", outputs_of(*done))
           : named_event("error", to_json(pipeline_error(*p, done.error())));
  auto writing = stream.write(std::move(last));
  if (co_await std::move(writing)) co_await x.end_stream();
}

// The citations among the outputs, as places in the answer.
inline std::vector<answer_annotation> annotations_of(const run_result& r,
                                                     std::string_view text) {
  std::vector<answer_annotation> all;
  for (const auto& [name, value] : r.outputs) {
    const auto found = read_as<citations>(value.data);
    if (!found) continue;
    std::size_t from = 0;
    for (const citation& c : *found) {
      if (c.number == 0) continue;
      const std::size_t at = text.find(c.sentence, from);
      if (at == std::string_view::npos) continue;
      from = at + c.sentence.size();
      answer_annotation a;
      a.start = count_characters(text.substr(0, at));
      a.end = a.start + count_characters(c.sentence);
      a.title = c.source + (c.locator.empty() ? "" : " \u203a " + c.locator);
      a.url = "tinyphi:doc/" + c.source +
              (c.locator.empty() ? "" : "#" + c.locator);
      all.push_back(std::move(a));
    }
  }
  return all;
}

// A chat's answer while a pipeline makes it.
struct pipeline_answer {
  explicit pipeline_answer(dialect& form) : d(&form) {
    answer.finish = finish_reason::stop;
  }

  // Of a stream: the bytes for a piece of text.
  std::string take(std::string text) {
    answer.text += text;
    std::string bytes = begin();
    text_piece piece;
    piece.text = std::move(text);
    if (!piece.text.empty()) bytes += d->piece(0, piece);
    return bytes;
  }
  // Those that come first, once.
  std::string begin() {
    return std::exchange(begun, true) ? std::string() : d->begin();
  }

  dialect* d;
  bool begun = false;
  ended_answer answer = {};
};

// What a pipeline cannot do for a chat.
inline std::optional<api_error> refused_by_pipelines(const served_pipeline& p,
                                                     const answer_request& r) {
  const auto refuse = [](const char* param, const std::string& why) {
    api_error e = invalid_value(param, why);
    e.code = "unsupported_parameter";
    return e;
  };
  if (p.chat_input.empty() || p.chat_output.empty()) {
    return refuse("model", "pipeline '" + p.name +
                               "' has no single question and answer; POST "
                               "/v1/pipelines/" +
                               p.name);
  }
  if (r.n > 1) return refuse("n", "a pipeline gives one answer");
  if (r.format) {
    return refuse(r.format->field.c_str(),
                  "a pipeline's answer has the form that its file says");
  }
  if (r.tools) {
    return refuse("tools", "a pipeline calls the tools that its file says");
  }
  if (r.logprobs) {
    return refuse("logprobs", "a pipeline tells no log-probabilities");
  }
  if (r.messages.empty() || r.messages.back().role != role::user) {
    return refuse("messages",
                  "a pipeline is asked by a user's message, the "
                  "last one");
  }
  return std::nullopt;
}

// In the form of the dialect.
inline boost::asio::awaitable<void> refuse_in_form(http_exchange& x,
                                                   const make_dialect& make,
                                                   const api_error& e) {
  return respond_error(x, e, make({}, {})->error_body(e));
}

}  // namespace detail

TINYPHI_FUNC boost::asio::awaitable<void> answer_by_pipeline(
    http_exchange& x, std::shared_ptr<const served_pipeline> p,
    answer_request r, const make_dialect& make,
    const answer_environment& around) {
  if (const auto no = detail::refused_by_pipelines(*p, r)) {
    auto refusing = detail::refuse_in_form(x, make, *no);
    co_await std::move(refusing);
    co_return;
  }
  json::object given;
  given[p->chat_input] = r.messages.back().content;
  auto inputs = pipeline_inputs(*p, given);
  if (!inputs) {
    auto refusing = detail::refuse_in_form(x, make, inputs.error());
    co_await std::move(refusing);
    co_return;
  }
  auto entry = around.running->add(entry_of_run(x, *p));
  x.report().model = entry->model;
  x.report().ignored = r.ignored;
  const counted_run counted(x, *entry.operator->(), around.counts);
  answer_facts facts;
  facts.id = x.request().id;
  facts.model = entry->model;
  facts.fingerprint = "pipeline-" + p->name + "-" + p->compiled.graph().version;
  facts.created = detail::unix_seconds();
  facts.token_text = [](token_id) { return std::string(); };
  const auto d = make(r, std::move(facts));
  detail::pipeline_answer told(*d);
  ended_answer& answer = told.answer;
  const auto run = std::make_shared<followed_run>(*around.io);
  const bool has_comments = r.stream && d->stream_type() == "text/event-stream";
  run_options options = options_of_run(
      x, *p, entry->stop, around, run,
      [run = run.get(), has_comments](const pending_approval& waiting) {
        if (!has_comments) return;
        run->leave(": stage " + waiting.question.stage +
                   " waits for a person's approval\n\n");
      });
  options.on_text = [&told, run, p, streams = r.stream](
                        std::string_view output,
                        std::string piece) -> boost::asio::awaitable<void> {
    if (output != p->chat_output) co_return;
    std::string bytes = told.take(std::move(piece));
    if (!streams) co_return;
    auto leaving = followed_run::leave_and_wait(run, std::move(bytes));
    co_await std::move(leaving);
  };
  begun_late stream(x, d->stream_type());
  auto following = follow(*around.io, run, p->compiled, *std::move(inputs),
                          std::move(options), stream);
  auto done = co_await std::move(following);
  if (x.gone().cancelled()) co_return;
  if (!done) {
    const api_error e = detail::pipeline_error(*p, done.error());
    if (!stream.begun) {
      auto refusing = detail::refuse_in_form(x, make, e);
      co_await std::move(refusing);
      co_return;
    }
    x.report().code = e.code;
    x.report().cause = e.cause;
    std::string last = told.begin() + d->broken(e);
    auto writing = stream.write(std::move(last));
    if (co_await std::move(writing)) co_await x.end_stream();
    co_return;
  }
  // An output that does not stream, or has its default, comes now.
  std::string last = told.begin();
  if (const auto out = done->outputs.find(p->chat_output);
      answer.text.empty() && out != done->outputs.end()) {
    last += told.take(*out->second.get<std::string>());
  }
  answer.annotations = detail::annotations_of(*done, answer.text);
  if (!r.stream) {
    http_response whole;
    whole.body = d->whole({&answer, 1});
    auto responding = x.respond(std::move(whole));
    co_await std::move(responding);
    co_return;
  }
  last += d->finish(answer) + d->end({&answer, 1});
  auto writing = stream.write(std::move(last));
  if (co_await std::move(writing)) co_await x.end_stream();
}

TINYPHI_FUNC void add_pipeline_routes(router& to, server_state& s) {
  to.add({"GET", "/v1/pipelines", route_access::key, 0, error_form::openai,
          [&s](http_exchange& x, const std::vector<std::string>&) {
            return detail::list_pipelines(x, s);
          }});
  to.add({"POST", "/v1/pipelines/{name}", route_access::key, s.max_body,
          error_form::openai,
          [&s](http_exchange& x, const std::vector<std::string>& captured) {
            return detail::run_pipeline(
                x, s, detail::read_pipeline_request(x, s, captured[0]));
          }});
  to.add({"POST", "", route_access::key, s.max_body, error_form::openai,
          [&s](http_exchange& x, const std::vector<std::string>& captured) {
            return detail::run_pipeline(
                x, s, detail::read_trigger_request(x, s, captured[0]));
          },
          [&s](std::string_view path) {
            return s.triggers != nullptr && s.triggers->find(path).has_value();
          },
          [&s](const http_request& r) { return detail::shows_token(s, r); }});
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_PIPELINE_ROUTES_IPP_
