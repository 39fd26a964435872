// SPDX-License-Identifier: MIT
// The part of spec_reader that reads inputs and outputs.
#ifndef TINYPHI_PIPELINE_SPEC_READER_PORTS_IPP_
#define TINYPHI_PIPELINE_SPEC_READER_PORTS_IPP_

#include "tinyphi/pipeline/spec_reader.h"
#include "tinyphi/pipeline/spec_reader.ipp"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC void spec_reader::read_inputs() {
  const config_table* table = named_section("input");
  if (table == nullptr) return;
  for (const config_member& entry : *table) read_input(entry);
}

// "text", or "text?" for an input that may be left out.
TINYPHI_FUNC void spec_reader::read_input_type(const config_node& node,
                                               const std::string& where,
                                               input_spec& input) {
  config_node plain = node;
  if (auto* name = std::get_if<std::string>(&plain.data);
      name != nullptr && name->ends_with('?')) {
    name->pop_back();
    input.optional = true;
  }
  input.type = read_type(plain, where).value_or(type());
}

// What the key `trust` of a table says; nothing if it is not there, or wrong.
TINYPHI_FUNC std::optional<trust> spec_reader::read_trust(
    const config_node& node, const std::string& where) {
  const auto* name =
      optional_key<std::string>(node, "trust", where, "a string");
  if (name == nullptr) return std::nullopt;
  const auto names = key_words(key_table::input, "trust");
  const auto found = std::ranges::find(names, *name);
  if (found != names.end()) return static_cast<trust>(found - names.begin());
  report(fault::out_of_range, node.find("trust")->value.at,
         where + ": trust must be trusted, user or untrusted" +
             did_you_mean(*name, names));
  return std::nullopt;
}

TINYPHI_FUNC void spec_reader::read_input(const config_member& entry) {
  const std::string where = "input " + entry.key;
  check_id(entry, "input");
  // An input that is wrong is kept, so that references to it stand.
  input_spec& input = spec_.inputs.emplace_back();
  input.name = entry.key;
  input.at = entry.at;
  input.max_bytes = std::min(input.max_bytes, spec_.limits.text);
  input.max_items = spec_.limits.items;
  if (entry.value.get<std::string>() != nullptr) {
    return read_input_type(entry.value, where, input);
  }
  if (!check_table(entry, where, key_table::input)) {
    return;
  }
  const config_node& node = entry.value;
  if (const config_member* type = node.find("type")) {
    read_input_type(type->value, where, input);
  } else {
    report(fault::missing_key, entry.at, where + ": type is missing");
  }
  input.label = read_trust(node, where).value_or(input.label);
  optional_key<std::string>(node, "doc", where, "a string");
  read_input_sizes(node, where, input);
  if (const config_member* m = node.find("default")) {
    config_node filled = m->value;
    if (!fill_in(filled, where)) return;
    if (input.optional) {
      report(fault::keys_conflict, m->at,
             where +
                 ": an input with a default is never absent; leave out "
                 "'?' or the default");
      input.optional = false;
    }
    input.default_value = read_value(filled, input.type, where + ": default");
    check_input_default(filled, where, input);
  }
}

// Neither may be more than [limits] allows of every text and list.
TINYPHI_FUNC void spec_reader::read_input_sizes(const config_node& node,
                                                const std::string& where,
                                                input_spec& input) {
  const auto check = [&](std::string_view key, std::size_t n,
                         std::string_view limit, std::size_t most) {
    if (n <= most) return n;
    report(fault::out_of_range, node.find(key)->value.at,
           where + ": " + std::string(key) + " is " + std::to_string(n) +
               ", [limits]." + std::string(limit) + " allows " +
               std::to_string(most) + "; raise it, too");
    return most;
  };
  if (const auto n =
          read_size(node, "max_bytes", where, request_limits::most_text)) {
    input.max_bytes = check("max_bytes", *n, "text", spec_.limits.text);
  }
  const auto most = static_cast<std::int64_t>(request_limits::most_items);
  if (const auto n = read_integer(node, "max_items", where, 1, most)) {
    input.max_items = check("max_items", static_cast<std::size_t>(*n), "items",
                            spec_.limits.items);
  }
}

TINYPHI_FUNC void spec_reader::check_input_default(const config_node& node,
                                                   const std::string& where,
                                                   const input_spec& input) {
  if (!input.default_value) return;
  const auto wrong =
      find_size_fault(*input.default_value, input.max_bytes, input.max_items);
  if (!wrong) return;
  report(fault::out_of_range, node.at, where + ": default" + wrong->message);
}

TINYPHI_FUNC void spec_reader::read_outputs() {
  const config_table* table = named_section("output");
  if (table == nullptr || table->empty()) {
    return report(fault::missing_key, {},
                  "the file has no [output], so nothing would come out");
  }
  for (const config_member& entry : *table) {
    const std::string where = "output " + entry.key;
    if (!check_id(entry, "output")) continue;
    output_spec output;
    if (entry.value.get<config_table>() == nullptr) {
      output.from = read_binding(entry, where);
    } else if (check_table(entry, where, key_table::output,
                           {{"stream",
                             "leave it out: the first output that takes a "
                             "stream is one"}})) {
      const config_member* from = entry.value.find("from");
      const config_member* first = entry.value.find("first");
      if ((from == nullptr) == (first == nullptr)) {
        report(from ? fault::keys_conflict : fault::missing_key, entry.at,
               where + (from ? ": from and first exclude each other"
                             : ": from is missing"));
        continue;
      }
      if (from != nullptr) {
        output.from = read_binding(*from, where + ": from");
      } else {
        output.from.from = read_references(first->value, where);
      }
      output.from.port = entry.key;
      optional_key<std::string>(entry.value, "doc", where, "a string");
      if (const config_member* value = entry.value.find("default")) {
        output.default_value = value->value;
        if (!fill_in(*output.default_value, where)) continue;
      }
    }
    spec_.outputs.push_back(std::move(output));
  }
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_SPEC_READER_PORTS_IPP_
