// SPDX-License-Identifier: MIT
// What the program around a pipeline gives to its stages: models, a folder,
// names from the environment. Nothing here opens anything by itself.
#ifndef TINYPHI_PIPELINE_HOST_H_
#define TINYPHI_PIPELINE_HOST_H_

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tinyphi/base/cancel.h"
#include "tinyphi/base/error.h"
#include "tinyphi/pipeline/config_node.h"
#include "tinyphi/pipeline/network_host.h"
#include "tinyphi/pipeline/secret.h"
#include "tinyphi/pipeline/type.h"
#include "tinyphi/text/tokenizer.h"

namespace boost::asio {
class thread_pool;
}

TINYPHI_NAMESPACE_BEGIN

class engine;      // generate/engine.h
struct file_tool;  // tool.h

// The [tool.x] tables, by name.
using tool_table =
    std::map<std::string, std::shared_ptr<const file_tool>, std::less<>>;

// One [model.x] table.
struct model_spec {
  std::string name;
  std::filesystem::path path;  // absolute; empty: the host's own model
  std::size_t context = 0;     // 0: as the model file says
};

// One [rules.x] table: a file in the format of gitleaks, or rules that stand in
// the table. What they mean is left to the plugins that use them.
struct rules_spec {
  std::string name;
  position at;
  std::filesystem::path path;        // absolute; empty: `rules`
  std::optional<config_node> rules;  // a list of tables, as such files have it
};

// [allow].read and [allow].write: the folders in which data may name files,
// absolute and without "..". What the file itself names needs no grant.
// [allow].net: the hosts that may be spoken to, whoever names them.
// [allow].exec: the programs that may be started, or folders of such, likewise.
struct allowed_places {
  std::vector<std::filesystem::path> read;
  std::vector<std::filesystem::path> write;
  std::vector<network_host> net = {};
  std::vector<std::filesystem::path> exec = {};
};

// Whether `place` is `folder` or lies in it; both absolute and without "..".
[[nodiscard]] inline bool is_within(const std::filesystem::path& place,
                                    const std::filesystem::path& folder) {
  const auto rest = place.lexically_relative(folder);
  return !rest.empty() && *rest.begin() != "..";
}

// What the static checks need to know of a model. Parts that are not known
// are left out: tokens are then bounded by bytes.
struct model_facts {
  std::size_t context = 0;  // what the pipeline may use of it
  std::optional<tinyphi::tokenizer> tokenizer = {};
  std::size_t own_context = 0;  // as the model's file says; set by host::facts
};

// The text of the file `name` below `folder`, which a pipeline file includes.
using library_reader = std::function<result<std::string>(
    const std::filesystem::path& folder, const std::filesystem::path& name)>;

struct host_options {
  // Opens an engine; called at most once per model, when a stage that runs the
  // model is created. Without it such stages cannot be created.
  std::function<result<engine>(const model_spec&)> open_model;
  // Looks at a model without loading its weights; called at most once per
  // model, while a file is checked.
  std::function<result<model_facts>(const model_spec&)> describe_model;
  // Told what all prompts of a stage for that model begin with, when the stage
  // is created: worth keeping in the engine's cache.
  std::function<void(const model_spec&, std::vector<token_id>)> on_beginning;
  // The value of an [env] name, for example from getenv; nothing: its default.
  std::function<std::optional<std::string>(const std::string& name)> env;
  // Reads libraries in place of the disk; called while a file is checked.
  library_reader read_library = {};
  // Why no other program can be started here, for messages; empty: some can.
  std::string no_programs = {};
  // Runs blocking work and models. It must outlive the pipeline; null: the
  // pipeline owns a pool of pool_threads threads, started when it is compiled.
  boost::asio::thread_pool* pool = nullptr;
  std::size_t pool_threads = 4;
};

// The services of one pipeline. Any thread may call.
class host {
 public:
  host(host_options options, std::filesystem::path base_dir,
       std::map<std::string, model_spec, std::less<>> models,
       std::map<std::string, rules_spec, std::less<>> rules = {},
       allowed_places allowed = {},
       std::map<std::string, secret_spec, std::less<>> secrets = {},
       type_table types = {})
      : options_(std::move(options)),
        base_dir_(std::move(base_dir)),
        models_(std::move(models)),
        rules_(std::move(rules)),
        allowed_(std::move(allowed)),
        secrets_(std::move(secrets)),
        types_(std::move(types)) {}

  // The folder of the pipeline file; its relative paths start here.
  [[nodiscard]] const std::filesystem::path& base_dir() const {
    return base_dir_;
  }
  [[nodiscard]] const std::map<std::string, model_spec, std::less<>>& models()
      const {
    return models_;
  }
  // The [rules.x] tables. A stage opens their files when it is created.
  [[nodiscard]] const std::map<std::string, rules_spec, std::less<>>& rules()
      const {
    return rules_;
  }
  // The [type.x] tables.
  [[nodiscard]] const type_table& types() const { return types_; }
  // The [tool.x] tables. They are there before any stage is created.
  [[nodiscard]] const tool_table& tools() const { return tools_; }
  void add_tool(std::string name, std::shared_ptr<const file_tool> tool) {
    tools_.insert_or_assign(std::move(name), std::move(tool));
  }
  // Folders in which a stage may open what data names.
  [[nodiscard]] const std::vector<std::filesystem::path>& allowed_reads()
      const {
    return allowed_.read;
  }
  [[nodiscard]] const std::vector<std::filesystem::path>& allowed_writes()
      const {
    return allowed_.write;
  }
  // Hosts that a stage may speak to.
  [[nodiscard]] const std::vector<network_host>& allowed_hosts() const {
    return allowed_.net;
  }
  // Programs that a stage may start, and folders of such.
  [[nodiscard]] const std::vector<std::filesystem::path>& allowed_programs()
      const {
    return allowed_.exec;
  }
  // host_options::no_programs.
  [[nodiscard]] const std::string& no_programs() const {
    return options_.no_programs;
  }
  // An entry of [secret], read anew.
  [[nodiscard]] result<secret_text> secret(std::string_view name) const;
  // The engine of [model.<name>], opened at the first call.
  [[nodiscard]] result<tinyphi::engine> engine(std::string_view name);
  // Hands that on to host_options::on_beginning.
  void note_beginning(std::string_view model,
                      std::vector<token_id> beginning) const;
  // Facts of [model.<name>]; `context` is the file's own figure if it gives
  // one. Empty facts if the host cannot describe models.
  [[nodiscard]] result<model_facts> facts(std::string_view name);

 private:
  template <class T>
  using once_per_model = std::map<std::string, T, std::less<>>;

  host_options options_;
  std::filesystem::path base_dir_;
  std::map<std::string, model_spec, std::less<>> models_;
  std::map<std::string, rules_spec, std::less<>> rules_;
  allowed_places allowed_;
  std::map<std::string, secret_spec, std::less<>> secrets_;
  type_table types_;
  tool_table tools_;
  std::mutex mutex_;
  once_per_model<std::shared_ptr<tinyphi::engine>> engines_;
  once_per_model<model_facts> facts_;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/host.ipp"
#endif

#endif  // TINYPHI_PIPELINE_HOST_H_
