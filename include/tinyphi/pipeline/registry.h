// SPDX-License-Identifier: MIT
// Plugin id -> stage. A program lists the stages it wants; nothing registers
// itself. Behind this header the compiler and the executor see ports, facts
// and an erased `run`, never a stage's own types.
#ifndef TINYPHI_PIPELINE_REGISTRY_H_
#define TINYPHI_PIPELINE_REGISTRY_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/pipeline/param_describe.h"
#include "tinyphi/pipeline/stage.h"

TINYPHI_NAMESPACE_BEGIN

struct graph;

// What `run` gives. The plain ports come first, in their order.
struct stage_outputs {
  std::vector<std::optional<value_data>> plain;
  std::map<std::string, value_data, std::less<>> open;
  std::vector<bool> absent;  // by stream port: it has no text; empty: all have
};

// What `run` takes. Values are by in-port, null where absent; so are texts that
// are being written.
struct stage_inputs {
  std::span<const value* const> values;
  std::span<text_feed* const> feeds;
  named_values open;
  std::span<text_sink* const> streams;  // by stream port
};

// A created stage. Any number of runs at once.
class stage_instance {
 public:
  virtual ~stage_instance() = default;
  virtual task<stage_outputs> run(run_context& cx, stage_inputs in) const = 0;
};

// A stage whose config is read and checked, but that is not created yet.
class stage_setup {
 public:
  virtual ~stage_setup() = default;
  [[nodiscard]] virtual stage_ports ports(bound_ports bound) const = 0;
  [[nodiscard]] virtual stage_facts check(const call_facts& call,
                                          host& h) const = 0;
  // Throws what the stage's constructor throws.
  [[nodiscard]] virtual std::unique_ptr<stage_instance> create(
      const call_facts& call, host& h) const = 0;
  // Of a call of another file; null: it is none.
  [[nodiscard]] virtual const graph* called_file() const { return nullptr; }
};

// A plugin as the compiler, `list` and `inspect` see it.
struct stage_type {
  stage_info info;
  std::vector<param_info> params;
  std::vector<port_info> in_ports;      // the fixed ones
  std::vector<port_info> out_ports;     // plain ones
  std::vector<port_info> stream_ports;  // out-ports, too
  bool open_in_ports = false;           // more follow from the config
  bool open_out_ports = false;
  bool takes_template = false;  // the parameter template names a [prompt.x]
  bool takes_server = false;    // the parameter server names an [mcp.x]
  std::string file_hash;        // of a file that is called: graph::hash
  std::function<std::unique_ptr<stage_setup>(param_reader&)> configure;
};

class registry {
 public:
  // A stage with the same id is replaced.
  template <stage S>
  registry& add();

  // Null if there is none.
  [[nodiscard]] const stage_type* find(std::string_view id) const {
    const auto it = types_.find(id);
    return it == types_.end() ? nullptr : &it->second;
  }
  // All, by id.
  [[nodiscard]] const std::map<std::string, stage_type, std::less<>>& types()
      const {
    return types_;
  }

 private:
  std::map<std::string, stage_type, std::less<>> types_;
};

namespace detail {

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

// What an input member holds: a text and a prompt are viewed, since they can be
// long, all others are copied.
template <class T>
struct held_by : std::type_identity<T> {};
template <>
struct held_by<std::string_view> : std::type_identity<std::string> {};
template <>
struct held_by<const labelled_prompt*> : std::type_identity<labelled_prompt> {};
template <>
struct held_by<text_source> : std::type_identity<std::string> {};
template <class T>
struct held_by<std::optional<T>> : held_by<T> {};

template <class T>
void take_input(const value* from, T& to) {
  using held = typename held_by<T>::type;
  if (from == nullptr) return;
  if constexpr (std::is_pointer_v<T>) {
    to = from->get<held>();
  } else if constexpr (std::same_as<held, std::string>) {
    to = *from->get<held>();
  } else {
    to = from_data<held>(from->data);
  }
}

template <class S, class Row>
inline constexpr bool is_open_row =
    std::same_as<Row, port_row<typename S::inputs, named_values>>;

template <class S>
[[nodiscard]] typename S::inputs view_inputs(stage_inputs& in) {
  typename S::inputs views{};
  std::size_t next = 0;
  const auto one = [&]<class Row>(const Row& row) {
    auto& member = views.*row.member;
    using T = std::decay_t<decltype(member)>;
    if constexpr (is_open_row<S, Row>) {
      member = std::move(in.open);
      return;
    } else if constexpr (std::same_as<T, text_source>) {
      member = text_source(*in.feeds[next]);
    } else if constexpr (std::same_as<T, std::optional<text_source>>) {
      if (in.feeds[next] != nullptr) member = text_source(*in.feeds[next]);
    } else {
      take_input(in.values[next], member);
    }
    ++next;
  };
  std::apply([&](const auto&... row) { (one(row), ...); }, S::in_ports());
  return views;
}

template <class S>
[[nodiscard]] stage_outputs take_outputs(typename S::outputs out) {
  stage_outputs values;
  const auto one = [&](auto& member) {
    using T = std::decay_t<decltype(member)>;
    if constexpr (std::same_as<T, named_values>) {
      for (auto& [name, v] : member) values.open.emplace(name, v.data);
    } else if constexpr (is_optional<T>) {
      values.plain.emplace_back();
      if (member) values.plain.back().emplace(to_data(*std::move(member)));
    } else {
      values.plain.emplace_back(to_data(std::move(member)));
    }
  };
  std::apply([&](const auto&... row) { (one(out.*row.member), ...); },
             S::out_ports());
  return values;
}

template <stage S>
class instance_of final : public stage_instance {
 public:
  instance_of(const typename S::config& c, const call_facts& call, host& h)
      : stage_(make(c, call, h)) {}

