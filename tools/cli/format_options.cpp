// SPDX-License-Identifier: MIT
#include "cli/format_options.h"

#include <cstddef>
#include <utility>

#include "tinyphi/base/mapped_file.h"

namespace cli {

namespace {

using tinyphi::constraint;
using tinyphi::result;

constexpr std::size_t max_file_bytes = std::size_t{1} << 20;

result<constraint> make(const asked_format& asked,
                        const tinyphi::token_trie& vocabulary) {
  const format_options& o = *asked.options;
  if (o.schema) return constraint::json_schema(vocabulary, asked.text);
  if (o.grammar) return constraint::gbnf(vocabulary, asked.text);
  if (o.regex) return constraint::regex(vocabulary, *o.regex);
  return constraint::choice(vocabulary, o.choices);
}

// Where the fault is: a file, or an option.
std::string place(const format_options& o) {
  if (o.schema) return *o.schema;
  if (o.grammar) return *o.grammar;
  return o.regex ? "--regex" : "--choice";
}

}  // namespace

void add_format_options(CLI::App& command, format_options& options) {
  CLI::Option_group* group = command.add_option_group("Format");
  group
      ->add_option("--schema", options.schema,
                   "the answer is JSON that this JSON Schema allows")
      ->type_name("FILE");
  group
      ->add_option("--grammar", options.grammar,
                   "the answer follows this GBNF grammar")
      ->type_name("FILE");
  group
      ->add_option("--regex", options.regex,
                   "the answer is a text that this expression matches whole")
      ->type_name("TEXT");
  options.choice = group
                       ->add_option("--choice", options.choices,
                                    "the answer is one of these")
                       ->type_name("A,B,...")
                       ->delimiter(',')
                       ->allow_extra_args(false);
  group->require_option(0, 1);
}

result<asked_format> read_format(const format_options& options) {
  asked_format asked;
  asked.options = &options;
  const auto& file = options.schema ? options.schema : options.grammar;
  if (!file) return asked;
  TINYPHI_TRY(asked.text, tinyphi::read_file(*file, max_file_bytes));
  return asked;
}

result<std::optional<constraint>> to_constraint(const asked_format& asked,
                                                const tinyphi::engine& engine) {
  if (!asked.options->any()) return std::optional<constraint>();
  TINYPHI_TRY(const auto vocabulary, engine.vocabulary());
  auto made = make(asked, vocabulary);
  if (made) return std::optional(*std::move(made));
  tinyphi::error e = std::move(made).error();
  e.message = place(*asked.options) + ": " + e.message;
  return e;
}

}  // namespace cli
