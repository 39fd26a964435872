// SPDX-License-Identifier: MIT
// Numbers in text that are the same in every locale: a program that uses us may
// have set one in which 1.5 is 1,5 and a blank stands between thousands.
#ifndef TINYPHI_BASE_PLAIN_TEXT_H_
#define TINYPHI_BASE_PLAIN_TEXT_H_

#include <charconv>
#include <fstream>
#include <iterator>
#include <locale>
#include <string>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN

// As printf's %.<digits>g writes it in the C locale; digits from 1 to 17.
[[nodiscard]] inline std::string plain_number(double value, int digits = 6) {
  char text[64];
  const auto end = std::to_chars(text, std::end(text), value,
                                 std::chars_format::general, digits);
  return {text, end.ptr};
}

// A file to read, whose numbers are written as C writes them.
[[nodiscard]] inline std::ifstream open_plain_text(const std::string& path) {
  std::ifstream file(path);
  file.imbue(std::locale::classic());
  return file;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_BASE_PLAIN_TEXT_H_
