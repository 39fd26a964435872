// SPDX-License-Identifier: MIT
// The stage `cite.verify`: an answer and the passages of its prompt -> the
// answer with checked citations.
#ifndef TINYPHI_PLUGINS_CITE_VERIFY_CITE_VERIFY_H_
#define TINYPHI_PLUGINS_CITE_VERIFY_CITE_VERIFY_H_

#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "plugins/cite_verify/verify.h"
#include "tinyphi/pipeline/stage.h"

TINYPHI_NAMESPACE_BEGIN

struct cite_verify_stage {
  static constexpr stage_info info{
      .id = "cite.verify",
      .summary = "Binds each sentence of an answer to its passage"};

  struct config {
    double min_overlap = cite::verify_options{}.min_overlap;
    std::string mark = cite::verify_options{}.mark;
    std::vector<std::string> refusals = cite::verify_options{}.refusals;
  };
  struct inputs {
    std::string_view text;
    documents docs;
  };
  struct outputs {
    std::string text;
    tinyphi::citations citations;
    bool ok = false;
  };

  static constexpr auto params() {
    return std::tuple{
        param("min_overlap", &config::min_overlap)
            .range(0, 1)
            .doc("share of a sentence's content words that its quote and the "
                 "headings above it must hold; 1: all"),
        param("mark", &config::mark)
            .doc("follows a sentence that no passage supports"),
        param("refusals", &config::refusals)
            .doc("beginnings of sentences that say that nothing is known")};
  }
  static constexpr auto in_ports() {
    return std::tuple{port("text", &inputs::text), port("docs", &inputs::docs)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("text", &outputs::text),
                      port("citations", &outputs::citations),
                      port("ok", &outputs::ok)};
  }

  cite_verify_stage(config c, host&)
      : options_{c.min_overlap, std::move(c.mark), std::move(c.refusals), {}} {}

  task<outputs> run(run_context& cx, inputs in) const {
    cite::verify_options options = options_;
    options.stop = cx.stop();
    const auto verify = [&] {
      return cite::verify_citations(in.text, in.docs, options);
    };
    auto answer = unwrap(co_await cx.blocking(verify));
    co_return outputs{std::move(answer.text), std::move(answer.citations),
                      answer.ok};
  }

  cite::verify_options options_;
};
static_assert(stage<cite_verify_stage>);

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_CITE_VERIFY_CITE_VERIFY_H_
