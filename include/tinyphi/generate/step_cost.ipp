// SPDX-License-Identifier: MIT
#ifndef TINYPHI_GENERATE_STEP_COST_IPP_
#define TINYPHI_GENERATE_STEP_COST_IPP_

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "tinyphi/generate/step_cost.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

constexpr double unmeasured_ms_per_row = 60;
constexpr double least_step_ms = 1e-6;
constexpr double most_step_ms = 1e7;  // 2.8 hours
constexpr double unexpected_factor = 1.5;
constexpr double believed_factor = 1.25;
constexpr std::uint32_t well_known_steps = 16;
constexpr std::uint32_t unseen_steps = 4;

// Not a number counts as the least.
inline double bounded(double x, double least, double most) {
  return x > least ? std::min(x, most) : least;
}

// The size whose mean takes steps of `rows` rows: the nearest.
inline std::size_t size_index(std::size_t rows) {
  const auto& sizes = step_cost::sizes;
  std::size_t i = 0;
  while (i + 1 < sizes.size() && (sizes[i] + sizes[i + 1]) / 2 < rows) ++i;
  return i;
}

}  // namespace detail

TINYPHI_FUNC step_cost::step_cost(const table& t) {
  const auto cost = [](double x) { return detail::bounded(x, 0, 1e3); };
  table_.key_ms = cost(t.key_ms);
  table_.slice_key_ms = cost(t.slice_key_ms);
  table_.attention = cost(t.attention);
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const knot& k = t.knots[i];
    const bool sound =
        k.rows >= 1 && k.rows <= 1e6 &&
        detail::size_index(static_cast<std::size_t>(std::lround(k.rows))) ==
            i &&
        k.ms >= detail::least_step_ms && k.ms <= detail::most_step_ms &&
        k.attention >= 0 && k.attention <= 1e12;
    if (sound) table_.knots[i] = k;
  }
  rebuild();
}

TINYPHI_FUNC double step_cost::attention_units(const step_shape& s) const {
  const auto slice = static_cast<double>(s.slice);
  const double slice_keys =
      slice * (static_cast<double>(s.slice_stored) + slice / 2);
  const auto decode_keys = static_cast<double>(s.decode_keys);
  // Before calibration a key is a key: its cost is then the factor alone.
  if (table_.key_ms == 0 && table_.slice_key_ms == 0) {
    return std::min(decode_keys + slice_keys, 1e12);
  }
  return std::min(
      table_.key_ms * decode_keys + table_.slice_key_ms * slice_keys, 1e12);
}

TINYPHI_FUNC double step_cost::linear_ms(double rows) const {
  if (!(rows > 0)) return 0;
  if (n_points_ == 0) return rows * detail::unmeasured_ms_per_row;
  const point* first = points_.data();
  const point* last = first + n_points_ - 1;
  if (rows <= first->rows) return first->ms * rows / first->rows;
  if (rows >= last->rows) {
    return last->ms + (rows - last->rows) * best_ms_per_row_;
  }
  const point* above = first + 1;
  while (above->rows < rows) ++above;
  const point* below = above - 1;
  const double share = (rows - below->rows) / (above->rows - below->rows);
  return below->ms + share * (above->ms - below->ms);
}

TINYPHI_FUNC double step_cost::ms(const step_shape& s) const {
  if (s.rows() == 0) return 0;
  return detail::bounded(linear_ms(static_cast<double>(s.rows())) +
                             table_.attention * attention_units(s),
                         detail::least_step_ms, 1e12);
}

TINYPHI_FUNC void step_cost::rebuild() {
  n_points_ = 0;
  best_ms_per_row_ = detail::most_step_ms;
  for (const knot& k : table_.knots) {
    if (k.rows == 0) continue;
    // Attention never explains all of a step.
    const double linear =
        std::max(k.ms - table_.attention * k.attention, k.ms / 16);
    points_[n_points_++] = {k.rows, linear};
    best_ms_per_row_ = std::min(best_ms_per_row_, linear / k.rows);
  }
}

TINYPHI_FUNC void step_cost::set_attention(double key_ms, double slice_key_ms) {
  table_.key_ms = detail::bounded(key_ms, 0, 1e3);
  table_.slice_key_ms = detail::bounded(slice_key_ms, 0, 1e3);
  table_.attention = table_.key_ms + table_.slice_key_ms > 0 ? 1 : 0;
  attention_weight_ = 0;
  // What the knots hold was counted in other units.
  for (knot& k : table_.knots) k.attention = 0;
  rebuild();
}

TINYPHI_FUNC void step_cost::set(const step_shape& s, double ms) {
  if (s.rows() == 0 || !(ms > 0)) return;
  knot& k = table_.knots[detail::size_index(s.rows())];
  k = {};
  move(k, s, ms, 1);
  k.steps = detail::well_known_steps;
  rebuild();
}

