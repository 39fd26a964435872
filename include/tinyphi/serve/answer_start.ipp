// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_ANSWER_START_IPP_
#define TINYPHI_SERVE_ANSWER_START_IPP_

#include <algorithm>
#include <chrono>
#include <utility>

#include "tinyphi/serve/answer_start.h"
#include "tinyphi/serve/answer_tools.ipp"
#include "tinyphi/serve/blake2b.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// OpenAI's words, which LangChain and LiteLLM look for.
inline api_error too_long(std::size_t n_tokens, std::size_t context) {
  api_error e;
  e.code = "context_length_exceeded";
  e.param = "messages";
  e.message =
      "This model's maximum context length is " + std::to_string(context) +
      " tokens. However, your messages have " + std::to_string(n_tokens) +
      " tokens, and an answer needs at least one. Please reduce the "
      "length of the messages.";
  e.details = {{"n_prompt_tokens", n_tokens}, {"n_ctx", context}};
  return e;
}

// Leaves out the oldest turns up to and without the next user turn, but never
// system turns; false if the last question is all that is left.
inline bool drop_oldest_turn(std::vector<message>& messages) {
  const auto not_system = [](const message& m) {
    return m.role != role::system;
  };
  const auto first = std::find_if(messages.begin(), messages.end(), not_system);
  if (first == messages.end()) return false;
  const auto next =
      std::find_if(first + 1, messages.end(),
                   [](const message& m) { return m.role == role::user; });
  if (next == messages.end()) return false;
  messages.erase(first, next);
  return true;
}

inline result<std::vector<token_id>> plain_tokens(const model& m,
                                                  const plain_prompt& p) {
  if (const auto* ids = std::get_if<std::vector<token_id>>(&p)) return *ids;
  if (m.tokenizer() == nullptr) {
    return error{error_code::unsupported,
                 "the model has no tokenizer; send token ids"};
  }
  const auto encoded = [&](const std::string& text, bool begins) {
    const segment s{text};
    return m.tokenizer()->encode({&s, 1}, begins);
  };
  if (const auto* text = std::get_if<std::string>(&p)) {
    return encoded(*text, true);
  }
  std::vector<token_id> ids;
  for (const auto& part : std::get<mixed_prompt>(p)) {
    if (const auto* text = std::get_if<std::string>(&part)) {
      const auto more = encoded(*text, ids.empty());
      ids.insert(ids.end(), more.begin(), more.end());
    } else {
      ids.push_back(std::get<token_id>(part));
    }
  }
  return ids;
}

// The biases of texts as those of their tokens.
inline std::optional<api_error> add_text_biases(const answer_request& r,
                                                const tokenizer* t,
                                                sampling_params& p) {
  constexpr std::size_t most = 1024;  // as many as ids
  if (r.text_biases.empty()) return std::nullopt;
  if (t == nullptr) {
    return to_api_error({error_code::unsupported,
                         "the model has no tokenizer; send biases by id"});
  }
  for (const auto& [text, bias] : r.text_biases) {
    for (const token_id id : t->encode(text))
      p.logit_bias.emplace_back(id, bias);
    if (p.logit_bias.size() > most) {
      return invalid_value("logit_bias",
                           "logit_bias: its texts have more than " +
                               std::to_string(most) + " tokens");
    }
  }
  return std::nullopt;
}

// What prompt and answer together may have.
inline std::size_t context_of(const model& m, const answer_request& r) {
  const std::size_t most = m.config().max_context;
  return r.context_limit == 0 ? most : std::min(most, r.context_limit);
}

inline bool tells_prompt(const answer_request& r) {
  return std::ranges::find(r.response_fields, "prompt") !=
         r.response_fields.end();
}

