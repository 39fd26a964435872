// SPDX-License-Identifier: MIT
// Who sends a request, and what that entitles to.
#ifndef TINYPHI_SERVE_CALLER_H_
#define TINYPHI_SERVE_CALLER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tinyphi/generate/planned_step.h"
#include "tinyphi/generate/prefix_cache.h"

TINYPHI_NAMESPACE_BEGIN

// What a caller may take, by its own line of the key file; 0: no limit.
struct caller_limits {
  std::size_t concurrency = 0;  // requests that run at once
  std::size_t queue = 16;       // further ones that wait, with `concurrency`
  std::uint64_t requests_per_minute = 0;
  std::uint64_t tokens_per_minute = 0;
};

// One key of the key file, or one user of this machine. All requests of a
// caller share a place in the queue's order (tenant) and an isolation domain:
// nothing that a caller's texts leave in caches is found by another's.
struct caller {
  std::string name;          // for the log: the key's name, or "uid 1000"
  std::uint64_t tenant = 0;  // fair shares are by it
  domain_id domain = 0;      // of the prefix cache
  double weight = 1;         // of its fair share
  // The best class that it may ask for, and the one it has without asking.
  priority_class best_class = priority_class::normal;
  // Models and pipelines that it may use; empty: all.
  std::vector<std::string> models;
  bool admin = false;  // may reload and drain, and see everybody's requests
  caller_limits limits = {};
};

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_CALLER_H_
