// SPDX-License-Identifier: MIT
#include "tinyphi/serve/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <mutex>
#include <thread>

#include "support/effort.h"
#include "support/temp_folder.h"
#include "support/test.h"

using namespace tinyphi;

namespace {

namespace fs = std::filesystem;

// How a child of this process ended that ran the function: "exit 0" where all
// that it claimed was true, else the line of what was not.
std::string ending(const std::function<void()>& f) {
  const pid_t child = ::fork();
  if (child == 0) {
    f();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) {
    return "signal " + std::to_string(WTERMSIG(status));
  }
  return "exit " + std::to_string(WEXITSTATUS(status));
}

// In a child, where Catch2 cannot count. The claim's number is what fails.
void claim(int number, bool holds) {
  if (!holds) ::_exit(number);
}

bool opens(const fs::path& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
  if (fd >= 0) ::close(fd);
  return fd >= 0;
}

bool refused(long returned) { return returned < 0 && errno == EPERM; }

int landlock_abi() { return static_cast<int>(::syscall(444, nullptr, 0, 1)); }

void restrict_all_calls() {
  const auto r = restrict_calls();
  claim(90, r.has_value());
  claim(91, r->on);
}

#if defined(__SANITIZE_THREAD__)
#define NEEDS_ONE_THREAD() SKIP_CASE("ThreadSanitizer has a thread of its own")
#else
#define NEEDS_ONE_THREAD() static_cast<void>(0)
#endif
#define NEEDS_LANDLOCK() \
  if (landlock_abi() < 1) SKIP_CASE("this kernel has no Landlock")
#define NEEDS_SECCOMP()         \
  if (tinyphi_test::slow_build) \
  SKIP_CASE(                    \
      "a sanitizer needs more " \
      "calls than the sandbox allows")

}  // namespace

TEST_CASE("only files that were named can be opened, and as they were named") {
  NEEDS_ONE_THREAD();
  NEEDS_LANDLOCK();
  const tinyphi_test::temp_folder folder;
  const auto model = folder.write("models/model.gguf", "weights");
  const auto beside = folder.write("models/beside", "x");
  const auto foreign = folder.write("private/key", "secret");
  const auto kept = folder.write("cache/deep/kept", "x");
  const auto cache = folder.path() / "cache";
  const int open_before = ::open(foreign.c_str(), O_RDONLY | O_CLOEXEC);
  CHECK(ending([&] {
          sandbox_paths p;
          p.read = {model, folder.path() / "not-there"};
          p.write = {cache};
          const auto r = restrict_files(p);
          claim(1, r && r->abi >= 1 && r->note.empty());
          claim(2, opens(model, O_RDONLY));
          claim(3, !opens(model, O_RDWR));
          claim(4, !opens(beside, O_RDONLY));
          claim(5, !opens(foreign, O_RDONLY) && errno == EACCES);
          claim(6, !opens("/etc/passwd", O_RDONLY));
          claim(7, opens(kept, O_RDWR));
          claim(8, opens(cache / "new", O_RDWR | O_CREAT));
          claim(9, ::rename((cache / "new").c_str(),
                            (cache / "deep/new").c_str()) == 0);
          claim(10, ::unlink((cache / "deep/new").c_str()) == 0);
          claim(11, ::mkdir((cache / "more").c_str(), 0700) == 0);
          claim(12, ::symlink("/etc/passwd", (cache / "l").c_str()) != 0);
          // A link that is there leads no further than its target allows.
          claim(13, !opens(cache / "../private/key", O_RDONLY));
          claim(14, ::truncate(model.c_str(), 0) != 0 || landlock_abi() < 3);
          char byte = 0;
          claim(15, ::pread(open_before, &byte, 1, 0) == 1 && byte == 's');
        }) == "exit 0");
  ::close(open_before);
}

