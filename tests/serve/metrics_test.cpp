// SPDX-License-Identifier: MIT
#include "tinyphi/serve/metrics.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <thread>

#include "support/test.h"
#include "tinyphi/serve/exposition.h"
#include "tinyphi/serve/http_exchange.h"

using namespace tinyphi;

namespace {

struct parsed_text {
  std::map<std::string, std::string> types;  // by family
  std::map<std::string, double> samples;     // by the line before the value
};

std::string_view word(std::string_view& line) {
  const std::size_t n = std::min(line.find(' '), line.size());
  const std::string_view w = line.substr(0, n);
  line.remove_prefix(std::min(n + 1, line.size()));
  return w;
}

bool is_name(std::string_view name, bool colons) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  return std::all_of(name.begin(), name.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_' || (colons && c == ':');
  });
}

// The labels of `{a="b",c="d"}`; requires that they are written as the format
// wants them.
std::map<std::string, std::string> labels_of(std::string_view text) {
  std::map<std::string, std::string> labels;
  if (text.empty()) return labels;
  REQUIRE(text.starts_with('{'));
  while (!text.starts_with('}')) {
    text.remove_prefix(1);  // '{' or ','
    const std::size_t equals = text.find('=');
    REQUIRE(equals != std::string_view::npos);
    const std::string key(text.substr(0, equals));
    REQUIRE(is_name(key, false));
    text.remove_prefix(equals + 1);
    REQUIRE(text.starts_with('"'));
    std::string content;
    std::size_t i = 1;
    for (; i < text.size() && text[i] != '"'; ++i) {
      if (text[i] == '\\') {
        ++i;
        REQUIRE(i < text.size());
        REQUIRE((text[i] == '\\' || text[i] == '"' || text[i] == 'n'));
        content += text[i] == 'n' ? '\n' : text[i];
      } else {
        content += text[i];
      }
    }
    REQUIRE(i < text.size());
    text.remove_prefix(i + 1);
    REQUIRE(labels.emplace(key, content).second);
    REQUIRE((text.starts_with(',') || text == "}"));
  }
  return labels;
}

// Reads a text as a strict Prometheus would; a broken rule fails the case.
parsed_text parse(std::string_view text) {
  parsed_text out;
  REQUIRE(text.ends_with('\n'));
  std::string family;
  struct buckets {
    double last = 0, last_bound = -HUGE_VAL, infinite = -1, count = -2;
    bool sum = false;
  };
  std::map<std::string, buckets> histograms;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    INFO(line);
    if (line.starts_with("# HELP ")) {
      line.remove_prefix(7);
      family = word(line);
      REQUIRE(is_name(family, true));
      REQUIRE(!line.empty());
      REQUIRE(out.types.count(family) == 0);
      continue;
    }
    if (line.starts_with("# TYPE ")) {
      line.remove_prefix(7);
      REQUIRE(word(line) == family);
      REQUIRE((line == "counter" || line == "gauge" || line == "histogram"));
      REQUIRE(out.types.emplace(family, line).second);
      continue;
    }
    const std::size_t blank = line.rfind(' ');
    REQUIRE(blank != std::string_view::npos);
    const std::string key(line.substr(0, blank));
    const std::string number(line.substr(blank + 1));
    const double value = number == "+Inf" ? HUGE_VAL : std::stod(number);
    REQUIRE(out.samples.emplace(key, value).second);
    const std::size_t brace = std::min(key.find('{'), key.size());
    const std::string name = key.substr(0, brace);
    auto labels = labels_of(std::string_view(key).substr(brace));
    REQUIRE(name.starts_with(family));
    const std::string& type = out.types.at(family);
    if (type != "histogram") {
      REQUIRE(name == family);
      REQUIRE(labels.count("le") == 0);
      // One of llama-server's names is as it is.
      if (name != "llamacpp:n_tokens_max") {
        REQUIRE((type == "counter") == name.ends_with("_total"));
      }
      if (type == "counter") REQUIRE(value >= 0);
      continue;
    }
    const std::string suffix = name.substr(family.size());
    const std::string bound = labels["le"];
    labels.erase("le");
    std::string of = family;
    for (const auto& [k, v] : labels) of += "\n" + k + "=" + v;
    buckets& b = histograms[of];
    if (suffix == "_bucket") {
      REQUIRE(b.count < 0);
      REQUIRE(value >= b.last);
      const double le = bound == "+Inf" ? HUGE_VAL : std::stod(bound);
      REQUIRE(le > b.last_bound);
      b.last = value;
      b.last_bound = le;
      if (bound == "+Inf") b.infinite = value;
    } else if (suffix == "_sum") {
      b.sum = true;
    } else {
      REQUIRE(suffix == "_count");
      b.count = value;
    }
  }
  for (const auto& [name, b] : histograms) {
    INFO(name);
    CHECK(b.sum);
    CHECK(b.infinite == b.count);
  }
  return out;
}

