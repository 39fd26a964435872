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
#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
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

#include "tinyphi/base/cancel.h"
#include "tinyphi/generate/request.h"
#include "tinyphi/pipeline/diagnostic.h"
#include "tinyphi/pipeline/host.h"
#include "tinyphi/pipeline/param.h"
#include "tinyphi/pipeline/record.h"
#include "tinyphi/pipeline/type.h"
#include "tinyphi/pipeline/value.h"

TINYPHI_NAMESPACE_BEGIN

template <class T>
using task = boost::asio::awaitable<T>;

// What a stage does beyond computing its outputs; a set of flags.
enum class effect : std::uint8_t {
  none = 0,
  read = 1,  // files
  write = 2,
  net = 4,
  exec = 8
};
[[nodiscard]] constexpr effect operator|(effect a, effect b) {
  return static_cast<effect>(static_cast<unsigned>(a) |
                             static_cast<unsigned>(b));
}
[[nodiscard]] constexpr bool has(effect set, effect flag) {
  return (static_cast<unsigned>(set) & static_cast<unsigned>(flag)) != 0;
}

struct stage_info {
  std::string_view id;  // "retrieve.fts"; `use` names it
  int major = 1;        // raised when configs or ports change meaning
  std::string_view summary;
  effect effects = effect::none;
  trust makes = trust::trusted;  // its outputs are at least this untrusted
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

// The ports of a stage that follow from its config. A stage that has some
// offers
//   static stage_ports ports(const config&)
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
  // Tokens that those who take its prompt may add.
  std::size_t reserve = 0;
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

// Where a running stage sends text piece by piece. What was sent is afterwards
// the value of the port.
class text_sink {
 public:
  virtual ~text_sink() = default;
  // Whole UTF-8 characters. Waits while the reader is far behind. Throws when
  // the stage is cancelled or the text is longer than a value may be.
  virtual task<void> send(std::string piece) = 0;
};
class text_stream {
 public:
  text_stream() = default;
  explicit text_stream(text_sink& sink) : sink_(&sink) {}
  task<void> send(std::string piece) { return sink_->send(std::move(piece)); }

 private:
  text_sink* sink_ = nullptr;
};

// A text as it is being written, or one that is there already.
class text_feed {
 public:
  virtual ~text_feed() = default;
  // The next piece, of whole UTF-8 characters; nothing at the end. Throws when
  // the stage is cancelled.
  virtual task<std::optional<std::string>> next() = 0;
};
class text_source {
 public:
  text_source() = default;
  explicit text_source(text_feed& feed) : feed_(&feed) {}
  task<std::optional<std::string>> next() { return feed_->next(); }

 private:
  text_feed* feed_ = nullptr;
};

// One run of one stage.
class run_context {
 public:
  run_context(stop_condition stop, boost::asio::any_io_executor pool,
              trust label, request_origin origin = {})
      : stop_(std::move(stop)),
        pool_(std::move(pool)),
        label_(label),
        origin_(origin) {}

  // The stage's and the request's deadline, whichever is earlier, and their
  // cancellation. Blocking work polls it every few milliseconds.
  [[nodiscard]] const stop_condition& stop() const { return stop_; }
  // The join of the labels of all inputs.
  [[nodiscard]] trust label() const { return label_; }
  // Who asked: a model that runs for it takes its place in the queue, and finds
  // nothing in the cache that others have computed.
  [[nodiscard]] const request_origin& origin() const { return origin_; }
  // Where blocking work runs.
  [[nodiscard]] const boost::asio::any_io_executor& pool() const {
    return pool_;
  }

  // Runs f() on the pool and gives its value (or throws what it threw) where
  // the stage runs. f may use the stage's locals: it always finishes first.
  template <class F>
  [[nodiscard]] task<std::invoke_result_t<F&>> blocking(F f);

 private:
  stop_condition stop_;
  boost::asio::any_io_executor pool_;
  trust label_;
  request_origin origin_;
};

namespace detail {

// A part of the execution context that stages run on: it is not destroyed
// while a pool thread is still leaving the call that woke a stage there.
class pool_jobs : public boost::asio::execution_context::service {
 public:
  using key_type = pool_jobs;
  inline static boost::asio::execution_context::id id;

  // Counts until it is ended or destroyed.
  class job {
   public:
    explicit job(std::shared_ptr<std::atomic<std::size_t>> count)
        : count_(std::move(count)) {
      ++*count_;
    }
    job(job&&) noexcept = default;
    job& operator=(job&&) = delete;
    ~job() { end(); }
    void end() {
      const auto count = std::move(count_);
      if (count == nullptr) return;
      --*count;
      count->notify_all();
    }

   private:
    std::shared_ptr<std::atomic<std::size_t>> count_;
  };

  explicit pool_jobs(boost::asio::execution_context& owner) : service(owner) {}
  [[nodiscard]] job begin() { return job(count_); }

 private:
  void shutdown() override {
    while (const std::size_t n = *count_) count_->wait(n);
  }
  std::shared_ptr<std::atomic<std::size_t>> count_ =
      std::make_shared<std::atomic<std::size_t>>(0);
};

}  // namespace detail

template <class F>
task<std::invoke_result_t<F&>> run_context::blocking(F f) {
  using R = std::invoke_result_t<F&>;
  std::conditional_t<std::is_void_v<R>, char, std::optional<R>> value{};
  std::exception_ptr thrown;
  const auto work = [&] {
    try {
      if constexpr (std::is_void_v<R>) {
        f();
      } else {
        value.emplace(f());
      }
    } catch (...) {
      thrown = std::current_exception();
    }
  };
  const auto start = [&work, pool = pool_](auto handler) {
    auto home = boost::asio::make_work_guard(
        boost::asio::get_associated_executor(handler));
    auto job = boost::asio::use_service<detail::pool_jobs>(
                   boost::asio::query(home.get_executor(),
                                      boost::asio::execution::context))
                   .begin();
    boost::asio::post(
        pool, [&work, job = std::move(job), home = std::move(home),
               handler = std::move(handler)]() mutable {
          work();
          {
            const auto last = std::move(home);
            boost::asio::post(last.get_executor(), std::move(handler));
          }
          job.end();
        });
  };
  const auto& token = boost::asio::use_awaitable;
  co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>,
                                       void()>(start, token);
  if (thrown) std::rethrow_exception(thrown);
  if constexpr (!std::is_void_v<R>) co_return *std::move(value);
}

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
