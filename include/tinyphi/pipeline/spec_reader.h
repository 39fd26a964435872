// SPDX-License-Identifier: MIT
// Reads the tables of a pipeline file into a pipeline_spec. Used by spec.ipp
// only.
#ifndef TINYPHI_PIPELINE_SPEC_READER_H_
#define TINYPHI_PIPELINE_SPEC_READER_H_

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/pipeline/config_reader.h"
#include "tinyphi/pipeline/keys.h"
#include "tinyphi/pipeline/spec.h"

TINYPHI_NAMESPACE_BEGIN

class spec_reader : private config_reader {
 public:
  using env_lookup =
      std::function<std::optional<std::string>(const std::string&)>;

  spec_reader(const config_node& root, const std::filesystem::path& file,
              const env_lookup& env, std::vector<library_file> libraries,
              std::vector<diagnostic>& faults)
      : config_reader(root, faults), base_dir_(file.parent_path()), env_(&env) {
    spec_.name = file.stem().string();
    spec_.libraries = std::move(libraries);
  }

  [[nodiscard]] pipeline_spec read();

 private:
  using config_reader::check_table;
  // As those of config_reader, with the keys that the language has there.
  void check_keys(const config_node& node, const std::string& where,
                  key_table table, retired_keys retired = {});
  bool check_table(const config_member& m, const std::string& where,
                   key_table table, retired_keys retired = {});
  const config_node* section(std::string_view key, key_table table);
  void read_head();
  void read_env();
  void read_env_entry(const config_member& entry);
  void read_limits();
  // A whole number of bytes, or a text such as "64KiB".
  std::optional<std::size_t> read_size(const config_node& table,
                                       std::string_view key,
                                       const std::string& where,
                                       std::size_t high);
  void read_models();
  void read_rules();
  void read_rules_entry(const config_member& entry);
  void read_secrets();
  void read_secret(const config_member& entry);
  void read_prompts();
  void read_mcp_servers();
  // The tables of a section that have these keys.
  enum class secrets { refused, kept };
  void read_shared(const std::string& section, key_table known, secrets kept,
                   std::map<std::string, shared_params, std::less<>>& all);
  // False (reported) for a secret in a text that is not filled in.
  bool check_no_secret(const config_node& node, const std::string& where);
  void read_types();
  void forget_types(std::set<std::string> wrong);
  void read_inputs();
  void read_input(const config_member& entry);
  std::optional<trust> read_trust(const config_node& node,
                                  const std::string& where);
  void read_input_type(const config_node& node, const std::string& where,
                       input_spec& input);
  void read_input_sizes(const config_node& node, const std::string& where,
                        input_spec& input);
  void check_input_default(const config_node& node, const std::string& where,
                           const input_spec& input);
  void read_outputs();
  void read_tools();
  void read_tool(const config_member& entry);
  void read_stages();
  void read_stage(const config_member& entry);
  bool check_node_name(const config_member& entry, const std::string& where);
  void read_use(const config_member& entry, stage_spec& stage);
  void read_with(const config_node& node, stage_spec& stage);
  void read_bindings(const config_member& in, stage_spec& stage);
  void read_each(const config_node& node, stage_spec& stage);
  void read_repeat(const config_member& m, stage_spec& stage);
  void read_retry(const config_member& m, stage_spec& stage);
  void read_after(const config_node& node, stage_spec& stage);
  void read_fallback(const config_member& m, stage_spec& stage);
  void read_switches();
  void read_switch(const config_member& entry);
  void read_allow();
  // The places of [allow].read, [allow].write or [allow].exec, absolute.
  std::vector<std::filesystem::path> read_folders(const config_node& allow,
                                                  std::string_view key);
  void read_triggers();
  void read_trigger(const config_member& entry);
  void read_trigger_when(const config_member& entry, const std::string& where,
                         trigger_spec& t);
  void read_trigger_token(const config_member& m, const std::string& where,
                          trigger_spec& t);
  void read_trigger_inputs(const config_member& entry, const std::string& where,
                           trigger_spec& t);
  void read_hosts(const config_node& allow);
  void read_tests();
  void read_test(const config_node& node);
  void read_test_trace(const config_node& node, const std::string& where,
                       test_spec& test);
  void read_test_runs(const config_node& node, const std::string& where,
                      test_spec& test);

  std::optional<reference_spec> read_reference(const config_node& node,
                                               const std::string& where);
  binding_spec read_binding(const config_member& m, const std::string& where);
  // The references of a list.
  std::vector<reference_spec> read_references(const config_node& node,
                                              const std::string& where);
  // `node` as a value of `type`; reported if it is not one.
  std::optional<value_data> read_value(const config_node& node,
                                       const type& type,
                                       const std::string& where);
  // The type that it names, which counts as used.
  [[nodiscard]] std::optional<type> read_type(const config_node& node,
                                              const std::string& where);
  // Replaces ${env.X} in all texts of the node, and $$ by $; where secrets may
  // stand, a text that is ${secret.X} by its name.
  // False after a fault, reported here or where the variable is declared.
  bool fill_in(config_node& node, const std::string& where,
               secrets kept = secrets::refused);
  bool fill_in_text(config_node& node, const std::string& where, secrets kept);
  bool fill_in_secret(config_node& node, const std::string& name,
                      const std::string& where);
  // `path` as it stands at `at`: it starts at the folder of its file.
  [[nodiscard]] std::filesystem::path resolve_path(const std::string& path,
                                                   position at) const;

  std::filesystem::path base_dir_;
  const env_lookup* env_;
  pipeline_spec spec_;
  std::optional<duration> default_timeout_;
  std::map<std::string, position> node_names_;  // of stages and switches
  // Of texts that fill_in changed; above max_filled_bytes nothing is filled in.
  std::size_t filled_bytes_ = 0;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/spec_reader.ipp"
#include "tinyphi/pipeline/spec_reader_bindings.ipp"
#include "tinyphi/pipeline/spec_reader_ports.ipp"
#include "tinyphi/pipeline/spec_reader_rules.ipp"
#include "tinyphi/pipeline/spec_reader_secrets.ipp"
#include "tinyphi/pipeline/spec_reader_stages.ipp"
#include "tinyphi/pipeline/spec_reader_tests.ipp"
#include "tinyphi/pipeline/spec_reader_tools.ipp"
#include "tinyphi/pipeline/spec_reader_triggers.ipp"
#include "tinyphi/pipeline/spec_reader_types.ipp"
#include "tinyphi/pipeline/spec_reader_values.ipp"
#endif

#endif  // TINYPHI_PIPELINE_SPEC_READER_H_
