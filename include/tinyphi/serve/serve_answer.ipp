// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_SERVE_ANSWER_IPP_
#define TINYPHI_SERVE_SERVE_ANSWER_IPP_

#include <algorithm>
#include <charconv>
#include <chrono>
#include <limits>
#include <utility>
#include <vector>

#include "tinyphi/pipeline/stage.h"
#include "tinyphi/serve/answer_start.h"
#include "tinyphi/serve/progress_signal.h"
#include "tinyphi/serve/serve_answer.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

using namespace std::chrono_literals;

// A stream's head is sent after this time even without a token.
inline constexpr auto max_headless = 5s;
inline constexpr auto keep_alive_after = 10s;

// How long the client waits for an answer, where it says so: OpenAI's libraries
// do. 0: it does not.
inline double patience_ms(const http_request& r) {
  const std::string_view text = r.header("x-stainless-read-timeout");
  double seconds = 0;
  const auto read =
      std::from_chars(text.data(), text.data() + text.size(), seconds);
  const bool known = read.ec == std::errc() &&
                     read.ptr == text.data() + text.size() && seconds > 0;
  return known ? 1e3 * seconds : 0;
}
// Of that, what is left when the answer must be on its way.
inline constexpr double in_time = 0.9;

inline double shorter(double limit, double wanted) {
  return wanted > 0 ? std::min(limit, wanted) : limit;
}

// The answers of one request from their start to their end, on the io thread.
class answer_run {
 public:
  answer_run(http_exchange& x, std::shared_ptr<served_model> m,
             answer_request r, const make_dialect& make,
             const answer_environment& around)
      : x_(&x),
        model_(std::move(m)),
        request_(std::move(r)),
        make_(&make),
        around_(&around),
        signal_(std::make_shared<progress_signal>(*around.io)),
        entry_(around.running->add(running_request{.id = x.request().id,
                                                   .model = model_->id(),
                                                   .began = x.request().arrived,
                                                   .from = x.request().from,
                                                   .stop = x.gone().child()})) {
    if (request_.any_seed && model_->seed()) {
      request_.params.sampling.seed = *model_->seed();
    }
  }

  boost::asio::awaitable<void> run() {
    set_deadlines();
    if (around_->counts != nullptr) {
      series_ = around_->counts->find(
          model_->id(),
          answer_class(*x_->request().from, request_.wanted_class));
      around_->counts->request_started(*series_);
    }
    run_context workers({}, around_->workers->get_executor(), trust::trusted);
    const auto start = [this] {
      return start_answers(*model_, request_, *x_->request().from,
                           first_token_by_);
    };
    // Named: g++ 12 destroys temporaries of a co_await expression twice.
    auto starting = workers.blocking(start);
    auto started = co_await std::move(starting);
    make_answers(std::move(started));
    if (refused_) {
      co_await refuse();
    } else {
      co_await tell();
    }
    report();
  }

 private:
  // One of the answers, while it runs.
  struct part {
    explicit part(generation g) : from(std::move(g)) {}

    generation from;
    ended_answer ended;
    bool told = false;  // its end was
    steady_time first_token = {}, last_token = {};
  };

  void set_deadlines() {
    const answer_deadlines& d = around_->deadlines;
    const steady_time from = x_->request().arrived;
    first_token_by_ =
        after_ms(from, shorter(d.first_token_ms, request_.first_token_ms));
    request_.params.queue_deadline =
        after_ms(from, shorter(d.queue_ms, request_.queue_ms));
    request_.params.stop_when.token = entry_->stop;
    double total = shorter(d.total_ms, request_.total_ms);
    // A client that waits for all of an answer leaves without any of it when
    // its own time is over.
    if (!request_.stream) {
      total = shorter(total, patience_ms(x_->request()) * in_time);
    }
    request_.params.stop_when.deadline = after_ms(from, total);
    // Weak: the engine may hold it longer than there is an io thread.
    request_.params.on_progress = [weak = std::weak_ptr(signal_)] {
      if (const auto signal = weak.lock()) signal->notify();
    };
  }

