// SPDX-License-Identifier: MIT
// tinyphi inspect: what a model file, a plugin, a pipeline or a server of tools
// says of itself.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/terminal.h"
#include "exit_code.h"
#include "tinyphi/base/json.h"
#include "tinyphi/files/model_file.h"
#include "tinyphi/model/model_config.h"

namespace cli {

namespace {

namespace json = tinyphi::json;

struct inspect_options {
  std::string what;  // empty: the built-in model
  bool as_json = false;
  std::string server;  // of a pipeline file; empty: none
};

json::string_view text(std::string_view s) { return s; }

// Key and value of every entry, in the file's own words.
std::vector<std::pair<std::string, std::string>> metadata_of(
    const tinyphi::model_file& file) {
  std::vector<std::pair<std::string, std::string>> out;
  if (const auto* gguf = file.gguf()) {
    for (const auto& [key, value] : gguf->metadata()) {
      out.emplace_back(key, describe(value));
    }
  }
  return out;
}

std::string summary_of(const tinyphi::model_config& c) {
  const auto n = [](auto v) { return std::to_string(v); };
  std::string s = std::string(to_string(c.arch)) + ", " + n(c.n_layers) +
                  " layers, hidden " + n(c.hidden) + ", feed-forward " +
                  n(c.intermediate) + ", " + n(c.n_heads) + " heads (" +
                  n(c.n_kv_heads) + " for keys and values) of " +
                  n(c.head_dim) + ", vocabulary " + n(c.vocab_size) +
                  ", context " + n(c.max_context);
  if (c.window > 0) s += ", window " + n(c.window);
  if (c.rope.is_longrope()) {
    s += ", longrope from " + n(c.rope.original_context);
  }
  return s;
}

std::size_t tensor_bytes(const tinyphi::model_file& file) {
  std::size_t n = 0;
  for (const auto& t : file.tensors()) n += t.bytes.size();
  return n;
}

json::object to_json(const tinyphi::model_file& file, std::string_view name,
                     const tinyphi::result<tinyphi::model_config>& config) {
  json::object out;
  out["file"] = text(name);
  out["format"] = file.gguf() != nullptr ? "gguf" : "huggingface";
  out["model"] =
      config ? json::value(text(summary_of(*config))) : json::value(nullptr);
  json::object& metadata = out["metadata"].emplace_object();
  for (const auto& [key, value] : metadata_of(file)) {
    metadata[text(key)] = text(value);
  }
  json::array& tensors = out["tensors"].emplace_array();
  for (const auto& t : file.tensors()) {
    json::array shape;
    for (const std::size_t n : t.shape) shape.emplace_back(n);
    tensors.push_back({{"name", text(t.name)},
                       {"type", text(to_string(t.type))},
                       {"shape", std::move(shape)},
                       {"bytes", t.bytes.size()}});
  }
  return out;
}

void print_model(const tinyphi::model_file& file, std::string_view name,
                 const tinyphi::result<tinyphi::model_config>& config) {
  const auto* gguf = file.gguf();
  print_line("file      " + std::string(name) + ", " +
             (gguf ? "GGUF version " + std::to_string(gguf->version())
                   : std::string("Hugging Face folder")));
  print_line("model     " + (config
                                 ? summary_of(*config)
                                 : "not runnable: " + config.error().message));
  const auto metadata = metadata_of(file);
  if (!metadata.empty()) {
    print_line("metadata  " + std::to_string(metadata.size()) + " entries");
    std::size_t width = 0;
    for (const auto& m : metadata) width = std::max(width, m.first.size());
    for (const auto& [key, value] : metadata) {
      print_line("  " + padded(key, width) + "  " + value);
    }
  }
  print_line("tensors   " + std::to_string(file.tensors().size()) + ", " +
             human_bytes(tensor_bytes(file)));
  std::size_t width = 0;
  for (const auto& t : file.tensors()) width = std::max(width, t.name.size());
  for (const auto& t : file.tensors()) {
    print_line("  " + padded(t.name, width) + "  " +
               padded(to_string(t.type), 5) + " " +
               padded(tinyphi::to_string(t.shape), 14) + " " +
               human_bytes(t.bytes.size()));
  }
}

int inspect_model(const inspect_options& o) {
  const auto file = open_model_file(o.what);
  if (!file) return fail(file.error());
  const auto config = tinyphi::read_model_config(*file);
  if (o.as_json) {
    print_line(json::serialize(to_json(*file, model_name(o.what), config)));
  } else {
    print_model(*file, model_name(o.what), config);
  }
  return exit_done;
}

int inspect(const inspect_options& o) {
  std::error_code ignored;
  if (!o.server.empty()) return inspect_server(o.what, o.server);
  if (!o.what.empty() && !std::filesystem::exists(o.what, ignored)) {
    if (const auto status = inspect_plugin(o.what, o.as_json)) return *status;
    return fail({tinyphi::error_code::not_found,
                 o.what + ": no such file, folder or plugin; `tinyphi list` "
                          "names the plugins"});
  }
  if (o.what.ends_with(".toml")) return inspect_pipeline(o.what, o.as_json);
  return inspect_model(o);
}

}  // namespace

void add_inspect(CLI::App& app, action& run) {
  CLI::App* command = add_command(
      app, "inspect",
      "show a model file (metadata, tensors), a plugin (ports, parameters), "
      "a pipeline (inputs, outputs, effects), or what an MCP server lists",
      "tinyphi inspect phi-3-mini.gguf");
  auto o = std::make_shared<inspect_options>();
  command->add_option("x", o->what,
                      "GGUF file, Hugging Face folder, plugin id or pipeline "
                      "file; without it the built-in demo model");
  CLI::Option* json =
      command->add_flag("--json", o->as_json, "as one JSON object");
  command
      ->add_option(
          "--mcp", o->server,
          "x is a pipeline file: ask the server of its [mcp.NAME], and "
          "print what it lists as the file pins it")
      ->type_name("NAME")
      ->needs("x")
      ->excludes(json);
  command->final_callback([o, &run] { run = [o] { return inspect(*o); }; });
}

}  // namespace cli
