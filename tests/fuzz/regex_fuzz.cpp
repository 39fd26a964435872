// SPDX-License-Identifier: MIT
// A first line as a regular expression, the rest as a text: the automaton that
// a constraint is made of finds the expression where the validator does.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "tinyphi/base/utf8.h"
#include "tinyphi/constrain/byte_automaton.h"
#include "tinyphi/schema/pattern.h"

namespace {

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const tinyphi::utf8_char c = tinyphi::decode_utf8(text);
    if (!c.valid) return false;
    text.remove_prefix(c.length);
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  using namespace tinyphi;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::size_t line = std::min(bytes.find('\n'), bytes.size());
  const std::string_view expression = bytes.substr(0, line);
  const std::string_view text =
      bytes.substr(std::min(line + 1, bytes.size())).substr(0, 256);
  // Categories and ignored case are looked up for each character there is.
  if (expression.find("\\p") != expression.npos ||
      expression.find("\\P") != expression.npos ||
      expression.find("(?") != expression.npos) {
    return 0;
  }
  const auto syntax = regex_syntax::parse(expression);
  const auto reference = pattern::compile(expression);
  if (!syntax || !reference) return 0;
  const auto a = byte_automaton::regex(*syntax, byte_automaton::extent::found);
  if (!a) {
    if (a.error().code != error_code::limit) std::abort();
    return 0;
  }
  std::uint64_t steps = std::uint64_t{1} << 24;
  const bool found = is_utf8(text) && reference->found_in(text, steps);
  if (steps != 0 && is_utf8(text) && a->accepts(text) != found) std::abort();
  if (!is_utf8(text) && a->accepts(text)) std::abort();
  // A spelling in JSON exists for every text, and for no other bytes.
  const auto lifted = byte_automaton::in_json_string(*a);
  if (lifted && lifted->empty() != a->empty()) std::abort();
  return 0;
}
