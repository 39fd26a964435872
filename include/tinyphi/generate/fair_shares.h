// SPDX-License-Identifier: MIT
// Who is due: the engine's time divided among tenants and classes, in
// milliseconds, by deficit round robin.
#ifndef TINYPHI_GENERATE_FAIR_SHARES_H_
#define TINYPHI_GENERATE_FAIR_SHARES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tinyphi/config.h"
#include "tinyphi/generate/planned_step.h"

TINYPHI_NAMESPACE_BEGIN

// A tenant has credit, in milliseconds / weight. Steps are paid from it, and
// when none of those who wait has any left, a round begins: everybody gets a
// quantum, up to two may be kept. Two tenants of equal weight that both wait
// are never further apart than one quantum and one slice, however long their
// prompts. Who returns has no more credit than those who stayed; debt remains.
//
// While prompts of a higher class wait, those of a lower one get a twentieth of
// the time. Only charge and set_weight change anything. Not thread-safe.
class fair_shares {
 public:
  static constexpr double quantum_ms = 100;
  static constexpr double most_quanta = 2;
  static constexpr double most_debt_quanta = 20;
  static constexpr double lower_class_share = 0.05;

  // 1 unless set; kept within [1/64, 64]. Who has a weight is remembered.
  void set_weight(std::uint64_t tenant, double weight);

  // After a step: its tenants pay the `measured_ms`, decoding rows the part
  // that they have in the expected time. `requests` are those it was planned
  // from. `aborted`: the owner of the slice was cancelled in it, so that
  // nothing has advanced; its tenant pays all.
  void charge(const step_plan& plan, std::span<const plan_request> requests,
              double measured_ms, bool aborted);

  // How many steps were charged.
  [[nodiscard]] std::uint64_t step() const { return step_; }
  [[nodiscard]] double credit(std::uint64_t tenant) const;
  // The class whose prompts are due, of those for which one waits.
  [[nodiscard]] priority_class due_class(
      const std::array<bool, n_priority_classes>& waiting) const;
  // Whose turn it is in the round, or the next greater one's.
  [[nodiscard]] std::uint64_t turn() const { return turn_; }

 private:
  struct account {
    std::uint64_t tenant = 0;
    std::uint64_t seen = 0;  // the last step with a request of it
    double weight = 1;
    double credit = 0;
    bool kept = false;  // its weight was set
    bool due = false;   // a prompt of the highest waiting class is its
  };
  using accounts = std::vector<account>;  // by tenant

  [[nodiscard]] accounts::const_iterator find(std::uint64_t tenant) const;
  account& open(std::uint64_t tenant);
  void see(std::span<const plan_request> requests);
  void pay(std::uint64_t tenant, double ms);
  void pay_classes(priority_class paid, double ms);
  void begin_rounds();
  void forget();

  accounts accounts_;
  std::uint64_t step_ = 0;
  std::uint64_t turn_ = 0;
  double newcomer_credit_ = quantum_ms;
  std::array<bool, n_priority_classes> waiting_{};    // in this step
  std::array<double, n_priority_classes> owed_ms_{};  // below the highest
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/generate/fair_shares.ipp"
#endif

#endif  // TINYPHI_GENERATE_FAIR_SHARES_H_
