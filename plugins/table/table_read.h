// SPDX-License-Identifier: MIT
// The stage `table.read`: a file of CSV or JSON lines -> its rows.
#ifndef TINYPHI_PLUGINS_TABLE_TABLE_READ_H_
#define TINYPHI_PLUGINS_TABLE_TABLE_READ_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "plugins/file/allowed_file.h"
#include "plugins/table/csv.h"
#include "tinyphi/base/json.h"
#include "tinyphi/pipeline/spec.h"
#include "tinyphi/pipeline/stage.h"
#include "tinyphi/pipeline/value_json.h"

TINYPHI_NAMESPACE_BEGIN
namespace tables {

// One JSON value a line; empty lines are passed over.
[[nodiscard]] inline result<std::vector<value_data>> read_json_lines(
    std::string_view text, std::size_t max_rows) {
  std::vector<value_data> rows;
  std::size_t n = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    ++n;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    if (rows.size() == max_rows) {
      return error{error_code::limit,
                   "more than " + std::to_string(max_rows) + " rows"};
    }
    TINYPHI_TRY(const json::value row,
                parse_json(line, "line " + std::to_string(n)));
    rows.push_back(from_json(row));
  }
  return rows;
}

// A row of texts with the values that the fields of `row_type` ask for, where
// a text is one; an empty cell is none where its field need not be there.
[[nodiscard]] inline value_data typed_row(const value_data& row,
                                          const type& row_type) {
  const auto* cells = row.get<value_data::record>();
  if (cells == nullptr) return row;
  value_data::record typed;
  for (const value_data::member& cell : *cells) {
    const type::field* field = row_type.find_field(cell.name);
    const auto* text = cell.value.get<std::string>();
    if (field == nullptr || text == nullptr) {
      typed.push_back(cell);
      continue;
    }
    const type& wanted = field->type;
    if (text->empty() && field->optional) continue;
    auto value = wanted.is(type_kind::boolean) || wanted.is_number()
                     ? parse_value(wanted, *text)
                     : std::nullopt;
    typed.push_back({cell.name, value ? *std::move(value) : cell.value});
  }
  return typed;
}

}  // namespace tables

struct table_read_stage {
  static constexpr stage_info info{
      .id = "table.read",
      .summary = "Reads the rows of a file of CSV or JSON lines",
      .effects = effect::read,
      .makes = trust::untrusted};

  struct config {
    enum class kind { by_name, csv, jsonl };
    kind format = kind::by_name;
    std::optional<type_ref> type = {};  // of each row
    std::int64_t max_rows = 10000;
    byte_size max_bytes{8 << 20};
  };
  struct inputs {
    file_name file;
  };
  struct outputs {
    std::vector<value_data> rows;
    std::int64_t count = 0;
  };

  static constexpr auto params() {
    return std::tuple{
        param("format", &config::format)
            .names("name", "csv", "jsonl")
            .doc("name: by the end of the file's name, .csv or .jsonl"),
        param("type", &config::type)
            .doc("what each row must be, such as a [type.x]; a cell of CSV is "
                 "read as its field asks; left out: any"),
        param("max_rows", &config::max_rows)
            .range(1, 10000)
            .doc("more are an error"),
        param("max_bytes", &config::max_bytes)
            .range(byte_size{1}, byte_size{8 << 20})
            .doc("a larger file is an error")};
  }
  static constexpr auto in_ports() {
    return std::tuple{port("file", &inputs::file).control()};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("rows", &outputs::rows),
                      port("count", &outputs::count)};
  }

  static stage_facts check(const config& c, const call_facts&, const host&) {
    stage_facts facts;
    if (!c.type) return facts;
    const tinyphi::type& row = c.type->type;
    if (row.is(type_kind::record) || row.is(type_kind::json) ||
        row.is(type_kind::any)) {
      facts.out_types["rows"] = tinyphi::type::list_of(row);
    } else {
      facts.faults.push_back(
          {fault::type_mismatch, "type", 0,
           "is " + to_string(row) + ", a row must be a record, or json"});
    }
    return facts;
  }

  table_read_stage(const config& c, const call_facts& call, const host& h)
      : config_(c), places_(call, h) {}

  task<outputs> run(run_context& cx, inputs in) const {
    const auto read = [&] { return unwrap(read_rows(in.file.name)); };
    outputs out;
    out.rows = co_await cx.blocking(read);
    out.count = static_cast<std::int64_t>(out.rows.size());
    co_return out;
  }

 private:
  result<std::vector<value_data>> read_rows(const std::string& name) const {
    const std::string where = files::detail::shown(name);
    auto format = config_.format;
    if (format == config::kind::by_name) {
      if (name.ends_with(".csv")) {
        format = config::kind::csv;
      } else if (name.ends_with(".jsonl")) {
        format = config::kind::jsonl;
      } else {
        return error{
            error_code::unsupported,
            where + " ends in neither .csv nor .jsonl; give with.format"};
      }
    }
    TINYPHI_TRY(const std::string text,
                places_.read_text(name, config_.max_bytes.bytes));
    const auto most = static_cast<std::size_t>(config_.max_rows);
    const bool is_csv = format == config::kind::csv;
    auto rows = is_csv ? tables::read_csv(text, most)
                       : tables::read_json_lines(text, most);
    if (!rows) return std::move(rows).error().within(where);
    if (!config_.type) return rows;
    for (std::size_t i = 0; i < rows->size(); ++i) {
      value_data& row = (*rows)[i];
      if (is_csv) row = tables::typed_row(row, config_.type->type);
      if (const auto wrong = find_misfit(row, config_.type->type)) {
        return error{error_code::bad_data,
                     where + ": row " + std::to_string(i) + ": " + *wrong};
      }
      row = conform(row, config_.type->type);
    }
    return rows;
  }

  config config_;
  files::readable_places places_;
};
static_assert(stage<table_read_stage>);

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_TABLE_TABLE_READ_H_
