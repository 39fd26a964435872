// SPDX-License-Identifier: MIT
// What a file declares and does not use is a slip: a misspelt name, or what was
// forgotten when something else went. Only for graphs without faults: a
// misspelt reference would leave its target unused, too. Its faults: TP1014,
// TP2012, TP2015, TP2016, TP4008.
#ifndef TINYPHI_PIPELINE_PASSES_UNUSED_IPP_
#define TINYPHI_PIPELINE_PASSES_UNUSED_IPP_

#include "tinyphi/pipeline/passes/compilation.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline std::vector<bool> used_slots(const graph& g) {
  std::vector<bool> used(g.slots.size());
  const auto use = [&](const graph_source& s) {
    if (s.what == graph_source::kind::slot) used[s.slot] = true;
  };
  const auto read = [&](const expression& e) {
    for (const std::size_t slot : e.reads()) {
      if (slot < used.size()) used[slot] = true;
    }
  };
  for (const graph_stage& s : g.stages) {
    for (const graph_port& p : s.in) {
      std::ranges::for_each(p.binding.from, use);
      if (p.carried != no_stage) used[s.first_slot + p.carried] = true;
    }
    if (s.when) read(s.when->test);
    if (s.each) use(*s.each);
  }
  for (const graph_switch& s : g.switches) {
    for (const auto& one : s.cases) {
      if (one.test) read(one.test->test);
    }
  }
  for (const graph_output& o : g.outputs) {
    std::ranges::for_each(o.binding.from, use);
  }
  return used;
}

// Whether somebody asks if the stage failed.
inline std::vector<bool> asked_stages(const graph& g) {
  std::vector<bool> asked(g.stages.size());
  const auto note = [&](const std::optional<graph_condition>& c) {
    if (!c) return;
    for (const std::size_t stage : c->test.calls()) asked[stage] = true;
  };
  for (const graph_stage& s : g.stages) note(s.when);
  for (const graph_switch& s : g.switches) {
    for (const auto& one : s.cases) note(one.test);
  }
  return asked;
}

// A type that only an unused one refers to is unused, too.
inline std::set<std::string, std::less<>> used_types(const compilation& c) {
  std::vector<std::string> open(c.used.types.begin(), c.used.types.end());
  for (const auto& [name, t] : c.spec.types) {
    if (t.used) open.push_back(name);
  }
  std::set<std::string, std::less<>> used;
  while (!open.empty()) {
    const std::string name = std::move(open.back());
    open.pop_back();
    const auto t = c.spec.types.find(name);
    if (t == c.spec.types.end() || !used.insert(name).second) continue;
    open.insert(open.end(), t->second.refers.begin(), t->second.refers.end());
  }
  return used;
}

inline void add_used_by_triggers(compilation& c) {
  for (const trigger_spec& t : c.spec.triggers) {
    const auto* http = std::get_if<http_trigger>(&t.when);
    if (http != nullptr) c.used.secrets.insert(http->token);
    if (std::holds_alternative<watched_files>(t.when)) {
      c.used.named_files = true;
    }
  }
}

inline void add_used_places(compilation& c) {
  used_names& used = c.used;
  for (const graph_stage& s : c.g.stages) {
    if (s.plugin.id.starts_with("./")) continue;  // it has added its own
    for (const graph_port& p : s.in) {
      const bool is_bound = !p.binding.from.empty();
      used.named_files =
          used.named_files || (is_bound && p.type.is(type_kind::file));
    }
    if (s.facts.hosts) {
      for (const network_host& h : *s.facts.hosts) {
        used.hosts.insert(to_string(h));
      }
    } else if (has(s.effects, effect::net) && s.tools.empty()) {
      used.all_hosts = true;
    }
    if (s.facts.programs) {
      for (const auto& p : *s.facts.programs) used.programs.insert(p.string());
    } else if (has(s.effects, effect::exec) && s.tools.empty()) {
      used.all_programs = true;
    }
  }
}

// What [allow] grants and nothing takes. Folders are needed all or not at all,
// since data names the files.
inline void report_unused_places(compilation& c) {
  const auto check = [&](std::string_view key, const auto& entries,
                         auto is_used, std::string_view why) {
    const auto at = c.spec.allowed_at.find(key);
    if (at == c.spec.allowed_at.end()) return;
    for (std::size_t i = 0; i < entries.size() && i < at->second.size(); ++i) {
      if (is_used(entries[i]) || at->second[i].library != 0) continue;
      c.report(fault::unneeded_grant, at->second[i],
               "[allow]." + std::string(key) + ": " + std::string(why));
    }
  };
  const used_names& used = c.used;
  const allowed_places& allowed = c.spec.allowed;
  using folder = std::filesystem::path;
  check(
      "read", allowed.read, [&](const folder&) { return used.named_files; },
      "nothing needs it: no stage reads files that data names");
  check(
      "write", allowed.write, [](const folder&) { return false; },
      "nothing needs it: no stage writes files that data names");
  check(
      "net", allowed.net,
      [&](const network_host& h) {
        return used.all_hosts || used.hosts.contains(to_string(h));
      },
      "nothing needs it: no stage asks this host");
  check(
      "exec", allowed.exec,
      [&](const folder& granted) {
        return used.all_programs ||
               std::ranges::any_of(used.programs, [&](const std::string& p) {
                 return is_within(p, granted);
               });
      },
      "nothing needs it: no stage starts this program");
}

