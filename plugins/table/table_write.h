// SPDX-License-Identifier: MIT
// The stage `table.write`: rows -> a file of CSV or JSON lines that the author
// named.
#ifndef TINYPHI_PLUGINS_TABLE_TABLE_WRITE_H_
#define TINYPHI_PLUGINS_TABLE_TABLE_WRITE_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "plugins/file/written_file.h"
#include "plugins/table/rows.h"
#include "tinyphi/pipeline/stage.h"

TINYPHI_NAMESPACE_BEGIN

struct table_write_stage {
  static constexpr stage_info info{
      .id = "table.write",
      .summary = "Writes rows to a file of CSV or JSON lines",
      .effects = effect::write};

  struct config {
    enum class kind { by_name, csv, jsonl };
    std::filesystem::path path = {};
    kind format = kind::by_name;
    files::write_mode mode = files::write_mode::append;
    std::vector<std::string> columns = {};
  };
  struct inputs {
    std::vector<value_data> rows;
  };
  struct outputs {
    std::int64_t rows = 0;
  };

  static constexpr auto params() {
    return std::tuple{
        param("path", &config::path).required().doc("the file"),
        param("format", &config::format)
            .names("name", "csv", "jsonl")
            .doc("name: by the end of path, .csv or .jsonl"),
        param("mode", &config::mode)
            .names("append", "replace")
            .doc("append: the rows behind those that are there; replace: the "
                 "rows alone"),
        param("columns", &config::columns)
            .doc("their names, in order; left out: the fields of the rows")};
  }
  static constexpr auto in_ports() {
    return std::tuple{port("rows", &inputs::rows)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("rows", &outputs::rows)};
  }

  static stage_facts check(const config& c, const call_facts& call, host&) {
    stage_facts facts;
    facts.files = {{"path", c.path, true}};
    const auto report = [&](fault code, const char* name, std::string what) {
      facts.faults.push_back({code, name, 0, std::move(what)});
    };
    const auto format = format_of(c);
    if (format == config::kind::by_name) {
      report(fault::out_of_range, "path", no_format(c));
    }
    if (const auto wrong = tables::find_column_fault(c.columns)) {
      report(fault::out_of_range, "columns", *wrong);
      return facts;
    }
    const type row = row_type(call);
    const bool needs_columns = format == config::kind::csv;
    if (row.is(type_kind::record)) {
      const auto fields = tables::columns_of(row);
      const std::vector<std::string_view> known(fields.begin(), fields.end());
      for (const std::string& name : c.columns) {
        if (row.find(name) != nullptr) continue;
        report(
            fault::unknown_value, "columns",
            "in.rows has no field " + quote(name) + did_you_mean(name, known));
      }
    } else if (row.is(type_kind::list)) {
      if (c.columns.empty() && needs_columns) {
        report(fault::missing_key, "columns",
               "must be given: rows of type " + to_string(row) +
                   " do not name them");
      }
    } else if (!row.is(type_kind::json) && !row.is(type_kind::any) &&
               (needs_columns || !c.columns.empty())) {
      report(fault::type_mismatch, "columns",
             "a row of type " + to_string(row) +
                 " has none; it must be a record, a JSON object or a list of "
                 "cells");
    }
    return facts;
  }

  table_write_stage(config c, const call_facts& call, host&)
      : config_(std::move(c)),
        format_(format_of(config_)),
        chosen_(!config_.columns.empty()) {
    if (format_ == config::kind::by_name) {
      throw stage_error(error_code::invalid_argument, no_format(config_));
    }
    if (!chosen_ && format_ == config::kind::csv) {
      config_.columns = tables::columns_of(row_type(call));
    }
  }

  task<outputs> run(run_context& cx, inputs in) const {
    const auto write = [&] { unwrap(write_rows(in.rows, cx.stop())); };
    co_await cx.blocking(write);
    co_return outputs{static_cast<std::int64_t>(in.rows.size())};
  }

 private:
  static config::kind format_of(const config& c) {
    if (c.format != config::kind::by_name) return c.format;
    if (c.path.extension() == ".csv") return config::kind::csv;
    if (c.path.extension() == ".jsonl") return config::kind::jsonl;
    return config::kind::by_name;
  }
  static std::string no_format(const config& c) {
    return quote(c.path.filename().string()) +
           " ends in neither .csv nor .jsonl; give with.format";
  }
  static type row_type(const call_facts& call) {
    const auto bound = call.types.find("rows");
    return bound == call.types.end() ? type() : bound->second.element();
  }

  result<void> write_rows(const std::vector<value_data>& rows,
                          const stop_condition& stop) const {
    const bool is_csv = format_ == config::kind::csv;
    tables::row_writer writer(config_.columns, chosen_);
    if (is_csv) TINYPHI_CHECK_OK(writer.begin(rows));
    const auto lines_of = [&] {
      return is_csv ? writer.csv_lines(rows) : writer.json_lines(rows);
    };
    // Before anything is opened: rows that are wrong leave no trace.
    TINYPHI_TRY(std::string lines, lines_of());
    const std::string header = is_csv ? writer.csv_header() : "";
    TINYPHI_CHECK_OK(stop.check());
    if (config_.mode == files::write_mode::replace) {
      return files::replace(config_.path, header + lines);
    }
    if (header.empty() && lines.empty()) return {};
    TINYPHI_TRY(const fts::unique_fd fd, files::open_to_append(config_.path));
    // From here to the end of the call no other stage appends rows.
    TINYPHI_CHECK_OK(files::wait_for_lock(fd, config_.path, stop));
    TINYPHI_TRY(const std::string beginning,
                files::read_beginning(fd, config_.path, max_header_bytes));
    if (beginning.empty()) {
      return files::append_whole(fd, config_.path, header + lines);
    }
    if (is_csv) {
      const std::vector<std::string> columns = writer.columns();
      TINYPHI_CHECK_OK(adopt_header(beginning, writer));
      if (columns != writer.columns()) {
        TINYPHI_TRY(lines, lines_of());
      }
    }
    TINYPHI_TRY(const bool ends, files::ends_line(fd, config_.path));
    return files::append_whole(fd, config_.path, (ends ? "" : "\n") + lines);
  }

  // The file's columns must be those of the rows.
  result<void> adopt_header(std::string_view beginning,
                            tables::row_writer& writer) const {
    auto header = tables::csv_reader(beginning).next();
    if (!header) return std::move(header).error().within(config_.path.string());
    const auto found = header->value_or(std::vector<std::string>());
    if (writer.adopt(found)) return {};
    return error{error_code::invalid_argument,
                 config_.path.string() + ": has the columns " +
                     tables::shown_columns(found) + ", these rows have " +
                     tables::shown_columns(writer.columns()) +
                     "; nothing was written, choose another file or give "
                     "with.columns"};
  }

  // All names in quotes, and of quotes.
  static constexpr std::size_t max_header_bytes =
      tables::max_columns * (2 * tables::max_name_bytes + 3) + 8;

  config config_;
  config::kind format_;
  bool chosen_;
};
static_assert(stage<table_write_stage>);

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_TABLE_TABLE_WRITE_H_
