// SPDX-License-Identifier: MIT
#include "tinyphi/serve/open_files.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/test.h"

using namespace tinyphi;

TEST_CASE("connections leave a tenth of the files, and some for models") {
  CHECK(connections_for(16384) == 16384 - 1638 - 64);
  CHECK(connections_for(1024) == 1024 - 102 - 64);
  CHECK(connections_for(100) == 100 - 10 - 25);
  CHECK(connections_for(1) == 1);
  CHECK(connections_for(0) == 1);
}

TEST_CASE("the limit of open files is raised to what the process may have") {
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit low{32, 77};
    if (::setrlimit(RLIMIT_NOFILE, &low) != 0) ::_exit(1);
    const auto files = raise_open_files();
    rlimit now{};
    ::getrlimit(RLIMIT_NOFILE, &now);
    ::_exit(files && *files == 77 && now.rlim_cur == 77 ? 0 : 2);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}
