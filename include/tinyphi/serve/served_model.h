// SPDX-License-Identifier: MIT
// A model that clients may ask for, and the thread that computes its answers.
#ifndef TINYPHI_SERVE_SERVED_MODEL_H_
#define TINYPHI_SERVE_SERVED_MODEL_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "tinyphi/generate/engine.h"
#include "tinyphi/serve/answer_format.h"
#include "tinyphi/serve/answer_tools.h"
#include "tinyphi/serve/remembered_turns.h"

TINYPHI_NAMESPACE_BEGIN

// One generation of a model: a reload makes another, and the old one lives as
// long as requests hold it. Any thread may call.
class served_model {
 public:
  // Starts the thread. `created` is in seconds since 1970, `seed` that of
  // requests that name none.
  served_model(std::string id, std::vector<std::string> aliases,
               tinyphi::engine e, std::int64_t created,
               std::optional<std::uint64_t> seed = {});
  ~served_model() { stop(); }
  served_model(const served_model&) = delete;
  served_model& operator=(const served_model&) = delete;

  // Ends what runs, as cancelled, and waits for the thread; again is harmless.
  void stop();

  [[nodiscard]] const std::string& id() const { return id_; }
  [[nodiscard]] const std::vector<std::string>& aliases() const {
    return aliases_;
  }
  [[nodiscard]] bool is_named(std::string_view name) const;
  // The same, or it has the alias "*", which means every name.
  [[nodiscard]] bool answers_to(std::string_view name) const;
  [[nodiscard]] tinyphi::engine& engine() { return engine_; }
  [[nodiscard]] const tinyphi::engine& engine() const { return engine_; }
  [[nodiscard]] std::int64_t created() const { return created_; }
  [[nodiscard]] std::optional<std::uint64_t> seed() const { return seed_; }
  // Equal fingerprints and seeds give equal answers: program, weights, SIMD
  // target, threads do not matter, cache type does.
  [[nodiscard]] const std::string& fingerprint() const { return fingerprint_; }
  [[nodiscard]] remembered_turns& turns() { return turns_; }
  [[nodiscard]] format_cache& formats() { return formats_; }
  [[nodiscard]] tool_cache& tools() { return tools_; }

 private:
  std::string id_;
  std::vector<std::string> aliases_;
  tinyphi::engine engine_;
  std::int64_t created_;
  std::optional<std::uint64_t> seed_;
  std::string fingerprint_;
  remembered_turns turns_;
  format_cache formats_;
  tool_cache tools_;
  stop_condition stop_;
  std::thread driver_;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/served_model.ipp"
#endif

#endif  // TINYPHI_SERVE_SERVED_MODEL_H_
