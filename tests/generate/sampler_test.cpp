// SPDX-License-Identifier: MIT
#include "tinyphi/generate/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <thread>

#include "support/allocations.h"
#include "support/test.h"

using namespace tinyphi;
using tinyphi_test::message_of;
using tinyphi_test::n_allocations;

namespace {

constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

sampled_token next(sampler& s, const std::vector<float>& logits) {
  auto t = s.sample(logits);
  REQUIRE_OK(t);
  return *std::move(t);
}

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
    found[next(s, logits).id] += 1.0 / n;
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
  return next(s, logits).id;
}

}  // namespace

TEST_CASE("greedy takes the best token, of equals the lowest") {
  CHECK(pick({}, {0, 3, 1, 3}) == 1);
  CHECK(pick({}, {-5, -inf, -4}) == 2);
  CHECK(pick({.top_k = 1, .top_p = 0.1f, .typical_p = 0.1f}, {0, 3, 1}) == 1);
}

TEST_CASE("-inf is never chosen, and numbers near the largest are no trouble") {
  const std::vector<float> odd = {-inf, -inf, -1e30f, -inf};
  CHECK(pick({}, odd) == 2);
  CHECK(shares({.temperature = 1}, odd, {}, {}, 100).at(2) == Approx(1));
  for (const std::int32_t mirostat : {0, 2}) {
    const sampling_params p{.temperature = 1e-30f,
                            .top_k = 3,
                            .top_p = 0.5f,
                            .min_p = 0.5f,
                            .typical_p = 0.999f,
                            .repetition_penalty = 10,
                            .mirostat = mirostat,
                            .n_logprobs = 2};
    CHECK(pick(p, {0, 3e38f, -inf, 5}) == 1);
    CHECK(pick(p, {-inf, -3e38f, -inf, -inf}, {1}) == 1);
    sampling_params reward = p;
    reward.repetition_penalty = 1e-30f;
    CHECK(pick(reward, {0, 3e38f, -inf, 2e38f}, {1}) == 1);
  }
}

TEST_CASE(
    "a row with NaN or +inf is an error with place and id, never a token") {
  std::vector<sampling_params> all;
  for (const float temperature : {0.f, 1.f}) {
    for (const float penalty : {0.f, 1.f}) {
      for (const std::int32_t mirostat : {0, 2}) {
        all.push_back({.temperature = temperature,
                       .presence_penalty = penalty,
                       .mirostat = mirostat,
                       .n_logprobs = 3});
      }
    }
  }
  for (const sampling_params& p : all) {
    sampler s(p, {});
    s.observe(std::vector<token_id>{0, 1, 1});
    const auto error_of = [&](const std::vector<float>& logits) {
      auto t = s.sample(logits);
      REQUIRE(!t);
      CHECK(t.error().code == error_code::bad_data);
      return t.error().message;
    };
    CHECK(error_of({2, not_a_number, -inf, 1}) ==
          "the logits of the token at position 3 hold NaN at id 1, allowed are "
          "finite numbers and -inf; check the model's file");
    CHECK(error_of({2, 0, 0, -not_a_number, inf}) ==
          error_of({2, 0, 0, not_a_number, 1}));
    CHECK(error_of({not_a_number, not_a_number}) ==
          "the logits of the token at position 3 hold NaN at id 0, allowed are "
          "finite numbers and -inf; check the model's file");
    CHECK(error_of({2, 9, -inf, inf}) ==
          "the logits of the token at position 3 hold +inf at id 3, allowed "
          "are finite numbers and -inf; check the model's file");
    CHECK(error_of({-inf, -inf}) ==
          "the logits of the token at position 3 allow none of 2 ids: all are "
          "-inf, at least one must be finite; check the model's file");
    // A row that was refused changes nothing.
    CHECK(s.length() == 3);
    CHECK(next(s, {-inf, 3, -inf}).id == 1);
  }
}

