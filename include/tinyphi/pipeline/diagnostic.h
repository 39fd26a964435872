// SPDX-License-Identifier: MIT
// What is wrong with a file in TOML, a pipeline or the daemon's, and where.
#ifndef TINYPHI_PIPELINE_DIAGNOSTIC_H_
#define TINYPHI_PIPELINE_DIAGNOSTIC_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN

// From 1; columns count characters. Line 0: the file as a whole, column 0: the
// line as a whole.
struct position {
  std::size_t line = 0;
  std::size_t column = 0;
  std::size_t library = 0;  // which one, from 1; 0: in the file itself

  friend bool operator==(const position&, const position&) = default;
  // The file itself comes first.
  friend auto operator<=>(const position& a, const position& b) {
    return std::tie(a.library, a.line, a.column) <=>
           std::tie(b.library, b.line, b.column);
  }
};

// One code per cause; codes keep their meaning for ever.
enum class fault : std::uint16_t {
  not_toml = 1001,         // not TOML, not UTF-8, too large or too deep
  unknown_key = 1002,      // a key or table that the language does not have
  missing_key = 1003,      // a key that must be there
  wrong_type = 1004,       // a value of the wrong TOML type, or not of the form
  out_of_range = 1005,     // a value outside its range or list
  bad_version = 1006,      // `tinyphi = 1` missing or another number
  bad_name = 1007,         // an id that is not [a-z][a-z0-9_]{0,31}
  not_supported = 1008,    // part of the language that this version lacks
  bad_env = 1009,          // ${...} that names nothing, or an unusable value
  unknown_plugin = 1010,   // `use` names no plugin, or another major version
  bad_include = 1011,      // a library that is missing, or has what it must not
  defined_twice = 1012,    // stages, switches and tools share their names
  keys_conflict = 1013,    // two keys that exclude each other, or need another
  unused_name = 1014,      // a name of a table that nothing uses
  bad_type = 1016,         // a type that there is not, or not here
  unknown_port = 2001,     // in.x of a port that the plugin does not have
  unknown_value = 2002,    // a reference to nothing
  type_mismatch = 2003,    // a value of one type where another is wanted
  unbound_port = 2004,     // a required port that nothing is bound to
  several_prompts = 2005,  // a prompt is not bound, and there are several
  cycle = 2006,            // stages that wait for each other
  maybe_absent = 2007,     // a value that may be absent where it must not be
  bad_expression = 2008,   // an expression does not parse or type
  each_no_list = 2009,     // `each` of something that is no list
  each_hole = 2010,        // a list with an item that may be absent
  bad_carry = 2011,        // `repeat.carry` of no port, or of the wrong type
  bad_switch = 2012,       // a switch whose last case is not "else"
  never_fails = 2013,      // failed() of a stage that ends the request
  bad_fallback = 2014,     // a fallback for no out-port
  unused_value = 2015,     // an input, a switch or a stage that nothing uses
  redundant_after = 2016,  // `after` a stage that is waited for anyway
  unordered_file = 2017,   // a file that is read and written in any order
  call_circle = 2018,      // files that call each other, or nest too deep
  no_retry = 2019,         // `retry` of an effect
  never_runs = 2020,       // inputs and `when` that exclude each other
  bad_template = 3001,     // a template that does not compile
  unknown_variable = 3002,   // a template's name that nothing is bound to
  bad_fit = 3003,            // `fit` for what no template uses
  over_budget = 3004,        // worst-case tokens exceed the context
  context_too_large = 3006,  // more than the model's own
  other_model = 3007,        // a prompt that is laid out for another model
  setup_failed = 4000,       // a stage could not be created
  driven_port = 4001,        // untrusted data decides what an effect does
  driven_effect = 4002,      // untrusted data decides whether an effect happens
  not_allowed = 4003,        // more than [allow] of the caller says
  label_too_low = 4004,  // a file is called with less trusted data than it says
  driven_tool = 4005,    // a tool with an effect that untrusted data may call
  bad_secret = 4006,     // a secret where it could be seen
  user_in_system = 4007,    // a value that is not trusted in a system turn
  unneeded_grant = 4008,    // an entry of [allow] that nothing needs
  granted = 4009,           // an exception that something needs
  bad_fake = 5001,          // a fake of nothing, or of the wrong type
  fake_incomplete = 5002,   // something reads what a fake does not give
  needs_fake = 5003,        // a model or an effect in a test without one
  expect_failed = 5004,     // what a test expects does not hold
  bad_expect = 5005,        // an expectation that does not parse or type
  snapshot_differs = 5006,  // a value is not what it was
  bad_case = 5007,          // a line of `run --each` or `eval` that cannot be
  not_covered = 5008,       // what no test reaches
  stale_trace = 5009,       // a trace of a stage that has changed since
  bad_address = 6001,       // `listen`, `hosts`, `origins`: not of their form
  exposed = 6002,           // an address that others reach, without keys
  plain_http = 6003,        // such an address, and nobody said that it is known
  nothing_served = 6004,    // no model and no pipeline; no key in a key file
  name_taken = 6005,        // two things under one name
  bad_digest = 6006,        // not 64 hexadecimal digits
  same_digest = 6007,       // one secret for two keys
  unknown_name = 6008,      // a name of nothing in the file
  bad_credential = 6009,    // not "credential:NAME"
  bad_keyword = 6102,       // of a schema: a value that the keyword cannot have
  unsupported_keyword = 6103,  // of a draft of JSON Schema, not of the profile
  unknown_keyword = 6104,      // of no draft
  bad_reference = 6105,        // $ref to what is no table of [type]
  endless_reference = 6106,    // a type that is itself and nothing more
  bad_pattern = 6107,          // a pattern that has no automaton
  bad_format = 6108,           // a format that is not checked here
  schema_too_large = 6109,     // more of something than is allowed
  overlapping_schemas = 6110,  // oneOf whose branches one value may fit
  unwritable_schema = 6111,    // checked, but no answer can be held to it
};

