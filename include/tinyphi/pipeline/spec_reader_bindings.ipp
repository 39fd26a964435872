// SPDX-License-Identifier: MIT
// The part of spec_reader that reads references, what is bound to ports, and
// switches.
#ifndef TINYPHI_PIPELINE_SPEC_READER_BINDINGS_IPP_
#define TINYPHI_PIPELINE_SPEC_READER_BINDINGS_IPP_

#include "tinyphi/pipeline/spec_reader.h"
#include "tinyphi/pipeline/spec_reader.ipp"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// "input.x", "stage.port.field", "env.X", "item", "item.field", "index". That
// a name is no id is said where it is defined.
inline bool is_reference(std::string_view text) {
  if (text == "item" || text == "index") return true;
  std::size_t n = 0;
  for (std::size_t begin = 0; begin <= text.size(); ++n) {
    const std::size_t end = std::min(text.find('.', begin), text.size());
    if (!is_name(text.substr(begin, end - begin), text.size(), "_-")) {
      return false;
    }
    begin = end + 1;
  }
  return n >= 2;
}

}  // namespace detail

TINYPHI_FUNC std::optional<reference_spec> spec_reader::read_reference(
    const config_node& node, const std::string& where) {
  const auto* text = node.get<std::string>();
  if (text != nullptr) {
    reference_spec r{.name = *text, .optional = false, .at = node.at};
    r.optional = r.name.ends_with('?');
    if (r.optional) r.name.pop_back();
    if (detail::is_reference(r.name)) return r;
  }
  report(fault::wrong_type, node.at,
         where + " is " + (text ? quote(*text) : std::string(node.kind())) +
             ", it must be a reference like \"input.question\" or "
             "\"stage.port\"");
  return std::nullopt;
}

TINYPHI_FUNC std::vector<reference_spec> spec_reader::read_references(
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
  binding_spec binding;
  binding.port = m.key;
  binding.at = m.at;
  if (m.value.get<config_array>() != nullptr) {
    binding.is_list = true;
    binding.from = read_references(m.value, where);
  } else if (m.value.get<config_table>() != nullptr) {
    check_keys(m.value, where, key_table::first);
    const config_member* first = m.value.find("first");
    binding.from = read_references(first ? first->value : m.value, where);
  } else if (auto r = read_reference(m.value, where)) {
    binding.from.push_back(*std::move(r));
  }
  return binding;
}

TINYPHI_FUNC void spec_reader::read_bindings(const config_member& in,
                                             stage_spec& stage) {
  const auto* table = in.value.get<config_table>();
  if (table == nullptr) {
    return report(fault::wrong_type, in.value.at,
                  stage.title() + ": in is " + std::string(in.value.kind()) +
                      ", write in.<port> = \"stage.port\"");
  }
  for (const config_member& m : *table) {
    if (m.key.size() > spec_limits::max_port_bytes) {
      report(fault::bad_name, m.at,
             stage.title() + ": in." + quote(m.key) + " has more than " +
                 std::to_string(spec_limits::max_port_bytes) + " bytes");
      continue;
    }
    stage.in.push_back(read_binding(m, stage.title() + ": in." + m.key));
  }
}

TINYPHI_FUNC void spec_reader::read_switches() {
  const config_table* table = named_section("switch");
  if (table == nullptr) return;
  for (const config_member& entry : *table) read_switch(entry);
}

