// SPDX-License-Identifier: MIT
// Prints how exact the engine is: logits against Hugging Face's, the integer
// path's KL divergence, tokenizer cases, greedy answers of the demo model.
// Usage: accuracy [MODEL.gguf...]; with files, only what integers cost them.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tinyphi/base/json.h"
#include "tinyphi/base/mapped_file.h"
#include "tinyphi/files/safetensors.h"
#include "tinyphi/generate/engine.h"
#include "tinyphi/generate/session.h"
#include "tinyphi/model/vocabulary.h"

namespace fs = std::filesystem;
using namespace tinyphi;

namespace {

// A bench has nobody to hand an error to.
template <class T>
T value(result<T> r) {
  if (!r) {
    std::fprintf(stderr, "accuracy: %s\n", r.error().message.c_str());
    std::exit(1);
  }
  return *std::move(r);
}

std::vector<float> logits_of(const model& m, const std::vector<token_id>& ids,
                             kv_type cache = kv_type::f32) {
  session s = value(session::create(m, ids.size(), 0, cache));
  const auto logits = value(s.run(ids));
  return {logits.begin(), logits.end()};
}

double kl_per_token(const std::vector<float>& p, const std::vector<float>& q,
                    std::size_t vocab) {
  double kl = 0;
  for (std::size_t row = 0; row < p.size(); row += vocab) {
    double sum_p = 0, sum_q = 0;
    for (std::size_t i = row; i < row + vocab; ++i) {
      sum_p += std::exp(double{p[i]});
      sum_q += std::exp(double{q[i]});
    }
    for (std::size_t i = row; i < row + vocab; ++i) {
      if (std::isinf(p[i])) continue;  // ids that no token has
      const double lp = p[i] - std::log(sum_p), lq = q[i] - std::log(sum_q);
      kl += std::exp(lp) * (lp - lq);
    }
  }
  return kl / (static_cast<double>(p.size()) / static_cast<double>(vocab));
}

template <class T>
std::vector<T> values_of(const safetensors_file& file,
                         const std::string& name) {
  const auto bytes = file.find(name)->bytes;
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

// Token ids are stored as I64.
std::vector<token_id> ids_in(const safetensors_file& file,
                             const std::string& name) {
  const auto wide = values_of<std::int64_t>(file, name);
  return {wide.begin(), wide.end()};
}

struct logits_report {
  double worst = 0;  // max |difference| to Hugging Face
  std::size_t positions = 0;
  std::size_t same_best = 0;  // positions with the same arg-max
  double kl = 0;              // mean per token of `other` against `exact`
};

logits_report compare(const model& exact, const model& other,
                      const safetensors_file& golden) {
  logits_report r;
  const std::size_t vocab = exact.config().vocab_size;
  for (int prompt = 0;; ++prompt) {
    const std::string k = std::to_string(prompt);
    if (golden.find("ids." + k) == nullptr) break;
    const std::vector<token_id> ids = ids_in(golden, "ids." + k);
    const auto expected = values_of<float>(golden, "logits." + k);
    const auto found = logits_of(exact, ids);
    for (std::size_t i = 0; i < found.size(); ++i) {
      r.worst = std::max(r.worst, std::abs(double{found[i]} - expected[i]));
    }
    const auto best = [&](const std::vector<float>& x, std::size_t row) {
      const float* begin = x.data() + row * vocab;
      return std::max_element(begin, begin + vocab) - begin;
    };
    for (std::size_t row = 0; row < ids.size(); ++row) {
      r.same_best += best(found, row) == best(expected, row);
    }
    r.positions += ids.size();
    r.kl += kl_per_token(found, logits_of(other, ids), vocab) *
            static_cast<double>(ids.size());
  }
  r.kl /= static_cast<double>(r.positions);
  return r;
}

// Calls f(folder, golden file, exact model) of every tiny model.
template <class F>
void each_model(const fs::path& tiny, const F& f) {
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(tiny)) {
    folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end());
  for (const fs::path& folder : folders) {
    const auto golden =
        value(safetensors_file::open(folder / "golden.safetensors"));
    f(folder, golden, value(model::load(folder, {.exact = true})));
  }
}

void report_logits(const fs::path& tiny) {
  std::printf(
      "Logits against Hugging Face's (fp32) in exact mode, and what the "
      "integer\n"
      "path adds: KL of int8 weights and activations against f32 ones\n\n"
      "  %-12s %14s %16s %16s\n",
      "model", "max |d logit|", "same arg-max", "mean KL / token");
  each_model(tiny, [](const fs::path& folder, const safetensors_file& golden,
                      const model& exact) {
    const model integer = value(model::load(folder, {.quantize = dtype::q8_0}));
    const logits_report r = compare(exact, integer, golden);
    std::printf("  %-12s %14.2e %9zu / %-4zu %16.2e\n",
                folder.filename().c_str(), r.worst, r.same_best, r.positions,
                r.kl);
  });
}

// What an int8 cache costs beside what int4 weights cost.
void report_cache(const fs::path& tiny) {
  std::printf(
      "\nMean KL / token of an int8 cache against one in f16, and of Q4_0 "
      "weights\nagainst f32 ones\n\n"
      "  %-12s %14s %14s %8s\n",
      "model", "int8 cache", "Q4_0 weights", "share");
  each_model(tiny, [](const fs::path& folder, const safetensors_file& golden,
                      const model& exact) {
    const model int4 = value(model::load(folder, {.quantize = dtype::q4_0}));
    const std::vector<token_id> ids = ids_in(golden, "ids.0");
    const std::size_t vocab = exact.config().vocab_size;
    const double cache =
        kl_per_token(logits_of(exact, ids, kv_type::f16),
                     logits_of(exact, ids, kv_type::int8), vocab);
    const double weights =
        kl_per_token(logits_of(exact, ids), logits_of(int4, ids), vocab);
    std::printf("  %-12s %14.2e %14.2e %6.2f %%\n", folder.filename().c_str(),
                cache, weights, 100 * cache / weights);
  });
}

std::vector<json::object> read_lines(const fs::path& path) {
  std::vector<json::object> lines;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    lines.push_back(value(parse_json(line, path.string())).as_object());
  }
  return lines;
}

