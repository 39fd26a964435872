// SPDX-License-Identifier: MIT
// The second half of spec_reader: inputs, outputs, stages, references and
// ${env.X}.
#ifndef TINYPHI_PIPELINE_SPEC_READER_STAGES_IPP_
#define TINYPHI_PIPELINE_SPEC_READER_STAGES_IPP_

#include "tinyphi/pipeline/spec_reader.h"
#include "tinyphi/pipeline/spec_reader.ipp"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

struct named_type {
  std::string_view name;
  type (*make)();
};
// The types that a file can name, but for lists of them.
inline constexpr named_type named_types[] = {
    {"text", [] { return type(type_kind::text); }},
    {"bool", [] { return type(type_kind::boolean); }},
    {"int", [] { return type(type_kind::integer); }},
    {"float", [] { return type(type_kind::number); }},
    {"duration", [] { return type(type_kind::duration); }},
    {"size", [] { return type(type_kind::size); }},
    {"json", [] { return type(type_kind::json); }},
    {"document", &type_of<document>},
    {"citation", &type_of<citation>},
    {"verdict", &type_of<verdict>}};

}  // namespace detail

TINYPHI_FUNC std::optional<type> spec_reader::read_type(
    const config_node& node, const std::string& where) {
  const auto* text = node.get<std::string>();
  if (text == nullptr) {
    report(fault::wrong_type, node.at, where + ": a type is a string");
    return std::nullopt;
  }
  std::string_view name = *text;
  std::size_t n_lists = 0;
  while (name.starts_with("list<") && name.ends_with('>')) {
    name = name.substr(5, name.size() - 6);
    ++n_lists;
  }
  if (n_lists > type::max_depth) {
    report(fault::out_of_range, node.at,
           where + ": lists nest " + std::to_string(n_lists) +
               " deep, allowed are " + std::to_string(type::max_depth));
    return std::nullopt;
  }
  const auto found =
      std::ranges::find(detail::named_types, name, &detail::named_type::name);
  if (found != std::end(detail::named_types)) {
    type t = found->make();
    while (n_lists-- > 0) t = type::list_of(std::move(t));
    return t;
  }
  constexpr std::string_view later[] = {"file",  "message", "failure",
                                        "usage", "call",    "index"};
  constexpr retired_key retired[] = {{"docs", "write \"list<document>\""},
                                     {"citations", "write \"list<citation>\""}};
  if (std::ranges::find(later, name) != std::end(later) ||
      name.ends_with('?')) {
    report(fault::not_supported, node.at,
           where + ": type " + quote(*text) + " is not supported yet");
    return std::nullopt;
  }
  std::vector<std::string_view> names;
  for (const detail::named_type& t : detail::named_types) {
    names.push_back(t.name);
  }
  report(fault::out_of_range, node.at,
         where + ": no type " + quote(name) + key_hint(name, names, retired));
  return std::nullopt;
}

TINYPHI_FUNC std::optional<value_data> spec_reader::read_value(
    const config_node& node, const type& type, const std::string& where) {
  // Durations and sizes are written as texts.
  const auto* text = node.get<std::string>();
  if (text != nullptr &&
      (type.is(type_kind::duration) || type.is(type_kind::size))) {
    if (auto value = parse_value(type, *text)) return value;
    report(fault::type_mismatch, node.at,
           where + " is " + quote(*text) + ", the type is " + to_string(type));
    return std::nullopt;
  }
  value_data value = node_data(node);
  const auto wrong = find_misfit(value, type);
  if (!wrong) return conform(value, type);
  report(fault::type_mismatch, node.at, where + ": " + *wrong);
  return std::nullopt;
}

TINYPHI_FUNC void spec_reader::read_inputs() {
  const config_table* table = named_section("input");
  if (table == nullptr) return;
  for (const config_member& entry : *table) read_input(entry);
}

