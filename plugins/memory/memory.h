// SPDX-License-Identifier: MIT
// The stage `memory`: the newest turns of a conversation, or one more of them.
#ifndef TINYPHI_PLUGINS_MEMORY_MEMORY_H_
#define TINYPHI_PLUGINS_MEMORY_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "plugins/memory/conversations.h"
#include "tinyphi/pipeline/stage.h"

TINYPHI_NAMESPACE_BEGIN

struct memory_stage {
  static constexpr stage_info info{
      .id = "memory",
      .summary = "Gives the newest turns of a conversation, or saves one more",
      .effects = effect::read | effect::write,
      .makes = trust::untrusted};

  enum class actions : std::uint8_t { load, save };
  struct config {
    actions action = actions::load;
    std::filesystem::path file = {};
    std::int64_t max_turns = 20;
    byte_size max_bytes{64 << 10};
    std::int64_t keep = 1000;
    byte_size max_file_bytes{256 << 20};
  };
  struct inputs {
    std::string_view conversation;
    named_values turn;
  };
  struct outputs {
    named_values found;
  };

  static constexpr auto params() {
    return std::tuple{
        param("action", &config::action)
            .names("load", "save")
            .doc("load: gives history; save: adds in.user and in.reply"),
        param("file", &config::file).required().doc("the conversations' file"),
        param("max_turns", &config::max_turns)
            .range(1, 1000)
            .doc("load: the newest, at most so many"),
        param("max_bytes", &config::max_bytes)
            .range(byte_size{1}, byte_size{1 << 20})
            .doc("load: the newest whose texts fit"),
        param("keep", &config::keep)
            .range(1, 10000)
            .doc("save: turns of a conversation; older ones go"),
        param("max_file_bytes", &config::max_file_bytes)
            .range(byte_size{1 << 20}, byte_size{std::uint64_t{64} << 30})
            .doc("save: what would make the file larger is an error")};
  }
  static constexpr auto in_ports() {
    return std::tuple{port("conversation", &inputs::conversation).control(),
                      open_ports(&inputs::turn)};
  }
  static constexpr auto out_ports() {
    return std::tuple{open_ports(&outputs::found)};
  }

  static stage_ports ports(const config& c) {
    stage_ports ports;
    const auto refuse = [&](bool is_given, std::string_view name,
                            std::string_view action) {
      if (!is_given) return;
      ports.faults.push_back(
          {fault::out_of_range, std::string(name), 0,
           "is for the action " + std::string(action) + "; leave it out"});
    };
    const config defaults{};
    if (c.action == actions::load) {
      refuse(c.keep != defaults.keep, "keep", "save");
      refuse(c.max_file_bytes != defaults.max_file_bytes, "max_file_bytes",
             "save");
      ports.out.push_back({.name = "history", .types = {type_of<history>()}});
      ports.effects = effect::read;
    } else {
      refuse(c.max_turns != defaults.max_turns, "max_turns", "load");
      refuse(c.max_bytes != defaults.max_bytes, "max_bytes", "load");
      for (const char* name : {"user", "reply"}) {
        ports.in.push_back({.name = name, .types = {type_kind::text}});
      }
      ports.out.push_back({.name = "turns", .types = {type_kind::integer}});
      ports.effects = effect::write;
      ports.makes = trust::trusted;  // a number of its own
    }
    return ports;
  }

  static stage_facts check(const config& c, const call_facts&, host&) {
    stage_facts facts;
    facts.files = {{"file", c.file, c.action == actions::save}};
    return facts;
  }

  memory_stage(config c, host&) : config_(std::move(c)) {}

  task<outputs> run(run_context& cx, inputs in) const {
    const auto work = [&] {
      return config_.action == actions::load ? load(in, cx.stop())
                                             : save(in, cx.stop());
    };
    outputs out;
    value& found =
        out.found[config_.action == actions::load ? "history" : "turns"];
    found.data = co_await cx.blocking(work);
    co_return out;
  }

 private:
  using history = std::vector<chat_message>;

  [[nodiscard]] value_data load(const inputs& in,
                                const stop_condition& stop) const {
    const conversations::load_limits limits{
        static_cast<std::size_t>(config_.max_turns),
        static_cast<std::size_t>(config_.max_bytes.bytes)};
    auto turns = unwrap(
        conversations::load(config_.file, in.conversation, limits, stop));
    history messages;
    for (conversations::turn& t : turns) {
      messages.push_back({"user", std::move(t.user)});
      messages.push_back({"assistant", std::move(t.reply)});
    }
    return to_data(std::move(messages));
  }

  [[nodiscard]] value_data save(const inputs& in,
                                const stop_condition& stop) const {
    const auto text = [&](std::string_view name) {
      return *in.turn.find(name)->second.get<std::string>();
    };
    const conversations::save_limits limits{
        static_cast<std::size_t>(config_.keep), config_.max_file_bytes.bytes};
    return unwrap(conversations::save(config_.file, in.conversation,
                                      {text("user"), text("reply")}, limits,
                                      stop));
  }

  config config_;
};
static_assert(stage<memory_stage>);

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_MEMORY_MEMORY_H_