// Where the client's own limit is below the model's, that is what to change.
inline api_error too_long_for(const model& m, const answer_request& r,
                              std::size_t n_tokens) {
  const std::size_t context = context_of(m, r);
  const std::size_t most = m.config().max_context;
  api_error e = too_long(n_tokens, context);
  if (r.messages.empty()) e.param = "prompt";
  if (context < most) {
    e.param = "options.num_ctx";
    e.message = "options.num_ctx is " + std::to_string(context) +
                " tokens, but the prompt has " + std::to_string(n_tokens) +
                ", and an answer needs at least one; ask for more, up to " +
                std::to_string(most);
  }
  return e;
}

// What a chat is made into before a model reads it: tools are told, and where
// it has to decide, it is asked.
class chat_maker {
 public:
  chat_maker(served_model& m, const answer_request& r, domain_id domain)
      : model_(&m), request_(&r), domain_(domain) {}

  // Errors: tools that cannot be used.
  api_result<void> take_tools() {
    if (!request_->tools) return {};
    TINYPHI_TRY(set_, model_->tools().get(model_->engine(), *request_->tools));
    return {};
  }

  [[nodiscard]] bool may_call() const {
    return set_ != nullptr && !request_->continue_last &&
           request_->tools->which != wanted_tools::choice::none;
  }
  [[nodiscard]] bool may_answer() const { return !must_call(*request_->tools); }
  // One pass over labels says what comes; else it is known.
  [[nodiscard]] bool decides() const {
    const bool one = set_ != nullptr && set_->size() == 1;
    return may_call() &&
           request_->tools->which != wanted_tools::choice::named &&
           (may_answer() || !one);
  }
  // What may come behind the longest of the prompts.
  [[nodiscard]] std::size_t rest() const {
    std::size_t most = 0;
    for (std::size_t i = 0; may_call() && i < set_->size(); ++i) {
      most = std::max(most, set_->call_beginning(i).size());
    }
    return most;
  }

  // The prompt of the answer, or of the decision if one is made.
  result<std::vector<token_id>> tokens(std::span<const message> messages) {
    if (!may_call()) return encode(messages, request_->continue_last);
    TINYPHI_TRY(const chat_format f, format());
    return encode(decides() ? set_->asked(messages, f, may_answer())
                            : set_->told(messages, f, asking()),
                  false);
  }

  // Replaces the decision's prompt by the answer's, and says which tool it
  // calls, if it does.
  api_result<std::optional<std::size_t>> decide(
      std::span<const message> messages, std::vector<token_id>& prompt,
      const generation_params& params) {
    std::optional<std::size_t> called;
    if (request_->tools->which == wanted_tools::choice::named) {
      called = request_->tools->named;
    } else if (!decides()) {
      called = 0;
    } else {
      TINYPHI_TRY(called, ask(messages, std::move(prompt), params));
    }
    const auto f = format();
    if (!f) return to_api_error(f.error());
    auto turns = set_->told(messages, *f, asking());
    if (called) {
      turns.push_back({role::assistant, set_->call_beginning(*called)});
    }
    auto ids = encode(turns, called.has_value());
    if (!ids) return to_api_error(ids.error());
    prompt = *std::move(ids);
    return called;
  }

  [[nodiscard]] const tool_set& tools() const { return *set_; }
  [[nodiscard]] tool_asking asking() const {
    return {.may_answer = may_answer()};
  }

 private:
  [[nodiscard]] result<chat_format> format() const {
    return model_->engine().model().chat_format();
  }
  result<std::vector<token_id>> encode(std::span<const message> turns,
                                       bool goes_on) const {
    return chat_tokens(model_->engine().model(), turns, goes_on,
                       model_->turns(), domain_);
  }