model_gauges gauges_of(std::string model) {
  model_gauges g{.model = std::move(model)};
  g.running = {1, 2, 3};
  g.waiting = {0, 4, 0};
  g.pages_used = 30;
  g.pages_cached = 40;
  g.pages_pinned = 10;
  g.pages_free = 20;
  g.heartbeat_age_seconds = 0.25;
  g.preempted_to_disk = 5;
  return g;
}

// One of everything.
void record_all(metrics& m, std::string_view model) {
  const metrics::series s = m.find(model, priority_class::normal);
  m.request_started(s);
  m.first_token(s, 300);
  m.between_tokens(s, 120);
  m.between_tokens(s, 7000);
  m.step(s, 90, 16);
  m.step(s, 60, 0);
  request_report r{.status = 200};
  r.prompt_tokens = 100;
  r.cached_tokens = 64;
  r.generated_tokens = 3;
  r.drafts = 5;
  r.drafted_tokens = 10;
  r.accepted_tokens = 4;
  r.queue_ms = 20;
  r.prefill_ms = 250;
  r.decode_ms = 1500;
  r.total_ms = 8000;
  m.request_ended(s, r);
}

metrics_snapshot full_snapshot() {
  return {.models = {gauges_of("phi")},
          .energy_joules = 12.5,
          .cpu_throttled_seconds = 0.1,
          .memory_some = 0.06,
          .memory_full = 0.0,
          .resident_bytes = 1 << 20};
}

TEST_CASE("metrics that nothing has happened to are well-formed") {
  const metrics m("1.0", 1764151200.75);
  const parsed_text t = parse(m.render({}, {.vllm = true, .llamacpp = true}));
  CHECK(t.samples.at("tinyphi_build_info{version=\"1.0\"}") == 1);
  CHECK(t.samples.at("process_start_time_seconds") == 1764151200.75);
  CHECK(m.process_start_time_unix() == "1764151200");
  CHECK(t.types.count("tinyphi_energy_joules_total") == 0);
}

TEST_CASE("events are counted under their model, class and label") {
  metrics m("1.0", 0);
  m.serve_model("phi");
  record_all(m, "phi");
  const parsed_text t = parse(m.render(full_snapshot()));
  const auto at = [&](const std::string& name, const std::string& more = {}) {
    const std::string key = name + "{model=\"phi\",class=\"normal\"" +
                            (more.empty() ? "" : "," + more) + "}";
    INFO(key);
    REQUIRE(t.samples.count(key) == 1);
    return t.samples.at(key);
  };
  CHECK(at("tinyphi_requests_received_total") == 1);
  CHECK(at("tinyphi_requests_total", "code=\"200\"") == 1);
  CHECK(at("tinyphi_prompt_tokens_total", "source=\"computed\"") == 36);
  CHECK(at("tinyphi_prompt_tokens_total", "source=\"cached\"") == 64);
  CHECK(at("tinyphi_generated_tokens_total") == 3);
  CHECK(at("tinyphi_draft_tokens_total", "result=\"accepted\"") == 4);
  CHECK(at("tinyphi_draft_tokens_total", "result=\"rejected\"") == 6);
  const std::string first = "tinyphi_time_to_first_token_seconds";
  CHECK(at(first + "_bucket", "le=\"0.25\"") == 0);
  CHECK(at(first + "_bucket", "le=\"0.5\"") == 1);
  CHECK(at(first + "_sum") == 0.3);
  CHECK(at("tinyphi_inter_token_seconds_bucket", "le=\"5\"") == 1);
  CHECK(at("tinyphi_inter_token_seconds_bucket", "le=\"+Inf\"") == 2);
  CHECK(at("tinyphi_queue_seconds_count") == 1);
  CHECK(at("tinyphi_request_seconds_sum") == 8);
  CHECK(at("tinyphi_requests_running") == 2);
  CHECK(at("tinyphi_requests_waiting") == 4);
  const auto of_model = [&](const std::string& name,
                            const std::string& more = {}) {
    return t.samples.at(name + "{model=\"phi\"" + more + "}");
  };
  CHECK(of_model("tinyphi_step_seconds_count") == 2);
  CHECK(of_model("tinyphi_slice_tokens_count") == 1);
  CHECK(of_model("tinyphi_slice_tokens_bucket", ",le=\"16\"") == 1);
  CHECK(of_model("tinyphi_kv_pages", ",state=\"cached\"") == 40);
  CHECK(of_model("tinyphi_kv_usage_ratio") == 0.4);
  CHECK(of_model("tinyphi_heartbeat_age_seconds") == 0.25);
  CHECK(of_model("tinyphi_preemptions_total", ",way=\"disk\"") == 5);
  CHECK(t.samples.at("tinyphi_energy_joules_total") == 12.5);
  CHECK(t.samples.at("tinyphi_memory_pressure_ratio{kind=\"some\"}") == 0.06);
}

