// SPDX-License-Identifier: MIT
// What one stage writes and another reads must have an order, which is best a
// value that the reader takes. Its faults: TP2017.
#ifndef TINYPHI_PIPELINE_PASSES_FILES_IPP_
#define TINYPHI_PIPELINE_PASSES_FILES_IPP_

#include "tinyphi/pipeline/passes/compilation.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

class file_pass {
 public:
  explicit file_pass(compilation& c) : c_(c) {}

  void run() {
    const auto& stages = c_.g.stages;
    for (std::size_t writer = 0; writer < stages.size(); ++writer) {
      for (const stage_facts::used_file& f : stages[writer].facts.files) {
        if (f.is_written) check_readers(writer, f);
      }
    }
  }

 private:
  void check_readers(std::size_t writer, const stage_facts::used_file& f) {
    const std::vector<bool> earlier = leading_to(c_.g, writer);
    const std::vector<bool> later = following(c_.g, writer);
    for (std::size_t i = 0; i < c_.g.stages.size(); ++i) {
      if (earlier[i] || later[i]) continue;
      const graph_stage& s = c_.g.stages[i];
      for (const stage_facts::used_file& other : s.facts.files) {
        if (other.is_written || !is_same(other.path, f.path)) continue;
        report(i, param_place(c_.stages[i].with, other.param, 0, s.at), writer,
               f);
      }
      for (const graph_port& p : s.in) check_port(i, p, writer, f);
    }
  }

  // A path of [env] that the stage takes.
  void check_port(std::size_t stage, const graph_port& p, std::size_t writer,
                  const stage_facts::used_file& f) {
    for (const graph_source& from : p.binding.from) {
      const auto* path = from.what == graph_source::kind::constant &&
                                 from.type.is(type_kind::path)
                             ? from.constant.get<std::string>()
                             : nullptr;
      if (path != nullptr && is_same(*path, f.path)) {
        report(stage, from.at, writer, f);
      }
    }
  }

  [[nodiscard]] bool is_same(const std::filesystem::path& a,
                             const std::filesystem::path& b) const {
    const auto place = [&](const std::filesystem::path& path) {
      std::error_code failed;
      return std::filesystem::absolute(c_.g.services->base_dir() / path, failed)
          .lexically_normal();
    };
    return place(a) == place(b);
  }

  void report(std::size_t reader, position at, std::size_t writer,
              const stage_facts::used_file& f) {
    const std::string& other = c_.g.stages[writer].id;
    c_.report(fault::unordered_file, at,
              "stage " + c_.g.stages[reader].id + " reads " +
                  quote(f.path.filename().string()) + ", which stage " + other +
                  " writes; " +
                  (f.port.empty() ? "say after = [\"" + other + "\"]"
                                  : "take " + other + "." + f.port) +
                  ", so that the order is certain");
  }

  compilation& c_;
};

}  // namespace detail

inline void check_files(compilation& c) { detail::file_pass(c).run(); }

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_PASSES_FILES_IPP_
