// SPDX-License-Identifier: MIT
#include "plugins/process/process.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

#include "support/run_stage.h"
#include "support/temp_folder.h"
#include "support/test.h"
#include "tinyphi/pipeline.h"

using namespace tinyphi;
using namespace tinyphi_test;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// A machine without Landlock starts no program; on all others the sandbox must
// hold.
#define NEEDS_SANDBOX()                       \
  if (landlock::abi() < 1) {                  \
    SKIP_CASE("this kernel has no Landlock"); \
  }                                           \
  static_cast<void>(0)

// Python without its site's files, which starts in half the time. `answer`
// writes the outputs; `ask` is the question's line.
constexpr std::string_view python = R"(#!/usr/bin/python3 -IS
import json, os, sys
def answer(**out):
    print(json.dumps({"id": 1, "out": out}), flush=True)
ask = json.loads(sys.stdin.readline())
given = ask["in"]
)";
constexpr std::string_view shell = "#!/bin/sh\nread -r line\n";

type text_type() { return {type_kind::text}; }
declared_port port_of(type t) { return {{"t", std::move(t)}, {}}; }

// A program in a folder of its own, and the stage that asks it.
struct tool {
  temp_folder folder;
  std::filesystem::path program;
  process_stage::config config;
  stop_condition stop;

  explicit tool(const std::string& text) {
    program = folder.write("tool", text);
    std::filesystem::permissions(program, std::filesystem::perms(0755));
    config.command = {"tool"};
    config.in = {{"text", port_of(text_type())}};
    config.out = {{"reply", port_of(text_type())}};
  }
  tool(std::string_view head, std::string_view body)
      : tool(std::string(head) + std::string(body) + "\n") {}

  [[nodiscard]] host services(std::string no_programs = {}) const {
    host_options options;
    options.no_programs = std::move(no_programs);
    allowed_places allowed;
    allowed.exec = {program};
    return {std::move(options), folder.path(), {}, {}, std::move(allowed)};
  }
  [[nodiscard]] result<process_stage> make() const {
    try {
      return process_stage(config, {}, services());
    } catch (const stage_error& e) {
      return e.error;
    }
  }
  // The outputs for `text`.
  [[nodiscard]] result<process_stage::outputs> ask(
      const std::string& text = "hi") const {
    TINYPHI_TRY(const process_stage s, make());
    return run_stage(s, {{{"text", {text, trust::user}}}}, stop);
  }
  // The port `reply`, or the error: "code: message" without the program's name.
  [[nodiscard]] std::string reply(const std::string& text = "hi") const {
    const auto out = ask(text);
    if (out) return *out->values.at("reply").get<std::string>();
    std::string message = out.error().message;
    const std::string name = quote(program.string()) + ": ";
    if (message.starts_with(name)) message.erase(0, name.size());
    return std::string(to_string(out.error().code)) + ": " + message;
  }
};

std::size_t count_descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd"), end;
  return static_cast<std::size_t>(std::distance(begin(all), end));
}

// A zombie that nobody waits for does not run.
bool is_alive(std::int64_t id) {
  std::ifstream file("/proc/" + std::to_string(id) + "/stat");
  std::stringstream stat;
  stat << file.rdbuf();
  const std::string text = stat.str();
  const std::size_t end = text.rfind(')');
  return end != std::string::npos && text.substr(end, 3) != ") Z" &&
         text.substr(end, 3) != ") X";
}

// After a while, in which a process that was killed ends.
bool stays(std::int64_t id) {
  for (int i = 0; i < 1000 && is_alive(id); ++i) {
    std::this_thread::sleep_for(milliseconds(10));
  }
  return is_alive(id);
}

}  // namespace

TEST_CASE("process: a child that tries to break out cannot, in any kernel") {
  NEEDS_SANDBOX();
  for (int abi = landlock::abi(); abi >= 1; --abi) {
    CAPTURE(abi);
    REQUIRE_OK(process::probe_sandbox({.landlock_abi = abi}));
  }
  CHECK(message_of(process::probe_sandbox({.landlock_abi = 0})) ==
        "no program can be confined on this machine: the kernel has no "
        "Landlock, or a container hides it (it is in Linux 5.13 and newer, "
        "where lsm= names it)");
}

