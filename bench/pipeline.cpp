// SPDX-License-Identifier: MIT
// What pipelines cost beside their models, each figure with the most (or least)
// that it may be: a stage, a waiting request, a check, and full-text search.
// Exits with 1 if one is missed. With arguments, only figures whose names begin
// with one of them.
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "plugins/fts/index.h"
#include "plugins/fts/search.h"
#include "plugins/plugins.h"
#include "tinyphi/pipeline.h"

using namespace tinyphi;

namespace {

using seconds = std::chrono::duration<double>;

double seconds_of(const std::function<void()>& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return seconds(std::chrono::steady_clock::now() - start).count();
}

double median_seconds(std::size_t runs, const std::function<void()>& f) {
  std::vector<double> times;
  for (std::size_t i = 0; i < runs; ++i) times.push_back(seconds_of(f));
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(runs / 2);
  std::ranges::nth_element(times, middle);
  return *middle;
}

// A figure beside its bound; all of them.
class figures {
 public:
  void at_most(const char* name, double x, double most, const char* unit) {
    add(name, x, most, unit, "at most", x <= most);
  }
  void at_least(const char* name, double x, double least, const char* unit) {
    add(name, x, least, unit, "at least", x >= least);
  }
  void fail(const char* name, const std::string& why) {
    std::printf("%-44s %s\n", name, why.c_str());
    all_held_ = false;
  }
  [[nodiscard]] bool all_held() const { return all_held_; }

 private:
  void add(const char* name, double x, double bound, const char* unit,
           const char* how, bool held) {
    std::printf("%-44s %10.2f %-4s  must be %s %g%s\n", name, x, unit, how,
                bound, held ? "" : "  MISSED");
    std::fflush(stdout);
    all_held_ = all_held_ && held;
  }
  bool all_held_ = true;
};

// Passes a text on.
struct pass_stage {
  static constexpr stage_info info{.id = "pass", .summary = "Passes a text on"};
  struct config {};
  struct inputs {
    std::string_view text;
  };
  struct outputs {
    std::string text;
  };
  static constexpr auto params() { return std::tuple{}; }
  static constexpr auto in_ports() {
    return std::tuple{port("text", &inputs::text)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("text", &outputs::text)};
  }
  pass_stage(config, host&) {}
  task<outputs> run(run_context&, inputs in) const {
    co_return outputs{std::string(in.text)};
  }
};

// Stands for a model: all requests wait until the last has come, then each
// streams an answer of 64 tokens.
struct model_stage {
  static constexpr stage_info info{.id = "model", .summary = "A fake model"};
  struct config {};
  struct inputs {
    std::string_view text;
  };
  struct outputs {};
  struct streams {
    text_stream text;
  };
  static constexpr auto params() { return std::tuple{}; }
  static constexpr auto in_ports() {
    return std::tuple{port("text", &inputs::text)};
  }
  static constexpr auto out_ports() { return std::tuple{}; }
  static constexpr auto stream_ports() {
    return std::tuple{port("text", &streams::text)};
  }
  model_stage(config, host&) {}
  task<outputs> run(run_context&, inputs, streams out) const {
    constexpr auto poll = std::chrono::milliseconds(200);
    if (++arrived == expected) bytes_then = mallinfo2().uordblks;
    while (arrived < expected) {
      boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor,
                                      poll);
      co_await timer.async_wait(boost::asio::use_awaitable);
    }
    for (int i = 0; i < 64; ++i) {
      std::string piece = "word ";
      task<void> sent = out.text.send(std::move(piece));
      co_await std::move(sent);
    }
    co_return outputs{};
  }

  // Of the one run of this program that asks it.
  static inline std::atomic<std::size_t> arrived = 0;
  static inline std::atomic<std::size_t> bytes_then = 0;
  static inline std::size_t expected = 0;
};

