// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_COMPILE_IPP_
#define TINYPHI_PIPELINE_COMPILE_IPP_

#include <algorithm>

#include "tinyphi/pipeline/compile.h"
#include "tinyphi/pipeline/graph_prover.ipp"
#include "tinyphi/pipeline/unused.ipp"

TINYPHI_NAMESPACE_BEGIN

class graph_compiler {
 public:
  graph_compiler(const pipeline_spec& spec, const registry& plugins,
                 std::shared_ptr<host> services,
                 std::vector<diagnostic>& faults)
      : spec_(spec),
        plugins_(plugins),
        faults_(faults),
        g_(std::make_shared<graph>()) {
    g_->services = std::move(services);
  }

  std::shared_ptr<graph> compile() {
    g_->name = spec_.name;
    g_->version = spec_.version;
    g_->summary = spec_.summary;
    g_->deadline = spec_.deadline;
    add_inputs();
    for (const stage_spec& s : spec_.stages) add_stage(s);
    for (std::size_t i = 0; i < g_->stages.size(); ++i) bind_stage(i);
    for (std::size_t i = 0; i < g_->stages.size(); ++i) bind_by_rule(i);
    graph_prover prover(*g_, faults_);
    if (prover.sort_stages()) prover.follow_values();
    add_outputs();
    prover.check_budgets();
    for (const std::string& name : used_.models) check_context(name);
    if (faults_.empty()) report_unused(spec_, *g_, used_, faults_);
    return std::move(g_);
  }

 private:
  void report(fault code, position at, std::string message) {
    faults_.push_back({code, at, std::move(message)});
  }

  void add_inputs() {
    g_->inputs = spec_.inputs;
    for (const input_spec& input : g_->inputs) {
      g_->slots.push_back({.name = "input." + input.name,
                           .type = input.type,
                           .stage = no_stage,
                           .stream = false,
                           .may_be_absent = false,
                           .label = input.label});
    }
  }

  void add_stage(const stage_spec& s) {
    const std::string where = "stage " + s.id;
    graph_stage& stage = g_->stages.emplace_back();
    stage.id = s.id;
    stage.at = s.at;
    stage.timeout = s.timeout;
    stage.skip_on_error = s.skip_on_error;
    stage.first_slot = g_->slots.size();
    const stage_type* type = find_plugin(s);
    known_.push_back(type != nullptr);
    complete_.push_back(type != nullptr);
    misbound_.push_back(false);
    if (type == nullptr) return;
    stage.plugin = type->info;
    stage.out = type->out_ports;
    for (const port_info& p : type->in_ports) add_port(stage, p);
    stage.n_fixed_ports = stage.in.size();
    configure(s, *type, stage);
    if (s.major && *s.major != type->info.major) complete_.back() = false;
    for (const port_info& p : stage.out) {
      g_->slots.push_back({.name = s.id + "." + p.name,
                           .type = p.types.front(),
                           .stage = g_->stages.size() - 1,
                           .stream = p.stream,
                           .may_be_absent = !p.required,
                           .label = trust::trusted});
    }
  }

  static void add_port(graph_stage& stage, const port_info& info) {
    stage.in.push_back({.info = info,
                        .from = {},
                        .required = info.required,
                        .implicit = false});
  }

  const stage_type* find_plugin(const stage_spec& s) {
    if (s.plugin.empty()) return nullptr;  // reported when it was read
    const stage_type* type = plugins_.find(s.plugin);
    if (type == nullptr) {
      std::vector<std::string_view> ids;
      for (const auto& t : plugins_.types()) ids.push_back(t.first);
      report(fault::unknown_plugin, s.plugin_at,
             "stage " + s.id + ": no plugin " + quote(s.plugin) +
                 did_you_mean(s.plugin, ids));
    } else if (s.major && *s.major != type->info.major) {
      report(fault::unknown_plugin, s.plugin_at,
             "stage " + s.id + ": plugin '" + s.plugin + "' is here as @" +
                 std::to_string(type->info.major) + ", not @" +
                 std::to_string(*s.major));
    }
    return type;
  }

  // Reads `with` and asks the stage what follows from it.
  void configure(const stage_spec& s, const stage_type& type,
                 graph_stage& stage) {
    const std::size_t before = faults_.size();
    param_reader reader(s.with ? &*s.with : nullptr, "stage " + s.id, s.at,
                        *g_->services, faults_);
    stage.setup = type.configure(reader);
    used_.models.insert(reader.models().begin(), reader.models().end());
    if (faults_.size() != before) {
      complete_.back() = !type.open_in_ports;
      return;
    }
    try {
      stage.facts = stage.setup->check(*g_->services);
    } catch (const std::exception& e) {
      reader.report(fault::setup_failed, s.at, e.what());
    }
    for (const stage_facts::param_fault& f : stage.facts.faults) {
      const std::string name = "with." + f.param;
      reader.report(
          f.code, reader.place(f.param, f.offset),
          f.message.starts_with(name) ? f.message : name + ": " + f.message);
    }
    for (const port_info& p : stage.facts.in_ports) add_port(stage, p);
    complete_.back() = faults_.size() == before || !type.open_in_ports;
  }

