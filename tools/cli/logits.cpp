// SPDX-License-Identifier: MIT
// tinyphi logits: what the model thinks after each token, as a file.
#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/terminal.h"
#include "exit_code.h"
#include "tinyphi/files/safetensors.h"
#include "tinyphi/generate/session.h"

namespace cli {

namespace {

struct logits_options {
  model_options model;
  std::vector<tinyphi::token_id> ids;
  std::size_t prefill = 0;
  CLI::Option* prefill_option = nullptr;
  std::string out;
};

// Rows that are computed at once: all of a long text would take gigabytes.
constexpr std::size_t rows_at_once = 256;

// Writes f32 [ids][vocab]: the first n_prefill ids in batches as large as may
// be, then one by one.
tinyphi::result<void> run_ids(tinyphi::model model,
                              std::span<const tinyphi::token_id> ids,
                              std::size_t n_prefill, const model_options& o,
                              const std::string& path,
                              const tinyphi::cancel_token& token) {
  // Not the mode's own type, so that float weights give exact logits.
  const auto kv_type =
      tinyphi::parse_kv_type(o.kv_type).value_or(tinyphi::kv_type::f32);
  const tinyphi::safetensors_writer::entry entry{
      "logits", "F32", sizeof(float), {ids.size(), model.config().vocab_size}};
  TINYPHI_TRY(auto session,
              tinyphi::session::create(std::move(model), ids.size(),
                                       usable_threads(o.n_threads), kv_type));
  tinyphi::stop_condition stop;
  stop.token = token;
  TINYPHI_TRY(auto out, tinyphi::safetensors_writer::create(path, {&entry, 1}));
  while (!ids.empty()) {
    const std::size_t done = session.length();
    const std::size_t n =
        done < n_prefill ? std::min(n_prefill - done, rows_at_once) : 1;
    TINYPHI_TRY(const auto rows, session.run(ids.first(n), stop));
    TINYPHI_CHECK_OK(out.append(std::as_bytes(rows)));
    ids = ids.subspan(n);
  }
  return out.commit();
}

int logits(const logits_options& o) {
  const std::size_t n_prefill =
      o.prefill_option->empty() ? o.ids.size() : o.prefill;
  if (n_prefill < 1 || n_prefill > o.ids.size()) {
    return fail_usage("--prefill " + std::to_string(o.prefill) +
                      ": must be from 1 to the number of ids, " +
                      std::to_string(o.ids.size()));
  }
  const interrupt_guard interrupt;
  auto model = load_model(o.model, interrupt.token());
  if (!model) return fail(model.error());
  const auto written = run_ids(*std::move(model), o.ids, n_prefill, o.model,
                               o.out, interrupt.token());
  if (!written) return fail(written.error());
  return exit_done;
}

}  // namespace

void add_logits(CLI::App& app, action& run) {
  CLI::App* command = add_command(
      app, "logits",
      "write the logits after each token: f32 `logits` [tokens][vocabulary]",
      "tinyphi logits -m phi-3-mini --exact --ids 1,15043,3186 "
      "--out logits.safetensors");
  auto o = std::make_shared<logits_options>();
  add_model_options(*command, o->model);
  command->get_option("--kv-type")
      ->description("how the cache stores keys and values; auto: f32");
  command->add_option("--ids", o->ids, "token ids, separated by commas")
      ->required()
      ->delimiter(',');
  o->prefill_option =
      command
          ->add_option("--prefill", o->prefill,
                       "the first N tokens in one batch, the rest one by one "
                       "through the cache; default: all in one")
          ->type_name("N");
  command->add_option("--out", o->out, "the file to write")
      ->required()
      ->type_name("FILE.safetensors");
  command->final_callback([o, &run] { run = [o] { return logits(*o); }; });
}

}  // namespace cli