  void make_answers(started_answers started) {
    refused_ = std::move(started.refused);
    if (refused_) return;
    answer_facts facts{.id = x_->request().id,
                       .model = model_->id(),
                       .fingerprint = model_->fingerprint(),
                       .created = unix_seconds(),
                       .n_answers = started.answers.size(),
                       .prompt_texts = started.prompt_texts,
                       .token_text = {}};
    facts.token_text = [m = model_](token_id id) {
      const tokenizer* t = m->engine().model().tokenizer();
      return t == nullptr ? std::string() : std::string(t->bytes(id));
    };
    facts.stop_ids = model_->engine().model().stop_ids();
    facts.called = started.called;
    calls_ = !started.called.empty();
    for (std::size_t i = 0; calls_ && i < facts.n_answers; ++i) {
      facts.call_ids.push_back(new_call_id());
    }
    dialect_ = (*make_)(request_, std::move(facts));
    for (std::size_t i = 0; i < started.answers.size(); ++i) {
      part p(std::move(started.answers[i]));
      p.ended.index = i;
      p.ended.prompt_index = i / request_.n;
      if (request_.echo) {
        p.ended.prompt_text = started.prompt_texts[p.ended.prompt_index];
      }
      p.ended.n_dropped_turns = started.n_dropped_turns;
      parts_.push_back(std::move(p));
    }
    entry_->prompt_tokens = started.n_prompt_tokens;
  }

  boost::asio::awaitable<void> tell() {
    last_sent_ = std::chrono::steady_clock::now();
    // Dialects count their events and tokens from here on, although the bytes
    // are sent with those of the first token.
    std::string head;
    if (request_.stream) head = dialect_->begin();
    while (!x_->gone().cancelled()) {
      std::string bytes = take_news();
      if (refused_) break;
      if (request_.stream) {
        const bool must_begin =
            !begun_ && (!bytes.empty() || std::chrono::steady_clock::now() -
                                                  x_->request().arrived >=
                                              max_headless);
        if (must_begin) {
          std::string type(dialect_->stream_type());
          auto beginning = x_->begin_stream(std::move(type));
          begun_ = co_await std::move(beginning);
          if (!begun_) co_return;
          bytes.insert(0, head);
          head.clear();
        }
        if (begun_ && bytes.empty() &&
            std::chrono::steady_clock::now() - last_sent_ >= keep_alive_after) {
          bytes = dialect_->keep_alive();
          // A dialect without them is not asked again at once.
          last_sent_ = std::chrono::steady_clock::now();
        }
        if (!bytes.empty()) {
          last_sent_ = std::chrono::steady_clock::now();
          auto writing = x_->write(std::move(bytes));
          if (!co_await std::move(writing)) co_return;
        }
      }
      if (all_told()) break;
      auto waiting = signal_->wait(next_look());
      co_await std::move(waiting);
    }
    co_await end();
  }

  // The last bytes: of a stream, of a whole answer, or of what went wrong.
  boost::asio::awaitable<void> end() {
    if (x_->gone().cancelled()) co_return;
    if (refused_ && !begun_) {
      co_await refuse();
      co_return;
    }
    gather();
    if (!request_.stream) {
      http_response whole;
      whole.body = dialect_->whole(answers_);
      auto responding = x_->respond(std::move(whole));
      co_await std::move(responding);
      co_return;
    }
    std::string last =
        refused_ ? dialect_->broken(*refused_) : dialect_->end(answers_);
    if (!last.empty()) {
      auto writing = x_->write(std::move(last));
      if (!co_await std::move(writing)) co_return;
    }
    co_await x_->end_stream();
  }

  boost::asio::awaitable<void> refuse() {
    std::string body = dialect_ ? dialect_->error_body(*refused_)
                                : (*make_)(request_, {})->error_body(*refused_);
    auto responding = respond_error(*x_, *refused_, std::move(body));
    co_await std::move(responding);
  }