namespace {

// Tries what must fail, and what must work; answers with what did not go so.
constexpr std::string_view burglar = R"(
import ctypes, fcntl, resource, signal, socket
libc = ctypes.CDLL(None, use_errno=True)
outside, wrong = given["text"], []
def denied(name, f):
    try:
        if f() != -1:
            wrong.append(name)
    except OSError:
        pass
def works(name, f):
    try:
        f()
    except Exception as e:
        wrong.append(f"not {name}: {e}")
def in_child(f):
    child = os.fork()
    if child == 0:
        try:
            f()
        except OSError:
            os._exit(1)
        os._exit(0)
    return -1 if os.waitpid(child, 0)[1] else 0
parent, file = os.getppid(), outside + "/file"
denied("read", lambda: open(file))
denied("list", lambda: os.listdir(outside))
denied("write", lambda: open(file, "w"))
denied("append", lambda: open(file, "a"))
denied("truncate", lambda: os.truncate(file, 0))
denied("create", lambda: open(outside + "/new", "w"))
denied("mkdir", lambda: os.mkdir(outside + "/dir"))
denied("remove", lambda: os.remove(file))
denied("take", lambda: os.rename(file, "file"))
denied("link", lambda: os.link(file, "linked"))
denied("symlink", lambda: os.symlink(file, "soft"))
denied("chmod", lambda: os.chmod(file, 0o777))
denied("chown", lambda: os.chown(file, os.getuid(), os.getgid()))
denied("utime", lambda: os.utime(file))
denied("setxattr", lambda: os.setxattr(file, "user.x", b"1"))
denied("run", lambda: os.execv(outside + "/run", ["run"]))
denied("fifo", lambda: os.mkfifo("fifo"))
denied("environ", lambda: open(f"/proc/{parent}/environ"))
denied("inet", lambda: socket.socket())
denied("unix", lambda: socket.socket(socket.AF_UNIX))
denied("netlink", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))
denied("datagrams", lambda: socket.socketpair(type=socket.SOCK_DGRAM))
denied("kill", lambda: os.kill(parent, 0))
denied("kill group", lambda: os.killpg(os.getpgid(parent), 0))
denied("queue", lambda: libc.sigqueue(parent, 0, None))
denied("owner", lambda: fcntl.fcntl(0, fcntl.F_SETOWN, parent))
denied("limits", lambda: resource.prlimit(
    parent, resource.RLIMIT_NOFILE, (64, 64)))
denied("affinity", lambda: os.sched_setaffinity(parent, {0}))
denied("priority", lambda: os.setpriority(os.PRIO_PROCESS, parent, 19))
denied("setsid", lambda: in_child(os.setsid))
denied("setpgid", lambda: in_child(lambda: os.setpgid(0, 0)))
denied("namespace", lambda: libc.unshare(0x10000000))
denied("parent's child", lambda: libc.syscall(56, 0x8011, 0, 0, 0, 0))
denied("ptrace", lambda: libc.ptrace(0x4206, parent, 0, 0))
denied("io_uring", lambda: libc.syscall(425, 1, 0))
denied("shared memory", lambda: libc.shmget(0, 4096, 0o1600))
denied("watch", lambda: libc.inotify_init1(0))
denied("newest", lambda: libc.syscall(463, 0))
denied("memory", lambda: libc.mmap(0, 2 << 30, 3, 0x22, -1, 0))
works("own file", lambda: open("mine", "w").write("x"))
works("own folder", lambda: (os.mkdir("d"), os.rename("mine", "d/mine")))
works("own removal", lambda: (os.remove("d/mine"), os.rmdir("d")))
works("null", lambda: open("/dev/null", "w").write("x"))
works("libraries", lambda: os.listdir("/usr"))
works("random", lambda: open("/dev/urandom", "rb").read(1))
works("pair", lambda: socket.socketpair()[0].close())
works("raise", lambda: signal.raise_signal(signal.SIGCONT))
works("child", lambda: None if in_child(lambda: None) == 0 else 1 / 0)
works("program", lambda: os.system("exit 0"))
denied("descriptors", lambda: [os.dup(0) for _ in range(300)])
answer(reply=", ".join(wrong))
)";

}  // namespace

