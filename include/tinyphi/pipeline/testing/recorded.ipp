// SPDX-License-Identifier: MIT
// Its faults: TP5001, TP5009.
#ifndef TINYPHI_PIPELINE_TESTING_RECORDED_IPP_
#define TINYPHI_PIPELINE_TESTING_RECORDED_IPP_

#include <algorithm>

#include "tinyphi/base/json.h"
#include "tinyphi/pipeline/testing/recorded.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline std::optional<std::size_t> find_stage(const graph& g,
                                             std::string_view id) {
  const auto it = std::ranges::find(g.stages, id, &graph_stage::id);
  if (it == g.stages.end()) return std::nullopt;
  return static_cast<std::size_t>(it - g.stages.begin());
}

// Of the file itself, not of one that it calls.
inline bool is_run_of(const trace_event& e, const graph_stage& s) {
  return e.callers.empty() && e.call.stage == s.id &&
         e.outcome != trace_event::kind::skipped;
}

// What a run of the stage gave, with the types of its ports; or what is wrong
// with that.
inline result<call_outputs> restored(const trace_event& e, const graph& g,
                                     std::size_t i) {
  const graph_stage& s = g.stages[i];
  const auto wrong = [](std::string what) {
    return error{error_code::bad_data, std::move(what)};
  };
  call_outputs out(s.out.size());
  for (const auto& [name, data] : e.out) {
    const auto port = std::ranges::find(s.out, name, &port_info::name);
    const auto n = static_cast<std::size_t>(port - s.out.begin());
    if (port == s.out.end() || s.lists_failures(n)) {
      return wrong("has no out-port " + quote(name));
    }
    const type& whole = g.slots[s.first_slot + n].type;
    const type t = s.each ? whole.element() : whole;
    if (const auto misfit = find_misfit(data, t)) {
      return wrong("cannot have given " + name + ": " + *misfit);
    }
    out[n] = conform(data, t);
  }
  for (std::size_t n = 0; n < s.out.size(); ++n) {
    if (out[n] || !s.out[n].required || s.lists_failures(n)) continue;
    return wrong("gave " + s.out[n].name +
                 ", but the trace does not say what it was");
  }
  return out;
}

}  // namespace detail

TINYPHI_FUNC bool makes_prompt(const graph& g, std::size_t i) {
  const graph_stage& s = g.stages[i];
  for (std::size_t n = 0; n < s.out.size(); ++n) {
    const type& t = g.slots[s.first_slot + n].type;
    if (t.is(type_kind::prompt) || t.element().is(type_kind::prompt)) {
      return true;
    }
  }
  return false;
}

TINYPHI_FUNC std::vector<bool> stages_known(const recorded_trace& trace,
                                            const graph& g) {
  std::vector<bool> known(g.stages.size());
  for (std::size_t i = 0; i < g.stages.size(); ++i) {
    const auto end =
        std::ranges::find(trace.end.stages, g.stages[i].id,
                          [](const trace_end::stage& s) { return s.id; });
    const bool has_ended =
        end != trace.end.stages.end() && (end->done || !end->reason.empty());
    known[i] = has_ended && !makes_prompt(g, i) &&
               std::ranges::any_of(trace.events, [&](const trace_event& e) {
                 return detail::is_run_of(e, g.stages[i]);
               });
  }
  return known;
}

TINYPHI_FUNC std::vector<bool> stages_before(const recorded_trace& trace,
                                             const graph& g, std::size_t from) {
  std::vector<bool> known = stages_known(trace, g);
  const auto leave = [&](std::size_t stage) {
    const std::vector<bool> behind = following(g, stage);
    for (std::size_t i = 0; i < known.size(); ++i) {
      if (behind[i]) known[i] = false;
    }
  };
  leave(from);
  if (const auto failed = detail::find_stage(g, trace.end.failed_stage)) {
    leave(*failed);
  }
  return known;
}

TINYPHI_FUNC result<recorded_runs, diagnostic> recorded_runs::take(
    const recorded_trace& trace, const graph& g, std::vector<bool> wanted) {
  recorded_runs all;
  all.wanted_ = std::move(wanted);
  for (const trace_event& e : trace.events) {
    const auto i = detail::find_stage(g, e.call.stage);
    if (!i || !all.wanted_[*i] || !detail::is_run_of(e, g.stages[*i])) continue;
    const graph_stage& s = g.stages[*i];
    if (e.stage_hash != s.hash) {
      return diagnostic{fault::stale_trace,
                        {},
                        "stage " + s.id +
                            " has changed since; record the "
                            "request again, or let the stage "
                            "run"};
    }
    if (e.failure) {
      // What the end of the request has cancelled ends as the request did.
      const bool is_echo =
          e.failure->code == error_code::cancelled && trace.end.failure;
      all.runs_.insert_or_assign(place_of(*i, e.call),
                                 is_echo ? *trace.end.failure : *e.failure);
      continue;
    }
    auto out = detail::restored(e, g, *i);
    if (!out) {
      return diagnostic{
          fault::bad_fake, {}, "stage " + s.id + " " + out.error().message};
    }
    all.runs_.insert_or_assign(place_of(*i, e.call), std::move(out));
  }
  return all;
}

