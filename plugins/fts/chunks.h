// SPDX-License-Identifier: MIT
// Cuts a Markdown or plain text into passages that know their headings.
#ifndef TINYPHI_PLUGINS_FTS_CHUNKS_H_
#define TINYPHI_PLUGINS_FTS_CHUNKS_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tinyphi/base/utf8.h"

TINYPHI_NAMESPACE_BEGIN
namespace fts {

struct chunk {
  std::string title;    // the first heading of level 1, else the file's name
  std::string heading;  // the path below the title: "Codes > Code 42"; the
                        // title itself where there is none
  std::string text;
  std::size_t line = 1;  // where its first paragraph begins, from 1

  friend bool operator==(const chunk&, const chunk&) = default;
};

// Passages of at most about max_bytes, each of whole paragraphs under one
// heading; a longer paragraph is cut at white space, and never inside a
// character. `name` is the title of a text without headings. Lines that begin
// with # inside ``` fences are text; `markdown` false knows no headings.
[[nodiscard]] inline std::vector<chunk> split_chunks(std::string_view text,
                                                     std::string_view name,
                                                     std::size_t max_bytes,
                                                     bool markdown = true);

namespace detail {

inline std::string_view trim(std::string_view s) {
  const auto is_space = [](char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
  };
  while (!s.empty() && is_space(s.front())) s.remove_prefix(1);
  while (!s.empty() && is_space(s.back())) s.remove_suffix(1);
  return s;
}

// 1 to 6 for "# Heading" to "###### Heading", else 0.
inline std::size_t heading_level(std::string_view line) {
  const std::size_t level = std::min(line.find_first_not_of('#'), line.size());
  const bool is_heading =
      level >= 1 && level <= 6 &&
      (line.size() == level || line[level] == ' ' || line[level] == '\t');
  return is_heading ? level : 0;
}

// True for a list item, a table row or a quotation: it keeps its line.
inline bool starts_item(std::string_view line) {
  const std::size_t digits = line.find_first_not_of("0123456789");
  if (digits != std::string_view::npos && digits > 0) {
    return line.substr(digits).starts_with(". ") ||
           line.substr(digits).starts_with(") ");
  }
  return line.starts_with("- ") || line.starts_with("* ") ||
         line.starts_with("+ ") || line.starts_with("|") ||
         line.starts_with(">");
}

// A place to cut `text` so that the front part has at most max_bytes.
inline std::size_t cut_position(std::string_view text, std::size_t max_bytes) {
  if (text.size() <= max_bytes) return text.size();
  const std::size_t space = text.find_last_of(" \t\n", max_bytes);
  if (space != std::string_view::npos && space >= max_bytes / 2) return space;
  return std::max<std::size_t>(complete_utf8_length(text.substr(0, max_bytes)),
                               1);
}

inline std::string_view skip_space(std::string_view s) {
  return s.substr(std::min(s.find_first_not_of(" \t\r\n"), s.size()));
}

// The text of a heading: without the closing "##", at most 200 bytes.
inline std::string heading_text(std::string_view s) {
  s = trim(s);
  const std::string_view open = s.substr(0, s.find_last_not_of('#') + 1);
  if (open.empty() || open.back() == ' ' || open.back() == '\t') s = open;
  s = trim(s).substr(0, 200);
  return std::string(s.substr(0, complete_utf8_length(s)));
}

class chunker {
 public:
  chunker(std::string_view name, std::size_t max_bytes)
      : title_(heading_text(name)),
        max_bytes_(std::max<std::size_t>(max_bytes, 8)) {}

  void heading(std::size_t level, std::string_view text) {
    flush();
    std::string name = heading_text(text);
    if (name.empty()) return;
    (level == 1 ? title_ : path_[level - 2]) = std::move(name);
    for (std::size_t i = level - 1; i < path_.size(); ++i) path_[i].clear();
  }

  // `joined`: the line goes on with the paragraph's sentence, as in Markdown.
  void line(std::string_view text, std::size_t number, bool joined) {
    if (paragraph_.empty()) {
      paragraph_line_ = number;
    } else {
      paragraph_ += joined ? ' ' : '\n';
    }
    paragraph_ += text;
  }

  void end_paragraph() {
    if (paragraph_.empty()) return;
    if (!body_.empty() && body_.size() + 2 + paragraph_.size() > max_bytes_) {
      emit();
    }
    if (body_.empty()) {
      line_ = paragraph_line_;
    } else {
      body_ += "\n\n";
    }
    std::string_view rest = paragraph_;
    while (rest.size() > max_bytes_) {
      const std::string_view piece =
          rest.substr(0, cut_position(rest, max_bytes_));
      body_ = piece;
      emit();
      rest = skip_space(rest.substr(piece.size()));
    }
    body_ += rest;
    paragraph_.clear();
  }

  void flush() {
    end_paragraph();
    if (!body_.empty()) emit();
  }

  [[nodiscard]] std::vector<chunk> take() && { return std::move(chunks_); }

 private:
  void emit() {
    std::string heading;
    for (const std::string& part : path_) {
      if (part.empty()) continue;
      heading += (heading.empty() ? "" : " > ") + part;
    }
    const std::string_view text = trim(body_);
    if (!text.empty()) {
      chunks_.push_back({title_, heading.empty() ? title_ : heading,
                         std::string(text), line_});
    }
    body_.clear();
  }

  std::string title_;
  std::array<std::string, 5> path_;  // headings of level 2 to 6
  std::size_t max_bytes_;
  std::string paragraph_, body_;
  std::size_t paragraph_line_ = 1, line_ = 1;
  std::vector<chunk> chunks_;
};

}  // namespace detail

inline std::vector<chunk> split_chunks(std::string_view text,
                                       std::string_view name,
                                       std::size_t max_bytes, bool markdown) {
  detail::chunker out(name, max_bytes);
  bool in_fence = false;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const std::string_view content = detail::trim(line);
    const bool fence = markdown && content.starts_with("```");
    if (fence) in_fence = !in_fence;
    const std::size_t level =
        markdown && !in_fence && !fence ? detail::heading_level(line) : 0;
    if (level > 0) {
      out.heading(level, line.substr(level));
    } else if (content.empty()) {
      out.end_paragraph();
    } else {
      out.line(
          in_fence ? line : content, number,
          markdown && !in_fence && !fence && !detail::starts_item(content));
    }
  }
  out.flush();
  return std::move(out).take();
}

}  // namespace fts
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_FTS_CHUNKS_H_
