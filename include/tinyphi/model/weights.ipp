// SPDX-License-Identifier: MIT
// Packing weights while a model loads, or mapping what was packed before.
#ifndef TINYPHI_MODEL_WEIGHTS_IPP_
#define TINYPHI_MODEL_WEIGHTS_IPP_

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "tinyphi/base/content_hash.h"
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
// after another, and releases the stored rows of each when it is done. i and
// begin are the strip's index and first byte among all strips.
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

// For every strip, the hash of its stored rows and that of its packed bytes.
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
    rows[i] = content_hash_of(m.row(s * strip_rows + i));
  }
  return content_hash_of(std::as_bytes(std::span(rows)));
}

// Packs all matrices, and hashes them unless `hashes` is empty. Rows are hashed
// before they are packed: if somebody writes to the file meanwhile, strips may
// be newer than their hash, which the next load notices, but never older.
inline result<void> pack_weights(const weight_walk& walk,
                                 std::span<std::byte> strips,
                                 strip_hashes& hashes) {
  return for_all_strips(walk, [&](const matrix_plan& m, std::size_t s,
                                  std::size_t i, std::size_t begin) {
    const auto strip = strips.subspan(begin, m.to->strip_bytes());
    if (!hashes.empty()) hashes[i][0] = hash_of_rows(m, s);
    pack_planned_strip(m, s, strip.data());
    if (!hashes.empty()) hashes[i][1] = content_hash_of(strip);
  });
}

// Computes the same hashes for strips that exist already.
inline result<void> hash_weights(const weight_walk& walk,
                                 std::span<const std::byte> strips,
                                 strip_hashes& hashes) {
  return for_all_strips(walk, [&](const matrix_plan& m, std::size_t s,
                                  std::size_t i, std::size_t begin) {
    hashes[i] = {hash_of_rows(m, s),
                 content_hash_of(strips.subspan(begin, m.to->strip_bytes()))};
  });
}

// Points each matrix at its strips.
inline void place_weights(const weight_plan& plan,
                          std::span<const std::byte> strips) {
  std::size_t begin = 0;
  for (const matrix_plan& m : plan.matrices) {
    m.to->data = strips.subspan(begin, m.bytes);
    begin = round_up(begin + m.bytes, cache_line);
  }
}

// Names the file that keeps the packed weights; nothing for a model that came
// from memory.
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

// The embedding in memory of ours, unless the head's strips are to hold it.
inline result<void> copy_embedding(model_weights& w, team& threads) {
  if (w.embedding_in_head) {
    w.embedding.bytes = {};
    return {};
  }
  const std::span<const std::byte> stored = w.embedding.bytes;
  TINYPHI_TRY(w.embedding_storage,
              aligned_array<std::byte>::create(stored.size()));
  constexpr std::size_t piece = std::size_t{1} << 20;
  threads.run(stored.size(), piece, [&](std::size_t begin, std::size_t end) {
    std::memcpy(w.embedding_storage.data() + begin, stored.data() + begin,
                end - begin);
  });
  w.file->release(w.embedding);
  w.embedding.bytes = w.embedding_storage.span();
  return {};
}

}  // namespace detail

TINYPHI_FUNC void model_weights::embed(token_id id, std::span<float> to,
                                       std::span<float> row) const {
  const auto r = static_cast<std::size_t>(id);
  if (!embedding_in_head) {
    return dequantize_row(embedding.type, embedding.row(r), to);
  }
  const std::span<std::byte> stored = std::as_writable_bytes(row).first(
      row_bytes(embedding.type, embedding.cols()));
  unpack_row(lm_head.w, r, stored.data());
  dequantize_row(embedding.type, stored, to);
}

TINYPHI_FUNC std::size_t model_weights::bytes() const {
  std::size_t n = embedding.bytes.size() + lm_head.w.data.size();
  for (const layer_weights& l : layers) {
    n += l.qkv.w.data.size() + l.attention_out.w.data.size() +
         l.gate_up.w.data.size() + l.ffn_down.w.data.size();
  }
  return n;
}