TINYPHI_FUNC std::optional<result<call_outputs>> recorded_runs::find(
    std::size_t stage, const stage_call& call) const {
  const auto it = runs_.find(place_of(stage, call));
  if (it == runs_.end()) return std::nullopt;
  return it->second;
}

namespace detail {

// A text of TOML.
inline std::string toml_text(std::string_view text) {
  std::string out = json::serialize(
      json::string(json::string_view(text.data(), text.size())));
  // What JSON leaves as it is, and TOML does not.
  for (std::size_t i = out.find('\x7f'); i != std::string::npos;
       i = out.find('\x7f', i)) {
    out.replace(i, 1, "\\u007f");
  }
  return out;
}

// A text of an expression; nothing if it has no short form.
inline std::optional<std::string> expression_text(std::string_view text) {
  constexpr std::size_t longest = 200;
  if (text.size() > longest) return std::nullopt;
  std::string out = "'";
  for (const char c : text) {
    switch (c) {
      case '\n':
        out += "\\n";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\\':
      case '\'':
        out += '\\';
        out += c;
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == '\x7f') {
          return std::nullopt;
        }
        out += c;
    }
  }
  return out + "'";
}

// That an output has this value, as an expectation; nothing if there is no
// short one.
inline std::optional<std::string> expectation_of(const std::string& name,
                                                 const value_data& data) {
  if (const auto* yes = data.get<bool>()) {
    return (*yes ? "output." : "not output.") + name;
  }
  if (const auto* n = data.get<std::int64_t>()) {
    if (*n < 0) return std::nullopt;
    return "output." + name + " == " + std::to_string(*n);
  }
  const auto* text = data.get<std::string>();
  if (text == nullptr) return std::nullopt;
  const auto quoted = expression_text(*text);
  if (!quoted) return std::nullopt;
  return "output." + name + " == " + *quoted;
}

inline std::string toml_list(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& t : texts) {
    out += (out.empty() ? "" : ",\n          ") + toml_text(t);
  }
  return "[" + out + "]";
}

}  // namespace detail

TINYPHI_FUNC std::string test_from(const recorded_trace& trace, const graph& g,
                                   std::string_view path) {
  std::vector<std::string> expect, snapshot;
  if (trace.end.failure) {
    expect.push_back("error.code == '" +
                     std::string(to_string(trace.end.failure->code)) + "'");
    if (!trace.end.failed_stage.empty()) {
      expect.push_back("error.stage == '" + trace.end.failed_stage + "'");
    }
  }
  for (const auto& [name, data] : trace.end.outputs) {
    const auto it = std::ranges::find(g.outputs, name, &graph_output::name);
    if (it == g.outputs.end()) continue;
    // Durations and sizes are integers that an integer is not compared with.
    const bool has_literal = it->type.is(type_kind::text) ||
                             it->type.is(type_kind::boolean) ||
                             it->type.is(type_kind::integer);
    auto text = has_literal ? detail::expectation_of(name, data) : std::nullopt;
    if (text) {
      expect.push_back(*std::move(text));
    } else {
      snapshot.push_back("output." + name);
    }
  }
  for (const trace_end::stage& s : trace.end.stages) {
    if (trace.end.failure || s.done || s.reason.empty() ||
        !detail::find_stage(g, s.id)) {
      continue;
    }
    expect.push_back("not ran(" + s.id + ")");
  }
  if (expect.empty() && snapshot.empty()) {
    for (const trace_end::stage& s : trace.end.stages) {
      if (s.done && detail::find_stage(g, s.id)) {
        expect.push_back("ran(" + s.id + ")");
      }
    }
  }
  std::string out = "[[test]]\nname   = " +
                    detail::toml_text("recorded in " + std::string(path)) +
                    "\ntrace  = " + detail::toml_text(path) + "\n";
  if (!expect.empty()) {
    out += "expect = " + detail::toml_list(expect) + "\n";
  }
  if (!snapshot.empty()) {
    out += "snapshot = " + detail::toml_list(snapshot) + "\n";
  }
  return out;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_TESTING_RECORDED_IPP_
