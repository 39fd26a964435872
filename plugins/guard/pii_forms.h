// SPDX-License-Identifier: MIT
// The forms of personal data: where one that begins at a place ends. Each looks
// at a few hundred bytes at most.
#ifndef TINYPHI_PLUGINS_GUARD_PII_FORMS_H_
#define TINYPHI_PLUGINS_GUARD_PII_FORMS_H_

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>

#include "plugins/guard/ascii.h"
#include "plugins/guard/pii_tables.h"
#include "plugins/guard/watched_text.h"

TINYPHI_NAMESPACE_BEGIN
namespace guard::detail {

// The first byte of a letter of two, as most in Europe and the Near East are.
inline bool leads_letter(char c) {
  const auto b = static_cast<unsigned char>(c);
  return b >= 0xC3 && b <= 0xDF;
}

// All return the offset behind what begins at i, or 0. That no word goes on
// before i is the caller's to check.

// Digits from i on, `most` at most.
inline std::size_t digits(watched_text& t, std::size_t i, std::size_t most) {
  std::size_t n = 0;
  while (n < most && is_digit(t[i + n])) ++n;
  return n;
}

inline int number(watched_text& t, std::size_t i, std::size_t n) {
  int value = 0;
  for (std::size_t k = 0; k < n; ++k) value = value * 10 + (t[i + k] - '0');
  return value;
}

// No word goes on at i, and no further group of digits.
inline bool ends(watched_text& t, std::size_t i, std::string_view joints) {
  return !is_word(t[i]) && !(is_in(t[i], joints) && is_digit(t[i + 1]));
}

// 12 to 19 digits in one group, or in groups of three or more behind the same
// blank or hyphen, with an issuer's number and length and Luhn's check digit.
inline std::size_t find_card(watched_text& t, std::size_t i) {
  std::array<int, 19> number{};
  std::size_t n = 0, group = 0, best = 0;
  char joint = '\0';
  for (;; ++i) {
    if (is_digit(t[i])) {
      if (n == number.size()) return best;
      number[n++] = t[i] - '0';
      ++group;
      if (!is_word(t[i + 1]) && group >= 3 && is_card({number.data(), n})) {
        best = i + 1;
      }
    } else if (is_in(t[i], " -") && (joint == '\0' || joint == t[i]) &&
               group >= 3 && is_digit(t[i + 1])) {
      joint = t[i];
      group = 0;
    } else {
      return best;
    }
  }
}

// A country, as many letters and digits as its IBANs have, with single blanks
// or hyphens between them, and check digits (ISO 7064, MOD 97-10).
inline std::size_t find_iban(watched_text& t, std::size_t i) {
  if (!is_letter(t[i]) || !is_letter(t[i + 1]) || !is_digit(t[i + 2])) return 0;
  const std::size_t length = iban_length(t[i], t[i + 1]);
  if (length == 0) return 0;
  int remainder = 0, head = 0;
  const auto put = [](int& sum, char c) {
    if (is_digit(c)) {
      sum = (sum * 10 + (c - '0')) % 97;
    } else {
      sum = (sum * 100 + ((c | 32) - 'a' + 10)) % 97;
    }
  };
  for (std::size_t n = 0; n < length; ++n, ++i) {
    if (n != 0 && is_in(t[i], " -")) ++i;
    if (!is_digit(t[i]) && !is_letter(t[i])) return 0;
    // The first four count last.
    put(n < 4 ? head : remainder, t[i]);
  }
  if (is_word(t[i])) return 0;
  // head is below 97, and its place value is that of two letters and two
  // digits.
  return (remainder * (1000000 % 97) + head) % 97 == 1 ? i : 0;
}

// LOCAL@DOMAIN.TLD, without quotes and comments.
inline std::size_t find_email(watched_text& t, std::size_t i) {
  constexpr std::size_t longest_local = 128, longest_domain = 255;
  const std::size_t begin = i;
  // Most words have none near.
  const std::string_view near = t.text().substr(i, longest_local + 2);
  if (near.size() == longest_local + 2 &&
      near.find('@') == std::string_view::npos)
    return 0;
  while (is_word(t[i]) || is_in(t[i], ".%+-'") || leads_letter(t[i])) {
    i += leads_letter(t[i]) ? 2 : 1;
    if (i - begin > longest_local) return 0;
  }
  if (i == begin || t[i] != '@' || t[i - 1] == '.') return 0;
  std::size_t label = ++i, labels = 0;
  bool is_name = true;  // letters only, or punycode
  for (const std::size_t first = i; i - first <= longest_domain;) {
    if (is_digit(t[i]) || t[i] == '-') {
      is_name &= t[i] == '-' || t.text().substr(label, 4) == "xn--";
      ++i;
    } else if (is_letter(t[i]) || leads_letter(t[i])) {
      i += is_letter(t[i]) ? 1 : 2;
    } else if (t[i] == '.' && i > label &&
               (is_digit(t[i + 1]) || is_letter(t[i + 1]) ||
                leads_letter(t[i + 1]))) {
      label = ++i;
      ++labels;
      is_name = true;
    } else {
      while (i > label && t[i - 1] == '-') --i;
      return labels > 0 && is_name && i >= label + 2 ? i : 0;
    }
  }
  return 0;
}

inline std::size_t find_ip4(watched_text& t, std::size_t i) {
  if (t[i - 1] == '.' && is_digit(t[i - 2])) return 0;
  for (int part = 0; part < 4; ++part) {
    if (part != 0 && t[i++] != '.') return 0;
    const std::size_t n = digits(t, i, 4);
    if (n == 0 || n == 4 || number(t, i, n) > 255) return 0;
    if (n > 1 && t[i] == '0') return 0;
    i += n;
  }
  return ends(t, i, ".") ? i : 0;
}

// With a digit or four colons in it: names in programs look like short ones.
inline std::size_t find_ip6(watched_text& t, std::size_t i) {
  constexpr std::size_t longest = 45;
  constexpr std::string_view parts = "0123456789abcdefABCDEF:.";
  if (t[i - 1] == ':' && is_in(t[i - 2], parts)) return 0;
  std::size_t n = 0, colons = 0;
  bool has_digit = false;
  for (; n <= longest; ++n) {
    const char c = t[i + n];
    if (!is_in(c, parts)) break;
    colons += c == ':' ? 1 : 0;
    has_digit |= is_digit(c);
  }
  if (n > longest || colons < 2 || !(has_digit || colons >= 4) ||
      is_word(t[i + n])) {
    return 0;
  }
  // A full stop or a colon of the sentence may stand behind it.
  if (t[i + n - 1] == '.') --n;
  if (n > 1 && t[i + n - 1] == ':' && t[i + n - 2] != ':') --n;
  std::array<unsigned char, 16> address;
  const std::string text(t.text().substr(i, n));
  return ::inet_pton(AF_INET6, text.c_str(), address.data()) == 1 ? i + n : 0;
}

inline std::size_t find_ip(watched_text& t, std::size_t i) {
  const std::size_t end = is_digit(t[i]) ? find_ip4(t, i) : 0;
  return end != 0 ? end : find_ip6(t, i);
}

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
  while (i < limit && (is_letter(t[i]) || leads_letter(t[i]))) {
    i += is_letter(t[i]) ? 1 : 2;
  }
  return i;
}

