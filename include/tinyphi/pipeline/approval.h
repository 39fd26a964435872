// SPDX-License-Identifier: MIT
// What a stage asks of a person, and who asks it.
#ifndef TINYPHI_PIPELINE_APPROVAL_H_
#define TINYPHI_PIPELINE_APPROVAL_H_

#include <concepts>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "tinyphi/base/cancel.h"
#include "tinyphi/pipeline/effect.h"
#include "tinyphi/pipeline/text_stream.h"
#include "tinyphi/pipeline/value.h"

TINYPHI_NAMESPACE_BEGIN

// Whether values may go on.
struct approval_question {
  // Of `arguments`.
  static constexpr std::size_t max_argument_bytes = std::size_t{64} << 10;

  struct shown_value {
    std::string name;
    std::string text;         // as a person reads it, cut where it is long
    std::size_t n_bytes = 0;  // of the whole
    trust label = trust::trusted;
  };
  // The stage; in a file that is called "note.ask", behind the stage that calls
  // it; or the tool.
  std::string stage;
  std::string text;  // the question, cut where it is long
  std::vector<shown_value> values;
  // All values whole, as one JSON object on one line; nothing if that is longer
  // than max_argument_bytes.
  std::optional<std::string> arguments = {};
  trust label = trust::trusted;   // of all that led to the question
  effect effects = effect::none;  // of what runs after a yes only
};
struct approval {
  bool given = false;
  std::string reason = {};  // why it is not given
  // The arguments that the person has seen, where they were shown whole. The
  // stage compares them with what it passes on, byte for byte.
  std::optional<std::string> shown = {};
};

// Asks a person and waits, no longer than the condition says. Texts are as
// hostile as those who wrote them. It may be asked by several threads at once,
// and does not throw. Who is not asked says no.
class approver {
 public:
  // On the pool, one of whose threads waits; or where the stage runs, without
  // any.
  using blocking =
      std::function<approval(const approval_question&, const stop_condition&)>;
  using waiting =
      std::function<task<approval>(approval_question, stop_condition)>;

  approver() = default;
  template <class F>
  requires(!std::same_as<std::remove_cvref_t<F>, approver>) approver(F f) {
    if constexpr (std::constructible_from<waiting, F>) {
      ask_ = waiting(std::move(f));
    } else {
      ask_ = blocking(std::move(f));
    }
  }

  [[nodiscard]] explicit operator bool() const { return ask_.index() != 0; }
  [[nodiscard]] const blocking* if_blocking() const {
    return std::get_if<blocking>(&ask_);
  }
  [[nodiscard]] const waiting* if_waiting() const {
    return std::get_if<waiting>(&ask_);
  }
  // The same, asked what `edit` makes of a question. Not of an empty one.
  template <class Edit>
  [[nodiscard]] approver with(Edit edit) const {
    if (const auto* wait = if_waiting()) {
      return waiting(
          [ask = *wait, edit](approval_question q, stop_condition stop) {
            edit(q);
            return ask(std::move(q), std::move(stop));
          });
    }
    return blocking([ask = std::get<blocking>(ask_), edit](
                        approval_question q, const stop_condition& stop) {
      edit(q);
      return ask(q, stop);
    });
  }

 private:
  std::variant<std::monostate, blocking, waiting> ask_;
};

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_APPROVAL_H_