  api_result<std::optional<std::size_t>> ask(std::span<const message> messages,
                                             std::vector<token_id> prompt,
                                             const generation_params& params) {
    const auto labels = set_->labels(may_answer());
    const auto failed = [](const error& e) {
      api_error out = to_api_error(e);
      if (e.code == error_code::deadline) out.code = "deadline_first_token";
      return out;
    };
    const auto f = format();
    if (!f) return failed(f.error());
    // Everybody's own: how long it takes tells nobody what others have asked.
    const auto turns =
        set_->asked(without_question(messages), *f, may_answer());
    std::string key = std::to_string(domain_);
    for (const message& turn : turns) key += "\n" + turn.content;
    auto empty = model_->tools().find(key);
    if (!empty) {
      const auto ids = encode(turns, false);
      if (!ids) return failed(ids.error());
      auto scores = score_labels(model_->engine(), *ids, labels, params);
      if (!scores) return failed(scores.error());
      model_->tools().keep(std::move(key), *scores);
      empty = *std::move(scores);
    }
    const auto scores =
        score_labels(model_->engine(), std::move(prompt), labels, params);
    if (!scores) return failed(scores.error());
    return choose_tool(*scores, *empty, may_answer()).tool;
  }

  served_model* model_;
  const answer_request* request_;
  domain_id domain_;
  std::shared_ptr<const tool_set> set_;  // null: there are no tools
};

// What prompts there are to a request.
struct made_prompts {
  std::vector<std::vector<token_id>> ids;
  std::vector<message> messages;  // of a chat, those that fit
};

// The tokens of every prompt, or why they cannot be run.
inline std::optional<api_error> prompt_tokens(served_model& m,
                                              const answer_request& r,
                                              chat_maker& chat,
                                              made_prompts& prompts,
                                              started_answers& out) {
  const model& weights = m.engine().model();
  const std::size_t context = context_of(weights, r);
  prompts.messages = r.messages;
  while (!prompts.messages.empty()) {
    auto ids = chat.tokens(prompts.messages);
    if (!ids) return to_api_error(ids.error());
    if (ids->size() + chat.rest() >= context) {
      const bool shorter = r.overflow == overflow_rule::drop_oldest_turns &&
                           drop_oldest_turn(prompts.messages);
      if (!shorter) return too_long_for(weights, r, ids->size());
      out.n_dropped_turns = r.messages.size() - prompts.messages.size();
      continue;
    }
    prompts.ids.push_back(*std::move(ids));
    break;
  }
  for (const plain_prompt& p : r.prompts) {
    auto ids = plain_tokens(weights, p);
    if (!ids) return to_api_error(ids.error());
    if (ids->size() >= context) {
      return too_long_for(weights, r, ids->size());
    }
    if (r.echo) {
      const auto* text = std::get_if<std::string>(&p);
      out.prompt_texts.push_back(text != nullptr ||
                                         weights.tokenizer() == nullptr
                                     ? (text ? *text : std::string())
                                     : weights.tokenizer()->decode(*ids));
    } else if (tells_prompt(r) && weights.tokenizer() != nullptr) {
      out.prompt_texts.push_back(weights.tokenizer()->decode(*ids, true));
    }
    prompts.ids.push_back(*std::move(ids));
  }
  return std::nullopt;
}

// The form of the answers, and with it the field that errors are about: a
// call's arguments, or what the request wants of an answer.
inline api_result<std::string> set_form(served_model& m,
                                        const answer_request& r,
                                        const chat_maker& chat,
                                        std::optional<std::size_t> called,
                                        generation_params& params) {
  if (called) {
    params.format = chat.tools().arguments(*called);
    // Where arguments end they say themselves.
    params.stop.clear();
    params.ignore_stop_ids = false;
    if (r.tools->likeliest) params.sampling.temperature = 0;
    return tool_field(*called, r.tools->own, "parameters");
  }
  if (!r.format) return std::string();
  TINYPHI_TRY(params.format, m.formats().get(m.engine(), *r.format));
  return r.format->field;
}

}  // namespace detail

TINYPHI_FUNC domain_id answer_domain(const caller& from,
                                     std::string_view salt) {
  if (salt.empty()) return from.domain;
  // The same after a restart. The client chooses the salt, so it must not be
  // able to choose the sum, which could be another caller's domain.
  return stable_number("domain of salt", {std::to_string(from.domain), salt});
}