// The name of each code, which `tinyphi explain` has a page for.
struct named_fault {
  fault code;
  std::string_view name;
};
inline constexpr named_fault named_faults[] = {
    {fault::not_toml, "not_toml"},
    {fault::unknown_key, "unknown_key"},
    {fault::missing_key, "missing_key"},
    {fault::wrong_type, "wrong_type"},
    {fault::out_of_range, "out_of_range"},
    {fault::bad_version, "bad_version"},
    {fault::bad_name, "bad_name"},
    {fault::not_supported, "not_supported"},
    {fault::bad_env, "bad_env"},
    {fault::unknown_plugin, "unknown_plugin"},
    {fault::bad_include, "bad_include"},
    {fault::defined_twice, "defined_twice"},
    {fault::keys_conflict, "keys_conflict"},
    {fault::unused_name, "unused_name"},
    {fault::bad_type, "bad_type"},
    {fault::unknown_port, "unknown_port"},
    {fault::unknown_value, "unknown_value"},
    {fault::type_mismatch, "type_mismatch"},
    {fault::unbound_port, "unbound_port"},
    {fault::several_prompts, "several_prompts"},
    {fault::cycle, "cycle"},
    {fault::maybe_absent, "maybe_absent"},
    {fault::bad_expression, "bad_expression"},
    {fault::each_no_list, "each_no_list"},
    {fault::each_hole, "each_hole"},
    {fault::bad_carry, "bad_carry"},
    {fault::bad_switch, "bad_switch"},
    {fault::never_fails, "never_fails"},
    {fault::bad_fallback, "bad_fallback"},
    {fault::unused_value, "unused_value"},
    {fault::redundant_after, "redundant_after"},
    {fault::unordered_file, "unordered_file"},
    {fault::call_circle, "call_circle"},
    {fault::no_retry, "no_retry"},
    {fault::never_runs, "never_runs"},
    {fault::bad_template, "bad_template"},
    {fault::unknown_variable, "unknown_variable"},
    {fault::bad_fit, "bad_fit"},
    {fault::over_budget, "over_budget"},
    {fault::context_too_large, "context_too_large"},
    {fault::other_model, "other_model"},
    {fault::setup_failed, "setup_failed"},
    {fault::driven_port, "driven_port"},
    {fault::driven_effect, "driven_effect"},
    {fault::not_allowed, "not_allowed"},
    {fault::label_too_low, "label_too_low"},
    {fault::driven_tool, "driven_tool"},
    {fault::bad_secret, "bad_secret"},
    {fault::user_in_system, "user_in_system"},
    {fault::unneeded_grant, "unneeded_grant"},
    {fault::granted, "granted"},
    {fault::bad_fake, "bad_fake"},
    {fault::fake_incomplete, "fake_incomplete"},
    {fault::needs_fake, "needs_fake"},
    {fault::expect_failed, "expect_failed"},
    {fault::bad_expect, "bad_expect"},
    {fault::snapshot_differs, "snapshot_differs"},
    {fault::bad_case, "bad_case"},
    {fault::not_covered, "not_covered"},
    {fault::stale_trace, "stale_trace"},
    {fault::bad_address, "bad_address"},
    {fault::exposed, "exposed"},
    {fault::plain_http, "plain_http"},
    {fault::nothing_served, "nothing_served"},
    {fault::name_taken, "name_taken"},
    {fault::bad_digest, "bad_digest"},
    {fault::same_digest, "same_digest"},
    {fault::unknown_name, "unknown_name"},
    {fault::bad_credential, "bad_credential"},
    {fault::bad_keyword, "bad_keyword"},
    {fault::unsupported_keyword, "unsupported_keyword"},
    {fault::unknown_keyword, "unknown_keyword"},
    {fault::bad_reference, "bad_reference"},
    {fault::endless_reference, "endless_reference"},
    {fault::bad_pattern, "bad_pattern"},
    {fault::bad_format, "bad_format"},
    {fault::schema_too_large, "schema_too_large"},
    {fault::overlapping_schemas, "overlapping_schemas"},
    {fault::unwritable_schema, "unwritable_schema"},
};

