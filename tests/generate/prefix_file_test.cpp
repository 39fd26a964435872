// SPDX-License-Identifier: MIT
#include "tinyphi/generate/prefix_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <set>

#include "support/models.h"
#include "support/temp_folder.h"
#include "support/test.h"
#include "tinyphi/base/content_hash.h"
#include "tinyphi/generate/scheduler.h"

using namespace tinyphi;
namespace fs = std::filesystem;
using tinyphi_test::made_up_prompt;
using tinyphi_test::message_of;
using tinyphi_test::temp_folder;
using tinyphi_test::tiny_model;

namespace {

using text = std::vector<token_id>;

model_config config_of(std::size_t window, std::uint32_t head_dim = 20) {
  model_config c;
  c.n_layers = 2;
  c.n_heads = c.n_kv_heads = 1;
  c.head_dim = head_dim;
  c.window = static_cast<std::uint32_t>(window);
  c.vocab_size = 1000;
  c.max_context = 2000;
  return c;
}

prefix_key key_of(const model_config& c, kv_type type) {
  prefix_key key;
  key.made_from = "a model, as tests make it\n";
  key.type = type;
  key.n_heads = std::size_t{c.n_layers} * c.n_kv_heads;
  key.head_dim = c.head_dim;
  key.window = c.window;
  key.max_tokens = c.max_context;
  key.vocab_size = c.vocab_size;
  key.has_long_factors = true;
  return key;
}

// Keys and values that depend on the text up to each position.
void fill_page(const model_config& c, kv_type type, const text& t,
               std::size_t page, std::byte* data, std::size_t slots) {
  std::uint32_t state = 1;
  for (std::size_t i = 0; i < std::min(t.size(), page * page_tokens); ++i) {
    state = state * 31 + static_cast<std::uint32_t>(t[i]);
  }
  std::vector<float> k(c.head_dim), v(c.head_dim);
  std::vector<std::byte*> pages(page + 1, data);
  for (std::size_t p = page * page_tokens; p < page * page_tokens + slots;
       ++p) {
    state = state * 31 + static_cast<std::uint32_t>(p < t.size() ? t[p] : 7);
    for (std::size_t layer = 0; layer < c.n_layers; ++layer) {
      for (std::size_t i = 0; i < c.head_dim; ++i) {
        k[i] = std::sin(static_cast<float>((state + i + layer) % 1000));
        v[i] = std::cos(static_cast<float>((state + i + layer) % 1000));
      }
      const kv_view view{pages.data(), layer * kv_head_bytes(type, c.head_dim),
                         c.head_dim, type};
      store_kv(view, p, k.data(), v.data());
    }
  }
}

// A cache with its pool.
struct fixture {
  model_config config;
  kv_type type;
  kv_pool pool;
  prefix_cache cache;
  prefix_key key;

  explicit fixture(std::size_t window = 0, kv_type t = kv_type::int8,
                   std::size_t pages = 100)
      : config(config_of(window)),
        type(t),
        pool(config, t, pages * kv_bytes_per_token(config, t) * page_tokens),
        cache(window, 10000),
        key(key_of(config, t)) {
    pool.set_reclaim([this] { return cache.evict(); });
  }

  void add(const text& t, domain_id domain = 0, prefix_root root = {}) {
    kv_sequence s(pool, config);
    const prefix_match match = cache.find(root, domain, t);
    if (match.length > 0) s.adopt(match.pages, match.length);
    for (std::size_t n = s.length(); n < t.size();) {
      n = std::min(t.size(), (n / page_tokens + 1) * page_tokens);
      REQUIRE_OK(s.reserve(n));
      // All slots, also those that the text does not reach.
      fill_page(config, type, t, s.pages().size() - 1, s.pages().back().data(),
                page_tokens);
      s.commit(n);
    }
    cache.insert(root, domain, t, s.pages());
  }

