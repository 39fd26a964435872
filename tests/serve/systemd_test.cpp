// SPDX-License-Identifier: MIT
#include "tinyphi/serve/systemd.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <map>

#include "support/temp_folder.h"
#include "support/test.h"

using namespace tinyphi;

namespace {

environment env_of(std::map<std::string, std::string> values) {
  return [values](const std::string& name) -> std::optional<std::string> {
    const auto at = values.find(name);
    if (at == values.end()) return std::nullopt;
    return at->second;
  };
}

// A service manager's end: a datagram socket.
class manager {
 public:
  explicit manager(const std::string& address)
      : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::memcpy(at.sun_path, address.data(), address.size());
    if (address[0] == '@') at.sun_path[0] = '\0';
    REQUIRE(::bind(fd_, reinterpret_cast<const sockaddr*>(&at),
                   static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) +
                                          address.size())) == 0);
  }
  ~manager() { ::close(fd_); }
  std::string next() {
    char text[1000];
    const ssize_t n = ::recv(fd_, text, sizeof text, MSG_DONTWAIT);
    return n < 0 ? "(nothing)" : std::string(text, static_cast<size_t>(n));
  }

 private:
  int fd_;
};

int exit_status_of_child(int (*f)()) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(f());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WEXITSTATUS(status);
}

}  // namespace

TEST_CASE("notes reach the manager, at a path or an abstract name") {
  const tinyphi_test::temp_folder folder;
  for (const std::string& address :
       {(folder.path() / "notify").string(),
        "@tinyphi-test-" + std::to_string(::getpid())}) {
    manager m(address);
    const service_notes notes(env_of({{"NOTIFY_SOCKET", address}}));
    notes.ready();
    CHECK(m.next() == "READY=1");
    notes.status("two\nlines");
    CHECK(m.next() == "STATUS=two lines");
    notes.reloading();
    CHECK(m.next().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    notes.alive();
    CHECK(m.next() == "WATCHDOG=1");
    notes.stopping();
    CHECK(m.next() == "STOPPING=1");
  }
}

TEST_CASE("without a manager, or with a name that cannot be, nothing happens") {
  for (const std::string& address :
       {std::string(), std::string("relative"), std::string("@"),
        "/" + std::string(200, 'a'), std::string("/nonexistent/socket")}) {
    service_notes(env_of({{"NOTIFY_SOCKET", address}})).ready();
  }
  CHECK_FALSE(service_notes(env_of({})).watchdog());
}

TEST_CASE("the watchdog is for the process that it names") {
  const std::string me = std::to_string(::getpid());
  using map = std::map<std::string, std::string>;
  const auto interval = [](map values) {
    return service_notes(env_of(std::move(values))).watchdog();
  };
  CHECK(interval({{"WATCHDOG_USEC", "30000000"}, {"WATCHDOG_PID", me}}) ==
        std::chrono::seconds(30));
  CHECK(interval({{"WATCHDOG_USEC", "30000000"}}));
  CHECK_FALSE(interval({{"WATCHDOG_USEC", "30000000"}, {"WATCHDOG_PID", "1"}}));
  CHECK_FALSE(interval({{"WATCHDOG_USEC", "0"}}));
  CHECK_FALSE(interval({{"WATCHDOG_USEC", "30s"}}));
}

TEST_CASE("sockets are taken over if they are for us and listen") {
  using map = std::map<std::string, std::string>;
  CHECK(passed_sockets(env_of({}))->empty());
  CHECK(passed_sockets(env_of({{"LISTEN_FDS", "1"}, {"LISTEN_PID", "1"}}))
            ->empty());
  const std::string me = std::to_string(::getpid());
  const auto many =
      passed_sockets(env_of(map{{"LISTEN_FDS", "65"}, {"LISTEN_PID", me}}));
  REQUIRE_FALSE(many);
  CHECK(many.error().message == "LISTEN_FDS is 65, allowed are 0 to 64");
  // In a child, whose descriptors 3 and 4 are ours to replace.
  const auto with_a_listener = [] {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    if (::listen(fd, 1) != 0 || ::dup2(fd, 3) != 3) return 10;
    const std::string pid = std::to_string(::getpid());
    const auto good =
        passed_sockets(env_of(map{{"LISTEN_FDS", "1"}, {"LISTEN_PID", pid}}));
    if (!good || *good != std::vector<int>{3}) return 11;
    if (::dup2(::socket(AF_INET, SOCK_STREAM, 0), 4) != 4) return 12;
    const auto bad =
        passed_sockets(env_of(map{{"LISTEN_FDS", "2"}, {"LISTEN_PID", pid}}));
    return bad ? 13 : 0;
  };
  CHECK(exit_status_of_child(with_a_listener) == 0);
}

TEST_CASE("the unit has no network of its own and a limit of memory") {
  const std::string unit = service_unit({.memory_max = "2G"});
  for (const char* line :
       {"\nType=notify\n", "\nPrivateNetwork=yes\n", "\nMemoryMax=2G\n",
        "\nLoadCredential=keys:/etc/tinyphi/keys.toml\n",
        "\nExecStart=/usr/bin/tinyphi serve /etc/tinyphi/serve.toml\n"}) {
    CHECK(unit.find(line) != std::string::npos);
  }
  CHECK(socket_unit().find("ListenStream=127.0.0.1:8484\n") !=
        std::string::npos);
}
