// SPDX-License-Identifier: MIT
// Binds each sentence of an answer to the passage that supports it, whatever
// number the model wrote.
#ifndef TINYPHI_PLUGINS_CITE_VERIFY_VERIFY_H_
#define TINYPHI_PLUGINS_CITE_VERIFY_VERIFY_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "plugins/cite_verify/claim.h"
#include "plugins/fts/words.h"
#include "plugins/text/sentences.h"
#include "tinyphi/base/cancel.h"
#include "tinyphi/base/error.h"
#include "tinyphi/pipeline/record.h"

TINYPHI_NAMESPACE_BEGIN
namespace cite {

struct verify_options {
  // The share of a sentence's content words that must stand in its quote or
  // the headings above that. Below 1 a sentence can hold words that no passage
  // has; numbers and negations must stand there in any case.
  double min_overlap = 1;
  std::string mark = "[no source]";  // follows a sentence without support
  // A sentence of an answer that begins like one of these (in any case) says
  // that nothing is known. It gets no mark.
  std::vector<std::string> refusals = {"I don't know", "I do not know",
                                       "The passages do not"};
  stop_condition stop;
};

struct verified_answer {
  std::string text;  // each sentence, then its passage's number: "So. [2]"
  tinyphi::citations citations;  // one for each sentence but refusals
  // Every sentence is supported, and there is one at least. Refusals are not.
  bool ok = false;
};

// Passages count from 1, in the order in which the prompt showed them. A
// sentence of a passage supports a sentence of the answer if
// - each content word of the latter stands in it, or in the headings above it,
// - each number stands there too, in the same order, and counts the same,
// - each negation stands there, about the same word, and none of its own is
//   missing in the answer, unless it is in a clause that the answer left out.
// Among several the sentence that shares most words is quoted, from a passage
// that the model named if one of those supports as much. Words are compared
// without case, without a plural s, and without function words.
//
// Polls the stop condition after each sentence. Errors: those of that.
[[nodiscard]] inline result<verified_answer> verify_citations(
    std::string_view answer, std::span<const document> passages,
    const verify_options& options = {});

namespace detail {

using sentences::sentence;
using sentences::set_marks;
using sentences::take_sentence;

// A sentence of a passage.
struct quotable {
  std::string_view text;
  claim says;
};

struct known_passage {
  claim headings;  // not the document's title, which is above too much
  std::vector<quotable> sentences;
};

// How much of a sentence a quote and its headings hold.
struct support {
  double share = 0;         // of the content words
  std::size_t n_words = 0;  // distinct ones in the quote itself
};

// Whether `said` leaves out a negation of `quote`, in a clause that it uses, or
// of `headings`, about a word that it has from there.
inline bool leaves_out_negation(const claim& said, const claim& quote,
                                const claim& headings) {
  bool negated = false, used = false;
  for (std::size_t i = 0; i < quote.words.size(); ++i) {
    const claim_word& w = quote.words[i];
    if (i > 0 && w.clause != quote.words[i - 1].clause) negated = used = false;
    negated = negated || (w.is_negated && !said.negates(w.id));
    used = used || said.holds(w.id);
    if (negated && used) return true;
  }
  return std::any_of(
      headings.negated.begin(), headings.negated.end(), [&](std::uint32_t id) {
        return said.holds(id) && !quote.holds(id) && !said.negates(id);
      });
}

// Whether the numbers that are said come from the quote in another order:
// "from 2 to 6" does not support "from 6 to 2".
inline bool reorders_numbers(const claim& said, const claim& quote) {
  auto next = quote.words.begin();
  for (const claim_word& w : said.words) {
    if (!w.is_exact || !quote.holds(w.id)) continue;
    const auto same = [&](const claim_word& other) { return other.id == w.id; };
    next = std::find_if(next, quote.words.end(), same);
    if (next == quote.words.end()) return true;
    ++next;
  }
  return false;
}

// Nothing if `quote` does not support what is said.
inline std::optional<support> find_support(const claim& said,
                                           const claim& quote,
                                           const claim& headings,
                                           double min_overlap) {
  const std::size_t n = said.ids.size();
  std::size_t n_missing = 0, n_in_quote = 0;
  const auto share = [&] {
    return static_cast<double>(n - n_missing) / static_cast<double>(n);
  };
  for (const std::uint32_t id : said.ids) {
    if (quote.holds(id)) {
      ++n_in_quote;
    } else if (!headings.holds(id)) {
      ++n_missing;
      if (share() < min_overlap) return {};
    }
  }
  if (n_in_quote == 0) return {};
  if (said.has_bare_negation != quote.has_bare_negation) return {};
  for (const claim_word& w : said.words) {
    const bool stands = quote.holds(w.id) || headings.holds(w.id);
    if (w.is_exact && !stands) return {};
    if (w.count != 0 && quote.counts_otherwise(w)) return {};
    if (w.is_negated && !quote.negates(w.id) && !headings.negates(w.id)) {
      return {};
    }
  }
  if (reorders_numbers(said, quote)) return {};
  if (leaves_out_negation(said, quote, headings)) return {};
  return support{share(), n_in_quote};
}

class verifier {
 public:
  verifier(std::span<const document> passages, const verify_options& options)
      : passages_(passages), options_(options) {}

