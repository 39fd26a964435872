// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_HOST_IPP_
#define TINYPHI_PIPELINE_HOST_IPP_

#include "tinyphi/generate/engine.h"
#include "tinyphi/pipeline/host.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC result<secret_text> host::secret(std::string_view name) const {
  const auto spec = secrets_.find(name);
  if (spec != secrets_.end()) return open_secret(spec->second, options_.env);
  return error{error_code::not_found,
               "no entry " + std::string(name) + " in [secret]"};
}

TINYPHI_FUNC result<tinyphi::engine> host::engine(std::string_view name) {
  const auto spec = models_.find(name);
  if (spec == models_.end()) {
    return error{error_code::not_found, "no [model." + std::string(name) + "]"};
  }
  const std::scoped_lock lock(mutex_);
  if (const auto it = engines_.find(name); it != engines_.end()) {
    return *it->second;
  }
  if (!options_.open_model) {
    return error{error_code::unavailable,
                 "this program gives its pipelines no models"};
  }
  TINYPHI_TRY(auto opened, options_.open_model(spec->second));
  engines_.emplace(spec->first, std::make_shared<tinyphi::engine>(opened));
  return opened;
}

TINYPHI_FUNC void host::note_beginning(std::string_view model,
                                       std::vector<token_id> beginning) const {
  const auto spec = models_.find(model);
  if (spec == models_.end() || !options_.on_beginning) return;
  options_.on_beginning(spec->second, std::move(beginning));
}

TINYPHI_FUNC result<model_facts> host::facts(std::string_view name) {
  const auto spec = models_.find(name);
  if (spec == models_.end()) {
    return error{error_code::not_found, "no [model." + std::string(name) + "]"};
  }
  const std::scoped_lock lock(mutex_);
  if (const auto it = facts_.find(name); it != facts_.end()) return it->second;
  model_facts facts;
  if (options_.describe_model) {
    TINYPHI_TRY(facts, options_.describe_model(spec->second));
  }
  facts.own_context = facts.context;
  if (spec->second.context != 0) facts.context = spec->second.context;
  return facts_.emplace(spec->first, std::move(facts)).first->second;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_HOST_IPP_
