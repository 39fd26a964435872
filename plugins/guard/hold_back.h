// SPDX-License-Identifier: MIT
// Judges a text while it is written: nothing leaves before it is judged.
// guard.stream is made of it.
#ifndef TINYPHI_PLUGINS_GUARD_HOLD_BACK_H_
#define TINYPHI_PLUGINS_GUARD_HOLD_BACK_H_

#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "plugins/guard/pii.h"
#include "plugins/guard/rules.h"
#include "tinyphi/base/error.h"

TINYPHI_NAMESPACE_BEGIN
namespace guard {

// The rules of data/secrets.toml, the kind "secret". An error: block.
[[nodiscard]] const result<rule_set>& secret_rules();

struct hold_back_options {
  std::vector<rule_set> rules;
  pii_finder pii;
  // A token of Phi has four bytes of English. What rules find in so many bytes
  // does not leave, not even its beginning.
  std::size_t hold_bytes = 96;
  std::size_t max_bytes = std::size_t{1} << 20;  // of the text
};

// One text; not shared between threads. What leaves and the verdict depend on
// the text only, not on its pieces: it is judged whenever it has step_bytes
// more. All of it is kept until the end, when the rules see it whole.
//
// Personal data never leave in part: a word that may become an address waits
// until it is none, however long. A match of a rule that more text could make
// longer waits, too, up to longest_open bytes, then it is judged as it is. Of
// what a rule finds only at more than hold_bytes, the beginning has left; the
// verdict still says so. Time: for each byte one walk over hold_bytes +
// step_bytes, or longest_open while a match is open, by step_bytes.
class hold_back {
 public:
  static constexpr std::size_t step_bytes = 16;
  static constexpr std::size_t longest_open = 4096;

  explicit hold_back(hold_back_options options);

  // Adds a piece, cut anywhere, and returns what may leave now: whole
  // characters, the text's next ones. Nothing once it is blocked: the text ends
  // where the first finding begins.
  [[nodiscard]] std::string push(std::string_view piece);
  // What is left once no piece will follow.
  [[nodiscard]] std::string finish();

  // `blocked` may become true until finish().
  [[nodiscard]] const verdict& judged() const { return verdict_; }

 private:
  // By place, then by name, so that their order is that of the whole text.
  struct hit {
    std::size_t begin = 0;
    std::string_view name;     // of the rule or kind
    const rule* by = nullptr;  // null: personal data

    friend bool operator<(const hit& a, const hit& b) {
      return std::tie(a.begin, a.name, a.by) < std::tie(b.begin, b.name, b.by);
    }
  };

  void judge(bool more);
  [[nodiscard]] std::size_t find_data(bool more);
  [[nodiscard]] std::size_t find_by_rules(bool more);
  void count(const hit& h);
  void block(std::size_t at);
  [[nodiscard]] std::string release();

  hold_back_options options_;
  std::string text_;
  std::size_t released_ = 0;  // of text_ has left
  std::size_t safe_ = 0;      // of text_ may leave
  std::size_t data_at_ = 0;   // where the search for personal data goes on
  std::size_t open_ = std::string::npos;  // begin of an open match
  std::set<hit> hits_;  // not counted yet: something before them may be found
  // Kinds may be called like rules.
  std::set<std::pair<const rule*, std::string_view>> counted_;
  double strongest_ = 0;  // score of what verdict_ names
  verdict verdict_;
};

}  // namespace guard
TINYPHI_NAMESPACE_END

#include "plugins/guard/hold_back.ipp"

#endif  // TINYPHI_PLUGINS_GUARD_HOLD_BACK_H_
