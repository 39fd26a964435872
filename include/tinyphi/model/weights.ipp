// SPDX-License-Identifier: MIT
#ifndef TINYPHI_MODEL_WEIGHTS_IPP_
#define TINYPHI_MODEL_WEIGHTS_IPP_

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "tinyphi/model/weight_plan.h"
#include "tinyphi/model/weights.h"
#include "tinyphi/tensor/quant.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// Packs strip s of a matrix into `strip`, which is zeros; floats are quantized
// first if the plan says so.
inline void pack_planned_strip(const matrix_plan& plan, std::size_t s,
                               std::byte* strip) {
  const packed_matrix& w = *plan.to;
  const std::size_t n = std::min(strip_rows, w.rows - s * strip_rows);
  std::array<const std::byte*, strip_rows> rows{};
  for (std::size_t i = 0; i < n; ++i) {
    rows[i] = plan.row(s * strip_rows + i).data();
  }
  std::vector<std::byte> quantized;
  if (plan.stored_type() != w.type) {
    const std::size_t n_bytes = row_bytes(w.type, w.cols);
    quantized.resize(n * n_bytes);
    std::vector<float> floats(w.cols);
    for (std::size_t i = 0; i < n; ++i) {
      const auto to = std::span(quantized).subspan(i * n_bytes, n_bytes);
      dequantize_row(plan.stored_type(), plan.row(s * strip_rows + i), floats);
      quantize_row(w.type, floats, to);
      rows[i] = to.data();
    }
  }
  pack_strip(w.type, w.cols, rows.data(), n, strip);
}

// The system may take back the pages that were packed; they stay in its file
// cache, for the next load.
inline void release_stored(const model_file& file, const matrix_plan& plan) {
  if (plan.read_later) return;
  for (const tensor_view* t : plan.parts) file.release(*t);
}

// Packs all matrices, one after the other, and lets go of what each was made
// from.
inline result<void> pack_weights(const model_weights& w,
                                 const weight_plan& plan,
                                 std::span<std::byte> strips, team& threads,
                                 const stop_condition& stop,
                                 const std::function<void(double)>& progress) {
  std::size_t begin = 0;
  for (const matrix_plan& m : plan.matrices) {
    TINYPHI_CHECK_OK(stop.check());
    const std::size_t strip_bytes = m.to->strip_bytes();
    threads.run(m.to->n_strips(), 4, [&](std::size_t from, std::size_t to) {
      for (std::size_t s = from; s < to; ++s) {
        pack_planned_strip(m, s, strips.data() + begin + s * strip_bytes);
      }
    });
    release_stored(*w.file, m);
    begin = round_up(begin + m.bytes, cache_line);
    progress(static_cast<double>(begin) / static_cast<double>(plan.bytes));
  }
  return {};
}

// Lets the matrices see their strips.
inline void place_weights(const weight_plan& plan,
                          std::span<const std::byte> strips) {
  std::size_t begin = 0;
  for (const matrix_plan& m : plan.matrices) {
    m.to->data = strips.subspan(begin, m.bytes);
    begin = round_up(begin + m.bytes, cache_line);
  }
}

// True if the first, middle and last strip of every matrix, packed again, are
// the ones that stand there. Hashing all of a model would take longer than
// mapping it; this takes milliseconds, and another model is another nearly
// everywhere.
inline bool same_weights(const model_file& file, const weight_plan& plan,
                         team& threads) {
  std::atomic<bool> same = true;
  threads.run(plan.matrices.size(), 1, [&](std::size_t i, std::size_t) {
    const matrix_plan& m = plan.matrices[i];
    const std::size_t last = m.to->n_strips() - 1;
    std::vector<std::byte> strip;
    for (const std::size_t s : {std::size_t{0}, last / 2, last}) {
      strip.assign(m.to->strip_bytes(), std::byte{0});
      pack_planned_strip(m, s, strip.data());
      if (!std::equal(strip.begin(), strip.end(), m.to->strip(s))) same = false;
    }
    release_stored(file, m);
  });
  return same;
}

// The file that keeps the packed weights; nothing for a model in memory.
inline std::optional<repacked_key> repacked_key_of(
    const model_weights& w, const weight_plan& plan,
    const load_options& options) {
  const auto files = w.file->mappings();
  if (files.empty()) return std::nullopt;
  repacked_key key;
  key.path = w.file->hf() != nullptr ? w.path / "tinyphi" : w.path;
  if (options.quantize) {
    key.path += "." + std::string(to_string(*options.quantize));
  }
  key.path += ".r16";
  key.strip_bytes = plan.bytes;
  key.model = files.front()->stamp();
  std::string& text = key.made_from;
  text = "tinyphi packed weights, layout " +
         std::to_string(packed_layout_version) + "\n";
  for (const mapped_file* file : files) {
    const file_stamp& stamp = file->stamp();
    text += std::to_string(file->bytes().size()) + " bytes of " +
            std::to_string(stamp.modified) + "\n";
    key.model.modified = std::max(key.model.modified, stamp.modified);
  }
  const model_config& c = w.config;
  text += std::string(to_string(c.arch)) + ", heads " +
          std::to_string(c.n_heads) + " " + std::to_string(c.n_kv_heads) + " " +
          std::to_string(c.head_dim) + "\n";
  for (const matrix_plan& m : plan.matrices) {
    text += m.parts[0]->name + " " + std::string(to_string(m.stored_type())) +
            " " + std::string(to_string(m.to->type)) + " " +
            std::to_string(m.to->rows) + " " + std::to_string(m.to->cols) +
            "\n";
  }
  return key;
}

}  // namespace detail

TINYPHI_FUNC std::size_t model_weights::bytes() const {
  std::size_t n = embedding.bytes.size() + lm_head.w.data.size();
  for (const layer_weights& l : layers) {
    n += l.qkv.w.data.size() + l.attention_out.w.data.size() +
         l.gate_up.w.data.size() + l.ffn_down.w.data.size();
  }
  return n;
}

TINYPHI_FUNC result<void> load_weights(model_weights& w,
                                       const load_options& options) {
  TINYPHI_TRY(const weight_plan plan, plan_weights(w, options));
  team threads(options.n_threads);
  const auto progress = [&](double share) {
    if (options.progress) options.progress(share);
  };
  const auto key = options.cache_repacked
                       ? detail::repacked_key_of(w, plan, options)
                       : std::nullopt;
  if (key) {
    if (auto kept = repacked_file::open(*key)) {
      detail::place_weights(plan, kept->strips());
      if (detail::same_weights(*w.file, plan, threads)) {
        w.repacked = *std::move(kept);
        progress(1);
        return {};
      }
    }
  }
  TINYPHI_TRY(w.strips, aligned_array<std::byte>::create(plan.bytes));
  // Writing a file takes as long as all before it, or longer.
  TINYPHI_CHECK_OK(detail::pack_weights(
      w, plan, w.strips.span(), threads, options.stop,
      [&](double share) { progress(key ? share / 2 : share); }));
  detail::place_weights(plan, w.strips.span());
  if (key) {
    const auto kept = write_repacked(*key, w.strips.span(), options.stop);
    TINYPHI_CHECK_OK(options.stop.check());
    if (!kept && options.warn) options.warn(kept.error());
    progress(1);
  }
  return {};
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_MODEL_WEIGHTS_IPP_
