// SPDX-License-Identifier: MIT
// Chat turns to prompt segments, in C++ by family and revision; there is no
// Jinja engine (CVE-2024-34359). Source: the published templates.
#ifndef TINYPHI_TEXT_CHAT_TEMPLATE_H_
#define TINYPHI_TEXT_CHAT_TEMPLATE_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/text/tokenizer.h"

TINYPHI_NAMESPACE_BEGIN

enum class role : std::uint8_t { system, user, assistant, tool };
[[nodiscard]] std::string_view to_string(role r);

struct message {
  tinyphi::role role = tinyphi::role::user;
  std::string content;
};

enum class chat_format : std::uint8_t {
  phi3_april,   // mini (April 2024): BOS first, the generation prompt is glued
                // to each user turn; no system role
  phi3_medium,  // the same without BOS
  phi3,         // mini from June 2024, Phi-3.5-mini
  phi3_small,   // <|endoftext|> first
  phi4_mini,    // no newlines
  phi4,         // <|im_start|>role<|im_sep|>
};
[[nodiscard]] std::string_view to_string(chat_format f);

// Recognises the format from the file's own template text, and, where that is
// empty, from the control tokens of the vocabulary. A template that is none of
// these gives an error that says how to go on (a raw prompt).
[[nodiscard]] result<chat_format> recognise_chat_format(const tokenizer& t);

// The turns as segments: markers are control segments, contents are not.
// With add_generation_prompt it ends where the assistant's answer begins.
// A role that the format's template would drop or cannot express (a system
// turn in phi3_april, a tool turn) is an error, not a silence; only phi3's
// empty system turn is left out, as its template does. BOS is left to
// tokenizer::encode, except where the template itself prints it.
[[nodiscard]] result<std::vector<segment>> render_chat(
    chat_format format, std::span<const message> messages,
    bool add_generation_prompt = true);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/text/chat_template.ipp"
#endif

#endif  // TINYPHI_TEXT_CHAT_TEMPLATE_H_
