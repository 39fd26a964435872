// SPDX-License-Identifier: MIT
// The part of spec_reader for [type.x]: the tables become one document of JSON
// Schema, whose faults are told at the places of the tables. Its faults:
// TP1016, TP6102 to TP6109.
#ifndef TINYPHI_PIPELINE_SPEC_READER_TYPES_IPP_
#define TINYPHI_PIPELINE_SPEC_READER_TYPES_IPP_

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <set>

#include "tinyphi/pipeline/named_types.h"
#include "tinyphi/pipeline/schema_type.h"
#include "tinyphi/pipeline/spec_reader.h"
#include "tinyphi/pipeline/value_json.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// Writes the tables as {"$defs": {"line": {...}, ...}}. A table whose fault is
// known is `true`.
class types_document {
 public:
  using type_specs = std::map<std::string, type_spec, std::less<>>;

  types_document(const config_table& tables, type_specs& types,
                 std::vector<diagnostic>& faults)
      : tables_(tables), types_(types), faults_(faults) {}

  // `broken`: the tables with a known fault; those are added whose fault is
  // found here.
  std::string write(std::set<std::string>& broken) {
    out_ = R"({"$defs":)";
    members(tables_, [&](const config_member& m) {
      table_ = &m;
      is_broken_ = broken.contains(m.key);
      const std::size_t start = out_.size();
      if (!is_broken_) put_schema(m.value);
      if (!is_broken_) return;
      broken.insert(m.key);
      out_.resize(start);
      out_ += "true";
    });
    return out_ + "}";
  }

 private:
  template <class Put>
  void members(const config_table& table, Put put) {
    out_ += '{';
    for (const config_member& m : table) {
      put_key(m.key);
      put(m);
    }
    out_ += '}';
  }
  template <class Put>
  void items(const config_array& list, Put put) {
    out_ += '[';
    for (const config_node& item : list) {
      if (!out_.ends_with('[')) out_ += ',';
      put(item);
    }
    out_ += ']';
  }
  void put_key(std::string_view key) {
    if (!out_.ends_with('{')) out_ += ',';
    out_ += json::serialize(json::string_view(key)) + ':';
  }

  void put_value(const config_node& n) {
    if (const auto* x = n.get<double>(); x != nullptr && !std::isfinite(*x)) {
      report(fault::bad_keyword, n.at, "JSON has finite numbers only");
    }
    is_broken_ = is_broken_ || n.is_fault;
    if (const auto* list = n.get<config_array>()) {
      items(*list, [&](const config_node& item) { put_value(item); });
    } else if (const auto* table = n.get<config_table>()) {
      members(*table, [&](const config_member& m) { put_value(m.value); });
    } else {
      constexpr std::size_t no_limit = static_cast<std::size_t>(-1);
      out_ += json_text(node_data(n), no_limit).value_or("null");
    }
  }

  void put_schema(const config_node& n) {
    const auto* table = n.get<config_table>();
    if (table == nullptr) return put_value(n);
    out_ += '{';
    for (const config_member& m : *table) put_keyword(m);
    if (const config_member* properties = n.find("properties")) {
      put_defaults(n, properties->value);
    }
    out_ += '}';
  }

  void put_keyword(const config_member& m) {
    constexpr std::string_view one[] = {"items", "additionalProperties"};
    constexpr std::string_view several[] = {"prefixItems", "anyOf", "oneOf",
                                            "allOf"};
    constexpr std::string_view shared[] = {"$defs", "definitions"};
    const auto is_of = [&](const auto& words) {
      return std::ranges::find(words, m.key) != std::end(words);
    };
    const auto* list = m.value.get<config_array>();
    const auto* table = m.value.get<config_table>();
    if (m.key == "$ref" && m.value.get<std::string>() != nullptr) {
      return put_reference(m);
    }
    if (is_of(shared)) {
      return report(fault::unsupported_keyword, m.at,
                    quote(m.key) +
                        " has no use here; write a table [type.NAME] for each, "
                        "which \"$ref\" names");
    }
    put_key(m.key);
    if (is_of(one) && table != nullptr) {
      put_schema(m.value);
    } else if (is_of(several) && list != nullptr) {
      items(*list, [&](const config_node& item) { put_schema(item); });
    } else if (m.key == "properties" && table != nullptr) {
      members(*table, [&](const config_member& p) { put_schema(p.value); });
    } else {
      put_value(m.value);
    }
  }

