// SPDX-License-Identifier: MIT
// Which stored rows become which packed matrix: found and checked before any
// is packed.
#ifndef TINYPHI_MODEL_WEIGHT_PLAN_H_
#define TINYPHI_MODEL_WEIGHT_PLAN_H_

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/model/load_options.h"
#include "tinyphi/model/model_config.h"
#include "tinyphi/tensor/packed.h"
#include "tinyphi/tensor/tensor.h"

TINYPHI_NAMESPACE_BEGIN

struct model_weights;  // weights.h

// One matrix to pack.
struct matrix_plan {
  packed_matrix* to = nullptr;            // everything but its strips is set
  std::size_t bytes = 0;                  // of its strips
  std::vector<const tensor_view*> parts;  // same type and cols, stacked
  // The stored row that becomes row r; empty: r.
  std::function<std::size_t(std::size_t)> order = {};

  [[nodiscard]] dtype stored_type() const { return parts[0]->type; }
  [[nodiscard]] std::span<const std::byte> row(std::size_t r) const {
    if (order) r = order(r);
    std::size_t part = 0;
    while (r >= parts[part]->rows()) r -= parts[part++]->rows();
    return parts[part]->row(r);
  }
};

// The matrices in the order in which a token meets them; the strips of each
// begin at a cache line, right behind those of the one before.
struct weight_plan {
  std::vector<matrix_plan> matrices;
  std::size_t bytes = 0;  // of all strips
};

// Applies load_options::context.
[[nodiscard]] result<void> limit_context(model_config& c,
                                         const load_options& options);

// Reads norms and biases into `w`, sizes the matrices and plans their packing.
// The plan points into `w` and its file. Errors are those of load_weights().
[[nodiscard]] result<weight_plan> plan_weights(model_weights& w,
                                               const load_options& options);

// What the weights will take once they are loaded: matrices and embedding.
[[nodiscard]] std::size_t planned_weight_bytes(const model_weights& w,
                                               const weight_plan& plan);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/model/weight_plan.ipp"
#endif

#endif  // TINYPHI_MODEL_WEIGHT_PLAN_H_
