// SPDX-License-Identifier: MIT
// Which calls of the system a confined program may make: a filter for seccomp,
// as the kernel takes it.
#ifndef TINYPHI_PLUGINS_PROCESS_CALL_RULES_H_
#define TINYPHI_PLUGINS_PROCESS_CALL_RULES_H_

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN
namespace process {

#if defined(__x86_64__)
inline constexpr std::uint32_t audit_arch = AUDIT_ARCH_X86_64;
inline constexpr bool can_filter_calls = true;
#elif defined(__aarch64__)
inline constexpr std::uint32_t audit_arch = AUDIT_ARCH_AARCH64;
inline constexpr bool can_filter_calls = true;
#else
inline constexpr std::uint32_t audit_arch = 0;
inline constexpr bool can_filter_calls = false;
#endif

// A filter in the making. Every rule ends what it begins: jumps stay short.
class call_rules {
 public:
  static constexpr std::uint32_t allow = SECCOMP_RET_ALLOW;
  static constexpr std::uint32_t refuse = SECCOMP_RET_ERRNO | EPERM;
  static constexpr std::uint32_t unknown = SECCOMP_RET_ERRNO | ENOSYS;

  // What libraries do without is refused with EPERM. Calls that are newer than
  // this list, and those whose arguments lie in memory where a filter cannot
  // look, are ENOSYS: C libraries then take the older way. Another
  // architecture's way into the kernel ends the program.
  // `landlock_abi`: what Landlock does not hold there, this has to.
  explicit call_rules(int landlock_abi) {
    load(offsetof(seccomp_data, arch));
    unless_equal(audit_arch, SECCOMP_RET_KILL_PROCESS);
    load(offsetof(seccomp_data, nr));
    constexpr std::uint32_t x32 = 0x4000'0000, newest = 462;  // mseal
    jump(BPF_JGE, x32, 0, 1);
    give(SECCOMP_RET_KILL_PROCESS);
    jump(BPF_JGT, newest, 0, 1);
    give(unknown);
    add_unseen();
    add_foreign_processes();
    add_files();
    add_system();
    add_sockets();
    add_own_only();
    if (landlock_abi < 3) add({SYS_truncate}, refuse);
    if (landlock_abi < 6) add_signals();
    give(allow);
  }

  // Where the child writes its id before the filter holds.
  [[nodiscard]] std::vector<std::uint32_t*> own_id() {
    std::vector<std::uint32_t*> places;
    for (const std::size_t i : own_id_) places.push_back(&program_[i].k);
    return places;
  }
  [[nodiscard]] sock_fprog program() {
    return {static_cast<unsigned short>(program_.size()), program_.data()};
  }

 private:
  static constexpr std::size_t argument(unsigned i) {
    return offsetof(seccomp_data, args) + i * 8;  // its lower half
  }

  void put(unsigned code, std::uint32_t k, unsigned then, unsigned otherwise) {
    program_.push_back({static_cast<std::uint16_t>(code),
                        static_cast<std::uint8_t>(then),
                        static_cast<std::uint8_t>(otherwise), k});
  }
  void load(std::size_t at) {
    put(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(at), 0, 0);
  }
  void jump(unsigned test, std::uint32_t k, unsigned then, unsigned otherwise) {
    put(BPF_JMP | test | BPF_K, k, then, otherwise);
  }
  void give(std::uint32_t action) { put(BPF_RET | BPF_K, action, 0, 0); }
  void unless_equal(std::uint32_t k, std::uint32_t action) {
    jump(BPF_JEQ, k, 1, 0);
    give(action);
  }

  void add(std::initializer_list<long> calls, std::uint32_t action) {
    for (const long call : calls) {
      jump(BPF_JEQ, static_cast<std::uint32_t>(call), 0, 1);
      give(action);
    }
  }
  // Of this call only: `rules` ends in an action.
  template <class Rules>
  void of(long call, Rules rules) {
    const std::size_t start = program_.size();
    jump(BPF_JEQ, static_cast<std::uint32_t>(call), 0, 0);
    rules();
    program_[start].jf = static_cast<std::uint8_t>(program_.size() - start - 1);
  }
  // Refused unless the argument is `value`.
  void only(unsigned i, std::uint32_t value) {
    load(argument(i));
    unless_equal(value, refuse);
  }
  // Refused if the argument has one of the bits.
  void none_of(unsigned i, std::uint32_t bits) {
    load(argument(i));
    jump(BPF_JSET, bits, 0, 1);
    give(refuse);
  }
  // Refused if the argument is one of those.
  void never(unsigned i, std::initializer_list<std::uint32_t> values) {
    load(argument(i));
    for (const std::uint32_t value : values) {
      jump(BPF_JEQ, value, 0, 1);
      give(refuse);
    }
  }

  void add_unseen() {
    add({SYS_clone3, 425, 426, 427}, unknown);  // io_uring_*
    // New namespaces, and a child that would be the engine's own.
    constexpr std::uint32_t namespaces = 0x7e02'0000, parent = 0x8000;
    of(SYS_clone, [&] {
      none_of(0, namespaces | parent);
      give(allow);
    });
    add({SYS_unshare, SYS_setns, SYS_setsid, SYS_setpgid}, refuse);
  }

