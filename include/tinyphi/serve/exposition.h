// SPDX-License-Identifier: MIT
// Text for Prometheus (exposition format 0.0.4), family by family.
#ifndef TINYPHI_SERVE_EXPOSITION_H_
#define TINYPHI_SERVE_EXPOSITION_H_

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tinyphi/base/plain_text.h"
#include "tinyphi/base/utf8.h"

TINYPHI_NAMESPACE_BEGIN

// The content type of an answer with such text.
inline constexpr std::string_view exposition_content_type =
    "text/plain; version=0.0.4; charset=utf-8";

using metric_labels = std::vector<std::pair<std::string_view, std::string>>;

// Names of families and labels are the program's own; values of labels may be
// any bytes. A family without samples is not written: the format allows it, but
// dashboards then show names that never get a value.
class exposition {
 public:
  void family(std::string_view name, std::string_view type,
              std::string_view help) {
    name_ = name;
    head_ = "# HELP " + name_ + " ";
    append_escaped(head_, help, false);
    head_ += "\n# TYPE " + name_ + " " + std::string(type) + "\n";
  }

  void sample(const metric_labels& labels, double value) {
    line({}, labels, value);
  }

  // A histogram of `counts.size() == bounds.size() + 1` buckets that are not
  // cumulative yet; the last one is of what is above every bound.
  void histogram(metric_labels labels, std::span<const double> bounds,
                 std::span<const std::uint64_t> counts, double sum) {
    std::uint64_t n = 0;
    labels.emplace_back("le", "");
    for (std::size_t i = 0; i < counts.size(); ++i) {
      n += counts[i];
      labels.back().second =
          i < bounds.size() ? plain_number(bounds[i]) : "+Inf";
      line("_bucket", labels, static_cast<double>(n));
    }
    labels.pop_back();
    line("_sum", labels, sum);
    line("_count", labels, static_cast<double>(n));
  }

  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  static void append_escaped(std::string& out, std::string_view raw,
                             bool quotes) {
    for (const char c : to_valid_utf8(raw)) {
      if (c == '\\') {
        out += "\\\\";
      } else if (c == '\n') {
        out += "\\n";
      } else if (c == '"' && quotes) {
        out += "\\\"";
      } else {
        out += c;
      }
    }
  }

  static std::string number(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
    // 15 digits write every count below 10^15 as it is, and 0.1 as 0.1.
    return plain_number(value, 15);
  }

  void line(std::string_view suffix, const metric_labels& labels,
            double value) {
    text_ += std::exchange(head_, {});
    text_ += name_;
    text_ += suffix;
    char before = '{';
    for (const auto& [key, content] : labels) {
      text_ += before;
      before = ',';
      text_ += key;
      text_ += "=\"";
      append_escaped(text_, content, true);
      text_ += '"';
    }
    if (!labels.empty()) text_ += '}';
    text_ += ' ' + number(value) + '\n';
  }

  std::string text_, name_, head_;
};

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_EXPOSITION_H_
