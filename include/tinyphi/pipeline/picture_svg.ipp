// SPDX-License-Identifier: MIT
// Boxes and arrows as SVG, in columns from left to right: a box stands behind
// all whose arrows reach it. Used by describe.ipp only.
#ifndef TINYPHI_PIPELINE_PICTURE_SVG_IPP_
#define TINYPHI_PIPELINE_PICTURE_SVG_IPP_

#include <map>

#include "tinyphi/base/utf8.h"
#include "tinyphi/pipeline/picture.ipp"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline std::string svg_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return out;
}

class svg_picture {
 public:
  explicit svg_picture(const picture& p) : p_(p), places_(p.nodes.size()) {}

  std::string draw() {
    choose_columns();
    merge_edges();
    place_boxes();
    std::string out =
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " +
        std::to_string(width_) + " " + std::to_string(height_) + "\" width=\"" +
        std::to_string(width_) + "\" height=\"" + std::to_string(height_) +
        "\" font-family=\"sans-serif\" font-size=\"13\">\n<title>" +
        svg_text(p_.title) +
        "</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n";
    for (const trust t : labels) {
      out += "<marker id=\"tip-" + std::string(to_string(t)) +
             "\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" "
             "markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\"><path "
             "d=\"M0 0L8 4L0 8z\" fill=\"" +
             std::string(color(t)) + "\"/></marker>\n";
    }
    for (const arrow& a : arrows_) out += draw_arrow(a);
    for (std::size_t i = 0; i < p_.nodes.size(); ++i) out += draw_box(i);
    // Texts stand on top, so that no line crosses them.
    for (const arrow& a : arrows_) out += draw_label(a);
    return out + draw_legend() + "</svg>\n";
  }

 private:
  static constexpr trust labels[] = {trust::trusted, trust::user,
                                     trust::untrusted};
  static constexpr int line_height = 18;
  static constexpr int margin = 24;
  static constexpr int row_gap = 34;
  static constexpr int letter_width = 7;  // of most letters at this size

  struct place {
    std::size_t column = 0;
    int x = 0;
    int y = 0;
    int width = 0;
    int height = 0;
  };
  // All edges between two boxes, drawn as one.
  struct arrow {
    std::size_t from = 0;
    std::size_t to = 0;
    std::vector<std::string> texts;
    bool is_control = true;
    trust label = trust::trusted;
    int lane = 0;  // where it passes below the boxes between; 0: there are none
  };
  struct extent {
    int left = 0;
    int right = 0;
    int bottom = 0;
  };

  static int text_width(std::string_view text) {
    return letter_width * static_cast<int>(count_characters(text));
  }
  static std::string_view color(trust t) {
    constexpr std::string_view colors[] = {"#4a5568", "#2b6cb0", "#c05621"};
    return colors[static_cast<std::size_t>(t)];
  }

  // Nodes come in an order in which each stands behind what it needs, but for
  // switches, whose readers need them: a few rounds settle all.
  void choose_columns() {
    for (std::size_t round = 0; round < p_.nodes.size(); ++round) {
      bool changed = false;
      for (const picture_edge& e : p_.edges) {
        const std::size_t column = places_[e.from].column + 1;
        if (places_[e.to].column >= column) continue;
        places_[e.to].column = column;
        changed = true;
      }
      if (!changed) break;
    }
    std::size_t last = 0;
    for (const place& at : places_) last = std::max(last, at.column);
    for (std::size_t i = 0; i < p_.nodes.size(); ++i) {
      if (p_.nodes[i].what == picture_node::kind::output) {
        places_[i].column = last;
      }
    }
  }

  void merge_edges() {
    std::map<std::pair<std::size_t, std::size_t>, std::size_t> known;
    for (const picture_edge& e : p_.edges) {
      const auto [it, is_new] =
          known.try_emplace({e.from, e.to}, arrows_.size());
      if (is_new) {
        arrow& a = arrows_.emplace_back();
        a.from = e.from;
        a.to = e.to;
      }
      arrow& a = arrows_[it->second];
      a.texts.push_back(e.text);
      a.is_control = a.is_control && e.is_control;
      a.label = join(a.label, e.label);
    }
  }

