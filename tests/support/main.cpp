// SPDX-License-Identifier: MIT
// The one main of all Catch2 executables. It adds that a case without an
// assertion and a filter that matches nothing are failures, and says how each
// case ended where TINYPHI_TEST_NAMES is set (tools/tally.py reads it).
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "skip.h"

namespace {

// "kernels/matmul_test.cpp: a name": the same for every build of one case.
std::string full_name(const Catch::TestCaseInfo& test) {
  std::string file = test.lineInfo.file;
  const std::size_t name = file.rfind('/');
  if (name != std::string::npos && name > 0) {
    const std::size_t folder = file.rfind('/', name - 1);
    file.erase(0, folder == std::string::npos ? 0 : folder + 1);
  }
  return file + ": " + test.name;
}

struct case_printer : Catch::TestEventListenerBase {
  using TestEventListenerBase::TestEventListenerBase;

  void testCaseEnded(const Catch::TestCaseStats& stats) override {
    static const bool wanted = std::getenv("TINYPHI_TEST_NAMES") != nullptr;
    const std::string why = std::exchange(tinyphi_test::skip_reason(), {});
    if (!wanted) return;
    const char* how = !stats.totals.assertions.allOk() ? "FAILED"
                      : why.empty()                    ? "ok"
                                                       : "skipped";
    std::printf("%s %s%s%s\n", how, full_name(stats.testInfo).c_str(),
                why.empty() ? "" : ": ", why.c_str());
    std::fflush(stdout);
  }
};
CATCH_REGISTER_LISTENER(case_printer)

}  // namespace

int main(int argc, char** argv) {
  Catch::Session session;
  if (const int status = session.applyCommandLine(argc, argv)) return status;
  session.configData().warnings = static_cast<Catch::WarnAbout::What>(
      Catch::WarnAbout::NoAssertions | Catch::WarnAbout::NoTests);
  return session.run();
}
