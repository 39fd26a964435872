// SPDX-License-Identifier: MIT
// The part of spec_reader for [secret], [prompt.x] and [mcp.x]. A secret is
// opened when a stage that takes it is created; until then it is a name.
#ifndef TINYPHI_PIPELINE_SPEC_READER_SECRETS_IPP_
#define TINYPHI_PIPELINE_SPEC_READER_SECRETS_IPP_

#include "tinyphi/pipeline/spec_reader.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC void spec_reader::read_secrets() {
  const config_table* table = named_section("secret");
  if (table == nullptr) return;
  for (const config_member& entry : *table) read_secret(entry);
}

TINYPHI_FUNC void spec_reader::read_secret(const config_member& entry) {
  const std::string where = "secret " + entry.key;
  // One that is wrong is kept, so that references to it stand.
  secret_spec& secret = spec_.secrets[entry.key];
  secret.name = entry.key;
  secret.at = entry.at;
  constexpr std::string_view sources[] = {"credential", "file", "env"};
  const std::size_t before = faults_->size();
  if (!check_id(entry, "secret") ||
      !check_table(entry, where, key_table::secret) ||
      faults_->size() != before) {
    return;
  }
  config_node filled = entry.value;
  if (!fill_in(filled, where)) return;
  const config_member* given = nullptr;
  for (const std::string_view source : sources) {
    const config_member* m = filled.find(source);
    if (m == nullptr) continue;
    if (given != nullptr) {
      return report(
          fault::keys_conflict, m->at,
          where + ": " + given->key + " and " + m->key + " exclude each other");
    }
    given = m;
    secret.from = static_cast<secret_spec::source>(
        std::ranges::find(sources, source) - std::begin(sources));
  }
  if (given == nullptr) {
    return report(fault::missing_key, entry.at,
                  where +
                      ": credential, file or env is missing, it says where "
                      "the secret comes from");
  }
  const auto* text =
      optional_key<std::string>(filled, given->key, where, "a string");
  if (text == nullptr) return;
  constexpr std::size_t longest = 255;
  const bool is_file = secret.from == secret_spec::source::file;
  if (is_file && (text->empty() || text->find('\0') != std::string::npos)) {
    return report(
        fault::out_of_range, given->value.at,
        where + ": file is " + quote(*text) + ", it must name a file");
  }
  // systemd has credentials in a folder, which a name must not leave.
  const bool is_credential = secret.from == secret_spec::source::credential;
  if (!is_file &&
      !detail::is_name(*text, longest, is_credential ? "._-" : "_")) {
    return report(
        fault::out_of_range, given->value.at,
        where + ": " + given->key + " is " + quote(*text) +
            ", a name is a letter or digit, then letters, digits and " +
            (is_credential ? "'.', '_', '-'" : "'_'"));
  }
  secret.text = is_file ? resolve_path(*text, entry.at).string() : *text;
}

TINYPHI_FUNC bool spec_reader::fill_in_secret(config_node& node,
                                              const std::string& name,
                                              const std::string& where) {
  if (!spec_.secrets.contains(name)) {
    std::vector<std::string_view> known;
    for (const auto& s : spec_.secrets) known.push_back(s.first);
    report(fault::bad_env, node.at,
           where + ": ${secret." + name + "} names nothing in [secret]" +
               did_you_mean(name, known));
    return false;
  }
  node.data = secret_name{name};
  node.text_at = {};
  return true;
}

TINYPHI_FUNC bool spec_reader::check_no_secret(const config_node& node,
                                               const std::string& where) {
  bool right = true;
  if (const auto* text = node.get<std::string>()) {
    const std::size_t at = text->find("${secret.");
    right = at == std::string::npos;
    if (!right) {
      report(fault::bad_secret, node.text_position(at),
             where + ": " + std::string(secret_stands_alone));
    }
  } else if (const auto* list = node.get<config_array>()) {
    for (const config_node& item : *list) {
      right = check_no_secret(item, where) && right;
    }
  } else if (const auto* table = node.get<config_table>()) {
    for (const config_member& m : *table) {
      right = check_no_secret(m.value, where + "." + m.key) && right;
    }
  }
  return right;
}

TINYPHI_FUNC void spec_reader::read_prompts() {
  read_shared("prompt", key_table::prompt, secrets::refused, spec_.prompts);
}

TINYPHI_FUNC void spec_reader::read_mcp_servers() {
  read_shared("mcp", key_table::mcp_server, secrets::kept, spec_.mcp_servers);
}

TINYPHI_FUNC void spec_reader::read_shared(
    const std::string& section, key_table known, secrets kept,
    std::map<std::string, shared_params, std::less<>>& all) {
  const config_table* table = named_section(section);
  if (table == nullptr) return;
  for (const config_member& entry : *table) {
    const std::string where = section + " " + entry.key;
    // One that is wrong is kept, so that references to it stand.
    shared_params& shared = all[entry.key];
    shared.at = entry.at;
    shared.params = entry.value;
    const std::size_t before = faults_->size();
    shared.poisoned =
        !check_id(entry, section) || !check_table(entry, where, known) ||
        !fill_in(shared.params, where, kept) || faults_->size() != before;
  }
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_SPEC_READER_SECRETS_IPP_
