// SPDX-License-Identifier: MIT
// The stage `text.split`: a text -> the list of its parts.
#ifndef TINYPHI_PLUGINS_TEXT_TEXT_SPLIT_H_
#define TINYPHI_PLUGINS_TEXT_TEXT_SPLIT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "plugins/text/split.h"
#include "tinyphi/pipeline/stage.h"

TINYPHI_NAMESPACE_BEGIN

struct text_split_stage {
  static constexpr stage_info info{.id = "text.split",
                                   .summary = "Cuts a text into parts"};

  struct config {
    split_by by = split_by::paragraph;
    std::int64_t size = 0;
    std::int64_t overlap = 0;
    std::optional<model_ref> model;
  };
  struct inputs {
    std::string_view text;
  };
  struct outputs {
    std::vector<std::string> parts;
  };

  static constexpr auto params() {
    return std::tuple{
        param("by", &config::by)
            .names("paragraph", "line", "sentence", "tokens")
            .doc("what is not cut if it need not be; tokens: words"),
        param("size", &config::size)
            .range(0, 1'000'000)
            .doc("most characters of a part, or tokens, by tokens; a part has "
                 "as many paragraphs, lines or sentences as fit; 0: one"),
        param("overlap", &config::overlap)
            .range(0, 500'000)
            .doc("of it, what a part may have of the end of the one before"),
        param("model", &config::model)
            .doc("a [model.x] table; by tokens, whose tokens")};
  }
  static constexpr auto in_ports() {
    return std::tuple{port("text", &inputs::text)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("parts", &outputs::parts)};
  }

  static stage_facts check(const config& c, const call_facts&, host& h) {
    stage_facts facts;
    const auto report = [&](fault code, std::string param, std::string what) {
      facts.faults.push_back({code, std::move(param), 0, std::move(what)});
    };
    constexpr auto least = static_cast<std::int64_t>(split_options::min_tokens);
    const bool by_tokens = c.by == split_by::tokens;
    if (by_tokens && c.size < least) {
      report(fault::out_of_range, "size",
             "is " + std::to_string(c.size) + ", by tokens allowed are " +
                 std::to_string(least) + " to 1000000");
    } else if (c.overlap > 0 && c.size == 0) {
      report(fault::keys_conflict, "overlap", "needs with.size");
    } else if (c.overlap > c.size / 2) {
      report(fault::out_of_range, "overlap",
             "is " + std::to_string(c.overlap) +
                 ", allowed are 0 to half of with.size, " +
                 std::to_string(c.size / 2));
    }
    if (!by_tokens) return facts;
    if (const auto counter = find_tokenizer(c, h); !counter) {
      report(c.model ? fault::setup_failed : fault::missing_key, "model",
             counter.error().message);
    }
    return facts;
  }

  text_split_stage(const config& c, host& h) {
    options_.by = c.by;
    options_.size = static_cast<std::size_t>(c.size);
    options_.overlap = static_cast<std::size_t>(c.overlap);
    if (c.by == split_by::tokens) tokenizer_ = unwrap(find_tokenizer(c, h));
  }

  task<outputs> run(run_context& cx, inputs in) const {
    split_options options = options_;
    options.tokens = tokenizer_ ? &*tokenizer_ : nullptr;
    options.stop = cx.stop();
    const auto split = [&] { return split_text(in.text, options); };
    auto parts = co_await cx.blocking(split);
    co_return outputs{unwrap(std::move(parts))};
  }

 private:
  static result<tokenizer> find_tokenizer(const config& c, host& h) {
    if (!c.model) {
      return error{error_code::invalid_argument,
                   "must say which [model.x], because there are several"};
    }
    TINYPHI_TRY(const model_facts facts, h.facts(c.model->name));
    if (facts.tokenizer) return *facts.tokenizer;
    return error{error_code::unavailable,
                 "by tokens needs the tokenizer of model " + c.model->name +
                     ", which this program does not have; split by sentence"};
  }

  split_options options_;
  std::optional<tokenizer> tokenizer_;
};
static_assert(stage<text_split_stage>);

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_TEXT_TEXT_SPLIT_H_
