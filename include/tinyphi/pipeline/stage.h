// SPDX-License-Identifier: MIT
// What a stage is: a plain struct with a config, inputs, outputs and a
// coroutine. No base class, no macro. A complete one:
//
//   struct words {
//     static constexpr stage_info info{.id = "demo.words",
//                                      .summary = "Counts words"};
//     struct config  { std::int64_t min_length = 1; };
//     struct inputs  { std::string_view text; };
//     struct outputs { std::int64_t words = 0; };
//     static constexpr auto params() {
//       return std::tuple{
//           param("min_length", &config::min_length).range(1, 64)};
//     }
//     static constexpr auto in_ports() {
//       return std::tuple{port("text", &inputs::text)};
//     }
//     static constexpr auto out_ports() {
//       return std::tuple{port("words", &outputs::words)};
//     }
//     words(config c, host&) : config_(c) {}
//     task<outputs> run(run_context&, inputs in) const;
//     config config_;
//   };
#ifndef TINYPHI_PIPELINE_STAGE_H_
#define TINYPHI_PIPELINE_STAGE_H_

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "tinyphi/pipeline/diagnostic.h"
#include "tinyphi/pipeline/effect.h"
#include "tinyphi/pipeline/host.h"
#include "tinyphi/pipeline/param.h"
#include "tinyphi/pipeline/record.h"
#include "tinyphi/pipeline/run_context.h"
#include "tinyphi/pipeline/text_stream.h"
#include "tinyphi/pipeline/type.h"
#include "tinyphi/pipeline/value.h"

TINYPHI_NAMESPACE_BEGIN

struct stage_info {
  std::string_view id;  // "retrieve.fts"; `use` names it
  int major = 1;        // raised when configs or ports change meaning
  std::string_view summary;
  effect effects = effect::none;
  trust makes = trust::trusted;  // its outputs are at least this untrusted
  // A person looks at its inputs and says yes or no. Out-ports that may be
  // absent are there after a yes, all others tell the answer; all are labelled
  // `user`, whatever led to the question.
  bool asks_person = false;
  // The results of its tools go to its model, so that whoever wrote them drives
  // the calls that follow.
  bool reads_tools = false;
  // Of a file that is called: what happens without a person's yes; all of
  // `effects`, unless something is said here.
  std::optional<effect> unasked_effects = {};
};

// Why a stage cannot be created or cannot go on; the one thing that its
// constructor and `run` may throw.
struct stage_error : std::exception {
  tinyphi::error error;

  explicit stage_error(tinyphi::error e) : error(std::move(e)) {}
  stage_error(error_code code, std::string message)
      : error{code, std::move(message)} {}
  [[nodiscard]] const char* what() const noexcept override {
    return error.message.c_str();
  }
};

// The value of `r`, or its error as a stage_error.
template <class T>
T unwrap(result<T> r) {
  if (!r) throw stage_error(std::move(r).error());
  if constexpr (!std::is_void_v<T>) return *std::move(r);
}

// Inputs that a stage declares when its config is known (open ports). A port
// that is absent is missing here.
using named_values = std::map<std::string, value, std::less<>>;

// One port and its member in inputs, outputs or streams:
//   input member            takes             output member
//   std::string_view        text              std::string
//   bool, int64_t, double   bool, int, float  the same
//   file_name               file              the same
//   written_path            path              the same
//   a struct (record.h)     its record        the same
//   std::vector<above>      a list            the same
//   value_data              json              the same
//   const labelled_prompt*  prompt            labelled_prompt
//   std::optional<above>    may be absent     std::optional<above>
//   named_values            open ports        named_values
//   text_source             a text, as it is being written
//                           stream of text    text_stream (in streams)
// Views are valid until `run` returns.
template <class Owner, class T>
struct port_row {
  std::string_view name;
  T Owner::*member;
  bool decides = false;

  // Of an in-port that decides what is done: a path, an address, arguments.
  // Untrusted data must not reach it.
  [[nodiscard]] constexpr port_row control() const {
    return {name, member, true};
  }
};
template <class Owner, class T>
[[nodiscard]] constexpr port_row<Owner, T> port(std::string_view name,
                                                T Owner::*member) {
  return {name, member};
}
template <class Owner>
[[nodiscard]] constexpr port_row<Owner, named_values> open_ports(
    named_values Owner::*member) {
  return {{}, member};
}

// A stage that once had other parameters says what to do instead of them:
//   static constexpr retired_key retired_params[] = {{"reserve", "leave it
//   out"}};

// "text or int"
[[nodiscard]] std::string to_string(std::span<const type> types);

