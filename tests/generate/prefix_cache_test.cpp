// SPDX-License-Identifier: MIT
#include "tinyphi/generate/prefix_cache.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <random>
#include <vector>

#include "support/models.h"
#include "support/test.h"
#include "tinyphi/generate/scheduler.h"

using namespace tinyphi;

namespace {

using text = std::vector<token_id>;

model_config config_of(std::size_t window) {
  model_config c;
  c.n_layers = c.n_heads = c.n_kv_heads = 1;
  c.head_dim = 32;
  c.window = static_cast<std::uint32_t>(window);
  return c;
}

// In place of keys and values a page holds the number of its text here and its
// first position.
struct mark {
  std::uint32_t text = 0, page = 0;
};

// A pool, a cache over it, and all texts whose pages were ever made.
struct cached_texts {
  model_config config;
  kv_pool pool;
  prefix_cache cache;
  std::vector<text> made;

  explicit cached_texts(std::size_t window = 0, std::size_t pages = 1000,
                        std::size_t max_nodes = 10000)
      : config(config_of(window)),
        pool(config, kv_type::f16,
             pages * kv_bytes_per_token(config, kv_type::f16) * page_tokens),
        cache(window, max_nodes) {
    pool.set_reclaim([this] { return cache.evict(); });
  }

  // As a request does it: takes what the cache has, computes the rest, gives it
  // to the cache. Returns the sequence, or nothing if it does not fit.
  std::optional<kv_sequence> run(const text& t, domain_id domain = 0,
                                 prefix_root root = {}, bool pin = false) {
    kv_sequence s(pool, config);
    const prefix_match match = cache.find(root, domain, t);
    check(match, t);
    if (match.length > 0) s.adopt(match.pages, match.length);
    made.push_back(t);
    for (std::size_t n = s.length(); n < t.size();) {
      n = std::min(t.size(), (n / page_tokens + 1) * page_tokens);
      if (!s.reserve(n)) return std::nullopt;
      const mark m{static_cast<std::uint32_t>(made.size() - 1),
                   static_cast<std::uint32_t>(s.pages().size() - 1)};
      std::memcpy(s.pages().back().data(), &m, sizeof m);
      s.commit(n);
    }
    cache.insert(root, domain, t, s.pages(), pin);
    return s;
  }

  // The pages of a text, all of them.
  std::vector<kv_page> pages_of(const text& t) {
    made.push_back(t);
    std::vector<kv_page> all;
    for (std::uint32_t i = 0; i < n_pages(t.size()); ++i) {
      auto page = pool.acquire();
      REQUIRE_OK(page);
      const mark m{static_cast<std::uint32_t>(made.size() - 1), i};
      std::memcpy(page->data(), &m, sizeof m);
      all.push_back(*std::move(page));
    }
    return all;
  }

  static mark mark_of(const kv_page& page) {
    mark m;
    std::memcpy(&m, page.data(), sizeof m);
    return m;
  }

  // The match's pages are those of texts that begin as `t`, and none is missing
  // that the next token sees.
  void check(const prefix_match& match, const text& t) const {
    REQUIRE(match.length <= t.size());
    REQUIRE(match.pages.size() == n_pages(match.length));
    const std::size_t first = kv_sequence(const_cast<kv_pool&>(pool), config)
                                  .first_page_seen(match.length);
    for (std::size_t i = 0; i < match.pages.size(); ++i) {
      if (!match.pages[i]) {
        REQUIRE(i < first);
        continue;
      }
      const mark m = mark_of(match.pages[i]);
      REQUIRE(m.page == i);
      const text& from = made.at(m.text);
      const std::size_t end = std::min(match.length, (i + 1) * page_tokens);
      REQUIRE(from.size() >= end);
      REQUIRE(std::equal(t.begin(), t.begin() + static_cast<int>(end),
                         from.begin()));
    }
  }
};

std::size_t common(const text& a, const text& b) {
  const std::size_t n = std::min(a.size(), b.size());
  std::size_t i = 0;
  while (i < n && a[i] == b[i]) ++i;
  return i;
}

// Texts of a few letters that have long beginnings in common.
struct text_source {
  std::mt19937 random;
  std::vector<text> earlier = {};

