// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_TRACE_FILE_IPP_
#define TINYPHI_PIPELINE_TRACE_FILE_IPP_

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <span>

#include "tinyphi/base/json.h"
#include "tinyphi/pipeline/compile.h"
#include "tinyphi/pipeline/trace_file.h"
#include "tinyphi/pipeline/value_json.h"
#include "tinyphi/version.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline constexpr std::int64_t trace_version = 1;

template <class Values>
json::object values_to_json(const Values& values) {
  json::object out;
  for (const auto& [name, data] : values) out[name] = to_json(data);
  return out;
}

inline void add_call(const stage_call& call, json::object& out) {
  out["stage"] = call.stage;
  if (call.item) out["item"] = *call.item;
  out["round"] = call.round;
  out["attempt"] = call.attempt;
}

inline void add_failure(const error& e, json::object& out) {
  out["code"] = json::string_view(to_string(e.code));
  out["message"] = e.message;
}

inline json::object event_to_json(const trace_event& e) {
  json::object out{{"request", e.request},
                   {"file", e.file},
                   {"hash", e.hash},
                   {"stage_hash", e.stage_hash}};
  if (!e.callers.empty()) {
    json::array callers;
    for (const stage_call& call : e.callers) {
      json::object one;
      add_call(call, one);
      callers.push_back(std::move(one));
    }
    out["callers"] = std::move(callers);
  }
  add_call(e.call, out);
  out["start"] = e.start;
  out["seconds"] = e.seconds;
  out["tokens_in"] = e.used.prompt_tokens;
  out["tokens_cached"] = e.used.cached_tokens;
  out["tokens_out"] = e.used.completion_tokens;
  out["label"] = json::string_view(to_string(e.label));
  out["outcome"] = json::string_view(to_string(e.outcome));
  if (e.failure) add_failure(*e.failure, out);
  if (!e.reason.empty()) out["reason"] = e.reason;
  if (e.faked) out["faked"] = true;
  return out;
}

// One line of a trace, whose members are taken one by one: what is left over is
// not of a trace. The first thing that is wrong stays.
class trace_line {
 public:
  trace_line(json::object object, std::string where)
      : object_(std::move(object)), where_(std::move(where)) {}

  [[nodiscard]] const std::optional<error>& fault() const { return fault_; }
  // What was wrong; a member that nobody asked for is.
  std::optional<error> finish() {
    if (!fault_ && !object_.empty()) {
      wrong(std::string(object_.begin()->key()), "is no member of such a line");
    }
    return std::move(fault_);
  }
  void wrong(std::string_view key, std::string_view what) {
    if (fault_) return;
    fault_ = error{error_code::bad_data,
                   where_ + ": " + quote(key) + " " + std::string(what)};
  }

  [[nodiscard]] bool has(std::string_view key) const {
    return object_.contains(json::string_view(key.data(), key.size()));
  }
  std::string text(std::string_view key, std::size_t most) {
    const auto v = take(key);
    const auto* s = v ? v->if_string() : nullptr;
    if (s == nullptr || s->size() > most) {
      wrong(key, "is not a text of at most " + std::to_string(most) + " bytes");
      return {};
    }
    return {s->data(), s->size()};
  }
  std::size_t count(std::string_view key) {
    constexpr std::int64_t most = 1'000'000'000;
    const auto v = take(key);
    const auto* n = v ? v->if_int64() : nullptr;
    if (n == nullptr || *n < 0 || *n > most) {
      wrong(key, "is not an integer from 0 to " + std::to_string(most));
      return 0;
    }
    return static_cast<std::size_t>(*n);
  }
  double number(std::string_view key) {
    const auto v = take(key);
    const double x = v && v->is_number() ? v->to_number<double>() : -1;
    if (!(x >= 0 && std::isfinite(x))) {
      wrong(key, "is not a number from 0 on");
      return 0;
    }
    return x;
  }
  bool yes(std::string_view key) {
    const auto v = take(key);
    const auto* b = v ? v->if_bool() : nullptr;
    if (b == nullptr) wrong(key, "is neither true nor false");
    return b != nullptr && *b;
  }
  template <class Names>
  std::size_t one_of(std::string_view key, const Names& names) {
    const std::string name = text(key, trace_limits::max_name);
    const auto it = std::ranges::find(names, name);
    if (it != std::end(names)) {
      return static_cast<std::size_t>(it - std::begin(names));
    }
    std::string all;
    for (const std::string_view n : names) {
      all += (all.empty() ? "" : ", ") + std::string(n);
    }
    wrong(key, "is " + quote(name) + ", allowed are " + all);
    return 0;
  }
  // Values by name.
  port_values values(std::string_view key) {
    port_values out;
    const auto v = take(key);
    const auto* members = v ? v->if_object() : nullptr;
    if (members == nullptr) {
      wrong(key, "is not an object with values by name");
      return out;
    }
    for (const auto& m : *members) {
      if (m.key().size() > trace_limits::max_name) {
        wrong(key, "has a name of " + std::to_string(m.key().size()) +
                       " bytes, at most " +
                       std::to_string(trace_limits::max_name) + " are allowed");
        return out;
      }
      out.emplace_back(std::string(m.key()), from_json(m.value()));
    }
    return out;
  }
  // Objects of a list, each read by `read`, which returns what it made.
  template <class F>
  auto objects(std::string_view key, std::size_t most, F read) {
    std::vector<decltype(read(*this))> out;
    const auto v = take(key);
    const auto* items = v ? v->if_array() : nullptr;
    if (items == nullptr || items->size() > most) {
      wrong(key, "is not a list of at most " + std::to_string(most));
      return out;
    }
    for (const json::value& item : *items) {
      const auto* object = item.if_object();
      if (object == nullptr) {
        wrong(key, "has an item that is no object");
        return out;
      }
      trace_line one(*object, where_ + ": " + std::string(key));
      out.push_back(read(one));
      if (auto e = one.finish(); e && !fault_) fault_ = std::move(e);
    }
    return out;
  }
  std::optional<error> failure(std::string_view failed_key) {
    error e{static_cast<error_code>(one_of("code", error_code_names)),
            text("message", trace_limits::max_line)};
    if (e.message.empty()) wrong(failed_key, "needs a message");
    return e;
  }

