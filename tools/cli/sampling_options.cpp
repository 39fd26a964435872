// SPDX-License-Identifier: MIT
#include "cli/sampling_options.h"

#include <charconv>

namespace cli {

void add_sampling_options(CLI::App& command, sampling_options& options) {
  tinyphi::generation_params& p = options.params;
  tinyphi::sampling_params& s = p.sampling;
  const std::string group = "Sampling";
  const auto add = [&](const char* name, auto& value, const char* help) {
    return command.add_option(name, value, help)
        ->group(group)
        ->capture_default_str();
  };
  add("-n,--max-tokens", p.max_tokens,
      "maximum number of tokens; 0: as many as the context allows")
      ->check(CLI::Range(std::size_t{0}, std::size_t{1} << 24));
  add("--temperature,--temp", s.temperature,
      "0 to 100; 0: the likeliest token");
  add("--top-k", s.top_k, "the k likeliest tokens; 0: all");
  add("--top-p", s.top_p, "the likeliest tokens that make up p, 0 < p <= 1");
  add("--min-p", s.min_p, "at least p times as likely as the likeliest");
  add("--typical-p", s.typical_p, "locally typical tokens that make up p");
  add("--repetition-penalty,--repeat-penalty", s.repetition_penalty,
      "divides the logits of tokens seen; 1: off");
  add("--presence-penalty", s.presence_penalty, "-2 to 2");
  add("--frequency-penalty", s.frequency_penalty, "-2 to 2");
  add("--penalty-window", s.penalty_window,
      "tokens that penalties look back; -1: all");
  add("--dry-multiplier", s.dry_multiplier, "against repetition; 0: off");
  add("--dry-base", s.dry_base, "1 to 10");
  add("--dry-allowed-length", s.dry_allowed_length, "0 to 65536");
  add("--dry-window", s.dry_window, "tokens that DRY looks back; -1: all");
  command
      .add_option("--dry-breaker", s.dry_breakers,
                  "text that ends a repetition; may be given several times")
      ->group(group)
      ->allow_extra_args(false);
  add("--mirostat", s.mirostat, "0: off, 2: mirostat 2");
  add("--mirostat-tau", s.mirostat_tau, "target surprise, in bits");
  add("--mirostat-eta", s.mirostat_eta, "learning rate");
  command
      .add_option("--logit-bias", options.logit_bias,
                  "added to a token's logit; -100 bans it; several times")
      ->type_name("ID=BIAS")
      ->group(group)
      ->allow_extra_args(false);
  add("--seed", s.seed, "the same seed gives the same text");
  command
      .add_option("--stop", p.stop,
                  "text that ends the answer; may be given several times")
      ->type_name("TEXT")
      ->group(group)
      ->allow_extra_args(false);
}

tinyphi::result<tinyphi::generation_params> to_params(
    const sampling_options& options) {
  tinyphi::generation_params params = options.params;
  for (const std::string& text : options.logit_bias) {
    const auto equals = text.find('=');
    const char* const begin = text.data();
    const char* const end = begin + text.size();
    tinyphi::token_id id = 0;
    float bias = 0;
    bool ok = false;
    if (equals != std::string::npos) {
      const auto parsed_id = std::from_chars(begin, begin + equals, id);
      const auto parsed_bias = std::from_chars(begin + equals + 1, end, bias);
      ok = parsed_id.ec == std::errc() && parsed_id.ptr == begin + equals &&
           parsed_bias.ec == std::errc() && parsed_bias.ptr == end;
    }
    if (!ok) {
      return tinyphi::error{tinyphi::error_code::invalid_argument,
                            "--logit-bias " + text +
                                ": not of the form ID=BIAS, for example "
                                "1234=-5.5"};
    }
    params.sampling.logit_bias.emplace_back(id, bias);
  }
  return params;
}

}  // namespace cli
