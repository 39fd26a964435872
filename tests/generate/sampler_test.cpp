// SPDX-License-Identifier: MIT
#include "tinyphi/generate/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "support/test.h"

using namespace tinyphi;

namespace {

constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

// The share of each token among n draws that each start with a fresh history.
std::map<token_id, double> shares(sampling_params p,
                                  const std::vector<float>& logits,
                                  const std::vector<token_id>& prompt = {},
                                  const std::vector<token_id>& breakers = {},
                                  int n = 20000) {
  std::map<token_id, double> found;
  for (int i = 0; i < n; ++i) {
    p.seed = static_cast<std::uint64_t>(i);
    sampler s(p, breakers);
    s.observe(prompt);
    found[s.sample(logits).id] += 1.0 / n;
  }
  return found;
}

std::map<token_id, double> softmax(const std::vector<float>& logits) {
  std::map<token_id, double> p;
  double sum = 0;
  for (const float l : logits) sum += std::exp(static_cast<double>(l));
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double x = std::exp(static_cast<double>(logits[i])) / sum;
    if (x > 0) p[static_cast<token_id>(i)] = x;
  }
  return p;
}

// Distributions over a few tokens, 20,000 draws: a share's standard deviation
// is at most 0.0036.
void check_same(const std::map<token_id, double>& found,
                const std::map<token_id, double>& expected) {
  for (const auto& [id, share] : found) {
    INFO("token " << id);
    CHECK(expected.count(id) == 1);
  }
  for (const auto& [id, share] : expected) {
    INFO("token " << id);
    const auto at = found.find(id);
    CHECK((at == found.end() ? 0 : at->second) == Approx(share).margin(0.015));
  }
}

std::vector<float> logs(std::vector<double> probabilities) {
  std::vector<float> logits;
  for (const double p : probabilities) {
    logits.push_back(static_cast<float>(std::log(p)));
  }
  return logits;
}

token_id pick(sampling_params p, const std::vector<float>& logits,
              const std::vector<token_id>& prompt = {},
              const std::vector<token_id>& breakers = {}) {
  sampler s(std::move(p), breakers);
  s.observe(prompt);
  return s.sample(logits).id;
}

}  // namespace

TEST_CASE("greedy takes the best token, of equals the lowest") {
  CHECK(pick({}, {0, 3, 1, 3}) == 1);
  CHECK(pick({}, {-5, -inf, -4}) == 2);
  CHECK(pick({.top_k = 1, .top_p = 0.1f, .typical_p = 0.1f}, {0, 3, 1}) == 1);
}

TEST_CASE("NaN and -inf are never chosen unless nothing else is left") {
  const std::vector<float> odd = {not_a_number, -inf, -1e30f, not_a_number};
  CHECK(pick({}, odd) == 2);
  CHECK(shares({.temperature = 1}, odd, {}, {}, 100).at(2) == Approx(1));
  CHECK(pick({}, {not_a_number, -inf}) == 0);
  CHECK(pick({.temperature = 1}, {not_a_number, -inf}) == 0);
  CHECK(pick({.n_logprobs = 3}, {not_a_number, -inf}) == 0);
  for (const std::int32_t mirostat : {0, 2}) {
    const sampling_params p{.temperature = 1e-30f,
                            .top_k = 3,
                            .top_p = 0.5f,
                            .min_p = 0.5f,
                            .typical_p = 0.999f,
                            .mirostat = mirostat,
                            .n_logprobs = 2};
    CHECK(pick(p, {0, inf, not_a_number, 5}) == 1);
    CHECK(pick(p, {-inf, -3e38f, not_a_number, -inf}) == 1);
  }
}

TEST_CASE("temperature alone draws from softmax(logits / temperature)") {
  check_same(shares({.temperature = 1}, {1, 0, 2, -1}), softmax({1, 0, 2, -1}));
  check_same(shares({.temperature = 2}, {1, 0, 2, -1}),
             softmax({0.5f, 0, 1, -0.5f}));
}

TEST_CASE("top_k keeps the k best, ties by lower id, and clamps k") {
  const sampling_params p{.temperature = 1, .top_k = 2};
  check_same(shares(p, {0, 1, 2, 1}), softmax({-inf, 1, 2}));
  // onnxruntime-genai issue 2224: k beyond the vocabulary was read.
  check_same(shares({.temperature = 1, .top_k = 2147483647}, {0, 1}),
             softmax({0, 1}));
}

TEST_CASE("top_p keeps the best until they cover p") {
  const std::vector<float> logits = logs({0.1, 0.5, 0.15, 0.25});
  check_same(shares({.temperature = 1, .top_p = 0.7f}, logits),
             {{1, 2.0 / 3}, {3, 1.0 / 3}});
  check_same(shares({.temperature = 1, .top_p = 0.8f}, logits),
             {{1, 0.5 / 0.9}, {3, 0.25 / 0.9}, {2, 0.15 / 0.9}});
  check_same(shares({.temperature = 1, .top_p = 1e-6f}, logits), {{1, 1.0}});
}