TINYPHI_FUNC void step_cost::move(knot& k, const step_shape& s, double ms,
                                  double rate) {
  ms = detail::bounded(ms, detail::least_step_ms, detail::most_step_ms);
  const double rows = std::min(static_cast<double>(s.rows()), 1e6);
  k.rows += rate * (rows - k.rows);
  k.ms += rate * (ms - k.ms);
  k.attention += rate * (attention_units(s) - k.attention);
  if (k.steps < ~std::uint32_t{0}) ++k.steps;
}

// Least squares for the one factor, within steps of the same size: what grows
// with the keys there is attention, whatever else the size costs.
TINYPHI_FUNC void step_cost::follow_attention(const knot& k,
                                              const step_shape& s,
                                              double error) {
  if (k.steps < detail::well_known_steps) return;
  const double units = attention_units(s);
  const double apart = units - k.attention;
  // While a text grows token by token, apart is little and mostly noise: a
  // weight of that alone would follow it.
  attention_weight_ = std::max(attention_weight_ * 255 / 256 + apart * apart,
                               16 * units * units);
  if (!(attention_weight_ > 0)) return;
  const double factor = table_.attention + error * apart / attention_weight_;
  const bool calibrated = table_.key_ms != 0 || table_.slice_key_ms != 0;
  const double most = calibrated ? 4 : k.ms / std::max(units, 1.0);
  table_.attention = detail::bounded(factor, calibrated ? 0.25 : 0.0, most);
}

TINYPHI_FUNC void step_cost::change_pace(double factor) {
  for (knot& k : table_.knots) {
    if (k.rows == 0) continue;
    k.ms = detail::bounded(k.ms * factor, detail::least_step_ms,
                           detail::most_step_ms);
  }
  if (table_.key_ms == 0 && table_.slice_key_ms == 0) {
    table_.attention = detail::bounded(table_.attention * factor, 0, 1e3);
    return;
  }
  table_.key_ms = detail::bounded(table_.key_ms * factor, 0, 1e3);
  table_.slice_key_ms = detail::bounded(table_.slice_key_ms * factor, 0, 1e3);
  attention_weight_ *= factor * factor;
  for (knot& k : table_.knots) k.attention *= factor;
}

TINYPHI_FUNC void step_cost::move_unseen(std::size_t seen, double factor) {
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    knot& k = table_.knots[i];
    if (i == seen) {
      unseen_[i] = 0;
    } else if (unseen_[i] < detail::unseen_steps) {
      ++unseen_[i];
    } else if (k.rows > 0) {
      k.ms = detail::bounded(k.ms * factor, detail::least_step_ms,
                             detail::most_step_ms);
    }
  }
}

TINYPHI_FUNC void step_cost::learn(const step_shape& s, double ms) {
  if (s.rows() == 0 || !(ms > 0)) return;
  ms = detail::bounded(ms, detail::least_step_ms, detail::most_step_ms);
  const std::size_t size = detail::size_index(s.rows());
  knot& k = table_.knots[size];
  const double expected = this->ms(s);
  if (k.rows == 0) {
    // Rows one by one cost no more than the neighbours say: what is far beyond
    // was disturbed.
    move(k, s, n_points_ > 0 ? std::min(ms, 2 * expected) : ms, 1);
    rebuild();
    return;
  }
  double rate = std::max(1.0 / 16, 1.0 / (1.0 + k.steps));
  const double factor = ms / expected;
  const int direction = factor > detail::unexpected_factor       ? 1
                        : factor * detail::unexpected_factor < 1 ? -1
                                                                 : 0;
  const bool goes_on = direction * unexpected_ > 0;
  // Where attention takes much of a step, it may be what is misjudged.
  const bool linear = table_.attention * attention_units(s) < expected / 4;
  unexpected_ = goes_on ? unexpected_ + direction : direction;
  if (direction == 0) {
    follow_attention(k, s, ms - expected);
    move(k, s, ms, rate);
  } else {
    least_factor_ = !goes_on        ? factor
                    : direction > 0 ? std::min(least_factor_, factor)
                                    : std::max(least_factor_, factor);
    if (std::abs(unexpected_) < 3) {
      ms = detail::bounded(ms, expected / detail::believed_factor,
                           expected * detail::believed_factor);
      move(k, s, ms, rate);
    } else if (k.steps >= detail::well_known_steps) {
      change_pace(least_factor_);
      unexpected_ = 0;
      return rebuild();
    } else {
      move(k, s, ms, 1);
      return rebuild();
    }
  }
  move_unseen(size, linear ? 1 + rate * (ms / expected - 1) : 1);
  rebuild();
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_GENERATE_STEP_COST_IPP_