result<pipeline> compiled(const std::string& text) {
  registry plugins;
  plugins.add<pass_stage>().add<model_stage>();
  return pipeline::compile_text("tinyphi = 1\n" + text, "bench.toml", plugins);
}

void measure_stages(figures& out, bool is_chain) {
  const char* name =
      is_chain ? "executor: a stage of a chain" : "executor: a stage of a fan";
  constexpr std::size_t n = 200;
  std::string text = "input.text = \"text\"\noutput.a = ";
  text += is_chain ? "\"s199.text\"\n" : "{ first = [\"last.text\"] }\n";
  text += "[stage]\n";
  std::string all;
  for (std::size_t i = 0; i < n; ++i) {
    const std::string from = is_chain && i > 0
                                 ? "s" + std::to_string(i - 1) + ".text"
                                 : "input.text";
    text += "s" + std::to_string(i) + " = { use = \"pass\", in.text = \"" +
            from + "\" }\n";
    all += (all.empty() ? "\"s" : ", \"s") + std::to_string(i) + ".text\"";
  }
  if (!is_chain) {
    text += "last = { use = \"pass\", in.text = { first = [" + all + "] } }\n";
  }
  const auto p = compiled(text);
  if (!p) return out.fail(name, p.error().message);
  bool right = true;
  const double t = median_seconds(101, [&] {
    right = right && p->run({{"text", "x"}}).has_value();
  });
  if (!right) return out.fail(name, "the request failed");
  out.at_most(name, t / n * 1e6, 20, "us");
}

void measure_requests(figures& out) {
  const char* name = "executor: bytes of one of 10^4 requests";
  constexpr std::size_t n = 10'000;
  const auto p = compiled(
      "limits.concurrency = 10000\ninput.text = \"text\"\noutput.a = "
      "\"m.text\"\n[stage]\ns = { use = \"pass\" }\nm = { use = \"model\", "
      "in.text = \"s.text\" }\n");
  if (!p) return out.fail(name, p.error().message);
  model_stage::expected = n;
  const std::size_t before = mallinfo2().uordblks;
  std::atomic<std::size_t> right = 0;
  boost::asio::io_context context;
  const auto one = [&]() -> task<void> {
    std::size_t seen = 0;
    run_options options;
    options.on_text = [&seen](std::string_view,
                              std::string piece) -> task<void> {
      seen += piece.size();
      co_return;
    };
    input_values in{{"text", std::string(1000, 'x')}};
    const auto r = co_await p->async_run(std::move(in), std::move(options));
    if (r && seen == 64 * 5) ++right;
  };
  const double t = seconds_of([&] {
    for (std::size_t i = 0; i < n; ++i) {
      boost::asio::co_spawn(context, one, [](std::exception_ptr) {});
    }
    std::thread second([&] { context.run(); });
    context.run();
    second.join();
  });
  if (right != n) {
    return out.fail(name, std::to_string(right) + " were answered");
  }
  const auto bytes = static_cast<double>(model_stage::bytes_then - before);
  out.at_most(name, bytes / n, 32768, "B");
  // Two waits of 200 ms are not the executor's.
  out.at_most("executor: 10^4 requests on two cores", t, 10, "s");
}

void measure_check(figures& out) {
  namespace fs = std::filesystem;
  const char* name = "check of the largest sample";
  fs::path largest;
  std::uintmax_t size = 0;
  for (const auto& e :
       fs::recursive_directory_iterator(TINYPHI_ROOT "/pipelines")) {
    if (e.path().extension() != ".toml" || e.file_size() <= size) continue;
    largest = e.path();
    size = e.file_size();
  }
  registry plugins;
  register_builtin_plugins(plugins);
  bool right = true;
  const double t = median_seconds(51, [&] {
    const auto checked = check_pipeline(largest, plugins);
    right = right && checked && checked->proved;
  });
  if (!right) return out.fail(name, largest.string() + " has faults");
  out.at_most(name, t * 1e3, 30, "ms");
}