  std::vector<std::string_view> slot_names() const {
    std::vector<std::string_view> names;
    for (const graph_slot& s : g_->slots) names.push_back(s.name);
    return names;
  }

  // The slot that `name` means, or nothing; unless the name is of a stage
  // whose plugin is not known, `message` then says why.
  std::optional<std::size_t> find_slot(std::string_view name,
                                       std::string& message) const {
    const auto it = std::ranges::find(g_->slots, name, &graph_slot::name);
    if (it != g_->slots.end()) {
      return static_cast<std::size_t>(it - g_->slots.begin());
    }
    const auto owner = find_stage(name.substr(0, name.find('.')));
    if (!owner || known_[*owner]) {
      message =
          "no such value " + quote(name) + did_you_mean(name, slot_names());
    }
    return std::nullopt;
  }

  std::optional<std::size_t> find_stage(std::string_view id) const {
    const auto it = std::ranges::find(g_->stages, id, &graph_stage::id);
    if (it == g_->stages.end()) return std::nullopt;
    return static_cast<std::size_t>(it - g_->stages.begin());
  }

  void bind_stage(std::size_t i) {
    const stage_spec& s = spec_.stages[i];
    graph_stage& stage = g_->stages[i];
    if (!known_[i]) return;
    for (const binding_spec& b : s.in) bind_port(b, i);
    for (const graph_port& p : stage.in) {
      for (const std::size_t slot : p.from) need(stage, g_->slots[slot].stage);
    }
    if (s.when) bind_condition(*s.when, stage);
    for (const reference_spec& r : s.after) {
      if (const auto other = find_stage(r.name)) {
        need(stage, *other);
        stage.after_by_name.push_back(*other);
        continue;
      }
      std::vector<std::string_view> ids;
      for (const graph_stage& other : g_->stages) ids.push_back(other.id);
      report(fault::unknown_value, r.at,
             "stage " + s.id + ".after: no stage " + quote(r.name) +
                 did_you_mean(r.name, ids));
    }
  }

  static void need(graph_stage& stage, std::size_t other) {
    if (other == no_stage) return;
    if (std::ranges::find(stage.after, other) == stage.after.end()) {
      stage.after.push_back(other);
    }
  }

  void bind_port(const binding_spec& b, std::size_t i) {
    graph_stage& stage = g_->stages[i];
    const std::string where = "stage " + stage.id + ".in." + b.port;
    const auto port = std::ranges::find_if(
        stage.in, [&](const graph_port& p) { return p.info.name == b.port; });
    if (port == stage.in.end()) {
      if (complete_[i]) report_no_port(b, stage);
      misbound_[i] = true;
      return;
    }
    bool optional = false;
    for (const reference_spec& r : b.from) {
      optional = optional || r.optional;
      if (r.optional && port->info.required) {
        report(fault::maybe_absent, r.at,
               where + ": the port needs a value, so '" + r.name +
                   "' cannot be marked '?'");
      }
      if (const auto slot = resolve(r, where)) {
        check_type(*slot, *port, r.at, where);
        port->from.push_back(*slot);
      }
    }
    port->required = !optional;
  }

  std::optional<std::size_t> resolve(const reference_spec& r,
                                     const std::string& where) {
    std::string message;
    const auto slot = find_slot(r.name, message);
    if (!message.empty()) {
      report(fault::unknown_value, r.at, where + ": " + message);
    }
    return slot;
  }

  void check_type(std::size_t slot, const graph_port& port, position at,
                  const std::string& where) {
    const graph_slot& s = g_->slots[slot];
    if (port.info.takes(s.type)) return;
    report(
        fault::type_mismatch, at,
        where + ": " + s.name + " is " + to_string(s.type) + ", " +
            (port.info.reason.empty() ? "the port takes "
                                      : port.info.reason + ", so it takes ") +
            to_string(port.info.types));
  }