  result<verified_answer> run(std::string_view answer) {
    TINYPHI_CHECK_OK(read_passages());
    verified_answer out;
    bool all_bound = true;
    bool begins_line = true;
    while (!answer.empty()) {
      TINYPHI_CHECK_OK(options_.stop.check());
      const sentence s = take_sentence(answer, begins_line);
      begins_line = s.gap.find('\n') != s.gap.npos;
      out.text += s.item;
      if (fts::split_words(s.text).empty()) {
        out.text += s.text;
        out.text += s.closing;
      } else if (is_refusal(s.text)) {
        all_bound = false;
        out.text += s.text;
        out.text += s.closing;
      } else {
        citation c = bind(s);
        all_bound = all_bound && c.number > 0;
        out.text += set_marks(s.text, static_cast<std::size_t>(c.number));
        out.text += s.closing;
        out.text += c.number > 0 ? " [" + std::to_string(c.number) + "]"
                                 : " " + options_.mark;
        out.citations.push_back(std::move(c));
      }
      if (!answer.empty()) out.text += s.gap;
    }
    out.ok = all_bound && !out.citations.empty();
    return out;
  }

 private:
  result<void> read_passages() {
    for (const document& d : passages_) {
      known_passage p;
      p.headings = read_claim(d.locator, words_);
      std::string_view rest = d.text;
      bool begins_line = true;
      while (!rest.empty()) {
        TINYPHI_CHECK_OK(options_.stop.check());
        const sentence s = take_sentence(rest, begins_line);
        begins_line = s.gap.find('\n') != s.gap.npos;
        p.sentences.push_back({s.text, read_claim(s.text, words_)});
      }
      known_.push_back(std::move(p));
    }
    return {};
  }

  citation bind(const sentence& s) {
    citation c;
    c.sentence = set_marks(s.text, 0) + std::string(s.closing);
    const claim said = read_claim(c.sentence, words_);
    support most;
    bool named = false;
    for (std::size_t i = 0; i < known_.size(); ++i) {
      const bool is_named =
          std::find(s.marks.begin(), s.marks.end(), i + 1) != s.marks.end();
      for (const quotable& q : known_[i].sentences) {
        const auto found = find_support(said, q.says, known_[i].headings,
                                        options_.min_overlap);
        if (!found) continue;
        const bool better = c.number == 0 ||
                            std::tuple(found->share, is_named, found->n_words) >
                                std::tuple(most.share, named, most.n_words);
        if (!better) continue;
        c.number = static_cast<std::int64_t>(i) + 1;
        c.quote = q.text;
        most = *found;
        named = is_named;
      }
    }
    if (c.number == 0) return c;
    const document& d = passages_[static_cast<std::size_t>(c.number) - 1];
    c.id = d.id;
    c.source = d.source;
    c.title = d.title;
    c.locator = d.locator;
    c.line = d.line;
    c.overlap = most.share;
    return c;
  }

  // One that goes on with a number or a "but" says more than that nothing is
  // known.
  [[nodiscard]] bool is_refusal(std::string_view text) const {
    const auto words = fts::split_words(text);
    const bool says_more =
        std::any_of(words.begin(), words.end(), [](const std::string& w) {
          return w == "but" || w == "however" || w == "although" ||
                 w.find_first_of("0123456789") != w.npos;
        });
    if (says_more) return false;
    const auto begins_with = [&](const std::string& start) {
      const auto first = fts::split_words(start);
      return !first.empty() && first.size() <= words.size() &&
             std::equal(first.begin(), first.end(), words.begin());
    };
    return std::any_of(options_.refusals.begin(), options_.refusals.end(),
                       begins_with);
  }

  std::span<const document> passages_;
  const verify_options& options_;
  vocabulary words_;
  std::vector<known_passage> known_;
};

}  // namespace detail

inline result<verified_answer> verify_citations(
    std::string_view answer, std::span<const document> passages,
    const verify_options& options) {
  return detail::verifier(passages, options).run(answer);
}

}  // namespace cite
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_CITE_VERIFY_VERIFY_H_
