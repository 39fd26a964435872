// SPDX-License-Identifier: MIT
// Calls of other files: `use = "./note.toml"` is a stage with the file's inputs
// and outputs as ports. Its faults: TP1010, TP2018, TP4003, and those of the
// file.
#ifndef TINYPHI_PIPELINE_PASSES_CALLS_IPP_
#define TINYPHI_PIPELINE_PASSES_CALLS_IPP_

#include "tinyphi/base/mapped_file.h"
#include "tinyphi/pipeline/compile.h"
#include "tinyphi/pipeline/executor.h"
#include "tinyphi/pipeline/passes/compilation.h"
#include "tinyphi/pipeline/toml_file.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// One request of the called file for each run.
class file_instance final : public stage_instance {
 public:
  explicit file_instance(std::shared_ptr<const graph> g) : g_(std::move(g)) {}

  // A text that nobody follows is whole before it is sent on: until then the
  // file may try again.
  task<stage_outputs> run(run_context& cx, stage_inputs in) const override {
    input_values inputs;
    for (std::size_t i = 0; i < in.values.size(); ++i) {
      if (in.values[i] == nullptr) continue;
      inputs.emplace(g_->inputs[i].name, in.values[i]->data);
    }
    run_options options;
    options.stop.token = cx.stop().token;
    options.origin = cx.origin();
    options.within = cx.within();
    if (cx.within()->is_followed) {
      text_sink* const to = in.streams.front();
      options.on_text = [to](std::string_view, std::string piece) {
        return to->send(std::move(piece));
      };
    }
    if (cx.site().approve) {
      options.approve = cx.site().approve.with(
          [stage = cx.site().stage,
           effects = cx.site().effects](approval_question& q) {
            q.stage = stage + "." + q.stage;
            q.effects = q.effects | effects;
          });
    }
    options.trace = cx.trace();
    task<result<run_result>> whole =
        run_graph(g_, std::move(inputs), std::move(options), cx.pool());
    const result<run_result> done = co_await std::move(whole);
    if (!done) throw stage_error(done.error());
    stage_outputs out;
    for (const graph_output& o : g_->outputs) {
      const auto it = done->outputs.find(o.name);
      const bool is_absent = it == done->outputs.end();
      if (!o.stream) {
        out.plain.push_back(is_absent ? std::nullopt
                                      : std::optional(it->second.data));
        continue;
      }
      out.absent.push_back(is_absent);
      if (is_absent || cx.within()->is_followed) continue;
      std::string text = *it->second.get<std::string>();
      task<void> sent = in.streams.front()->send(std::move(text));
      co_await std::move(sent);
    }
    co_return out;
  }

 private:
  std::shared_ptr<const graph> g_;
};

class file_setup final : public stage_setup {
 public:
  file_setup(std::shared_ptr<graph> g, std::string file)
      : g_(std::move(g)), file_(std::move(file)) {}

  stage_ports ports(bound_ports) const override { return {}; }
  stage_facts check(const call_facts&, host&) const override { return {}; }
  std::unique_ptr<stage_instance> create(const call_facts&,
                                         host&) const override {
    unwrap(create_stages(*g_, file_));
    return std::make_unique<file_instance>(g_);
  }
  const graph* called_file() const override { return g_.get(); }

 private:
  std::shared_ptr<graph> g_;
  std::string file_;
};

class call_pass {
 public:
  explicit call_pass(compilation& c) : c_(c) {}

  // The stage that a call of a file is; null (reported) if it cannot be.
  const stage_type* open(const stage_spec& s) {
    const std::string where = s.title() + ": ";
    const std::filesystem::path path =
        (c_.g.services->base_dir() / s.plugin).lexically_normal();
    std::error_code unknown;
    const auto real = std::filesystem::weakly_canonical(path, unknown);
    if (std::ranges::find(c_.callers, real) != c_.callers.end()) {
      std::string names;
      for (const auto& caller : c_.callers) {
        names += caller.filename().string() + " -> ";
      }
      c_.report(
          fault::call_circle, s.plugin_at,
          where + "files call each other: " + names + real.filename().string());
      return nullptr;
    }
    if (c_.callers.size() >= max_call_depth) {
      c_.report(fault::call_circle, s.plugin_at,
                where + "files call each other more than " +
                    std::to_string(max_call_depth) + " deep");
      return nullptr;
    }
    const auto text = read_file(path, toml_limits::max_bytes);
    if (!text) {
      c_.report(fault::unknown_plugin, s.plugin_at,
                where + text.error().message);
      return nullptr;
    }
    return describe(s, compile(*text, path, s));
  }