 private:
  std::optional<json::value> take(std::string_view key) {
    const json::string_view name(key.data(), key.size());
    const auto it = object_.find(name);
    if (it == object_.end()) return std::nullopt;
    json::value v = std::move(it->value());
    object_.erase(it);
    return v;
  }

  json::object object_;
  std::string where_;
  std::optional<error> fault_;
};

inline stage_call read_call(trace_line& line) {
  stage_call call;
  call.stage = line.text("stage", trace_limits::max_name);
  if (call.stage.empty()) line.wrong("stage", "is empty");
  if (line.has("item")) call.item = line.count("item");
  call.round = line.count("round");
  call.attempt = line.count("attempt");
  return call;
}

inline trace_head read_head(trace_line& line) {
  trace_head head;
  if (line.count("trace") != trace_version) {
    line.wrong("trace", "is another version; this program reads version 1");
  }
  line.text("tinyphi", trace_limits::max_name);
  head.request = line.text("request", trace_limits::max_name);
  head.file = line.text("file", trace_limits::max_path);
  head.hash = line.text("hash", trace_limits::max_name);
  for (auto& [name, data] : line.values("inputs")) {
    head.inputs.emplace(std::move(name), std::move(data));
  }
  return head;
}

inline trace_event read_event(trace_line& line, const trace_head& head) {
  trace_event e;
  e.request = line.text("request", trace_limits::max_name);
  if (e.request != head.request) {
    line.wrong("request", "is that of another request");
  }
  e.file = line.text("file", trace_limits::max_path);
  e.hash = line.text("hash", trace_limits::max_name);
  e.stage_hash = line.text("stage_hash", trace_limits::max_name);
  if (line.has("callers")) {
    e.callers = line.objects("callers", max_call_depth, read_call);
  }
  e.call = read_call(line);
  e.start = line.number("start");
  e.seconds = line.number("seconds");
  e.used.prompt_tokens = line.count("tokens_in");
  e.used.cached_tokens = line.count("tokens_cached");
  e.used.completion_tokens = line.count("tokens_out");
  constexpr std::string_view labels[] = {"trusted", "user", "untrusted"};
  e.label = static_cast<trust>(line.one_of("label", labels));
  constexpr std::string_view outcomes[] = {"done", "failed", "skipped"};
  e.outcome = static_cast<trace_event::kind>(line.one_of("outcome", outcomes));
  const bool is_run = e.outcome != trace_event::kind::skipped;
  if (is_run == (e.call.round == 0) || is_run == (e.call.attempt == 0)) {
    line.wrong("outcome", "does not go with the round and the attempt");
  }
  if (e.outcome == trace_event::kind::failed) {
    e.failure = line.failure("outcome");
  }
  if (!is_run) e.reason = line.text("reason", trace_limits::max_line);
  if (line.has("faked")) e.faked = line.yes("faked");
  if (line.has("in")) e.in = line.values("in");
  if (line.has("out")) e.out = line.values("out");
  return e;
}

