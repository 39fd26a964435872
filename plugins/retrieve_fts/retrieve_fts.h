// SPDX-License-Identifier: MIT
// The stage `retrieve.fts`: a question -> the passages that it is surest of.
#ifndef TINYPHI_PLUGINS_RETRIEVE_FTS_RETRIEVE_FTS_H_
#define TINYPHI_PLUGINS_RETRIEVE_FTS_RETRIEVE_FTS_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "plugins/fts/search.h"
#include "tinyphi/pipeline/stage.h"

TINYPHI_NAMESPACE_BEGIN

struct retrieve_fts_stage {
  static constexpr stage_info info{
      .id = "retrieve.fts",
      .summary = "Finds passages by their words (BM25 in SQLite FTS5)",
      .effects = effect::read,
      .makes = trust::untrusted};

  struct config {
    std::filesystem::path index;
    std::int64_t top_k = 6;
    double min_coverage = 0.65;
    std::map<std::string, double> weights;
  };
  // The index comes from an ingest stage, as in.index, unless it is ready.
  struct inputs {
    std::string_view query;
    named_values index;
  };
  // docs is absent when no passage is sure enough, so that whatever needs
  // passages is skipped.
  struct outputs {
    std::optional<documents> docs;
    std::int64_t count = 0;
  };

  static constexpr auto params() {
    return std::tuple{
        param("index", &config::index)
            .doc("a ready index file; left out, in.index is the index of an "
                 "ingest stage"),
        param("top_k", &config::top_k).range(1, 64).doc("passages to return"),
        param("min_coverage", &config::min_coverage)
            .range(0, 1)
            .doc("share of the question's words, weighted by how rare they "
                 "are, that a passage must hold"),
        param("weights", &config::weights)
            .doc("{ title, heading, body }: how much a word counts there")};
  }
  static constexpr auto in_ports() {
    return std::tuple{port("query", &inputs::query),
                      open_ports(&inputs::index)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("docs", &outputs::docs),
                      port("count", &outputs::count)};
  }

  static stage_ports ports(const config& c, bound_ports bound) {
    stage_ports ports;
    if (c.index.empty()) {
      ports.in.push_back({.name = "index", .types = {type_kind::path}});
    } else if (std::ranges::find(bound, "index") != bound.end()) {
      ports.faults.push_back({fault::keys_conflict, "index", 0,
                              "with.index and in.index exclude each other"});
    }
    return ports;
  }
  static stage_facts check(const config& c, const call_facts&, host&) {
    stage_facts facts;
    if (!c.index.empty()) facts.files = {{"index", c.index}};
    for (const auto& [name, weight] : c.weights) {
      const bool known = name == "title" || name == "heading" || name == "body";
      if (known && std::isfinite(weight) && weight >= 0) continue;
      facts.faults.push_back(
          {known ? fault::out_of_range : fault::unknown_key, "weights", 0,
           known ? "the weight of '" + name + "' must be at least 0"
                 : "unknown weight '" + name +
                       "'; there are title, heading and body"});
    }
    return facts;
  }

  retrieve_fts_stage(config c, const host& h)
      : config_(std::move(c)), base_(h.base_dir()) {
    options_.top_k = static_cast<std::size_t>(config_.top_k);
    options_.min_coverage = config_.min_coverage;
    for (const auto& [name, weight] : config_.weights) {
      if (name == "title") options_.title_weight = weight;
      if (name == "heading") options_.heading_weight = weight;
      if (name == "body") options_.body_weight = weight;
    }
  }

  task<outputs> run(run_context& cx, inputs in) const {
    fts::search_options options = options_;
    options.stop = cx.stop();
    std::filesystem::path index = config_.index;
    if (index.empty()) {
      index = base_ / *in.index.find("index")->second.get<std::string>();
    }
    const auto search = [&] {
      return fts::search_index(index, in.query, options);
    };
    const std::vector<fts::hit> hits = unwrap(co_await cx.blocking(search));
    outputs out;
    out.count = static_cast<std::int64_t>(hits.size());
    if (hits.empty()) co_return out;
    out.docs.emplace();
    for (const fts::hit& h : hits) out.docs->push_back(to_document(h));
    co_return out;
  }

 private:
  static document to_document(const fts::hit& h) {
    document d;
    d.id = h.source + '#' + std::to_string(h.number);
    d.source = h.source;
    d.line = static_cast<std::int64_t>(h.passage.line);
    d.title = h.passage.title;
    d.locator = h.passage.heading;
    d.text = h.passage.text;
    d.score = h.score;
    return d;
  }

  config config_;
  std::filesystem::path base_;  // where relative paths start
  fts::search_options options_;
};
static_assert(stage<retrieve_fts_stage>);

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_RETRIEVE_FTS_RETRIEVE_FTS_H_
