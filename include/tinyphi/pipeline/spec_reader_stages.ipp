// SPDX-License-Identifier: MIT
// The part of spec_reader that reads stages with their modifiers.
#ifndef TINYPHI_PIPELINE_SPEC_READER_STAGES_IPP_
#define TINYPHI_PIPELINE_SPEC_READER_STAGES_IPP_

#include "tinyphi/pipeline/spec_reader.h"
#include "tinyphi/pipeline/spec_reader.ipp"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC void spec_reader::read_stages() {
  const config_table* table = named_section("stage");
  if (table == nullptr) return;
  for (const config_member& entry : *table) read_stage(entry);
}

// False (reported) for a name that the language itself uses, or that another
// stage or switch has.
TINYPHI_FUNC bool spec_reader::check_node_name(const config_member& entry,
                                               const std::string& where) {
  constexpr std::string_view taken[] = {"input", "output", "env",   "item",
                                        "index", "value",  "error", "loop"};
  if (std::ranges::find(taken, entry.key) != std::end(taken)) {
    report(fault::bad_name, entry.at,
           where + ": the language itself uses this name");
    return false;
  }
  const auto [other, is_new] = node_names_.emplace(entry.key, entry.at);
  if (is_new) return true;
  report(fault::defined_twice, entry.at,
         where + ": " + quote(entry.key) + " is defined on line " +
             std::to_string(other->second.line) +
             ", too; stages, switches and tools share their names");
  return false;
}

TINYPHI_FUNC void spec_reader::read_stage(const config_member& entry) {
  const std::string where = "stage " + entry.key;
  // A stage that is wrong is kept, so that references to it stand; without its
  // plugin, nothing more is said of it.
  stage_spec& stage = spec_.stages.emplace_back();
  stage.id = entry.key;
  stage.at = entry.at;
  const bool is_named =
      check_id(entry, "stage") && check_node_name(entry, where);
  if (!check_table(entry, where, key_table::stage,
                   {{"cache", "leave it out"}})) {
    return;
  }
  const config_node& node = entry.value;
  bool right = true;
  for (const config_member& m : *node.get<config_table>()) {
    if (m.key == "with" || m.key == "fallback") continue;  // filled in
    right = check_no_secret(m.value, where + "." + m.key) && right;
  }
  if (!right) return;
  read_use(entry, stage);
  if (const config_member* in = node.find("in")) read_bindings(*in, stage);
  read_with(node, stage);
  if (optional_key<std::string>(node, "when", where, "a string")) {
    stage.when = node.find("when")->value;
  }
  read_each(node, stage);
  if (const config_member* repeat = node.find("repeat")) {
    read_repeat(*repeat, stage);
  }
  if (const config_member* retry = node.find("retry")) {
    read_retry(*retry, stage);
  }
  read_after(node, stage);
  stage.timeout = read_duration(node, "timeout", where);
  if (!stage.timeout) stage.timeout = default_timeout_;
  if (const config_member* m = node.find("fallback")) {
    read_fallback(*m, stage);
  }
  optional_key<std::string>(node, "doc", where, "a string");
  if (!is_named) stage.plugin.clear();
}

TINYPHI_FUNC void spec_reader::read_use(const config_member& entry,
                                        stage_spec& stage) {
  const std::string where = stage.title();
  const config_node& node = entry.value;
  const auto* use = optional_key<std::string>(node, "use", where, "a string");
  if (use == nullptr) {
    if (node.find("use") == nullptr) {
      report(fault::missing_key, entry.at,
             where + ": use is missing, it names the plugin");
    }
    return;
  }
  stage.plugin_at = node.find("use")->value.at;
  stage.plugin = *use;
  const std::size_t at = use->rfind('@');
  if (at == std::string::npos) return;
  stage.plugin.resize(at);
  stage.major =
      detail::parse_number<std::int64_t>(std::string_view(*use).substr(at + 1));
  if (!stage.major) {
    report(fault::wrong_type, stage.plugin_at,
           where + ": use is " + quote(*use) +
               ", behind '@' stands a whole number");
  }
}

// A stage whose parameters have a fault loses its plugin.
TINYPHI_FUNC void spec_reader::read_with(const config_node& node,
                                         stage_spec& stage) {
  const config_member* with = node.find("with");
  if (with == nullptr) return;
  if (with->value.get<config_table>() == nullptr) {
    return report(fault::wrong_type, with->value.at,
                  stage.title() + ": with is " +
                      std::string(with->value.kind()) +
                      ", not a table of parameters");
  }
  stage.with = with->value;
  if (!fill_in(*stage.with, stage.title(), secrets::kept)) {
    stage.plugin.clear();
  }
}

