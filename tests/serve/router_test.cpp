// SPDX-License-Identifier: MIT
#include "tinyphi/serve/router.h"

#include "support/test.h"

using namespace tinyphi;

namespace {

router sample() {
  router r;
  r.add({.method = "GET", .pattern = "/v1/models"});
  r.add({.method = "GET", .pattern = "/v1/models/{id}"});
  r.add({.method = "DELETE", .pattern = "/v1/requests/{id}"});
  r.add({.method = "GET", .pattern = "/v1/requests/{id}/events"});
  r.add({.method = "GET", .pattern = "/health"});
  return r;
}

TEST_CASE("paths with and without /v1 find the same route") {
  const router r = sample();
  REQUIRE(r.find("GET", "/v1/models").found);
  CHECK(r.find("GET", "/v1/models").found == r.find("GET", "/models").found);
  CHECK(r.find("HEAD", "/models").found == r.find("GET", "/models").found);
  CHECK_FALSE(r.find("GET", "/v1/health").found);
  CHECK_FALSE(r.find("GET", "/v1").found);
}

TEST_CASE("a part in braces takes one part that is not empty") {
  const router r = sample();
  const route_match m = r.find("GET", "/v1/requests/abc/events");
  REQUIRE(m.found);
  CHECK(m.captured == std::vector<std::string>{"abc"});
  CHECK(r.find("GET", "/models/pipeline%3Aa%2Fb").captured ==
        std::vector<std::string>{"pipeline:a/b"});
  CHECK_FALSE(r.find("GET", "/models/a%00").found);
  CHECK_FALSE(r.find("GET", "/%6dodels").found);  // ours are written plainly
  CHECK_FALSE(r.find("GET", "/v1/models/").found);
  CHECK_FALSE(r.find("GET", "/v1/models/a/b").found);
  CHECK_FALSE(r.find("GET", "//v1/models").found);
  CHECK_FALSE(r.find("GET", "").found);
}

TEST_CASE("a path that has other methods only says which: 405, else 404") {
  const router r = sample();
  const route_match other = r.find("POST", "/v1/requests/7");
  CHECK_FALSE(other.found);
  CHECK(other.allow == "DELETE");
  CHECK(no_such_route(other, "POST", "/v1/requests/7").status == 405);
  CHECK(r.find("POST", "/health").allow == "GET, HEAD");
  const route_match none = r.find("GET", "/nothing");
  CHECK(none.allow.empty());
  CHECK(no_such_route(none, "GET", "/nothing").status == 404);
}

}  // namespace
