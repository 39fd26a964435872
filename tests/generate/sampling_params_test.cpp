// SPDX-License-Identifier: MIT
#include "tinyphi/generate/sampling_params.h"

#include <functional>
#include <limits>

#include "support/test.h"

using namespace tinyphi;
using tinyphi_test::message_of;

namespace {

std::string fault_of(const std::function<void(sampling_params&)>& change) {
  sampling_params p;
  change(p);
  return message_of(check_sampling(p, 100));
}

}  // namespace

TEST_CASE("check_sampling lets defaults and the ends of every range pass") {
  CHECK(check_sampling({}, 100));
  sampling_params low{.temperature = 0,
                      .top_k = 0,
                      .top_p = 1e-30f,
                      .min_p = 0,
                      .typical_p = 1e-30f,
                      .repetition_penalty = 1e-30f,
                      .presence_penalty = -2,
                      .frequency_penalty = -2,
                      .penalty_window = -1,
                      .dry_multiplier = 0,
                      .dry_base = 1,
                      .dry_allowed_length = 0,
                      .dry_window = -1,
                      .mirostat = 0,
                      .mirostat_tau = 1e-30f,
                      .mirostat_eta = 1e-30f,
                      .logit_bias = {{0, -100.0f}},
                      .n_logprobs = -1};
  CHECK(check_sampling(low, 100));
  constexpr std::int32_t most = std::numeric_limits<std::int32_t>::max();
  sampling_params high{.temperature = 100,
                       .top_k = most,
                       .top_p = 1,
                       .min_p = 0.999f,
                       .typical_p = 1,
                       .repetition_penalty = 10,
                       .presence_penalty = 2,
                       .frequency_penalty = 2,
                       .penalty_window = most,
                       .dry_multiplier = 100,
                       .dry_base = 10,
                       .dry_allowed_length = 65536,
                       .dry_window = most,
                       .mirostat = 2,
                       .mirostat_tau = 100,
                       .mirostat_eta = 1,
                       .logit_bias = {{99, 100.0f}},
                       .n_logprobs = 20};
  CHECK(check_sampling(high, 100));
}

TEST_CASE("check_sampling names field, value and what is allowed") {
  using p = sampling_params;
  CHECK(fault_of([](p& s) { s.temperature = -0.1f; }) ==
        "temperature is -0.1, allowed are numbers in [0, 100]");
  CHECK(fault_of([](p& s) { s.temperature = std::nanf(""); }) ==
        "temperature is nan, allowed are numbers in [0, 100]");
  CHECK(fault_of([](p& s) { s.top_k = -1; }) ==
        "top_k is -1, allowed are numbers in [0, 2147483648)");
  CHECK(fault_of([](p& s) { s.top_p = 0; }) ==
        "top_p is 0, allowed are numbers in (0, 1]");
  CHECK(fault_of([](p& s) { s.min_p = 1; }) ==
        "min_p is 1, allowed are numbers in [0, 1)");
  CHECK(fault_of([](p& s) { s.typical_p = 1.5f; }) ==
        "typical_p is 1.5, allowed are numbers in (0, 1]");
  CHECK(fault_of([](p& s) { s.repetition_penalty = 0; }) ==
        "repetition_penalty is 0, allowed are numbers in (0, 10]");
  CHECK(fault_of([](p& s) { s.presence_penalty = 2.5f; }) ==
        "presence_penalty is 2.5, allowed are numbers in [-2, 2]");
  CHECK(fault_of([](p& s) { s.frequency_penalty = -3; }) ==
        "frequency_penalty is -3, allowed are numbers in [-2, 2]");
  CHECK(fault_of([](p& s) { s.penalty_window = -2; }) ==
        "penalty_window is -2, allowed are numbers in [-1, 2147483648)");
  CHECK(fault_of([](p& s) {
          s.dry_multiplier = std::numeric_limits<float>::infinity();
        }) == "dry_multiplier is inf, allowed are numbers in [0, 100]");
  CHECK(fault_of([](p& s) { s.dry_base = 0.5f; }) ==
        "dry_base is 0.5, allowed are numbers in [1, 10]");
  CHECK(fault_of([](p& s) { s.dry_allowed_length = -1; }) ==
        "dry_allowed_length is -1, allowed are numbers in [0, 65536]");
  CHECK(fault_of([](p& s) { s.dry_window = -7; }) ==
        "dry_window is -7, allowed are numbers in [-1, 2147483648)");
  CHECK(fault_of([](p& s) {
          s.dry_breakers = {"x", ""};
        }) ==
        "dry_breakers holds an empty string, allowed are strings of at least "
        "one character");
  CHECK(fault_of([](p& s) { s.mirostat = 1; }) ==
        "mirostat is 1, allowed are 0 (off) and 2");
  CHECK(fault_of([](p& s) { s.mirostat_tau = 0; }) ==
        "mirostat_tau is 0, allowed are numbers in (0, 100]");
  CHECK(fault_of([](p& s) { s.mirostat_eta = 1.1f; }) ==
        "mirostat_eta is 1.1, allowed are numbers in (0, 1]");
  CHECK(fault_of([](p& s) { s.n_logprobs = 21; }) ==
        "n_logprobs is 21, allowed are numbers in [-1, 20]");
  CHECK(fault_of([](p& s) {
          s.logit_bias = {{100, 1.0f}};
        }) == "logit_bias: token id is 100, allowed are numbers in [0, 100)");
  CHECK(fault_of([](p& s) {
          s.logit_bias = {{-1, 1.0f}};
        }) == "logit_bias: token id is -1, allowed are numbers in [0, 100)");
  CHECK(fault_of([](p& s) {
          s.logit_bias = {{5, 101.0f}};
        }) == "logit_bias is 101, allowed are numbers in [-100, 100]");
}