inline trace_end read_end(trace_line& line) {
  trace_end end;
  constexpr std::string_view ends[] = {"done", "failed"};
  if (line.one_of("end", ends) == 1) {
    end.failure = line.failure("end");
    end.failed_stage = line.text("stage", trace_limits::max_name);
  }
  end.seconds = line.number("seconds");
  const auto read_stage = [](trace_line& one) {
    trace_end::stage s;
    s.id = one.text("id", trace_limits::max_name);
    s.done = one.yes("done");
    if (one.has("reason"))
      s.reason = one.text("reason", trace_limits::max_line);
    return s;
  };
  end.stages = line.objects("stages", trace_limits::max_lines, read_stage);
  end.outputs = line.values("outputs");
  return end;
}

}  // namespace detail

TINYPHI_FUNC trace_end end_of(const result<run_result>& ended,
                              const run_record& record, double seconds) {
  trace_end end;
  end.seconds = seconds;
  for (const stage_report& s : record.stages) {
    end.stages.push_back({s.id, s.outcome == stage_outcome::done, s.reason});
  }
  if (!ended) {
    end.failure = ended.error();
    end.failed_stage = record.failed_stage;
    return end;
  }
  for (const auto& [name, v] : ended->outputs) {
    end.outputs.emplace_back(name, v.data);
  }
  return end;
}

TINYPHI_FUNC std::string to_json_line(const trace_head& head) {
  return json::serialize(
      json::object{{"trace", detail::trace_version},
                   {"tinyphi", TINYPHI_VERSION},
                   {"request", head.request},
                   {"file", head.file},
                   {"hash", head.hash},
                   {"inputs", detail::values_to_json(head.inputs)}});
}

TINYPHI_FUNC std::string to_json_line(const trace_event& event) {
  const json::object bare = detail::event_to_json(event);
  if (event.in.empty() && event.out.empty()) return json::serialize(bare);
  json::object whole = bare;
  whole["in"] = detail::values_to_json(event.in);
  whole["out"] = detail::values_to_json(event.out);
  std::string line = json::serialize(whole);
  return line.size() <= trace_limits::max_line ? line : json::serialize(bare);
}

TINYPHI_FUNC std::string to_json_line(const trace_end& end) {
  json::object out{{"end", end.failure ? "failed" : "done"}};
  if (end.failure) {
    detail::add_failure(*end.failure, out);
    out["stage"] = end.failed_stage;
  }
  out["seconds"] = end.seconds;
  json::array stages;
  for (const trace_end::stage& s : end.stages) {
    json::object one{{"id", s.id}, {"done", s.done}};
    if (!s.reason.empty()) one["reason"] = s.reason;
    stages.push_back(std::move(one));
  }
  out["stages"] = std::move(stages);
  out["outputs"] = detail::values_to_json(end.outputs);
  return json::serialize(out);
}

TINYPHI_FUNC result<recorded_trace> read_trace(std::string_view text,
                                               std::string_view name) {
  const auto limit = [&](std::size_t number, const std::string& what) {
    return error{error_code::limit, std::string(name) + ":" +
                                        std::to_string(number) + ": " + what};
  };
  if (text.size() > trace_limits::max_bytes) {
    return limit(
        1, "the trace has " + std::to_string(text.size()) + " bytes, at most " +
               std::to_string(trace_limits::max_bytes) + " are allowed");
  }
  recorded_trace trace;
  bool has_ended = false;
  std::size_t number = 0;
  while (!text.empty()) {
    ++number;
    const std::string_view whole = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), whole.size() + 1));
    const std::string where = std::string(name) + ":" + std::to_string(number);
    if (number > trace_limits::max_lines) {
      return limit(
          number,
          "more than " + std::to_string(trace_limits::max_lines) + " lines");
    }
    if (whole.size() > trace_limits::max_line) {
      return limit(number, "the line has " + std::to_string(whole.size()) +
                               " bytes, at most " +
                               std::to_string(trace_limits::max_line) +
                               " are allowed");
    }
    if (has_ended) {
      return error{error_code::bad_data,
                   where + ": a line behind the end of the request"};
    }
    TINYPHI_TRY(json::value parsed,
                parse_json(whole, where,
                           {.max_bytes = trace_limits::max_line,
                            .max_depth = trace_limits::max_depth}));
    if (!parsed.is_object()) {
      return error{error_code::bad_data, where + ": not a JSON object"};
    }
    detail::trace_line line(std::move(parsed.as_object()), where);
    if (number == 1) {
      trace.head = detail::read_head(line);
    } else if (line.has("end")) {
      trace.end = detail::read_end(line);
      has_ended = true;
    } else {
      trace.events.push_back(detail::read_event(line, trace.head));
    }
    if (auto wrong = line.finish()) return *std::move(wrong);
  }
  if (has_ended) return trace;
  return error{error_code::bad_data,
               std::string(name) + ":" + std::to_string(number) +
                   ": the trace ends before the request did; its last line "
                   "says how it ended"};
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_TRACE_FILE_IPP_
