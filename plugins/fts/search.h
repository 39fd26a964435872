// SPDX-License-Identifier: MIT
// Questions to passages: BM25 over the index, and how sure a passage is.
#ifndef TINYPHI_PLUGINS_FTS_SEARCH_H_
#define TINYPHI_PLUGINS_FTS_SEARCH_H_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/fts/index.h"
#include "plugins/fts/words.h"
#include "plugins/sqlite/fts5_tokenizer.h"
#include "tinyphi/base/cancel.h"
#include "tinyphi/base/error.h"

TINYPHI_NAMESPACE_BEGIN
namespace fts {

struct search_options {
  std::size_t top_k = 6;
  double title_weight = 2, heading_weight = 2, body_weight = 1;
  double min_coverage = 0;  // leave out passages below it
  stop_condition stop;
};

struct hit {
  chunk passage;
  std::string source;      // the file, relative to the indexed folder
  std::size_t number = 0;  // of the passage in its file, from 1
  // Share of the question's meaning, 0 to 1, whose words the passage or its
  // headings hold: each word counts by how rare it is among the passages, so
  // one that no document holds counts most.
  double coverage = 0;
  double score = 0;  // BM25 times coverage; higher is better
};

// The best passages for a question in plain words, best first. Nothing is an
// operator: the question's words are looked for as they are. Reads only.
[[nodiscard]] inline result<std::vector<hit>> search_index(
    const std::filesystem::path& index, std::string_view question,
    const search_options& options = {});

namespace detail {

constexpr std::size_t max_terms = 32;

struct term {
  std::string query;                     // quoted for MATCH
  std::vector<std::string> tokens = {};  // as the index has it: "3.5" has two
  std::int64_t n_passages = 0;
  double rarity = 0;
};

// The distinct words that say what a question is about.
inline std::vector<term> question_terms(std::string_view question) {
  std::vector<term> terms;
  for (const std::string& word : split_words(question)) {
    if (is_stop_word(word)) continue;
    std::string query = '"' + word + '"';
    const auto same = [&](const term& t) { return t.query == query; };
    if (std::any_of(terms.begin(), terms.end(), same)) continue;
    terms.push_back({std::move(query)});
    if (terms.size() == max_terms) break;
  }
  return terms;
}

class search {
 public:
  search(const database& db, const search_options& options)
      : db_(db), options_(options) {}

  result<std::vector<hit>> run(std::string_view question) {
    std::vector<term> terms = question_terms(question);
    TINYPHI_TRY(const auto words,
                sqlite::fts5_tokenizer::create(db_, word_maker));
    for (term& t : terms) {
      TINYPHI_TRY(t.tokens, words.split(t.query));
    }
    TINYPHI_CHECK_OK(weigh(terms));
    const std::string query = match_query(terms);
    if (query.empty()) return std::vector<hit>{};
    TINYPHI_TRY(path_of_, db_.prepare("SELECT path FROM file WHERE id = ?"));
    TINYPHI_TRY(auto rows,
                db_.prepare("SELECT rowid, title, heading, body, line,"
                            " bm25(chunk, ?, ?, ?) AS rank FROM chunk"
                            " WHERE chunk MATCH ? ORDER BY rank LIMIT ?"));
    rows.bind(1, options_.title_weight).bind(2, options_.heading_weight);
    rows.bind(3, options_.body_weight).bind(4, std::string_view(query));
    rows.bind(5, static_cast<std::int64_t>(
                     std::max<std::size_t>(4 * options_.top_k, 32)));
    std::vector<hit> hits;
    for (;;) {
      TINYPHI_CHECK_OK(options_.stop.check());
      TINYPHI_TRY(const bool more, rows.step());
      if (!more) break;
      TINYPHI_TRY(hit h, read_hit(rows, terms, words));
      if (h.coverage >= options_.min_coverage) hits.push_back(std::move(h));
    }
    std::stable_sort(hits.begin(), hits.end(), [](const hit& a, const hit& b) {
      return a.score > b.score;
    });
    if (hits.size() > options_.top_k) hits.resize(options_.top_k);
    return hits;
  }

