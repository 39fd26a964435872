// SPDX-License-Identifier: MIT
// The stage `text.clean`: a text -> the same in a normal form of Unicode,
// without characters that change how others are shown.
#ifndef TINYPHI_PLUGINS_TEXT_TEXT_CLEAN_H_
#define TINYPHI_PLUGINS_TEXT_TEXT_CLEAN_H_

#include <utf8proc.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>

#include "tinyphi/base/utf8.h"
#include "tinyphi/pipeline/stage.h"

TINYPHI_NAMESPACE_BEGIN

enum class normal_form : std::uint8_t { nfc, nfkc };

// Line ends become line feeds. Control characters but tabs and line feeds go,
// and so do those that set the direction of text, by which a text is read in
// another order than it is shown ("Trojan Source", 2021). Errors: limit for
// more than max_bytes, bad_data for what is not UTF-8.
[[nodiscard]] inline result<std::string> clean_text(std::string_view text,
                                                    normal_form form,
                                                    std::size_t max_bytes) {
  const auto is_dropped = [](char32_t c) {
    const bool control =
        (c < 0x20 && c != '\t' && c != '\n') || (c >= 0x7F && c < 0xA0);
    const bool direction = c == 0x61C || c == 0x200E || c == 0x200F ||
                           (c >= 0x202A && c <= 0x202E) ||
                           (c >= 0x2066 && c <= 0x2069);
    return control || direction;
  };
  std::string kept;
  kept.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const utf8_char c = decode_utf8(text.substr(i));
    if (!c.valid) {
      return error{error_code::bad_data,
                   "the text is not UTF-8 at byte " + std::to_string(i)};
    }
    const std::string_view bytes = text.substr(i, c.length);
    i += c.length;
    if (c.code_point == '\r') {
      if (i == text.size() || text[i] != '\n') kept += '\n';
    } else if (!is_dropped(c.code_point)) {
      kept += bytes;
    }
  }
  const int more = form == normal_form::nfkc ? UTF8PROC_COMPAT : 0;
  utf8proc_uint8_t* made = nullptr;
  const utf8proc_ssize_t n =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(kept.data()),
                   static_cast<utf8proc_ssize_t>(kept.size()), &made,
                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE |
                                                  UTF8PROC_COMPOSE | more));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(
      made, &std::free);
  if (n < 0) return error{error_code::bad_data, utf8proc_errmsg(n)};
  const auto size = static_cast<std::size_t>(n);
  if (size > max_bytes) {
    return error{error_code::limit,
                 "the clean text has " + std::to_string(size) +
                     " bytes, at most " + std::to_string(max_bytes) +
                     " are allowed"};
  }
  return std::string(reinterpret_cast<const char*>(made), size);
}

struct text_clean_stage {
  static constexpr stage_info info{
      .id = "text.clean",
      .summary = "Normalizes a text and takes out control characters"};
  static constexpr std::size_t max_bytes = std::size_t{1} << 20;

  struct config {
    normal_form form = normal_form::nfc;
  };
  struct inputs {
    std::string_view text;
  };
  struct outputs {
    std::string text;
  };

  static constexpr auto params() {
    return std::tuple{
        param("form", &config::form)
            .names("nfc", "nfkc")
            .doc("nfc keeps what a text says; nfkc makes plain letters of full "
                 "width, ligatures and superscripts, too")};
  }
  static constexpr auto in_ports() {
    return std::tuple{port("text", &inputs::text)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("text", &outputs::text)};
  }

  text_clean_stage(const config& c, const host&) : form_(c.form) {}

  task<outputs> run(run_context& cx, inputs in) const {
    const auto clean = [&] { return clean_text(in.text, form_, max_bytes); };
    result<std::string> text = co_await cx.blocking(clean);
    co_return outputs{unwrap(std::move(text))};
  }

 private:
  normal_form form_;
};
static_assert(stage<text_clean_stage>);

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_TEXT_TEXT_CLEAN_H_
