// SPDX-License-Identifier: MIT
#include "cli/eval_report.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "cli/terminal.h"
#include "tinyphi/base/json.h"
#include "tinyphi/base/mapped_file.h"

namespace cli {

namespace {

namespace json = tinyphi::json;
using tinyphi::error;
using tinyphi::error_code;
using tinyphi::result;

struct worse_case {
  std::size_t line;
  double before;
  double now;
};

// Those that score less than before, if both reports are of the same cases.
std::vector<worse_case> worse_cases(const eval_report& r,
                                    const eval_report& before) {
  std::vector<worse_case> worse;
  if (r.cases_hash != before.cases_hash) return worse;
  std::map<std::size_t, double> scores;
  for (const case_report& c : before.cases) scores[c.line] = c.score;
  for (const case_report& c : r.cases) {
    const auto it = scores.find(c.line);
    if (it != scores.end() && c.score < it->second) {
      worse.push_back({c.line, it->second, c.score});
    }
  }
  return worse;
}

void add_answer(json::object& o, const answer_score& s) {
  o["exact"] = s.exact;
  o["contains"] = s.contains;
  o["f1"] = s.f1;
}

json::object to_object(const case_report& c) {
  json::object o{{"line", c.line}, {"score", c.score}};
  if (c.answer) add_answer(o, *c.answer);
  o["failed"] = c.failed;
  o["tokens"] = c.tokens;
  o["seconds"] = c.seconds;
  json::array problems;
  for (const std::string& p : c.problems) {
    problems.emplace_back(json::string_view(p));
  }
  o["problems"] = std::move(problems);
  return o;
}

std::size_t all_tokens(const eval_report& r) {
  std::size_t n = 0;
  for (const case_report& c : r.cases) n += c.tokens;
  return n;
}

double all_seconds(const eval_report& r) {
  double s = 0;
  for (const case_report& c : r.cases) s += c.seconds;
  return s;
}

// One row of the table; what there is none of is "-".
std::string row(const std::string& name, double score,
                const std::optional<answer_score>& answer, std::size_t tokens,
                double seconds) {
  const auto cell = [](const std::string& text, std::size_t width) {
    return std::string(width > text.size() ? width - text.size() : 1, ' ') +
           text;
  };
  const auto measure = [&](double answer_score::*m) {
    return cell(answer ? fixed((*answer).*m, 2) : "-", 10);
  };
  return padded(name, 8) + cell(fixed(score, 2), 6) +
         measure(&answer_score::exact) + measure(&answer_score::contains) +
         measure(&answer_score::f1) + cell(std::to_string(tokens), 9) +
         cell(fixed(seconds, 2), 9) + "\n";
}

std::string with_sign(double x) { return (x < 0 ? "" : "+") + fixed(x, 3); }

}  // namespace

double eval_report::score() const {
  double sum = 0;
  for (const case_report& c : cases) sum += c.score;
  return sum / static_cast<double>(cases.size());
}

std::optional<answer_score> eval_report::answers() const {
  answer_score sum;
  std::size_t n = 0;
  for (const case_report& c : cases) {
    if (!c.answer) continue;
    ++n;
    sum.exact += c.answer->exact;
    sum.contains += c.answer->contains;
    sum.f1 += c.answer->f1;
  }
  if (n == 0) return std::nullopt;
  const auto all = static_cast<double>(n);
  return answer_score{sum.exact / all, sum.contains / all, sum.f1 / all};
}

std::string to_json(const eval_report& r, const eval_report* before) {
  json::object o{{"file", r.file},
                 {"cases", r.cases_hash},
                 {"by", r.by},
                 {"score", r.score()}};
  if (const auto answers = r.answers()) add_answer(o, *answers);
  o["failed"] = std::ranges::count(r.cases, true, &case_report::failed);
  o["tokens"] = all_tokens(r);
  o["seconds"] = all_seconds(r);
  json::array results;
  for (const case_report& c : r.cases) results.push_back(to_object(c));
  o["results"] = std::move(results);
  if (before != nullptr) {
    json::array worse;
    for (const worse_case& w : worse_cases(r, *before)) {
      worse.push_back({{"line", w.line}, {"before", w.before}, {"now", w.now}});
    }
    o["baseline"] =
        json::object{{"score", before->score()},
                     {"change", r.score() - before->score()},
                     {"same_cases", r.cases_hash == before->cases_hash},
                     {"worse", std::move(worse)}};
  }
  return json::serialize(o);
}

std::string to_text(const eval_report& r, const std::string& cases,
                    const eval_report* before) {
  std::string text =
      "line     score     exact  contains        f1   tokens  seconds\n";
  for (const case_report& c : r.cases) {
    text += row(std::to_string(c.line), c.score, c.answer, c.tokens, c.seconds);
    for (const std::string& p : c.problems) {
      text += cases + ":" + std::to_string(c.line) + ": " + p + "\n";
    }
  }
  text += row("all", r.score(), r.answers(), all_tokens(r), all_seconds(r));
  if (before == nullptr) return text;
  text += "score " + fixed(r.score(), 3) + ", it was " +
          fixed(before->score(), 3) + " (" +
          with_sign(r.score() - before->score()) + ")\n";
  if (r.cases_hash != before->cases_hash) {
    return text + "the baseline has other cases, so only means compare\n";
  }
  for (const worse_case& w : worse_cases(r, *before)) {
    text += cases + ":" + std::to_string(w.line) + ": " + fixed(w.now, 2) +
            ", it was " + fixed(w.before, 2) + "\n";
  }
  return text;
}

result<eval_report> read_report(const std::string& path,
                                std::size_t max_bytes) {
  TINYPHI_TRY(const std::string text, tinyphi::read_file(path, max_bytes));
  TINYPHI_TRY(const json::value parsed, tinyphi::parse_json(text, path));
  const auto wrong = [&](const std::string& what) {
    return error{
        error_code::bad_data,
        path + ": " + what + ", so it is no result of tinyphi eval --json"};
  };
  if (!parsed.is_object()) return wrong("not an object");
  const json::object& o = parsed.get_object();
  const json::value* hash = o.if_contains("cases");
  const json::value* by = o.if_contains("by");
  if (by == nullptr || !by->is_string()) return wrong("does not say by what");
  const json::value* results = o.if_contains("results");
  if (hash == nullptr || !hash->is_string()) return wrong("has no cases");
  if (results == nullptr || !results->is_array() ||
      results->get_array().empty()) {
    return wrong("has no results");
  }
  eval_report r;
  r.cases_hash = std::string(hash->get_string());
  r.by = std::string(by->get_string());
  for (const json::value& one : results->get_array()) {
    if (!one.is_object()) return wrong("a result is not an object");
    const tinyphi::json_reader fields(one.get_object(), path);
    constexpr std::int64_t most = std::int64_t{1} << 53;
    TINYPHI_TRY(const auto line, fields.integer("line", 1, most));
    TINYPHI_TRY(const auto score, fields.number("score"));
    if (!line || !score) return wrong("a result has no line or no score");
    case_report c;
    c.line = static_cast<std::size_t>(*line);
    c.score = *score;
    r.cases.push_back(std::move(c));
  }
  return r;
}

}  // namespace cli