TINYPHI_FUNC priority_class answer_class(const caller& from,
                                         std::optional<priority_class> wanted) {
  // Better classes are smaller.
  return std::max(wanted.value_or(priority_class::normal), from.best_class);
}

TINYPHI_FUNC request_origin origin_of(const caller& from,
                                      std::optional<priority_class> wanted) {
  return {from.tenant, from.domain, answer_class(from, wanted)};
}

TINYPHI_FUNC api_result<std::vector<message>> told_messages(
    served_model& m, const answer_request& r) {
  detail::chat_maker chat(m, r, 0);
  TINYPHI_CHECK_OK(chat.take_tools());
  if (!chat.may_call()) return r.messages;
  const auto f = m.engine().model().chat_format();
  if (!f) return to_api_error(f.error());
  return chat.tools().told(r.messages, *f, chat.asking());
}

TINYPHI_FUNC started_answers start_answers(served_model& m,
                                           const answer_request& r,
                                           const caller& from,
                                           steady_time decided_by) {
  started_answers out;
  generation_params params = r.params;
  params.set_origin(origin_of(from, r.wanted_class));
  params.cache_domain = answer_domain(from, r.cache_salt);
  const auto refuse = [&](api_error e) {
    out.refused = std::move(e);
    return std::move(out);
  };
  detail::chat_maker chat(m, r, params.cache_domain);
  if (auto ok = chat.take_tools(); !ok) return refuse(ok.error());
  detail::made_prompts prompts;
  out.refused = detail::prompt_tokens(m, r, chat, prompts, out);
  if (out.refused) return out;
  out.refused = detail::add_text_biases(r, m.engine().model().tokenizer(),
                                        params.sampling);
  if (out.refused) return out;
  std::optional<std::size_t> called;
  if (chat.may_call()) {
    generation_params asking = params;
    auto& deadline = asking.stop_when.deadline;
    deadline = std::min(deadline.value_or(decided_by), decided_by);
    // Labels wait for one another. What comes then waits anew.
    asking.queue_deadline.reset();
    const steady_time began = std::chrono::steady_clock::now();
    auto decision = chat.decide(prompts.messages, prompts.ids.front(), asking);
    if (!decision) return refuse(decision.error());
    called = *decision;
    if (params.queue_deadline) {
      *params.queue_deadline += std::chrono::steady_clock::now() - began;
    }
    if (called) out.called = chat.tools()[*called].name;
  }
  const auto form = detail::set_form(m, r, chat, called, params);
  if (!form) return refuse(form.error());
  if (!r.prediction.empty() && m.engine().model().tokenizer() != nullptr) {
    params.references.push_back(
        m.engine().model().tokenizer()->encode(r.prediction));
  }
  for (auto& prompt : prompts.ids) {
    out.n_prompt_tokens += prompt.size();
    generation_params own = params;
    if (r.context_limit != 0) {
      const std::size_t rest =
          detail::context_of(m.engine().model(), r) - prompt.size();
      own.max_tokens =
          own.max_tokens == 0 ? rest : std::min(own.max_tokens, rest);
    }
    auto answers =
        m.engine().complete_n(std::move(prompt), r.n, std::move(own));
    for (generation& g : answers) out.answers.push_back(std::move(g));
  }
  // What is refused at once is refused as a whole; the others are abandoned.
  for (const generation& g : out.answers) {
    if (!g.done() || !g.error()) continue;
    out.refused = to_api_error(*g.error(), g.retry_after_seconds());
    // Of the answer's length, not of memory.
    if (params.format && params.max_tokens != 0 &&
        params.max_tokens < params.format->shortest()) {
      out.refused->code = "invalid_value";
      out.refused->param = *form;
    }
    out.answers.clear();
    return out;
  }
  return out;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_ANSWER_START_IPP_