// The month that is written in [i, end).
inline month find_month(watched_text& t, std::size_t i, std::size_t end) {
  std::string name;
  while (i < end) {
    name += is_letter(t[i]) ? in_lower_case(t[i]) : '?';
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

// Groups of digits from i on, with a blank, hyphen, full stop, slash, " - " or
// brackets between them: the last end at which they have `least` to `most`
// digits, and `alone` at least if it is one group.
inline std::size_t find_dialled(watched_text& t, std::size_t i,
                                std::size_t least, std::size_t most,
                                std::size_t alone) {
  std::size_t n = 0, best = 0;
  bool in_brackets = t[i] == '(', is_one = !in_brackets;
  i += in_brackets ? 1 : 0;
  while (true) {
    while (is_digit(t[i])) {
      if (++n > most) return best;
      ++i;
    }
    if (!in_brackets && n >= (is_one ? alone : least) && !is_word(t[i])) {
      best = i;
    }
    std::size_t next = i;
    if (in_brackets && t[i] == ')') {
      ++next;
      in_brackets = false;
      if (is_in(t[next], " -/")) ++next;
    } else if (t[i] == ' ' && is_in(t[i + 1], "-/") && t[i + 2] == ' ') {
      next += 3;
    } else if (is_in(t[i], " -./")) {
      ++next;
    }
    if (!in_brackets && t[next] == '(') {
      in_brackets = true;
      ++next;
    }
    if (next == i || !is_digit(t[next])) return best;
    is_one = false;
    i = next;
  }
}

// Three digits, the first of them 2 to 9.
inline bool is_exchange(watched_text& t, std::size_t i) {
  return t[i] >= '2' && t[i] <= '9' && digits(t, i, 4) == 3;
}

// (555) 201-4567, 1-555-201-4567, 555.201.4567, 555-0123.
inline std::size_t find_american_phone(watched_text& t, std::size_t i) {
  constexpr std::string_view joints = "-. ";
  if (t[i] == '1' && is_in(t[i + 1], joints)) i += 2;
  const bool in_brackets = t[i] == '(';
  i += in_brackets ? 1 : 0;
  if (!is_exchange(t, i)) return 0;
  i += 3;
  if (!in_brackets && t[i] == '-' && digits(t, i + 1, 5) == 4) {
    return ends(t, i + 5, "-./") ? i + 5 : 0;
  }
  char joint = t[i];
  if (in_brackets) {
    if (t[i++] != ')') return 0;
    if (is_in(t[i], joints)) ++i;
  } else if (!is_in(joint, joints)) {
    return 0;
  } else {
    ++i;
  }
  if (!is_exchange(t, i)) return 0;
  i += 3;
  if (in_brackets ? !is_in(t[i], joints) : t[i] != joint) return 0;
  return digits(t, i + 1, 5) == 4 && ends(t, i + 5, "-./") ? i + 5 : 0;
}

// 13812345678, 138 1234 5678.
inline std::size_t find_chinese_phone(watched_text& t, std::size_t i) {
  if (t[i] != '1' || t[i + 1] < '3') return 0;
  const std::size_t n = digits(t, i, 12);
  if (n == 11) return is_word(t[i + 11]) ? 0 : i + 11;
  const char joint = t[i + 3];
  return n == 3 && is_in(joint, " -") && digits(t, i + 4, 5) == 4 &&
                 t[i + 8] == joint && digits(t, i + 9, 5) == 4 &&
                 ends(t, i + 13, "-./")
             ? i + 13
             : 0;
}

// International with + or 00, national with a 0 before it, North American, and
// mobile numbers of China. Dates and addresses are none.
inline std::size_t find_phone(watched_text& t, std::size_t i) {
  constexpr std::size_t longest = 15;  // ITU-T E.164
  const auto counts = [&](std::size_t k) { return t[k] >= '1' && t[k] <= '9'; };
  if (t[i] == '+')
    return counts(i + 1) ? find_dialled(t, i + 1, 8, longest, 8) : 0;
  if (find_date(t, i) != 0 || find_ip4(t, i) != 0) return 0;
  const std::size_t first = i + (t[i] == '(' ? 1 : 0);
  if (t[first] == '0') {
    if (t[first + 1] == '0' && counts(first + 2)) {
      return find_dialled(t, i, 10, longest + 2, 10);
    }
    return counts(first + 1) ? find_dialled(t, i, 9, 12, 10) : 0;
  }
  const std::size_t american = find_american_phone(t, i);
  return american != 0 ? american : find_chinese_phone(t, i);
}

}  // namespace guard::detail
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_GUARD_PII_FORMS_H_
