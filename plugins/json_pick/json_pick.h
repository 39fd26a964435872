// SPDX-License-Identifier: MIT
// The stage `json.pick`: JSON -> the value at one place in it, if it is of the
// wanted type.
#ifndef TINYPHI_PLUGINS_JSON_PICK_JSON_PICK_H_
#define TINYPHI_PLUGINS_JSON_PICK_JSON_PICK_H_

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "tinyphi/pipeline/stage.h"

TINYPHI_NAMESPACE_BEGIN

// A place in JSON: the steps from the whole to it, each the name of a member or
// the number of an item.
using json_place = std::vector<std::variant<std::string, std::size_t>>;

struct json_place_fault {
  std::size_t offset = 0;  // byte of the text
  std::string message;
};

// "items[0].name": names and dots, and numbers in brackets.
[[nodiscard]] inline result<json_place, json_place_fault> parse_json_place(
    std::string_view text) {
  constexpr std::size_t most = 32;  // no JSON is deeper
  json_place place;
  std::size_t i = 0;
  while (i < text.size()) {
    if (place.size() == most) {
      return json_place_fault{
          i, "has more than " + std::to_string(most) + " steps"};
    }
    if (text[i] == '[') {
      std::size_t n = 0;
      const char* const end = text.data() + text.size();
      const auto [stop, failed] =
          std::from_chars(text.data() + i + 1, end, n, 10);
      if (failed != std::errc() || stop == end || *stop != ']') {
        return json_place_fault{i, "an item is a number such as [0]"};
      }
      place.emplace_back(n);
      i = static_cast<std::size_t>(stop - text.data()) + 1;
    } else {
      if (!place.empty()) {
        if (text[i] != '.') return json_place_fault{i, "'.' or '[' is missing"};
        ++i;
      }
      const std::size_t end =
          std::min(text.find_first_of(".[", i), text.size());
      if (end == i) return json_place_fault{i, "a name is missing"};
      place.emplace_back(std::string(text.substr(i, end - i)));
      i = end;
    }
  }
  if (place.empty()) return json_place_fault{0, "is empty"};
  return place;
}

// Null if the value has no such place.
[[nodiscard]] inline const value_data* find_at(const value_data& whole,
                                               const json_place& place) {
  const value_data* at = &whole;
  for (const auto& step : place) {
    if (const auto* name = std::get_if<std::string>(&step)) {
      at = at->find(*name);
    } else {
      const auto* items = at->get<value_data::list>();
      const std::size_t n = *std::get_if<std::size_t>(&step);
      at = items != nullptr && n < items->size() ? &(*items)[n] : nullptr;
    }
    if (at == nullptr) return nullptr;
  }
  return at;
}

struct json_pick_stage {
  static constexpr stage_info info{
      .id = "json.pick",
      .summary = "Takes the value at a place in JSON, if it is of a type"};

  struct config {
    std::string path;
    type_ref type;
  };
  struct inputs {
    value_data value;
  };
  struct outputs {
    named_values value;
  };

  static constexpr auto params() {
    return std::tuple{
        param("path", &config::path)
            .required()
            .doc("the place: names, dots and [n], such as items[0].name"),
        param("type", &config::type)
            .required()
            .doc("its type, such as text, list<int>, or a [type.x]")};
  }
  static constexpr auto in_ports() {
    return std::tuple{port("value", &inputs::value)};
  }
  static constexpr auto out_ports() {
    return std::tuple{open_ports(&outputs::value)};
  }

  static stage_ports ports(const config& c) {
    stage_ports ports;
    if (const auto place = parse_json_place(c.path); !place) {
      ports.faults.push_back({fault::out_of_range, "path", place.error().offset,
                              place.error().message});
    }
    ports.out.push_back(
        {.name = "value", .types = {c.type.type}, .required = false});
    return ports;
  }

  json_pick_stage(const config& c, host&) : type_(c.type.type) {
    auto place = parse_json_place(c.path);
    if (!place) {
      throw stage_error(error_code::invalid_argument,
                        "with.path: " + place.error().message);
    }
    place_ = *std::move(place);
  }

  task<outputs> run(run_context&, inputs in) const {
    outputs out;
    const value_data* found = find_at(in.value, place_);
    if (found != nullptr && !found->is_null() && !find_misfit(*found, type_)) {
      out.value["value"].data = conform(*found, type_);
    }
    co_return out;
  }

 private:
  json_place place_;
  tinyphi::type type_;
};
static_assert(stage<json_pick_stage>);

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_JSON_PICK_JSON_PICK_H_