TINYPHI_FUNC void spec_reader::read_switch(const config_member& entry) {
  const std::string where = "switch " + entry.key;
  const std::size_t before = faults_->size();
  if (check_id(entry, "switch")) check_node_name(entry, where);
  const auto* cases = entry.value.get<config_table>();
  if (cases == nullptr) {
    return report(fault::wrong_type, entry.value.at,
                  where + " is " + std::string(entry.value.kind()) +
                      ", it must be a table of cases");
  }
  switch_spec s{.name = entry.key, .at = entry.at, .cases = {}};
  if (!check_size(cases->size(), entry.at, where, spec_limits::max_cases)) {
    return;
  }
  // A case that is wrong is kept, so that references to it stand.
  bool has_one_else = true;
  for (const config_member& m : *cases) {
    check_id(m, where + ": case");
    s.cases.push_back({.name = m.key, .at = m.at, .test = {}});
    const auto* test = m.value.get<std::string>();
    const bool is_last = &m == &cases->back();
    if (test == nullptr) {
      report(fault::wrong_type, m.value.at,
             where + "." + m.key + " is " + std::string(m.value.kind()) +
                 ", it must be a condition, or \"else\"");
    } else if (!check_no_secret(m.value, where + "." + m.key)) {
      continue;
    } else if ((*test == "else") == is_last) {
      if (!is_last) s.cases.back().test = m.value;
    } else if (std::exchange(has_one_else, false)) {
      report(fault::bad_switch, m.at,
             where + ": the last case must be \"else\", and only the last");
    }
  }
  if (s.cases.size() < 2 && faults_->size() == before) {
    report(fault::bad_switch, entry.at,
           where + " has " + std::to_string(s.cases.size()) +
               " case; it chooses among two or more");
  }
  spec_.switches.push_back(std::move(s));
}

TINYPHI_FUNC std::vector<std::filesystem::path> spec_reader::read_folders(
    const config_node& allow, std::string_view key) {
  const config_member* m = allow.find(key);
  if (m == nullptr) return {};
  config_node filled{config_table{*m}, allow.at, {}};
  fill_in(filled, "[allow]." + m->key);
  std::vector<std::filesystem::path> folders;
  const auto names = read_texts(filled, key, "[allow]");
  if (!names) return folders;
  for (const config_node* name : *names) {
    const auto& text = *name->get<std::string>();
    if (text.find('\0') != std::string::npos) {
      report(fault::out_of_range, name->at,
             "[allow]." + m->key + ": a name of files holds no NUL");
      continue;
    }
    spec_.allowed_at[std::string(key)].push_back(name->at);
    folders.push_back(
        std::filesystem::absolute(base_dir_ / text).lexically_normal());
  }
  return folders;
}

TINYPHI_FUNC void spec_reader::read_hosts(const config_node& allow) {
  const config_member* m = allow.find("net");
  if (m == nullptr) return;
  config_node filled{config_table{*m}, allow.at, {}};
  fill_in(filled, "[allow].net");
  const auto names = read_texts(filled, "net", "[allow]");
  if (!names) return;
  for (const config_node* name : *names) {
    const auto& text = *name->get<std::string>();
    auto host = parse_network_host(text);
    if (host) {
      spec_.allowed_at["net"].push_back(name->at);
      spec_.allowed.net.push_back(*std::move(host));
    } else {
      report(fault::out_of_range, name->at,
             "[allow].net: " + quote(text) +
                 " must be a host or host:port: " + host.error().message);
    }
  }
}

TINYPHI_FUNC void spec_reader::read_allow() {
  const config_node* allow = section("allow", key_table::allow);
  if (allow == nullptr) return;
  spec_.allowed.read = read_folders(*allow, "read");
  spec_.allowed.write = read_folders(*allow, "write");
  spec_.allowed.exec = read_folders(*allow, "exec");
  read_hosts(*allow);
  const auto* grants =
      optional_key<config_array>(*allow, "flow", "[allow]", "a list of tables");
  if (grants == nullptr ||
      !check_size(grants->size(), allow->find("flow")->value.at,
                  "[allow].flow")) {
    return;
  }
  for (const config_node& grant : *grants) {
    const std::string where = "[allow].flow";
    if (grant.get<config_table>() == nullptr) {
      report(fault::wrong_type, grant.at,
             where + ": a grant is { to = \"stage.when\", why = \"...\" }");
      continue;
    }
    check_keys(grant, where, key_table::grant);
    const auto* to = optional_key<std::string>(grant, "to", where, "a string");
    const auto* why =
        optional_key<std::string>(grant, "why", where, "a string");
    if (to == nullptr || why == nullptr || why->empty()) {
      report(fault::missing_key, grant.at,
             where + ": a grant says `to` what, and `why`");
      continue;
    }
    spec_.flow_grants.push_back({*to, *why, grant.at});
  }
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_SPEC_READER_BINDINGS_IPP_
