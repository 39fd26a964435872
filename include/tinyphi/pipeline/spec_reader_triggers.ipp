// SPDX-License-Identifier: MIT
// The part of spec_reader for [trigger.x].
#ifndef TINYPHI_PIPELINE_SPEC_READER_TRIGGERS_IPP_
#define TINYPHI_PIPELINE_SPEC_READER_TRIGGERS_IPP_

#include <algorithm>
#include <set>

#include "tinyphi/pipeline/spec_reader.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC void spec_reader::read_triggers() {
  constexpr std::size_t most = 16;
  const config_table* table = named_section("trigger", most);
  if (table == nullptr) return;
  for (const config_member& entry : *table) read_trigger(entry);
}

TINYPHI_FUNC void spec_reader::read_trigger(const config_member& entry) {
  const std::string where = "trigger " + entry.key;
  const std::size_t before = faults_->size();
  if (!check_id(entry, "trigger") ||
      !check_table(entry, where, key_table::trigger)) {
    return;
  }
  trigger_spec t;
  t.name = entry.key;
  t.at = entry.at;
  read_trigger_when(entry, where, t);
  t.queue = read_choice(entry.value, "overlap", where,
                        key_words(key_table::trigger, "overlap")) == 1U;
  const bool is_http = std::holds_alternative<http_trigger>(t.when);
  const bool is_watch = std::holds_alternative<watched_files>(t.when);
  if (const config_member* overlap = entry.value.find("overlap");
      overlap != nullptr && (is_http || is_watch)) {
    report(fault::keys_conflict, overlap->at,
           where +
               ": overlap is for every and cron; watched files wait in "
               "their folder, and requests as others do");
  }
  t.label = read_trust(entry.value, where)
                .value_or(is_http ? trust::untrusted : trust::user);
  read_trigger_inputs(entry, where, t);
  if (const config_member* token = entry.value.find("token")) {
    read_trigger_token(*token, where, t);
  }
  if (faults_->size() == before) spec_.triggers.push_back(std::move(t));
}

TINYPHI_FUNC void spec_reader::read_trigger_token(const config_member& m,
                                                  const std::string& where,
                                                  trigger_spec& t) {
  auto* http = std::get_if<http_trigger>(&t.when);
  if (http == nullptr) {
    return report(fault::keys_conflict, m.at,
                  where + ": token needs http: it is what callers must show");
  }
  config_node value = m.value;
  if (!fill_in(value, where + ".token", secrets::kept)) return;
  const auto* secret = value.get<secret_name>();
  if (secret == nullptr) {
    return report(fault::bad_secret, m.value.at,
                  where + ".token is " + std::string(value.kind()) +
                      "; it must be a secret, \"${secret.NAME}\"");
  }
  http->token = secret->name;
}

// Exactly one of every, cron, watch and http.
TINYPHI_FUNC void spec_reader::read_trigger_when(const config_member& entry,
                                                 const std::string& where,
                                                 trigger_spec& t) {
  const config_member* given = nullptr;
  std::string_view kind;
  for (const std::string_view one : {"every", "cron", "watch", "http"}) {
    const config_member* m = entry.value.find(one);
    if (m == nullptr) continue;
    if (given != nullptr) {
      return report(fault::keys_conflict, m->at,
                    where + ": " + given->key + " and " + m->key +
                        " exclude each other; write two triggers");
    }
    given = m;
    kind = one;
  }
  if (given == nullptr) {
    return report(fault::missing_key, entry.at,
                  where +
                      ": one of every, cron, watch and http says when it "
                      "runs");
  }
  if (kind == "every") {
    using namespace std::chrono_literals;
    if (const auto time = read_duration(entry.value, kind, where, 1s, 24h)) {
      t.when = *time;
    }
    return;
  }
  const auto* text =
      optional_key<std::string>(entry.value, kind, where, "a string");
  if (text == nullptr) return;
  if (kind == "cron") {
    auto schedule = cron_schedule::parse(*text);
    if (schedule && !schedule->next(std::chrono::system_clock::now())) {
      schedule = error{error_code::bad_data, "no day is like that"};
    }
    if (!schedule) {
      return report(fault::out_of_range, given->value.at,
                    where + ".cron: " + schedule.error().message);
    }
    t.when = *schedule;
  } else if (kind == "watch") {
    const std::filesystem::path path(*text);
    const std::filesystem::path folder = base_dir_ / path.parent_path();
    std::error_code failed;  // the working folder is gone
    watched_files files{
        (folder.empty() ? std::filesystem::current_path(failed)
                        : std::filesystem::absolute(folder, failed))
            .lexically_normal(),
        path.filename().string()};
    if (files.pattern.empty() ||
        path.parent_path().native().find_first_of("*?") != std::string::npos) {
      return report(fault::out_of_range, given->value.at,
                    where + ".watch is " + quote(*text) +
                        "; it is a folder and a pattern of names in it, such "
                        "as \"inbox/*.txt\"");
    }
    t.when = std::move(files);
  } else {
    const bool is_path =
        text->size() > 1 && text->size() <= 128 && text->front() == '/' &&
        std::ranges::all_of(*text,
                            [](char c) {
                              return (c >= 'a' && c <= 'z') ||
                                     (c >= 'A' && c <= 'Z') ||
                                     (c >= '0' && c <= '9') || c == '/' ||
                                     c == '-' || c == '_';
                            }) &&
        text->find("//") == std::string::npos && !text->ends_with('/');
    const bool is_taken = text->starts_with("/v1/") || *text == "/v1";
    if (!is_path || is_taken) {
      return report(fault::out_of_range, given->value.at,
                    where + ".http is " + quote(*text) +
                        "; it is a path of letters, digits, '-' and '_', such "
                        "as \"/readings\", and not below /v1");
    }
    t.when = http_trigger{*text, {}};
  }
}