  // An object that names its properties has all of these and no others, unless
  // it says so.
  void put_defaults(const config_node& schema, const config_node& properties) {
    const auto* table = properties.get<config_table>();
    if (table == nullptr) return;
    if (schema.find("type") == nullptr) out_ += R"(,"type":"object")";
    if (schema.find("additionalProperties") == nullptr) {
      out_ += R"(,"additionalProperties":false)";
    }
    if (const config_member* required = schema.find("required")) {
      return check_required(schema, *table, *required);
    }
    out_ += R"(,"required":)";
    out_ += '[';
    for (const config_member& p : *table) {
      if (!out_.ends_with('[')) out_ += ',';
      out_ += json::serialize(json::string_view(p.key));
    }
    out_ += ']';
  }

  // A name that no property has could never be given, unless the schema lets
  // others in.
  void check_required(const config_node& schema, const config_table& properties,
                      const config_member& required) {
    const auto* names = required.value.get<config_array>();
    const config_member* others = schema.find("additionalProperties");
    const auto* allowed = others ? others->value.get<bool>() : nullptr;
    if (names == nullptr ||
        (others != nullptr && (allowed == nullptr || *allowed))) {
      return;
    }
    std::vector<std::string_view> known;
    for (const config_member& p : properties) known.push_back(p.key);
    for (const config_node& name : *names) {
      const auto* text = name.get<std::string>();
      if (text == nullptr || std::ranges::find(known, *text) != known.end()) {
        continue;
      }
      report(
          fault::bad_keyword, name.at,
          "required: no property " + quote(*text) + did_you_mean(*text, known));
    }
  }

  void put_reference(const config_member& m) {
    const auto& name = *m.value.get<std::string>();
    const auto target = types_.find(name);
    if (target != types_.end() && is_id(name)) {
      types_.find(table_->key)->second.refers.insert(name);
      put_key(m.key);
      out_ += json::serialize("#/$defs/" + name);
      return;
    }
    if (target != types_.end()) {  // its name was reported
      is_broken_ = true;
      return;
    }
    if (name.find_first_of("#/") != std::string::npos) {
      return report(fault::bad_reference, m.value.at,
                    "\"$ref\" is " + quote(name) +
                        ", it must name a table of [type], such as \"line\"");
    }
    // As config_reader::suggestion: each costs a walk over all names.
    constexpr std::size_t many = 64;
    std::string hint;
    if (faults_.size() < many) {
      std::vector<std::string_view> known;
      for (const auto& t : types_) known.push_back(t.first);
      hint = type_name_hint(name, known);
    }
    report(fault::bad_type, m.value.at,
           "\"$ref\": no type " + quote(name) + hint);
  }

  void report(fault code, position at, std::string message) {
    is_broken_ = true;
    faults_.push_back(
        {code, at, "type " + table_->key + ": " + std::move(message)});
  }

  const config_table& tables_;
  type_specs& types_;
  std::vector<diagnostic>& faults_;
  std::string out_;
  const config_member* table_ = nullptr;
  bool is_broken_ = false;
};

// What a token of a JSON pointer names.
inline std::string plain_token(std::string_view token) {
  std::string out;
  for (std::size_t i = 0; i < token.size(); ++i) {
    const bool escaped = token[i] == '~' && i + 1 < token.size();
    out += !escaped ? token[i] : token[++i] == '1' ? '/' : '~';
  }
  return out;
}

// Where what a pointer into the document leads to stands in the file. What was
// added has the place of what it was added to.
inline position place_in_types(const config_table& tables,
                               std::string_view pointer, bool of_key) {
  const config_table* members = &tables;
  const config_array* items = nullptr;
  position at;
  std::string_view rest =
      pointer.substr(std::min(pointer.find('/', 1), pointer.size()));
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const std::size_t size = std::min(rest.find('/'), rest.size());
    const std::string token = plain_token(rest.substr(0, size));
    rest.remove_prefix(size);
    const config_node* next = nullptr;
    if (members != nullptr) {
      const auto m = std::ranges::find(*members, token, &config_member::key);
      if (m == members->end()) break;
      // A table may have been made by the header of one within it.
      at = of_key || members == &tables ? m->at : m->value.at;
      next = &m->value;
    } else if (items != nullptr) {
      std::size_t i = 0;
      std::from_chars(token.data(), token.data() + token.size(), i);
      if (i >= items->size()) break;
      next = &(*items)[i];
      at = next->at;
    } else {
      break;
    }
    members = next->get<config_table>();
    items = next->get<config_array>();
  }
  return at;
}

