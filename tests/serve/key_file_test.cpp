// SPDX-License-Identifier: MIT
#include "tinyphi/serve/key_file.h"

#include <sys/stat.h>

#include "support/temp_folder.h"
#include "support/test.h"

namespace {

using tinyphi::diagnostic;
using tinyphi::key_entry;

// Digests of "sk-alice", "sk-bob" and "sk-carol".
const std::string alice =
    "blake2b = "
    "\"aeb8a0c1be65a54d1f6503da6f6e064f64b091b2a54a9cdc9a63cf0c24364da0\"\n";
const std::string bob =
    "blake2b = "
    "\"54629b439e6bc0a06bf62f2aa685141b0745181e1b308bf02355c35525dbcf83\"\n";
const std::string carol =
    "blake2b = "
    "\"435d24dc8f8c124a7cdf321579c68b8234e2ab3b05c1109c3aaa0e89c011a7db\"\n";

std::string faults_of(std::string_view text) {
  std::vector<diagnostic> faults;
  const auto keys = tinyphi::read_keys(text, faults);
  CHECK(keys.has_value() == faults.empty());
  return to_string(faults, "k.toml");
}

std::vector<key_entry> keys_of(std::string_view text) {
  std::vector<diagnostic> faults;
  auto keys = tinyphi::read_keys(text, faults);
  INFO(to_string(faults, "k.toml"));
  REQUIRE(keys.has_value());
  return *std::move(keys);
}

// A key in line 1, its digest in line 2, `extra` in line 3.
std::string with(const std::string& extra) {
  return "[key.alice]\n" + alice + extra + "\n";
}

}  // namespace

TEST_CASE("a key has what its table says, and defaults") {
  const auto keys = keys_of(
      "tinyphi = 1\n[key.alice]\n" + alice +
      "weight = 2\nclass = \"interactive\"\nconcurrency = 4\nqueue = 8\n"
      "requests_per_minute = 60\ntokens_per_minute = 1000\n"
      "models = [\"phi\", \"pipeline:docs\"]\nadmin = true\n"
      "[key.\"bob@home\"]\n" +
      bob);
  REQUIRE(keys.size() == 2);
  const tinyphi::caller& a = keys[0].who;
  CHECK(a.name == "alice");
  CHECK(a.weight == 2);
  CHECK(a.best_class == tinyphi::priority_class::interactive);
  CHECK(a.limits.concurrency == 4);
  CHECK(a.limits.queue == 8);
  CHECK(a.limits.requests_per_minute == 60);
  CHECK(a.limits.tokens_per_minute == 1000);
  CHECK(a.models == std::vector<std::string>{"phi", "pipeline:docs"});
  CHECK(a.admin);
  CHECK(keys[0].digest == tinyphi::blake2b_256("sk-alice"));
  const tinyphi::caller& b = keys[1].who;
  CHECK(b.name == "bob@home");
  CHECK(b.weight == 1);
  CHECK(b.best_class == tinyphi::priority_class::normal);
  CHECK(b.limits.concurrency == 0);
  CHECK(b.limits.requests_per_minute == 0);
  CHECK(b.models.empty());
  CHECK_FALSE(b.admin);
  CHECK(a.tenant != b.tenant);
  CHECK(a.domain != b.domain);
}