TINYPHI_FUNC void spec_reader::read_each(const config_node& node,
                                         stage_spec& stage) {
  const std::string where = "stage " + stage.id;
  if (const config_member* each = node.find("each")) {
    stage.each = read_reference(each->value, where + ".each");
  }
  for (const std::string_view key : {"parallel", "on_error"}) {
    const config_member* m = node.find(key);
    if (m == nullptr || node.find("each") != nullptr) continue;
    report(fault::keys_conflict, m->at,
           where + ": " + std::string(key) + " needs each");
  }
  if (const auto n = read_integer(node, "parallel", where, 1, 64)) {
    stage.parallel = static_cast<std::size_t>(*n);
  }
  if (const auto n = read_choice(node, "on_error", where,
                                 key_words(key_table::stage, "on_error"))) {
    stage.collect = *n == 1;
  }
}

TINYPHI_FUNC void spec_reader::read_repeat(const config_member& m,
                                           stage_spec& stage) {
  const std::string where = "stage " + stage.id + ".repeat";
  if (!check_table(m, where, key_table::repeat)) {
    return;
  }
  const config_node& node = m.value;
  for (const std::string_view key : {"until", "max"}) {
    if (node.find(key) != nullptr) continue;
    report(fault::missing_key, m.at,
           where + ": " + std::string(key) +
               (key == "max" ? " is missing, it says how many rounds at most"
                             : " is missing, it says when it is enough"));
    return;
  }
  const auto max = read_integer(node, "max", where, 2, 100);
  if (!optional_key<std::string>(node, "until", where, "a string") || !max) {
    return;
  }
  repeat_spec repeat;
  repeat.at = m.at;
  repeat.until = node.find("until")->value;
  repeat.max = static_cast<std::size_t>(*max);
  if (const auto n = read_choice(node, "exhausted", where,
                                 key_words(key_table::repeat, "exhausted"))) {
    repeat.last = *n == 1;
  }
  if (const auto* carry = optional_key<config_table>(
          node, "carry", where, "a table of in-ports and out-ports")) {
    for (const config_member& c : *carry) {
      if (const auto* from = c.value.get<std::string>()) {
        repeat.carry.push_back({c.key, *from, c.at});
      } else {
        report(fault::wrong_type, c.value.at,
               where + ".carry." + c.key + " is " +
                   std::string(c.value.kind()) +
                   ", it must be the name of an out-port");
      }
    }
  }
  stage.repeat = std::move(repeat);
}

TINYPHI_FUNC void spec_reader::read_retry(const config_member& m,
                                          stage_spec& stage) {
  const std::string where = "stage " + stage.id + ".retry";
  constexpr std::int64_t most = 10;
  stage.retry.at = m.at;
  if (const auto* n = m.value.get<std::int64_t>()) {
    if (*n < 1 || *n > most) {
      return report(fault::out_of_range, m.value.at,
                    where + " is " + std::to_string(*n) +
                        ", allowed are 1 to " + std::to_string(most));
    }
    stage.retry.max = static_cast<std::size_t>(*n);
    return;
  }
  if (!check_table(m, where, key_table::retry)) return;
  if (m.value.find("max") == nullptr) {
    return report(fault::missing_key, m.at,
                  where +
                      ": max is missing, it says how many attempts more "
                      "than one");
  }
  if (const auto n = read_integer(m.value, "max", where, 1, most)) {
    stage.retry.max = static_cast<std::size_t>(*n);
  }
  if (const auto wait = read_duration(m.value, "wait", where)) {
    stage.retry.wait = *wait;
  }
  if (const auto codes = read_texts(m.value, "on", where)) {
    stage.retry.on.clear();
    for (const config_node* code : *codes) {
      const auto& name = *code->get<std::string>();
      const auto found = std::ranges::find(error_code_names, name);
      if (found == std::end(error_code_names)) {
        report(fault::out_of_range, code->at,
               where + ".on: no error code " + quote(name) +
                   did_you_mean(name, error_code_names));
      } else {
        stage.retry.on.push_back(
            static_cast<error_code>(found - std::begin(error_code_names)));
      }
    }
  }
}

TINYPHI_FUNC void spec_reader::read_after(const config_node& node,
                                          stage_spec& stage) {
  const std::string where = "stage " + stage.id;
  const auto* after =
      optional_key<config_array>(node, "after", where, "a list");
  if (after == nullptr ||
      !check_size(after->size(), node.find("after")->value.at,
                  where + ": after")) {
    return;
  }
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

TINYPHI_FUNC void spec_reader::read_fallback(const config_member& m,
                                             stage_spec& stage) {
  const std::string where = "stage " + stage.id;
  if (m.value.get<config_table>() != nullptr) {
    stage.fallback = m.value;
    if (!fill_in(*stage.fallback, where)) stage.plugin.clear();
    return;
  }
  const auto* text = m.value.get<std::string>();
  stage.skip_on_error = text != nullptr && *text == "skip";
  if (stage.skip_on_error) return;
  report(text ? fault::out_of_range : fault::wrong_type, m.value.at,
         where + ": fallback is " +
             (text ? quote(*text) : std::string(m.value.kind())) +
             ", it must be \"skip\" or a table of values by out-port");
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_SPEC_READER_STAGES_IPP_
