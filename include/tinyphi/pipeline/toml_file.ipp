// SPDX-License-Identifier: MIT
// The only user of toml++.
#ifndef TINYPHI_PIPELINE_TOML_FILE_IPP_
#define TINYPHI_PIPELINE_TOML_FILE_IPP_

#include <toml++/toml.h>

#include <algorithm>

#include "tinyphi/pipeline/toml_file.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline position place_of(std::string_view text, std::size_t offset) {
  position p{1, 1};
  for (std::size_t i = 0; i < offset; ++i) {
    if (text[i] == '\n') {
      ++p.line, p.column = 1;
    } else if ((text[i] & 0xC0) != 0x80) {
      ++p.column;
    }
  }
  return p;
}

// Passes over the string or comment that begins at text[i]; returns the offset
// behind it, or i if none does.
inline std::size_t skip_opaque(std::string_view text, std::size_t i) {
  const char quote = text[i];
  if (quote == '#') return std::min(text.find('\n', i), text.size());
  if (quote != '"' && quote != '\'') return i;
  const std::string delimiter(3, quote);
  const bool multi_line = text.substr(i, 3) == delimiter;
  for (i += multi_line ? 3 : 1; i < text.size(); ++i) {
    if (quote == '"' && text[i] == '\\') {
      ++i;
    } else if (!multi_line && (text[i] == quote || text[i] == '\n')) {
      return i + 1;
    } else if (multi_line && text.substr(i, 3) == delimiter) {
      // Up to two quotes may stand before the closing three.
      i += 3;
      for (int more = 0; more < 2 && i < text.size() && text[i] == quote;
           ++more) {
        ++i;
      }
      return i;
    }
  }
  return text.size();
}

// The offset of the first key with more than max_depth dotted parts, or npos.
// toml++ limits the depth of brackets but not that of dotted keys, and frees
// what it has built by recursion.
inline std::size_t find_deep_key(std::string_view text) {
  std::size_t dots = 0;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t behind = skip_opaque(text, i);
    if (behind != i) {
      if (text[i] == '#') dots = 0;
      i = behind;
      continue;
    }
    const char c = text[i];
    if (c == '.') {
      if (++dots >= toml_limits::max_depth) return i;
    } else if (c == '\n' || c == '=' || c == ',' || c == '[' || c == ']' ||
               c == '{' || c == '}') {
      dots = 0;
    }
    ++i;
  }
  return std::string_view::npos;
}

class toml_reader {
 public:
  toml_reader(std::string_view text, std::string_view what,
              std::vector<diagnostic>& faults, std::size_t library)
      : text_(text), what_(what), library_(library), faults_(&faults) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (i == 0 || text[i - 1] == '\n') lines_.push_back(i);
    }
  }

  config_node read(const toml::node& n, std::size_t depth) {
    config_node out;
    out.at = place(n.source());
    if (depth > toml_limits::max_depth) {
      faults_->push_back({fault::not_toml, out.at,
                          "nested more than " +
                              std::to_string(toml_limits::max_depth) +
                              " levels deep"});
    } else if (const auto* table = n.as_table()) {
      out.data = members(*table, depth);
    } else if (const auto* array = n.as_array()) {
      config_array items;
      for (const toml::node& item : *array) {
        items.push_back(read(item, depth + 1));
      }
      out.data = std::move(items);
    } else if (const auto* text = n.as_string()) {
      out.data = text->get();
      out.text_at = text_start(text->get(), out.at);
    } else if (const auto* i = n.as_integer()) {
      out.data = i->get();
    } else if (const auto* d = n.as_floating_point()) {
      out.data = d->get();
    } else if (const auto* b = n.as_boolean()) {
      out.data = b->get();
    } else {
      faults_->push_back({fault::wrong_type, out.at,
                          "dates and times have no use in " +
                              std::string(what_) + "; write a string"});
      out.is_fault = true;
    }
    return out;
  }

 private:
  position place(const toml::source_region& r) const {
    return {r.begin.line, r.begin.column, library_};
  }

  config_table members(const toml::table& table, std::size_t depth) {
    config_table out;
    for (const auto& [key, value] : table) {
      out.push_back({std::string(key.str()), place(key.source()),
                     read(value, depth + 1)});
    }
    // toml++ sorts by key; what people see is in the order of the file.
    std::ranges::stable_sort(out, {}, &config_member::at);
    return out;
  }

  // Where a string's text starts if it stands in the file as it is. Far to the
  // right that is not looked for: the walk along a line of many strings would
  // be quadratic.
  position text_start(std::string_view value, position at) const {
    constexpr std::size_t last_column = 1024;
    if (at.line == 0 || at.line > lines_.size() || at.column > last_column) {
      return {};
    }
    std::size_t i = lines_[at.line - 1];
    for (std::size_t column = 1; column < at.column; ++column) {
      if (i >= text_.size()) return {};
      i += decode_utf8(text_.substr(i)).length;
    }
    if (i >= text_.size()) return {};
    const std::size_t quotes =
        text_.substr(i, 3) == std::string(3, text_[i]) ? 3 : 1;
    i += quotes;
    at.column += quotes;
    if (quotes == 3 && text_.substr(i, 1) == "\n") {
      ++i, ++at.line, at.column = 1;
    }
    return text_.substr(std::min(i, text_.size()), value.size()) == value
               ? at
               : position{};
  }

  std::string_view text_;
  std::string_view what_;
  std::size_t library_;
  std::vector<std::size_t> lines_;  // offset of each line's start
  std::vector<diagnostic>* faults_;
};

}  // namespace detail

TINYPHI_FUNC std::optional<config_node> parse_toml(
    std::string_view text, std::string_view what,
    std::vector<diagnostic>& faults, std::size_t library) {
  const auto refuse = [&](position at, std::string why) {
    at.library = library;
    faults.push_back({fault::not_toml, at, std::move(why)});
  };
  if (text.size() > toml_limits::max_bytes) {
    refuse({}, std::to_string(text.size()) + " bytes, " + std::string(what) +
                   " has at most " + std::to_string(toml_limits::max_bytes));
    return std::nullopt;
  }
  if (const std::size_t bad = find_invalid_utf8(text);
      bad != std::string_view::npos) {
    refuse(detail::place_of(text, bad), "not UTF-8");
    return std::nullopt;
  }
  if (const std::size_t deep = detail::find_deep_key(text);
      deep != std::string_view::npos) {
    refuse(detail::place_of(text, deep),
           "a key of more than " + std::to_string(toml_limits::max_depth) +
               " parts");
    return std::nullopt;
  }
  try {
    const toml::table table = toml::parse(text);
    return detail::toml_reader(text, what, faults, library).read(table, 0);
  } catch (const toml::parse_error& e) {
    refuse({e.source().begin.line, e.source().begin.column},
           "not TOML: " + std::string(e.description()));
  } catch (const std::bad_alloc&) {
    refuse({}, "out of memory while parsing");
  }
  return std::nullopt;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_TOML_FILE_IPP_
