// SPDX-License-Identifier: MIT
// The values of JSON Schema's `format` that are checked, each as a pattern and,
// where that is not all, a rule about what the pattern has let through.
#ifndef TINYPHI_SCHEMA_FORMATS_H_
#define TINYPHI_SCHEMA_FORMATS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN

enum class text_format : std::uint8_t {
  date,       // RFC 3339; the day exists in its month
  time,       // RFC 3339; a leap second only at the end of UTC's day
  date_time,  // both, with 'T' between
  email,      // RFC 5321's mailbox, in ASCII
  ipv4,       // four decimal numbers, without leading zeros
  ipv6,       // RFC 4291, without a zone
  uuid,       // RFC 4122's text, in any case
  uri,        // RFC 3986, with a scheme
  hostname,   // RFC 1123: labels to 63, 253 in all; Punycode is not decoded
  duration    // RFC 3339, appendix A
};

// All of them, as messages list them.
inline constexpr std::string_view text_format_names[] = {
    "date", "time", "date-time", "email",    "ipv4",
    "ipv6", "uuid", "uri",       "hostname", "duration"};

[[nodiscard]] std::optional<text_format> find_text_format(
    std::string_view name);

// Anchored at both ends; in the syntax of regex_syntax, but longer than what a
// schema may bring.
[[nodiscard]] const std::string& format_pattern(text_format f);

// `text` is UTF-8; `steps` as in pattern::found_in. Any thread; a format's
// pattern is compiled once, when it is first asked for.
[[nodiscard]] bool has_format(text_format f, std::string_view text,
                              std::uint64_t& steps);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/schema/formats.ipp"
#endif

#endif  // TINYPHI_SCHEMA_FORMATS_H_
