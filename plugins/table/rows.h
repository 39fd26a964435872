// SPDX-License-Identifier: MIT
// Rows of a table as lines of CSV or JSON. A row is a record, a JSON object, or
// a list of cells in the order of the columns.
#ifndef TINYPHI_PLUGINS_TABLE_ROWS_H_
#define TINYPHI_PLUGINS_TABLE_ROWS_H_

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/table/csv.h"
#include "tinyphi/base/error.h"
#include "tinyphi/base/json.h"
#include "tinyphi/pipeline/diagnostic.h"
#include "tinyphi/pipeline/type.h"
#include "tinyphi/pipeline/value.h"
#include "tinyphi/pipeline/value_json.h"

TINYPHI_NAMESPACE_BEGIN
namespace tables {

// Of the lines of one call: as much as table.read reads.
inline constexpr std::size_t max_written_bytes = std::size_t{8} << 20;

// "a, b", cut where there are many.
[[nodiscard]] inline std::string shown_columns(
    std::span<const std::string> columns) {
  constexpr std::size_t most = 8;
  if (columns.empty()) return "none";
  std::string text;
  for (std::size_t i = 0; i < std::min(columns.size(), most); ++i) {
    text += (i > 0 ? ", " : "") + quote(columns[i]);
  }
  return columns.size() > most
             ? text + " and " + std::to_string(columns.size() - most) + " more"
             : text;
}

// What is wrong with names of columns, so that table.read can read them.
[[nodiscard]] inline std::optional<std::string> find_column_fault(
    std::span<const std::string> columns) {
  if (columns.size() > max_columns) {
    return std::to_string(columns.size()) + " columns, at most " +
           std::to_string(max_columns) + " are allowed";
  }
  std::set<std::string_view> seen;
  for (const std::string& name : columns) {
    if (name.empty() || name.size() > max_name_bytes) {
      return "the name of a column has " + std::to_string(name.size()) +
             " bytes, allowed are 1 to " + std::to_string(max_name_bytes);
    }
    if (!seen.insert(name).second) return "two columns " + quote(name);
  }
  return std::nullopt;
}

// The fields of a record type, in its order; none for other types.
[[nodiscard]] inline std::vector<std::string> columns_of(const type& row) {
  std::vector<std::string> names;
  for (const type::field& f : row.fields()) names.push_back(f.name);
  return names;
}

// A cell of CSV: texts as they are, null as nothing, lists and records as JSON.
[[nodiscard]] inline std::string cell_text(const value_data& cell) {
  if (cell.is_null()) return {};
  if (const auto* text = cell.get<std::string>()) return *text;
  if (const auto* x = cell.get<double>()) {
    char digits[32];
    return {digits, std::to_chars(digits, std::end(digits), *x).ptr};
  }
  return json::serialize(to_json(cell));
}

// Makes lines of rows, which all have the same columns.
class row_writer {
 public:
  // Without columns, those of all rows, in the order in which they come. If
  // they were `chosen`, members of other names are left out; otherwise they are
  // an error.
  row_writer(std::vector<std::string> columns, bool chosen)
      : columns_(std::move(columns)), chosen_(chosen) {}

  [[nodiscard]] const std::vector<std::string>& columns() const {
    return columns_;
  }

  // Takes the columns of the rows, if none are known.
  [[nodiscard]] result<void> begin(std::span<const value_data> rows) {
    if (!columns_.empty() || rows.empty()) return {};
    std::set<std::string_view> seen;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto* members = rows[i].get<value_data::record>();
      if (members == nullptr && i == 0) {
        return fault(0, std::string(kind_of(rows[0])) +
                            " names no columns; give with.columns");
      }
      if (members == nullptr) continue;  // cells_of says what is wrong
      const std::size_t before = columns_.size();
      for (const value_data::member& m : *members) {
        if (seen.insert(m.name).second) columns_.push_back(m.name);
      }
      if (columns_.size() == before) continue;
      if (const auto wrong = find_column_fault(columns_)) {
        return fault(i, *wrong + "; give with.columns");
      }
    }
    if (columns_.empty()) return fault(0, "is empty; give with.columns");
    return {};
  }