  // Takes what the engine has come to since the last look; as bytes, if the
  // answer is a stream. Sets refused_ if all of it must end as an error.
  std::string take_news() {
    if (!first_token_ && !late_ &&
        std::chrono::steady_clock::now() >= first_token_by_) {
      late_ = true;
      entry_->stop.cancel();
    }
    std::string pieces;
    for (part& p : parts_) {
      if (p.told) continue;
      const bool done = p.from.done();
      text_piece piece = p.from.poll();
      if (!piece.empty()) pieces += take_piece(p, std::move(piece));
      if (done && !refused_) pieces += take_end(p);
    }
    // Asked behind the pieces, whose prompt is read then, and told before them.
    return prompt_news() + pieces;
  }

  std::string take_piece(part& p, text_piece piece) {
    const auto now = std::chrono::steady_clock::now();
    if (!first_token_) {
      first_token_ = now;
      if (series_) {
        around_->counts->first_token(
            *series_, milliseconds_between(x_->request().arrived, now));
      }
    }
    if (p.last_token != steady_time{} && !piece.tokens.empty()) {
      const double gap = milliseconds_between(p.last_token, now);
      gaps_.push_back(static_cast<float>(gap));
      if (series_) around_->counts->between_tokens(*series_, gap);
    }
    if (!piece.tokens.empty()) {
      if (p.last_token == steady_time{}) p.first_token = now;
      p.last_token = now;
    }
    entry_->state = "decode";
    entry_->generated_tokens += piece.tokens.size();
    p.ended.tokens.insert(p.ended.tokens.end(), piece.tokens.begin(),
                          piece.tokens.end());
    restore_space(p.ended, piece);
    std::string bytes;
    if (request_.stream) {
      if (request_.timings_per_token) {
        p.ended.usage = usage_of(p, now);
        // The engine may have ended it since, with more than this piece.
        p.ended.usage.completion_tokens = p.ended.tokens.size();
        dialect_->so_far(p.ended);
      }
      bytes = dialect_->piece(p.ended.index, piece);
    }
    p.ended.text += piece.text;
    return bytes;
  }

  static double seconds(steady_time from, steady_time to) {
    return std::max(0.0, std::chrono::duration<double>(to - from).count());
  }

  // The engine tells an answer's usage at its end. Before that it is what was
  // seen here.
  usage usage_of(const part& p, steady_time now) const {
    if (p.from.done()) return p.from.usage();
    const bool begun = p.first_token != steady_time{};
    const prompt_progress prompt = p.from.progress();
    const steady_time since = prompt.admitted ? prompt.since : now;
    usage u;
    u.prompt_tokens = prompt.total;
    u.cached_tokens = prompt.cached;
    u.completion_tokens = p.ended.tokens.size();
    u.queue_seconds = seconds(x_->request().arrived, since);
    u.prefill_seconds = seconds(since, begun ? p.first_token : now);
    if (begun) u.decode_seconds = seconds(p.first_token, now);
    return u;
  }

  // All answers, as far as they have come; nothing more comes of them then.
  void gather() {
    for (part& p : parts_) {
      p.ended.usage = usage_of(p, std::chrono::steady_clock::now());
      answers_.push_back(std::move(p.ended));
    }
    parts_.clear();
  }

  // A text that begins anew loses the blank that its first token stands for;
  // one that goes on behind a plain prompt must not, unless it has a form,
  // which the blank would be no part of.
  void restore_space(const ended_answer& a, text_piece& piece) const {
    const tokenizer* t = model_->engine().model().tokenizer();
    if (request_.prompts.empty() || request_.format || t == nullptr ||
        !a.text.empty() || piece.text.empty() || a.tokens.empty() ||
        !t->strips_leading_space()) {
      return;
    }
    if (t->bytes(a.tokens.front().id).starts_with(' ')) {
      piece.text.insert(0, 1, ' ');
    }
  }

