// SPDX-License-Identifier: MIT
// Which waiting request begins, and which running one gives its pages up when
// they run short.
#ifndef TINYPHI_GENERATE_ADMISSION_H_
#define TINYPHI_GENERATE_ADMISSION_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "tinyphi/config.h"
#include "tinyphi/generate/fair_shares.h"
#include "tinyphi/generate/planned_step.h"

TINYPHI_NAMESPACE_BEGIN

// A request that has not begun, or has given way.
struct waiting_request {
  std::uint64_t tenant = 0;
  priority_class priority = priority_class::normal;
  std::size_t pages = 0;    // that must be free for it to begin
  std::uint64_t order = 0;  // of submission
};

// The higher class first, in it the tenant with more credit, of that one the
// oldest; who does not fit is overtaken by who does. But the oldest of all is
// overtaken by most_bypasses younger ones at most: then nobody begins before
// it does. So with n older ones waiting a request begins after at most
// (n + 1) x most_bypasses younger ones, not counting those for which others gave
// way (choose_victim_for): they take no place that was free.
class admission {
 public:
  static constexpr std::size_t most_bypasses = 16;

  // The position of the request that begins now; nothing: none may, or none
  // fits into `free_pages`.
  [[nodiscard]] std::optional<std::size_t> next(
      std::span<const waiting_request> waiting, std::size_t free_pages,
      const fair_shares& shares) const;
  // It has begun; `waiting` still holds it.
  void begun(std::span<const waiting_request> waiting, std::size_t position);
  // Whether the oldest has been overtaken as often as it may be.
  [[nodiscard]] bool holds_back() const { return bypasses_ >= most_bypasses; }

 private:
  std::size_t bypasses_ = 0;  // since the oldest of then began
};

// The position of the one that gives way: of the lowest class, in it of the
// tenant that was served most (has the least credit), the newest. Never the
// oldest of all, which so comes to its end; nothing if there is no other.
// Requests with left == 0 count too.
[[nodiscard]] std::optional<std::size_t> choose_victim(
    std::span<const plan_request> running, const fair_shares& shares);

// The position of the one that gives way so that `w`, which finds no place or
// no pages, may begin: of a lower class, or of a tenant that has more than one
// of its class running; else as above. Nothing if the tenant of `w` has one of
// that class or a higher one running already: so whoever comes gets a place
// beside a tenant that has filled them all, but not a second one.
[[nodiscard]] std::optional<std::size_t> choose_victim_for(
    const waiting_request& w, std::span<const plan_request> running,
    const fair_shares& shares);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/generate/admission.ipp"
#endif

#endif  // TINYPHI_GENERATE_ADMISSION_H_