namespace detail {

// The numbers of a configuration that a forward pass uses.
inline std::vector<double> numbers_of(const model_config& c) {
  const rope_config& r = c.rope;
  const block_sparse_config& b = c.sparse;
  std::vector<double> all = {static_cast<double>(c.arch),
                             1.0 * c.vocab_size,
                             1.0 * c.hidden,
                             1.0 * c.intermediate,
                             1.0 * c.n_layers,
                             1.0 * c.n_heads,
                             1.0 * c.n_kv_heads,
                             1.0 * c.head_dim,
                             1.0 * c.window,
                             1.0 * c.norm_eps,
                             1.0 * c.attention_scale,
                             1.0 * c.tied_embeddings,
                             1.0 * c.embedding_multiplier,
                             1.0 * c.logits_divisor,
                             1.0 * c.gegelu_limit,
                             1.0 * b.block,
                             1.0 * b.local_blocks,
                             1.0 * b.vert_stride,
                             1.0 * b.dense_every,
                             1.0 * b.homo_head_pattern,
                             1.0 * r.theta,
                             1.0 * r.rotary_dim,
                             1.0 * r.original_context,
                             1.0 * r.short_scale,
                             1.0 * r.long_scale,
                             1.0 * r.position_scale,
                             1.0 * static_cast<double>(r.short_factors.size())};
  all.insert(all.end(), r.short_factors.begin(), r.short_factors.end());
  all.insert(all.end(), r.long_factors.begin(), r.long_factors.end());
  return all;
}

}  // namespace detail

TINYPHI_FUNC std::uint64_t model_weights::content_hash(team& threads) const {
  if (const std::uint64_t known = *known_hash; known != 0) return known;
  const std::vector<double> numbers = detail::numbers_of(config);
  std::vector<std::span<const std::byte>> parts = {
      std::as_bytes(std::span(numbers)), embedding.bytes};
  const auto add_norm = [&](const norm_weights& n) {
    parts.push_back(std::as_bytes(std::span(n.weight)));
    parts.push_back(std::as_bytes(std::span(n.bias)));
  };
  const auto add_linear = [&](const linear& l) {
    parts.push_back(l.w.data);
    parts.push_back(std::as_bytes(std::span(l.bias)));
  };
  for (const layer_weights& l : layers) {
    add_norm(l.attention_norm);
    add_linear(l.qkv);
    add_linear(l.attention_out);
    add_norm(l.ffn_norm);
    add_linear(l.gate_up);
    add_linear(l.ffn_down);
  }
  add_norm(final_norm);
  add_linear(lm_head);
  // Pieces of a fixed size, so that threads do not change the hash.
  constexpr std::size_t piece = std::size_t{1} << 20;
  std::vector<std::span<const std::byte>> pieces;
  for (auto part : parts) {
    for (; part.size() > piece; part = part.subspan(piece)) {
      pieces.push_back(part.first(piece));
    }
    pieces.push_back(part);
  }
  std::vector<std::uint64_t> hashes(pieces.size());
  threads.run(pieces.size(), 1, [&](std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i) {
      hashes[i] = content_hash_of(pieces[i]);
    }
  });
  return *known_hash = content_hash_of(std::as_bytes(std::span(hashes)));
}

TINYPHI_FUNC result<void> load_weights(model_weights& w,
                                       const load_options& options) {
  TINYPHI_TRY(const weight_plan plan, plan_weights(w, options));
  TINYPHI_TRY(w.memory, options.budget.take(
                            memory_use::weights, planned_weight_bytes(w, plan),
                            "the weights of " + w.path.string()));
  team threads(options.n_threads);
  TINYPHI_CHECK_OK(detail::copy_embedding(w, threads));
  const auto progress = [&](double share) {
    if (options.progress) options.progress(share);
  };
  const auto key = options.cache_repacked
                       ? detail::repacked_key_of(w, plan, options)
                       : std::nullopt;
  // Writing the file takes at least as long as everything before it.
  const detail::weight_walk walk{
      *w.file, plan, threads, options.stop,
      [&](double share) { progress(key ? share / 2 : share); }};
  detail::strip_hashes hashes;
  const auto content = [&] {
    return content_hash_of(std::as_bytes(std::span(hashes)));
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