TINYPHI_FUNC void spec_reader::read_input(const config_member& entry) {
  const std::string where = "input " + entry.key;
  if (!check_id(entry, "input")) return;
  input_spec input;
  input.name = entry.key;
  input.at = entry.at;
  if (entry.value.get<std::string>() != nullptr) {
    const auto type = read_type(entry.value, where);
    input.type = type.value_or(tinyphi::type());
    spec_.inputs.push_back(std::move(input));
    return;
  }
  if (!check_table(
          entry, where,
          {"type", "trust", "default", "max_bytes", "max_items", "doc"}, {})) {
    return;
  }
  const config_node& node = entry.value;
  if (const config_member* type = node.find("type")) {
    input.type = read_type(type->value, where).value_or(tinyphi::type());
  } else {
    report(fault::missing_key, entry.at, where + ": type is missing");
  }
  if (const auto* name =
          optional_key<std::string>(node, "trust", where, "a string")) {
    constexpr std::string_view names[] = {"trusted", "user", "untrusted"};
    const auto found = std::ranges::find(names, *name);
    if (found == std::end(names)) {
      report(fault::out_of_range, node.find("trust")->value.at,
             where + ": trust must be trusted, user or untrusted" +
                 did_you_mean(*name, names));
    } else {
      input.label = static_cast<trust>(found - names);
    }
  }
  optional_key<std::string>(node, "doc", where, "a string");
  constexpr std::int64_t most_bytes = std::int64_t{1} << 20;
  const config_member* size = node.find("max_bytes");
  if (size != nullptr && size->value.get<std::string>() != nullptr) {
    if (const auto n = read_bytes(node, "max_bytes", where, 1024, most_bytes)) {
      input.max_bytes = static_cast<std::size_t>(*n);
    }
  } else if (const auto n =
                 read_integer(node, "max_bytes", where, 1, most_bytes)) {
    input.max_bytes = static_cast<std::size_t>(*n);
  }
  if (const auto n = read_integer(node, "max_items", where, 1, 1000000)) {
    input.max_items = static_cast<std::size_t>(*n);
  }
  if (const config_member* m = node.find("default")) {
    config_node filled = m->value;
    fill_in(filled, where);
    input.default_value = read_value(filled, input.type, where + ": default");
  }
  spec_.inputs.push_back(std::move(input));
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
    if (entry.value.get<std::string>() != nullptr) {
      output.from = read_binding(entry, where);
    } else if (check_table(entry, where, {"from", "first", "default", "doc"},
                           {},
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
        output.from.from = read_first(first->value, where);
      }
      output.from.port = entry.key;
      optional_key<std::string>(entry.value, "doc", where, "a string");
      if (const config_member* value = entry.value.find("default")) {
        output.default_value = value->value;
        fill_in(*output.default_value, where);
      }
    }
    spec_.outputs.push_back(std::move(output));
  }
}

TINYPHI_FUNC std::optional<reference_spec> spec_reader::read_reference(
    const config_node& node, const std::string& where) {
  const auto* text = node.get<std::string>();
  reference_spec r;
  r.at = node.at;
  if (text != nullptr) {
    r.name = *text;
    r.optional = r.name.ends_with('?');
    if (r.optional) r.name.pop_back();
    const std::size_t dot = r.name.find('.');
    if (r.name.starts_with("each.") || r.name.starts_with("loop.")) {
      report(fault::not_supported, node.at,
             where + ": references to each and loop are not supported yet");
      return std::nullopt;
    }
    if (dot != std::string::npos && detail::is_id(r.name.substr(0, dot)) &&
        detail::is_id(r.name.substr(dot + 1))) {
      return r;
    }
  }
  report(fault::wrong_type, node.at,
         where + " is " + (text ? quote(*text) : std::string(node.kind())) +
             ", it must be a reference like \"input.question\" or "
             "\"stage.port\"");
  return std::nullopt;
}

TINYPHI_FUNC std::vector<reference_spec> spec_reader::read_first(
    const config_node& node, const std::string& where) {
  std::vector<reference_spec> all;
  const auto* list = node.get<config_array>();
  if (list == nullptr || list->empty()) {
    report(fault::wrong_type, node.at,
           where + " must be a reference or { first = [\"a.x\", \"b.y\"] }");
    return all;
  }
  if (!check_size(list->size(), node.at, where)) return all;
  for (const config_node& item : *list) {
    if (auto r = read_reference(item, where)) all.push_back(*std::move(r));
  }
  return all;
}

