// SPDX-License-Identifier: MIT
#include "tinyphi/serve/key_ring.h"

#include "support/test.h"

namespace {

using tinyphi::http_request;
using tinyphi::key_ring;

key_ring ring(std::size_t n) {
  std::vector<tinyphi::key_entry> keys;
  for (std::size_t i = 0; i < n; ++i) {
    const std::string name = "k" + std::to_string(i);
    tinyphi::key_entry& key = keys.emplace_back();
    key.who.name = name;
    key.digest = tinyphi::blake2b_256("secret of " + name);
  }
  return key_ring(std::move(keys));
}

http_request with(tinyphi::http_headers headers) {
  http_request r;
  r.headers = std::move(headers);
  return r;
}

}  // namespace

TEST_CASE("each secret is found among many, and nothing else") {
  const key_ring keys = ring(100);
  for (std::size_t i = 0; i < 100; ++i) {
    const std::string name = "k" + std::to_string(i);
    const auto who = keys.find("secret of " + name);
    REQUIRE(who != nullptr);
    CHECK(who->name == name);
  }
  CHECK(keys.find("") == nullptr);
  CHECK(keys.find("secret of k100") == nullptr);
  CHECK(keys.find("secret of k1 ") == nullptr);
  CHECK(key_ring().find("secret of k1") == nullptr);
}

TEST_CASE("a digest that differs in one bit is another key's") {
  const tinyphi::blake2b_digest right = tinyphi::blake2b_256("s");
  for (std::size_t bit = 0; bit < 256; ++bit) {
    tinyphi::key_entry key;
    key.digest = right;
    key.digest[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    std::vector<tinyphi::key_entry> keys;
    keys.push_back(key);
    REQUIRE(key_ring(std::move(keys)).find("s") == nullptr);
  }
}

TEST_CASE("the key is read from the headers that clients send") {
  CHECK(presented_key(with({{"authorization", "Bearer abc"}})) == "abc");
  CHECK(presented_key(with({{"authorization", "bEARER \t abc "}})) == "abc");
  CHECK(presented_key(with({{"api-key", " abc"}})) == "abc");
  CHECK(presented_key(with({{"x-api-key", "abc"}})) == "abc");
  CHECK(presented_key(with(
            {{"x-api-key", "x"}, {"authorization", "Bearer abc"}})) == "abc");
  CHECK(presented_key(
            with({{"x-api-key", "x"}, {"authorization", "Basic abc"}})) == "x");
  CHECK(presented_key(with({{"authorization", "Bearer"}})).empty());
  CHECK(presented_key(with({{"authorization", "Bearer  "}})).empty());
  CHECK(presented_key(with({{"authorization", "Bearerabc"}})).empty());
  CHECK(presented_key(with({{"authorization", "abc"}})).empty());
  CHECK(presented_key(with({})).empty());
}

TEST_CASE("users of a socket are admins with a domain each") {
  const auto a = tinyphi::local_caller(1000), b = tinyphi::local_caller(1001);
  const auto tcp = tinyphi::local_caller({});
  CHECK(a->name == "uid 1000");
  CHECK(a->admin);
  CHECK(a->domain != b->domain);
  CHECK(a->tenant != b->tenant);
  CHECK(a->domain == tinyphi::local_caller(1000)->domain);
  CHECK_FALSE(tcp->admin);
  CHECK(tcp->domain != a->domain);
}

TEST_CASE("without keys only local peers are let in, with any key or none") {
  const key_ring none;
  CHECK(identify(none, with({}), true, 1000).has_value());
  CHECK(identify(none, with({{"api-key", "dummy"}}), true, {}).has_value());
  const auto refused = identify(none, with({}), false, {});
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().status == 401);
}

TEST_CASE("with keys everybody needs one, local peers too") {
  const key_ring keys = ring(2);
  const auto known =
      identify(keys, with({{"x-api-key", "secret of k1"}}), false, {});
  REQUIRE(known.has_value());
  CHECK((*known)->name == "k1");
  for (const auto& r : {with({}), with({{"api-key", "wrong"}})}) {
    const auto refused = identify(keys, r, true, 0);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().status == 401);
    CHECK(refused.error().code == "invalid_api_key");
    CHECK(refused.error().type == "authentication_error");
    CHECK(refused.error().message.find("wrong") == std::string::npos);
  }
}