TEST_CASE("top_p is taken over what top_k left, before temperature") {
  const std::vector<float> logits = logs({0.4, 0.3, 0.2, 0.1});
  // Of {0.4, 0.3, 0.2}, renormalized, the first two cover 0.777.
  check_same(shares({.temperature = 0.5f, .top_k = 3, .top_p = 0.75f}, logits),
             {{0, 0.16 / 0.25}, {1, 0.09 / 0.25}});
}

TEST_CASE("min_p keeps what is near enough to the best") {
  check_same(
      shares({.temperature = 1, .min_p = 0.29f}, logs({0.1, 0.5, 0.15, 0.25})),
      {{1, 0.5 / 0.9}, {3, 0.25 / 0.9}, {2, 0.15 / 0.9}});
}

TEST_CASE("typical keeps the tokens of nearly average surprise") {
  // Entropy 1.2058; distances of -ln p from it: 0.513 (0.5), 0.180 (0.25),
  // 0.691 (0.15), 1.097 (0.1).
  const std::vector<float> logits = logs({0.1, 0.5, 0.15, 0.25});
  check_same(shares({.temperature = 1, .typical_p = 0.2f}, logits), {{3, 1.0}});
  check_same(shares({.temperature = 1, .typical_p = 0.6f}, logits),
             {{3, 1.0 / 3}, {1, 2.0 / 3}});
}

TEST_CASE("mirostat 2 drops surprising tokens and steers mu to tau") {
  const std::vector<float> logits = logs({0.5, 0.25, 0.125, 0.125});
  // mu starts at 2 tau: tokens of more than 2 bits go.
  check_same(
      shares({.temperature = 1, .mirostat = 2, .mirostat_tau = 1.01f}, logits),
      {{0, 2.0 / 3}, {1, 1.0 / 3}});
  // The best stays however low mu is.
  check_same(
      shares({.temperature = 1, .mirostat = 2, .mirostat_tau = 1e-3f}, logits),
      {{0, 1.0}});
  // Over a long text the mean surprise comes near tau.
  std::vector<float> wide(1000);
  for (std::size_t i = 0; i < wide.size(); ++i) {
    wide[i] = -static_cast<float>(std::log(static_cast<double>(i + 1)));
  }
  const auto p = softmax(wide);
  sampler s({.temperature = 1, .mirostat = 2, .mirostat_tau = 4, .seed = 7},
            {});
  double bits = 0;
  for (int i = 0; i < 3000; ++i) bits -= std::log2(p.at(s.sample(wide).id));
  // Surprise is steered under the truncated distribution; under the whole one
  // it is a little higher.
  CHECK(bits / 3000 > 3.9);
  CHECK(bits / 3000 < 5.5);
}

TEST_CASE("penalties count the tokens of the window") {
  // Repetition divides positive logits and multiplies negative ones.
  const std::vector<token_id> prompt = {0, 1, 1, 2};
  check_same(shares({.temperature = 1, .repetition_penalty = 2}, {2, -1, 0, 1},
                    prompt),
             softmax({1, -2, 0, 1}));
  check_same(shares({.temperature = 1, .presence_penalty = 0.5f}, {0, 0, 0, 0},
                    prompt),
             softmax({-0.5f, -0.5f, -0.5f, 0}));
  check_same(shares({.temperature = 1, .frequency_penalty = 0.5f}, {0, 0, 0, 0},
                    prompt),
             softmax({-0.5f, -1, -0.5f, 0}));
  const auto windowed = [&](std::int32_t window) {
    return shares(
        {.temperature = 1, .frequency_penalty = 1, .penalty_window = window},
        {0, 0, 0, 0}, prompt);
  };
  check_same(windowed(2), softmax({0, -1, -1, 0}));
  check_same(windowed(0), softmax({0, 0, 0, 0}));
  check_same(windowed(-1), softmax({-1, -2, -1, 0}));
}

TEST_CASE("the sampler's own tokens count for penalties") {
  sampler s({.presence_penalty = 1}, {});
  const std::vector<float> logits = {1, 0.5f, 0.3f};
  CHECK(s.sample(logits).id == 0);
  CHECK(s.sample(logits).id == 1);
  CHECK(s.sample(logits).id == 2);
  CHECK(s.sample(logits).id == 0);
}

