// SPDX-License-Identifier: MIT
// The stage `file.write`: a text -> a file that the author named.
#ifndef TINYPHI_PLUGINS_FILE_FILE_WRITE_H_
#define TINYPHI_PLUGINS_FILE_FILE_WRITE_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "plugins/file/written_file.h"
#include "tinyphi/pipeline/stage.h"

TINYPHI_NAMESPACE_BEGIN

struct file_write_stage {
  static constexpr stage_info info{
      .id = "file.write",
      .summary = "Appends a text to a file, or puts it in its place",
      .effects = effect::write};

  struct config {
    std::filesystem::path path;
    files::write_mode mode = files::write_mode::append;
  };
  struct inputs {
    std::string_view text;
  };
  struct outputs {
    std::int64_t bytes = 0;
  };

  static constexpr auto params() {
    return std::tuple{
        param("path", &config::path).required().doc("the file"),
        param("mode", &config::mode)
            .names("append", "replace")
            .doc("append: the text and a line end, if it has none, behind what "
                 "is there; replace: the text alone")};
  }
  static constexpr auto in_ports() {
    return std::tuple{port("text", &inputs::text)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("bytes", &outputs::bytes)};
  }

  static stage_facts check(const config& c, const call_facts&, host&) {
    stage_facts facts;
    facts.files = {{"path", c.path, true}};
    return facts;
  }

  file_write_stage(config c, host&) : config_(std::move(c)) {}

  task<outputs> run(run_context& cx, inputs in) const {
    const auto write = [&] { return unwrap(write_text(in.text)); };
    const std::int64_t bytes = co_await cx.blocking(write);
    co_return outputs{bytes};
  }

 private:
  // How many bytes were written.
  result<std::int64_t> write_text(std::string_view text) const {
    if (config_.mode == files::write_mode::replace) {
      TINYPHI_CHECK_OK(files::replace(config_.path, text));
      return static_cast<std::int64_t>(text.size());
    }
    std::string line(text);
    if (!line.ends_with('\n')) line += '\n';
    TINYPHI_TRY(const fts::unique_fd fd, files::open_to_append(config_.path));
    TINYPHI_CHECK_OK(files::append(fd, config_.path, line));
    return static_cast<std::int64_t>(line.size());
  }

  config config_;
};
static_assert(stage<file_write_stage>);

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_FILE_FILE_WRITE_H_