TINYPHI_FUNC binding_spec spec_reader::read_binding(const config_member& m,
                                                    const std::string& where) {
  binding_spec binding{.port = m.key, .at = m.at, .from = {}};
  if (m.value.get<config_array>() != nullptr) {
    report(fault::not_supported, m.value.at,
           where + ": lists of references are not supported yet");
    return binding;
  }
  if (m.value.get<config_table>() != nullptr) {
    check_keys(m.value, where, {"first"}, {});
    const config_member* first = m.value.find("first");
    binding.from = read_first(first ? first->value : m.value, where);
  } else if (auto r = read_reference(m.value, where)) {
    binding.from.push_back(*std::move(r));
  }
  return binding;
}

TINYPHI_FUNC void spec_reader::read_stages() {
  const config_table* table = named_section("stage");
  if (table == nullptr) return;
  for (const config_member& entry : *table) read_stage(entry);
}

TINYPHI_FUNC void spec_reader::read_stage(const config_member& entry) {
  const std::string where = "stage " + entry.key;
  constexpr std::string_view taken[] = {"input", "output", "env", "each",
                                        "loop"};
  if (!check_id(entry, "stage")) return;
  if (std::ranges::find(taken, entry.key) != std::end(taken)) {
    return report(fault::bad_name, entry.at,
                  where + ": the language itself uses this name");
  }
  if (!check_table(
          entry, where,
          {"use", "in", "with", "when", "after", "timeout", "fallback", "doc"},
          {"retry", "limits", "cache"})) {
    return;
  }
  stage_spec stage;
  stage.id = entry.key;
  stage.at = entry.at;
  const config_node& node = entry.value;
  if (const auto* use =
          optional_key<std::string>(node, "use", where, "a string")) {
    stage.plugin_at = node.find("use")->value.at;
    stage.plugin = *use;
    if (const std::size_t at = use->rfind('@'); at != std::string::npos) {
      stage.plugin.resize(at);
      const auto major = detail::parse_number<std::int64_t>(
          std::string_view(*use).substr(at + 1));
      if (!major) {
        report(fault::wrong_type, stage.plugin_at,
               where + ": use is " + quote(*use) +
                   ", behind '@' stands a whole number");
      } else {
        stage.major = *major;
      }
    }
  } else if (node.find("use") == nullptr) {
    report(fault::missing_key, entry.at,
           where + ": use is missing, it names the plugin");
  }
  if (const config_member* in = node.find("in")) read_bindings(*in, stage);
  if (const config_member* with = node.find("with")) {
    if (with->value.get<config_table>() == nullptr) {
      report(fault::wrong_type, with->value.at,
             where + ": with is " + std::string(with->value.kind()) +
                 ", not a table of parameters");
    } else {
      stage.with = with->value;
      fill_in(*stage.with, where);
    }
  }
  if (optional_key<std::string>(node, "when", where, "a string")) {
    stage.when = node.find("when")->value;
  }
  if (const auto* after =
          optional_key<config_array>(node, "after", where, "a list");
      after && check_size(after->size(), node.find("after")->value.at,
                          where + ": after")) {
    for (const config_node& item : *after) {
      const auto* id = item.get<std::string>();
      if (id == nullptr) {
        report(fault::wrong_type, item.at,
               where + ": after lists names of stages");
      } else {
        stage.after.push_back({*id, false, item.at});
      }
    }
  }
  stage.timeout = read_duration(node, "timeout", where);
  if (!stage.timeout) stage.timeout = default_timeout_;
  if (const config_member* m = node.find("fallback")) {
    const auto* text = m->value.get<std::string>();
    stage.skip_on_error = text && *text == "skip";
    if (text == nullptr) {
      report(fault::not_supported, m->value.at,
             where + ": a fallback other than \"skip\" is not supported yet");
    } else if (!stage.skip_on_error) {
      report(fault::out_of_range, m->value.at,
             where + ": fallback is " + quote(*text) + ", it must be \"skip\"");
    }
  }
  spec_.stages.push_back(std::move(stage));
}

