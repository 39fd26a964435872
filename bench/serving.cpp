// SPDX-License-Identifier: MIT
// How the engine serves: the first token behind a cached prefix, the gaps of a
// running answer while a long prompt is read, drafts, cancelling.
//   serving [--model FILE | --shape NAME [--type q4_0]] [--case NAME]...
//           [--threads N] [--rounds N] [--prompt N] [--prefix N] [--answer N]
//           [--gap-ms N] [--json]
// Prints what each case measured, with --json as a line of JSON. Both sides of
// a ratio take turns; ratios are medians of rounds. Without a model: the demo
// model. tools/bench judges.
#include "serving.h"

#include <cmath>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <map>
#include <string_view>

#include "serving_drafts.h"
#include "serving_options.h"
#include "tinyphi/base/json.h"
#include "tinyphi/model/kv_cache.h"

namespace fs = std::filesystem;
namespace json = tinyphi::json;
using namespace bench;

namespace {

constexpr std::size_t n_new = 30;       // tokens behind the cached prefix
constexpr std::size_t n_question = 64;  // prompt of an answer with drafts

class cases {
 public:
  cases(const settings& o, tinyphi::model m)
      : o_(o), model_(std::move(m)), prompts_(model_.config().vocab_size) {
    if (model_.config().vocab_size < 1000) fail("the vocabulary is too small");
    const std::size_t longest =
        std::max({o.prompt + 1, o.prefix + n_new + 2, n_question + o.answer});
    if (longest >= model_.config().max_context) {
      fail("--prompt, --prefix or --answer: " + std::to_string(longest) +
           " tokens, the model's context holds " +
           std::to_string(model_.config().max_context));
    }
  }

  json::object prefix();
  json::object restart();
  json::object gap();
  json::object drafts();
  json::object cancel();

 private:
  [[nodiscard]] tinyphi::engine_options options(std::size_t n_tokens) const;
  [[nodiscard]] tinyphi::generation_params same_token(std::size_t n) const;
  [[nodiscard]] request long_answer(tinyphi::engine& e);
  double own_ms(tinyphi::engine& e);
  void check_cached(const tinyphi::generation& g) const;
  tokens behind(tokens prompt);