std::vector<token_id> ids_of(const json::value& v) {
  std::vector<token_id> ids;
  for (const json::value& id : v.as_array()) {
    ids.push_back(static_cast<token_id>(id.as_int64()));
  }
  return ids;
}

struct tokenizer_case {
  std::string text;
  std::vector<token_id> ids;
  bool special;
};

// The 46 published cases of the base BPE, and the 413 of Hugging Face's.
std::vector<tokenizer_case> read_cases(const fs::path& data) {
  std::vector<tokenizer_case> cases;
  const std::string separator = "\n__ggml_vocab_test__\n";
  const std::string texts = value(read_file(data / "phi-3-vocab.inp", 1 << 20));
  std::ifstream ids(data / "phi-3-vocab.out");
  std::string line;
  for (std::size_t at = 0; std::getline(ids, line);) {
    const std::size_t end = std::min(texts.find(separator, at), texts.size());
    tokenizer_case c{texts.substr(at, end - at), {}, false};
    std::istringstream numbers(line);
    for (token_id id; numbers >> id;) c.ids.push_back(id);
    cases.push_back(std::move(c));
    at = std::min(end + separator.size(), texts.size());
  }
  for (const json::object& c : read_lines(data / "phi-3" / "cases.jsonl")) {
    const json::string& text = c.at("text").as_string();
    cases.push_back(
        {std::string(text.data(), text.size()), ids_of(c.at("ids")), true});
  }
  return cases;
}

void report_tokenizer(const fs::path& data) {
  std::printf("\nTokenizer, cases of the published Phi-3 vocabulary\n\n");
  const std::vector<tokenizer_case> cases = read_cases(data);
  for (const char* name : {"phi-3", "phi-3-vocab.gguf"}) {
    const tokenizer t =
        value(load_tokenizer(value(model_file::open(data / name))));
    const auto wrong = std::count_if(
        cases.begin(), cases.end(),
        [&](const auto& c) { return t.encode(c.text, c.special) != c.ids; });
    std::printf("  %-18s %td of %zu cases differ\n", name, wrong, cases.size());
  }
}

using token_lists = std::vector<std::vector<token_id>>;

// Tokens of no meaning, but always the same.
token_lists arbitrary_tokens(token_id n, token_id vocab) {
  token_lists texts(1);
  for (token_id i = 0; i < n; ++i) texts[0].push_back(i * 7919 % vocab);
  return texts;
}

// Mean KL per token that a file's integer products cost against its own weights
// in f32, then with fast prefill or an int8 cache instead; and what Q4_0
// weights cost one with floats.
struct integer_costs {
  double products = 0, fast = 0, cache = 0, weights = 0;
};