  void place_boxes() {
    std::vector<std::vector<std::size_t>> columns;
    for (std::size_t i = 0; i < places_.size(); ++i) {
      place& at = places_[i];
      if (columns.size() <= at.column) columns.resize(at.column + 1);
      columns[at.column].push_back(i);
      // The name is bold.
      int longest = text_width(p_.nodes[i].lines.front()) * 8 / letter_width;
      for (const std::string& line : p_.nodes[i].lines) {
        longest = std::max(longest, text_width(line));
      }
      at.width = longest + 24;
      at.height = line_height * static_cast<int>(p_.nodes[i].lines.size()) + 16;
    }
    int x = margin;
    for (std::size_t c = 0; c < columns.size(); ++c) {
      sort_column(columns[c]);
      int widest = 0, y = margin;
      for (const std::size_t i : columns[c]) {
        places_[i].x = x;
        places_[i].y = y;
        y += places_[i].height + row_gap;
        widest = std::max(widest, places_[i].width);
      }
      height_ = std::max(height_, y - row_gap + margin);
      columns_.push_back({x, x + widest, 0});
      x += widest + gap_behind(c);
      width_ = x;
    }
    for (auto& column : columns) center(column);
    for (std::size_t c = 0; c < columns.size(); ++c) {
      for (const std::size_t i : columns[c]) {
        columns_[c].bottom =
            std::max(columns_[c].bottom, places_[i].y + places_[i].height);
      }
    }
    choose_lanes();
    height_ += 2 * line_height;  // the legend
  }

  // Each long arrow has a lane of its own.
  void choose_lanes() {
    int n = 0;
    for (arrow& a : arrows_) {
      const std::size_t from = places_[a.from].column;
      const std::size_t to = places_[a.to].column;
      if (to <= from + 1) continue;
      for (std::size_t c = from + 1; c < to; ++c) {
        a.lane = std::max(a.lane, columns_[c].bottom);
      }
      a.lane += 14 + 10 * n++;
      height_ = std::max(height_, a.lane + margin / 2);
    }
  }

  // By where the arrows come from, so that few cross.
  void sort_column(std::vector<std::size_t>& column) {
    std::map<std::size_t, double> wanted;
    for (const std::size_t i : column) {
      double sum = 0;
      int n = 0;
      for (const arrow& a : arrows_) {
        if (a.to != i) continue;
        sum += places_[a.from].y + places_[a.from].height / 2.0;
        ++n;
      }
      wanted[i] = n == 0 ? 0 : sum / n;
    }
    std::ranges::stable_sort(column, {},
                             [&](std::size_t i) { return wanted.at(i); });
  }

  void center(const std::vector<std::size_t>& column) {
    if (column.empty()) return;
    const place& last = places_[column.back()];
    const int shift = (height_ - margin - last.y - last.height) / 2;
    for (const std::size_t i : column) places_[i].y += std::max(shift, 0);
  }

  // The texts of arrows that end in the next column have room there.
  int gap_behind(std::size_t column) const {
    int widest = 0;
    for (const arrow& a : arrows_) {
      if (places_[a.to].column != column + 1) continue;
      for (const std::string& text : a.texts) {
        widest = std::max(widest, text_width(text));
      }
    }
    return widest == 0 ? margin : widest + 48;
  }

  std::string draw_box(std::size_t i) const {
    const place& at = places_[i];
    const picture_node& n = p_.nodes[i];
    const auto box = [&](int shift) {
      const bool is_round = n.what == picture_node::kind::input ||
                            n.what == picture_node::kind::output;
      return "<rect x=\"" + std::to_string(at.x + shift) + "\" y=\"" +
             std::to_string(at.y - shift) + "\" width=\"" +
             std::to_string(at.width) + "\" height=\"" +
             std::to_string(at.height) + "\" rx=\"" +
             std::to_string(is_round ? at.height / 2 : 4) + "\" fill=\"" +
             fill(n.what) + "\" stroke=\"#4a5568\"/>\n";
    };
    std::string out;
    if (n.is_stacked) out += box(8) + box(4);
    out += box(0);
    for (std::size_t line = 0; line < n.lines.size(); ++line) {
      out +=
          text(at.x + 12, at.y + 8 + line_height * static_cast<int>(line) + 13,
               n.lines[line], line == 0 ? "#1a202c" : "#4a5568", line == 0);
    }
    return out;
  }

