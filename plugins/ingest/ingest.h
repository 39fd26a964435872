// SPDX-License-Identifier: MIT
// The stage `ingest`: a folder of Markdown and text files -> one index file.
#ifndef TINYPHI_PLUGINS_INGEST_INGEST_H_
#define TINYPHI_PLUGINS_INGEST_INGEST_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "plugins/fts/index.h"
#include "tinyphi/pipeline/stage.h"

TINYPHI_NAMESPACE_BEGIN

struct ingest_stage {
  static constexpr stage_info info{
      .id = "ingest",
      .summary = "Brings an index up to date with a folder of documents",
      .effects = effect::read | effect::write,
      .makes = trust::untrusted};

  struct config {
    std::filesystem::path folder;
    std::filesystem::path index;
    std::int64_t chunk_bytes = 1200;
    std::int64_t max_file_bytes = std::int64_t{8} << 20;
  };
  struct inputs {};
  struct outputs {
    std::int64_t files = 0;
    std::int64_t read = 0;
    std::int64_t removed = 0;
    std::int64_t passages = 0;
    std::string notes;
    written_path index;  // the index file, up to date
  };

  static constexpr auto params() {
    return std::tuple{
        param("folder", &config::folder)
            .required()
            .doc("folder with *.md, *.markdown and *.txt files"),
        param("index", &config::index).required().doc("the index file"),
        param("chunk_bytes", &config::chunk_bytes)
            .range(100, 100'000)
            .doc("longest passage; one holds whole paragraphs of a section"),
        param("max_file_bytes", &config::max_file_bytes)
            .range(1, std::int64_t{32} << 20)
            .doc("larger files are skipped, with a note")};
  }
  static constexpr auto in_ports() { return std::tuple{}; }
  static constexpr auto out_ports() {
    return std::tuple{port("files", &outputs::files),
                      port("read", &outputs::read),
                      port("removed", &outputs::removed),
                      port("passages", &outputs::passages),
                      port("notes", &outputs::notes),
                      port("index", &outputs::index)};
  }

  static stage_facts check(const config& c, const call_facts&, host&) {
    stage_facts facts;
    facts.files = {{"index", c.index, true, "index"}};
    return facts;
  }

  ingest_stage(config c, host&) : config_(std::move(c)) {}

  task<outputs> run(run_context& cx, inputs) const {
    fts::index_options options;
    options.chunk_bytes = static_cast<std::size_t>(config_.chunk_bytes);
    options.max_file_bytes = static_cast<std::uint64_t>(config_.max_file_bytes);
    options.stop = cx.stop();
    const auto update = [&] {
      return fts::update_index(config_.folder, config_.index, options);
    };
    const fts::index_report report = unwrap(co_await cx.blocking(update));
    outputs out{static_cast<std::int64_t>(report.n_files),
                static_cast<std::int64_t>(report.n_read),
                static_cast<std::int64_t>(report.n_removed),
                static_cast<std::int64_t>(report.n_chunks),
                {},
                {std::filesystem::absolute(config_.index).string()}};
    out.notes = join(report.notes);
    co_return out;
  }

  // One a line. A folder of many bad files must not make a text that is longer
  // than a port may give: the stage would fail after its work is done.
  static std::string join(const std::vector<std::string>& notes) {
    constexpr std::size_t longest = 65536;
    std::string text;
    for (std::size_t i = 0; i < notes.size(); ++i) {
      if (text.size() + notes[i].size() > longest) {
        return text + "and " + std::to_string(notes.size() - i) +
               " more notes\n";
      }
      text += notes[i] + '\n';
    }
    return text;
  }

  config config_;
};
static_assert(stage<ingest_stage>);

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_INGEST_INGEST_H_
