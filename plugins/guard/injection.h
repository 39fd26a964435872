// SPDX-License-Identifier: MIT
// Texts that give orders to a model: weighted rules (data/injection.toml) over
// the text as a model understands it, not as it is spelt. It lowers the number
// of attacks that get through and proves nothing: what a pipeline may do is
// decided by its flow of information.
#ifndef TINYPHI_PLUGINS_GUARD_INJECTION_H_
#define TINYPHI_PLUGINS_GUARD_INJECTION_H_

#include <span>
#include <string>
#include <string_view>

#include "plugins/guard/rules.h"
#include "tinyphi/base/error.h"

TINYPHI_NAMESPACE_BEGIN
namespace guard {

// What is matched: small letters without marks, in the compatible forms of
// Unicode, without what is not visible; one blank or line feed for white space;
// plain quotes. Spelling that hides is undone: Cyrillic and Greek letters in
// Latin words, digits for letters ("1gn0r3"), letters with a joint between each
// two ("i g n o r e"), characters as &#NN; or as invisible tags. What is
// plain text behind base64 follows on lines of its own. Linear in the text, at
// most 20 times as long (a ligature of Arabic has 18 letters). Empty once
// `stop`, which may be null, says so.
[[nodiscard]] std::string fold_text(std::string_view text,
                                    const stop_condition* stop = nullptr);

// The rules of data/injection.toml, made on first use and kept. An error:
// block.
[[nodiscard]] const result<rule_set>& injection_rules();

// Judges the folded text by these rules and by `more`, whose patterns are
// written for folded texts. What was stopped is blocked.
[[nodiscard]] result<verdict> judge_injection(
    std::string_view text, std::span<const rule_set> more = {},
    const stop_condition* stop = nullptr);

}  // namespace guard
TINYPHI_NAMESPACE_END

#include "plugins/guard/injection.ipp"

#endif  // TINYPHI_PLUGINS_GUARD_INJECTION_H_
