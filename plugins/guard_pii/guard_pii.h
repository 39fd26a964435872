// SPDX-License-Identifier: MIT
// The stage `guard.pii`: a text -> the text with placeholders in the place of
// personal data; and what a model made of it -> the same with the data again.
#ifndef TINYPHI_PLUGINS_GUARD_PII_GUARD_PII_H_
#define TINYPHI_PLUGINS_GUARD_PII_GUARD_PII_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "plugins/guard/kinds.h"
#include "plugins/guard/pii.h"
#include "tinyphi/pipeline/stage.h"

TINYPHI_NAMESPACE_BEGIN

struct guard_pii_stage {
  static constexpr stage_info info{
      .id = "guard.pii",
      .summary = "Puts placeholders in the place of personal data, and back"};

  enum class actions : std::uint8_t { redact, restore };
  struct config {
    std::vector<std::string> kinds = guard::default_kinds();
    actions action = actions::redact;
  };
  struct inputs {
    std::string_view text;
    std::optional<std::vector<std::string>> words;
    std::optional<value_data> keys;
  };
  struct outputs {
    std::string text;
    value_data keys;
    std::int64_t count = 0;
  };

  static constexpr auto params() {
    return std::tuple{
        param("kinds", &config::kinds)
            .doc("what is looked for: card, iban, phone, email, ip, date"),
        param("action", &config::action)
            .names("redact", "restore")
            .doc("restore: puts back what stands in in.keys")};
  }
  static constexpr auto in_ports() {
    return std::tuple{port("text", &inputs::text),
                      port("words", &inputs::words),
                      port("keys", &inputs::keys)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("text", &outputs::text),
                      port("keys", &outputs::keys),
                      port("count", &outputs::count)};
  }

  static stage_facts check(const config& c, const call_facts&, host&) {
    stage_facts facts;
    const auto report = [&](std::string message) {
      facts.faults.push_back(
          {fault::out_of_range, "kinds", 0, std::move(message)});
    };
    if (c.action == actions::restore && c.kinds != config{}.kinds) {
      report("is for the action redact; restore finds nothing, leave it out");
      return facts;
    }
    // Words come from a caller, not from a file.
    const auto known = std::span(guard::pii_kind_names).first(6);
    if (c.kinds.empty()) report("names no kind, so nothing would be found");
    guard::check_kinds(c.kinds, known, facts);
    return facts;
  }

  guard_pii_stage(const config& c, const host&)
      : kinds_(guard::parse_kinds(c.kinds)),
        finder_(unwrap(guard::pii_finder::make(kinds_))),
        action_(c.action) {}

  task<outputs> run(run_context& cx, inputs in) const {
    const auto work = [&] {
      return action_ == actions::restore ? restore(in) : redact(in);
    };
    outputs out = co_await cx.blocking(work);
    unwrap(cx.stop().check());
    co_return out;
  }

 private:
  [[nodiscard]] outputs redact(const inputs& in) const {
    if (in.keys) {
      throw stage_error(error_code::invalid_argument,
                        "in.keys is bound, and redaction has no use for it; "
                        "write with.action = \"restore\", or leave it out");
    }
    const guard::pii_finder finder =
        in.words ? unwrap(guard::pii_finder::make(kinds_, *in.words)) : finder_;
    guard::masked_text masked = guard::mask(in.text, finder);
    outputs out;
    out.text = std::move(masked.text);
    value_data::record keys;
    for (auto& [name, original] : masked.keys) {
      keys.push_back({name, std::move(original)});
    }
    out.keys = std::move(keys);
    out.count = static_cast<std::int64_t>(masked.count);
    return out;
  }

  [[nodiscard]] static outputs restore(const inputs& in) {
    if (in.words) {
      throw stage_error(error_code::invalid_argument,
                        "in.words is bound, and restoring has no use for it; "
                        "bind it where with.action is \"redact\"");
    }
    const guard::pii_keys keys = read_keys(in);
    std::size_t n = 0;
    outputs out;
    out.text = unwrap(guard::restore(in.text, keys, max_bytes, &n));
    out.keys = value_data::record();
    out.count = static_cast<std::int64_t>(n);
    return out;
  }

  static guard::pii_keys read_keys(const inputs& in) {
    const std::string advice =
        "bind it to the out-port keys of the stage that redacted, such as "
        "in.keys = \"redact.keys\"";
    if (!in.keys) {
      throw stage_error(
          error_code::invalid_argument,
          "with.action is \"restore\", and in.keys has no value; " + advice);
    }
    const auto* record = in.keys->get<value_data::record>();
    if (record == nullptr) {
      throw stage_error(error_code::invalid_argument,
                        "in.keys is " + std::string(kind_of(*in.keys)) +
                            ", it must be a record of texts; " + advice);
    }
    guard::pii_keys keys;
    for (const value_data::member& m : *record) {
      const auto* original = m.value.get<std::string>();
      if (original == nullptr) {
        throw stage_error(error_code::invalid_argument,
                          "in.keys: " + quote(m.name) + " is " +
                              std::string(kind_of(m.value)) +
                              ", it must be a text; " + advice);
      }
      keys.emplace(m.name, *original);
    }
    return keys;
  }

  static constexpr std::size_t max_bytes = std::size_t{1} << 20;

  std::vector<guard::pii_kind> kinds_;
  guard::pii_finder finder_;
  actions action_;
};
static_assert(stage<guard_pii_stage>);

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_GUARD_PII_GUARD_PII_H_