 private:
  result<void> weigh(std::vector<term>& terms) {
    TINYPHI_TRY(n_passages_, db_.integer("SELECT count(*) FROM chunk_docsize"));
    TINYPHI_TRY(auto count, db_.prepare("SELECT count(*) FROM chunk"
                                        " WHERE chunk MATCH ?"));
    for (term& t : terms) {
      TINYPHI_CHECK_OK(options_.stop.check());
      count.bind(1, std::string_view(t.query));
      TINYPHI_CHECK_OK(count.step());
      t.n_passages = count.integer(0);
      TINYPHI_CHECK_OK(count.run());
      const auto with = static_cast<double>(t.n_passages);
      const auto all = static_cast<double>(n_passages_);
      t.rarity = std::log1p((std::max(all - with, 0.0) + 0.5) / (with + 0.5));
      total_ += t.rarity;
    }
    return {};
  }

  // "a" OR "b", the rarest first. To rank a passage takes microseconds, so
  // words that would add too many are left out: they tell little, and what
  // they tell counts in the coverage.
  [[nodiscard]] std::string match_query(const std::vector<term>& terms) const {
    const std::int64_t most = std::max<std::int64_t>(n_passages_ / 64, 1500);
    std::vector<const term*> order;
    for (const term& t : terms) {
      if (t.n_passages > 0) order.push_back(&t);
    }
    std::ranges::stable_sort(order, {}, &term::n_passages);
    std::string query;
    std::int64_t total = 0;
    for (const term* t : order) {
      total += t->n_passages;
      if (!query.empty() && total > most) break;
      query += (query.empty() ? "" : " OR ") + t->query;
    }
    return query;
  }

  result<hit> read_hit(const statement& row, const std::vector<term>& terms,
                       const sqlite::fts5_tokenizer& words) {
    const std::int64_t id = row.integer(0);
    hit h;
    h.passage = {to_valid_utf8(row.text(1)), to_valid_utf8(row.text(2)),
                 to_valid_utf8(row.text(3)),
                 static_cast<std::size_t>(row.integer(4))};
    h.number = static_cast<std::size_t>(id & ((1 << chunk_bits) - 1));
    path_of_.reset();
    TINYPHI_TRY(const bool known, path_of_.bind(1, id >> chunk_bits).step());
    if (known) h.source = to_valid_utf8(path_of_.text(0));
    TINYPHI_TRY(const double found, rarity_in(h.passage, terms, words));
    h.coverage = total_ > 0 ? found / total_ : 0;
    h.score = -row.number(5) * h.coverage;  // bm25() is lower for better ones
    return h;
  }

  // The rarity of the terms that the passage holds. It is looked at here:
  // asking the index for each term took most of a search's time.
  static result<double> rarity_in(const chunk& passage,
                                  const std::vector<term>& terms,
                                  const sqlite::fts5_tokenizer& words) {
    std::vector<std::vector<std::string>> texts;
    for (const std::string* text :
         {&passage.title, &passage.heading, &passage.text}) {
      TINYPHI_TRY(auto tokens, words.split(*text));
      texts.push_back(std::move(tokens));
    }
    double sum = 0;
    for (const term& t : terms) {
      const bool found = std::ranges::any_of(texts, [&](const auto& tokens) {
        return !t.tokens.empty() &&
               std::search(tokens.begin(), tokens.end(), t.tokens.begin(),
                           t.tokens.end()) != tokens.end();
      });
      if (found) sum += t.rarity;
    }
    return sum;
  }

  const database& db_;
  const search_options& options_;
  statement path_of_{nullptr};  // run for each hit
  std::int64_t n_passages_ = 0;
  double total_ = 0;
};

}  // namespace detail

inline result<std::vector<hit>> search_index(const std::filesystem::path& index,
                                             std::string_view question,
                                             const search_options& options) {
  std::error_code ignored;
  if (!std::filesystem::exists(index, ignored)) {
    return error{error_code::not_found,
                 index.string() + ": no such index; an ingest stage makes it"};
  }
  TINYPHI_TRY(const database db,
              database::open(index, index_kind, database::mode::read));
  TINYPHI_CHECK_OK(db.keep_pages(8 << 10));
  TINYPHI_CHECK_OK(detail::check_schema(db, index.string()));
  return detail::search(db, options).run(question);
}

}  // namespace fts
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_FTS_SEARCH_H_