  void report_no_port(const binding_spec& b, const graph_stage& stage) {
    std::vector<std::string_view> names;
    std::string list;
    bool of_template = false;
    for (const graph_port& p : stage.in) {
      names.push_back(p.info.name);
      list += (list.empty() ? "" : ", ") + p.info.name;
      of_template = of_template || !p.info.param.empty();
    }
    const std::string hint = did_you_mean(b.port, names);
    if (of_template) {
      report(fault::unknown_variable, b.at,
             "stage " + stage.id + ": in." + b.port +
                 ": no template of the stage uses " + quote(b.port) + hint);
      return;
    }
    report(fault::unknown_port, b.at,
           "stage " + stage.id + ": plugin '" + std::string(stage.plugin.id) +
               "' has no in-port " + quote(b.port) +
               (list.empty()   ? "; it has none"
                : hint.empty() ? "; it has " + list
                               : hint));
  }

  // The rules at the head of compile.h, for the ports that the file leaves
  // open.
  void bind_by_rule(std::size_t i) {
    if (!known_[i] || !complete_[i] || misbound_[i]) return;
    const stage_spec& s = spec_.stages[i];
    for (graph_port& p : g_->stages[i].in) {
      const bool given = std::ranges::any_of(
          s.in, [&](const auto& b) { return b.port == p.info.name; });
      if (given) continue;
      if (const auto slot = slot_by_rule(p, i)) {
        p.from = {*slot};
        p.implicit = true;
        need(g_->stages[i], g_->slots[*slot].stage);
      }
    }
  }

  // What an open port takes; nothing if there is nothing, which is reported
  // where something must be.
  std::optional<std::size_t> slot_by_rule(const graph_port& port,
                                          std::size_t i) {
    const graph_stage& stage = g_->stages[i];
    const std::string where = "stage " + stage.id;
    for (std::size_t n = 0; n < g_->inputs.size(); ++n) {
      if (g_->inputs[n].name != port.info.name) continue;
      check_type(n, port, stage.at, where + ".in." + port.info.name);
      return n;
    }
    if (port.info.types.front().is(type_kind::prompt)) {
      return only_prompt(port, i);
    }
    if (!port.info.param.empty()) {
      report_variable(port, i);
    } else if (port.info.required) {
      report(fault::unbound_port, stage.at,
             where + ": in." + port.info.name + " (" +
                 to_string(port.info.types) +
                 ") is not bound, and no input is called " +
                 quote(port.info.name));
    }
    return std::nullopt;
  }

  void report_variable(const graph_port& port, std::size_t i) {
    const graph_stage& stage = g_->stages[i];
    std::vector<std::string_view> names;
    for (const input_spec& input : g_->inputs) names.push_back(input.name);
    for (const binding_spec& b : spec_.stages[i].in) names.push_back(b.port);
    const auto& with = spec_.stages[i].with;
    report(fault::unknown_variable,
           param_place(with ? &*with : nullptr, port.info.param,
                       port.info.offset, stage.at),
           "stage " + stage.id + ": the template uses " +
               quote(port.info.name) + ", which is neither bound as in." +
               port.info.name + " nor an input" +
               did_you_mean(port.info.name, names));
  }

  std::optional<std::size_t> only_prompt(const graph_port& port,
                                         std::size_t i) {
    const graph_stage& stage = g_->stages[i];
    std::vector<std::size_t> found;
    for (std::size_t n = 0; n < g_->slots.size(); ++n) {
      const graph_slot& s = g_->slots[n];
      if (s.type.is(type_kind::prompt) && !depends(s.stage, i)) {
        found.push_back(n);
      }
    }
    if (found.size() == 1) return found.front();
    if (!port.info.required) return std::nullopt;
    const std::string what =
        "stage " + stage.id + ": in." + port.info.name + " is not bound and ";
    if (!found.empty()) {
      std::string choices;
      for (const std::size_t n : found) {
        choices += (choices.empty() ? "" : ", ") + g_->slots[n].name;
      }
      report(fault::several_prompts, stage.at,
             what + "there are " + std::to_string(found.size()) +
                 " prompts: " + choices);
    } else if (std::ranges::find(known_, false) == known_.end()) {
      report(fault::unbound_port, stage.at,
             what + "the file has no prompt that does not depend on the stage");
    }
    return std::nullopt;
  }

  // Whether stage `a` is `b` or comes after it.
  [[nodiscard]] bool depends(std::size_t a, std::size_t b) const {
    std::vector<bool> seen(g_->stages.size());
    std::vector<std::size_t> open{a};
    while (!open.empty()) {
      const std::size_t now = open.back();
      open.pop_back();
      if (now == b) return true;
      if (seen[now]) continue;
      seen[now] = true;
      const auto& after = g_->stages[now].after;
      open.insert(open.end(), after.begin(), after.end());
    }
    return false;
  }