// Of libraries, files use what they need.
inline void report_unused_names(compilation& c) {
  if (c.spec.is_part) return;
  const auto check = [&](const char* table, const std::string& name,
                         position at, bool is_used) {
    if (is_used || at.library != 0) return;
    c.report(fault::unused_name, at, table + (" " + name) + " is never used");
  };
  for (const auto& [name, env] : c.spec.env) {
    check("env", name, env.at, env.in_text || c.used.env.contains(name));
  }
  for (const auto& [name, at] : c.spec.models_at) {
    check("model", name, at, c.used.models.contains(name));
  }
  for (const auto& [name, rules] : c.spec.rules) {
    check("rules", name, rules.at, c.used.rules.contains(name));
  }
  for (const auto& [name, secret] : c.spec.secrets) {
    check("secret", name, secret.at, c.used.secrets.contains(name));
  }
  for (const auto& [name, prompt] : c.spec.prompts) {
    check("prompt", name, prompt.at, c.used.prompts.contains(name));
  }
  for (const auto& [name, server] : c.spec.mcp_servers) {
    check("mcp", name, server.at, c.used.mcp_servers.contains(name));
  }
  for (const auto& [name, tool] : c.spec.tools) {
    check("tool", name, tool.call.at, c.used.tools.contains(name));
  }
  c.used.types = used_types(c);
  for (const auto& [name, t] : c.spec.types) {
    check("type", name, t.at, c.used.types.contains(name));
  }
  for (const flow_grant_spec& grant : c.spec.flow_grants) {
    if (c.used.grants.contains(grant.to)) continue;
    c.report(fault::unneeded_grant, grant.at,
             "[allow].flow: nothing needs the grant for " + quote(grant.to));
  }
  report_unused_places(c);
}

// A stage that is waited for twice: by `after`, and by a value that is taken.
inline void report_redundant_after(compilation& c, const graph_stage& s) {
  for (const std::size_t other : s.after_by_name) {
    for (const graph_port& p : s.in) {
      const auto it =
          std::ranges::find_if(p.binding.from, [&](const graph_source& from) {
            return from.what == graph_source::kind::slot &&
                   c.g.slots[from.slot].stage == other;
          });
      if (it == p.binding.from.end()) continue;
      c.report(fault::redundant_after, s.at,
               "stage " + s.id + ": already waits for " + c.g.stages[other].id +
                   " through " + it->name);
      break;
    }
  }
}

}  // namespace detail

inline void report_unused(compilation& c) {
  detail::add_used_by_triggers(c);
  detail::add_used_places(c);
  detail::report_unused_names(c);
  const std::vector<bool> used = detail::used_slots(c.g);
  const std::vector<bool> asked = detail::asked_stages(c.g);
  for (std::size_t i = 0; i < c.g.inputs.size(); ++i) {
    if (used[i]) continue;
    c.report(fault::unused_value, c.g.inputs[i].at,
             "input " + c.g.inputs[i].name + " is never used");
  }
  for (const graph_switch& s : c.g.switches) {
    bool needed = false;
    for (std::size_t i = 0; i < s.cases.size(); ++i) {
      needed = needed || used[s.first_slot + i];
    }
    if (needed) continue;
    c.report(fault::unused_value, s.at,
             "switch " + s.name + ": nothing uses its cases");
  }
  for (std::size_t i = 0; i < c.g.stages.size(); ++i) {
    const graph_stage& s = c.g.stages[i];
    detail::report_redundant_after(c, s);
    constexpr effect kept = effect::write | effect::net | effect::exec;
    bool needed = has(s.effects, kept) || asked[i];
    std::string list;
    for (std::size_t n = 0; n < s.out.size(); ++n) {
      needed = needed || used[s.first_slot + n];
      list += (list.empty() ? "" : ", ") + s.out[n].name;
    }
    if (needed) continue;
    c.report(fault::unused_value, s.at,
             "stage " + s.id + ": nothing uses its outputs (" + list +
                 "), and it has no effect");
  }
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_PASSES_UNUSED_IPP_
