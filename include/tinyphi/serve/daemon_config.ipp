// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_DAEMON_CONFIG_IPP_
#define TINYPHI_SERVE_DAEMON_CONFIG_IPP_

#include <limits>
#include <map>

#include "tinyphi/pipeline/toml_file.h"
#include "tinyphi/serve/daemon_config.h"
#include "tinyphi/serve/serve_table_reader.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline constexpr std::string_view pipeline_prefix = "pipeline:";
inline constexpr std::string_view any_name = "*";
// What matrices can be turned into while they are loaded.
inline constexpr std::string_view made_types[] = {
    "q8_0", "q6_k", "q5_k", "q4_k", "q5_1", "q5_0", "q4_1", "q4_0"};

class daemon_reader : private serve_table_reader {
 public:
  daemon_reader(const config_node& root, const std::filesystem::path& file,
                std::vector<diagnostic>& faults)
      : serve_table_reader(root, file, faults) {}

  daemon_config read() {
    check_keys(*root_, "", {"tinyphi", "serve", "model", "pipeline"}, {});
    check_version();
    read_serve();
    const config_table* models = named_section("model");
    const config_table* pipelines = named_section("pipeline");
    if (models != nullptr) {
      for (const config_member& m : *models) read_model(m);
    }
    if (pipelines != nullptr) {
      for (const config_member& m : *pipelines) read_pipeline(m);
    }
    const auto has_none = [&](std::string_view key) {
      const config_member* m = root_->find(key);
      const auto* table = m ? m->value.get<config_table>() : nullptr;
      return m == nullptr || (table != nullptr && table->empty());
    };
    if (has_none("model") && has_none("pipeline")) {
      report(fault::nothing_served, {},
             "the file has no [model.ID] and no [pipeline.NAME], so nothing "
             "would be served");
    }
    return std::move(out_);
  }

 private:
  void read_model(const config_member& entry) {
    const std::string w = "model " + quote(entry.key);
    if (!check_name(entry, w, "._:/-") ||
        !check_table(entry, w,
                     {"path", "aliases", "threads", "sequences", "context",
                      "queue", "kv", "kv_memory", "quantize", "exact",
                      "fast_prefill", "cache_repacked", "prefix_cache", "seed"},
                     {"lora"})) {
      return;
    }
    const config_node& t = entry.value;
    model_entry model{.id = entry.key};
    read_path(entry, w, model.path);
    take_name(model.id, entry.at, w);
    if (const auto aliases = read_texts(t, "aliases", w)) {
      for (const config_node* node : *aliases) {
        const std::string& alias = *node->get<std::string>();
        if (alias != any_name && !is_model_name(alias, "._:/-")) {
          report(fault::bad_name, node->at,
                 w + ": alias " + quote(alias) +
                     " is neither a name of letters, digits and '.', '_', ':', "
                     "'/', '-' nor \"*\"");
        } else if (take_name(alias, node->at, w)) {
          model.aliases.push_back(alias);
        }
      }
    }
    read_numbers(t, w, model);
    out_.models.push_back(std::move(model));
  }

  void read_numbers(const config_node& t, const std::string& w,
                    model_entry& model) {
    const auto take = [&](std::string_view key, std::int64_t low,
                          std::int64_t high, auto& out) {
      if (const auto n = read_integer(t, key, w, low, high)) {
        out = static_cast<std::remove_reference_t<decltype(out)>>(*n);
      }
    };
    take("threads", 0, 1024, model.threads);
    take("sequences", 1, 4096, model.sequences);
    take("context", 16, 1 << 20, model.context);
    take("queue", 1, 1 << 20, model.queue);
    if (const auto n = read_integer(t, "seed", w, 0,
                                    std::numeric_limits<std::int64_t>::max())) {
      model.seed = static_cast<std::uint64_t>(*n);
    }
    model.kv_memory = static_cast<std::size_t>(
        read_bytes(t, "kv_memory", w, 1 << 20, std::uint64_t{1} << 50)
            .value_or(0));
    std::vector<std::string_view> types;
    for (const kv_type type : kv_types) types.push_back(to_string(type));
    if (const auto type = read_choice(t, "kv", w, types)) {
      model.kv = kv_types[*type];
    }
    if (const auto type = read_choice(t, "quantize", w, made_types)) {
      model.quantize = parse_dtype(made_types[*type]);
    }
    const auto flag = [&](std::string_view key, bool& out) {
      const auto* on = optional_key<bool>(t, key, w, "true or false");
      if (on != nullptr) out = *on;
    };
    flag("exact", model.exact);
    flag("fast_prefill", model.fast_prefill);
    flag("cache_repacked", model.cache_repacked);
    flag("prefix_cache", model.prefix_cache);
  }

  void read_pipeline(const config_member& entry) {
    const std::string w = "pipeline " + quote(entry.key);
    if (!check_name(entry, w, "._-") ||
        !check_table(entry, w, {"path", "chat_input", "chat_output", "mcp"},
                     {})) {
      return;
    }
    pipeline_entry p{.name = entry.key};
    take_name(std::string(pipeline_prefix) + entry.key, entry.at, w);
    read_path(entry, w, p.path);
    if (entry.value.find("path") == nullptr) {
      report(fault::missing_key, entry.at, w + ": path is missing");
    }
    const auto id = [&](std::string_view key, std::string& out) {
      const auto* text =
          optional_key<std::string>(entry.value, key, w, "a string");
      if (text == nullptr) return;
      out = *text;
      if (is_id(*text)) return;
      report(fault::bad_name, entry.value.find(key)->value.at,
             w + ": " + std::string(key) + " is " + quote(*text) +
                 ", no input or output can have such a name");
    };
    id("chat_input", p.chat_input);
    id("chat_output", p.chat_output);
    if (const auto* mcp =
            optional_key<bool>(entry.value, "mcp", w, "true or false")) {
      p.mcp = *mcp;
    }
    out_.pipelines.push_back(std::move(p));
  }