  std::string take_end(part& p) {
    p.told = true;
    p.ended.usage = p.from.usage();
    p.ended.finish = p.from.finish();
    if (p.from.error()) {
      fail(*p.from.error(), p.from.retry_after_seconds());
      return {};
    }
    // Arguments that are cut are of no more use than none.
    const bool empty = p.ended.tokens.empty() || calls_;
    if (p.ended.finish == finish_reason::deadline) {
      p.ended.ended_by = "deadline";
      if (empty) refused_ = deadline_error("deadline", "the answer's");
    } else if (p.ended.finish == finish_reason::cancelled) {
      if (late_) {
        refused_ = deadline_error("deadline_first_token", "the first token's");
      } else if (entry_->ended_by == "shutdown") {
        p.ended.ended_by = "shutdown";
        if (empty) {
          refused_ = to_api_error(
              {error_code::cancelled, "the server is shutting down"});
        }
      } else {
        p.ended.ended_by = "cancelled";
        if (calls_) {
          refused_ = to_api_error(
              {error_code::cancelled, "the request was cancelled"});
        }
      }
    }
    if (const tokenizer* t = model_->engine().model().tokenizer()) {
      std::string all;
      for (const sampled_token& token : p.ended.tokens) {
        all += t->bytes(token.id);
      }
      find_stop_text(p.ended, all);
      remember(p.ended, all);
    }
    return request_.stream && !refused_ ? dialect_->finish(p.ended)
                                        : std::string();
  }

  void fail(const error& e, double retry_after_seconds) {
    refused_ = to_api_error(e, retry_after_seconds);
    if (e.code == error_code::deadline) refused_->code = "deadline_queue";
    if (e.code == error_code::internal || e.code == error_code::bad_data) {
      refused_->status = 500;  // the request was checked: it is the model's
      refused_->type = "server_error";
    }
    entry_->stop.cancel();
  }

  static api_error deadline_error(std::string code, const std::string& whose) {
    api_error e = to_api_error(
        {error_code::deadline, whose + " time is over before it came; ask for "
                                       "less, or later"});
    e.code = std::move(code);
    return e;
  }

  // Which stop string ended an answer: the one that its tokens, whose bytes are
  // `all`, go on with behind its text.
  void find_stop_text(ended_answer& a, std::string_view all) const {
    if (a.finish != finish_reason::stop) return;
    const std::size_t from = all.find(a.text);
    if (from == std::string_view::npos) return;
    const auto rest = all.substr(from + a.text.size());
    for (const std::string& stop : request_.params.stop) {
      if (rest.starts_with(stop)) a.stop_text = stop;
    }
  }

  // Answers come back as text with the next question.
  void remember(const ended_answer& a, std::string_view all) {
    if (request_.messages.empty() || request_.continue_last || calls_) return;
    // Cut by a stop string, or repaired, it is not these tokens any more.
    if (all != a.text && (!all.starts_with(' ') || all.substr(1) != a.text)) {
      return;
    }
    std::vector<token_id> ids;
    for (const sampled_token& token : a.tokens) ids.push_back(token.id);
    model_->turns().remember(
        answer_domain(*x_->request().from, request_.cache_salt), a.text,
        std::move(ids));
  }

  // How far the first prompt is: once its turn has come, and whenever more of
  // it was read; so at least twice.
  std::string prompt_news() {
    const prompt_progress now = parts_.front().from.progress();
    if (!now.admitted) return {};
    if (!first_token_) entry_->state = "prefill";
    if (!request_.return_progress || !request_.stream) return {};
    std::string bytes;
    const auto tell = [&](std::size_t read) {
      read_ = read;
      if (request_.timings_per_token) {
        ended_answer so_far;
        so_far.usage.prompt_tokens = read;
        so_far.usage.cached_tokens = *found_;
        if (read > *found_) {
          so_far.usage.prefill_seconds =
              seconds(now.since, std::chrono::steady_clock::now());
        }
        dialect_->so_far(so_far);
      }
      bytes += dialect_->progress(*found_, read, now.total);
    };
    if (!found_) {
      found_ = now.cached;
      tell(now.cached);
    }
    // One that gave way begins anew, which is not told.
    if (now.read > read_) tell(now.read);
    return bytes;
  }