TEST_CASE("statuses and places of cancelling are a closed list") {
  metrics m("1.0", 0);
  const auto s = m.find("", priority_class::batch);
  for (unsigned status = 0; status < 1000; ++status) {
    m.request_ended(s, {.status = status,
                        .cancelled_in = status == 1   ? "prefill"
                                        : status == 2 ? "elsewhere"
                                                      : ""});
  }
  const parsed_text t = parse(m.render({}));
  const std::string of = "{model=\"other\",class=\"batch\",";
  CHECK(t.samples.at("tinyphi_requests_total" + of + "code=\"gone\"}") == 1);
  CHECK(t.samples.at("tinyphi_requests_total" + of + "code=\"429\"}") == 1);
  CHECK(t.samples.at("tinyphi_requests_total" + of + "code=\"other\"}") ==
        999 - static_cast<double>(detail::counted_statuses.size()));
  CHECK(t.samples.at("tinyphi_cancelled_total" + of + "where=\"prefill\"}") ==
        1);
  CHECK(t.samples.at("tinyphi_cancelled_total" + of + "where=\"other\"}") == 1);
}

TEST_CASE("clients make no series, and models no more than the limit") {
  metrics m("1.0", 0);
  for (int i = 0; i < 1000; ++i) {
    record_all(m, "client's " + std::to_string(i));
  }
  const std::string received = "tinyphi_requests_received_total";
  const std::string other = received + "{model=\"other\",class=\"normal\"}";
  CHECK(parse(m.render({})).samples.at(other) == 1000);
  for (int i = 0; i < 1000; ++i) {
    const std::string name = "model " + std::to_string(i);
    m.serve_model(name);
    m.serve_model(name);
    record_all(m, name);
  }
  const parsed_text t = parse(m.render({}));
  CHECK(t.samples.at(other) == 2000 - metrics::max_models);
  const auto n = std::count_if(
      t.samples.begin(), t.samples.end(),
      [&](const auto& s) { return s.first.starts_with(received); });
  CHECK(n == metrics::max_models + 1);
}

TEST_CASE("hostile names of models are escaped and stay one series") {
  const std::string name = "a\"} 1\n# TYPE x\\ \xff{";
  metrics m("v\"\n", 0);
  m.serve_model(name);
  record_all(m, name);
  metrics_snapshot now;
  now.models = {gauges_of(name), gauges_of(name), gauges_of("unknown")};
  const parsed_text t = parse(m.render(now, {.vllm = true, .llamacpp = true}));
  CHECK(t.samples.count("tinyphi_generated_tokens_total{model=\"a\\\"} 1\\n# "
                        "TYPE x\\\\ \xef\xbf\xbd{\",class=\"normal\"}") == 1);
  CHECK(t.samples.at("llamacpp:requests_processing") == 6);
}

TEST_CASE("times that no clock can say break no histogram") {
  metrics m("1.0", 0);
  const auto s = m.find("", priority_class::normal);
  for (const double ms : {-1.0, std::numeric_limits<double>::quiet_NaN(),
                          std::numeric_limits<double>::infinity(), 1e300}) {
    m.first_token(s, ms);
  }
  request_report r{.status = 200};
  r.prompt_tokens = 1;
  r.cached_tokens = 5;  // more than there were
  r.accepted_tokens = 5;
  m.request_ended(s, r);
  const parsed_text t = parse(m.render({}));
  const std::string of = "{model=\"other\",class=\"normal\"";
  const std::string first = "tinyphi_time_to_first_token_seconds";
  CHECK(t.samples.at(first + "_bucket" + of + ",le=\"0.05\"}") == 2);
  CHECK(t.samples.at(first + "_count" + of + "}") == 4);
  CHECK(t.samples.at("tinyphi_prompt_tokens_total" + of +
                     ",source=\"cached\"}") == 1);
  CHECK(t.samples.count("tinyphi_draft_tokens_total" + of +
                        ",result=\"rejected\"}") == 0);
}

