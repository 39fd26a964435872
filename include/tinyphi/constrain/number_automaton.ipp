// SPDX-License-Identifier: MIT
#ifndef TINYPHI_CONSTRAIN_NUMBER_AUTOMATON_IPP_
#define TINYPHI_CONSTRAIN_NUMBER_AUTOMATON_IPP_

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "tinyphi/constrain/automaton_builder.ipp"
#include "tinyphi/constrain/number_automaton.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// Joins automata, and remembers the first error instead of one at each step.
class automaton_algebra {
 public:
  using part = byte_automaton;

  part sequence(std::vector<part> parts) {
    return keep(byte_automaton::sequence(parts));
  }
  part either(std::vector<part> parts) {
    return keep(byte_automaton::either(parts));
  }
  part both(const part& a, const part& b) {
    return keep(byte_automaton::both(a, b));
  }
  part without(const part& a, const part& b) {
    return keep(byte_automaton::without(a, b));
  }
  part repeat(const part& a, std::size_t min, std::size_t max) {
    return keep(byte_automaton::repeat(a, static_cast<std::uint32_t>(min),
                                       static_cast<std::uint32_t>(max)));
  }
  part any_digits() {
    return repeat(digit('0', '9'), 0, byte_automaton::no_limit);
  }
  part digits(std::size_t n) { return repeat(digit('0', '9'), n, n); }
  static part digit(char first, char last) {
    return first > last
               ? part()
               : part::one_of(byte_set::range(static_cast<std::uint8_t>(first),
                                              static_cast<std::uint8_t>(last)));
  }
  static part text(std::string_view t) { return part::literal(t); }
  static part nothing() { return part::literal(""); }

  result<part> done(part p) {
    if (failure_) return *failure_;
    return p;
  }

 private:
  part keep(result<part> r) {
    if (r) return *std::move(r);
    if (!failure_) failure_ = r.error();
    return {};
  }
  std::optional<error> failure_;
};

// A bound without its sign: digits before and behind the point; no zeros that
// say nothing, but a single one before the point.
struct plain_decimal {
  std::string whole, fraction;
};

inline std::optional<plain_decimal> plain(const decimal& d) {
  plain_decimal out;
  const auto n = static_cast<std::int64_t>(d.digits.size());
  if (d.exponent > max_integer_digits || n - d.exponent > 16) {
    return std::nullopt;
  }
  for (std::int64_t i = std::min<std::int64_t>(d.exponent, 0);
       i < std::max(n, d.exponent); ++i) {
    const char c =
        i < 0 || i >= n ? '0' : d.digits[static_cast<std::size_t>(i)];
    (i < d.exponent ? out.whole : out.fraction) += c;
  }
  if (out.whole.empty()) out.whole = "0";
  return out;
}

// Unsigned numbers on one side of a bound.
class digit_bounds {
 public:
  explicit digit_bounds(automaton_algebra& a) : a_(&a) {}

  // Numbers of at most `bound`, or of at least it.
  byte_automaton side(const plain_decimal& bound, bool most, bool exclusive) {
    const std::string& w = bound.whole;
    std::vector<byte_automaton> parts;
    const byte_automaton rest = any_fraction();
    if (most) {
      for (std::size_t n = 1; n < w.size(); ++n) {
        parts.push_back(a_->sequence({a_->digits(n), rest}));
      }
    } else {
      parts.push_back(a_->sequence(
          {a_->digits(w.size()), a_->digits(1), a_->any_digits(), rest}));
    }
    for (std::size_t i = 0; i < w.size(); ++i) {
      parts.push_back(
          a_->sequence({a_->text(w.substr(0, i)), beside(w[i], most),
                        a_->digits(w.size() - i - 1), rest}));
    }
    parts.push_back(
        a_->sequence({a_->text(w), fraction(bound.fraction, most, exclusive)}));
    return a_->either(std::move(parts));
  }

