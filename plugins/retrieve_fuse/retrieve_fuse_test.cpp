// SPDX-License-Identifier: MIT
#include "plugins/retrieve_fuse/retrieve_fuse.h"

#include "support/run_stage.h"
#include "support/test.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

// A passage for each letter.
documents passages(std::string_view ids) {
  documents list;
  for (const char id : ids) {
    document d;
    d.id = std::string(1, id);
    d.score = 9;
    list.push_back(std::move(d));
  }
  return list;
}

std::string ids(const documents& list) {
  std::string all;
  for (const document& d : list) all += d.id;
  return all;
}

}  // namespace

TEST_CASE("retrieve.fuse ranks by the sum of 1 / (k + rank)") {
  host h = no_models();
  const retrieve_fuse_stage stage({.top_k = 4, .k = 60}, h);
  const auto out =
      run_stage(stage, {{passages("abcd"), passages("cxb"), passages("")}});
  REQUIRE_OK(out);
  CHECK(out->count == 4);
  REQUIRE(out->docs);
  // c: 1/63 + 1/61, b: 1/62 + 1/63, a: 1/61, x: 1/62, d: 1/64.
  CHECK(ids(*out->docs) == "cbax");
  CHECK(out->docs->front().score == Approx(1 / 63.0 + 1 / 61.0));

  // Of equals an earlier list comes first; what is in a list twice counts once.
  const auto equal = run_stage(stage, {{passages("aabb"), passages("x")}});
  REQUIRE_OK(equal);
  CHECK(ids(*equal->docs) == "axb");
  CHECK(equal->docs->front().score == Approx(1 / 61.0));

  // With a small k, to be first in one list counts more.
  const retrieve_fuse_stage first({.top_k = 1, .k = 1}, h);
  const auto best = run_stage(first, {{passages("abc"), passages("xyc")}});
  REQUIRE_OK(best);
  CHECK(ids(*best->docs) == "a");
}

TEST_CASE("retrieve.fuse has no docs where there are none, and a limit") {
  host h = no_models();
  const retrieve_fuse_stage stage({}, h);
  const auto none = run_stage(stage, {{passages(""), passages("")}});
  REQUIRE_OK(none);
  CHECK(!none->docs);
  CHECK(none->count == 0);
  documents same = passages("aa");
  same[1].text = "another passage under the same id";
  const auto both = run_stage(stage, {{same}});
  REQUIRE_OK(both);
  CHECK(both->count == 2);
  const documents most(retrieve_fuse_stage::max_passages);
  CHECK(run_stage(stage, {{most}}));
  CHECK(run_stage(stage, {{most, passages("a")}}).error().code ==
        error_code::limit);
}
