// SPDX-License-Identifier: MIT
// The stage `retrieve.fuse`: lists of passages -> one list, by reciprocal rank
// fusion (Cormack, Clarke and Buettcher, 2009).
#ifndef TINYPHI_PLUGINS_RETRIEVE_FUSE_RETRIEVE_FUSE_H_
#define TINYPHI_PLUGINS_RETRIEVE_FUSE_RETRIEVE_FUSE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "tinyphi/pipeline/stage.h"

TINYPHI_NAMESPACE_BEGIN

struct retrieve_fuse_stage {
  static constexpr stage_info info{
      .id = "retrieve.fuse",
      .summary = "Makes one list of passages of several, by their ranks"};
  static constexpr std::size_t max_passages = 10'000;  // of all lists

  struct config {
    std::int64_t top_k = 6;
    std::int64_t k = 60;
  };
  struct inputs {
    std::vector<documents> lists;
  };
  struct outputs {
    std::optional<documents> docs;
    std::int64_t count = 0;
  };

  static constexpr auto params() {
    return std::tuple{
        param("top_k", &config::top_k).range(1, 64).doc("passages to return"),
        param("k", &config::k)
            .range(1, 10'000)
            .doc("a passage scores 1 / (k + its rank) in each list; greater: "
                 "to be in many lists counts more than to be first in one")};
  }
  static constexpr auto in_ports() {
    return std::tuple{port("lists", &inputs::lists)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("docs", &outputs::docs),
                      port("count", &outputs::count)};
  }

  retrieve_fuse_stage(const config& c, const host&) : config_(c) {}

  task<outputs> run(run_context&, inputs in) const {
    outputs out;
    documents best = fuse(in.lists);
    out.count = static_cast<std::int64_t>(best.size());
    if (!best.empty()) out.docs = std::move(best);
    co_return out;
  }

 private:
  struct fused {
    const document* doc = nullptr;
    double score = 0;
    std::size_t last_list = 0;  // from 1
  };

  [[nodiscard]] documents fuse(const std::vector<documents>& lists) const {
    std::size_t n = 0;
    for (const documents& list : lists) n += list.size();
    if (n > max_passages) {
      throw stage_error(error_code::limit,
                        "in.lists has " + std::to_string(n) +
                            " passages, at most " +
                            std::to_string(max_passages) +
                            " are allowed; lower top_k of what finds them");
    }
    std::vector<fused> all;
    // Two indexes may have other passages under one id.
    std::map<std::pair<std::string_view, std::string_view>, std::size_t> known;
    for (std::size_t l = 0; l < lists.size(); ++l) {
      for (std::size_t rank = 0; rank < lists[l].size(); ++rank) {
        const document& d = lists[l][rank];
        const auto at = known.try_emplace({d.id, d.text}, all.size()).first;
        if (at->second == all.size()) all.push_back({&d, 0, 0});
        fused& f = all[at->second];
        // Of what is in a list twice, the better rank counts.
        if (f.last_list == l + 1) continue;
        f.last_list = l + 1;
        f.score += 1 / (static_cast<double>(config_.k) +
                        static_cast<double>(rank + 1));
      }
    }
    // Of equals, what an earlier list has comes first.
    std::ranges::stable_sort(all, std::greater<>(), &fused::score);
    documents out;
    for (const fused& f : all) {
      if (out.size() == static_cast<std::size_t>(config_.top_k)) break;
      out.push_back(*f.doc);
      out.back().score = f.score;
    }
    return out;
  }

  config config_;
};
static_assert(stage<retrieve_fuse_stage>);

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_RETRIEVE_FUSE_RETRIEVE_FUSE_H_
