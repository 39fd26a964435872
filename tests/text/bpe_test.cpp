// SPDX-License-Identifier: MIT
#include "tinyphi/text/bpe.h"

#include <random>

#include "support/effort.h"
#include "support/test.h"

using namespace tinyphi;

namespace {

// The rule itself: look at all pairs, merge the first of lowest rank, again.
std::vector<token_id> merged_slowly(std::vector<token_id> ids,
                                    const merge_table& merges) {
  for (;;) {
    const merge* best = nullptr;
    std::size_t at = 0;
    for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
      const merge* m = merges.find(ids[i], ids[i + 1]);
      if (m != nullptr && (best == nullptr || m->rank < best->rank)) {
        best = m, at = i;
      }
    }
    if (best == nullptr) return ids;
    ids[at] = best->result;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

}  // namespace

TEST_CASE("the heap merges what looking at all pairs merges") {
  std::mt19937 random(1);
  const auto below = [&](std::uint32_t n) {
    return static_cast<std::uint32_t>(random() % n);
  };
  for (int round = tinyphi_test::sweep_rounds(300, 30000); round > 0; --round) {
    merge_table merges;
    for (token_id result = 4; result < 40; ++result) {
      const auto before = static_cast<std::uint32_t>(result);
      // Ranks repeat, and later results may merge first.
      merges.insert(static_cast<token_id>(below(before)),
                    static_cast<token_id>(below(before)), {below(20), result});
    }
    std::vector<token_id> ids = {-7, -7};
    for (std::uint32_t n = below(60); n > 0; --n) {
      ids.push_back(static_cast<token_id>(below(4)));
    }
    const auto expected = merged_slowly({ids.begin() + 2, ids.end()}, merges);
    bpe_merger merger(merges);
    merger.merge_from(ids, 2);
    CHECK(std::vector<token_id>(ids.begin() + 2, ids.end()) == expected);
    CHECK(ids[1] == -7);
  }
}

TEST_CASE("merge_table keeps every pair, the last of equal ones") {
  merge_table merges;
  CHECK(merges.find(0, 0) == nullptr);
  for (token_id i = 0; i < 3000; ++i) merges.insert(i, i * 7, {0, 1});
  for (token_id i = 0; i < 3000; ++i) merges.insert(i, i * 7, {5, i});
  for (token_id i = 0; i < 3000; ++i) {
    REQUIRE(merges.find(i, i * 7) != nullptr);
    CHECK(merges.find(i, i * 7)->result == i);
    CHECK(merges.find(i, i * 7 + 1) == nullptr);
  }
}
