// SPDX-License-Identifier: MIT
// Prints how exact the engine is: logits against Hugging Face's, the integer
// path's KL divergence, tokenizer cases, greedy answers of the demo model.
// Usage: accuracy [MODEL...]; with models, only what integers cost them.
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

using token_lists = std::vector<std::vector<token_id>>;

struct logits {
  std::size_t vocab = 0;
  std::vector<float> values = {};  // [tokens][vocab]
};

logits logits_of(const model& m, const token_lists& texts,
                 kv_type cache = kv_type::f32) {
  logits all{m.config().vocab_size};
  for (const auto& ids : texts) {
    session s = value(session::create(m, ids.size(), 0, cache));
    const auto found = value(s.run(ids));
    all.values.insert(all.values.end(), found.begin(), found.end());
  }
  return all;
}

// Mean per token of the KL divergence of q from p.
double kl_of(const logits& p, const logits& q) {
  double kl = 0;
  for (std::size_t row = 0; row < p.values.size(); row += p.vocab) {
    double sum_p = 0, sum_q = 0;
    for (std::size_t i = row; i < row + p.vocab; ++i) {
      sum_p += std::exp(double{p.values[i]});
      sum_q += std::exp(double{q.values[i]});
    }
    for (std::size_t i = row; i < row + p.vocab; ++i) {
      if (std::isinf(p.values[i])) continue;  // ids that no token has
      const double lp = p.values[i] - std::log(sum_p);
      kl += std::exp(lp) * (lp - q.values[i] + std::log(sum_q));
    }
  }
  return kl * static_cast<double>(p.vocab) /
         static_cast<double>(p.values.size());
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

std::vector<fs::path> folders_in(const fs::path& parent) {
  const fs::directory_iterator entries(parent);
  std::vector<fs::path> folders(begin(entries), end(entries));
  std::sort(folders.begin(), folders.end());
  return folders;
}

void report_logits(const fs::path& tiny) {
  std::printf(
      "Logits against Hugging Face's (fp32) in exact mode, and what the "
      "integer\n"
      "path adds: KL of int8 weights and activations against f32 ones\n\n"
      "  %-12s %14s %16s %16s\n",
      "model", "max |d logit|", "same arg-max", "mean KL / token");
  for (const fs::path& folder : folders_in(tiny)) {
    const auto golden =
        value(safetensors_file::open(folder / "golden.safetensors"));
    token_lists texts;
    std::vector<float> expected;
    for (int i = 0; golden.find("ids." + std::to_string(i)) != nullptr; ++i) {
      texts.push_back(ids_in(golden, "ids." + std::to_string(i)));
      const auto found =
          values_of<float>(golden, "logits." + std::to_string(i));
      expected.insert(expected.end(), found.begin(), found.end());
    }
    const logits exact =
        logits_of(value(model::load(folder, {.exact = true})), texts);
    const logits integer =
        logits_of(value(model::load(folder, {.quantize = dtype::q8_0})), texts);
    double worst = 0;
    std::size_t same_best = 0;
    for (std::size_t row = 0; row < expected.size(); row += exact.vocab) {
      const float *a = &exact.values[row], *b = &expected[row];
      for (std::size_t i = 0; i < exact.vocab; ++i) {
        worst = std::max(worst, std::abs(double{a[i]} - b[i]));
      }
      same_best += std::max_element(a, a + exact.vocab) - a ==
                   std::max_element(b, b + exact.vocab) - b;
    }
    std::printf("  %-12s %14.2e %9zu / %-4zu %16.2e\n",
                folder.filename().c_str(), worst, same_best,
                expected.size() / exact.vocab, kl_of(exact, integer));
  }
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

// Tokens of no meaning, but always the same and enough for fast prefill.
token_lists arbitrary_tokens() {
  token_lists texts(1);
  for (token_id i = 0; i < 64; ++i) texts[0].push_back(i * 7919 % 256);
  return texts;
}

void print_integers_header() {
  std::printf(
      "\nWhat integers cost: mean KL / token against a file's own weights in\n"
      "f32, with an f16 cache (1e-3 would be 0.1 %% more perplexity). Floats\n"
      "are measured in Q4_0; behind them what that costs, and what fast\n"
      "prefill and the int8 and int8-int4 caches add to that\n\n"
      "  %-25s %8s %12s %8s %9s %12s %23s\n",
      "model", "products", "fast prefill", "int8", "int8-int4", "Q4_0 weights",
      "add");
}

void report_integers(const fs::path& file, const token_lists& texts) {
  const auto load = [&](load_options options) {
    options.quantize = dtype::q4_0;  // changes floats only
    return value(model::load(file, options));
  };
  const model exact = load({.exact = true});
  const logits expected = logits_of(exact, texts);
  const auto cost = [&](const load_options& options, kv_type cache) {
    return kl_of(expected, logits_of(load(options), texts, cache));
  };
  const double products = cost({}, kv_type::f16);
  const double fast = cost({.fast_prefill = true}, kv_type::f16);
  const double int8 = cost({}, kv_type::int8);
  const double int4 = cost({}, kv_type::int8_int4);
  std::printf("  %-25s %8.1e %12.1e %8.1e %9.1e", file.filename().c_str(),
              products, fast, int8, int4);
  const model stored = value(model::load(file, {.exact = true}));
  if (stored.weight_bytes() != exact.weight_bytes()) {
    const double weights = kl_of(logits_of(stored, texts), expected);
    std::printf(" %12.1e", weights);
    for (const double more : {fast, int8, int4}) {
      std::printf(" %5.2f %%", 100 * (more - products) / weights);
    }
  }
  std::printf("\n");
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
    print_integers_header();
    for (int i = 1; i < argc; ++i) report_integers(argv[i], arbitrary_tokens());
    return 0;
  }
  const fs::path root = TINYPHI_ROOT;
  const fs::path tiny = root / "tests/data/tiny";
  const fs::path demo = root / "pipelines/models/tinyphi-demo-7m-q8_0.gguf";
  const fs::path conversations = root / "tests/data/demo/answers.jsonl";
  report_logits(tiny);
  print_integers_header();
  for (const fs::path& folder : folders_in(tiny)) {
    report_integers(folder, arbitrary_tokens());
  }
  report_integers(demo, conversations_in(conversations));
  report_tokenizer(root / "tests/data/tokenizer");
  report_answers(conversations, demo);
}