TEST_CASE("every rule of the key file is checked where it is broken") {
  struct broken {
    std::string text;
    std::string faults;
  };
  const std::string too_many = [] {
    std::string text;
    for (int i = 0; i < 1025; ++i) {
      text += "[key.k" + std::to_string(i) + "]\n";
    }
    return text;
  }();
  const broken all[] = {
      {"",
       "k.toml: error[TP6004]: the file has no [key.NAME], so nobody "
       "could ask"},
      {"[key]\n", "k.toml: error[TP6004]: the file has no [key.NAME]"},
      {"[key.a\n", "k.toml:1:7: error[TP1001]: not TOML: "},
      {"tinyphi = 2\n" + with(""),
       "k.toml:1:11: error[TP1006]: this program reads version 1 of the "
       "language: 'tinyphi = 1'"},
      {"[keys.alice]\n" + alice,
       "k.toml:1:2: error[TP1002]: unknown key 'keys'; did you mean 'key'?"},
      {"key = 5\n",
       "k.toml:1:7: error[TP1004]: [key] is an integer, not a table"},
      {"key.alice = 5\n",
       "k.toml:1:13: error[TP1004]: key 'alice' is an integer, not a table"},
      {too_many,
       "k.toml:1:2: error[TP1005]: [key] has 1025 entries, allowed "
       "are 1024"},
      {with("wieght = 2"),
       "k.toml:3:1: error[TP1002]: key 'alice': unknown key 'wieght'; did you "
       "mean 'weight'?"},
      {"[key.\"a b\"]\n" + alice,
       "k.toml:1:6: error[TP1007]: key 'a b': a name is a letter or digit and "
       "up to 63 letters, digits and '.', '_', '@', '-'"},
      {"[key.alice]\n",
       "k.toml:1:6: error[TP1003]: key 'alice': blake2b is missing; printf %s "
       "\"$SECRET\" | b2sum -l 256 prints it"},
      {"[key.alice]\nblake2b = \"sk-alice\"\n",
       "k.toml:2:11: error[TP6006]: key 'alice': blake2b must be 64 "
       "hexadecimal digits, the digest of the secret, as printf %s "
       "\"$SECRET\" | b2sum -l 256 prints it"},
      {"[key.alice]\nblake2b = \"" + std::string(63, 'a') + "g\"\n",
       "k.toml:2:11: error[TP6006]: key 'alice': blake2b must be 64 "},
      {"[key.alice]\nblake2b = 7\n",
       "k.toml:2:11: error[TP1004]: key 'alice': blake2b is an integer, it "
       "must be a string"},
      {with("[key.bob]\n" + alice),
       "k.toml:3:6: error[TP6007]: key 'bob' has the secret of key 'alice'"},
      {with("weight = 0.001"),
       "k.toml:3:10: error[TP1005]: key 'alice': weight is 0.001, allowed are "
       "0.01 to 100"},
      {with("weight = nan"),
       "k.toml:3:10: error[TP1005]: key 'alice': weight is nan, allowed are "
       "0.01 to 100"},
      {with("weight = \"2\""),
       "k.toml:3:10: error[TP1004]: key 'alice': weight is a string, it must "
       "be a number"},
      {with("class = \"interactiv\""),
       "k.toml:3:9: error[TP1005]: key 'alice': class is 'interactiv', allowed "
       "are interactive, normal, batch; did you mean 'interactive'?"},
      {with("concurrency = 0"),
       "k.toml:3:15: error[TP1005]: key 'alice': concurrency is 0, allowed are "
       "1 to 4096"},
      {with("concurrency = 4097"),
       "k.toml:3:15: error[TP1005]: key 'alice': concurrency is 4097, allowed "
       "are 1 to 4096"},
      {with("queue = 3"),
       "k.toml:3:1: error[TP1003]: key 'alice': queue has no effect without "
       "concurrency"},
      {with("concurrency = 1\nqueue = -1"),
       "k.toml:4:9: error[TP1005]: key 'alice': queue is -1, allowed are 0 to "
       "4096"},
      {with("requests_per_minute = 0"),
       "k.toml:3:23: error[TP1005]: key 'alice': requests_per_minute is 0, "
       "allowed are 1 to 1000000000"},
      {with("tokens_per_minute = 1.5"),
       "k.toml:3:21: error[TP1004]: key 'alice': tokens_per_minute is a "
       "number, it must be an integer"},
      {with("models = []"),
       "k.toml:3:10: error[TP1005]: key 'alice': models is empty; leave it out "
       "to allow all"},
      {with("models = [\"a\", 5]"),
       "k.toml:3:16: error[TP1004]: key 'alice': models has an integer in it, "
       "each must be a string"},
      {with("share_cache_with = [\"alcie\"]"),
       "k.toml:3:21: error[TP6008]: key 'alice': share_cache_with: there is no "
       "key 'alcie'; did you mean 'alice'?"},
      {with("admin = \"yes\""),
       "k.toml:3:9: error[TP1004]: key 'alice': admin is a string, it must be "
       "true or false"},
      {with("admin = 1979-05-27"),
       "k.toml:3:9: error[TP1004]: dates and times have no use in a key file; "
       "write a string"},
  };
  for (const broken& b : all) {
    const std::string found = faults_of(b.text);
    CAPTURE(b.text.substr(0, 200), b.faults);
    CHECK(found.substr(0, b.faults.size()) == b.faults);
    // No file is wrong twice for one mistake; where there are many keys all of
    // them are left out.
    if (!b.faults.ends_with("\n") && !b.faults.ends_with(": ")) {
      CHECK(std::ranges::count(found, '\n') == 0);
    }
  }
}

TEST_CASE("a secret in the place of its digest is not told") {
  CHECK(faults_of("[key.alice]\nblake2b = \"sk-alice\"\n").find("sk-alice") ==
        std::string::npos);
}

TEST_CASE("who shares a cache is one domain, over others and both ways") {
  const auto keys =
      keys_of("[key.a]\n" + alice + "share_cache_with = [\"b\"]\n[key.b]\n" +
              bob + "share_cache_with = [\"b\"]\n[key.c]\n" + carol +
              "share_cache_with = [\"b\"]\n[key.d]\nblake2b = \"" +
              std::string(64, '1') + "\"\n");
  REQUIRE(keys.size() == 4);
  CHECK(keys[0].who.domain == keys[1].who.domain);
  CHECK(keys[2].who.domain == keys[1].who.domain);
  CHECK(keys[3].who.domain != keys[1].who.domain);
  CHECK(keys[0].who.tenant != keys[1].who.tenant);
}