TEST_CASE("a bias that bans all that a row allows is the caller's error") {
  for (const float temperature : {0.f, 1.f}) {
    sampler s({.temperature = temperature, .logit_bias = {{1, -100.0f}}}, {});
    const auto t = s.sample(std::vector<float>{-inf, 5, -inf});
    REQUIRE(!t);
    CHECK(t.error().code == error_code::invalid_argument);
    CHECK(message_of(t) ==
          "logit_bias bans (-100) every id that the model allows for the token "
          "at position 0; leave at least one");
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

TEST_CASE("steps before temperature come as top_k, typical, top_p, min_p") {
  // Entropy 1.2058; distances of -ln p from it: 0.513, 0.180, 0.691, 1.097.
  const std::vector<float> logits = logs({0.5, 0.25, 0.15, 0.1});
  SECTION("top_k, then typical") {
    // Of {2/3, 1/3} the first is nearest to the entropy and covers 0.6; of all
    // four, the second and the first do.
    check_same(
        shares({.temperature = 1, .top_k = 2, .typical_p = 0.6f}, logits),
        {{0, 1.0}});
  }
  SECTION("typical, then top_p") {
    // Typical leaves the first two, of which 2/3 covers 0.6. Top_p first would
    // leave two, and of them typical both.
    check_same(
        shares({.temperature = 1, .top_p = 0.6f, .typical_p = 0.7f}, logits),
        {{0, 1.0}});
  }
  SECTION("top_p, then min_p") {
    // Three cover 0.8, and all are likely enough. Of those that min_p leaves,
    // two cover 0.8.
    check_same(
        shares({.temperature = 1, .top_p = 0.8f, .min_p = 0.25f}, logits),
        {{0, 0.5 / 0.9}, {1, 0.25 / 0.9}, {2, 0.15 / 0.9}});
  }
  SECTION("min_p, then temperature") {
    // 0.25 is half of 0.5, but 0.0625 a quarter of 0.25.
    check_same(shares({.temperature = 0.5f, .min_p = 0.45f}, logits),
               {{0, 0.8}, {1, 0.2}});
    // And 0.316 is more than that of 0.707.
    check_same(shares({.temperature = 2, .min_p = 0.45f}, logits),
               {{0, 0.707 / 1.207}, {1, 0.5 / 1.207}});
  }
}

TEST_CASE("mirostat's mu loses eta times what a surprise is above tau") {
  // In bits, of the distribution at the temperature; mu starts at 2 tau.
  const std::vector<double> bits = {1, 2, 3, 3};
  std::vector<float> logits;
  for (const double b : bits) {
    logits.push_back(-2 * static_cast<float>(b * std::log(2.0)));
  }
  std::map<token_id, int> seen;
  sampler_scratch scratch;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    sampler s({.temperature = 2,
               .mirostat = 2,
               .mirostat_tau = 2.5f,
               .mirostat_eta = 0.25f,
               .seed = seed},
              {});
    double mu = 5;
    for (int i = 0; i < 3; ++i) {
      const auto c = s.choose(logits, scratch);
      REQUIRE_OK(c);
      mu -= 0.25 * (bits[static_cast<std::size_t>(c->token.id)] - 2.5);
      CHECK(c->mu == Approx(mu).margin(1e-5));
      s.accept(*c);
      ++seen[c->token.id];
    }
  }
  CHECK(seen.size() == 4);
  // The surprise is that among those left, and mu decides who is left next:
  // of 1 and 2 bits, 1.585 are above tau by 0.575, and 2 bits are too many.
  int n_seconds = 0;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    sampler s({.temperature = 2,
               .mirostat = 2,
               .mirostat_tau = 1.01f,
               .mirostat_eta = 1,
               .seed = seed},
              {});
    const token_id first = next(s, logits).id;
    const auto c = s.choose(logits, scratch);
    if (first == 1) {
      CHECK(c->token.id == 0);
      CHECK(c->mu == Approx(2.02 - 0.575 + 1.01).margin(1e-3));
      ++n_seconds;
    }
  }
  CHECK(n_seconds > 5);
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
  for (int i = 0; i < 3000; ++i) bits -= std::log2(p.at(next(s, wide).id));
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
  CHECK(next(s, logits).id == 0);
  CHECK(next(s, logits).id == 1);
  CHECK(next(s, logits).id == 2);
  CHECK(next(s, logits).id == 0);
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
  const sampled_token t = next(s, logs({0.2, 0.5, 0.2, 0.1}));
  CHECK(t.id == 3);
  CHECK(t.logprob == Approx(std::log(0.1)));
  REQUIRE(t.top.size() == 2);
  CHECK(t.top[0].id == 1);
  CHECK(t.top[0].logprob == Approx(std::log(0.5)));
  CHECK(t.top[1].id == 0);
  CHECK(t.top[1].logprob == Approx(std::log(0.2)));

  sampler own({.n_logprobs = 0}, {});
  CHECK(next(own, logs({0.25, 0.75})).logprob == Approx(std::log(0.75)));
  sampler few({.n_logprobs = 20}, {});
  CHECK(next(few, {-inf, 1, 1}).top.size() == 2);
}

