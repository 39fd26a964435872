// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_ANSWER_START_IPP_
#define TINYPHI_SERVE_ANSWER_START_IPP_

#include <algorithm>
#include <utility>

#include "tinyphi/serve/answer_start.h"
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

// The tokens of every prompt, or why they cannot be run.
inline std::optional<api_error> prompt_tokens(
    served_model& m, const answer_request& r, domain_id domain,
    std::vector<std::vector<token_id>>& prompts, started_answers& out) {
  const model& weights = m.engine().model();
  const std::size_t context = context_of(weights, r);
  std::vector<message> messages = r.messages;
  while (!messages.empty()) {
    auto ids =
        chat_tokens(weights, messages, r.continue_last, m.turns(), domain);
    if (!ids) return to_api_error(ids.error());
    if (ids->size() >= context) {
      const bool shorter = r.overflow == overflow_rule::drop_oldest_turns &&
                           drop_oldest_turn(messages);
      if (!shorter) return too_long_for(weights, r, ids->size());
      out.n_dropped_turns = r.messages.size() - messages.size();
      continue;
    }
    prompts.push_back(*std::move(ids));
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
    prompts.push_back(*std::move(ids));
  }
  return std::nullopt;
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

TINYPHI_FUNC started_answers start_answers(served_model& m,
                                           const answer_request& r,
                                           const caller& from) {
  started_answers out;
  generation_params params = r.params;
  params.set_origin(origin_of(from, r.wanted_class));
  params.cache_domain = answer_domain(from, r.cache_salt);
  std::vector<std::vector<token_id>> prompts;
  out.refused = detail::prompt_tokens(m, r, params.cache_domain, prompts, out);
  if (out.refused) return out;
  out.refused = detail::add_text_biases(r, m.engine().model().tokenizer(),
                                        params.sampling);
  if (out.refused) return out;
  if (r.format) {
    auto format = m.formats().get(m.engine(), *r.format);
    if (!format) {
      out.refused = std::move(format).error();
      return out;
    }
    params.format = *std::move(format);
  }
  if (!r.prediction.empty() && m.engine().model().tokenizer() != nullptr) {
    params.references.push_back(
        m.engine().model().tokenizer()->encode(r.prediction));
  }
  for (auto& prompt : prompts) {
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
      out.refused->param = r.format->field;
    }
    out.answers.clear();
    return out;
  }
  return out;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_ANSWER_START_IPP_