TINYPHI_FUNC void spec_reader::read_bindings(const config_member& in,
                                             stage_spec& stage) {
  const auto* table = in.value.get<config_table>();
  if (table == nullptr) {
    return report(fault::wrong_type, in.value.at,
                  "stage " + stage.id + ": in is " +
                      std::string(in.value.kind()) +
                      ", write in.<port> = \"stage.port\"");
  }
  for (const config_member& m : *table) {
    if (m.key.size() > spec_limits::max_port_bytes) {
      report(fault::bad_name, m.at,
             "stage " + stage.id + ": in." + quote(m.key) + " has more than " +
                 std::to_string(spec_limits::max_port_bytes) + " bytes");
      continue;
    }
    stage.in.push_back(read_binding(m, "stage " + stage.id + ": in." + m.key));
  }
}

TINYPHI_FUNC void spec_reader::fill_in(config_node& node,
                                       const std::string& where) {
  if (node.get<std::string>() != nullptr) return fill_in_text(node, where);
  if (auto* list = std::get_if<config_array>(&node.data)) {
    for (config_node& item : *list) fill_in(item, where);
  } else if (auto* table = std::get_if<config_table>(&node.data)) {
    for (config_member& m : *table) fill_in(m.value, where);
  }
}

TINYPHI_FUNC void spec_reader::fill_in_text(config_node& node,
                                            const std::string& where) {
  if (filled_bytes_ > spec_limits::max_filled_bytes) return;  // reported
  const std::string text = *node.get<std::string>();
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] != '$' || i + 1 == text.size() ||
        (text[i + 1] != '$' && text[i + 1] != '{')) {
      out += text[i++];
      continue;
    }
    if (text[i + 1] == '$') {
      out += '$', i += 2;
      continue;
    }
    const std::size_t end = text.find('}', i);
    if (end == std::string::npos) {
      return report(fault::bad_env, node.text_position(i),
                    where +
                        ": '${' without '}'; write '$${' for the "
                        "characters themselves");
    }
    const std::string name = text.substr(i + 2, end - i - 2);
    if (name.starts_with("secret.")) {
      return report(fault::not_supported, node.text_position(i),
                    where + ": ${secret.x} is not supported yet");
    }
    const auto value = name.starts_with("env.") ? spec_.env.find(name.substr(4))
                                                : spec_.env.end();
    if (value == spec_.env.end()) {
      std::vector<std::string> full;
      for (const auto& e : spec_.env) full.push_back("env." + e.first);
      const std::vector<std::string_view> known(full.begin(), full.end());
      return report(fault::bad_env, node.text_position(i),
                    where + ": ${" + name + "} names nothing in [env]" +
                        did_you_mean(name, known));
    }
    const env_spec& env = value->second;
    const bool is_alone = i == 0 && end + 1 == text.size();
    if (const auto* t = env.value.get<std::string>()) {
      out += *t;
    } else if (const auto* yes = env.value.get<bool>()) {
      out += *yes ? "true" : "false";
      if (is_alone) node.data = *yes;
    } else if (const auto* n = env.value.get<std::int64_t>()) {
      out += std::to_string(*n);
      if (is_alone) node.data = *n;
    } else if (const auto* x = env.value.get<double>()) {
      out += detail::toml_number(*x);
      if (is_alone) node.data = *x;
    }
    value->second.in_text = true;
    if (node.get<std::string>() == nullptr) return;
    if (out.size() > spec_limits::max_filled_bytes - filled_bytes_) {
      filled_bytes_ = spec_limits::max_filled_bytes + 1;
      return report(fault::out_of_range, node.text_position(i),
                    where +
                        ": with ${...} filled in, the file's texts have "
                        "more than " +
                        std::to_string(spec_limits::max_filled_bytes) +
                        " bytes");
    }
    i = end + 1;
  }
  if (out == text) return;
  filled_bytes_ +=
      std::min(out.size(), spec_limits::max_filled_bytes - filled_bytes_);
  node.data = std::move(out);
  node.text_at = {};
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_SPEC_READER_STAGES_IPP_
