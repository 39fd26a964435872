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
#include "tinyphi/pipeline/spec.h"

TINYPHI_NAMESPACE_BEGIN

class spec_reader : private config_reader {
 public:
  using env_lookup =
      std::function<std::optional<std::string>(const std::string&)>;

  spec_reader(const config_node& root, const std::filesystem::path& file,
              const env_lookup& env, std::vector<diagnostic>& faults)
      : config_reader(root, faults), base_dir_(file.parent_path()), env_(&env) {
    spec_.name = file.stem().string();
  }

  [[nodiscard]] pipeline_spec read();

 private:
  void read_head();
  void read_env();
  void read_env_entry(const config_member& entry);
  void read_limits();
  void read_models();
  void read_rules();
  void read_rules_entry(const config_member& entry);
  void read_types();
  void forget_types(std::set<std::string> wrong);
  void read_inputs();
  void read_input(const config_member& entry);
  void read_input_type(const config_node& node, const std::string& where,
                       input_spec& input);
  void read_outputs();
  void read_stages();
  void read_stage(const config_member& entry);
  bool check_node_name(const config_member& entry, const std::string& where);
  void read_use(const config_member& entry, stage_spec& stage);
  void read_bindings(const config_member& in, stage_spec& stage);
  void read_each(const config_node& node, stage_spec& stage);
  void read_repeat(const config_member& m, stage_spec& stage);
  void read_retry(const config_member& m, stage_spec& stage);
  void read_after(const config_node& node, stage_spec& stage);
  void read_fallback(const config_member& m, stage_spec& stage);
  void read_switches();
  void read_switch(const config_member& entry);
  void read_allow();
  // The folders of [allow].read or [allow].write, absolute.
  std::vector<std::filesystem::path> read_folders(const config_node& allow,
                                                  std::string_view key);
  void read_tests();
  void read_test(const config_node& node);
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
  // Replaces ${env.X} in all texts of the node, and $$ by $.
  // False after a fault, reported here or where the variable is declared.
  bool fill_in(config_node& node, const std::string& where);
  bool fill_in_text(config_node& node, const std::string& where);

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
#include "tinyphi/pipeline/spec_reader_stages.ipp"
#include "tinyphi/pipeline/spec_reader_tests.ipp"
#include "tinyphi/pipeline/spec_reader_types.ipp"
#include "tinyphi/pipeline/spec_reader_values.ipp"
#endif

#endif  // TINYPHI_PIPELINE_SPEC_READER_H_