 private:
  std::shared_ptr<graph> compile(const std::string& text,
                                 const std::filesystem::path& path,
                                 const stage_spec& s) {
    std::vector<diagnostic> faults;
    std::shared_ptr<graph> g;
    auto spec =
        read_spec(text, path, c_.options.env, faults, c_.options.read_library);
    if (spec && !spec->incomplete) {
      inherit(spec->allowed.read, c_.spec.allowed.read, "read", s);
      inherit(spec->allowed.write, c_.spec.allowed.write, "write", s);
      inherit(spec->allowed.exec, c_.spec.allowed.exec, "exec", s);
      inherit_limits(*spec, s);
      inherit_hosts(spec->allowed.net, s);
      g = compile_graph(*spec, c_.plugins, c_.options, path, faults,
                        c_.callers);
    }
    for (diagnostic& d : faults) {
      if (d.file.empty()) d.file = path.string();
      c_.faults.push_back(std::move(d));
    }
    return g;
  }

  // A file that grants no folders has those of its caller; what it grants must
  // lie within them.
  void inherit(std::vector<std::filesystem::path>& folders,
               const std::vector<std::filesystem::path>& callers,
               std::string_view key, const stage_spec& s) {
    if (folders.empty()) folders = callers;
    for (const auto& folder : folders) {
      const auto holds = [&](const std::filesystem::path& outer) {
        return is_within(folder, outer);
      };
      if (std::ranges::any_of(callers, holds)) continue;
      c_.report(fault::not_allowed, s.plugin_at,
                s.title() + ": " + s.plugin + " grants [allow]." +
                    std::string(key) + " = " + quote(folder.string()) +
                    ", which nothing in this file's [allow]." +
                    std::string(key) + " holds");
    }
  }

  // What a file does not set it has from its caller; what it sets must not be
  // more. How many requests run at once is asked of the first file only, and
  // its class is the best that any of its models has.
  void inherit_limits(pipeline_spec& spec, const stage_spec& s) {
    const request_limits& callers = c_.spec.limits;
    const auto inherit = [&](std::string_view key, std::size_t& own,
                             std::size_t most) {
      if (!spec.limits_at.contains(key)) own = most;
      if (own <= most) return;
      c_.report(fault::out_of_range, s.plugin_at,
                s.title() + ": " + s.plugin + " sets [limits]." +
                    std::string(key) + " to " + std::to_string(own) +
                    ", and this file allows " + std::to_string(most) +
                    "; a called file may take less, not more");
    };
    inherit("items", spec.limits.items, callers.items);
    inherit("text", spec.limits.text, callers.text);
    inherit("memory", spec.limits.memory, callers.memory);
    if (!spec.limits_at.contains("class")) {
      spec.limits.priority = callers.priority;
    }
  }

  void inherit_hosts(std::vector<network_host>& hosts, const stage_spec& s) {
    const auto& callers = c_.spec.allowed.net;
    if (hosts.empty()) hosts = callers;
    for (const network_host& host : hosts) {
      if (std::ranges::find(callers, host) != callers.end()) continue;
      c_.report(fault::not_allowed, s.plugin_at,
                s.title() + ": " + s.plugin +
                    " grants [allow].net = " + quote(to_string(host)) +
                    ", which this file's [allow].net does not name");
    }
  }

  const stage_type* describe(const stage_spec& s, std::shared_ptr<graph> g) {
    if (g == nullptr) return nullptr;
    stage_type& type = c_.called.emplace_back();
    type.info.id = c_.g.called_files.emplace_back(s.plugin);
    type.info.summary = g->summary;
    c_.used.add_places(g->used);
    type.info.effects = g->effects;
    type.info.unasked_effects = g->unasked_effects;
    type.file_hash = g->hash;
    for (const input_spec& i : g->inputs) {
      port_info p{.name = i.name,
                  .types = {i.type},
                  .required = !i.optional && !i.default_value};
      p.accepts = i.label;
      type.in_ports.push_back(std::move(p));
    }
    for (const graph_output& o : g->outputs) {
      auto& ports = o.stream ? type.stream_ports : type.out_ports;
      ports.push_back({.name = o.name,
                       .types = {o.type},
                       .required = !o.may_be_absent,
                       .stream = o.stream});
      type.info.makes = join(type.info.makes, o.label);
    }
    const std::string file =
        (c_.g.services->base_dir() / s.plugin).lexically_normal().string();
    type.configure = [g, file](param_reader& reader) {
      reader.finish();
      return std::make_unique<file_setup>(g, file);
    };
    return &type;
  }

  compilation& c_;
};

}  // namespace detail

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_PASSES_CALLS_IPP_