  [[nodiscard]] bool all_told() const {
    return std::ranges::all_of(parts_, [](const part& p) { return p.told; });
  }

  // When there is something to do although no news came.
  [[nodiscard]] steady_time next_look() const {
    steady_time t = std::chrono::steady_clock::now() + keep_alive_after;
    if (request_.stream) {
      t = last_sent_ + keep_alive_after;
      if (!begun_) t = std::min(t, x_->request().arrived + max_headless);
    }
    if (!first_token_ && !late_) t = std::min(t, first_token_by_);
    return std::max(t, std::chrono::steady_clock::now() + 1ms);
  }

  void report() {
    request_report& r = x_->report();
    r.model = model_->id();
    r.ignored = request_.ignored;
    gather();
    const usage u = add_up(answers_);
    r.generated_tokens = u.completion_tokens;
    r.drafts = u.drafts;
    r.drafted_tokens = u.drafted_tokens;
    r.accepted_tokens = u.accepted_tokens;
    r.cached_tokens = u.cached_tokens;
    r.queue_ms = 1e3 * u.queue_seconds;
    r.prefill_ms = 1e3 * u.prefill_seconds;
    r.decode_ms = 1e3 * u.decode_seconds;
    r.prompt_tokens = entry_->prompt_tokens;
    if (refused_) r.code = refused_->code, r.cause = refused_->cause;
    if (first_token_) {
      r.first_token_ms =
          milliseconds_between(x_->request().arrived, *first_token_);
    }
    if (!gaps_.empty()) {
      const auto p99 = gaps_.begin() + static_cast<std::ptrdiff_t>(
                                           (gaps_.size() - 1) * 99 / 100);
      std::nth_element(gaps_.begin(), p99, gaps_.end());
      r.gap_p99_ms = *p99;
    }
    if (entry_->stop.cancelled() && !late_) {
      r.cancelled_in = entry_->state == "queued" ? "queue" : entry_->state;
    }
    r.total_ms = milliseconds_between(x_->request().arrived,
                                      std::chrono::steady_clock::now());
    if (series_) around_->counts->request_ended(*series_, r);
  }

  http_exchange* x_;
  std::shared_ptr<served_model> model_;
  answer_request request_;
  const make_dialect* make_;
  const answer_environment* around_;
  std::shared_ptr<progress_signal> signal_;
  running_requests::entry entry_;

  std::unique_ptr<dialect> dialect_;
  std::vector<part> parts_;
  std::optional<api_error> refused_;
  bool begun_ = false;  // the head of the stream was sent
  bool late_ = false;   // the first token's deadline has passed
  bool calls_ = false;  // the answers are the arguments of calls
  steady_time first_token_by_, last_sent_;
  std::optional<steady_time> first_token_;
  // Tokens of the first prompt that were in the cache and that are read now,
  // as told last; none: nothing was.
  std::optional<std::size_t> found_;
  std::size_t read_ = 0;
  std::vector<float> gaps_;
  std::optional<metrics::series> series_;  // none: nobody counts
  std::vector<ended_answer> answers_;      // once nothing more comes
};

}  // namespace detail

TINYPHI_FUNC boost::asio::awaitable<void> serve_answer(
    http_exchange& exchange, std::shared_ptr<served_model> m, answer_request r,
    const make_dialect& make, const answer_environment& around) {
  detail::answer_run run(exchange, std::move(m), std::move(r), make, around);
  co_await run.run();
}

TINYPHI_FUNC boost::asio::awaitable<void> respond_error(http_exchange& exchange,
                                                        const api_error& e,
                                                        std::string body) {
  http_response r;
  r.status = e.status;
  r.body = std::move(body);
  r.headers = retry_headers(e);
  exchange.report().code = e.code;
  exchange.report().cause = e.cause;
  auto responding = exchange.respond(std::move(r));
  co_await std::move(responding);
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_SERVE_ANSWER_IPP_