TEST_CASE("process: what a program tries against its sandbox fails") {
  NEEDS_SANDBOX();
  const temp_folder outside;
  const auto file = outside.write("file", "foreign");
  std::filesystem::permissions(file, std::filesystem::perms(0666));
  const auto run = outside.write("run", "#!/bin/sh\n");
  std::filesystem::permissions(run, std::filesystem::perms(0777));
  tool t(python, burglar);
  CHECK(t.reply(outside.path().string()).empty());
  CHECK(std::filesystem::file_size(file) == 7);

  // What Landlock of Linux 5.19 does not hold, the filter of calls must.
  const auto real = process::private_folder::make();
  REQUIRE_OK(real);
  for (const int abi : {2, landlock::abi()}) {
    process::program_start start;
    start.program = t.program;
    start.arguments = {"tool"};
    start.folder = real->path();
    start.limits.landlock_abi = std::min(abi, landlock::abi());
    auto made = process::launch(start);
    REQUIRE_OK(made);
    const std::string line =
        R"({"in":{"text":")" + outside.path().string() + "\"}}\n";
    const auto output = process::exchange(*std::move(made), line, {});
    CAPTURE(abi, output.err);
    CHECK(output.out == "{\"id\": 1, \"out\": {\"reply\": \"\"}}\n");
  }
}

TEST_CASE("process: it reads and writes what its sandbox lists") {
  NEEDS_SANDBOX();
  const temp_folder data;
  data.write("in.txt", "seen");
  std::filesystem::create_directory(data.path() / "out");
  tool t(python, R"(
d = given["text"]
with open(d + "/out/new", "w") as f:
    f.write(open(d + "/in.txt").read())
try:
    open(d + "/in.txt", "a")
    answer(reply="appended")
except OSError:
    answer(reply=os.getcwd()))");
  t.config.sandbox.read = {(data.path() / "in.txt").string()};
  t.config.sandbox.write = {(data.path() / "out").string()};
  const std::string own = t.reply(data.path().string());
  std::ifstream written(data.path() / "out/new");
  std::string text;
  written >> text;
  CHECK(text == "seen");
  // Its own folder is gone with the call.
  CHECK(own.find("tinyphi-") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(own));

  t.config.sandbox.read = {"/no/such/file"};
  CHECK(t.reply() ==
        "not_found: with.sandbox: '/no/such/file': No such file or directory");
}

TEST_CASE("process: values go in and come out as they are, never as code") {
  NEEDS_SANDBOX();
  tool t(python, "answer(reply=given['text'] + '|' + ' '.join(sys.argv[1:]))");
  t.config.command = {"tool", "--fixed", "$HOME"};
  const std::string hostile =
      "--help; $(touch /tmp/x) `id` ' \" \\ \n{\"id\":1,\"out\":{}}\n\u20ac";
  CHECK(t.reply(hostile) == hostile + "|--fixed $HOME");

  // Its environment is what the file says, and its own folder.
  tool env(python, R"(
names = sorted(n for n in os.environ if n != "LC_CTYPE")
answer(reply=" ".join(names) + " " + os.environ["TOKEN"] +
       str(os.environ["TMPDIR"] == os.getcwd())))");
  env.config.env = {{"TOKEN", secret_text::of("abc")},
                    {"LANG", secret_text::of("C.UTF-8")}};
  CHECK(env.reply() == "LANG TMPDIR TOKEN abcTrue");

  tool types(python, "answer(n=given['n'] + 1, x=2, all=[given['text']] * 2)");
  types.config.in["n"] = port_of({type_kind::integer});
  types.config.out = {{"n", port_of({type_kind::integer})},
                      {"x", port_of({type_kind::number})},
                      {"all", port_of(type::list_of(text_type()))}};
  const auto made = types.make();
  REQUIRE_OK(made);
  const auto out = run_stage(
      *made, {{{"text", {"a\u0001b", trust::user}}, {"n", {41, trust::user}}}});
  REQUIRE_OK(out);
  CHECK(out->values.at("n").data == value_data(42));
  CHECK(out->values.at("x").data == value_data(2.0));
  // Control characters do not come back.
  CHECK(out->values.at("all").data == value_data(value_data::list{"ab", "ab"}));
}

