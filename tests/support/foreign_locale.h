// SPDX-License-Identifier: MIT
// The locale of a program that uses us: 1234.5 is written 1 234,5 there.
#ifndef TESTS_SUPPORT_FOREIGN_LOCALE_H_
#define TESTS_SUPPORT_FOREIGN_LOCALE_H_

#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <locale>
#include <sstream>
#include <string>

#include "support/temp_folder.h"

namespace tinyphi_test {

// While one lives, C++ streams write numbers so; C's functions do where the
// system has a German locale or the sources to make one.
class foreign_locale {
 public:
  foreign_locale() : cpp_before_(std::locale::global(with_comma())) {
    c_before_ = std::setlocale(LC_ALL, nullptr);
    if (std::setlocale(LC_ALL, "de_DE.UTF-8") != nullptr) return;
    const std::string target = made_.path().string() + "/de_DE.UTF-8";
    const std::string make =
        "localedef -i de_DE -f UTF-8 " + target + " >/dev/null 2>&1";
    if (std::system(make.c_str()) != 0) return;
    ::setenv("LOCPATH", made_.path().c_str(), 1);
    std::setlocale(LC_ALL, "de_DE.UTF-8");
    ::unsetenv("LOCPATH");
  }
  foreign_locale(const foreign_locale&) = delete;
  foreign_locale& operator=(const foreign_locale&) = delete;
  ~foreign_locale() {
    std::locale::global(cpp_before_);
    std::setlocale(LC_ALL, c_before_.c_str());
  }

  // Whether streams and, unless there is no such locale, printf follow it.
  [[nodiscard]] static bool holds() {
    std::ostringstream out;
    out << 1234.5;
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", 0.5);
    const bool c = std::setlocale(LC_ALL, nullptr) != std::string("C");
    return out.str() == "1 234,5" && (!c || std::string(text) == "0,5");
  }

 private:
  struct comma : std::numpunct<char> {
    char do_decimal_point() const override { return ','; }
    char do_thousands_sep() const override { return ' '; }
    std::string do_grouping() const override { return "\3"; }
  };
  static std::locale with_comma() {
    return {std::locale::classic(), new comma};  // NOLINT: the locale owns it
  }

  temp_folder made_;
  std::locale cpp_before_;
  std::string c_before_;
};

}  // namespace tinyphi_test

#endif  // TESTS_SUPPORT_FOREIGN_LOCALE_H_