  const settings& o_;
  tinyphi::model model_;
  prompts prompts_;
  tinyphi::domain_id next_domain_ = 1;
};

// With a cache for so many tokens.
tinyphi::engine_options cases::options(std::size_t n_tokens) const {
  tinyphi::engine_options e;
  e.n_threads = static_cast<int>(o_.threads);
  e.gap_ms = static_cast<double>(o_.gap_ms);
  e.kv_bytes =
      tinyphi::kv_bytes_per_token(model_.config(), model_.default_kv_type()) *
      tinyphi::page_tokens * (tinyphi::n_pages(n_tokens) + 16);
  return e;
}

// An answer of the same token n times, one in each step.
tinyphi::generation_params cases::same_token(std::size_t n) const {
  tinyphi::generation_params p;
  p.max_tokens = n;
  p.ignore_stop_ids = true;
  p.drafts = false;
  p.sampling.logit_bias = {{letter(model_), 100.0f}};
  return p;
}

// ---- A cached prefix

tokens cases::behind(tokens prompt) {
  const tokens more = prompts_.next(n_new);
  prompt.insert(prompt.end(), more.begin(), more.end());
  return prompt;
}

void cases::check_cached(const tinyphi::generation& g) const {
  if (g.usage().cached_tokens == o_.prefix) return;
  fail(std::to_string(g.usage().cached_tokens) +
       " tokens came from the cache, " + std::to_string(o_.prefix) +
       " were there");
}

// What the new tokens take alone, and one step.
double cases::own_ms(tinyphi::engine& e) {
  auto p = same_token(2);
  p.cache_domain = next_domain_++;
  request alone(e, prompts_.next(n_new), p);
  alone.finish();
  return alone.token_ms(2);
}

json::object cases::prefix() {
  served s(model_, options(2 * o_.prefix + 64 * o_.rounds));
  const tokens known = prompts_.next(o_.prefix);
  request(s.engine(), known, same_token(1)).finish();
  std::vector<double> first, own, ratios;
  for (std::size_t i = 0; i < o_.rounds; ++i) {
    request hit(s.engine(), behind(known), same_token(1));
    check_cached(hit.finish());
    first.push_back(hit.token_ms(1));
    own.push_back(own_ms(s.engine()));
    ratios.push_back(first.back() / own.back());
  }
  return {{"cached_tokens", o_.prefix},
          {"new_tokens", n_new},
          {"first_token_ms", json::value_from(first)},
          {"own_ms", median(own)},
          {"ratio", median(ratios)}};
}

// Whether the engine keeps its cache in a folder.
template <class Options>
bool keep_in(Options& o, const fs::path& folder) {
  if constexpr (requires { o.cache_folder; }) o.cache_folder = folder;
  return requires { o.cache_folder; };
}

// A folder of its own, as long as it is wanted.
class scratch_folder {
 public:
  scratch_folder()
      : path_(fs::temp_directory_path() /
              ("tinyphi-serving-" +
               std::to_string(now().time_since_epoch().count()))) {}
  ~scratch_folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  scratch_folder(const scratch_folder&) = delete;
  scratch_folder& operator=(const scratch_folder&) = delete;
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// The same from the folder of an engine that has ended; the time begins when
// the next one is made. Whoever waits for the text drives; with a thread in
// drive() it measures its steps first.
json::object cases::restart() {
  const scratch_folder folder;
  auto o = options(2 * o_.prefix);
  if (!keep_in(o, folder.path())) {
    return {{"skipped", "this version keeps no cache in a folder"}};
  }
  const tokens known = prompts_.next(o_.prefix);
  {
    auto e = value(tinyphi::engine::create(model_, o));
    request(e, known, same_token(1)).finish();
  }
  served warm(model_, options(1000));
  std::vector<double> first, driven, own;
  for (std::size_t i = 0; i < o_.rounds; ++i) {
    own.push_back(own_ms(warm.engine()));
    const auto begin = now();
    {
      auto e = value(tinyphi::engine::create(model_, o));
      request hit(e, behind(known), same_token(1));
      check_cached(hit.finish());
      first.push_back(ms_between(begin, now()));
    }
    const auto again = now();
    served s(model_, o, false);
    request hit(s.engine(), behind(known), same_token(1));
    while (!hit.done()) rest();
    check_cached(hit.finish());
    driven.push_back(ms_between(again, now()));
  }
  return {{"cached_tokens", o_.prefix},
          {"new_tokens", n_new},
          {"first_token_ms", json::value_from(first)},
          {"driven_first_token_ms", median(driven)},
          {"own_ms", median(own)}};
}

// ---- A long prompt beside a running answer

// An answer that is being decoded, and does not end by itself.
request cases::long_answer(tinyphi::engine& e) {
  const std::size_t room = model_.config().max_context - 16;
  request r(e, prompts_.next(8), same_token(std::min<std::size_t>(room, 3000)));
  r.wait_for(9);
  return r;
}

json::object cases::gap() {
  auto options = this->options(o_.prompt + 3100);
  options.prefix_cache = false;
  served s(model_, options);
  std::vector<double> p50, p99, longest, row, alone, beside, ratios;
  std::size_t n_gaps = 0;
  for (std::size_t i = 0; i < o_.rounds; ++i) {
    request quiet(s.engine(), prompts_.next(o_.prompt), same_token(1));
    quiet.finish();
    alone.push_back(quiet.token_ms(1));

    request answer = long_answer(s.engine());
    const auto arrived = now();
    request busy(s.engine(), prompts_.next(o_.prompt), same_token(1));
    busy.finish();
    beside.push_back(busy.token_ms(1));
    ratios.push_back(beside.back() / alone.back());
    if (answer.done()) fail("the answer ended before the prompt was read");
    const auto read =
        arrived + std::chrono::duration_cast<steady_time::duration>(
                      std::chrono::duration<double, std::milli>(beside.back()));
    answer.wait_for(answer.times().size() + 2);
    answer.cancel();
    answer.finish();
    const auto times = answer.times();
    std::vector<double> before, during;
    for (std::size_t k = 2; k < times.size(); ++k) {
      const double ms = ms_between(times[k - 1], times[k]);
      if (times[k] <= arrived) before.push_back(ms);
      if (times[k] > arrived && times[k - 1] < read) during.push_back(ms);
    }
    n_gaps += during.size();
    row.push_back(median(before));
    p50.push_back(median(during));
    p99.push_back(quantile(during, 0.99));
    longest.push_back(quantile(during, 1));
  }
  // step_plan.h: a step may take so long where one row already does.
  const double allowed =
      std::max(static_cast<double>(o_.gap_ms), 1.5 * median(row));
  return {{"prompt_tokens", o_.prompt},
          {"target_ms", o_.gap_ms},
          {"quiet_gap_ms", median(row)},
          {"allowed_ms", allowed},
          {"gaps", n_gaps},
          {"p50_ms", median(p50)},
          {"p99_ms", json::value_from(p99)},
          {"max_ms", quantile(longest, 1)},
          {"p99_share", median(p99) / allowed},
          {"first_token_ms", json::value_from(beside)},
          {"alone_ms", median(alone)},
          {"ratio", median(ratios)}};
}

// ---- Drafts

struct draft_run {
  double tokens_per_second = 0;
  tokens answer;
  tinyphi::usage usage;
};

draft_run run_answer(tinyphi::engine& e, const tokens& question,
                     const tinyphi::generation_params& p) {
  request asked(e, question, p);
  const auto& g = asked.finish();
  draft_run r;
  for (const auto& token : g.tokens()) r.answer.push_back(token.id);
  r.usage = g.usage();
  r.tokens_per_second = static_cast<double>(r.usage.completion_tokens - 1) /
                        r.usage.decode_seconds;
  return r;
}

// Random weights do not copy, so what they answer is known first and then
// comes along as the text that is quoted: copied, with every 20th token wrong;
// misled, with every 4th, so that drafts begin wrong. Sampled, so that
// the answer does not repeat itself; the last case does, a token for ever.
json::object cases::drafts() {
  const auto rows = step_costs(model_, static_cast<int>(o_.threads),
                               n_question + o_.answer / 2, 2 + o_.rounds);
  served s(model_, options(2 * n_question + 2 * o_.answer));
  const tokens question = prompts_.next(n_question);
  tinyphi::generation_params plain;
  plain.max_tokens = o_.answer;
  plain.ignore_stop_ids = true;
  plain.sampling.temperature = 1;
  plain.drafts = false;
  const tokens known = run_answer(s.engine(), question, plain).answer;
  json::object result = {{"answer_tokens", o_.answer},
                         {"rows_8", rows.at(8) / rows.at(1)},
                         {"curve_allows", allowed_by(rows, 20, o_.answer)}};
  const auto measure = [&](const char* name, tinyphi::generation_params p) {
    std::vector<double> with, ratios;
    std::size_t drafted = 0, accepted = 0;
    for (std::size_t i = 0; i < o_.rounds; ++i) {
      p.drafts = false;
      const draft_run off = run_answer(s.engine(), question, p);
      p.drafts = true;
      const draft_run on = run_answer(s.engine(), question, p);
      if (on.answer != off.answer) fail("drafts have changed the answer");
      with.push_back(on.tokens_per_second);
      ratios.push_back(on.tokens_per_second / off.tokens_per_second);
      drafted += on.usage.drafted_tokens;
      accepted += on.usage.accepted_tokens;
    }
    result[name] = json::object{{"tokens_per_s", json::value_from(with)},
                                {"ratio", median(ratios)},
                                {"drafted", drafted},
                                {"accepted", accepted}};
  };
  measure("free", plain);
  plain.references = {spoilt(known, 20)};
  measure("copied", plain);
  plain.references = {spoilt(known, 4)};
  measure("misled", plain);
  measure("repeated", same_token(o_.answer));
  return result;
}

// ---- Cancelling

double ms_to_cancel(request& r) {
  const auto begin = now();
  r.cancel();
  while (!r.done()) rest();
  return ms_between(begin, now());
}

// A running answer, then the prompt that is read beside it.
json::object cases::cancel() {
  auto options = this->options(o_.prompt + 3100);
  options.prefix_cache = false;
  served s(model_, options);
  std::mt19937 random(1);
  std::vector<double> answers, readers;
  for (std::size_t i = 0; i < 2 * o_.rounds; ++i) {
    request answer = long_answer(s.engine());
    request reader(s.engine(), prompts_.next(o_.prompt), same_token(1));
    answer.wait_for(answer.times().size() + 1 + random() % 2);
    std::this_thread::sleep_for(
        std::chrono::milliseconds(random() % o_.gap_ms / 2));
    if (!reader.done()) answers.push_back(ms_to_cancel(answer));
    if (!reader.done()) readers.push_back(ms_to_cancel(reader));
  }
  return {{"tries", answers.size()},
          {"answer_ms", median(answers)},
          {"answer_max_ms", quantile(answers, 1)},
          {"prompt_ms", median(readers)},
          {"prompt_max_ms", quantile(readers, 1)}};
}

void print(const std::string& name, const json::object& found, bool as_json) {
  if (as_json) {
    json::object all = {{"case", name}};
    for (const auto& [key, what] : found) all[key] = what;
    std::puts(json::serialize(all).c_str());
  } else {
    std::printf("%s\n", name.c_str());
    for (const auto& [key, what] : found) {
      std::printf("  %-16s %s\n", std::string(key).c_str(),
                  json::serialize(what).c_str());
    }
  }
  std::fflush(stdout);
}

// Runs the cases that are asked for.
void measure(const settings& o) {
  const std::pair<std::string, json::object (cases::*)()> all[] = {
      {"prefix", &cases::prefix},
      {"restart", &cases::restart},
      {"gap", &cases::gap},
      {"drafts", &cases::drafts},
      {"cancel", &cases::cancel}};
  for (const std::string& name : o.cases) {
    if (std::none_of(std::begin(all), std::end(all),
                     [&](const auto& c) { return c.first == name; })) {
      fail("--case " + name +
           ": known are prefix, restart, gap, drafts, cancel");
    }
  }
  cases run(o, open(o));
  for (const auto& [name, found] : all) {
    if (o.cases.empty() ||
        std::find(o.cases.begin(), o.cases.end(), name) != o.cases.end()) {
      print(name, (run.*found)(), o.as_json);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    measure(parse(argc, argv));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "serving: %s\n", e.what());
    return 1;
  }
}