TEST_CASE("process: an answer that is none is an error that says why") {
  NEEDS_SANDBOX();
  struct wrong {
    std::string_view program;
    std::string error;
  };
  const wrong all[] = {
      {"", "io: ended with status 0 and without an answer"},
      {"sys.exit('no ticket\\x07s today')",
       "io: ended with status 1 and without an answer; its last words: 'no "
       "ticket?s today'"},
      {"answer(reply='x'); sys.exit(3)",
       "io: answered, and then ended with status 3"},
      {"import signal; signal.raise_signal(signal.SIGABRT)",
       "io: was ended by signal 6 (SIGABRT)"},
      {"print('Hello!'); answer(reply='x')",
       "bad_data: wrote more than one line: behind its answer stands '{\"id\": "
       "1, \"out\": {\"reply\": \"x\"}}?'"},
      {"answer(reply='x'); answer(reply='y')",
       "bad_data: wrote more than one line: behind its answer stands '{\"id\": "
       "1, \"out\": {\"reply\": \"y\"}}?'"},
      {"print('Hello!')", "bad_data: its answer: "},
      {"print('[' * 100000)", "bad_data: its answer: byte 32"},
      {"print('{\"id\": 2, \"out\": {\"reply\": \"x\"}}')",
       "bad_data: its answer is no object with the \"id\" of the question, "
       "which is 1"},
      {"print('{\"id\": 1, \"piece\": {\"reply\": \"x\"}}')",
       "bad_data: its answer must have \"id\" and either \"out\" or \"error\", "
       "and nothing else"},
      {"print('{\"id\": 1, \"out\": 3}')",
       "bad_data: \"out\" of its answer is no object"},
      {"answer()", "bad_data: its answer lacks 'reply', which with.out names"},
      {"answer(reply='x', more=1)",
       "bad_data: its answer has 'more', which with.out does not name"},
      {"answer(reply=3)", "bad_data: out.reply: an integer, not a text"},
      {"answer(reply='x' * 60)", "limit: out.reply has more than 50 bytes"},
      {"sys.stdout.buffer.write(b'{\"id\": 1, \"out\": {\"reply\": "
       "\"\\xff\"}}\\n')",
       "bad_data: its answer is not UTF-8 at byte 28"},
      {"print('{\"id\": 1, \"error\": {\"code\": \"not_found\", \"message\": "
       "\"no ticket 7\"}}')",
       "not_found: says: no ticket 7"},
      {"print('{\"id\": 1, \"error\": {\"code\": \"internal\"}}')",
       "io: says: an error without a message"},
      // More than is taken ends it at once.
      {"while True: os.write(1, b'x' * 65536)",
       "limit: wrote more than 1048576 bytes to its standard output"},
      {"while True: os.write(2, b'x' * 4096)",
       "limit: wrote more than 65536 bytes to its standard error"},
      {"x = bytearray(1 << 30)",
       "io: ended with status 1 and without an "
       "answer; its last words: 'MemoryError'"}};
  for (const wrong& w : all) {
    tool t(python, w.program);
    t.config.out["reply"].max_bytes = 50;
    CAPTURE(w.program);
    CHECK_THAT(t.reply(), Catch::StartsWith(w.error));
  }
  tool t(python, "answer(reply='x')");
  t.config.in["text"].max_bytes = 3;
  CHECK(t.reply("four") == "limit: in.text has more than 3 bytes");
  CHECK(t.reply("two") == "x");
  t.config.in["text"].max_bytes = {};
  CHECK(t.reply(std::string(2 << 20, 'x')) ==
        "limit: in.text makes the line for the program longer than 1048576 "
        "bytes");
}

