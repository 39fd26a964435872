// SPDX-License-Identifier: MIT
// The forms of personal data: where one that begins at a place ends. Each looks
// at a few hundred bytes at most. All return the offset behind what begins at
// i, or 0; that no word goes on before i is the caller's to check.
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
#include "plugins/guard/pii_dates.h"
#include "plugins/guard/pii_tables.h"
#include "plugins/guard/watched_text.h"

TINYPHI_NAMESPACE_BEGIN
namespace guard::detail {

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
  while (true) {
    const bool is_sign = is_word(t[i]) || is_in(t[i], ".%+-'");
    const std::size_t n = is_sign ? 1 : letter_length(t, i);
    if (n == 0) break;
    i += n;
    if (i - begin > longest_local) return 0;
  }
  if (i == begin || t[i] != '@' || t[i - 1] == '.') return 0;
  std::size_t label = ++i, labels = 0;
  bool is_name = true;  // letters only, or punycode
  for (const std::size_t first = i; i - first <= longest_domain;) {
    if (is_digit(t[i]) || t[i] == '-') {
      is_name &= t[i] == '-' || t.text().substr(label, 4) == "xn--";
      ++i;
    } else if (const std::size_t n = letter_length(t, i); n != 0) {
      i += n;
    } else if (t[i] == '.' && i > label &&
               (is_digit(t[i + 1]) || letter_length(t, i + 1) != 0)) {
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
