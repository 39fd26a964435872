// SPDX-License-Identifier: MIT
#include "tinyphi/model/kv_cache.h"

#include <algorithm>
#include <cstring>
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

TEST_CASE("trimming gives the memory of unused pages back, and only theirs") {
  const model_config c = small_config(0);
  const std::size_t page = kv_bytes_per_token(c, kv_type::f32) * page_tokens;
  const memory_budget memory(10 * page);
  kv_pool pool(c, kv_type::f32, 3 * page, memory);
  std::vector<kv_page> pages;
  for (int i = 0; i < 3; ++i) pages.push_back(*pool.acquire());
  pages[0].data()[0] = pages[2].data()[0] = std::byte{7};
  pages[1] = kv_page();
  CHECK(memory.usage().total() == 3 * page);
  pool.trim();
  CHECK(memory.usage().total() == 2 * page);
  CHECK(pages[0].data()[0] == std::byte{7});
  CHECK(pages[2].data()[0] == std::byte{7});
  // The third page can be had again, and there is no fourth.
  pages[1] = *pool.acquire();
  pages[1].data()[page - 1] = std::byte{9};
  CHECK(memory.usage().total() == 3 * page);
  CHECK_FALSE(pool.acquire());
  pages.clear();
  pool.trim();
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

namespace {

// A pool of so many pages, each of which begins with a byte that tells it
// apart.
struct marked_pool {
  model_config config;
  kv_pool pool;
  explicit marked_pool(std::uint32_t window, std::size_t pages)
      : config(small_config(window)),
        pool(config, kv_type::f32, pages * page_bytes()) {}
  [[nodiscard]] std::size_t page_bytes() const {
    return kv_bytes_per_token(config, kv_type::f32) * page_tokens;
  }
  // A sequence of `length` tokens, whose page i begins with mark + i.
  [[nodiscard]] kv_sequence sequence(std::size_t length, int mark) {
    kv_sequence s(pool, config);
    for (std::size_t n = 0; n < length;) {
      n = std::min(length, n + page_tokens);
      REQUIRE_OK(s.reserve(n));
      *s.pages().back().data() =
          static_cast<std::byte>(mark + static_cast<int>(s.pages().size()) - 1);
      s.commit(n);
    }
    return s;
  }
};

int mark_of(const kv_page& page) { return static_cast<int>(*page.data()); }

}  // namespace

TEST_CASE("references to a page are counted, and the last gives it back") {
  marked_pool m(0, 2);
  auto page = m.pool.acquire();
  REQUIRE_OK(page);
  CHECK(!page->shared());
  {
    kv_page copy = *page;
    CHECK(copy == *page);
    CHECK(copy.data() == page->data());
    CHECK(page->shared());
    const kv_page moved = std::move(copy);
    CHECK(page->shared());
    CHECK(moved == *page);
    CHECK(m.pool.pages_in_use() == 1);
  }
  CHECK(!page->shared());
  kv_page& same = *page;
  *page = same;  // onto itself
  CHECK(m.pool.pages_in_use() == 1);
  *page = {};
  CHECK(!*page);
  CHECK(page->data() == nullptr);
  CHECK(m.pool.pages_in_use() == 0);
  CHECK(m.pool.free_pages() == 2);
}

TEST_CASE("a fork shares all pages, and a write copies the last one, once") {
  marked_pool m(0, 10);
  kv_sequence a = m.sequence(150, 10);
  kv_sequence b = a.fork();
  CHECK(b.length() == 150);
  CHECK(m.pool.pages_in_use() == 3);
  for (std::size_t i = 0; i < 3; ++i) CHECK(a.pages()[i] == b.pages()[i]);

  REQUIRE_OK(b.reserve(150));  // nothing is going to be written
  CHECK(m.pool.pages_in_use() == 3);
  REQUIRE_OK(b.reserve(151));
  CHECK(m.pool.pages_in_use() == 4);
  CHECK(a.pages()[1] == b.pages()[1]);
  CHECK(!(a.pages()[2] == b.pages()[2]));
  CHECK(mark_of(b.pages()[2]) == 12);
  CHECK(std::memcmp(a.pages()[2].data(), b.pages()[2].data(), m.page_bytes()) ==
        0);
  // The kernels see the copy.
  CHECK(b.view(0, 0).pages[2] == b.pages()[2].data());
  b.commit(151);
  REQUIRE_OK(b.reserve(152));
  // The other one is alone on its page by now.
  REQUIRE_OK(a.reserve(160));
  CHECK(m.pool.pages_in_use() == 4);

  // At a border there is nothing to copy, and a look needs no page.
  kv_sequence c = m.sequence(128, 20);
  kv_sequence d = c.fork();
  REQUIRE_OK(d.reserve(128));
  REQUIRE_OK(d.reserve(129));
  CHECK(d.pages()[1] == c.pages()[1]);
  CHECK(m.pool.pages_in_use() == 7);
}

TEST_CASE("what is reserved counts in no fork until it is committed") {
  marked_pool m(0, 10);
  kv_sequence a = m.sequence(60, 1);
  REQUIRE_OK(a.reserve(200));
  const kv_sequence b = a.fork();
  CHECK(a.length() == 60);
  CHECK(b.length() == 60);
  CHECK(a.pages().size() == 4);
  CHECK(b.pages().size() == 1);
  a.commit(100);
  CHECK(a.length() == 100);
}

TEST_CASE("truncating gives back the pages behind, and goes on from there") {
  marked_pool m(0, 10);
  kv_sequence a = m.sequence(250, 1);
  REQUIRE_OK(a.truncate(129));
  CHECK(a.length() == 129);
  CHECK(a.pages().size() == 3);
  REQUIRE_OK(a.truncate(128));
  CHECK(m.pool.pages_in_use() == 2);
  REQUIRE_OK(a.reserve(130));
  a.commit(130);
  CHECK(mark_of(a.pages()[1]) == 2);
  REQUIRE_OK(a.truncate(0));
  CHECK(a.length() == 0);
  CHECK(m.pool.pages_in_use() == 0);
}

TEST_CASE("truncating in a window is refused where keys are gone") {
  marked_pool m(80, 10);
  kv_sequence a = m.sequence(300, 1);
  // The token at 300 sees from 221 on, in page 3; the one at 270 from 191 on,
  // in page 2.
  CHECK(m.pool.pages_in_use() == 2);
  const auto refused = a.truncate(270);
  REQUIRE(!refused);
  CHECK(refused.error().code == error_code::invalid_argument);
  CHECK(message_of(refused).find("300 tokens cannot go back to 270") !=
        std::string::npos);
  CHECK(a.length() == 300);
  CHECK(a.pages().size() == 5);
  REQUIRE_OK(a.truncate(271));  // sees from 192 on
  CHECK(a.length() == 271);
  // All the way back is always possible, and then everything is as new.
  REQUIRE_OK(a.truncate(0));
  REQUIRE_OK(a.reserve(20));
  a.commit(20);
  REQUIRE_OK(a.truncate(10));
}

TEST_CASE("a sequence that was cleared keeps its pages like a new one") {
  marked_pool m(80, 10);
  kv_sequence a = m.sequence(500, 1);
  a.clear();
  CHECK(m.pool.pages_in_use() == 0);
  CHECK(a.pages().empty());
  // Forgotten, how many pages had left the window: these leave it again, and
  // going back within it is not refused.
  for (std::size_t n = 1; n <= 300; ++n) {
    REQUIRE_OK(a.reserve(n));
    a.commit(n);
    CHECK(m.pool.pages_in_use() <= 3);
  }
  a.clear();
  REQUIRE_OK(a.reserve(70));
  a.commit(70);
  REQUIRE_OK(a.truncate(65));
}

TEST_CASE("the window lets go of references, not of pages that others hold") {
  marked_pool m(80, 20);
  kv_sequence a = m.sequence(64, 1);
  const kv_page first = a.pages()[0];
  for (std::size_t n = 65; n <= 400; ++n) {
    REQUIRE_OK(a.reserve(n));
    a.commit(n);
  }
  CHECK(!a.pages()[0]);
  CHECK(!first.shared());
  CHECK(mark_of(first) == 1);
  CHECK(m.pool.pages_in_use() == 1 + 2);
}

TEST_CASE("adopted pages may be empty where the window has passed") {
  marked_pool m(80, 20);
  const kv_sequence a = m.sequence(300, 1);
  kv_sequence b(m.pool, m.config);
  b.adopt(a.pages(), 300);
  CHECK(b.length() == 300);
  CHECK(b.first_page_seen(300) == 3);
  for (std::size_t i = 0; i < 5; ++i) CHECK(bool(b.pages()[i]) == (i >= 3));
  CHECK(m.pool.pages_in_use() == 2);
  REQUIRE_OK(b.reserve(301));  // copies
  CHECK(m.pool.pages_in_use() == 3);
  CHECK(mark_of(b.pages()[4]) == 5);
  CHECK(!b.truncate(270));

  // Pages that the next token does not see are let go of.
  const kv_sequence c = m.sequence(128, 50);
  std::vector<kv_page> pages(c.pages().begin(), c.pages().end());
  for (int i = 0; i < 3; ++i) {
    auto page = m.pool.acquire();
    REQUIRE_OK(page);
    pages.push_back(*std::move(page));
  }
  const std::size_t before = m.pool.pages_in_use();
  kv_sequence d(m.pool, m.config);
  d.adopt(pages, 320);
  CHECK(!d.pages()[0]);
  CHECK(!d.pages()[1]);
  pages.clear();
  CHECK(m.pool.pages_in_use() == before - 1);  // page 2, which nobody else had
}

TEST_CASE("a reservation that fails leaves the sequence as before") {
  marked_pool m(0, 5);
  kv_sequence a = m.sequence(100, 1);
  kv_sequence b = a.fork();
  const kv_sequence c = m.sequence(64, 50);
  const auto as_before = [&] {
    CHECK(b.length() == 100);
    CHECK(b.pages().size() == 2);
    CHECK(b.pages()[1] == a.pages()[1]);
    CHECK(b.view(0, 0).pages[1] == a.pages()[1].data());
    CHECK(m.pool.pages_in_use() == 3);
  };
  // A copy and one more fit, a copy and two more do not.
  CHECK(b.pages_to_reserve(100) == 0);
  CHECK(b.pages_to_reserve(101) == 1);
  CHECK(b.pages_to_reserve(193) == 3);
  CHECK(m.sequence(0, 0).pages_to_reserve(65) == 2);
  CHECK(!b.reserve(193));
  as_before();
  {
    // The pool gives out the two pages that it had tried in the other order.
    auto x = m.pool.acquire(), y = m.pool.acquire();
    REQUIRE_OK(x);
    REQUIRE_OK(y);
    *x = {};
    *y = {};
  }
  REQUIRE_OK(b.reserve(192));
  CHECK(m.pool.pages_in_use() == 5);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(b.view(0, 0).pages[i] == b.pages()[i].data());
  }
  REQUIRE_OK(b.truncate(100));
  kv_sequence d = m.sequence(64, 60);
  kv_sequence e = a.fork();
  CHECK(m.pool.free_pages() == 0);
  // Not even the copy fits.
  const auto refused = e.reserve(101);
  REQUIRE(!refused);
  CHECK(refused.error().code == error_code::limit);
  CHECK(e.pages()[1] == a.pages()[1]);
  CHECK(e.length() == 100);
  d.clear();
  REQUIRE_OK(e.reserve(101));
}

TEST_CASE("a spent pool asks whoever can give a page back, until one is free") {
  marked_pool m(0, 3);
  std::vector<kv_page> cached;
  for (int i = 0; i < 3; ++i) {
    auto page = m.pool.acquire();
    REQUIRE_OK(page);
    cached.push_back(*std::move(page));
  }
  int asked = 0;
  const kv_page held = cached.back();  // whoever gives it back frees nothing
  m.pool.set_reclaim([&] {
    ++asked;
    if (cached.empty()) return false;
    cached.pop_back();
    return true;
  });
  kv_sequence s(m.pool, m.config);
  REQUIRE_OK(s.reserve(1));
  CHECK(asked == 2);
  REQUIRE_OK(s.reserve(65));
  CHECK(asked == 3);
  CHECK(cached.empty());
  CHECK(!s.reserve(129));
  CHECK(asked == 4);
  CHECK(s.pages().size() == 2);
}
