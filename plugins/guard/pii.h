// SPDX-License-Identifier: MIT
// Personal data in a text: found by form and check digit, or by a list of
// words, replaced by placeholders, and put back into what a model made of it.
#ifndef TINYPHI_PLUGINS_GUARD_PII_H_
#define TINYPHI_PLUGINS_GUARD_PII_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/base/error.h"

TINYPHI_NAMESPACE_BEGIN
namespace guard {

// `word`: one of a list that the caller has. Patterns do not find names.
enum class pii_kind : std::uint8_t { card, iban, phone, email, ip, date, word };
inline constexpr std::array<std::string_view, 7> pii_kind_names = {
    "card", "iban", "phone", "email", "ip", "date", "word"};

// None for what is no kind, and for "word".
[[nodiscard]] std::optional<pii_kind> parse_pii_kind(std::string_view name);

struct pii_finding {
  pii_kind kind = pii_kind::word;
  std::size_t begin = 0, end = 0;  // bytes

  friend bool operator==(const pii_finding&, const pii_finding&) = default;
};

// Finds data of some kinds; what the kinds are is said in the README. A handle
// to what never changes; any thread may search.
class pii_finder {
 public:
  // Words are found in either case, where no other word goes on; a blank in
  // them is any white space. invalid_argument: a word of less than two bytes;
  // limit: more than keyword_set::max_bytes.
  [[nodiscard]] static result<pii_finder> make(
      std::span<const pii_kind> kinds, std::span<const std::string> words = {});

  // In the order of the text, none in another. Where two overlap, the second
  // is what remains of it. Time: linear in the text, times 255 at most for a
  // list of words that end alike.
  [[nodiscard]] std::vector<pii_finding> find(std::string_view text) const;

  struct step {
    std::size_t next = 0;  // where to go on
    std::optional<pii_finding> found;
  };
  // The first from `from` on, which is 0 or a `next`. With `more` the text goes
  // on: nothing before `next` is decided by what follows, and it is 400 bytes
  // at most before the end. Words are not looked for.
  [[nodiscard]] step find_next(std::string_view text, std::size_t from,
                               bool more) const;

 private:
  struct word_list;
  // Every place of a word.
  [[nodiscard]] std::vector<pii_finding> find_words(
      std::string_view text) const;

  std::uint8_t kinds_ = 0;  // bits
  std::shared_ptr<const word_list> words_;
};

// "[CARD_1]" and what stood there.
using pii_keys = std::map<std::string, std::string, std::less<>>;

struct masked_text {
  std::string text;
  pii_keys keys;
  std::size_t count = 0;  // places that were replaced
};

// Replaces what is found by [KIND_N]: the same bytes by the same placeholder,
// others by others, and by none that is in the text already. At most 10
// times as long as the text.
[[nodiscard]] masked_text mask(std::string_view text, const pii_finder& finder);

// Puts values in the place of placeholders, all other bytes stay; what was put
// in is not looked at again. restore(mask(x)) is x. invalid_argument: a key is
// no placeholder; limit: the result has more than max_bytes. `count`, unless
// null, becomes the number of placeholders that were replaced.
[[nodiscard]] result<std::string> restore(std::string_view text,
                                          const pii_keys& keys,
                                          std::size_t max_bytes = std::size_t{1}
                                                                  << 20,
                                          std::size_t* count = nullptr);

}  // namespace guard
TINYPHI_NAMESPACE_END

#include "plugins/guard/pii.ipp"

#endif  // TINYPHI_PLUGINS_GUARD_PII_H_
