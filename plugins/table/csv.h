// SPDX-License-Identifier: MIT
// CSV as RFC 4180 has it: fields between commas, in double quotes where they
// hold commas, quotes or line ends; the first record names the columns. Lines
// end in LF or CRLF when they are read, in LF when they are written.
#ifndef TINYPHI_PLUGINS_TABLE_CSV_H_
#define TINYPHI_PLUGINS_TABLE_CSV_H_

#include <algorithm>
#include <cstddef>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/pipeline/diagnostic.h"
#include "tinyphi/pipeline/value.h"

TINYPHI_NAMESPACE_BEGIN
namespace tables {

// A small file must not become a large value: each row has all names.
inline constexpr std::size_t max_columns = 256;
inline constexpr std::size_t max_name_bytes = 64;
inline constexpr std::size_t max_cells = 1'000'000;

// The records of a text, one after the other.
class csv_reader {
 public:
  // A byte order mark at the beginning is passed over. The text must outlive
  // the reader.
  explicit csv_reader(std::string_view text) : text_(text) {
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
  }

  // The line on which the record that was read last begins, from 1.
  [[nodiscard]] std::size_t line() const { return line_; }

  // The next record; nothing at the end of the text.
  [[nodiscard]] result<std::optional<std::vector<std::string>>> next() {
    std::vector<std::string> fields;
    line_ = next_line_;
    if (at_ == text_.size()) return std::optional<std::vector<std::string>>();
    for (;;) {
      if (fields.size() == max_columns) {
        return fault("more than " + std::to_string(max_columns) + " fields");
      }
      TINYPHI_TRY(std::string field, next_field());
      fields.push_back(std::move(field));
      if (at_ < text_.size() && text_[at_] == ',') {
        ++at_;
        continue;
      }
      skip_line_end();
      return std::optional(std::move(fields));
    }
  }

  // The error of the record that was read last.
  [[nodiscard]] error fault(std::string_view what) const {
    return {error_code::bad_data,
            "line " + std::to_string(line_) + ": " + std::string(what)};
  }

 private:
  [[nodiscard]] bool at_line_end() const {
    const std::string_view rest = text_.substr(at_);
    return rest.empty() || rest[0] == '\n' || rest.starts_with("\r\n");
  }
  void skip_line_end() {
    if (at_ == text_.size()) return;
    at_ += text_[at_] == '\r' ? 2 : 1;
    ++next_line_;
  }

  // Up to the comma or line end behind it.
  result<std::string> next_field() {
    std::string field;
    if (at_ == text_.size() || text_[at_] != '"') {
      while (!at_line_end() && text_[at_] != ',') {
        if (text_[at_] == '"') return fault("a quote inside a plain field");
        field += text_[at_++];
      }
      return field;
    }
    for (++at_;; ++at_) {
      if (at_ == text_.size()) return fault("a quote is never closed");
      if (text_[at_] == '\n') ++next_line_;
      if (text_[at_] == '"') {
        ++at_;
        if (at_ == text_.size() || text_[at_] != '"') break;
      }
      field += text_[at_];
    }
    if (!at_line_end() && text_[at_] != ',') {
      return fault("text behind a closing quote");
    }
    return field;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
  std::size_t next_line_ = 1;
};

// The rows of a table with a header line, as records of texts.
[[nodiscard]] inline result<std::vector<value_data>> read_csv(
    std::string_view text, std::size_t max_rows) {
  csv_reader reader(text);
  std::vector<value_data> rows;
  TINYPHI_TRY(const auto names, reader.next());
  if (!names) return rows;
  std::set<std::string_view> seen;
  for (const std::string& name : *names) {
    if (name.empty() || name.size() > max_name_bytes) {
      return reader.fault(
          "the name of a column has " + std::to_string(name.size()) +
          " bytes, allowed are 1 to " + std::to_string(max_name_bytes));
    }
    if (!seen.insert(name).second) {
      return reader.fault("two columns " + quote(name));
    }
  }
  for (;;) {
    TINYPHI_TRY(auto fields, reader.next());
    if (!fields) return rows;
    if (fields->size() != names->size()) {
      return reader.fault(std::to_string(fields->size()) +
                          " fields, the header has " +
                          std::to_string(names->size()));
    }
    const std::size_t most = std::min(max_rows, max_cells / names->size());
    if (rows.size() == most) {
      return error{error_code::limit,
                   "more than " + std::to_string(most) + " rows of " +
                       std::to_string(names->size()) + " fields"};
    }
    value_data::record row;
    for (std::size_t i = 0; i < names->size(); ++i) {
      row.push_back({(*names)[i], value_data(std::move((*fields)[i]))});
    }
    rows.emplace_back(std::move(row));
  }
}

// Adds a record and its line end, so that csv_reader gives the fields back.
// What a program that opens the file makes of a field that begins with '=' is
// not looked at.
inline void write_csv_record(std::span<const std::string> fields,
                             std::string& out) {
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const std::string& field = fields[i];
    if (i > 0) out += ',';
    // A byte order mark at the beginning of a file would be passed over, and an
    // empty line by other programs.
    if (field.find_first_of(",\"\r\n") == std::string::npos &&
        !field.starts_with("\xEF\xBB\xBF") &&
        !(field.empty() && fields.size() == 1)) {
      out += field;
      continue;
    }
    out += '"';
    for (const char c : field) out.append(c == '"' ? 2 : 1, c);
    out += '"';
  }
  out += '\n';
}

}  // namespace tables
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_TABLE_CSV_H_