integer_costs costs_of(const fs::path& file, const token_lists& texts) {
  std::size_t vocab = 0;
  const auto run = [&](const load_options& options,
                       kv_type cache = kv_type::f32) {
    const model m = value(model::load(file, options));
    vocab = m.config().vocab_size;
    std::vector<float> all;
    for (const auto& ids : texts) {
      const auto logits = logits_of(m, ids, cache);
      all.insert(all.end(), logits.begin(), logits.end());
    }
    return all;
  };
  constexpr dtype int4 = dtype::q4_0;
  const auto expected = run({.exact = true, .quantize = int4});
  const auto cost = [&](const std::vector<float>& found) {
    return kl_per_token(expected, found, vocab);
  };
  return {cost(run({.quantize = int4})),
          cost(run({.fast_prefill = true, .quantize = int4})),
          cost(run({.quantize = int4}, kv_type::int8)),
          kl_per_token(run({.exact = true}), expected, vocab)};
}

// Files of floats are measured in Q4_0.
void report_integers(const fs::path& file, const token_lists& texts) {
  const integer_costs costs = costs_of(file, texts);
  std::printf(
      "\n%s, mean KL / token against its weights in f32\n\n"
      "  integer products %.1e, with fast prefill %.1e, with an int8 cache "
      "%.1e\n",
      file.filename().c_str(), costs.products, costs.fast, costs.cache);
  if (costs.weights > 0) {
    std::printf("  Q4_0 weights %.1e; fast prefill adds %.1f %% of that\n",
                costs.weights,
                100 * (costs.fast - costs.products) / costs.weights);
  }
}

// What fast prefill adds to integer products beside what int4 weights cost.
void report_fast_prefill(const fs::path& tiny) {
  std::printf(
      "\nMean KL / token of integer products, in fast prefill, and of Q4_0 "
      "weights, each\nagainst f32, on 64 tokens\n\n"
      "  %-12s %14s %14s %14s %8s\n",
      "model", "products", "fast prefill", "Q4_0 weights", "adds");
  each_model(
      tiny, [](const fs::path& folder, const safetensors_file&, const model&) {
        const integer_costs costs = costs_of(folder, arbitrary_tokens(64, 256));
        std::printf("  %-12s %14.2e %14.2e %14.2e %6.2f %%\n",
                    folder.filename().c_str(), costs.products, costs.fast,
                    costs.weights,
                    100 * (costs.fast - costs.products) / costs.weights);
      });
}

// What the demo model is asked and answers.
token_lists conversations_in(const fs::path& path) {
  token_lists texts;
  for (const json::object& line : read_lines(path)) {
    texts.push_back(ids_of(line.at("prompt_ids")));
    const auto answer = ids_of(line.at("answer_ids"));
    texts.back().insert(texts.back().end(), answer.begin(), answer.end());
  }
  return texts;
}

void report_answers(const fs::path& conversations, const fs::path& demo) {
  engine e = value(engine::create(value(model::load(demo, {.exact = true}))));
  std::size_t same = 0, all = 0;
  std::string differences;
  for (const json::object& line : read_lines(conversations)) {
    generation g =
        e.complete(ids_of(line.at("prompt_ids")), {.max_tokens = 120});
    (void)g.text();
    std::vector<token_id> ids;
    for (const sampled_token& t : g.tokens()) ids.push_back(t.id);
    ++all;
    if (ids == ids_of(line.at("answer_ids"))) {
      ++same;
    } else {
      differences +=
          " " + std::to_string(line.at("smallest_margin").to_number<double>());
    }
  }
  std::printf("\nDemo model, greedy answers equal Hugging Face's: %zu of %zu\n",
              same, all);
  if (!differences.empty()) {
    std::printf("  gap between the two best logits where not:%s\n",
                differences.c_str());
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) {
    for (int i = 1; i < argc; ++i) {
      report_integers(argv[i], arbitrary_tokens(96, 2000));
    }
    return 0;
  }
  const fs::path root = TINYPHI_ROOT;
  const fs::path demo = root / "pipelines/models/tinyphi-demo-7m-q8_0.gguf";
  const fs::path conversations = root / "tests/data/demo/answers.jsonl";
  report_logits(root / "tests/data/tiny");
  report_cache(root / "tests/data/tiny");
  report_fast_prefill(root / "tests/data/tiny");
  report_integers(demo, conversations_in(conversations));
  report_tokenizer(root / "tests/data/tokenizer");
  report_answers(conversations, demo);
}