// A fault of the document as one of the file; the table's name is added to
// `broken`.
inline diagnostic type_fault(const schema_fault& f, const config_table& tables,
                             std::set<std::string>& broken) {
  constexpr std::string_view names = "/$defs/";
  std::string place = f.pointer;
  std::string message = f.message;
  if (place.starts_with(names)) {
    place.erase(0, names.size());
    const std::size_t end = std::min(place.find('/'), place.size());
    broken.insert(place.substr(0, end));
    place = "type " + place.substr(0, end) +
            (end == place.size() ? "" : ": " + place.substr(end));
  } else {
    place = "[type]";
  }
  if (f.code == schema_fault_code::endless_reference) {
    if (const std::size_t i = message.find(names); i != std::string::npos) {
      message.replace(i, names.size(), "type.");
    }
  }
  const bool of_key = f.code == schema_fault_code::unsupported_keyword ||
                      f.code == schema_fault_code::unknown_keyword;
  return {static_cast<fault>(f.code), place_in_types(tables, f.pointer, of_key),
          place + ": " + std::move(message)};
}

}  // namespace detail

TINYPHI_FUNC void spec_reader::read_types() {
  // A type that is wrong is kept, so that references to it stand.
  if (const config_member* all = root_->find("type")) {
    if (const auto* named = all->value.get<config_table>()) {
      for (const config_member& m : *named) spec_.types[m.key].at = m.at;
    }
  }
  const config_table* tables = named_section("type");
  if (tables == nullptr || tables->empty()) return;
  std::set<std::string> broken;
  for (const config_member& m : *tables) {
    const std::size_t before = faults_->size();
    if (check_id(m, "type") && is_type_name(m.key)) {
      report(fault::bad_name, m.at,
             "type " + m.key + ": the language itself uses this name");
    } else if (m.value.get<config_table>() == nullptr) {
      report(fault::wrong_type, m.value.at,
             "type " + m.key + " is " + std::string(m.value.kind()) +
                 ", it must be a table of JSON Schema");
    }
    if (faults_->size() != before) broken.insert(m.key);
  }
  detail::types_document document(*tables, spec_.types, *faults_);
  constexpr schema_options limits{.max_bytes = std::size_t{4} << 20};
  auto rules = schema::read(document.write(broken), limits);
  // Once more without the tables that are wrong: the others may be right, or
  // refer to themselves, which is looked at last.
  for (int round = 0; !rules && round < 2; ++round) {
    const std::size_t before = broken.size();
    for (const schema_fault& f : rules.error()) {
      faults_->push_back(detail::type_fault(f, *tables, broken));
    }
    if (broken.size() == before) return;
    rules = schema::read(document.write(broken), limits);
  }
  if (!rules) return;
  const json_tree& doc = rules->document();
  const json_tree::node all = doc.find(json_tree::root, "$defs");
  std::map<json_tree::node, std::uint32_t> rule_at;
  for (std::uint32_t i = 0; i < rules->rules().size(); ++i) {
    rule_at.emplace(rules->rules()[i].where, i);
  }
  schema_types types(*rules);
  for (const config_member& m : *tables) {
    if (broken.contains(m.key)) continue;
    const std::uint32_t rule = rule_at.at(doc.find(all, m.key));
    spec_.types[m.key].type =
        type::ruled_by(types.of(rule), rules->rooted_at(rule), m.key);
  }
  for (const schema_fault& f : types.faults()) {
    faults_->push_back(detail::type_fault(f, *tables, broken));
  }
  forget_types(broken);
}

// Of a type that is wrong, or that refers to one, nothing is known.
TINYPHI_FUNC void spec_reader::forget_types(std::set<std::string> wrong) {
  std::size_t before = 0;
  do {
    before = wrong.size();
    for (const auto& [name, t] : spec_.types) {
      const auto is_wrong = [&](const std::string& other) {
        return wrong.contains(other);
      };
      if (std::ranges::any_of(t.refers, is_wrong)) wrong.insert(name);
    }
  } while (wrong.size() != before);
  for (const std::string& name : wrong) spec_.types[name].type = {};
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_SPEC_READER_TYPES_IPP_