TEST_CASE("a seed fixes the text, another seed gives another") {
  const std::vector<float> flat(50, 0.0f);
  const auto text = [&](std::uint64_t seed) {
    sampler s({.temperature = 1, .seed = seed}, {});
    std::vector<token_id> ids;
    for (int i = 0; i < 40; ++i) ids.push_back(next(s, flat).id);
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
  token_id before = next(s, flat).id;
  for (int i = 0; i < 100000; ++i) {
    const token_id now = next(s, flat).id;
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

namespace {

std::mt19937 dice(std::uint32_t seed) { return std::mt19937(seed); }

float between(std::mt19937& d, double low, double high) {
  return static_cast<float>(
      std::uniform_real_distribution<double>(low, high)(d));
}

std::int32_t one_of(std::mt19937& d, std::int32_t low, std::int32_t high) {
  return std::uniform_int_distribution<std::int32_t>(low, high)(d);
}

// Each step is on half of the time.
sampling_params random_params(std::mt19937& d, std::int32_t n_logprobs) {
  const auto on = [&] { return one_of(d, 0, 1) == 1; };
  sampling_params p;
  if (one_of(d, 0, 4) > 0) p.temperature = between(d, 0.05, 3);
  if (on()) p.top_k = one_of(d, 1, 60);
  if (on()) p.top_p = between(d, 0.1, 1);
  if (on()) p.min_p = between(d, 0, 0.5);
  if (on()) p.typical_p = between(d, 0.1, 1);
  if (on()) p.repetition_penalty = between(d, 0.1, 10);
  if (on()) p.presence_penalty = between(d, -2, 2);
  if (on()) p.frequency_penalty = between(d, -2, 2);
  p.penalty_window = one_of(d, -1, 40);
  if (on()) p.dry_multiplier = between(d, 0, 100);
  p.dry_base = between(d, 1, 10);
  p.dry_allowed_length = one_of(d, 0, 4);
  p.dry_window = one_of(d, -1, 40);
  if (on()) p.mirostat = 2;
  p.mirostat_tau = between(d, 0.01, 10);
  p.mirostat_eta = between(d, 0.01, 1);
  for (std::int32_t i = 0; i < one_of(d, 0, 3); ++i) {
    // The last id stays, so that something is left.
    p.logit_bias.emplace_back(i, on() ? -100.f : between(d, -100, 100));
  }
  p.seed = d();
  p.n_logprobs = n_logprobs;
  return p;
}

// From flat to steep, with tokens that may not come; the last id may.
std::vector<float> random_row(std::mt19937& d, std::size_t vocab_size) {
  const double width = std::pow(10.0, between(d, -2, 3));
  std::vector<float> row(vocab_size);
  for (float& x : row) {
    x = one_of(d, 0, 7) == 0 ? -inf : between(d, -width, width);
  }
  row.back() = 0;
  return row;
}

std::vector<token_id> random_text(std::mt19937& d, std::size_t n) {
  std::vector<token_id> ids(n);
  for (token_id& id : ids) id = one_of(d, 0, 9);
  return ids;
}

bool same(const sampled_token& a, const sampled_token& b) {
  return a.id == b.id && a.logprob == b.logprob &&
         std::equal(a.top.begin(), a.top.end(), b.top.begin(), b.top.end(),
                    [](const token_logprob& x, const token_logprob& y) {
                      return x.id == y.id && x.logprob == y.logprob;
                    });
}

bool same(const sampler::choice& a, const sampler::choice& b) {
  return same(a.token, b.token) && a.position == b.position && a.mu == b.mu &&
         a.ended == b.ended;
}

sampler::choice choice_of(const sampler& s, const std::vector<float>& logits) {
  sampler_scratch scratch;
  auto c = s.choose(logits, scratch);
  REQUIRE_OK(c);
  return *std::move(c);
}

}  // namespace

TEST_CASE(
    "with any parameters a choice is finite, repeatable and uncommitted") {
  auto d = dice(1);
  sampler_scratch scratch;
  for (int round = 0; round < 120; ++round) {
    const sampling_params p = random_params(d, one_of(d, -1, 20));
    const std::vector<token_id> prompt = random_text(d, 30);
    sampler s(p, {1, 4}), twin(p, {1, 4});
    s.observe(prompt);
    twin.observe(prompt);
    for (std::size_t i = 0; i < 40; ++i) {
      const std::vector<float> row = random_row(d, 100);
      const auto c = s.choose(row, scratch);
      REQUIRE_OK(c);
      const token_id id = c->token.id;
      REQUIRE((id >= 0 && id < 100));
      REQUIRE(std::isfinite(row[static_cast<std::size_t>(id)]));
      REQUIRE(std::isfinite(c->mu));
      REQUIRE(!c->ended);
      if (p.temperature == 0 || p.mirostat == 0) {
        REQUIRE(c->mu == 2 * p.mirostat_tau);
      }
      // Others' choices in between, in the same scratch and in a new one.
      REQUIRE(s.choose(random_row(d, 100), scratch));
      REQUIRE(same(*s.choose(row, scratch), *c));
      REQUIRE(same(choice_of(s, row), *c));
      // A twin that never chose what it did not accept.
      const auto t = twin.sample(row);
      REQUIRE_OK(t);
      REQUIRE(same(*t, c->token));
      s.accept(*c);
      REQUIRE(s.length() == prompt.size() + i + 1);
    }
  }
}

TEST_CASE("accept adds the token, its random number, and mu") {
  const std::vector<float> flat(20, 0.0f);
  SECTION("a token that was accepted counts as one that was observed") {
    const sampling_params p{.presence_penalty = 1, .dry_multiplier = 1};
    sampler chosen(p, {}), told(p, {});
    for (int i = 0; i < 30; ++i) {
      const sampler::choice c = choice_of(chosen, flat);
      REQUIRE(same(choice_of(told, flat), c));
      chosen.accept(c);
      told.observe({&c.token.id, 1});
    }
  }
  SECTION("a token that must come has the number of its place") {
    const sampling_params p{.temperature = 1, .seed = 3};
    sampler plain(p, {}), forced(p, {});
    for (int i = 0; i < 60; ++i) {
      const token_id id = next(plain, flat).id;
      if (i % 3 == 0) {
        forced.accept(id == 0 ? 1 : 0);
      } else {
        CHECK(next(forced, flat).id == id);
      }
    }
  }
  SECTION("observed tokens have no number, accepted ones have one each") {
    const sampling_params p{.temperature = 1, .seed = 3};
    sampler plain(p, {}), forced(p, {});
    std::vector<token_id> ids, others;
    for (int i = 0; i < 30; ++i) {
      ids.push_back(next(plain, flat).id);
      forced.observe(std::vector<token_id>{5, 6});
      others.push_back(next(forced, flat).id);
    }
    CHECK(ids == others);
    CHECK(forced.length() == 90);
  }
}

TEST_CASE(
    "a draft's choices are those of plain decoding, whatever is dropped") {
  auto d = dice(2);
  for (int round = 0; round < 50; ++round) {
    const sampling_params p = random_params(d, -1);
    sampler plain(p, {}), drafted(p, {});
    sampler_scratch scratch;
    // Rows depend on the text before them, as a model's do.
    const auto row_after = [&](const std::vector<token_id>& text) {
      std::uint32_t key = 17;
      for (const token_id id : text) key = key * 31 + static_cast<unsigned>(id);
      auto of_text = dice(key);
      return random_row(of_text, 40);
    };
    std::vector<token_id> expected, found;
    while (expected.size() < 60) {
      expected.push_back(next(plain, row_after(expected)).id);
    }
    while (found.size() < 60) {
      // Up to four drafted tokens, right ones as a rule.
      std::vector<token_id> text = found;
      for (std::size_t i = 0; i < 4 && text.size() < 60; ++i) {
        text.push_back(one_of(d, 0, 3) == 0 ? 7 : expected[text.size()]);
      }
      for (std::size_t n = found.size(); n <= text.size() && n < 60; ++n) {
        const auto c = drafted.choose(
            row_after({text.begin(), text.begin() + static_cast<int>(n)}),
            scratch);
        REQUIRE_OK(c);
        drafted.accept(*c);
        found.push_back(c->token.id);
        if (n < text.size() && c->token.id != text[n]) break;
      }
    }
    CHECK(found == expected);
  }
}

TEST_CASE("choosing and accepting allocate nothing but the top list") {
  auto d = dice(3);
  constexpr std::size_t vocab_size = 500, length = 300;
  sampler_scratch scratch(vocab_size, length);
  const std::size_t reserved = scratch.bytes();
  std::vector<std::vector<float>> rows;
  for (int i = 0; i < 50; ++i) rows.push_back(random_row(d, vocab_size));
  for (int round = 0; round < 100; ++round) {
    const std::int32_t n_logprobs = one_of(d, -1, 20);
    const sampling_params p = random_params(d, n_logprobs);
    const std::vector<token_id> prompt = random_text(d, length - rows.size());
    sampler s(p, {1, 4}, vocab_size, length);
    const std::size_t held = s.bytes(), before = n_allocations();
    s.observe(prompt);
    for (const auto& row : rows) {
      const auto c = s.choose(row, scratch);
      s.accept(*c);
    }
    const std::size_t made = n_allocations() - before;
    CHECK(made == (n_logprobs > 0 ? rows.size() : 0));
    CHECK(s.bytes() == held);
  }
  CHECK(scratch.bytes() == reserved);
}

TEST_CASE("sample's own scratch is asked for once") {
  auto d = dice(4);
  sampling_params p = random_params(d, 0);
  p.temperature = 1;
  p.top_p = 0.9f;
  sampler s(p, {});
  std::vector<std::vector<float>> rows;
  for (int i = 0; i < 20; ++i) rows.push_back(std::vector<float>(100, 1.f));
  // What grows with the text has not been reserved.
  for (int i = 0; i < 300; ++i) next(s, rows[0]);
  const std::size_t before = n_allocations();
  for (const auto& row : rows) static_cast<void>(s.sample(row));
  CHECK(n_allocations() - before <= 1);
}

TEST_CASE("a sampler without windows keeps no text") {
  sampler s({.temperature = 1, .penalty_window = -1}, {});
  const std::size_t before = s.bytes();
  s.observe(std::vector<token_id>(100'000, 1));
  CHECK(s.bytes() == before);
  CHECK(s.length() == 100'000);
  // One with a window keeps twice that, at most.
  sampler w({.presence_penalty = 1, .penalty_window = 50}, {});
  w.observe(std::vector<token_id>(100'000, 1));
  CHECK(w.bytes() < 1000);
}

TEST_CASE("what lies before every window changes no choice") {
  auto d = dice(7);
  sampler_scratch scratch;
  for (int round = 0; round < 200; ++round) {
    sampling_params p = random_params(d, -1);
    p.presence_penalty = 1;
    p.dry_multiplier = 1;
    p.penalty_window = one_of(d, 0, 50);
    p.dry_window = one_of(d, 0, 50);
    const auto n = static_cast<std::size_t>(
        std::max(p.penalty_window, p.dry_window) + one_of(d, 0, 1));
    const std::vector<token_id> text = random_text(d, 300);
    const std::vector<float> row(20, 0.f);
    // Of any length, so that older tokens have just been dropped, or not yet.
    for (std::size_t end = 100; end < 300; end += 7) {
      sampler all(p, {1}), last(p, {1});
      all.observe(std::span(text).first(end));
      last.observe(std::span(text).subspan(end - n, n));
      REQUIRE(choice_of(all, row).token.id == choice_of(last, row).token.id);
    }
  }
}

namespace {

// Lets these ids through, and counts how often all of them are asked for.
class some_ids final : public choice_filter {
 public:
  explicit some_ids(std::vector<token_id> ids, bool may_end = false,
                    bool penalizes = true)
      : ids_(std::move(ids)), may_end_(may_end), penalizes_(penalizes) {}
  [[nodiscard]] result<bool> allows(token_id id) const override {
    return std::find(ids_.begin(), ids_.end(), id) != ids_.end();
  }
  [[nodiscard]] result<void> allowed(token_set& out) const override {
    ++n_sets;
    out = token_set(64);
    for (const token_id id : ids_) out.insert(id);
    return {};
  }
  [[nodiscard]] bool may_end() const override { return may_end_; }
  [[nodiscard]] bool penalizes() const override { return penalizes_; }
  mutable int n_sets = 0;

 private:
  std::vector<token_id> ids_;
  bool may_end_, penalizes_;
};

sampler::choice filtered(const sampler& s, const std::vector<float>& row,
                         const choice_filter& f) {
  sampler_scratch scratch;
  auto c = s.choose(row, scratch, &f);
  REQUIRE_OK(c);
  return *std::move(c);
}

}  // namespace

TEST_CASE(
    "a greedy choice asks for all that may come only if the best may not") {
  const sampler s({}, {});
  const std::vector<float> row = {1, 5, 3, 4, 4};
  const some_ids best({1, 2});
  CHECK(filtered(s, row, best).token.id == 1);
  CHECK(best.n_sets == 0);
  const some_ids others({0, 3, 4});
  CHECK(filtered(s, row, others).token.id == 3);  // of two the lower id
  CHECK(others.n_sets == 1);
}

TEST_CASE(
    "with a filter a draw is one among what may come, in its own shares") {
  auto d = dice(8);
  for (int round = 0; round < 200; ++round) {
    sampling_params p = random_params(d, -1);
    p.temperature = 1;
    p.mirostat = 0;  // does not count a token that is alone
    const std::vector<float> row = random_row(d, 40);
    std::vector<token_id> ids;
    for (token_id id = 0; id < 40; ++id) {
      if (one_of(d, 0, 3) == 0 || id == 39) ids.push_back(id);
    }
    // The same as if the model itself gave the others no chance.
    std::vector<float> masked(40, -std::numeric_limits<float>::infinity());
    for (const token_id id : ids) {
      masked[static_cast<std::size_t>(id)] = row[static_cast<std::size_t>(id)];
    }
    sampler plain(p, {}), shaped(p, {});
    for (int i = 0; i < 5; ++i) {
      const sampler::choice c = filtered(shaped, row, some_ids(ids));
      const sampler::choice expected = choice_of(plain, masked);
      REQUIRE(c.token.id == expected.token.id);
      shaped.accept(c);
      plain.accept(expected);
    }
  }
}

TEST_CASE(
    "what a filter leaves is a token, the end, or an error that says so") {
  const std::vector<float> row(8, 0.0f);
  for (const float temperature : {0.0f, 1.0f}) {
    const sampler s({.temperature = temperature,
                     .mirostat = 2,
                     .logit_bias = {{5, -100.0f}},
                     .n_logprobs = 0},
                    {});
    // One alone is no draw: mirostat does not count it.
    const sampler::choice only = filtered(s, row, some_ids({3}));
    CHECK(only.token.id == 3);
    CHECK(only.mu == 2 * 5.0f);
    CHECK(only.token.logprob == Approx(std::log(1.0 / 8)));
    CHECK(filtered(s, row, some_ids({}, true)).ended);
    CHECK(filtered(s, row, some_ids({5}, true)).ended);
    sampler_scratch scratch;
    const some_ids none({5, 40});
    const auto nothing = s.choose(row, scratch, &none);
    REQUIRE_FALSE(nothing);
    CHECK(nothing.error().code == error_code::invalid_argument);
    CHECK(nothing.error().message.starts_with("of 2 ids that the answer's"));
  }
}

TEST_CASE("penalties do not reach what must repeat") {
  sampler s({.repetition_penalty = 10, .dry_multiplier = 10}, {});
  s.observe(std::vector<token_id>{1, 2, 1, 2, 1});
  const std::vector<float> row = {1, 1.5, 2};
  CHECK(filtered(s, row, some_ids({0, 1, 2})).token.id == 0);
  CHECK(filtered(s, row, some_ids({0, 1, 2}, false, false)).token.id == 2);
}

TEST_CASE("a token that must come has its own log-probability") {
  sampler s({.n_logprobs = 1}, {});
  sampler_scratch scratch;
  const std::vector<float> row = {0, 1, 2};
  const auto c = s.take(row, 1, scratch);
  REQUIRE_OK(c);
  CHECK(c->token.id == 1);
  CHECK(c->token.logprob == log_probability(row, 1));
  CHECK(c->token.top.front().id == 2);
}

TEST_CASE("many threads choose for many sequences as one does", "[threads]") {
  constexpr std::size_t n = 4;
  std::vector<std::vector<token_id>> alone(n), together(n);
  const auto text_of = [](std::size_t i) {
    auto d = dice(100 + static_cast<std::uint32_t>(i));
    sampler s(random_params(d, 2), {1});
    sampler_scratch scratch;
    std::vector<token_id> ids;
    for (int k = 0; k < 100; ++k) {
      const auto c = s.choose(random_row(d, 50), scratch);
      s.accept(*c);
      ids.push_back(c->token.id);
    }
    return ids;
  };
  for (std::size_t i = 0; i < n; ++i) alone[i] = text_of(i);
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < n; ++i) {
    threads.emplace_back([&, i] { together[i] = text_of(i); });
  }
  threads.clear();
  CHECK(together == alone);
}

TEST_CASE("one sampler may be asked by many threads at once", "[threads]") {
  auto d = dice(5);
  sampler s({.temperature = 1, .top_p = 0.9f, .presence_penalty = 1}, {});
  s.observe(random_text(d, 20));
  std::vector<std::vector<float>> rows;
  for (int i = 0; i < 100; ++i) rows.push_back(random_row(d, 50));
  std::vector<std::vector<token_id>> found(4);
  std::vector<std::jthread> threads;
  for (auto& ids : found) {
    threads.emplace_back([&] {
      sampler_scratch scratch;
      for (const auto& row : rows) {
        ids.push_back(s.choose(row, scratch)->token.id);
      }
    });
  }
  threads.clear();
  for (const auto& ids : found) CHECK(ids == found[0]);
}

TEST_CASE("log_probability is within 1e-6 of a sum in long double") {
  auto d = dice(6);
  for (int round = 0; round < 10; ++round) {
    const std::vector<float> row = random_row(d, 3000);
    long double sum = 0;
    const float highest = *std::max_element(row.begin(), row.end());
    for (const float x : row) {
      sum += std::exp(static_cast<long double>(x) - highest);
    }
    for (std::size_t i = 0; i < row.size(); i += 7) {
      const float found = log_probability(row, static_cast<token_id>(i));
      if (row[i] == -inf) {
        CHECK(found == -inf);
        continue;
      }
      const long double expected = row[i] - highest - std::log(sum);
      CHECK(std::abs(static_cast<double>(found - expected)) <
            1e-6 * (1 + std::abs(static_cast<double>(expected))));
    }
  }
  // In float, a sum of so many ends 0.3 % off.
  std::vector<float> many(200'000, -0.1f);
  many[7] = 0;
  const double expected = -std::log(1 + 199'999 * std::exp(double{-0.1f}));
  CHECK(std::abs(double{log_probability(many, 7)} - expected) < 1e-6);
  CHECK(log_probability(std::vector<float>{3e38f, -3e38f}, 0) == 0);
}
