// SPDX-License-Identifier: MIT
// Issuers of cards, countries of IBANs, names of months.
#ifndef TINYPHI_PLUGINS_GUARD_PII_TABLES_H_
#define TINYPHI_PLUGINS_GUARD_PII_TABLES_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN
namespace guard::detail {

// Numbers that begin with six digits in a range, and the lengths they have.
struct card_range {
  int first, last;
  std::size_t shortest, longest;
};

inline constexpr card_range card_ranges[] = {
    {400000, 499999, 13, 19},                            // Visa
    {510000, 559999, 16, 16}, {222100, 272099, 16, 16},  // Mastercard
    {340000, 349999, 15, 15}, {370000, 379999, 15, 15},  // American Express
    {300000, 305999, 14, 19}, {309500, 309599, 14, 19},  // Diners Club
    {360000, 369999, 14, 19}, {380000, 399999, 14, 19},
    {352800, 358999, 16, 19},                            // JCB
    {501900, 501999, 16, 16},                            // Dankort
    {601100, 601199, 16, 19}, {644000, 659999, 16, 19},  // Discover, RuPay, Elo
    {620000, 629999, 16, 19}, {810000, 817199, 16, 19},  // UnionPay
    {220000, 220499, 16, 19},                            // Mir
    {600000, 600999, 16, 16}, {508000, 508999, 16, 16},  // RuPay
    {979200, 979289, 16, 16},                            // Troy
    {501800, 501899, 12, 19}, {502000, 502099, 12, 19},  // Maestro
    {503800, 503899, 12, 19}, {589300, 589399, 12, 19},
    {630400, 630499, 12, 19}, {675900, 675999, 12, 19},
    {676100, 676399, 12, 19},
};

// Luhn's sum (ISO/IEC 7812-1) over digits.
inline bool passes_luhn(std::span<const int> digits) {
  int sum = 0;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    const bool is_doubled = (digits.size() - i) % 2 == 0;
    const int d = digits[i] * (is_doubled ? 2 : 1);
    sum += d > 9 ? d - 9 : d;
  }
  return sum % 10 == 0;
}

inline bool is_card(std::span<const int> digits) {
  if (digits.size() < 12) return false;
  int head = 0;
  for (std::size_t i = 0; i < 6; ++i) head = head * 10 + digits[i];
  const auto issued = [&](const card_range& r) {
    return head >= r.first && head <= r.last && digits.size() >= r.shortest &&
           digits.size() <= r.longest;
  };
  return std::ranges::any_of(card_ranges, issued) && passes_luhn(digits);
}

// Characters of an IBAN of that country (SWIFT's IBAN registry), 0: has none.
inline std::size_t iban_length(char a, char b) {
  constexpr std::string_view table =
      "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27"
      "DK18DO28EE20EG29ES24FI18FK18FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28"
      "IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22"
      "MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24"
      "SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30";
  for (std::size_t i = 0; i < table.size(); i += 4) {
    if (table[i] == (a & ~32) && table[i + 1] == (b & ~32)) {
      return static_cast<std::size_t>(table[i + 2] - '0') * 10 +
             static_cast<std::size_t>(table[i + 3] - '0');
    }
  }
  return 0;
}

enum class month : std::uint8_t { none, whole, part };
inline constexpr std::size_t longest_month = 10;

// In English, German, French, Spanish, Italian, Portuguese and Dutch; '?'
// stands for a letter with a mark. `part` are abbreviations and "may".
inline month month_named(std::string_view name) {
  constexpr std::string_view whole =
      " january february march april june july august september october "
      "november "
      "december januar j?nner februar m?rz juni juli oktober dezember janvier "
      "f?vrier fevrier mars avril juin juillet ao?t aout septembre octobre "
      "novembre d?cembre decembre enero febrero marzo abril mayo junio julio "
      "agosto septiembre setiembre octubre noviembre diciembre gennaio "
      "febbraio "
      "aprile maggio giugno luglio settembre ottobre dicembre janeiro "
      "fevereiro "
      "mar?o maio junho julho setembro outubro novembro dezembro januari "
      "februari maart augustus ";
  constexpr std::string_view part =
      " jan feb mar apr may jun jul aug sep sept oct nov dec mai okt dez m?r "
      "janv f?v avr juil d?c ene abr ago dic gen mag giu lug set ott fev out "
      "mei mrt ";
  if (name.size() < 3 || name.size() > longest_month) return month::none;
  const auto is_one_of = [&](std::string_view list) {
    std::size_t at = list.find(name);
    while (at != std::string_view::npos &&
           (list[at - 1] != ' ' || list[at + name.size()] != ' ')) {
      at = list.find(name, at + 1);
    }
    return at != std::string_view::npos;
  };
  return is_one_of(whole)  ? month::whole
         : is_one_of(part) ? month::part
                           : month::none;
}

}  // namespace guard::detail
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_GUARD_PII_TABLES_H_
