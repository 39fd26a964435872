// SPDX-License-Identifier: MIT
// The demo model for stages: a host that has it as [model.phi], and prompts.
#ifndef TESTS_SUPPORT_DEMO_HOST_H_
#define TESTS_SUPPORT_DEMO_HOST_H_

#include <string>
#include <utility>

#include "support/models.h"
#include "tinyphi/generate/engine.h"
#include "tinyphi/pipeline/host.h"
#include "tinyphi/pipeline/value.h"

namespace tinyphi_test {

inline const tinyphi::model& demo() {
  static const tinyphi::model m = demo_model(true);
  return m;
}

inline tinyphi::host_options demo_host() {
  using namespace tinyphi;
  host_options options;
  options.open_model = [](const model_spec&) { return engine::create(demo()); };
  options.describe_model = [](const model_spec&) -> result<model_facts> {
    return model_facts{demo().config().max_context, *demo().tokenizer()};
  };
  return options;
}

inline tinyphi::host with_demo() {
  return tinyphi::host(demo_host(), "/", {{"phi", {"phi", {}, 0}}});
}

inline tinyphi::labelled_prompt asking(std::string question) {
  using tinyphi::trust;
  return {{{"<|user|>\n", trust::trusted, true},
           {std::move(question)},
           {"<|end|>\n<|assistant|>\n", trust::trusted, true}},
          "phi"};
}

}  // namespace tinyphi_test

#endif  // TESTS_SUPPORT_DEMO_HOST_H_