// Words as common as those of a language: the n-th is drawn 1/n as often as the
// first.
class word_source {
 public:
  explicit word_source(std::uint32_t seed) : random_(seed) {
    constexpr std::size_t n = 50'000;
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) {
      std::string word;
      for (std::size_t k = i + 17; k > 0; k /= 20) {
        constexpr std::string_view starts = "bcdfghjklmnprstvwz";
        constexpr std::string_view vowels = "aeiou";
        word += starts[k % 18];
        word += vowels[k * 7 % 5];
      }
      words_.push_back(word + std::to_string(i % 7 == 0 ? i : i % 7));
      sums_.push_back(sum += 1 / static_cast<double>(i + 10));
    }
  }
  const std::string& next() {
    const double x = std::uniform_real_distribution(0.0, sums_.back())(random_);
    return words_[static_cast<std::size_t>(std::ranges::lower_bound(sums_, x) -
                                           sums_.begin())];
  }

 private:
  std::mt19937 random_;
  std::vector<std::string> words_;
  std::vector<double> sums_;
};

void measure_search(figures& out) {
  namespace fs = std::filesystem;
  const char* name = "fts: ingest";
  const fs::path folder =
      fs::temp_directory_path() / ("bench_fts." + std::to_string(::getpid()));
  struct removed {
    fs::path folder;
    ~removed() {
      std::error_code ignored;
      fs::remove_all(folder, ignored);
    }
  } const at_end{folder};
  fs::create_directories(folder / "docs");
  constexpr std::size_t n_files = 1000, n_sections = 100;
  word_source words(1);
  std::size_t n_bytes = 0;
  for (std::size_t i = 0; i < n_files; ++i) {
    std::string text = "# Manual " + std::to_string(i) + "\n\n";
    for (std::size_t k = 0; k < n_sections; ++k) {
      text += "## Section " + words.next() + " " + std::to_string(k) + "\n\n";
      for (int w = 0; w < 90; ++w) text += words.next() + (w % 15 ? " " : "\n");
      text += "\n\n";
    }
    n_bytes += text.size();
    std::ofstream(folder / "docs" / (std::to_string(i) + ".md")) << text;
  }
  const fs::path index = folder / "index.db";
  result<fts::index_report> report = fts::index_report{};
  const double first =
      seconds_of([&] { report = fts::update_index(folder / "docs", index); });
  if (!report) return out.fail(name, report.error().message);
  std::printf("%zu passages, %zu bytes\n", report->n_chunks, n_bytes);
  out.at_least(name, static_cast<double>(n_bytes) / first / 1e6, 20, "MB/s");
  const double again = median_seconds(
      5, [&] { report = fts::update_index(folder / "docs", index); });
  if (!report || report->n_read != 0 || report->n_chunks < 100'000) {
    return out.fail(name, "the second ingest found other documents");
  }
  out.at_most("fts: ingest with nothing changed", again, 0.5, "s");
  word_source asked(2);
  bool right = true;
  const double query = median_seconds(101, [&] {
    std::string question = "How does the";
    for (int w = 0; w < 8; ++w) question += " " + asked.next();
    const auto hits = fts::search_index(index, question + "?");
    right = right && hits && !hits->empty();
  });
  if (!right) return out.fail("fts: query", "nothing was found");
  out.at_most("fts: query of eight words, median", query * 1e3, 10, "ms");
}

}  // namespace

int main(int argc, char** argv) {
  figures out;
  const auto wanted = [&](std::string_view name) {
    return argc == 1 || std::any_of(argv + 1, argv + argc, [&](const char* a) {
             return name.starts_with(a);
           });
  };
  if (wanted("executor")) {
    measure_stages(out, /*is_chain=*/true);
    measure_stages(out, /*is_chain=*/false);
    measure_requests(out);
  }
  if (wanted("check")) measure_check(out);
  if (wanted("fts")) measure_search(out);
  return out.all_held() ? 0 : 1;
}
