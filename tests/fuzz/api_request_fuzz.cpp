// SPDX-License-Identifier: MIT
// Bodies of requests from anywhere: each parser takes or refuses them, what it
// takes is allowed by the sampler, and what it refuses has a reason.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "tinyphi/serve/ollama.h"
#include "tinyphi/serve/openai_responses.h"
#include "tinyphi/serve/parse_request.h"
#include "tinyphi/serve/request_tables.h"

namespace {

using namespace tinyphi;

void require(bool condition) {
  if (!condition) std::abort();
}

void require_reason(const api_error& e) {
  require(e.status == 400 && !e.message.empty() && !e.code.empty());
  // It can be told: the body is JSON.
  require(parse_json(to_body(e), "the error").has_value());
}

void require_sound(const api_result<answer_request>& r) {
  if (!r) return require_reason(r.error());
  constexpr std::size_t every_id = std::size_t{1} << 31;
  require(check_sampling(r->params.sampling, every_id).has_value());
  require(r->messages.empty() != r->prompts.empty());
  require(r->n >= 1 && r->n <= 8);
  require(r->params.stop.size() <= 16);
  for (const std::string& s : r->params.stop) require(!s.empty());
  require(r->ignored.size() <= max_ignored_fields);
  require(!r->continue_last || r->messages.back().role == role::assistant);
  for (const plain_prompt& p : r->prompts) {
    const auto* ids = std::get_if<std::vector<token_id>>(&p);
    if (ids == nullptr) continue;
    require(!ids->empty());
    for (const token_id id : *ids) require(id >= 0);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  const auto body = parse_body({reinterpret_cast<const char*>(data), size});
  if (!body) {
    require_reason(body.error());
    return 0;
  }
  require_sound(parse_chat(*body));
  require_sound(parse_completion(*body));
  require_sound(parse_native_completion(*body));
  require_sound(parse_responses(*body));
  for (const auto parse : {parse_ollama_chat, parse_ollama_generate}) {
    const auto r = parse(*body);
    // Without a text they only ask whether the model is there.
    if (r && r->messages.empty() && r->prompts.empty()) continue;
    require_sound(r);
  }
  const auto inputs = parse_embedding(*body);
  if (inputs) {
    require(!inputs->inputs.empty() && inputs->inputs.size() <= 256);
  } else {
    require_reason(inputs.error());
  }
  for (const request_table* t :
       {&request_tables::tokenize, &request_tables::detokenize,
        &request_tables::apply_template}) {
    std::vector<std::string> ignored;
    const auto ok = check_fields(*body, *t, ignored);
    if (!ok) require_reason(ok.error());
  }
  return 0;
}
