// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SCHEMA_FORMATS_IPP_
#define TINYPHI_SCHEMA_FORMATS_IPP_

#include <algorithm>
#include <array>
#include <iterator>

#include "tinyphi/schema/formats.h"
#include "tinyphi/schema/pattern.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC std::optional<text_format> find_text_format(
    std::string_view name) {
  const auto* found = std::find(std::begin(text_format_names),
                                std::end(text_format_names), name);
  if (found == std::end(text_format_names)) return std::nullopt;
  return static_cast<text_format>(found - std::begin(text_format_names));
}

namespace detail {

inline constexpr std::size_t n_text_formats = std::size(text_format_names);

inline std::string ipv6_expression(const std::string& ipv4) {
  const std::string group = "[0-9A-Fa-f]{1,4}";
  const std::string last = "(?:" + group + ":" + group + "|" + ipv4 + ")";
  std::string out = "(?:(?:" + group + ":){6}" + last;
  // "::" with up to `before` groups before it, and `after` and the last ones
  // behind it.
  for (int before = 0; before < 8; ++before) {
    const int after = 5 - before;
    out += "|";
    if (before == 1) out += "(?:" + group + ")?";
    if (before > 1) {
      out += "(?:(?:" + group + ":){0," + std::to_string(before - 1) + "}" +
             group + ")?";
    }
    out += "::";
    if (after > 0) {
      out += "(?:" + group + ":){" + std::to_string(after) + "}";
    }
    if (after >= 0) out += last;
    if (after == -1) out += group;
  }
  return out + ")";
}

inline std::string format_expression(text_format f) {
  const std::string date =
      "[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])";
  const std::string time =
      "(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\\.[0-9]+)?"
      "(?:[Zz]|[+\\-](?:[01][0-9]|2[0-3]):[0-5][0-9])";
  const std::string octet = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
  const std::string ipv4 = "(?:" + octet + "\\.){3}" + octet;
  const std::string label = "[A-Za-z0-9](?:[A-Za-z0-9\\-]*[A-Za-z0-9])?";
  const std::string hostname = label + "(?:\\." + label + ")*";
  switch (f) {
    case text_format::date:
      return date;
    case text_format::time:
      return time;
    case text_format::date_time:
      return date + "[Tt]" + time;
    case text_format::ipv4:
      return ipv4;
    case text_format::ipv6:
      return ipv6_expression(ipv4);
    case text_format::uuid:
      return "[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}";
    case text_format::hostname:
      return hostname;
    case text_format::email: {
      const std::string atom = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~\\-]+";
      return "(?:" + atom + "(?:\\." + atom +
             ")*|\"(?:[ !#-\\[\\]-~]|\\\\[ -~])*\")@(?:" + hostname +
             "|\\[(?:" + ipv4 + "|IPv6:" + ipv6_expression(ipv4) + ")\\])";
    }
    case text_format::uri: {
      const std::string hex = "%[0-9A-Fa-f]{2}";
      const std::string plain = "[A-Za-z0-9\\-._~!$&'()*+,;=";
      const std::string path_char = "(?:" + plain + ":@]|" + hex + ")";
      const std::string host = "(?:\\[(?:" + ipv6_expression(ipv4) +
                               "|[Vv][0-9A-Fa-f]+\\." + plain +
                               ":]+)\\]|(?:" + plain + "]|" + hex + ")*)";
      const std::string segments = "(?:/" + path_char + "*)*";
      const std::string behind = "(?:" + plain + ":@/?]|" + hex + ")*";
      return "[A-Za-z][A-Za-z0-9+.\\-]*:(?://(?:(?:" + plain + ":]|" + hex +
             ")*@)?" + host + "(?::[0-9]*)?" + segments + "|/(?:" + path_char +
             "+" + segments + ")?|" + path_char + "+" + segments + "|)(?:\\?" +
             behind + ")?(?:#" + behind + ")?";
    }
    case text_format::duration: {
      const std::string clock =
          "T(?:[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S)";
      return "P(?:[0-9]+W|(?:[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?|"
             "[0-9]+M(?:[0-9]+D)?|[0-9]+D)(?:" +
             clock + ")?|" + clock + ")";
    }
  }
  return {};
}

// At most two digits, which are there.
inline int two_digits(std::string_view text, std::size_t at) {
  return (text[at] - '0') * 10 + (text[at + 1] - '0');
}

inline bool is_day(std::string_view date) {
  static constexpr int days[] = {31, 29, 31, 30, 31, 30,
                                 31, 31, 30, 31, 30, 31};
  const int century = two_digits(date, 0), year = two_digits(date, 2);
  const int month = two_digits(date, 5), day = two_digits(date, 8);
  const bool leap = year % 4 == 0 && (year != 0 || century % 4 == 0);
  return day <= days[month - 1] && (month != 2 || day <= 28 || leap);
}

inline bool is_time(std::string_view time) {
  if (time.substr(6, 2) != "60") return true;
  int minute = two_digits(time, 0) * 60 + two_digits(time, 3);
  if (time.back() != 'Z' && time.back() != 'z') {
    const std::size_t offset = time.size() - 6;
    const int east =
        two_digits(time, offset + 1) * 60 + two_digits(time, offset + 4);
    minute += time[offset] == '-' ? east : -east;
  }
  return (minute + 1440) % 1440 == 1439;
}

inline bool is_hostname(std::string_view name) {
  if (name.size() > 253) return false;
  while (true) {
    const std::size_t dot = name.find('.');
    if (std::min(dot, name.size()) > 63) return false;
    if (dot == std::string_view::npos) return true;
    name.remove_prefix(dot + 1);
  }
}

// What the format's pattern cannot say.
inline bool obeys_rest(text_format f, std::string_view text) {
  switch (f) {
    case text_format::date:
      return is_day(text);
    case text_format::time:
      return is_time(text);
    case text_format::date_time:
      return is_day(text) && is_time(text.substr(11));
    case text_format::hostname:
      return is_hostname(text);
    case text_format::email: {
      const std::size_t at = text.rfind('@');
      return at <= 64 &&
             (text.back() == ']' || is_hostname(text.substr(at + 1)));
    }
    case text_format::ipv4:
    case text_format::ipv6:
    case text_format::uuid:
    case text_format::uri:
    case text_format::duration:
      return true;
  }
  return false;
}

template <std::size_t F>
const pattern& compiled_format() {
  static const result<pattern> p = pattern::compile(
      format_pattern(static_cast<text_format>(F)), std::size_t{1} << 14);
  TINYPHI_ASSERT(p.has_value());
  return *p;
}

template <std::size_t... F>
const pattern& compiled_format(text_format f, std::index_sequence<F...>) {
  using getter = const pattern& (*)();
  static constexpr getter getters[] = {&compiled_format<F>...};
  return getters[static_cast<std::size_t>(f)]();
}

}  // namespace detail

TINYPHI_FUNC const std::string& format_pattern(text_format f) {
  static const auto all = [] {
    std::array<std::string, detail::n_text_formats> made;
    for (std::size_t i = 0; i < made.size(); ++i) {
      made[i] =
          "^(?:" + detail::format_expression(static_cast<text_format>(i)) +
          ")$";
    }
    return made;
  }();
  return all[static_cast<std::size_t>(f)];
}

TINYPHI_FUNC bool has_format(text_format f, std::string_view text,
                             std::uint64_t& steps) {
  return detail::compiled_format(
             f, std::make_index_sequence<detail::n_text_formats>())
             .found_in(text, steps) &&
         detail::obeys_rest(f, text);
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SCHEMA_FORMATS_IPP_