  void bind_condition(const config_node& text, graph_stage& stage) {
    bool quiet = false;  // the fault was reported where it is
    const auto resolver = [&](std::string_view path)
        -> std::variant<expression::meaning, std::string> {
      if (path.starts_with("env.")) {
        const auto it = spec_.env.find(path.substr(4));
        if (it != spec_.env.end()) {
          used_.env.insert(it->first);
          return expression::meaning(it->second.value);
        }
        return "no " + quote(path) + " in [env]";
      }
      std::string message;
      const auto slot = find_slot(path, message);
      if (!slot) {
        quiet = message.empty();
        return message;
      }
      need(stage, g_->slots[*slot].stage);
      return expression::meaning(
          expression::slot{*slot, g_->slots[*slot].type});
    };
    stage.when_text = *text.get<std::string>();
    auto parsed = expression::parse(stage.when_text, resolver);
    if (auto* e = std::get_if<expression>(&parsed)) {
      stage.when = std::move(*e);
      return;
    }
    const auto& wrong = std::get<expression::parse_error>(parsed);
    if (quiet) return;
    report(wrong.unknown_path ? fault::unknown_value : fault::bad_expression,
           text.text_position(wrong.offset),
           "stage " + stage.id + ".when: " + wrong.message);
  }

  // What the file says of a model's context is a limit, not a promise that the
  // model could not keep.
  void check_context(const std::string& name) {
    const auto facts = g_->services->facts(name);
    if (!facts || facts->own_context == 0) return;  // the stages report it
    if (facts->context <= facts->own_context) return;
    report(fault::context_too_large, spec_.models_at.at(name),
           "model " + name + ": context is " + std::to_string(facts->context) +
               ", its file has " + std::to_string(facts->own_context));
  }

  void add_outputs() {
    for (const output_spec& o : spec_.outputs) {
      const std::string where = "output " + o.from.port;
      // One alone: a second one's pieces would come between the first's.
      const bool streams =
          std::ranges::any_of(g_->outputs, &graph_output::stream);
      graph_output out;
      out.name = o.from.port;
      bool always = false;
      bool right = !o.from.from.empty();
      for (const reference_spec& r : o.from.from) {
        const auto slot = resolve(r, where);
        if (!slot) {
          right = false;
          continue;
        }
        const graph_slot& s = g_->slots[*slot];
        if (out.from.empty()) {
          out.type = s.type;
        } else if (s.type != out.type) {
          report(fault::type_mismatch, r.at,
                 where + ": " + s.name + " is " + to_string(s.type) + ", " +
                     g_->slots[out.from.front()].name + " is " +
                     to_string(out.type));
        }
        always = always || !s.may_be_absent;
        out.stream = out.stream || (s.stream && !streams);
        out.from.push_back(*slot);
      }
      if (right) finish_output(o, where, always, out);
      g_->outputs.push_back(std::move(out));
    }
  }

  void finish_output(const output_spec& o, const std::string& where,
                     bool always, graph_output& out) {
    const position at = o.from.from.front().at;
    if (o.default_value) {
      out.default_value = node_data(*o.default_value);
      if (const auto wrong = find_misfit(*out.default_value, out.type)) {
        report(fault::type_mismatch, o.default_value->at,
               where + ": default: " + *wrong);
      }
      out.default_value = conform(*out.default_value, out.type);
    } else if (!always && faults_.empty()) {
      report(fault::maybe_absent, at,
             where + ": " + o.from.from.front().name +
                 " may be absent, so the output needs a default");
    }
  }

  const pipeline_spec& spec_;
  const registry& plugins_;
  std::vector<diagnostic>& faults_;
  std::shared_ptr<graph> g_;
  std::vector<bool> known_;     // by stage: its plugin was found
  std::vector<bool> complete_;  // by stage: all its in-ports are known
  // By stage: a name in its bindings is of no port, and may be meant for one
  // that is open.
  std::vector<bool> misbound_;
  used_names used_;
};

TINYPHI_FUNC std::shared_ptr<graph> compile_graph(
    const pipeline_spec& spec, const registry& plugins, host_options options,
    const std::filesystem::path& base_dir, std::vector<diagnostic>& faults) {
  auto services =
      std::make_shared<host>(std::move(options), base_dir, spec.models);
  const std::size_t before = faults.size();
  auto g = graph_compiler(spec, plugins, std::move(services), faults).compile();
  return faults.size() == before ? g : nullptr;
}

TINYPHI_FUNC result<void> create_stages(graph& g, std::string_view file) {
  for (graph_stage& stage : g.stages) {
    error failed;
    try {
      stage.instance = stage.setup->create(*g.services);
      continue;
    } catch (const stage_error& e) {
      failed = e.error;
    } catch (const std::exception& e) {
      failed.message = e.what();
    }
    const diagnostic d{fault::setup_failed, stage.at,
                       "stage " + stage.id + ": " + failed.message};
    return error{failed.code, to_string(d, file)};
  }
  return {};
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_COMPILE_IPP_
