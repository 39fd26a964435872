// SPDX-License-Identifier: MIT
// The stage `file.read`: a file -> its text.
#ifndef TINYPHI_PLUGINS_FILE_FILE_READ_H_
#define TINYPHI_PLUGINS_FILE_FILE_READ_H_

#include <cstdint>
#include <string>
#include <tuple>
#include <utility>

#include "plugins/file/allowed_file.h"
#include "tinyphi/pipeline/stage.h"

TINYPHI_NAMESPACE_BEGIN

struct file_read_stage {
  static constexpr stage_info info{
      .id = "file.read",
      .summary = "Reads a text file below the folders of [allow].read",
      .effects = effect::read,
      .makes = trust::untrusted};

  struct config {
    byte_size max_bytes{1 << 20};
  };
  struct inputs {
    file_name file;
  };
  struct outputs {
    std::string text;
    std::int64_t bytes = 0;
  };

  static constexpr auto params() {
    return std::tuple{param("max_bytes", &config::max_bytes)
                          .range(byte_size{1}, byte_size{1 << 20})
                          .doc("a larger file is an error")};
  }
  static constexpr auto in_ports() {
    return std::tuple{port("file", &inputs::file).control()};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("text", &outputs::text),
                      port("bytes", &outputs::bytes)};
  }

  file_read_stage(const config& c, const call_facts& call, const host& h)
      : max_bytes_(c.max_bytes.bytes), places_(call, h) {}

  task<outputs> run(run_context& cx, inputs in) const {
    const auto read = [&] {
      return unwrap(places_.read_text(in.file.name, max_bytes_));
    };
    outputs out;
    out.text = co_await cx.blocking(read);
    out.bytes = static_cast<std::int64_t>(out.text.size());
    co_return out;
  }

 private:
  std::uint64_t max_bytes_;
  files::readable_places places_;
};
static_assert(stage<file_read_stage>);

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_FILE_FILE_READ_H_
