// SPDX-License-Identifier: MIT
#include "tinyphi/base/memory.h"

#include <unistd.h>

#include "support/test.h"

using namespace tinyphi;

TEST_CASE("available_memory lies between this process's need and the machine") {
  const auto total = static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) *
                     static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  CHECK(available_memory() > std::size_t{1} << 20);
  CHECK(available_memory() <= total);
}