struct port_info {
  std::string name = {};
  // An in-port takes a value of any of them; an out-port has one.
  std::vector<type> types = {};
  bool required = true;  // in-ports; an out-port that is not may be absent
  bool stream = false;   // the text comes, or is taken, piece by piece
  bool decides = false;  // in-ports: see port_row::control
  trust accepts = trust::untrusted;  // in-ports: at most so untrusted
  // Of an in-port that is a template's variable: the parameter, and the byte of
  // its text, where the variable is used first. Such a port must be bound.
  std::string param = {};
  std::size_t offset = 0;

  [[nodiscard]] bool takes(const type& given) const {
    return std::ranges::any_of(
        types, [&](const type& wanted) { return fits(given, wanted); });
  }
};

// What is wrong with a parameter.
struct param_fault {
  fault code = fault::bad_template;
  std::string param;
  std::size_t offset = 0;  // byte of the parameter's text
  std::string message;
  position at = {};  // where it stands, unless in the parameter itself
};

// The in-ports that a file binds, by name.
using bound_ports = std::span<const std::string>;

// The ports of a stage that follow from its config, or from what the file binds
// to it. A stage that has some offers
//   static stage_ports ports(const config&)
//   static stage_ports ports(const config&, bound_ports)
// Types that depend on what is bound are left open (`type()`); check() tells
// those of out-ports.
struct stage_ports {
  std::vector<param_fault> faults;
  std::vector<port_info> in;
  std::vector<port_info> out;
  // Of the effects in stage_info, those that this config leaves; and what it
  // makes then.
  std::optional<effect> effects = {};
  std::optional<trust> makes = {};
};

// What a stage is told of its place in the graph.
struct call_facts {
  // Of the in-ports that something is bound to.
  std::map<std::string, type, std::less<>> types;
  std::map<std::string, trust, std::less<>> labels;
  // The most bytes of each text in them, where that is known before it runs.
  std::map<std::string, std::size_t, std::less<>> max_bytes;
  // Tokens that those who take its prompt may add.
  std::size_t reserve = 0;
  // In a test a script stands for its model, which is then not opened.
  bool is_scripted = false;
};

// What a stage proves about its config before anything runs. A stage offers
//   static stage_facts check(const config&, const call_facts&, host&)
// if it has any of these to say; it may use host::facts, and opens nothing. It
// may be asked several times.
struct stage_facts {
  std::vector<param_fault> faults;

  // Of out-ports whose types stage_ports left open, or that say less than is
  // known: a text that is one of a few.
  std::map<std::string, type, std::less<>> out_types;

  // Files that the config names and that another stage of the pipeline may
  // name, too: what one writes and another reads needs an order.
  struct used_file {
    std::string param;
    std::filesystem::path path;
    bool is_written = false;
    std::string port = {};  // out-port that stands for what was written
  };
  std::vector<used_file> files;

  // What of [allow] the config needs; nothing: all of it, if the stage has the
  // effect net, or exec.
  std::optional<std::vector<network_host>> hosts = {};
  std::optional<std::vector<std::filesystem::path>> programs = {};

  // Whether it may be tried again although it has an effect: twice is as good
  // as once.
  bool idempotent = false;

  // A prompt stage: at most `tokens` (caps, fixed text and chat markers) will
  // be in its prompt; refused with TP3004 if they and the tokens that are
  // reserved for those who take it exceed the model's context.
  struct prompt_budget {
    std::string model;
    std::size_t tokens = 0;
    std::string largest = {};  // its largest parts, in words
  };
  std::optional<prompt_budget> prompt;

  // A stage that answers prompts: at most max_tokens each, which the prompts
  // that reach it reserve.
  struct answer_budget {
    std::string model;
    std::size_t max_tokens = 0;
  };
  std::optional<answer_budget> answer;
};

// `run` is const: one stage serves many requests, on several threads at once.
template <class S>
concept stage = requires {
  { S::info } -> std::convertible_to<stage_info>;
  typename S::config;
  typename S::inputs;
  typename S::outputs;
  S::params();
  S::in_ports();
  S::out_ports();
}
&&std::default_initializable<typename S::config> &&
    (std::constructible_from<S, typename S::config, host&> || std::constructible_from<S, typename S::config, const call_facts&, host&>)&&(
        requires(const S s, run_context& cx, typename S::inputs in) {
          {
            s.run(cx, std::move(in))
            } -> std::same_as<task<typename S::outputs>>;
        } ||
        requires(const S s, run_context& cx, typename S::inputs in,
                 typename S::streams out) {
          S::stream_ports();
          {
            s.run(cx, std::move(in), std::move(out))
            } -> std::same_as<task<typename S::outputs>>;
        });

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/stage.ipp"
#endif

#endif  // TINYPHI_PIPELINE_STAGE_H_
