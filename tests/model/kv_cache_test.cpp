// SPDX-License-Identifier: MIT
#include "tinyphi/model/kv_cache.h"

#include <string>
#include <utility>
#include <vector>

#include "support/test.h"

using namespace tinyphi;
using tinyphi_test::message_of;

namespace {

model_config small_config(std::uint32_t window) {
  model_config c;
  c.n_layers = 2;
  c.n_heads = c.n_kv_heads = 3;
  c.head_dim = 32;
  c.window = window;
  return c;
}

}  // namespace

TEST_CASE("kv_bytes_per_token counts keys and values of all layers") {
  const model_config c = small_config(0);
  CHECK(kv_bytes_per_token(c, kv_type::f32) == 2 * 2 * 3 * 32 * 4);
  CHECK(kv_bytes_per_token(c, kv_type::f16) == 2 * 2 * 3 * 32 * 2);
  // And a scale each.
  CHECK(kv_bytes_per_token(c, kv_type::int8) == 2 * 2 * 3 * (32 + 4));
  CHECK(kv_bytes_per_token(c, kv_type::int8_int4) == 2 * 3 * (32 + 4 + 16 + 4));
}

TEST_CASE("each page is taken from the memory budget until the pool ends") {
  const model_config c = small_config(0);
  const std::size_t page = kv_bytes_per_token(c, kv_type::f32) * page_tokens;
  const memory_budget memory(2 * page + page / 2);
  {
    kv_pool pool(c, kv_type::f32, 100 * page, memory);
    kv_sequence s(pool, c);
    REQUIRE_OK(s.reserve(128));
    CHECK(memory.usage().of(memory_use::cache) == 2 * page);
    const auto refused = s.reserve(129);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == error_code::limit);
    CHECK_THAT(
        refused.error().message,
        Catch::Matchers::Contains(std::to_string(page) +
                                  " bytes more for a page of the cache"));
    CHECK(pool.pages_in_use() == 2);
    // Others may have a page to give, though the pool has not had all of its.
    kv_page given = s.pages()[0];
    s.clear();
    kv_page other = *pool.acquire();
    pool.set_reclaim([&] { return bool(std::exchange(given, kv_page())); });
    CHECK(pool.acquire());
    CHECK_FALSE(given);
    CHECK(memory.usage().total() == 2 * page);
  }
  CHECK(memory.usage().total() == 0);
}

TEST_CASE("a sequence takes pages as it grows and gives them back") {
  const model_config c = small_config(0);
  kv_pool pool(c, kv_type::f32, std::size_t{1} << 20);
  {
    kv_sequence s(pool, c);
    REQUIRE_OK(s.reserve(1));
    CHECK(pool.pages_in_use() == 1);
    REQUIRE_OK(s.reserve(64));
    CHECK(pool.pages_in_use() == 1);
    REQUIRE_OK(s.reserve(65));
    CHECK(pool.pages_in_use() == 2);
    s.commit(65);
    CHECK(s.length() == 65);
    kv_sequence moved = std::move(s);
    CHECK(moved.length() == 65);
    CHECK(pool.pages_in_use() == 2);
  }
  CHECK(pool.pages_in_use() == 0);
}

TEST_CASE("pages behind the window go back to the pool and are null") {
  const model_config c = small_config(80);
  kv_pool pool(c, kv_type::f16, std::size_t{1} << 20);
  kv_sequence s(pool, c);
  for (std::size_t n = 1; n <= 800; ++n) {
    REQUIRE_OK(s.reserve(n));
    s.commit(n);
    // The next query, at n, sees keys n - 79 .. n.
    const std::size_t first_seen = n < 80 ? 0 : n - 79;
    const kv_view v = s.view(1, 2);
    for (std::size_t page = 0; page * 64 < n; ++page) {
      const bool needed = (page + 1) * 64 > first_seen;
      CHECK((v.pages[page] != nullptr) == needed);
    }
    CHECK(pool.pages_in_use() <= 3);
  }
}

TEST_CASE("a spent budget is an error that leaves the sequence as it was") {
  const model_config c = small_config(0);
  kv_pool probe(c, kv_type::f32, 0);
  kv_pool pool(c, kv_type::f32, 3 * probe.page_bytes());
  CHECK(pool.max_pages() == 3);
  kv_sequence a(pool, c), b(pool, c);
  REQUIRE_OK(a.reserve(128));
  const auto refused = b.reserve(128);
  REQUIRE(!refused);
  CHECK(refused.error().code == error_code::limit);
  CHECK(message_of(refused).find("192 tokens) is spent") != std::string::npos);
  CHECK(pool.pages_in_use() == 2);
  a.clear();
  REQUIRE_OK(b.reserve(128));
}

TEST_CASE("views of heads and layers do not overlap") {
  const model_config c = small_config(0);
  kv_pool pool(c, kv_type::f32, std::size_t{1} << 20);
  kv_sequence s(pool, c);
  REQUIRE_OK(s.reserve(80));
  const std::vector<float> zero(c.head_dim);
  std::vector<float> k(c.head_dim), v(c.head_dim);
  float next = 1;
  for (std::size_t layer = 0; layer < c.n_layers; ++layer) {
    for (std::size_t head = 0; head < c.n_kv_heads; ++head) {
      for (std::size_t position : {0u, 63u, 64u, 79u}) {
        k.assign(c.head_dim, next);
        v.assign(c.head_dim, -next);
        store_kv(s.view(layer, head), position, k.data(), v.data());
        next += 1;
      }
    }
  }
  next = 1;
  for (std::size_t layer = 0; layer < c.n_layers; ++layer) {
    for (std::size_t head = 0; head < c.n_kv_heads; ++head) {
      for (std::size_t position : {0u, 63u, 64u, 79u}) {
        const key_range only{static_cast<std::uint32_t>(position),
                             static_cast<std::uint32_t>(position + 1)};
        std::vector<float> out(c.head_dim);
        const attention_row row{zero.data(), out.data(), &only, 1};
        attend(s.view(layer, head), 1.0f, &row, 1);
        CHECK(out[0] == -next);
        CHECK(out[c.head_dim - 1] == -next);
        next += 1;
      }
    }
  }
}