  task<stage_outputs> run(run_context& cx, stage_inputs in) const override {
    typename S::inputs views = view_inputs<S>(in);
    if constexpr (requires { typename S::streams; }) {
      typename S::streams streams{};
      std::size_t next = 0;
      std::apply(
          [&](const auto&... row) {
            ((streams.*row.member = text_stream(*in.streams[next++])), ...);
          },
          S::stream_ports());
      co_return take_outputs<S>(
          co_await stage_.run(cx, std::move(views), std::move(streams)));
    } else {
      co_return take_outputs<S>(co_await stage_.run(cx, std::move(views)));
    }
  }

 private:
  static S make(const typename S::config& c,
                [[maybe_unused]] const call_facts& call, host& h) {
    if constexpr (std::constructible_from<S, typename S::config,
                                          const call_facts&, host&>) {
      return S(c, call, h);
    } else {
      return S(c, h);
    }
  }

  S stage_;
};

template <class S>
inline constexpr bool has_secrets = std::apply(
    [](const auto&... row) {
      return (is_secret<std::decay_t<
                  decltype(std::declval<typename S::config>().*row.member)>> ||
              ...);
    },
    S::params());

// Reads the secrets of a config.
template <class S>
void open_secrets(typename S::config& config, const host& h) {
  const auto open = [&](secret_text& secret) {
    if (!secret.name().empty()) secret = unwrap(h.secret(secret.name()));
  };
  const auto one = [&](auto& member) {
    using T = std::decay_t<decltype(member)>;
    if constexpr (std::same_as<T, secret_text>) {
      open(member);
    } else if constexpr (is_secret<T>) {
      for (auto& [name, secret] : member) open(secret);
    }
  };
  std::apply([&](const auto&... row) { (one(config.*row.member), ...); },
             S::params());
}

template <stage S>
class setup_of final : public stage_setup {
 public:
  explicit setup_of(typename S::config c) : config_(std::move(c)) {}

  stage_ports ports([[maybe_unused]] bound_ports bound) const override {
    if constexpr (requires { S::ports(config_, bound); }) {
      return S::ports(config_, bound);
    } else if constexpr (requires { S::ports(config_); }) {
      return S::ports(config_);
    } else {
      return {};
    }
  }
  stage_facts check([[maybe_unused]] const call_facts& call,
                    [[maybe_unused]] host& h) const override {
    if constexpr (requires { S::check(config_, call, h); }) {
      return S::check(config_, call, h);
    } else {
      return {};
    }
  }
  std::unique_ptr<stage_instance> create(const call_facts& call,
                                         host& h) const override {
    if constexpr (has_secrets<S>) {
      typename S::config open = config_;
      open_secrets<S>(open, h);
      return std::make_unique<instance_of<S>>(open, call, h);
    } else {
      return std::make_unique<instance_of<S>>(config_, call, h);
    }
  }

 private:
  typename S::config config_;
};

template <class S, class Row, class T>
inline constexpr bool is_row_of =
    std::same_as<std::decay_t<Row>, param_row<typename S::config, T>>;

template <class S, class T>
void describe_in_port(const port_row<typename S::inputs, T>& row,
                      stage_type& type) {
  if constexpr (std::same_as<T, named_values>) {
    type.open_in_ports = true;
  } else {
    using held = typename held_by<T>::type;
    type.in_ports.push_back(
        {.name = std::string(row.name),
         .types = {type_of<held>()},
         .required = !is_optional<T>,
         .stream = std::same_as<T, text_source> ||
                   std::same_as<T, std::optional<text_source>>,
         .decides = row.decides});
  }
}

template <class S, class T>
void describe_out_port(const port_row<typename S::outputs, T>& row,
                       stage_type& type) {
  if constexpr (std::same_as<T, named_values>) {
    type.open_out_ports = true;
  } else {
    using held = typename held_by<T>::type;
    type.out_ports.push_back({.name = std::string(row.name),
                              .types = {type_of<held>()},
                              .required = !is_optional<T>});
  }
}

}  // namespace detail

template <stage S>
registry& registry::add() {
  stage_type type;
  type.info = S::info;
  std::apply(
      [&](const auto&... row) {
        (type.params.push_back(describe_param(row)), ...);
        type.takes_template =
            (detail::is_row_of<S, decltype(row), template_ref> || ...);
        type.takes_server =
            (detail::is_row_of<S, decltype(row), server_ref> || ...);
      },
      S::params());
  std::apply(
      [&](const auto&... row) {
        (detail::describe_in_port<S>(row, type), ...);
      },
      S::in_ports());
  std::apply(
      [&](const auto&... row) {
        (detail::describe_out_port<S>(row, type), ...);
      },
      S::out_ports());
  if constexpr (requires { S::stream_ports(); }) {
    std::apply(
        [&](const auto&... row) {
          (type.stream_ports.push_back({.name = std::string(row.name),
                                        .types = {type_kind::text},
                                        .required = true,
                                        .stream = true}),
           ...);
        },
        S::stream_ports());
  }
  type.configure = [](param_reader& reader) -> std::unique_ptr<stage_setup> {
    typename S::config config{};
    std::apply([&](const auto&... row) { (reader.read(config, row), ...); },
               S::params());
    if constexpr (requires { S::retired_params; }) {
      reader.finish(S::retired_params);
    } else {
      reader.finish();
    }
    return std::make_unique<detail::setup_of<S>>(std::move(config));
  };
  types_.insert_or_assign(std::string(S::info.id), std::move(type));
  return *this;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_REGISTRY_H_