  void read_path(const config_member& entry, const std::string& w,
                 std::filesystem::path& out) {
    const auto* text =
        optional_key<std::string>(entry.value, "path", w, "a string");
    if (text == nullptr) return;
    out = local_path(*text, entry.value.find("path")->value.at, w + ": path")
              .value_or(std::filesystem::path());
  }

  bool check_name(const config_member& entry, const std::string& where,
                  std::string_view marks) {
    if (is_model_name(entry.key, marks)) return true;
    std::string all;
    for (const char c : marks) all += ", '" + std::string(1, c) + "'";
    report(fault::bad_name, entry.at,
           where +
               ": a name is a letter or digit and up to 127 letters, "
               "digits" +
               all);
    return false;
  }

  // False (reported) if a client would mean something else by it.
  bool take_name(const std::string& name, position at,
                 const std::string& where) {
    const auto [other, fresh] = names_.emplace(name, where);
    if (fresh) return true;
    report(fault::name_taken, at,
           where + ": " + quote(name) + " already means " + other->second);
    return false;
  }

  std::map<std::string, std::string> names_;  // and what they mean
};

}  // namespace detail

TINYPHI_FUNC std::optional<daemon_config> read_daemon_config(
    std::string_view text, const std::filesystem::path& file,
    std::vector<diagnostic>& faults) {
  const std::size_t before = faults.size();
  const auto root = parse_toml(text, "a daemon's file", faults);
  if (!root) return std::nullopt;
  daemon_config config = detail::daemon_reader(*root, file, faults).read();
  if (faults.size() != before) return std::nullopt;
  return config;
}

TINYPHI_FUNC result<daemon_config> default_config(
    const std::filesystem::path& model_path, std::string_view listen) {
  daemon_config config;
  TINYPHI_TRY(auto address,
              parse_listen(listen.empty() ? detail::default_listen : listen));
  if (address.kind == listen_kind::tcp) {
    TINYPHI_CHECK_OK(check_exposure(address.host, false, false));
  }
  config.listen.push_back(std::move(address));
  config.models.push_back({.id = "default",
                           .path = model_path,
                           .aliases = {std::string(detail::any_name)}});
  return config;
}

TINYPHI_FUNC daemon_config reloaded_config(const daemon_config& now,
                                           const daemon_config& next,
                                           std::vector<std::string>& left) {
  const auto compare = [&](const char* name, const auto& a, const auto& b) {
    if (a != b) left.emplace_back(name);
  };
  compare("listen", now.listen, next.listen);
  compare("memory", now.memory, next.memory);
  compare("itl_target", now.itl_target, next.itl_target);
  compare("hosts", now.hosts, next.hosts);
  compare("origins", now.origins, next.origins);
  compare("plain_http", now.plain_http_known, next.plain_http_known);
  compare("max_body", now.max_body, next.max_body);
  compare("approvals", now.approvals, next.approvals);
  compare("cache.folder", now.cache_folder, next.cache_folder);
  compare("cache.pin", now.pin, next.pin);
  compare("cache.persist", now.persist, next.persist);
  compare("cache.swap", now.swap, next.swap);
  compare("metrics.compat", std::pair(now.vllm_metrics, now.llamacpp_metrics),
          std::pair(next.vllm_metrics, next.llamacpp_metrics));
  compare("metrics.open", now.open_metrics, next.open_metrics);
  compare("sandbox", std::tie(now.sandbox, now.sandbox_read, now.sandbox_write),
          std::tie(next.sandbox, next.sandbox_read, next.sandbox_write));
  compare("ollama", now.ollama, next.ollama);
  daemon_config c = now;
  c.keys = next.keys;
  c.drain = next.drain;
  c.queue_deadline = next.queue_deadline;
  c.first_token_deadline = next.first_token_deadline;
  c.total_deadline = next.total_deadline;
  c.models = next.models;
  c.pipelines = next.pipelines;
  return c;
}

TINYPHI_FUNC load_options to_load_options(const model_entry& m) {
  load_options o;
  o.exact = m.exact;
  o.fast_prefill = m.fast_prefill;
  o.quantize = m.quantize;
  o.context = m.context;
  // The built-in model has no folder, and needs none.
  o.cache_repacked = m.cache_repacked && !m.path.empty();
  o.n_threads = m.threads;
  return o;
}

TINYPHI_FUNC engine_options to_engine_options(const daemon_config& c,
                                              const model_entry& m) {
  engine_options o;
  o.n_threads = m.threads;
  o.kv_bytes = m.kv_memory;
  o.cache_type = m.kv;
  o.max_sequences = m.sequences;
  o.max_waiting = m.queue;
  o.gap_ms = static_cast<double>(c.itl_target.count());
  o.prefix_cache = m.prefix_cache;
  if (c.cache_folder.empty()) return o;
  // An empty limit turns its part off.
  if (c.persist != 0) o.cache_folder = c.cache_folder;
  o.cache_folder_bytes = static_cast<std::size_t>(c.persist);
  if (c.swap != 0) o.swap_folder = c.cache_folder;
  o.swap_bytes = static_cast<std::size_t>(c.swap);
  return o;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_DAEMON_CONFIG_IPP_