// Every input that has no default gets its value: the watched file, a constant,
// or a member of what is sent.
TINYPHI_FUNC void spec_reader::read_trigger_inputs(const config_member& entry,
                                                   const std::string& where,
                                                   trigger_spec& t) {
  const bool is_watch = std::holds_alternative<watched_files>(t.when);
  const bool is_http = std::holds_alternative<http_trigger>(t.when);
  std::vector<std::string_view> names;
  for (const input_spec& i : spec_.inputs) names.push_back(i.name);
  const auto find = [&](const std::string& name, position at,
                        const std::string& key) -> const input_spec* {
    const auto it = std::ranges::find(spec_.inputs, name, &input_spec::name);
    if (it != spec_.inputs.end()) return &*it;
    report(fault::unknown_value, at,
           where + "." + key + ": no input " + quote(name) +
               suggestion(name, names));
    return nullptr;
  };
  const config_member* input = entry.value.find("input");
  if (is_watch != (input != nullptr)) {
    report(is_watch ? fault::missing_key : fault::keys_conflict,
           is_watch ? entry.at : input->at,
           where + (is_watch ? ": input is missing, it names the input that "
                               "gets the watched file"
                             : ": input needs watch: it names the input that "
                               "gets the watched file"));
    return;
  }
  if (const auto* name = input ? optional_key<std::string>(entry.value, "input",
                                                           where, "a string")
                               : nullptr) {
    const input_spec* found = find(*name, input->value.at, "input");
    if (found == nullptr) return;
    if (!found->type.is(type_kind::file)) {
      return report(fault::type_mismatch, input->value.at,
                    where + ".input: input " + *name + " is " +
                        to_string(found->type) + ", a watched file is file");
    }
    t.input = *name;
    const auto& folder = std::get<watched_files>(t.when).folder;
    if (std::ranges::none_of(spec_.allowed.read, [&](const auto& allowed) {
          return is_within(folder, allowed);
        })) {
      report(fault::not_allowed, entry.value.find("watch")->value.at,
             where + ".watch: " + quote(folder.string()) +
                 " is not in [allow].read, so no stage could read the file");
    }
  }
  if (const config_member* with = entry.value.find("with")) {
    const auto* table = with->value.get<config_table>();
    if (table == nullptr) {
      return report(fault::wrong_type, with->value.at,
                    where + ": with is " + std::string(with->value.kind()) +
                        ", it must be a table of values by input");
    }
    for (const config_member& m : *table) {
      const input_spec* found = find(m.key, m.at, "with");
      if (found == nullptr) return;
      if (m.key == t.input) {
        return report(
            fault::keys_conflict, m.at,
            where + ".with." + m.key + ": the input gets the watched file");
      }
      auto value = check_input(*found, node_data(m.value));
      if (!value) {
        return report(fault::type_mismatch, m.value.at,
                      where + ".with." + m.key + ": " + value.error().message);
      }
      t.with.emplace(m.key, *std::move(value));
    }
  }
  for (const input_spec& i : spec_.inputs) {
    const bool is_constant = t.with.contains(i.name);
    if (is_constant) continue;
    const bool comes = is_http || i.name == t.input;
    if (!comes && !i.optional && !i.default_value) {
      return report(fault::missing_key, entry.at,
                    where + ": input " + i.name +
                        " has no default; give it in with." + i.name);
    }
    if (comes && t.label > i.label) {
      report(fault::label_too_low, entry.at,
             where + ": what comes for input " + i.name + " is " +
                 std::string(to_string(t.label)) + ", the input declares " +
                 std::string(to_string(i.label)) + "; say trust = \"" +
                 std::string(to_string(t.label)) + "\" of the input");
    }
  }
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_SPEC_READER_TRIGGERS_IPP_