TEST_CASE("vLLM's and llama-server's families are given on request") {
  metrics m("1.0", 0);
  m.serve_model("phi");
  record_all(m, "phi");
  const std::string own = m.render(full_snapshot());
  CHECK(own.find("vllm:") == std::string::npos);
  CHECK(own.find("llamacpp:") == std::string::npos);
  const auto t =
      parse(m.render(full_snapshot(), {.vllm = true, .llamacpp = true}))
          .samples;
  const std::string phi = "{model_name=\"phi\"}";
  CHECK(t.at("vllm:num_requests_running" + phi) == 6);
  CHECK(t.at("vllm:num_requests_waiting" + phi) == 4);
  CHECK(t.at("vllm:kv_cache_usage_perc" + phi) == 0.4);
  CHECK(t.at("vllm:cache_config_info{model_name=\"phi\",block_size=\"64\",num_"
             "gpu_blocks=\"100\"}") == 1);
  CHECK(t.at("vllm:prompt_tokens_total" + phi) == 100);
  CHECK(t.at("vllm:prefix_cache_queries_total" + phi) == 100);
  CHECK(t.at("vllm:prefix_cache_hits_total" + phi) == 64);
  CHECK(t.at("vllm:generation_tokens_total" + phi) == 3);
  CHECK(t.at("vllm:num_preemptions_total" + phi) == 5);
  CHECK(t.at("vllm:spec_decode_num_draft_tokens_total" + phi) == 10);
  CHECK(t.at("vllm:spec_decode_num_accepted_tokens_total" + phi) == 4);
  CHECK(t.at("vllm:inter_token_latency_seconds_count" + phi) == 2);
  CHECK(t.at("vllm:e2e_request_latency_seconds_sum" + phi) == 8);
  CHECK(t.at("llamacpp:requests_processing") == 6);
  CHECK(t.at("llamacpp:requests_deferred") == 4);
  CHECK(t.at("llamacpp:prompt_tokens_total") == 36);
  CHECK(t.at("llamacpp:prompt_tokens_cached_total") == 64);
  CHECK(t.at("llamacpp:tokens_predicted_total") == 3);
  CHECK(t.at("llamacpp:n_decode_total") == 2);
  CHECK(t.at("llamacpp:spec_decode_num_accepted_tokens_total") == 4);
  CHECK(t.at("llamacpp:spec_decode_num_drafts_total") == 5);
  CHECK(t.at("llamacpp:prompt_seconds_total") == 0.25);
  CHECK(t.at("llamacpp:tokens_predicted_seconds_total") == 1.5);
  CHECK(t.at("llamacpp:prompt_tokens_seconds") == 144);
  CHECK(t.at("llamacpp:predicted_tokens_seconds") == 2);
  CHECK(t.at("llamacpp:n_tokens_max") == 103);
  CHECK(t.at("llamacpp:n_busy_slots_per_decode") == 1.5);
  // The longest stays the longest.
  request_report shorter{.status = 200};
  shorter.prompt_tokens = 9;
  m.request_ended(m.find("phi", priority_class::batch), shorter);
  CHECK(parse(m.render(full_snapshot(), {.llamacpp = true}))
            .samples.at("llamacpp:n_tokens_max") == 103);
}

TEST_CASE("metrics can be read while they are written") {
  metrics m("1.0", 0);
  const auto s = m.find("", priority_class::normal);
  std::thread writer([&] {
    for (int i = 0; i < 20000; ++i) m.between_tokens(s, i % 6000);
  });
  for (int i = 0; i < 20; ++i) (void)parse(m.render({}));
  writer.join();
  CHECK(parse(m.render({}))
            .samples.at("tinyphi_inter_token_seconds_count{model"
                        "=\"other\",class=\"normal\"}") == 20000);
}

TEST_CASE("an event costs a microsecond at most") {
  metrics m("1.0", 0);
  const auto s = m.find("", priority_class::normal);
  double best = HUGE_VAL;  // of some tries: others use this machine too
  for (int k = 0; k < 20; ++k) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < 1000; ++i) m.between_tokens(s, 3000);
    const std::chrono::duration<double, std::micro> took =
        std::chrono::steady_clock::now() - begin;
    best = std::min(best, took.count() / 1000);
  }
  UNSCOPED_INFO("microseconds: " << best);
  CHECK(best <= 1);
}

}  // namespace