  static std::string fill(picture_node::kind k) {
    constexpr std::string_view colors[] = {"#ebf8ff", "#fffff0", "#f7fafc",
                                           "#f0fff4"};
    return std::string(colors[static_cast<std::size_t>(k)]);
  }

  static std::string text(int x, int y, std::string_view words,
                          std::string_view fill, bool is_bold) {
    return "<text x=\"" + std::to_string(x) + "\" y=\"" + std::to_string(y) +
           "\" fill=\"" + std::string(fill) + "\"" +
           (is_bold ? " font-weight=\"bold\"" : "") + ">" + svg_text(words) +
           "</text>\n";
  }

  std::string draw_arrow(const arrow& a) const {
    const place& from = places_[a.from];
    const place& to = places_[a.to];
    const auto point = [](int x, int y) {
      return std::to_string(x) + " " + std::to_string(y) + " ";
    };
    const auto curve = [&](int x1, int y1, int x2, int y2) {
      const int bend = std::max((x2 - x1) / 2, 24);
      return "C" + point(x1 + bend, y1) + point(x2 - bend, y2) + point(x2, y2);
    };
    const int x1 = from.x + from.width, y1 = from.y + from.height / 2;
    const int x2 = to.x, y2 = to.y + to.height / 2;
    std::string path = "M" + point(x1, y1);
    if (a.lane == 0) {
      path += curve(x1, y1, x2, y2);
    } else {
      const int begin = columns_[from.column + 1].left;
      const int end = columns_[to.column - 1].right;
      path += curve(x1, y1, begin, a.lane) + "L" + point(end, a.lane) +
              curve(end, a.lane, x2, y2);
    }
    return "<path d=\"" + path + "\" fill=\"none\" stroke=\"" +
           std::string(color(a.label)) + "\" stroke-width=\"1.5\"" +
           (a.is_control ? " stroke-dasharray=\"5 4\"" : "") +
           " marker-end=\"url(#tip-" + std::string(to_string(a.label)) +
           ")\"/>\n";
  }

  // Before the arrow's tip, in the gap of its column.
  std::string draw_label(const arrow& a) const {
    const place& to = places_[a.to];
    std::string out;
    int y = to.y + to.height / 2 - 6 -
            line_height * static_cast<int>(count_before(a));
    for (const std::string& words : a.texts) {
      const int x = to.x - 14 - text_width(words);
      out += "<rect x=\"" + std::to_string(x - 2) + "\" y=\"" +
             std::to_string(y - 12) + "\" width=\"" +
             std::to_string(text_width(words) + 4) +
             "\" height=\"16\" fill=\"#fff\" fill-opacity=\"0.85\"/>\n" +
             text(x, y, words, color(a.label), false);
      y -= line_height;
    }
    return out;
  }

  // Lines of text that stand at the same tip already.
  std::size_t count_before(const arrow& a) const {
    std::size_t n = 0;
    for (const arrow& other : arrows_) {
      if (&other == &a) break;
      if (other.to == a.to) n += other.texts.size();
    }
    return n;
  }

  std::string draw_legend() const {
    std::string out;
    int x = margin;
    const int y = height_ - 12;
    for (const trust t : labels) {
      const bool is_used = std::ranges::any_of(
          arrows_, [&](const arrow& a) { return a.label == t; });
      if (!is_used) continue;
      out += "<path d=\"M" + std::to_string(x) + " " + std::to_string(y - 4) +
             "h24\" stroke=\"" + std::string(color(t)) +
             "\" stroke-width=\"3\"/>\n" +
             text(x + 30, y, to_string(t), color(t), false);
      x += 48 + text_width(to_string(t));
    }
    return out;
  }

  const picture& p_;
  std::vector<place> places_;
  std::vector<arrow> arrows_;
  std::vector<extent> columns_;
  int width_ = 0;
  int height_ = 0;
};

inline std::string picture_as_svg(const picture& p) {
  return svg_picture(p).draw();
}

}  // namespace detail

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_PICTURE_SVG_IPP_