TEST_CASE("DRY penalizes by the length of the repeat") {
  // After 1 2 3 4 1 2 3, token 4 would make four repeated tokens of the three
  // that match: penalty multiplier * base^(3 - 2).
  const std::vector<token_id> text = {1, 2, 3, 4, 1, 2, 3};
  const sampling_params p{.temperature = 1,
                          .dry_multiplier = 0.5f,
                          .dry_base = 2,
                          .dry_allowed_length = 2};
  const std::vector<float> flat(6, 0.0f);
  check_same(shares(p, flat, text), softmax({0, 0, 0, 0, -1, 0}));

  SECTION("shorter matches than allowed go free") {
    check_same(shares(p, flat, {3, 4, 1, 3}), softmax(flat));
  }
  SECTION("the longest of several matches counts") {
    const std::vector<token_id> two = {3, 4, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3};
    check_same(shares(p, flat, two), softmax({0, 0, 0, 0, -8, 0}));
  }
  SECTION("a breaker ends the match") {
    check_same(shares(p, flat, text, {1}), softmax({0, 0, 0, 0, -0.5f, 0}));
    check_same(shares(p, flat, text, {3}), softmax(flat));
  }
  SECTION("a breaker itself is not penalized") {
    check_same(shares(p, flat, text, {4}), softmax(flat));
  }
  SECTION("the window bounds how far back it looks") {
    sampling_params near = p;
    near.dry_window = 6;  // 2 3 4 1 2 3
    check_same(shares(near, flat, text), softmax({0, 0, 0, 0, -0.5f, 0}));
    near.dry_window = 0;
    check_same(shares(near, flat, text), softmax(flat));
  }
  SECTION("a long repeat is a finite penalty") {
    sampling_params hard = p;
    hard.temperature = 0;
    hard.dry_base = 10;
    const std::vector<token_id> same(500, 1);
    CHECK(pick(hard, {-inf, 0, -inf}, same) == 1);
    CHECK(pick(hard, {-inf, 0, -50}, same) == 2);
  }
}

TEST_CASE("logit bias adds, and -100 bans") {
  CHECK(pick({.logit_bias = {{2, 5.0f}}}, {1, 2, 0}) == 2);
  CHECK(pick({.logit_bias = {{1, -100.0f}}}, {-300, 2, -400}) == 0);
  check_same(shares({.temperature = 1, .logit_bias = {{0, 1.0f}}}, {0, 0, 0}),
             softmax({1, 0, 0}));
}

TEST_CASE("log-probabilities are the model's own") {
  sampler s({.logit_bias = {{3, 50.0f}}, .n_logprobs = 2}, {});
  const sampled_token t =
      s.sample(std::vector<float>(logs({0.2, 0.5, 0.2, 0.1})));
  CHECK(t.id == 3);
  CHECK(t.logprob == Approx(std::log(0.1)));
  REQUIRE(t.top.size() == 2);
  CHECK(t.top[0].id == 1);
  CHECK(t.top[0].logprob == Approx(std::log(0.5)));
  CHECK(t.top[1].id == 0);
  CHECK(t.top[1].logprob == Approx(std::log(0.2)));

  sampler own({.n_logprobs = 0}, {});
  CHECK(own.sample(logs({0.25, 0.75})).logprob == Approx(std::log(0.75)));
  sampler few({.n_logprobs = 20}, {});
  CHECK(few.sample(std::vector<float>{-inf, 1, 1}).top.size() == 2);
}

TEST_CASE("a seed fixes the text, another seed gives another") {
  const std::vector<float> flat(50, 0.0f);
  const auto text = [&](std::uint64_t seed) {
    sampler s({.temperature = 1, .seed = seed}, {});
    std::vector<token_id> ids;
    for (int i = 0; i < 40; ++i) ids.push_back(s.sample(flat).id);
    return ids;
  };
  CHECK(text(1) == text(1));
  CHECK(text(1) != text(2));
  // Neighbouring seeds are no shifted copies of one stream.
  const auto a = text(1), b = text(2);
  CHECK(!std::equal(a.begin() + 1, a.end(), b.begin()));
}

TEST_CASE("one stream's draws are uniform and independent") {
  sampler s({.temperature = 1, .seed = 42}, {});
  const std::vector<float> flat(10, 0.0f);
  std::vector<int> singles(10), pairs(100);
  token_id before = s.sample(flat).id;
  for (int i = 0; i < 100000; ++i) {
    const token_id now = s.sample(flat).id;
    ++singles[static_cast<std::size_t>(now)];
    ++pairs[static_cast<std::size_t>(before * 10 + now)];
    before = now;
  }
  const auto chi_squared = [](const std::vector<int>& counts) {
    const double expected = 100000.0 / static_cast<double>(counts.size());
    double sum = 0;
    for (const int c : counts) sum += (c - expected) * (c - expected);
    return sum / expected;
  };
  CHECK(chi_squared(singles) < 27.9);  // 9 degrees of freedom, p = 0.001
  CHECK(chi_squared(pairs) < 148.2);   // 99 degrees of freedom, p = 0.001
}
