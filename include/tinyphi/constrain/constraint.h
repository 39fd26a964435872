// SPDX-License-Identifier: MIT
// What shape an answer must have, and the state of one answer under it.
// Whatever leaves has the shape: there is no way from "asked for" to "not
// enforced".
#ifndef TINYPHI_CONSTRAIN_CONSTRAINT_H_
#define TINYPHI_CONSTRAIN_CONSTRAINT_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/constrain/grammar.h"
#include "tinyphi/constrain/schema_grammar.h"
#include "tinyphi/constrain/token_set.h"
#include "tinyphi/constrain/token_trie.h"

TINYPHI_NAMESPACE_BEGIN

struct json_form {
  json_gaps gaps = json_gaps::spaced;
  schema_options schema;
};

// Immutable, cheap to copy, bound to one vocabulary; any thread. Caches that
// answers fill are shared by its copies and bounded.
class constraint {
 public:
  // The message names the JSON pointer and code of the first fault, and how
  // many more there are.
  [[nodiscard]] static result<constraint> json_schema(
      const token_trie& t, std::string_view schema, const json_form& form = {});
  [[nodiscard]] static result<constraint> json_schema(
      const token_trie& t, const schema& s, json_gaps gaps = json_gaps::spaced);
  // Any JSON object.
  [[nodiscard]] static result<constraint> json_object(
      const token_trie& t, json_gaps gaps = json_gaps::spaced);
  [[nodiscard]] static result<constraint> regex(const token_trie& t,
                                                std::string_view pattern);
  [[nodiscard]] static result<constraint> choice(
      const token_trie& t, const std::vector<std::string>& texts);
  [[nodiscard]] static result<constraint> gbnf(const token_trie& t,
                                               std::string_view text);
  [[nodiscard]] static result<constraint> create(const token_trie& t,
                                                 const grammar& g);

  // Whether a whole text has the shape. No, too, where it can be read in more
  // ways than a matcher follows.
  [[nodiscard]] bool accepts(std::string_view text) const;
  // Tokens with which an answer can be complete; an answer that may have as
  // many always lands.
  [[nodiscard]] std::size_t shortest() const;
  // Pointers to words of a schema of others that were passed over.
  [[nodiscard]] const std::vector<std::string>& ignored() const;
  [[nodiscard]] const token_trie& vocabulary() const;
  // What it holds of memory, caches included.
  [[nodiscard]] std::size_t bytes() const;

 private:
  friend class matcher;
  struct parts;
  [[nodiscard]] static result<std::shared_ptr<parts>> make(const token_trie& t,
                                                           const grammar& g);
  explicit constraint(std::shared_ptr<const parts> p) : parts_(std::move(p)) {}
  std::shared_ptr<const parts> parts_;
};

// One answer on its way. Not for several threads at a time; a copy goes its own
// way.
class matcher {
 public:
  explicit matcher(constraint c);
  ~matcher();
  matcher(const matcher&);
  matcher(matcher&&) noexcept;
  matcher& operator=(const matcher&);
  matcher& operator=(matcher&&) noexcept;

  // Whether the token may come next, and the answer can still be complete with
  // tokens_left tokens altogether, this one among them. Stop ids are the
  // caller's: they may come where may_end() says so, and never reach accept.
  [[nodiscard]] result<bool> allows(token_id id, std::size_t tokens_left) const;
  // All such tokens. `out` gets the vocabulary's size. It is never empty where
  // the text may not end yet and tokens_left >= shortest(). Errors: limit, when
  // the grammar became too ambiguous to follow.
  [[nodiscard]] result<void> allowed(token_set& out,
                                     std::size_t tokens_left) const;
  // The token joins the answer. invalid_argument if it may not come; then
  // nothing has changed.
  [[nodiscard]] result<void> accept(token_id id);
  // Takes back the last tokens that were accepted: at most length(), and at
  // most max_rollback.
  static constexpr std::size_t max_rollback = 64;
  void rollback(std::size_t tokens);
  [[nodiscard]] std::size_t length() const;  // tokens accepted

  // Tokens that must come next whatever is sampled, as the tokenizer would have
  // encoded them; may be none. At most `most`.
  [[nodiscard]] std::vector<token_id> forced(std::size_t most) const;
  // Tokens from here to the end on the shortest way.
  [[nodiscard]] std::size_t shortest() const;
  // What has come is a whole text; and nothing can come behind it.
  [[nodiscard]] bool may_end() const;
  [[nodiscard]] bool must_end() const;
  // The next byte stands in free text (a string's body): penalties apply.
  [[nodiscard]] bool in_free_text() const;

 private:
  struct state;
  std::unique_ptr<state> state_;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/constrain/constraint.ipp"
#include "tinyphi/constrain/forced_tokens.ipp"
#include "tinyphi/constrain/matcher.ipp"
#endif

#endif  // TINYPHI_CONSTRAIN_CONSTRAINT_H_