enum class severity : std::uint8_t { error, warning, note };
// Of a fault; only errors keep a file from being run.
[[nodiscard]] constexpr severity severity_of(fault code) {
  switch (code) {
    case fault::redundant_after:
    case fault::user_in_system:
    case fault::not_covered:
      return severity::warning;
    case fault::granted:
      return severity::note;
    default:
      return severity::error;
  }
}
[[nodiscard]] constexpr std::string_view to_string(severity s) {
  constexpr std::string_view names[] = {"error", "warning", "note"};
  return names[static_cast<std::size_t>(s)];
}

// "TP2007".
[[nodiscard]] std::string to_string(fault code);

struct diagnostic {
  fault code = fault::not_toml;
  position at;
  std::string message;  // the place in words, what was found, what is allowed
  // Another one, which is called or included; empty: the file itself.
  std::string file = {};

  friend bool operator==(const diagnostic&, const diagnostic&) = default;
};

// "file:line:col: error[TP1002]: message", with '?' for control characters.
[[nodiscard]] bool has_errors(std::span<const diagnostic> all);

[[nodiscard]] std::string to_string(const diagnostic& d, std::string_view file);
// All of them, one a line, in the order of the file.
[[nodiscard]] std::string to_string(std::span<const diagnostic> all,
                                    std::string_view file);
// A JSON array of {"code", "file", "line", "column", "message"}.
[[nodiscard]] std::string to_json(std::span<const diagnostic> all,
                                  std::string_view file);

// 'text' in quotes, cut where it is very long.
[[nodiscard]] std::string quote(std::string_view text);

// The known name nearest to `found`; empty if none is near.
[[nodiscard]] std::string_view nearest_name(
    std::string_view found, std::span<const std::string_view> known);
// "; did you mean 'x'?" for the known name nearest to `found`, or nothing if
// none is near.
[[nodiscard]] std::string did_you_mean(std::string_view found,
                                       std::span<const std::string_view> known);

// A key that an earlier form of the language had, and what to do instead.
struct retired_key {
  std::string_view key;
  std::string_view advice;
};
// What helps whoever wrote the unknown key `found`: the advice, else
// did_you_mean.
[[nodiscard]] std::string key_hint(std::string_view found,
                                   std::span<const std::string_view> known,
                                   std::span<const retired_key> retired);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/diagnostic.ipp"
#endif

#endif  // TINYPHI_PIPELINE_DIAGNOSTIC_H_