TEST_CASE("one key joins all whom it names") {
  const auto keys =
      keys_of("[key.a]\n" + alice + "share_cache_with = [\"b\", \"c\"]\n" +
              "[key.b]\n" + bob + "[key.c]\n" + carol);
  REQUIRE(keys.size() == 3);
  CHECK(keys[0].who.domain == keys[1].who.domain);
  CHECK(keys[0].who.domain == keys[2].who.domain);
}

TEST_CASE("tenants and domains are those of names, whatever else changes") {
  const auto before = keys_of("[key.b]\n" + alice);
  const auto after =
      keys_of("[key.a]\n" + alice + "[key.b]\n" + bob + "weight = 5\n");
  CHECK(before[0].who.tenant == after[1].who.tenant);
  CHECK(before[0].who.domain == after[1].who.domain);
  // Caches on disk depend on these numbers.
  CHECK(before[0].who.tenant == tinyphi::stable_number("tenant of key", {"b"}));
  CHECK(before[0].who.domain ==
        tinyphi::stable_number("domain of keys", {"b,"}));
  // Who joins a domain finds nothing of before.
  const auto shared = keys_of("[key.a]\n" + alice + "[key.b]\n" + bob +
                              "share_cache_with = [\"a\"]\n");
  CHECK(shared[1].who.domain != before[0].who.domain);
}

TEST_CASE("a file of many wrong names is refused in bounded time") {
  std::string text = with("share_cache_with = [");
  for (int i = 0; i < 200; ++i) text += "\"x" + std::to_string(i) + "\",";
  text += "]\n";
  for (int i = 0; i < 1000; ++i) {
    text += "[key.k" + std::to_string(i) + "]\nshare_cache_with = [";
    for (int j = 0; j < 100; ++j) text += "\"y\",";
    text += "]\n";
  }
  std::vector<diagnostic> faults;
  const auto began = std::chrono::steady_clock::now();
  CHECK_FALSE(tinyphi::read_keys(text, faults).has_value());
  CHECK(faults.size() > 100'000);
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(10));
}

TEST_CASE("a key file must be closed to others and at most 1 MiB") {
  const tinyphi_test::temp_folder folder;
  const auto file = folder.write("keys.toml", with(""));
  for (const mode_t mode : {0400U, 0440U, 0600U, 0640U}) {
    REQUIRE(::chmod(file.c_str(), mode) == 0);
    CAPTURE(mode);
    REQUIRE_OK(tinyphi::load_keys(file));
  }
  for (const mode_t mode : {0604U, 0644U, 0660U, 0601U, 0602U}) {
    REQUIRE(::chmod(file.c_str(), mode) == 0);
    CAPTURE(mode);
    const auto refused = tinyphi::load_keys(file);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().message.find("chmod 0600") != std::string::npos);
  }
  if (::geteuid() == 0) {
    REQUIRE(::chmod(file.c_str(), 0600) == 0);
    REQUIRE(::chown(file.c_str(), 12345, 0) == 0);
    const auto refused = tinyphi::load_keys(file);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().message.find("is of user 12345") !=
          std::string::npos);
  }
  const auto big = folder.write("big.toml", std::string((1 << 20) + 1, '#'));
  REQUIRE(::chmod(big.c_str(), 0600) == 0);
  const auto too_big = tinyphi::load_keys(big);
  REQUIRE_FALSE(too_big.has_value());
  CHECK(too_big.error().code == tinyphi::error_code::limit);
  const auto not_a_file = tinyphi::load_keys(folder.path());
  REQUIRE_FALSE(not_a_file.has_value());
  CHECK(not_a_file.error().message.find("a folder") != std::string::npos);
}

TEST_CASE("load_keys tells every fault with its place") {
  const tinyphi_test::temp_folder folder;
  const auto file = folder.write("keys.toml", with("x = 1\ny = 2"));
  REQUIRE(::chmod(file.c_str(), 0600) == 0);
  const auto refused = tinyphi::load_keys(file);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == tinyphi::error_code::bad_data);
  CHECK(refused.error().message.find("keys.toml:3:1") != std::string::npos);
  CHECK(refused.error().message.find("keys.toml:4:1") != std::string::npos);
}

TEST_CASE("a credential is a file in the folder that systemd gives") {
  CHECK(*tinyphi::resolve_key_file("credential:keys", "/run/c") ==
        "/run/c/keys");
  CHECK(*tinyphi::resolve_key_file("/etc/keys.toml", "") == "/etc/keys.toml");
  const auto none = tinyphi::resolve_key_file("credential:keys", "");
  REQUIRE_FALSE(none.has_value());
  CHECK(none.error().code == tinyphi::error_code::not_found);
  CHECK(none.error().message.find("LoadCredential=keys:") != std::string::npos);
}
