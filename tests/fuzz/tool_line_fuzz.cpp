// SPDX-License-Identifier: MIT
// Any bytes as what a program answers: its ports, each of its type and without
// control characters, or an error that one line of a terminal can show.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "plugins/process/tool_line.h"

namespace {

using namespace tinyphi;

void require(bool holds) {
  if (!holds) std::abort();
}

bool has_controls(std::string_view text, std::string_view but) {
  return std::ranges::any_of(text, [&](char c) {
    const auto u = static_cast<unsigned char>(c);
    return (u < 0x20 || u == 0x7f) && but.find(c) == std::string_view::npos;
  });
}

void check_texts(const value_data& v) {
  if (const auto* text = v.get<std::string>()) {
    require(find_invalid_utf8(*text) == std::string::npos);
    require(!has_controls(*text, "\n\r\t"));
  } else if (const auto* items = v.get<value_data::list>()) {
    for (const value_data& item : *items) check_texts(item);
  } else if (const auto* members = v.get<value_data::record>()) {
    for (const auto& m : *members) check_texts(m.value);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  const process::declared_ports ports = {
      {"all", {{"json", type(type_kind::json)}, {}}},
      {"n", {{"list<int>", type::list_of(type(type_kind::integer))}, {}}},
      {"reply", {{"text", type(type_kind::text)}, 100}}};
  process::program_output output;
  output.out = bytes;
  if (const auto answer = process::answer_of(output, ports)) {
    require(answer->size() == ports.size());
    for (const auto& [name, value] : *answer) {
      require(!find_misfit(value, ports.at(name).type.type));
      check_texts(value);
    }
    require(answer->at("reply").get<std::string>()->size() <= 100);
  } else {
    const error& e = answer.error();
    require(e.code != error_code::internal && !e.message.empty());
    require(e.message.size() <= 2000 && !has_controls(e.message, ""));
    require(find_invalid_utf8(e.message) == std::string::npos);
  }
  const std::string words = process::last_words(
      bytes, {secret_text::named("token").with_text("secret")});
  require(words.size() <= 200 && !has_controls(words, ""));
  require(find_invalid_utf8(words) == std::string::npos);
  require(words.find("secret") == std::string::npos ||
          words == "(they have a secret)");
  return 0;
}
