// SPDX-License-Identifier: MIT
// What a step of the engine costs, learnt from the steps that ran: the measured
// curve by which step_plan.h sizes the next one.
#ifndef TINYPHI_GENERATE_STEP_COST_H_
#define TINYPHI_GENERATE_STEP_COST_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN

// What decides the cost of a step.
struct step_shape {
  std::size_t decode_rows = 0;
  std::size_t decode_keys = 0;   // cached tokens that these rows see, summed
  std::size_t slice = 0;         // rows of a prompt
  std::size_t slice_stored = 0;  // tokens of that prompt in the cache before

  [[nodiscard]] std::size_t rows() const { return decode_rows + slice; }
};

// T = L(rows) + a x decode_keys + b x slice x (slice_stored + slice / 2), in
// milliseconds. L, the linear layers and the head, is measured at up to 15 row
// counts: straight between two of them, proportional below the least, and on
// at the best rate seen above the greatest. It is neither linear nor monotone
// (8 rows cost 1.25 rows on one machine, 6.3 on another), so nothing is
// assumed about it. Without any measurement a row is taken for 60 ms, so that
// a first step is a small one. Plain values; not thread-safe.
class step_cost {
 public:
  // Row counts around which measurements are gathered.
  static constexpr std::array<std::size_t, 15> sizes = {
      1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512};

  // The mean of the steps with about sizes[i] rows.
  struct knot {
    double rows = 0;       // what they really had; 0: none has been measured
    double ms = 0;         // attention included
    double attention = 0;  // in units of a and b
    std::uint32_t steps = 0;
  };
  // Everything learnt, to be kept for another run of the same model on the
  // same machine with as many threads.
  struct table {
    std::array<knot, sizes.size()> knots{};
    double key_ms = 0;        // a and ...
    double slice_key_ms = 0;  // ... b as calibrated; both 0: never
    double attention = 0;     // factor on both, followed while steps run
  };

  step_cost() = default;
  // A table from a file may hold anything: values out of range are left out.
  explicit step_cost(const table& t);
  [[nodiscard]] const table& learnt() const { return table_; }

  // Finite and positive for whatever shape; 0 for a step without rows.
  [[nodiscard]] double ms(const step_shape& s) const;
  [[nodiscard]] double linear_ms(double rows) const;
  // Whether a size was measured at all.
  [[nodiscard]] bool measured() const { return n_points_ > 0; }

  // Calibration: a and b from steps that differ in their keys only. What was
  // learnt of rows stays.
  void set_attention(double key_ms, double slice_key_ms);
  // Calibration: this step takes `ms`, whatever was known of its size.
  void set(const step_shape& s, double ms);
  // A step took `ms`. Moves the mean of its size by 1/16 (by more while there
  // are few). A value beyond 1.5 times what was expected counts for 1.25 times
  // at most: it may be a stop or a page fault. The third in a row, in steps of
  // one size or several, is believed: then the machine has become slower or
  // faster, and if the size was known well, so have all sizes. Sizes that were
  // not seen for four steps move by as much as the one that is: else sizes that
  // once were too slow to be planned would be thought so for ever.
  void learn(const step_shape& s, double ms);

 private:
  struct point {
    double rows = 0;
    double ms = 0;
  };

  [[nodiscard]] double attention_units(const step_shape& s) const;
  void move(knot& k, const step_shape& s, double ms, double rate);
  void follow_attention(const knot& k, const step_shape& s, double error);
  void change_pace(double factor);
  void move_unseen(std::size_t seen, double factor);
  void rebuild();

  table table_;
  // The knots that are measured, less their attention, by ascending rows.
  std::array<point, sizes.size()> points_{};
  std::size_t n_points_ = 0;
  double best_ms_per_row_ = 0;
  std::array<std::uint32_t, sizes.size()> unseen_{};  // steps since a size ran
  double attention_weight_ = 0;  // sum of squares behind table_.attention
  // Unexpected steps in a row: how many (negative: too fast), and the factor
  // of the least unexpected of them.
  int unexpected_ = 0;
  double least_factor_ = 1;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/generate/step_cost.ipp"
#endif

#endif  // TINYPHI_GENERATE_STEP_COST_H_