  // Looking into other programs, and watching what they do.
  void add_foreign_processes() {
    constexpr long pidfd_getfd = 438, process_madvise = 440,
                   process_mrelease = 448;
    add({SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_kcmp,
         SYS_move_pages, SYS_migrate_pages, SYS_perf_event_open, SYS_bpf,
         SYS_userfaultfd, SYS_fanotify_init, SYS_inotify_init1, pidfd_getfd,
         process_madvise, process_mrelease},
        refuse);
#if defined(SYS_inotify_init)
    add({SYS_inotify_init}, refuse);
#endif
    // Memory and queues that programs of one user share by a number or a name.
    add({SYS_shmget, SYS_shmat, SYS_shmctl, SYS_semget, SYS_semop, SYS_semctl,
         SYS_semtimedop, SYS_msgget, SYS_msgsnd, SYS_msgrcv, SYS_msgctl,
         SYS_mq_open, SYS_mq_unlink, SYS_add_key, SYS_request_key, SYS_keyctl},
        refuse);
  }

  // Modes, owners, times and attributes, which Landlock leaves to all who own a
  // file.
  void add_files() {
    constexpr long fchmodat2 = 452;
    add({SYS_fchmod, SYS_fchmodat, fchmodat2, SYS_fchown, SYS_fchownat,
         SYS_utimensat, SYS_setxattr, SYS_lsetxattr, SYS_fsetxattr,
         SYS_removexattr, SYS_lremovexattr, SYS_fremovexattr,
         SYS_open_by_handle_at},
        refuse);
#if defined(SYS_chmod)
    add({SYS_chmod, SYS_chown, SYS_lchown, SYS_utime, SYS_utimes,
         SYS_futimesat},
        refuse);
#endif
    // A signal to the owner of a descriptor, a file that others wait for, and
    // characters put into a terminal as if typed there.
    constexpr std::uint32_t setown = F_SETOWN, setown_ex = 15, lease = 1024;
    constexpr std::uint32_t fiosetown = 0x8901, siocspgrp = 0x8902,
                            tiocsti = 0x5412, tioclinux = 0x541c;
    of(SYS_fcntl, [&] {
      never(1, {setown, setown_ex, lease});
      give(allow);
    });
    of(SYS_ioctl, [&] {
      never(1, {fiosetown, siocspgrp, tiocsti, tioclinux});
      give(allow);
    });
  }

  // What only an administrator does.
  void add_system() {
    constexpr long open_tree = 428, move_mount = 429, fsopen = 430,
                   fsconfig = 431, fsmount = 432, fspick = 433,
                   mount_setattr = 442, quotactl_fd = 443, statmount = 457,
                   listmount = 458;
    add({SYS_mount,        SYS_umount2,       SYS_pivot_root,
         SYS_chroot,       open_tree,         move_mount,
         fsopen,           fsconfig,          fsmount,
         fspick,           mount_setattr,     statmount,
         listmount,        SYS_quotactl,      quotactl_fd,
         SYS_swapon,       SYS_swapoff,       SYS_acct,
         SYS_reboot,       SYS_syslog,        SYS_vhangup,
         SYS_sethostname,  SYS_setdomainname, SYS_init_module,
         SYS_finit_module, SYS_delete_module, SYS_kexec_load,
         SYS_settimeofday, SYS_clock_settime, SYS_adjtimex,
         SYS_clock_adjtime},
        refuse);
#if defined(SYS_kexec_file_load)
    add({SYS_kexec_file_load}, refuse);
#endif
#if defined(SYS_iopl)
    add({SYS_iopl, SYS_ioperm, SYS_modify_ldt}, refuse);
#endif
    constexpr std::uint32_t ask = 0xffff'ffff;
    of(SYS_personality, [&] {
      only(0, ask);
      give(allow);
    });
  }

  // No network, and no program of this machine that listens. What stays is a
  // pair of streams, which cannot be connected to anything else.
  void add_sockets() {
    add({SYS_socket, SYS_connect, SYS_bind, SYS_listen, SYS_accept,
         SYS_accept4},
        refuse);
    of(SYS_socketpair, [&] {
      load(argument(1));
      put(BPF_ALU | BPF_AND | BPF_K, 0xf, 0, 0);
      unless_equal(SOCK_STREAM, refuse);
      give(allow);
    });
  }

  // Calls that take the number of a process: 0 is the caller.
  void add_own_only() {
    for (const long call :
         {SYS_prlimit64, SYS_sched_setaffinity, SYS_sched_setscheduler,
          SYS_sched_setparam, SYS_sched_setattr}) {
      of(call, [&] {
        only(0, 0);
        give(allow);
      });
    }
    of(SYS_setpriority, [&] {
      only(0, 0);  // a process, not a group or a user
      only(1, 0);
      give(allow);
    });
    add({SYS_ioprio_set}, refuse);
  }

  // Signals go to the own group or the own process only.
  void add_signals() {
    constexpr long pidfd_send_signal = 424;
    add({SYS_tkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo,
         pidfd_send_signal},
        refuse);
    of(SYS_kill, [&] {
      load(argument(0));
      jump(BPF_JEQ, 0, 2, 0);
      own_id_.push_back(program_.size());
      unless_equal(0, refuse);
      give(allow);
    });
    of(SYS_tgkill, [&] {
      load(argument(0));
      own_id_.push_back(program_.size());
      unless_equal(0, refuse);
      give(allow);
    });
  }

  std::vector<sock_filter> program_;
  std::vector<std::size_t> own_id_;
};

}  // namespace process
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_PROCESS_CALL_RULES_H_