TEST_CASE("process: who does not read its input, and who waits for more") {
  NEEDS_SANDBOX();
  // The pipe is closed before all is written; that ends nobody.
  const tool deaf(
      "#!/bin/sh\nexec <&-\necho '{\"id\":1,\"out\":{\"reply\":\"ok\"}}'\n");
  CHECK(deaf.reply(std::string(900'000, 'x')) == "ok");
  // Its input ends behind the line, so a loop over lines ends, too.
  const tool loop(
      "#!/bin/sh\nwhile read -r line; do echo "
      "'{\"id\":1,\"out\":{\"reply\":\"ok\"}}'; done\n");
  CHECK(loop.reply() == "ok");
  // An end of line is not needed.
  const tool brief(shell, "printf '{\"id\":1,\"out\":{\"reply\":\"ok\"}}'");
  CHECK(brief.reply() == "ok");
}

TEST_CASE("process: its time ends, and with it all that it has started") {
  NEEDS_SANDBOX();
  // Deaf to SIGTERM, with children that hold its output and are daemons as far
  // as they can be.
  constexpr std::string_view family = R"(
import signal, time
def wait():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(60)
children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
        except OSError:
            pass
        if os.fork() == 0:
            wait()
        wait()
    children.append(child)
)";
  const auto pids_of = [](const result<process_stage::outputs>& out) {
    REQUIRE_OK(out);
    return *out->values.at("pids").data.get<value_data::list>();
  };
  tool t(python, std::string(family) + "answer(pids=children)\nwait()");
  t.config.out = {{"pids", port_of(type::list_of({type_kind::integer}))}};
  // It has answered, and is ended a second later.
  const auto of_answered = pids_of(t.ask());
  tool brief(python, std::string(family) + "answer(pids=children)");
  brief.config.out = t.config.out;
  const auto of_ended = pids_of(brief.ask());
  for (const auto& pids : {of_answered, of_ended}) {
    CHECK(pids.size() == 3);
    for (const value_data& pid : pids) {
      CHECK_FALSE(stays(*pid.get<std::int64_t>()));
    }
  }

  tool endless(python, std::string(family) + "wait()");
  endless.stop.deadline = std::chrono::steady_clock::now() + milliseconds(500);
  CHECK(endless.reply() == "deadline: the deadline has passed");
  tool cancelled(python, "import time\ntime.sleep(60)");
  cancelled.stop.token.cancel();
  CHECK(cancelled.reply() == "cancelled: cancelled");

  tool busy(python, "while True: pass");
  busy.config.sandbox.cpu = seconds(1);
  CHECK(busy.reply() ==
        "limit: used up its processor time; allow more in with.sandbox.cpu");
}

TEST_CASE("process: it has at most 256 processes more than its user has") {
  NEEDS_SANDBOX();
  if (::getuid() == 0) SKIP_CASE("root is not held to a number of processes");
  const tool t(python, R"(
import signal
children = []
try:
    while len(children) < 2000:
        children.append(os.fork())
        if children[-1] == 0:
            signal.pause()
    answer(reply="2000 are there")
except BlockingIOError:
    answer(reply="" if len(children) <= 256 else str(len(children))))");
  CHECK(t.reply().empty());
}

TEST_CASE("process: 100 calls leave no process, descriptor or folder") {
  NEEDS_SANDBOX();
  const temp_folder temporary;
  const char* const before = std::getenv("TMPDIR");
  const std::string old = before != nullptr ? before : "";
  const tool t(shell,
               "mkdir -m 0 closed\nmkdir -p a/b\necho x > a/b/c\nsleep 60 &\n"
               "echo '{\"id\":1,\"out\":{\"reply\":\"ok\"}}'");
  const auto made = t.make();
  REQUIRE_OK(made);
  ::setenv("TMPDIR", temporary.path().c_str(), 1);
  const std::size_t n_before = count_descriptors();
  for (int i = 0; i < 100; ++i) {
    REQUIRE_OK(run_stage(*made, {{{"text", {"hi", trust::user}}}}));
  }
  if (before != nullptr) {
    ::setenv("TMPDIR", old.c_str(), 1);
  } else {
    ::unsetenv("TMPDIR");
  }
  CHECK(count_descriptors() == n_before);
  CHECK(std::filesystem::is_empty(temporary.path()));
  siginfo_t info{};
  CHECK(::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == -1);
  CHECK(errno == ECHILD);
}

TEST_CASE("process: a secret reaches the program, and no message") {
  NEEDS_SANDBOX();
  tool t(python, "sys.exit('bad token: ' + os.environ['TOKEN'])");
  t.config.env = {{"TOKEN", secret_text::named("ticket").with_text("s3cr3t")}};
  CHECK(t.reply() ==
        "io: ended with status 1 and without an answer; its last words: "
        "'(they have a secret)'");
}

TEST_CASE("process: a program that others can change is not started") {
  const temp_folder folder;
  const auto file = folder.write("bin/tool", "#!/bin/sh\n");
  const auto name = quote(file.string());
  const auto judge = [&](std::filesystem::perms of_file,
                         std::filesystem::perms of_folder) {
    std::filesystem::permissions(file, of_file);
    std::filesystem::permissions(folder.path() / "bin", of_folder);
    return message_of(process::checked_program(file));
  };
  using perms = std::filesystem::perms;
  CHECK(judge(perms(0755), perms(0755)) == "(no error)");
  CHECK(judge(perms(0757), perms(0755)) ==
        name + " may be written by others; take that right away (chmod go-w)");
  CHECK(judge(perms(0775), perms(0755)).find("by others") != std::string::npos);
  CHECK(judge(perms(0755), perms(0777)) ==
        name + ": " + quote((folder.path() / "bin").string()) +
            " may be written by others; take that right away (chmod go-w)");
  CHECK(judge(perms(0644), perms(0755)) == name + " may not be run (chmod +x)");
  CHECK(judge(perms(04755), perms(0755)) ==
        name + " runs as another user (setuid)");
  CHECK(message_of(process::checked_program("tool")) ==
        "'tool' is no absolute path");
  CHECK(message_of(process::checked_program(folder.path() / "bin")) ==
        quote((folder.path() / "bin").string()) + " is no regular file");
  CHECK(message_of(process::checked_program("/no/such")) ==
        "'/no/such': No such file or directory");
}

TEST_CASE("process: what a file may not say is found before anything runs") {
  registry plugins;
  plugins.add<process_stage>();
  constexpr std::string_view head =
      "tinyphi = 1\nallow.exec = ['drive']\n"
      "input.move = { type = 'text', trust = 'untrusted' }\n"
      "output.reply = 'run.reply'\n[stage.run]\nuse = 'process'\n";
  const auto with = [&](const std::string& text, const host_options& o = {}) {
    return to_string(
        check_pipeline_text(std::string(head) + text, "/x/t.toml", plugins, o)
            .faults,
        "t.toml");
  };
  const std::string plain =
      "with.command = ['drive']\nwith.in = { move = { type = 'text', max_bytes "
      "= '1KiB' } }\nwith.out = { reply = 'text' }\n";
  // Who only reads may be asked by anybody; who writes may not.
  CHECK(with(plain).empty());
  CHECK(with(plain + "with.sandbox = { write = ['/dev/ttyACM0'] }") ==
        "t.toml:5:8: error[TP4001]: stage run: in.move decides what is done "
        "(effect write) and is untrusted: input.move; put a person in between "
        "(use = \"approve\") or grant run.move with a reason in [allow].flow");
  struct wrong {
    std::string text;
    std::string fault;  // behind its place
  };
  const std::string other = "with.command = ['drive']\nwith.out = ";
  const wrong all[] = {
      {"with.command = ['other']\nwith.out = { reply = 'text' }",
       "error[TP4003]: stage run: with.command: '/x/other' is not in "
       "[allow].exec, which names '/x/drive'"},
      {plain + "with.env = { LD_PRELOAD = 'x' }",
       "error[TP1005]: stage run: with.env.LD_PRELOAD: this variable changes "
       "what a program runs; put what it should say into the program"},
      {plain + "with.sandbox = { net = ['example.org'] }",
       "error[TP1008]: stage run: with.sandbox.net: a program in the sandbox "
       "has no network in this version; fetch by http.fetch and give it the "
       "text"},
      {plain + "with.sandbox = 'none'",
       "error[TP1004]: stage run: with.sandbox is a string, the plugin wants "
       "table"},
      {plain + "with.workers = 2",
       "error[TP1002]: stage run: unknown parameter 'with.workers'; leave it "
       "out: each call has a process of its own"},
      {plain + "with.protocol = 'mcp'",
       "error[TP1005]: stage run: with.protocol is 'mcp', allowed are lines"},
      {other + "{ reply = 'text' }\nwith.in = { move = 'docs' }",
       "error[TP1016]: stage run: with.in.move: no type 'docs'; write "
       "\"list<document>\""},
      {plain + "with.sandbox = { memory = '1KiB' }",
       "error[TP1005]: stage run: with.sandbox.memory is \"1KiB\", allowed are "
       "\"16MiB\" to \"64GiB\""},
      {other + "{ reply = 'text', failed = 'text' }\nwith.in = { move = 'text' "
               "}",
       "error[TP1007]: stage run: with.out: 'failed': a port's name is a "
       "lower-case letter and up to 31 lower-case letters, digits and '_', and "
       "not 'failed'"},
      {other + "{ reply = 'text' }\nwith.in = { move = { type = 'text', max = "
               "3 } }",
       "error[TP1002]: stage run: with.in.move: unknown key 'max'"}};
  for (const wrong& w : all) {
    CAPTURE(w.text);
    CHECK_THAT(with(w.text), Catch::EndsWith(": " + w.fault));
  }
  host_options caged;
  caged.no_programs = "nobody starts anything here";
  CHECK(with(plain, caged) ==
        "t.toml:7:16: error[TP1008]: stage run: with.command: nobody starts "
        "anything here");
}