 private:
  static byte_automaton beside(char digit, bool below) {
    return below ? automaton_algebra::digit('0', static_cast<char>(digit - 1))
                 : automaton_algebra::digit(static_cast<char>(digit + 1), '9');
  }
  byte_automaton any_fraction() {
    return a_->either(
        {a_->nothing(),
         a_->sequence({a_->text("."), a_->digits(1), a_->any_digits()})});
  }
  // What may stand behind whole digits that are the bound's own.
  byte_automaton fraction(const std::string& f, bool most, bool exclusive) {
    const byte_automaton zeros =
        a_->repeat(a_->text("0"), 0, byte_automaton::no_limit);
    const byte_automaton above_zero =
        a_->sequence({zeros, a_->digit('1', '9'), a_->any_digits()});
    std::vector<byte_automaton> parts;
    const auto add = [&](std::vector<byte_automaton> digits) {
      digits.insert(digits.begin(), a_->text("."));
      parts.push_back(a_->sequence(std::move(digits)));
    };
    for (std::size_t i = 0; i < f.size(); ++i) {
      add({a_->text(f.substr(0, i)), beside(f[i], most), a_->any_digits()});
      // The bound's digits, cut off: less than it, since its last is no zero.
      if (most && i > 0) add({a_->text(f.substr(0, i))});
    }
    if (most && !f.empty()) parts.push_back(a_->nothing());
    if (!most) add({a_->text(f), above_zero});
    if (!exclusive) {
      if (f.empty()) {
        parts.push_back(a_->nothing());
        add({a_->text("0"), zeros});
      } else {
        add({a_->text(f), zeros});
      }
    }
    return a_->either(std::move(parts));
  }

  automaton_algebra* a_;
};

// Whole numbers of which `divisor` is a part, by what is left of the digits.
inline result<byte_automaton> multiples(std::uint32_t divisor) {
  std::array<std::uint8_t, 256> classes{};
  for (unsigned d = 0; d < 10; ++d) {
    classes['0' + d] = static_cast<std::uint8_t>(d + 1);
  }
  classes['-'] = 11;
  automaton_builder b(classes, 12);
  const auto begin = b.add(false);
  for (std::uint32_t r = 0; r < divisor; ++r) b.add(r == 0);
  const auto left = [](std::uint32_t r) { return r + 1; };
  for (std::uint32_t d = 0; d < 10; ++d) {
    b.edge(begin, d + 1, left(d % divisor));
    for (std::uint32_t r = 0; r < divisor; ++r) {
      b.edge(left(r), d + 1, left((r * 10 + d) % divisor));
    }
  }
  b.edge(begin, 11, begin);
  return std::move(b).minimal();
}

}  // namespace detail

TINYPHI_FUNC result<byte_automaton> number_automaton(const number_shape& s) {
  using detail::plain;
  detail::automaton_algebra a;
  detail::digit_bounds bounds(a);
  const bool whole = s.integer || s.divisor > 1 || s.decimals == 0;
  const std::uint32_t n = s.integer ? max_integer_digits : max_whole_digits;
  const byte_automaton digits = a.either(
      {a.text("0"),
       a.sequence({a.digit('1', '9'), a.repeat(a.digit('0', '9'), 0, n - 1)})});
  byte_automaton fraction = a.nothing();
  if (!whole) {
    fraction = a.either(
        {fraction, a.sequence({a.text("."),
                               a.repeat(a.digit('0', '9'), 1, s.decimals)})});
  }
  const byte_automaton number = a.sequence({digits, fraction});
  const byte_automaton zero = a.sequence(
      {a.text("0"),
       a.either(
           {a.nothing(),
            a.sequence({a.text("."), a.repeat(a.text("0"), 1,
                                              byte_automaton::no_limit)})})});
  byte_automaton above = number, below = a.without(number, zero);
  for (const bool most : {false, true}) {
    const auto& bound = most ? s.most : s.least;
    if (!bound) continue;
    const auto text = plain(bound->value);
    if (!text) {
      return error{
          error_code::limit,
          "a bound has more than the 18 digits before the point, or 16 "
          "behind it, that are allowed"};
    }
    // A positive bound cuts the positive numbers and decides about all negative
    // ones, and the other way round.
    const bool negative = bound->value.negative && !bound->value.digits.empty();
    byte_automaton& cut = negative ? below : above;
    byte_automaton& other = negative ? above : below;
    cut = a.both(cut, bounds.side(*text, most != negative, bound->exclusive));
    if (most == negative) other = {};
  }
  byte_automaton all = a.either({above, a.sequence({a.text("-"), below})});
  if (!whole && !s.least && !s.most && s.decimals == 16) {
    const byte_automaton exponent =
        a.sequence({a.either({a.text("e"), a.text("E")}),
                    a.either({a.nothing(), a.text("+"), a.text("-")}),
                    a.repeat(a.digit('0', '9'), 1, 3)});
    all = a.either({all, a.sequence({all, exponent})});
  }
  if (s.divisor > 1) {
    TINYPHI_TRY(const byte_automaton multiple, detail::multiples(s.divisor));
    all = a.both(all, multiple);
  }
  return a.done(std::move(all));
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_CONSTRAIN_NUMBER_AUTOMATON_IPP_
