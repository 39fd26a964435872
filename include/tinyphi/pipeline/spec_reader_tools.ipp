// SPDX-License-Identifier: MIT
// The part of spec_reader for [tool.x]. What a tool's plugin asks for is left
// to passes/tools.ipp.
#ifndef TINYPHI_PIPELINE_SPEC_READER_TOOLS_IPP_
#define TINYPHI_PIPELINE_SPEC_READER_TOOLS_IPP_

#include "tinyphi/pipeline/spec_reader.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC void spec_reader::read_tools() {
  const config_table* table = named_section("tool");
  if (table == nullptr) return;
  for (const config_member& entry : *table) read_tool(entry);
}

TINYPHI_FUNC void spec_reader::read_tool(const config_member& entry) {
  // A tool that is wrong is kept, so that references to it stand.
  tool_spec& tool = spec_.tools[entry.key];
  stage_spec& call = tool.call;
  call.id = entry.key;
  call.is_tool = true;
  call.at = entry.at;
  const std::string where = call.title();
  const std::size_t before = faults_->size();
  const config_node& node = entry.value;
  if (check_id(entry, "tool") && check_node_name(entry, where) &&
      check_table(entry, where, key_table::tool)) {
    for (const std::string_view key : {"use", "in", "timeout", "describe"}) {
      const config_member* m = node.find(key);
      if (m != nullptr)
        check_no_secret(m->value, where + "." + std::string(key));
    }
    read_use(entry, call);
    if (const config_member* in = node.find("in")) read_bindings(*in, call);
    read_with(node, call);
    call.timeout = read_duration(node, "timeout", where);
    if (!call.timeout) call.timeout = default_timeout_;
    tool.approve = read_duration(node, "approve", where);
    const auto* text =
        optional_key<std::string>(node, "describe", where, "a string");
    if (text != nullptr) tool.describe = *text;
    optional_key<std::string>(node, "doc", where, "a string");
    if (node.find("describe") == nullptr) {
      report(fault::missing_key, entry.at,
             where +
                 ": describe is missing, it tells the model what the tool "
                 "does");
    } else if (text != nullptr && (text->empty() || text->size() > 400)) {
      report(fault::out_of_range, node.find("describe")->value.at,
             where + ": describe has " + std::to_string(text->size()) +
                 " bytes, allowed are 1 to 400");
    }
  }
  tool.poisoned = faults_->size() != before;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_SPEC_READER_TOOLS_IPP_
