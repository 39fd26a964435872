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
#include <cstring>
#include <filesystem>
#include <map>
#include <string_view>

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
  [[nodiscard]] std::map<std::size_t, double> row_ms(std::size_t stored) const;

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

// The same from the folder of an engine that has ended. Nobody drives, since
// the driver would measure its steps first; the time begins when the engine is
// made.
json::object cases::restart() {
  const fs::path folder =
      fs::temp_directory_path() /
      ("tinyphi-serving-" +
       std::to_string(std::chrono::system_clock::now().time_since_epoch() /
                      std::chrono::microseconds(1)));
  auto o = options(2 * o_.prefix);
  if (!keep_in(o, folder)) return {{"skipped", "no cache is kept in a folder"}};
  const tokens known = prompts_.next(o_.prefix);
  std::vector<double> first, own;
  {
    auto e = value(tinyphi::engine::create(model_, o));
    request(e, known, same_token(1)).finish();
  }
  for (std::size_t i = 0; i < o_.rounds; ++i) {
    const auto begin = now();
    auto e = value(tinyphi::engine::create(model_, o));
    request hit(e, behind(known), same_token(1));
    check_cached(hit.finish());
    first.push_back(ms_between(begin, now()));
    auto alone = value(tinyphi::engine::create(model_, options(1000)));
    own.push_back(own_ms(alone));
  }
  std::error_code ignored;
  fs::remove_all(folder, ignored);
  return {{"cached_tokens", o_.prefix},
          {"new_tokens", n_new},
          {"first_token_ms", json::value_from(first)},
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

// What a step with so many rows of one sequence takes, in milliseconds: the
// least of several, taking turns.
std::map<std::size_t, double> cases::row_ms(std::size_t stored) const {
  constexpr std::size_t counts[] = {1, 2, 4, 8, 12, 16};
  tinyphi::team team(static_cast<int>(o_.threads));
  tinyphi::forward_scratch scratch;
  tinyphi::kv_pool pool(model_.config(), model_.default_kv_type(),
                        options(stored).kv_bytes);
  tinyphi::kv_sequence kv(pool, model_.config());
  if (const auto ok = kv.reserve(stored + 16); !ok) fail(ok.error().message);
  for (const tinyphi::kv_page& page : kv.pages()) {
    std::memset(page.data(), 0x2A, pool.page_bytes());  // small numbers
  }
  kv.commit(stored);
  std::map<std::size_t, double> best;
  for (std::size_t i = 0; i < 2 + o_.rounds; ++i) {
    for (const std::size_t n : counts) {
      const tokens ids(n, token_id{400});
      tinyphi::batch_run run;
      run.kv = &kv;
      run.tokens = ids;
      run.n_rows = n;
      const auto begin = now();
      value(model_.forward({&run, 1}, team, scratch));
      const double ms = ms_between(begin, now());
      const auto [at, first] = best.try_emplace(n, ms);
      at->second = std::min(at->second, ms);
    }
  }
  return best;
}

// Straight between two counts.
double at(const std::map<std::size_t, double>& row_ms, std::size_t n) {
  const auto above = row_ms.lower_bound(n);
  if (above->first == n) return above->second;
  const auto below = std::prev(above);
  const double share = static_cast<double>(n - below->first) /
                       static_cast<double>(above->first - below->first);
  return below->second + share * (above->second - below->second);
}

// A text of which every nth token is another one.
tokens spoilt(tokens text, std::size_t n) {
  for (std::size_t i = n - 1; i < text.size(); i += n) {
    text[i] = text[i] == 400 ? 401 : 400;
  }
  return text;
}

// How many times as fast as plain decoding steps of the best one length are
// that quote a text of which every nth token is wrong; a draft follows three
// tokens that are alike.
double allowed_by(const std::map<std::size_t, double>& row_ms, std::size_t n,
                  std::size_t n_tokens) {
  double best = 1;
  for (std::size_t length = 1; length <= 15; ++length) {
    double ms = 0;
    for (std::size_t i = 0; i < n_tokens;) {
      const bool matches = i >= 3 && i % n >= 3;
      const std::size_t drafted =
          matches ? std::min(length, n_tokens - i - 1) : 0;
      ms += at(row_ms, 1 + drafted);
      // Right are those up to the next wrong one, which the step corrects.
      i += 1 + std::min(drafted, n - 1 - i % n);
    }
    best = std::max(best, static_cast<double>(n_tokens) * at(row_ms, 1) / ms);
  }
  return best;
}

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
// misled, with every 4th, so that every draft begins wrong. Sampled, so that
// the answer does not repeat itself; the last case does, a token for ever.
json::object cases::drafts() {
  const auto rows = row_ms(n_question + o_.answer / 2);
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

}  // namespace

int main(int argc, char** argv) {
  const settings o = parse(argc, argv);
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
  for (const auto& [name, measure] : all) {
    if (o.cases.empty() ||
        std::find(o.cases.begin(), o.cases.end(), name) != o.cases.end()) {
      print(name, (run.*measure)(), o.as_json);
    }
  }
}
