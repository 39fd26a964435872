// SPDX-License-Identifier: MIT
#ifndef TINYPHI_MODEL_WEIGHTS_IPP_
#define TINYPHI_MODEL_WEIGHTS_IPP_

#include <algorithm>
#include <array>
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

// How load_weights() was asked to work.
struct weight_walk {
  const model_file& file;
  const weight_plan& plan;
  team& threads;
  const stop_condition& stop;
  std::function<void(double)> progress;
};

// Calls work(m, s, i, begin) for every strip s of every matrix m, one matrix
// after the other, and lets go of what each was made from. i counts the strips
// of all, begin their bytes.
template <class Work>
result<void> for_all_strips(const weight_walk& walk, const Work& work) {
  const weight_plan& plan = walk.plan;
  std::size_t i = 0;
  std::size_t begin = 0;
  for (const matrix_plan& m : plan.matrices) {
    TINYPHI_CHECK_OK(walk.stop.check());
    const std::size_t n = m.to->n_strips();
    walk.threads.run(n, 4, [&](std::size_t from, std::size_t to) {
      for (std::size_t s = from; s < to; ++s) {
        work(m, s, i + s, begin + s * m.to->strip_bytes());
      }
    });
    release_stored(walk.file, m);
    i += n;
    begin = round_up(begin + m.bytes, cache_line);
    walk.progress(static_cast<double>(begin) / static_cast<double>(plan.bytes));
  }
  return {};
}

// The standard library's hash serves: who could look for two models with the
// same one could as well write the kept file, and another library's hash only
// makes it be written again.
inline std::uint64_t hash_of(std::span<const std::byte> bytes) {
  return std::hash<std::string_view>{}(as_text(bytes));
}

// Of every strip: the hash of the rows that it is made from, and its own.
using strip_hashes = std::vector<std::array<std::uint64_t, 2>>;

inline strip_hashes strip_hashes_for(const weight_plan& plan) {
  std::size_t n = 0;
  for (const matrix_plan& m : plan.matrices) n += m.to->n_strips();
  return strip_hashes(n);
}

inline std::uint64_t hash_of_rows(const matrix_plan& m, std::size_t s) {
  std::array<std::uint64_t, strip_rows> rows{};
  const std::size_t n = std::min(strip_rows, m.to->rows - s * strip_rows);
  for (std::size_t i = 0; i < n; ++i) {
    rows[i] = hash_of(m.row(s * strip_rows + i));
  }
  return hash_of(std::as_bytes(std::span(rows)));
}

// Packs all matrices, and hashes them if there is room for hashes. The rows are
// hashed first: of those that somebody writes to meanwhile, the strips may be
// newer than the hash, which the next load notices, never older.
inline result<void> pack_weights(const weight_walk& walk,
                                 std::span<std::byte> strips,
                                 strip_hashes& hashes) {
  return for_all_strips(walk, [&](const matrix_plan& m, std::size_t s,
                                  std::size_t i, std::size_t begin) {
    const auto strip = strips.subspan(begin, m.to->strip_bytes());
    if (!hashes.empty()) hashes[i][0] = hash_of_rows(m, s);
    pack_planned_strip(m, s, strip.data());
    if (!hashes.empty()) hashes[i][1] = hash_of(strip);
  });
}

// The same hashes of strips that are there.
inline result<void> hash_weights(const weight_walk& walk,
                                 std::span<const std::byte> strips,
                                 strip_hashes& hashes) {
  return for_all_strips(walk, [&](const matrix_plan& m, std::size_t s,
                                  std::size_t i, std::size_t begin) {
    hashes[i] = {hash_of_rows(m, s),
                 hash_of(strips.subspan(begin, m.to->strip_bytes()))};
  });
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
  key.changed = last_change(files);
  std::string& text = key.made_from;
  text = "tinyphi packed weights, layout " +
         std::to_string(packed_layout_version) + "\n";
  for (const mapped_file* file : files) {
    text += std::to_string(file->bytes().size()) + " bytes\n";
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
  TINYPHI_TRY(w.memory, options.budget.take(
                            memory_use::weights, planned_weight_bytes(w, plan),
                            "the weights of " + w.path.string()));
  team threads(options.n_threads);
  const auto progress = [&](double share) {
    if (options.progress) options.progress(share);
  };
  const auto key = options.cache_repacked
                       ? detail::repacked_key_of(w, plan, options)
                       : std::nullopt;
  // Writing a file takes as long as all before it, or longer.
  const detail::weight_walk walk{
      *w.file, plan, threads, options.stop,
      [&](double share) { progress(key ? share / 2 : share); }};
  detail::strip_hashes hashes;
  const auto content = [&] {
    return detail::hash_of(std::as_bytes(std::span(hashes)));
  };
  if (key) {
    hashes = detail::strip_hashes_for(plan);
    if (auto kept = repacked_file::open(*key)) {
      bool same = kept->unchanged();
      if (!same) {
        TINYPHI_CHECK_OK(detail::hash_weights(walk, kept->strips(), hashes));
        same = content() == kept->content();
        if (same) kept->remember(*key);
      }
      if (same) {
        detail::place_weights(plan, kept->strips());
        w.repacked = *std::move(kept);
        progress(1);
        return {};
      }
    }
  }
  TINYPHI_TRY(w.strips, aligned_array<std::byte>::create(plan.bytes));
  TINYPHI_CHECK_OK(detail::pack_weights(walk, w.strips.span(), hashes));
  detail::place_weights(plan, w.strips.span());
  if (key) {
    const auto kept =
        write_repacked(*key, w.strips.span(), content(), options.stop);
    TINYPHI_CHECK_OK(options.stop.check());
    if (!kept && options.warn) options.warn(kept.error());
    progress(1);
  }
  return {};
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_MODEL_WEIGHTS_IPP_
