// SPDX-License-Identifier: MIT
#include "tinyphi/generate/swap_file.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <map>
#include <random>
#include <set>
#include <string>

#include "support/temp_folder.h"
#include "support/test.h"

using namespace tinyphi;
using tinyphi_test::message_of;
using tinyphi_test::temp_folder;

namespace {

model_config small_config() {
  model_config c;
  c.n_layers = c.n_heads = c.n_kv_heads = 2;
  c.head_dim = 32;
  return c;
}

struct fixture {
  temp_folder folder;
  model_config config = small_config();
  kv_pool pool{config, kv_type::int8, std::size_t{1} << 22};

  [[nodiscard]] kv_page page(unsigned seed) {
    auto p = pool.acquire();
    REQUIRE_OK(p);
    std::mt19937 random(seed);
    for (std::size_t i = 0; i < pool.page_bytes(); ++i) {
      p->data()[i] = static_cast<std::byte>(random());
    }
    return *std::move(p);
  }
  [[nodiscard]] bool same(const kv_page& a, const kv_page& b) const {
    return std::memcmp(a.data(), b.data(), pool.page_bytes()) == 0;
  }
  [[nodiscard]] swap_file file(std::size_t pages) {
    auto f = swap_file::create(folder.path(), pool.page_bytes(),
                               pages * pool.page_bytes() + 100);
    REQUIRE_OK(f);
    return *std::move(f);
  }
};

// The path of an open file without a name in that folder.
std::string unnamed_in(const std::filesystem::path& folder) {
  for (const auto& e : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::array<char, 4096> to{};
    if (::readlink(e.path().c_str(), to.data(), to.size() - 1) < 0) continue;
    const std::string name = to.data();
    if (name.starts_with(folder.string()) && name.ends_with("(deleted)")) {
      return e.path();
    }
  }
  return "";
}

}  // namespace

TEST_CASE("pages come back as they went, over 2000 random moves") {
  fixture f;
  swap_file file = f.file(20);
  CHECK(file.max_slots() == 20);
  CHECK(file.write_speed() == 0);
  std::mt19937 random(1);
  std::map<swap_file::slot, unsigned> held;
  for (unsigned i = 0; i < 2000; ++i) {
    if (random() % 2 == 0) {
      const auto s = file.write(f.page(i));
      REQUIRE(s.has_value() == (held.size() < 20));
      if (s) REQUIRE(held.emplace(*s, i).second);
    } else if (!held.empty()) {
      const auto at =
          std::next(held.begin(), static_cast<int>(random() % held.size()));
      kv_page p = f.page(0);
      REQUIRE_OK(file.read(at->first, p));
      REQUIRE(f.same(p, f.page(at->second)));
      file.release(at->first);
      held.erase(at);
    }
    REQUIRE(file.slots_in_use() == held.size());
  }
  CHECK(file.write_speed() > 0);
  CHECK(file.read_speed() > 0);
}

TEST_CASE("the file has no name, no more bytes than allowed, and goes away") {
  fixture f;
  {
    swap_file file = f.file(3);
    for (unsigned i = 0; i < 3; ++i) CHECK(file.write(f.page(i)));
    CHECK(!file.write(f.page(4)));
    CHECK(std::filesystem::is_empty(f.folder.path()));
    const std::string open = unnamed_in(f.folder.path());
    REQUIRE(!open.empty());
    CHECK(std::filesystem::file_size(open) == 3 * f.pool.page_bytes());
    const swap_file moved = std::move(file);
    CHECK(moved.slots_in_use() == 3);
  }
  CHECK(unnamed_in(f.folder.path()).empty());
  swap_file none = f.file(0);
  CHECK(!none.write(f.page(1)));
}

TEST_CASE("a page that the disk changed is an error, not an answer") {
  fixture f;
  swap_file file = f.file(2);
  const auto a = file.write(f.page(1)), b = file.write(f.page(2));
  REQUIRE((a && b));
  const std::string open = unnamed_in(f.folder.path());
  std::filesystem::resize_file(open, f.pool.page_bytes() + 10);
  kv_page p = f.page(0);
  REQUIRE_OK(file.read(*a, p));
  CHECK(f.same(p, f.page(1)));
  const auto changed = file.read(*b, p);
  REQUIRE(!changed);
  CHECK(changed.error().code == error_code::bad_data);
  CHECK(message_of(changed).find("has changed; its text") != std::string::npos);
}

TEST_CASE("a folder that is not there is an error, a full disk no slot") {
  fixture f;
  const auto none =
      swap_file::create(f.folder.path() / "absent", f.pool.page_bytes(), 1000);
  REQUIRE(!none);
  CHECK(none.error().code == error_code::not_found);

  swap_file file = f.file(10);
  REQUIRE(file.write(f.page(1)));
  const ::pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const ::rlimit limit{2 * f.pool.page_bytes() + 5,
                         2 * f.pool.page_bytes() + 5};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const bool second = file.write(f.page(2)).has_value();
    const bool third = file.write(f.page(3)).has_value();
    ::_exit(second && !third && file.slots_in_use() == 2 ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}
