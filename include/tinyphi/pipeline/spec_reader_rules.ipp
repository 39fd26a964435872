// SPDX-License-Identifier: MIT
// The part of spec_reader for [rules.x]. What a rule may say is left to the
// plugins that use it; they report it at the places that are kept here.
#ifndef TINYPHI_PIPELINE_SPEC_READER_RULES_IPP_
#define TINYPHI_PIPELINE_SPEC_READER_RULES_IPP_

#include "tinyphi/pipeline/spec_reader.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC void spec_reader::read_rules() {
  const config_table* table = named_section("rules");
  if (table == nullptr) return;
  for (const config_member& entry : *table) read_rules_entry(entry);
}

TINYPHI_FUNC void spec_reader::read_rules_entry(const config_member& entry) {
  const std::string where = "rules " + entry.key;
  // Rules that are wrong are kept, so that references to them stand.
  rules_spec& rules = spec_.rules[entry.key];
  rules.name = entry.key;
  rules.at = entry.at;
  const std::size_t before = faults_->size();
  if (!check_id(entry, "rules") ||
      !check_table(entry, where, key_table::rules) ||
      faults_->size() != before) {
    return;
  }
  const config_member* file = entry.value.find("file");
  const config_member* list = entry.value.find("rule");
  if ((file == nullptr) == (list == nullptr)) {
    return report(
        file ? fault::keys_conflict : fault::missing_key, entry.at,
        where + (file ? ": file and rule exclude each other"
                      : ": file is missing, or rule = [{ id, regex }]"));
  }
  if (file != nullptr) {
    config_node filled = entry.value;  // which has nothing else
    fill_in(filled, where);
    const auto* path =
        optional_key<std::string>(filled, "file", where, "a string");
    if (path != nullptr && path->empty()) {
      report(fault::out_of_range, file->value.at,
             where + ": file is empty, it must name a rule file");
    } else if (path != nullptr) {
      rules.path = resolve_path(*path, entry.at);
    }
    return;
  }
  const auto* all = list->value.get<config_array>();
  const auto is_table = [](const config_node& n) {
    return n.get<config_table>() != nullptr;
  };
  if (all == nullptr || all->empty() || !std::ranges::all_of(*all, is_table)) {
    return report(fault::wrong_type, list->value.at,
                  where +
                      ": rule must be a list of tables such as "
                      "[{ id = \"part\", regex = 'P-[0-9]+' }]");
  }
  // A pattern may have "$" in it, so nothing is filled in.
  if (check_size(all->size(), list->value.at, where + ": rule")) {
    rules.rules = list->value;
  }
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_SPEC_READER_RULES_IPP_
