// SPDX-License-Identifier: MIT
// Dates as people write them, a form of personal data.
#ifndef TINYPHI_PLUGINS_GUARD_PII_DATES_H_
#define TINYPHI_PLUGINS_GUARD_PII_DATES_H_

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "plugins/guard/pii_tables.h"
#include "plugins/guard/watched_text.h"

TINYPHI_NAMESPACE_BEGIN
namespace guard::detail {

inline bool is_year(int y) { return y >= 1900 && y <= 2099; }
inline bool is_day(int d) { return d >= 1 && d <= 31; }
inline bool is_day_and_month(int a, int b) {
  return is_day(a) && is_day(b) && (a <= 12 || b <= 12);
}

// 2025-01-31, 31.1.2025, 1/31/2025, 31.01.25, 1/31/25.
inline std::size_t find_number_date(watched_text& t, std::size_t i) {
  std::array<std::size_t, 3> n{};
  std::array<int, 3> v{};
  char joint = '\0';
  for (std::size_t k = 0; k < 3; ++k) {
    if (k != 0 && t[i] != joint) return 0;
    i += k != 0 ? 1 : 0;
    n[k] = digits(t, i, 5);
    if (n[k] == 0 || n[k] == 3 || n[k] == 5) return 0;
    v[k] = number(t, i, n[k]);
    i += n[k];
    if (k == 0 && !is_in(joint = t[i], "-./")) return 0;
  }
  if (n[1] > 2) return 0;
  bool good = false;
  if (n[0] == 4) {
    good =
        n[2] <= 2 && is_year(v[0]) && v[1] >= 1 && v[1] <= 12 && is_day(v[2]);
  } else if (n[2] == 4) {
    good = is_year(v[2]) && is_day_and_month(v[0], v[1]);
  } else {
    // Versions and fractions look like it.
    good = n[2] == 2 && is_day_and_month(v[0], v[1]) &&
           (joint == '/' || (joint == '.' && n[0] == 2 && n[1] == 2));
  }
  if (t[i] == 'T' && is_digit(t[i + 1])) return good ? i : 0;  // then the time
  return good && ends(t, i, "-./") ? i : 0;
}

// Year, month and day behind which their Chinese characters stand.
inline std::size_t find_cjk_date(watched_text& t, std::size_t i) {
  constexpr std::string_view marks[] = {"\xE5\xB9\xB4", "\xE6\x9C\x88",
                                        "\xE6\x97\xA5"};
  for (const std::string_view mark : marks) {
    const std::size_t n = digits(t, i, 4);
    if (n == 0) return 0;
    i += n;
    for (std::size_t k = 0; k < mark.size(); ++k) {
      if (t[i++] != mark[k]) return 0;
    }
  }
  return i;
}

// Where the word at i ends, if it is not longer than a month's name.
inline std::size_t short_word_end(watched_text& t, std::size_t i) {
  const std::size_t limit = i + 2 * longest_month;
  while (i < limit) {
    const std::size_t n = letter_length(t, i);
    if (n == 0) break;
    i += n;
  }
  return i;
}

// The month that is written in [i, end).
inline month find_month(watched_text& t, std::size_t i, std::size_t end) {
  std::string name;
  while (i < end) {
    name += is_letter(t[i]) ? ascii::lower(t[i]) : '?';
    i += is_letter(t[i]) ? 1 : 2;
  }
  return month_named(name);
}

// Moves i over the first of the words that stands there.
inline void skip_words(watched_text& t, std::size_t& i,
                       std::initializer_list<std::string_view> words) {
  for (const std::string_view word : words) {
    std::size_t k = 0;
    while (k < word.size() && t[i + k] == word[k]) ++k;
    if (k == word.size()) {
      i += k;
      return;
    }
  }
}

// ", 2025", " de 2025", "-2025": the year's end, or 0.
inline std::size_t find_year(watched_text& t, std::size_t i) {
  skip_words(t, i, {" del", " de", ".", ","});
  if (!is_in(t[i], " -")) return 0;
  ++i;
  return digits(t, i, 5) == 4 && is_year(number(t, i, 4)) && !is_word(t[i + 4])
             ? i + 4
             : 0;
}

// 31 January 2025, 31. Januar, 31 de enero de 2025, 31-Jan-2025. Without a year
// the month's name must be whole: other words are like the short forms.
inline std::size_t find_day_month(watched_text& t, std::size_t i) {
  const std::size_t n = digits(t, i, 3);
  if (n == 0 || n == 3 || !is_day(number(t, i, n))) return 0;
  i += n;
  skip_words(t, i, {"st", "nd", "rd", "th", "er", "."});
  skip_words(t, i, {" de ", " of ", " ", "-"});
  const std::size_t end = short_word_end(t, i);
  const month m = find_month(t, i, end);
  if (m == month::none || is_word(t[end])) return 0;
  i = end;
  const std::size_t year = find_year(t, i);
  return year != 0 ? year : m == month::whole ? i : 0;
}

// January 31, 2025; Jan 31 2025; January 31st.
inline std::size_t find_month_day(watched_text& t, std::size_t i) {
  const std::size_t end = short_word_end(t, i);
  const std::size_t begin = i;
  i = end;
  skip_words(t, i, {". ", " "});
  const std::size_t n = digits(t, i, 3);
  if (n == 0 || n == 3 || !is_day(number(t, i, n))) return 0;
  const month m = find_month(t, begin, end);
  if (m == month::none) return 0;
  i += n;
  skip_words(t, i, {"st", "nd", "rd", "th"});
  if (is_word(t[i])) return 0;
  const std::size_t year = find_year(t, i);
  if (year != 0) return year;
  return m == month::whole && ends(t, i, ".:-/") ? i : 0;
}

inline std::size_t find_date(watched_text& t, std::size_t i) {
  if (!is_digit(t[i])) return find_month_day(t, i);
  std::size_t end = find_number_date(t, i);
  if (end == 0) end = find_cjk_date(t, i);
  return end != 0 ? end : find_day_month(t, i);
}

}  // namespace guard::detail
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_GUARD_PII_DATES_H_
