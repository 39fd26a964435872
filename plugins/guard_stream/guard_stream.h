// SPDX-License-Identifier: MIT
// The stage `guard.stream`: a text while it is written -> what of it may be
// read, as soon as that is known.
#ifndef TINYPHI_PLUGINS_GUARD_STREAM_GUARD_STREAM_H_
#define TINYPHI_PLUGINS_GUARD_STREAM_GUARD_STREAM_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "plugins/guard/hold_back.h"
#include "plugins/guard/judging.h"
#include "plugins/guard/kinds.h"
#include "tinyphi/pipeline/stage.h"

TINYPHI_NAMESPACE_BEGIN
namespace guard {

// What judge() lets out. If it throws that is nothing, and `why` says why.
template <class Judge>
[[nodiscard]] std::string release_closed(Judge&& judge, std::string& why) {
  try {
    return judge();
  } catch (const std::exception& e) {
    why = std::string("the text could not be judged: ") + e.what();
    return {};
  }
}

}  // namespace guard

struct guard_stream_stage {
  static constexpr stage_info info{
      .id = "guard.stream", .summary = "Judges a text while it is written"};
  static constexpr std::size_t bytes_per_token = 4;

  enum class actions : std::uint8_t { cut, fail };
  struct config {
    std::vector<std::string> kinds = guard::default_kinds();
    std::vector<rules_ref> rules;
    std::int64_t hold = 24;
    actions on_block = actions::cut;
  };
  struct inputs {
    text_source text;
  };
  struct outputs {
    tinyphi::verdict verdict;
  };
  struct streams {
    text_stream text;
  };

  static constexpr auto params() {
    return std::tuple{
        param("kinds", &config::kinds)
            .doc("what is looked for: card, iban, phone, email, ip, date, "
                 "secret"),
        param("rules", &config::rules)
            .doc("names of [rules.x]; findings of distinct rules whose scores "
                 "sum up to 1 block"),
        param("hold", &config::hold)
            .range(1, 1024)
            .doc("tokens of four bytes that rules see before they leave"),
        param("on_block", &config::on_block)
            .names("cut", "fail")
            .doc("cut: the text ends before the finding")};
  }
  static constexpr auto in_ports() {
    return std::tuple{port("text", &inputs::text)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("verdict", &outputs::verdict)};
  }
  static constexpr auto stream_ports() {
    return std::tuple{port("text", &streams::text)};
  }

  static stage_facts check(const config& c, const call_facts&, const host& h) {
    constexpr std::string_view known[] = {"card", "iban", "phone", "email",
                                          "ip",   "date", secret};
    stage_facts facts;
    guard::check_kinds(c.kinds, known, facts);
    if (c.kinds.empty() && c.rules.empty()) {
      facts.faults.push_back({fault::out_of_range, "kinds", 0,
                              "names no kind, and with.rules no [rules.x], so "
                              "nothing would be found"});
    }
    guard::check_rules(c.rules, h, facts);
    return facts;
  }

  guard_stream_stage(const config& c, const host& h) : on_block_(c.on_block) {
    options_.rules = guard::open_rules(c.rules, h);
    if (std::ranges::find(c.kinds, secret) != c.kinds.end()) {
      options_.rules.push_back(unwrap(guard::secret_rules()));
    }
    options_.pii = unwrap(guard::pii_finder::make(guard::parse_kinds(c.kinds)));
    options_.hold_bytes = static_cast<std::size_t>(c.hold) * bytes_per_token;
  }

  task<outputs> run(run_context& cx, inputs in, streams out) const {
    guard::hold_back stream(options_);
    std::optional<std::string> piece;
    std::string why;
    const auto judge = [&] { return released(cx, stream, piece); };
    const auto closed = [&] { return guard::release_closed(judge, why); };
    do {
      piece = co_await in.text.next();
      std::string safe = co_await cx.blocking(closed);
      unwrap(cx.stop().check());
      if (!safe.empty()) co_await out.text.send(std::move(safe));
    } while (piece && why.empty() && !stream.judged().blocked);
    outputs given;
    given.verdict = verdict_of(stream.judged(), std::move(why));
    if (given.verdict.blocked && on_block_ == actions::fail) {
      throw stage_error(error_code::bad_data, message_of(given.verdict));
    }
    co_return given;
  }

 private:
  static constexpr std::string_view secret = "secret";

  // What may leave once the piece is there; none is the text's end. When the
  // request stops, the rest is not looked at.
  static std::string released(const run_context& cx, guard::hold_back& stream,
                              const std::optional<std::string>& piece) {
    if (!piece) return stream.finish();
    constexpr std::size_t slice = 4096;
    std::string safe;
    for (std::size_t i = 0; i < piece->size() && cx.stop().check();
         i += slice) {
      safe += stream.push(std::string_view(*piece).substr(i, slice));
    }
    return safe;
  }

  static tinyphi::verdict verdict_of(const guard::verdict& judged,
                                     std::string why) {
    if (!why.empty()) return {true, {}, std::move(why)};
    if (judged.blocked) return {true, judged.rule, judged.reason};
    return {false, {}, {}};
  }

  static std::string message_of(const tinyphi::verdict& v) {
    const std::string by = v.rule.empty() ? "" : " by " + quote(v.rule);
    return "the text is blocked" + by + ": " + v.reason;
  }

  guard::hold_back_options options_;
  actions on_block_;
};
static_assert(stage<guard_stream_stage>);

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_GUARD_STREAM_GUARD_STREAM_H_