  // Whether `found`, the columns of a file, are those of the rows. Where nobody
  // chose them, they become the file's, which may have more.
  [[nodiscard]] bool adopt(const std::vector<std::string>& found) {
    if (found == columns_) return true;
    const auto has = [&](const std::string& name) {
      return std::ranges::find(found, name) != found.end();
    };
    if (chosen_ || !std::ranges::all_of(columns_, has)) return false;
    columns_ = found;
    return true;
  }

  // The line with the columns; empty if there are none.
  [[nodiscard]] std::string csv_header() const {
    std::string line;
    if (!columns_.empty()) write_csv_record(columns_, line);
    return line;
  }
  [[nodiscard]] result<std::string> csv_lines(
      std::span<const value_data> rows) const {
    std::string lines;
    std::vector<std::string> fields(columns_.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      TINYPHI_TRY(const auto cells, cells_of(i, rows[i]));
      for (std::size_t n = 0; n < cells.size(); ++n) {
        fields[n] = cells[n] == nullptr ? std::string() : cell_text(*cells[n]);
      }
      write_csv_record(fields, lines);
      TINYPHI_CHECK_OK(check_size(i, lines));
    }
    return lines;
  }

  // With columns an object a line; without, any value.
  [[nodiscard]] result<std::string> json_lines(
      std::span<const value_data> rows) const {
    std::string lines;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      json::value row;
      if (columns_.empty()) {
        row = to_json(rows[i]);
      } else {
        TINYPHI_TRY(const auto cells, cells_of(i, rows[i]));
        json::object& members = row.emplace_object();
        for (std::size_t n = 0; n < cells.size(); ++n) {
          if (cells[n] != nullptr) members[columns_[n]] = to_json(*cells[n]);
        }
      }
      lines += json::serialize(row) + '\n';
      TINYPHI_CHECK_OK(check_size(i, lines));
    }
    return lines;
  }

 private:
  static error fault(std::size_t row, std::string_view what) {
    return {error_code::invalid_argument,
            "row " + std::to_string(row) + ": " + std::string(what)};
  }
  static result<void> check_size(std::size_t row, const std::string& lines) {
    if (lines.size() <= max_written_bytes) return {};
    return error{error_code::limit,
                 "the lines up to row " + std::to_string(row) + " have " +
                     std::to_string(lines.size()) + " bytes, allowed are " +
                     std::to_string(max_written_bytes) + "; write fewer rows"};
  }

  // By column; null where the row has none.
  [[nodiscard]] result<std::vector<const value_data*>> cells_of(
      std::size_t i, const value_data& row) const {
    std::vector<const value_data*> cells(columns_.size());
    if (const auto* list = row.get<value_data::list>()) {
      if (list->size() != cells.size()) {
        return fault(i, std::to_string(list->size()) + " cells for the " +
                            std::to_string(cells.size()) + " columns " +
                            shown_columns(columns_) +
                            "; a value that is absent is left out of a list");
      }
      for (std::size_t n = 0; n < cells.size(); ++n) cells[n] = &(*list)[n];
      return cells;
    }
    const auto* members = row.get<value_data::record>();
    if (members == nullptr) {
      return fault(i, std::string(kind_of(row)) +
                          ", it must be a record, an object or a list of "
                          "cells");
    }
    for (const value_data::member& m : *members) {
      const auto at = std::ranges::find(columns_, m.name);
      if (at != columns_.end()) {
        cells[static_cast<std::size_t>(at - columns_.begin())] = &m.value;
      } else if (!chosen_) {
        return fault(i, "has a member " + quote(m.name) + ", the columns are " +
                            shown_columns(columns_) + "; give with.columns");
      }
    }
    return cells;
  }

  std::vector<std::string> columns_;
  bool chosen_;
};

}  // namespace tables
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_TABLE_ROWS_H_
