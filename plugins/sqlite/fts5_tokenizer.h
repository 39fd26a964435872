// SPDX-License-Identifier: MIT
// The tokenizer of FTS5 that an index was made with, for texts at hand: what it
// makes equal, the index's MATCH finds.
#ifndef TINYPHI_PLUGINS_SQLITE_FTS5_TOKENIZER_H_
#define TINYPHI_PLUGINS_SQLITE_FTS5_TOKENIZER_H_

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/sqlite/database.h"

TINYPHI_NAMESPACE_BEGIN
namespace sqlite {

// Belongs to a connection, which must outlive it; one thread at a time.
class fts5_tokenizer {
 public:
  // `how` has the words behind `tokenize =`, at least one.
  [[nodiscard]] static result<fts5_tokenizer> create(
      const database& db, std::span<const char* const> how) {
    TINYPHI_TRY(fts5_api* const api, db.fts5());
    fts5_tokenizer t;
    void* about = nullptr;
    std::vector<const char*> args(how.begin() + 1, how.end());
    Fts5Tokenizer* made = nullptr;
    if (api->xFindTokenizer(api, how.front(), &about, &t.calls_) != SQLITE_OK ||
        t.calls_.xCreate(about, args.data(), static_cast<int>(args.size()),
                         &made) != SQLITE_OK) {
      return error{error_code::unsupported, "this SQLite has no tokenizer '" +
                                                std::string(how.front()) + "'"};
    }
    t.handle_ = {made, t.calls_.xDelete};
    return t;
  }

  // The text's tokens, in their order.
  [[nodiscard]] result<std::vector<std::string>> split(
      std::string_view text) const {
    // A function that C calls may not throw.
    constexpr auto add = [](void* out, int, const char* token, int n, int,
                            int) noexcept -> int {
      static_cast<std::vector<std::string>*>(out)->emplace_back(
          token, static_cast<std::size_t>(n));
      return SQLITE_OK;
    };
    constexpr std::size_t most = std::size_t{1} << 30;
    if (text.size() > most) {
      return error{error_code::limit, "a text of more than 1 GiB has no words"};
    }
    std::vector<std::string> tokens;
    if (calls_.xTokenize(handle_.get(), &tokens, FTS5_TOKENIZE_DOCUMENT,
                         text.data(), static_cast<int>(text.size()),
                         add) != SQLITE_OK) {
      return error{error_code::limit, "no memory for the words of a text"};
    }
    return tokens;
  }

 private:
  fts5_tokenizer() = default;
  ::fts5_tokenizer calls_ = {};
  std::unique_ptr<Fts5Tokenizer, void (*)(Fts5Tokenizer*)> handle_{nullptr,
                                                                   nullptr};
};

}  // namespace sqlite
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_SQLITE_FTS5_TOKENIZER_H_