  std::size_t below(std::size_t n) { return random() % n; }
  text next() {
    text t;
    if (!earlier.empty() && below(8) != 0) {
      const text& from = earlier[below(earlier.size())];
      // Often up to a page's border, or close to it.
      std::size_t n = below(from.size() + 1);
      if (below(2) == 0) n = n / page_tokens * page_tokens + below(3);
      n = std::min(n, from.size());
      t.assign(from.begin(), from.begin() + static_cast<int>(n));
    }
    const std::size_t letters = 2 + below(3);
    const std::size_t most = std::max<std::size_t>(t.size(), 1 + below(400));
    while (t.size() < most) t.push_back(static_cast<token_id>(below(letters)));
    if (t.empty()) t.push_back(0);
    if (earlier.size() < 40) {
      earlier.push_back(t);
    } else {
      earlier[below(40)] = t;
    }
    return t;
  }
};

text letters(std::size_t n, token_id id) { return text(n, id); }
text operator+(text a, const text& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// The longest beginning that the branches, looked at one by one, offer.
std::size_t longest_in_branches(const cached_texts& c, prefix_root root,
                                domain_id domain, const text& t) {
  std::size_t best = 0;
  const kv_sequence s(const_cast<kv_pool&>(c.pool), c.config);
  for (const auto& b : c.cache.branches()) {
    if (b.root != root) continue;
    std::size_t n = common(b.text, t);
    if (b.domain != domain) n = std::min(n, b.n_shared);
    // Of what is shared, only whole pages and ends count for others.
    if (domain != shared_domain && n < b.n_shared) n -= n % page_tokens;
    for (; n > best; n = (n - 1) / page_tokens * page_tokens) {
      bool whole = true;
      for (std::size_t i = s.first_page_seen(n); i < n_pages(n); ++i) {
        whole = whole && b.pages[i];
      }
      if (whole) best = n;
    }
  }
  return best;
}

std::size_t free_everything(cached_texts& c) {
  std::size_t n = 0;
  for (;;) {
    const std::size_t before = c.pool.pages_in_use();
    if (!c.cache.evict()) return n;
    REQUIRE(c.pool.pages_in_use() == before - 1);
    ++n;
  }
}

}  // namespace

TEST_CASE("the longest beginning of one's own or of a shared text is found") {
  // Against a list of all texts, 3000 times; nothing is let go of.
  cached_texts c(0, 100000, 1000000);
  text_source source{std::mt19937(1)};
  struct known {
    domain_id domain;
    bool long_factors;
    text ids;
  };
  std::vector<known> list;
  for (int i = 0; i < 3000; ++i) {
    const domain_id domain =
        source.below(4) == 0 ? shared_domain : source.below(3);
    const prefix_root root{source.below(5) == 0};
    const text t = source.next();
    std::size_t expected = 0;
    for (const known& k : list) {
      if (k.long_factors != root.long_factors) continue;
      if (k.domain != domain && k.domain != shared_domain) continue;
      // Its end may lie in a longer shared text's page by now.
      const std::size_t n = common(k.ids, t);
      expected = std::max(expected, n - n % page_tokens);
    }
    const prefix_match match = c.cache.find(root, domain, t);
    REQUIRE(match.length >= expected);
    REQUIRE(match.length == longest_in_branches(c, root, domain, t));
    c.check(match, t);
    if (source.below(2) == 0) continue;
    REQUIRE(c.run(t, domain, root));
    list.push_back({domain, root.long_factors, t});
  }
  // Every text is part of a branch, and nothing else is.
  const auto branches = c.cache.branches();
  for (const known& k : list) {
    REQUIRE(std::any_of(branches.begin(), branches.end(), [&](const auto& b) {
      return b.root.long_factors == k.long_factors &&
             common(b.text, k.ids) == k.ids.size() &&
             (b.domain == k.domain || b.n_shared >= k.ids.size());
    }));
  }
  for (const auto& b : branches) {
    REQUIRE(b.pages.size() == n_pages(b.text.size()));
    REQUIRE(std::any_of(list.begin(), list.end(), [&](const known& k) {
      return b.root.long_factors == k.long_factors && b.domain == k.domain &&
             b.text == k.ids;
    }));
  }
}

TEST_CASE("what another domain computed is never found") {
  cached_texts c;
  const text secret = letters(300, 1);
  REQUIRE(c.run(secret, 7));
  CHECK(c.cache.find({}, 7, secret).length == 300);
  CHECK(c.cache.find({}, 8, secret).length == 0);
  CHECK(c.cache.find({}, 0, secret).length == 0);
  CHECK(c.cache.find({}, shared_domain, secret).length == 0);
  CHECK(c.cache.find({true}, 7, secret).length == 0);
  // Below a text that all share as little.
  const text system = letters(100, 2);
  REQUIRE(c.run(system, shared_domain));
  REQUIRE(c.run(system + secret, 7));
  CHECK(c.cache.find({}, 8, system + secret).length == 100);
  CHECK(c.cache.find({}, 7, system + secret).length == 400);
}

TEST_CASE("random operations keep every promise, with and without a window") {
  for (const std::size_t window : {0, 80, 200}) {
    for (unsigned seed = 0; seed < 8; ++seed) {
      INFO("window " << window << ", seed " << seed);
      const std::size_t max_nodes = seed % 2 == 0 ? 10000 : 40;
      cached_texts c(window, 60, max_nodes);
      text_source source{std::mt19937(seed)};
      std::vector<kv_sequence> running;
      for (int i = 0; i < 400; ++i) {
        const text t = source.next();
        const domain_id domain =
            source.below(3) == 0 ? shared_domain : source.below(2);
        const prefix_root root{source.below(6) == 0};
        const std::size_t offered = longest_in_branches(c, root, domain, t);
        const prefix_match match = c.cache.find(root, domain, t);
        c.check(match, t);
        REQUIRE(match.length == offered);
        if (source.below(3) != 0) {
          auto s = c.run(t, domain, root, source.below(60) == 0);
          if (s && source.below(3) == 0) running.push_back(*std::move(s));
        }
        if (source.below(4) == 0) static_cast<void>(c.cache.evict());
        if (running.size() > 4) {
          running.erase(running.begin() +
                        static_cast<int>(source.below(running.size())));
        }
        if (source.below(50) == 0) c.cache.unpin_all();
        // Its books balance.
        REQUIRE(c.cache.n_nodes() <= max_nodes);
        std::vector<const std::byte*> pages;
        for (const auto& b : c.cache.branches()) {
          REQUIRE(b.pages.back());
          for (const kv_page& p : b.pages) {
            if (p) pages.push_back(p.data());
          }
        }
        std::sort(pages.begin(), pages.end());
        pages.erase(std::unique(pages.begin(), pages.end()), pages.end());
        REQUIRE(pages.size() == c.cache.n_cached_pages());
      }
      // Of what sequences hold, nothing goes; of the rest, what was promised.
      std::vector<mark> marks;
      for (const kv_sequence& s : running) {
        for (const kv_page& p : s.pages()) {
          if (p) marks.push_back(cached_texts::mark_of(p));
        }
      }
      const std::size_t promised = c.cache.evictable_pages();
      const std::size_t freed = free_everything(c);
      if (window == 0) {
        REQUIRE(freed == promised);
      } else {
        REQUIRE(freed >= promised);
      }
      REQUIRE(c.cache.evictable_pages() == 0);
      std::size_t k = 0;
      for (const kv_sequence& s : running) {
        for (const kv_page& p : s.pages()) {
          if (!p) continue;
          const mark m = cached_texts::mark_of(p);
          REQUIRE(m.text == marks[k].text);
          REQUIRE(m.page == marks[k++].page);
        }
      }
      running.clear();
      c.cache.unpin_all();
      REQUIRE(c.cache.evictable_pages() == c.cache.n_cached_pages());
      free_everything(c);
      REQUIRE(c.pool.pages_in_use() == 0);
      REQUIRE(c.cache.n_cached_pages() == 0);
    }
  }
}

TEST_CASE(
    "equal texts converge to one page each, longer ones extend the last") {
  cached_texts c;
  const text t = letters(150, 1);
  // Two requests that began before either was done.
  kv_sequence a(c.pool, c.config), b(c.pool, c.config);
  for (kv_sequence* s : {&a, &b}) {
    REQUIRE_OK(s->reserve(150));
    s->commit(150);
    for (std::uint32_t i = 0; i < 3; ++i) {
      const mark m{0, i};
      std::memcpy(s->pages()[i].data(), &m, sizeof m);
    }
  }
  c.made.push_back(t);
  CHECK(c.pool.pages_in_use() == 6);
  c.cache.insert({}, 0, t, a.pages());
  c.cache.insert({}, 0, t, b.pages());
  CHECK(c.cache.n_cached_pages() == 3);
  CHECK(c.cache.n_nodes() == 2 + 3);
  b.clear();
  CHECK(c.pool.pages_in_use() == 3);

  // The last page had 22 tokens, now it has 50, and then two end in it.
  REQUIRE(c.run(t + letters(28, 2)));
  CHECK(c.cache.n_cached_pages() == 3);
  CHECK(c.cache.branches().size() == 1);
  REQUIRE(c.run(t + letters(10, 2) + letters(18, 3)));
  CHECK(c.cache.n_cached_pages() == 4);
  CHECK(c.cache.branches().size() == 2);
  // A shorter one adds nothing.
  REQUIRE(c.run(t + letters(5, 2)));
  CHECK(c.cache.n_cached_pages() == 4);
  CHECK(c.cache.find({}, 0, t + letters(5, 2) + letters(9, 7)).length == 155);
}

TEST_CASE("what was used last stays longest; what is pinned stays") {
  cached_texts c(0, 6);
  const text a = letters(128, 1), b = letters(128, 2), d = letters(128, 3);
  REQUIRE(c.run(a));
  REQUIRE(c.run(b));
  REQUIRE(c.run(d));
  CHECK(c.cache.find({}, 0, a).length == 128);  // used: now b is the oldest
  REQUIRE(c.run(letters(60, 4)));
  CHECK(c.cache.find({}, 0, b).length == 64);  // a text goes from its end
  REQUIRE(c.run(letters(120, 5)));
  // d was used longest ago: b's beginning has just been looked at.
  CHECK(c.cache.find({}, 0, d).length == 0);
  CHECK(c.cache.find({}, 0, b).length == 64);
  CHECK(c.cache.find({}, 0, a).length == 128);

  c.cache.clear();
  CHECK(c.pool.pages_in_use() == 0);
  REQUIRE(c.run(a, shared_domain, {}, true));
  for (token_id i = 10; i < 30; ++i) REQUIRE(c.run(letters(200, i)));
  CHECK(c.cache.find({}, 0, a).length == 128);
  c.cache.clear();
  CHECK(c.cache.find({}, 0, a).length == 128);
  CHECK(c.cache.n_cached_pages() == 2);
  CHECK(c.cache.n_pinned_pages() == 2);
  // A guess at part of a shared page finds nothing: its length would tell how
  // much of it is right. Those of the shared domain itself know it anyway.
  text guess(a.begin(), a.begin() + 100);
  guess.push_back(999);
  CHECK(c.cache.find({}, 0, guess).length == 64);
  CHECK(c.cache.find({}, shared_domain, guess).length == 100);
  // A request that needs all of the pool but for what is pinned gets it.
  CHECK(c.run(letters(4 * 64, 40)));
  CHECK(!c.run(letters(5 * 64, 41)));
  c.cache.unpin_all();
  CHECK(c.cache.n_pinned_pages() == 0);
  CHECK(c.run(letters(6 * 64, 42)));
  CHECK(c.cache.find({}, 0, a).length == 0);
}

TEST_CASE("pages behind the window go first, and the text's end is of use") {
  cached_texts c(80, 100);
  const text t = letters(577, 1);  // one in the last page
  std::vector<kv_page> all = c.pages_of(t);
  c.cache.insert({}, 0, t, all);
  CHECK(c.cache.n_cached_pages() == 10);
  // Somebody goes on from the end: what is behind its window can go.
  all.erase(all.begin(), all.begin() + 7);
  CHECK(c.cache.evictable_pages() == 7);
  CHECK(free_everything(c) == 7);
  all.clear();
  {
    const prefix_match match = c.cache.find({}, 0, t);
    CHECK(match.length == 577);
    c.check(match, t);
  }
  REQUIRE(c.cache.evict());  // its end
  CHECK(c.cache.find({}, 0, t).length == 576);
  // In the middle, where the pages are gone, there is nothing to go on from.
  CHECK(c.cache.find({}, 0, letters(300, 1)).length == 0);
}

TEST_CASE("a page that holds less than a node whose page is gone stays apart") {
  // The end of a text of 100 tokens in a node of the 640 tokens above, whose
  // own page has left the window, would be taken for all 64 of its positions.
  cached_texts c(80, 100);
  const text t = letters(640, 1);
  REQUIRE(c.run(t));
  REQUIRE(c.run(letters(100, 1)));
  const text other = letters(110, 1) + letters(10, 2);
  const prefix_match match = c.cache.find({}, 0, other);
  CHECK(match.length == 100);
  c.check(match, other);
}

TEST_CASE("a page that its reader wants to write needs no copy if let go of") {
  cached_texts c(0, 2);
  const text t = letters(100, 1);
  REQUIRE(c.run(t));
  kv_sequence s(c.pool, c.config);
  s.adopt(c.cache.find({}, 0, t).pages, 100);
  CHECK(!s.reserve(101));  // no room for a copy, ...
  CHECK(!c.cache.let_go({}));
  CHECK(c.cache.let_go(s.pages()[1]));
  REQUIRE_OK(s.reserve(101));
  CHECK(!c.cache.let_go(s.pages()[1]));
  CHECK(c.cache.n_cached_pages() == 1);
  CHECK(c.cache.find({}, 0, t).length == 64);
  s.clear();

  c.cache.clear();
  REQUIRE(c.run(t, 0, {}, true));
  CHECK(!c.cache.let_go(c.cache.find({}, 0, t).pages[1]));
}

TEST_CASE("texts of one domain do not hide longer ones that all may see") {
  cached_texts c;
  const text head = letters(128, 1);
  REQUIRE(c.run(head + letters(10, 2), 5));
  REQUIRE(c.run(head + letters(90, 3), shared_domain));
  CHECK(c.cache.find({}, 5, head + letters(90, 3)).length == 218);
  CHECK(c.cache.find({}, 5, head + letters(10, 2)).length == 138);
  CHECK(c.cache.find({}, 6, head + letters(10, 2)).length == 128);
  // Going on from the shared one, no page comes to stand in two places, where
  // it would never be let go of.
  REQUIRE(c.run(head + letters(90, 3) + letters(90, 4), 5));
  CHECK(c.cache.evictable_pages() == c.cache.n_cached_pages());
  CHECK(free_everything(c) > 0);
  CHECK(c.pool.pages_in_use() == 0);
}

TEST_CASE("a shorter text keeps its page when a longer one comes without it") {
  cached_texts c(80, 100);
  REQUIRE(c.run(letters(100, 1)));
  const text longer = letters(320, 1);
  std::vector<kv_page> pages = c.pages_of(longer);
  pages[0] = pages[1] = {};
  c.cache.insert({}, 0, longer, pages);
  CHECK(c.cache.find({}, 0, letters(100, 1)).length == 100);
  CHECK(c.cache.find({}, 0, longer).length == 320);
}

TEST_CASE("max_nodes holds, and what is being put in does not fall out") {
  cached_texts small(0, 100, 2 + 3);
  REQUIRE(small.run(letters(300, 1)));
  CHECK(small.cache.n_nodes() == 5);
  CHECK(small.cache.find({}, 0, letters(300, 1)).length == 192);
  REQUIRE(small.run(letters(100, 2)));
  CHECK(small.cache.n_nodes() == 5);
  CHECK(small.cache.find({}, 0, letters(100, 2)).length == 100);
  CHECK(small.cache.find({}, 0, letters(300, 1)).length == 64);

  // Two nodes whose pages the window has passed hold only one leaf, which makes
  // room for another in its place.
  cached_texts c(10, 100, 2 + 3);
  const text head = letters(128, 1);
  for (const text& t : {head + letters(64, 2), head + letters(64, 3)}) {
    std::vector<kv_page> pages = c.pages_of(t);
    pages[0] = pages[1] = {};
    c.cache.insert({}, 0, t, pages);
    CHECK(c.cache.find({}, 0, t).length == 192);
    CHECK(c.cache.n_nodes() == 5);
    CHECK(c.cache.branches().size() == 1);
  }
}

TEST_CASE("a request that fits alone is not refused for what the cache holds") {
  const model m = tinyphi_test::tiny_model("medium-128k");
  engine_options o;
  o.n_threads = 1;
  o.kv_bytes =
      3 * page_tokens * kv_bytes_per_token(m.config(), m.default_kv_type());
  scheduler s(m, o);
  const text prompt = tinyphi_test::made_up_prompt(150, 1, 300);
  const auto ask = [&](std::size_t n) {
    text t(prompt.begin(), prompt.begin() + static_cast<int>(n));
    t.resize(150, 7);
    const auto q = s.submit(t, {.max_tokens = 42, .ignore_stop_ids = true});
    while (s.next_piece(*q)) {
    }
    CHECK(!q->seen().error);
    CHECK(q->seen().tokens.size() == 42);
    return q->seen().usage.cached_tokens;
  };
  CHECK(ask(150) == 0);
  // Three pages are held by request and cache, and the last is to be copied.
  CHECK(ask(150) == 149);
  // Two are, and the last of these is to be copied where a third is needed.
  CHECK(ask(100) == 100);
  CHECK(ask(30) == 30);
}
