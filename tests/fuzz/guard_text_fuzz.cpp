// SPDX-License-Identifier: MIT
// Any bytes as a text for guards: what was masked is restored, pieces give what
// the whole gives, what was cleaned of links is clean, parts keep to their
// size, and results stay within their bounds. Up to the first NUL the input is
// a word to hide.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/guard/injection.h"
#include "plugins/guard/links.h"
#include "plugins/guard/pii.h"
#include "plugins/text/split.h"
#include "plugins/text/text_clean.h"

namespace {

using namespace tinyphi;

void require(bool holds) {
  if (!holds) std::abort();
}

void check_data(const std::string& hidden, std::string_view text) {
  using enum guard::pii_kind;
  constexpr guard::pii_kind kinds[] = {card, iban, phone, email, ip, date};
  std::vector<std::string> words;
  if (hidden.size() >= 2) words.push_back(hidden);
  const auto finder = guard::pii_finder::make(kinds, words);
  if (!finder) return;
  const guard::masked_text masked = guard::mask(text, *finder);
  require(masked.text.size() <= 10 * text.size());
  const auto restored = guard::restore(masked.text, masked.keys, text.size());
  require(restored && *restored == text);
  for (const auto& [name, value] : masked.keys) {
    require(text.find(name) == std::string_view::npos);
    require(text.find(value) != std::string_view::npos);
  }

  std::vector<guard::pii_finding> found[2];
  for (const std::size_t piece : {std::size_t{1}, text.size() + 1}) {
    std::size_t next = 0;
    for (std::size_t end = 0; end < text.size();) {
      end = std::min(end + piece, text.size());
      for (;;) {
        const auto step =
            finder->find_next(text.substr(0, end), next, end < text.size());
        require(step.next >= next && step.next <= end);
        require(step.next + 400 >= end || step.found);
        next = step.next;
        if (!step.found) break;
        found[piece == 1].push_back(*step.found);
      }
    }
    require(next == text.size());
  }
  require(found[0] == found[1]);
}

void check_links(std::string_view text) {
  static const std::vector<std::string> names = {"good.example"};
  static const auto hosts = *guard::allowed_hosts::make(names);
  const guard::cleaned_text once = guard::clean_links(text, hosts);
  require(once.text.size() <= 3 * text.size());
  const guard::cleaned_text twice = guard::clean_links(once.text, hosts);
  require(twice.text == once.text && twice.removed == 0);
}

void check_parts(std::string_view text) {
  split_options options;
  options.size = 7;
  options.overlap = 3;
  options.max_parts = text.size();
  for (const auto by :
       {split_by::paragraph, split_by::line, split_by::sentence}) {
    options.by = by;
    const auto parts = split_text(text, options);
    require(parts.has_value());
    for (const std::string& part : *parts) {
      require(!part.empty() && count_characters(part) <= options.size);
    }
  }
  const auto once = clean_text(text, normal_form::nfc, 3 * text.size());
  require(once || find_invalid_utf8(text) != std::string_view::npos);
  if (!once) return;
  const auto twice = clean_text(*once, normal_form::nfc, 3 * text.size());
  require(twice && *twice == *once);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const std::string word(all.substr(0, all.find('\0')));
  const std::string_view text =
      word.size() < all.size() ? all.substr(word.size() + 1) : all;
  check_data(word, text);
  check_links(text);
  check_parts(text);
  const std::string folded = guard::fold_text(text);
  require(folded.size() <= 20 * text.size());
  require(guard::judge_injection(text).has_value());
  return 0;
}
