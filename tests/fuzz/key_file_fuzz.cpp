// SPDX-License-Identifier: MIT
// Any bytes as a key file and as a daemon's file: refused with places inside
// them, or read as what the daemon can rely on.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string_view>

#include "tinyphi/serve/daemon_config.h"
#include "tinyphi/serve/key_ring.h"

namespace {

using tinyphi::diagnostic;

void require(bool holds) {
  if (!holds) std::abort();
}

void check_faults(const std::vector<diagnostic>& faults, bool accepted,
                  std::string_view text) {
  require(faults.empty() == accepted);
  const auto lines = static_cast<std::size_t>(std::ranges::count(text, '\n'));
  for (const diagnostic& d : faults) {
    require(!d.message.empty() && d.at.line <= lines + 1);
  }
  (void)to_json(faults, "fuzz.toml");
}

void check_keys(std::string_view text) {
  std::vector<diagnostic> faults;
  auto keys = tinyphi::read_keys(text, faults);
  check_faults(faults, keys.has_value(), text);
  if (!keys) return;
  require(!keys->empty());
  std::set<std::uint64_t> tenants;
  std::set<tinyphi::blake2b_digest> digests;
  for (const tinyphi::key_entry& key : *keys) {
    require(tenants.insert(key.who.tenant).second);
    require(digests.insert(key.digest).second);
    require(key.who.weight >= 0.01 && key.who.weight <= 100);
    require(key.who.domain != tinyphi::shared_domain);
    require(key.who.limits.concurrency <= 4096);
    require(key.who.limits.queue <= 4096);
  }
  require(tinyphi::key_ring(*std::move(keys)).find("\x01 no such") == nullptr);
}

void check_config(std::string_view text) {
  std::vector<diagnostic> faults;
  const auto c = tinyphi::read_daemon_config(text, "/t/fuzz.toml", faults);
  check_faults(faults, c.has_value(), text);
  if (!c) return;
  require(!c->listen.empty() && !(c->models.empty() && c->pipelines.empty()));
  for (const tinyphi::listen_address& a : c->listen) {
    const auto again = tinyphi::parse_listen(to_string(a));
    require(again.has_value());
    if (a.kind == tinyphi::listen_kind::unix_socket) {
      require(a.path.is_absolute());
    } else if (a.kind == tinyphi::listen_kind::tcp) {
      require(*again == a);
      require(tinyphi::is_loopback(a.host) ||
              (!c->keys.empty() && c->plain_http_known));
    }
  }
  require(c->queue_deadline <= c->total_deadline);
  for (const tinyphi::model_entry& m : c->models) {
    require(m.path.empty() || m.path.is_absolute());
    (void)to_load_options(m);
    const tinyphi::engine_options o = to_engine_options(*c, m);
    require(o.max_sequences >= 1 && o.max_sequences <= 4096);
    require(o.gap_ms >= 1 && o.gap_ms <= 60'000);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_keys(text);
  check_config(text);
  return 0;
}