  // The pages are those of the text, and behind its end there are zeros.
  void check(const text& t, domain_id domain = 0, prefix_root root = {}) {
    const prefix_match match = cache.find(root, domain, t);
    REQUIRE(match.length == t.size());
    for (std::size_t i = 0; i < match.pages.size(); ++i) {
      if (!match.pages[i]) continue;
      const std::size_t slots = std::min(page_tokens, t.size() - i * 64);
      auto expected = aligned_array<std::byte>::create(pool.page_bytes());
      REQUIRE_OK(expected);
      fill_page(config, type, t, i, expected->data(), slots);
      REQUIRE(std::memcmp(expected->data(), match.pages[i].data(),
                          pool.page_bytes()) == 0);
    }
  }

  [[nodiscard]] result<prefix_report> save(const fs::path& to,
                                           std::size_t max_bytes = 1 << 30) {
    return save_prefixes({to, max_bytes, 0.0}, key, cache);
  }
  [[nodiscard]] result<prefix_report> load(const fs::path& from,
                                           std::size_t max_pages = 1000) {
    return load_prefixes({from}, key, cache, pool, max_pages);
  }
};

std::string read_all(const fs::path& p) {
  std::ifstream file(p, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_all(const fs::path& p, std::string_view bytes) {
  fs::remove(p);
  std::ofstream(p, std::ios::binary) << bytes;
  fs::permissions(p, fs::perms(0600));
}

std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> all;
  for (const auto& e : fs::directory_iterator(folder)) all.push_back(e.path());
  std::sort(all.begin(), all.end());
  return all;
}

std::uint64_t bytes_in(const fs::path& folder) {
  std::uint64_t n = 0;
  for (const auto& f : files_in(folder)) n += fs::file_size(f);
  return n;
}

// A folder with one good file, of 150 tokens, and what may be done to it.
struct one_file {
  temp_folder outer;
  fs::path folder = outer.path() / "cache";
  fs::path file;
  std::string good;
  text ids = made_up_prompt(150, 1, 1000);
  std::size_t page_bytes = 0;

  explicit one_file(kv_type type = kv_type::int8) {
    fixture f(0, type);
    f.add(ids);
    REQUIRE_OK(f.save(folder));
    REQUIRE(files_in(folder).size() == 1);
    file = files_in(folder)[0];
    good = read_all(file);
    page_bytes = f.pool.page_bytes();
    REQUIRE(good.size() == 4096 + 3 * page_bytes);
  }

  // What is said of these bytes in its place; nothing of them is loaded.
  std::string fault_of(std::string_view bytes, kv_type type = kv_type::int8,
                       const std::string& made_from = "") {
    write_all(file, bytes);
    return fault(type, made_from);
  }
  std::string fault(kv_type type = kv_type::int8,
                    const std::string& made_from = "") {
    fixture f(0, type);
    if (!made_from.empty()) f.key.made_from = made_from;
    const auto report = f.load(folder);
    REQUIRE_OK(report);
    REQUIRE(report->n_tokens == 0);
    REQUIRE(f.pool.pages_in_use() == 0);
    REQUIRE(f.cache.n_nodes() == 2);
    return report->note;
  }
};

bool has(const std::string& s, std::string_view part) {
  return s.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("what a folder keeps comes back byte for byte, in every cache type") {
  for (const kv_type type : kv_types) {
    for (const std::size_t window : {0, 80}) {
      INFO(to_string(type) << ", window " << window);
      const temp_folder folder;
      const text a = made_up_prompt(300, 1, 1000);
      const text b = made_up_prompt(64, 2, 1000);
      text c = a;
      c.resize(128);
      const text tail = made_up_prompt(100, 3, 1000);
      c.insert(c.end(), tail.begin(), tail.end());
      const text head = made_up_prompt(130, 4, 1000);
      text d = head;
      d.resize(128);
      d.insert(d.end(), tail.begin(), tail.end());
      const auto make = [&](fixture& f) {
        f.add(a, 1);
        f.add(b, 2);
        f.add(c, 1);
        f.add(head, shared_domain);
        f.add(d, 1);
        f.add(b, 1, {true});
      };
      fixture from(window, type);
      make(from);
      const auto saved = from.save(folder.path() / "cache");
      REQUIRE_OK(saved);
      CHECK(saved->note.empty());

      fixture to(window, type);
      const auto loaded = to.load(folder.path() / "cache");
      REQUIRE_OK(loaded);
      CHECK(loaded->note.empty());
      CHECK(loaded->n_tokens == saved->n_tokens);
      CHECK(to.cache.n_cached_pages() == from.cache.n_cached_pages());
      to.check(a, 1);
      to.check(b, 2);
      to.check(c, 1);
      to.check(head, shared_domain);
      to.check(d, 1);
      to.check(b, 1, {true});
      CHECK(to.cache.find({}, 3, a).length == 0);
      CHECK(to.cache.find({}, 3, d).length == 128);
      CHECK(to.cache.find({}, 2, d).length == 128);
      // Of each domain the same is found as before, and in the same order of
      // use.
      fixture again(window, type);
      make(again);
      const auto x = again.cache.branches();
      fixture fresh(window, type);
      REQUIRE_OK(fresh.load(folder.path() / "cache"));
      const auto y = fresh.cache.branches();
      REQUIRE(x.size() == y.size());
      for (std::size_t i = 0; i < x.size(); ++i) {
        INFO(i << " " << x.size());
        CHECK(x[i].text == y[i].text);
        CHECK(x[i].domain == y[i].domain);
        CHECK(x[i].n_shared == y[i].n_shared);
      }
    }
  }
}

TEST_CASE("positions behind a text's end are zeros, whatever the type") {
  for (const kv_type type : kv_types) {
    for (const std::uint32_t head_dim : {20u, 32u, 48u, 96u}) {
      const model_config c = config_of(0, head_dim);
      const prefix_key key = key_of(c, type);
      const std::size_t n = 2 * kv_head_bytes(type, head_dim);
      const text t = made_up_prompt(64, 1, 1000);
      for (const std::size_t from : {0, 1, 22, 37, 63}) {
        INFO(to_string(type) << " " << head_dim << " from " << from);
        auto all = aligned_array<std::byte>::create(n);
        auto some = aligned_array<std::byte>::create(n);
        REQUIRE_OK(all);
        REQUIRE_OK(some);
        fill_page(c, type, t, 0, all->data(), 64);
        fill_page(c, type, t, 0, some->data(), from);
        CHECK(detail::page_is_finite(key, all->data()));
        detail::clear_positions(key, from, all->data());
        CHECK(std::memcmp(all->data(), some->data(), n) == 0);
      }
    }
  }
}

TEST_CASE("a page with an infinity or a NaN among its numbers is refused") {
  for (const kv_type type : kv_types) {
    INFO(to_string(type));
    one_file one(type);
    const prefix_key key = key_of(config_of(0), type);
    const auto read = [&](std::string& bytes) {
      const int fd = ::open(one.file.c_str(), O_RDONLY);
      auto h = detail::read_prefix_header(fd, bytes.size(), key);
      ::close(fd);
      REQUIRE_OK(h);
      return *std::move(h);
    };
    std::string bytes = one.good;
    auto h = read(bytes);
    // The second head's first key scale, or its first key.
    const std::size_t at =
        4096 + one.page_bytes + one.page_bytes / 2 +
        (has_int8_keys(type) ? kv_padded(20) * page_tokens : 0);
    for (const float bad : {std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::quiet_NaN()}) {
      if (type == kv_type::f16) {
        const f16 half = to_f16(bad);
        std::memcpy(bytes.data() + at, &half, 2);
      } else {
        std::memcpy(bytes.data() + at, &bad, 4);
      }
      h.page_hashes[1] = content_hash_of(std::as_bytes(
          std::span(bytes).subspan(4096 + one.page_bytes, one.page_bytes)));
      const std::string header = detail::encode_prefix_header(h, key);
      bytes.replace(0, header.size(), header);
      CHECK(has(one.fault_of(bytes, type),
                "its page 1 has numbers that are not finite"));
    }
  }
}

TEST_CASE("a changed byte anywhere in a header, or in a page, is noticed") {
  one_file one;
  for (std::size_t i = 0; i < 4096; ++i) {
    INFO("byte " << i);
    std::string bytes = one.good;
    bytes[i] = static_cast<char>(bytes[i] ^ (1 << i % 8));
    const std::string fault = one.fault_of(bytes);
    REQUIRE(has(fault, "1 files of cached texts are ignored"));
    REQUIRE(has(fault, one.file.filename().string()));
  }
  for (std::size_t i = 4096; i < one.good.size(); i += 997) {
    std::string bytes = one.good;
    bytes[i] = static_cast<char>(bytes[i] ^ 64);
    REQUIRE(has(one.fault_of(bytes), "is damaged"));
    // It is gone, so that it can be written again.
    REQUIRE(!fs::exists(one.file));
  }
}

TEST_CASE("a header whose numbers are out of range is refused with them") {
  one_file one;
  const prefix_key key = key_of(config_of(0), kv_type::int8);
  detail::prefix_header good;
  good.ids = one.ids;
  good.page_hashes.resize(3);
  for (std::size_t i = 0; i < 3; ++i) {
    good.page_hashes[i] =
        content_hash_of(std::as_bytes(std::span(one.good).subspan(
            4096 + i * one.page_bytes, one.page_bytes)));
  }
  REQUIRE(detail::encode_prefix_header(good, key) == one.good.substr(0, 4096));
  const std::string pages = one.good.substr(4096);
  const auto fault = [&](auto&& change) {
    detail::prefix_header h = good;
    change(h);
    return one.fault_of(detail::encode_prefix_header(h, key) + pages);
  };
  using header = detail::prefix_header;
  CHECK(has(fault([](header& h) { h.ids[7] = -1; }),
            "it has a token -1, allowed are ids from 0 to 999"));
  CHECK(has(fault([](header& h) { h.ids[149] = 1000; }), "a token 1000"));
  CHECK(has(fault([](header& h) { h.ids.clear(); }), "it has no tokens"));
  CHECK(has(fault([](header& h) { h.ids.resize(128); }), "bytes, of its"));
  CHECK(has(fault([](header& h) { h.ids.resize(2001); }),
            "its number of tokens is 2001, allowed is at most 2000"));
  CHECK(has(fault([](header& h) { h.first_page = 1; }), "bytes, of its"));
  CHECK(has(fault([](header& h) { h.first_page = 3; }),
            "its first page is 3, allowed is at most 2"));
  CHECK(has(fault([](header& h) { h.first_page = ~std::uint64_t{0}; }),
            "its first page"));
  CHECK(has(fault([](header& h) { h.n_shared = 151; }),
            "its number of shared tokens is 151, allowed is at most 150"));
  CHECK(has(fault([](header& h) { h.n_shared = 63; }), "its domain is not"));
  CHECK(has(fault([](header& h) { h.n_shared = 150; }), "its domain is not"));
  CHECK(has(fault([](header& h) { h.domain = shared_domain; }),
            "its domain is not"));
  // Where the model has no long factors there are none.
  fixture f;
  f.key.has_long_factors = false;
  detail::prefix_header h = good;
  h.long_factors = true;
  write_all(one.file, detail::encode_prefix_header(h, key) + pages);
  const auto report = f.load(one.folder);
  REQUIRE_OK(report);
  CHECK(has(report->note, "rotary factors is 1, allowed is at most 0"));
  CHECK(f.pool.pages_in_use() == 0);
}

TEST_CASE("a file cut short or lengthened anywhere is refused") {
  one_file one;
  std::set<std::size_t> sizes;
  for (std::size_t i = 0; i <= 4096; ++i) sizes.insert(i);
  for (std::size_t i = 4096; i < one.good.size(); i += 4096) sizes.insert(i);
  for (std::size_t i = 0; i < 3; ++i) {
    const std::size_t border = 4096 + i * one.page_bytes;
    sizes.insert({border - 1, border, border + 1});
  }
  sizes.insert(one.good.size() - 1);
  for (const std::size_t n : sizes) {
    INFO(n << " bytes");
    REQUIRE(!one.fault_of(one.good.substr(0, n)).empty());
  }
  REQUIRE(has(one.fault_of(one.good + "x"), "bytes, of its tokens"));
  fixture f;
  write_all(one.file, one.good);
  REQUIRE_OK(f.load(one.folder));
  f.check(one.ids);
}

TEST_CASE("swapped pages, other models and other cache types are refused") {
  one_file one;
  std::string bytes = one.good;
  std::swap_ranges(bytes.begin() + 4096,
                   bytes.begin() + 4096 + static_cast<int>(one.page_bytes),
                   bytes.begin() + 4096 + static_cast<int>(one.page_bytes));
  CHECK(has(one.fault_of(bytes), "its page 0 is damaged"));
  CHECK(has(one.fault_of(one.good, kv_type::int8, "another model"),
            "it is of another model, of other settings"));
  // Nobody knows whose it is, so it stays where it is.
  CHECK(fs::exists(one.file));
  // Same key, but for the type: as if somebody had renamed it.
  CHECK(has(one.fault_of(one.good, kv_type::f16), "bytes, of its tokens"));
}

TEST_CASE("links, pipes, folders and others' files are left alone") {
  one_file one;
  const fs::path elsewhere = one.outer.path() / "elsewhere";
  fs::rename(one.file, elsewhere);
  fs::create_symlink(elsewhere, one.file);
  CHECK(has(one.fault(), "it is a symbolic link"));
  fs::remove(one.file);
  REQUIRE(::mkfifo(one.file.c_str(), 0600) == 0);
  CHECK(has(one.fault(), "not a regular file"));
  fs::remove(one.file);
  fs::create_directory(one.file);
  CHECK(has(one.fault(), "not a regular file"));
  fs::remove(one.file);
  write_all(one.file, one.good);
  fs::permissions(one.file, fs::perms(0620));
  CHECK(has(one.fault(), "others may write to it"));
  if (::geteuid() == 0) {
    write_all(one.file, one.good);
    REQUIRE(::chown(one.file.c_str(), 12345, 12345) == 0);
    CHECK(has(one.fault(), "belongs to another user"));
  } else {
    WARN("not root: nobody else's file was tried");
  }

  // Other names are none of its business.
  fs::remove(one.file);
  for (const char* name :
       {"notes.txt", "0123.kv", "0123456789abcdef0123456789abcdeF.kv",
        "0123456789abcdef0123456789abcdef.kv2"}) {
    write_all(one.folder / name, one.good);
  }
  CHECK(one.fault().empty());
  fixture f;
  f.add(one.ids);
  REQUIRE_OK(f.save(one.folder, one.good.size()));
  CHECK(files_in(one.folder).size() == 5);

  // The folder itself.
  fs::permissions(one.folder, fs::perms(0777));
  for (const auto& report : {f.load(one.folder), f.save(one.folder)}) {
    REQUIRE(!report);
    CHECK(has(message_of(report), "nobody else may write (chmod 700)"));
  }
  fs::permissions(one.folder, fs::perms(0700));
  const fs::path link = one.outer.path() / "link";
  fs::create_directory_symlink(one.folder, link);
  CHECK(!f.load(link));
  CHECK(!f.save(link));
  CHECK(f.load(one.outer.path() / "absent")->n_files == 0);
  CHECK(!f.save(elsewhere / "below a file"));
  CHECK(!f.save(elsewhere));
}

TEST_CASE("what a killed process left behind is swept out after an hour") {
  one_file one;
  const fs::path young = one.file.string() + ".123456";
  const fs::path old = one.file.string() + ".98765";
  write_all(young, "x");
  write_all(old, "x");
  fs::last_write_time(old,
                      fs::file_time_type::clock::now() - std::chrono::hours(2));
  fixture f;
  REQUIRE_OK(f.load(one.folder));
  f.check(one.ids);
  CHECK(fs::exists(young));
  CHECK(!fs::exists(old));
}

TEST_CASE("folder and files are for their owner only") {
  one_file one;
  CHECK((fs::status(one.folder).permissions() & fs::perms::all) ==
        fs::perms(0700));
  CHECK((fs::status(one.file).permissions() & fs::perms::all) ==
        fs::perms(0600));
}

TEST_CASE("all files together stay below the cap, the latest used stay") {
  const temp_folder folder;
  fixture f;
  std::vector<text> texts;
  for (std::uint32_t i = 0; i < 6; ++i) {
    texts.push_back(made_up_prompt(128, i + 1, 1000));
    f.add(texts.back());
  }
  const std::size_t one = 4096 + 2 * f.pool.page_bytes();
  const auto saved = f.save(folder.path(), 3 * one + 100);
  REQUIRE_OK(saved);
  CHECK(saved->n_files == 3);
  CHECK(has(saved->note, "3 cached texts are not kept"));
  CHECK(bytes_in(folder.path()) == 3 * one);
  fixture g;
  REQUIRE_OK(g.load(folder.path()));
  for (std::size_t i = 0; i < 6; ++i) {
    CHECK(g.cache.find({}, 0, texts[i]).length == (i < 3 ? 0 : 128));
  }
  // Later, from another process, two more; now the oldest of before goes.
  fixture h;
  h.add(made_up_prompt(128, 50, 1000));
  h.add(made_up_prompt(128, 51, 1000));
  REQUIRE_OK(h.save(folder.path(), 3 * one + 100));
  CHECK(bytes_in(folder.path()) == 3 * one);
  fixture i;
  REQUIRE_OK(i.load(folder.path()));
  i.check(texts[5]);
  i.check(made_up_prompt(128, 50, 1000));
  CHECK(i.cache.find({}, 0, texts[4]).length == 0);
  // Nothing at all.
  REQUIRE_OK(h.save(folder.path(), 0));
  CHECK(bytes_in(folder.path()) == 0);
}

TEST_CASE("nothing is written where less of the disk is free than asked for") {
  const temp_folder folder;
  fixture f;
  f.add(made_up_prompt(128, 1, 1000));
  const auto saved =
      save_prefixes({folder.path(), 1 << 30, 1.0}, f.key, f.cache);
  REQUIRE_OK(saved);
  CHECK(saved->n_files == 0);
  CHECK(has(saved->note, "are allowed or left on the disk"));
  CHECK(files_in(folder.path()).empty());
}

TEST_CASE("pages that texts share are written once, and what is there stays") {
  const temp_folder folder;
  fixture f;
  const text head = made_up_prompt(256, 1, 1000);
  for (std::uint32_t i = 0; i < 4; ++i) {
    text t = head;
    const text tail = made_up_prompt(64, i + 10, 1000);
    t.insert(t.end(), tail.begin(), tail.end());
    f.add(t);
  }
  REQUIRE_OK(f.save(folder.path()));
  CHECK(bytes_in(folder.path()) == (4 + 4) * f.pool.page_bytes() + 4 * 4096);
  const auto files = files_in(folder.path());
  std::vector<::ino_t> inodes;
  const auto inode = [](const fs::path& p) {
    struct stat s;
    REQUIRE(::stat(p.c_str(), &s) == 0);
    return s.st_ino;
  };
  for (const auto& p : files) inodes.push_back(inode(p));
  REQUIRE_OK(f.save(folder.path()));
  CHECK(files_in(folder.path()) == files);
  for (std::size_t i = 0; i < files.size(); ++i) {
    CHECK(inode(files[i]) == inodes[i]);
  }
  // Without the one that holds the head, the others are of no use.
  const auto largest = *std::max_element(
      files.begin(), files.end(), [](const auto& a, const auto& b) {
        return fs::file_size(a) < fs::file_size(b);
      });
  fs::remove(largest);
  fixture g;
  const auto report = g.load(folder.path());
  REQUIRE_OK(report);
  CHECK(report->n_files == 0);
  CHECK(has(report->note, "3 files of cached texts are ignored"));
  CHECK(has(report->note, "goes on from another's"));
  CHECK(g.pool.pages_in_use() == 0);
}

TEST_CASE("texts of domains that are not named are not kept") {
  const temp_folder folder;
  fixture f;
  const text head = made_up_prompt(128, 1, 1000);
  f.add(head, shared_domain);
  for (const domain_id d : {1, 2}) {
    text t = head;
    const text tail =
        made_up_prompt(50, static_cast<std::uint32_t>(d) + 10, 1000);
    t.insert(t.end(), tail.begin(), tail.end());
    f.add(t, d);
  }
  REQUIRE_OK(save_prefixes(
      {folder.path(), 1 << 30, 0.0, [](domain_id d) { return d == 1; }}, f.key,
      f.cache));
  fixture g;
  REQUIRE_OK(g.load(folder.path()));
  for (const auto& b : f.cache.branches()) {
    CHECK(g.cache.find({}, b.domain, b.text).length ==
          (b.domain == 1 ? 178 : 128));
  }
  const std::string secret(
      reinterpret_cast<const char*>(f.cache.branches()[0].text.data()),
      4 * 178);
  CHECK(f.cache.branches()[0].domain == 2);
  for (const auto& p : files_in(folder.path())) {
    CHECK(!has(read_all(p), secret.substr(4 * 128)));
  }
}

TEST_CASE("no more is loaded than there is room for") {
  const temp_folder folder;
  fixture f;
  for (std::uint32_t i = 0; i < 5; ++i) f.add(made_up_prompt(150, i, 1000));
  REQUIRE_OK(f.save(folder.path()));
  fixture g;
  const auto report = g.load(folder.path(), 7);
  REQUIRE_OK(report);
  CHECK(report->n_files == 2);
  CHECK(g.pool.pages_in_use() == 6);
  CHECK(has(report->note, "no room for its pages"));
  g.check(made_up_prompt(150, 4, 1000));
  g.check(made_up_prompt(150, 3, 1000));
  fixture h(0, kv_type::int8, 4);
  REQUIRE_OK(h.load(folder.path()));
  CHECK(h.pool.pages_in_use() == 3);
  CHECK(files_in(folder.path()).size() == 5);
}

TEST_CASE("a disk that is full leaves no half file, and says so") {
  const temp_folder folder;
  fixture f;
  f.add(made_up_prompt(64, 1, 1000));
  const fs::path cache = folder.path() / "cache";
  REQUIRE_OK(f.save(cache));
  f.add(made_up_prompt(640, 2, 1000));
  const ::pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    // As large a file as one page takes, no more.
    ::signal(SIGXFSZ, SIG_IGN);
    const ::rlimit limit{4096 + 2 * f.pool.page_bytes(),
                         4096 + 2 * f.pool.page_bytes()};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const auto saved = f.save(cache);
    ::_exit(!saved && saved.error().code == error_code::io ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(files_in(cache).size() == 1);
  fixture g;
  REQUIRE_OK(g.load(cache));
  g.check(made_up_prompt(64, 1, 1000));
}

TEST_CASE("a process that is killed while it writes leaves whole files") {
  const temp_folder folder;
  const fs::path cache = folder.path() / "cache";
  std::size_t n_found = 0;
  for (unsigned i = 0; i < 20; ++i) {
    const ::pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      fixture f(0, kv_type::f32, 1000);
      for (std::uint32_t k = 0;; ++k) {
        f.cache.clear();
        for (std::uint32_t j = 0; j < 4; ++j) {
          f.add(made_up_prompt(640, 4 * k + j + 1000 * i, 1000));
        }
        if (!f.save(cache, 20 << 20)) ::_exit(1);
      }
    }
    ::usleep(15000 + 2000 * i);
    ::kill(child, SIGKILL);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    fixture g(0, kv_type::f32, 1000);
    const auto report = g.load(cache);
    REQUIRE_OK(report);
    REQUIRE(report->note.empty());
    n_found += report->n_files;
  }
  CHECK(n_found > 0);
}

TEST_CASE("a model's content is its numbers, however it was loaded") {
  team one(1), two(2);
  const model a = tiny_model("mini-4k"), b = tiny_model("mini-4k");
  const std::uint64_t hash = a.content_hash(one);
  CHECK(b.content_hash(two) == hash);
  CHECK(tiny_model("mini-128k").content_hash(one) != hash);
  model_config c = a.config();
  const auto random = [&](std::uint64_t seed) {
    auto m = model::random(c, dtype::q8_0, seed);
    REQUIRE_OK(m);
    return m->content_hash(two);
  };
  const std::uint64_t seven = random(7);
  CHECK(random(7) == seven);
  CHECK(random(8) != seven);
  c.rope.theta *= 2;
  CHECK(random(7) != seven);

  const auto key = [&](const model& m, kv_type type) {
    return prefix_key_of(m, type, one).made_from;
  };
  CHECK(key(a, kv_type::f32) == key(b, kv_type::f32));
  CHECK(key(a, kv_type::f32) != key(a, kv_type::f16));
  CHECK(key(a, kv_type::f32) !=
        key(tiny_model("mini-4k", false), kv_type::f32));
}

namespace {

struct answered {
  text ids;
  std::size_t cached = 0;
  std::string note;
};

// Two requests to a scheduler of its own that keeps its cache there.
std::vector<answered> ask(const model& m, const fs::path& folder,
                          std::size_t prompt_tokens, bool drive = false) {
  engine_options o;
  o.n_threads = 1;
  o.cache_folder = folder;
  o.kv_bytes = 40 * page_tokens * kv_bytes_per_token(m.config(), kv_type::int8);
  o.cache_type = kv_type::int8;
  const auto s = std::make_unique<scheduler>(m, o);
  std::vector<answered> all;
  for (const std::uint32_t seed : {1u, 2u}) {
    const auto q = s->submit(
        made_up_prompt(prompt_tokens, seed, m.config().vocab_size),
        {.max_tokens = 20, .ignore_stop_ids = true, .cache_domain = seed});
    while (s->next_piece(*q)) {
    }
    CHECK(!q->seen().error);
    answered a;
    for (const sampled_token& t : q->seen().tokens) a.ids.push_back(t.id);
    a.cached = q->seen().usage.cached_tokens;
    a.note = s->cache_note();
    all.push_back(std::move(a));
  }
  if (drive) {
    REQUIRE_OK(s->drive({{}, std::chrono::steady_clock::now()}));
    CHECK(!files_in(folder).empty());
  }
  return all;
}

}  // namespace

TEST_CASE(
    "answers are the same after a restart, and prompts are not read again") {
  struct shape {
    const char* name;
    std::size_t prompt;
  };
  for (const shape& s : {shape{"medium-128k", 150}, shape{"mini-4k", 40},
                         shape{"small-128k", 10}, shape{"small-128k", 150}}) {
    for (const bool exact : {true, false}) {
      INFO(s.name << (exact ? ", exact" : ", integer"));
      const temp_folder folder;
      const fs::path cache = folder.path() / "cache";
      const model m = tiny_model(s.name, exact);
      const auto first = ask(m, cache, s.prompt);
      const auto second = ask(tiny_model(s.name, exact), cache, s.prompt);
      for (std::size_t i = 0; i < 2; ++i) {
        CHECK(first[i].cached == 0);
        CHECK(first[i].note.empty());
        CHECK(second[i].cached == s.prompt - 1);
        CHECK(second[i].ids == first[i].ids);
        CHECK(second[i].note.empty());
      }
      // Another model finds nothing that is its own, and says so, once.
      const auto other = ask(tiny_model("phi-4-mini", exact), cache, s.prompt);
      CHECK(other[0].cached == 0);
      CHECK(has(other[0].note, "it is of another model, of other settings"));
      // Damaged files change nothing but the time that it takes.
      for (const auto& p : files_in(cache)) {
        std::string bytes = read_all(p);
        bytes[bytes.size() - 100] ^= 1;
        bytes[5000] = static_cast<char>(bytes[5000] ^ 1);
        write_all(p, bytes);
      }
      const auto third = ask(m, cache, s.prompt, true);
      for (std::size_t i = 0; i < 2; ++i) CHECK(third[i].ids == first[i].ids);
      CHECK(has(third[0].note, "are ignored"));
      CHECK(ask(m, cache, s.prompt)[0].cached == s.prompt - 1);
    }
  }
}

TEST_CASE("a folder that cannot be used is said in a note, and harms nothing") {
  const temp_folder folder;
  const auto file = folder.write("file", "not a folder");
  const model m = tiny_model("medium-128k");
  const auto a = ask(m, file, 100);
  CHECK(has(a[0].note, file.string()));
  CHECK(a[0].ids.size() == 20);
}