TEST_CASE("the system still tells about itself, and sockets have a folder") {
  NEEDS_ONE_THREAD();
  NEEDS_LANDLOCK();
  const tinyphi_test::temp_folder folder;
  CHECK(ending([&] {
          sandbox_paths p;
          p.sockets = {folder.path()};
          claim(1, restrict_files(p).has_value());
          for (const char* path : {"/proc/self/statm", "/proc/self/cgroup",
                                   "/proc/meminfo", "/proc/self/mountinfo"}) {
            claim(2, opens(path, O_RDONLY));
          }
          std::error_code failed;
          if (fs::exists("/sys/fs/cgroup")) {
            fs::directory_iterator at("/sys/fs/cgroup", failed);
            claim(3, !failed);
          }
          sockaddr_un at{};
          at.sun_family = AF_UNIX;
          const std::string path = (folder.path() / "s").string();
          std::memcpy(at.sun_path, path.data(), path.size());
          const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
          claim(4, ::bind(fd, reinterpret_cast<const sockaddr*>(&at),
                          sizeof at) == 0);
          claim(5, !opens(folder.path() / "f", O_RDWR | O_CREAT));
          claim(6, ::unlink(path.c_str()) == 0);
        }) == "exit 0");
}

TEST_CASE("the restriction is of threads to come and forbids new privileges") {
  NEEDS_ONE_THREAD();
  const tinyphi_test::temp_folder folder;
  const auto foreign = folder.write("key", "secret");
  CHECK(ending([&] {
          claim(1, restrict_files({}).has_value());
          claim(2, ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
          claim(3, ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 ||
                       tinyphi_test::slow_build);
          bool opened = false;
          std::thread([&] { opened = opens(foreign, O_RDONLY); }).join();
          claim(4, !opened || landlock_abi() < 1);
          // Twice is allowed, and does not give back.
          claim(5, restrict_files({.read = {folder.path()}}).has_value());
          claim(6, !opens(foreign, O_RDONLY) || landlock_abi() < 1);
        }) == "exit 0");
}

TEST_CASE("files are not restricted while other threads run") {
  NEEDS_ONE_THREAD();
  CHECK(ending([] {
          std::atomic<bool> end = false;
          std::thread other([&] {
            while (!end) std::this_thread::yield();
          });
          const auto r = restrict_files({});
          end = true;
          other.join();
          claim(1, !r && r.error().code == error_code::invalid_argument);
          claim(2, r.error().message ==
                       "the sandbox is entered before threads are started; "
                       "there are 2");
          claim(3, ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
        }) == "exit 0");
}

TEST_CASE("what answering takes goes on") {
  NEEDS_SECCOMP();
  const tinyphi_test::temp_folder folder;
  const auto file = folder.write("cache", "0123456789");
  int pair[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  CHECK(ending([&] {
          restrict_all_calls();
          std::mutex m;
          std::condition_variable changed;
          bool set = false;
          std::thread setter([&] {
            ::prctl(PR_SET_NAME, "setter");
            const std::lock_guard lock(m);
            set = true;
            changed.notify_one();
          });
          {
            std::unique_lock lock(m);
            claim(1, changed.wait_for(lock, std::chrono::seconds(5),
                                      [&] { return set; }));
          }
          setter.join();
          void* p = ::mmap(nullptr, 1 << 21, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
          claim(2, p != MAP_FAILED);
          claim(3, ::madvise(p, 1 << 21, MADV_DONTNEED) == 0);
          claim(4, ::mprotect(p, 4096, PROT_READ) == 0);
          claim(5, ::munmap(p, 1 << 21) == 0);

          const int events = ::epoll_create1(EPOLL_CLOEXEC);
          const int timer = ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
          const itimerspec soon{{0, 0}, {0, 1'000'000}};
          epoll_event e{};
          e.events = EPOLLIN;
          claim(6, ::timerfd_settime(timer, 0, &soon, nullptr) == 0);
          claim(7, ::epoll_ctl(events, EPOLL_CTL_ADD, timer, &e) == 0);
          claim(8, ::epoll_wait(events, &e, 1, 5000) == 1);
          claim(9, ::eventfd(0, EFD_CLOEXEC) >= 0);

          claim(10, ::send(pair[0], "x", 1, MSG_NOSIGNAL) == 1);
          char byte = 0;
          claim(11, ::recv(pair[1], &byte, 1, 0) == 1 && byte == 'x');
          claim(12, ::shutdown(pair[0], SHUT_RDWR) == 0);

          const int fd = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
          struct flock lock {};
          lock.l_type = F_WRLCK;
          claim(13, ::fcntl(fd, F_SETLK, &lock) == 0);
          claim(14, ::pwrite(fd, "ab", 2, 4) == 2 && ::fdatasync(fd) == 0);
          claim(15, ::ftruncate(fd, 6) == 0);
          char text[8];
          claim(16, ::pread(fd, text, 8, 0) == 6 &&
                        std::memcmp(text, "0123ab", 6) == 0);
          claim(17, ::unlink(file.c_str()) == 0);
          claim(18, opens("/proc/self/statm", O_RDONLY));
          rlimit files{};
          claim(19, ::getrlimit(RLIMIT_NOFILE, &files) == 0);
        }) == "exit 0");
  ::close(pair[0]);
  ::close(pair[1]);
}

TEST_CASE("new sockets, programs, processes and code are refused") {
  NEEDS_SECCOMP();
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int unconnected = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  auto* address = reinterpret_cast<sockaddr*>(&at);
  REQUIRE(::bind(listener, address, size) == 0);
  REQUIRE(::listen(listener, 1) == 0);
  REQUIRE(::getsockname(listener, address, &size) == 0);
  CHECK(ending([&] {
          restrict_all_calls();
          claim(1, refused(::socket(AF_INET, SOCK_STREAM, 0)));
          claim(2, refused(::socket(AF_UNIX, SOCK_STREAM, 0)));
          claim(3, refused(::connect(unconnected, address, size)));
          claim(4, refused(::bind(unconnected, address, size)));
          char name[] = "/bin/true";
          char* arguments[] = {name, nullptr};
          char* none[] = {nullptr};
          claim(5, refused(::execve(name, arguments, none)));
          claim(6, refused(::fork()));
          claim(7, refused(::kill(::getppid(), SIGTERM)));
          void* p = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
          claim(8, p == MAP_FAILED && errno == EPERM);
          p = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
          claim(9, p != MAP_FAILED);
          claim(10, refused(::mprotect(p, 4096, PROT_READ | PROT_EXEC)));
          claim(11, refused(::syscall(SYS_prctl, PR_SET_DUMPABLE, 1)) ||
                        errno == ENOSYS);
          claim(12, ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0);
          rlimit more{};
          ::getrlimit(RLIMIT_NOFILE, &more);
          claim(13, ::setrlimit(RLIMIT_NOFILE, &more) != 0);
          // A terminal's input cannot be written from here.
          claim(14,
                ::syscall(SYS_ioctl, 0, 0x5412, "x") != 0 && errno == ENOSYS);
          claim(15, ::syscall(999) != 0 && errno == ENOSYS);
        }) == "exit 0");
  ::close(listener);
  ::close(unconnected);
}

TEST_CASE("what only an intruder calls ends the process") {
  NEEDS_SECCOMP();
  const std::string killed = "signal " + std::to_string(SIGSYS);
  CHECK(ending([] {
          restrict_all_calls();
          ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        }) == killed);
  CHECK(ending([] {
          restrict_all_calls();
          ::syscall(SYS_mount, "a", "b", "c", 0, nullptr);
        }) == killed);
  CHECK(ending([] {
          restrict_all_calls();
          ::syscall(SYS_unshare, 0x10000000);
        }) == killed);
}

TEST_CASE("threads that ran before are restricted as well") {
  NEEDS_SECCOMP();
  CHECK(ending([] {
          std::atomic<int> step = 0;
          bool open_before = false, refused_after = false;
          std::thread other([&] {
            const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
            open_before = fd >= 0;
            step = 1;
            while (step == 1) std::this_thread::yield();
            refused_after = refused(::socket(AF_UNIX, SOCK_STREAM, 0));
          });
          while (step == 0) std::this_thread::yield();
          restrict_all_calls();
          step = 2;
          other.join();
          claim(1, open_before);
          claim(2, refused_after);
        }) == "exit 0");
}

TEST_CASE("a build with a sanitizer says that calls are not restricted") {
  if (!tinyphi_test::slow_build) SKIP_CASE("this build has no sanitizer");
  const auto r = restrict_calls();
  REQUIRE(r);
  CHECK_FALSE(r->on);
  CHECK(r->note == "this build has a sanitizer: calls are not restricted");
}
