// SPDX-License-Identifier: MIT
// Fields that a file adds to its requests.
#ifndef TINYPHI_PLUGINS_HTTP_FETCH_HEADERS_H_
#define TINYPHI_PLUGINS_HTTP_FETCH_HEADERS_H_

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tinyphi/base/ascii.h"
#include "tinyphi/pipeline/stage.h"

TINYPHI_NAMESPACE_BEGIN
namespace web {

inline constexpr std::size_t max_headers = 64;
inline constexpr std::size_t max_header_bytes = 8192;  // of all

// Empty: nothing.
inline std::string_view wrong_header(std::string_view name,
                                     std::string_view value) {
  constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
  const auto is_token = [&](char c) {
    return ascii::is_letter(c) || ascii::is_digit(c) ||
           marks.find(c) != std::string_view::npos;
  };
  if (name.empty() || !std::ranges::all_of(name, is_token)) {
    return "a header's name is letters, digits and '-'";
  }
  // What says where a request ends is ours to say.
  constexpr std::string_view ours[] = {"accept-encoding",
                                       "connection",
                                       "content-length",
                                       "expect",
                                       "host",
                                       "keep-alive",
                                       "te",
                                       "trailer",
                                       "transfer-encoding",
                                       "upgrade"};
  const std::string key = ascii::lower(name);
  if (std::ranges::find(ours, key) != std::end(ours) ||
      key.starts_with("proxy-")) {
    return "tinyphi itself says this; leave it out";
  }
  const auto is_printed = [](char c) {
    return (c >= ' ' && c < '\x7f') || c == '\t';
  };
  if (!std::ranges::all_of(value, is_printed)) {
    return "a header's value is printable ASCII";
  }
  return {};
}

// Adds what is wrong with the parameter headers, whose secrets may not be open
// yet.
inline void check_headers(const std::map<std::string, secret_text>& headers,
                          std::vector<param_fault>& faults) {
  const auto report = [&](fault code, std::string param, std::string why) {
    faults.push_back({code, std::move(param), 0, std::move(why)});
  };
  std::size_t n_bytes = 0;
  for (const auto& [name, secret] : headers) {
    const std::string_view value = secret.reveal();  // empty: not open yet
    n_bytes += name.size() + value.size();
    if (const auto why = wrong_header(name, value); !why.empty()) {
      report(fault::out_of_range, "headers." + name, std::string(why));
    }
  }
  if (headers.size() > max_headers || n_bytes > max_header_bytes) {
    report(fault::out_of_range, "headers",
           "are " + std::to_string(headers.size()) + " with " +
               std::to_string(n_bytes) + " bytes, at most " +
               std::to_string(max_headers) + " with " +
               std::to_string(max_header_bytes) + " are allowed");
  }
}

// The fields as they are sent. Throws a stage_error for a secret that cannot
// be one.
[[nodiscard]] inline std::string fields_of(
    const std::map<std::string, secret_text>& headers) {
  std::string fields;
  for (const auto& [name, secret] : headers) {
    const std::string_view value = secret.reveal();
    if (const auto why = wrong_header(name, value); !why.empty()) {
      throw stage_error(error_code::invalid_argument,
                        "with.headers." + name + ": " + std::string(why));
    }
    fields += name + ": " + std::string(value) + "\r\n";
  }
  return fields;
}

}  // namespace web
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_HTTP_FETCH_HEADERS_H_
