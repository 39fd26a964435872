// SPDX-License-Identifier: MIT
// Links and images to hosts that nobody allowed, taken out of Markdown, HTML
// and plain text: an image that is shown, or a link that is followed, tells its
// host what a model wrote into its address.
#ifndef TINYPHI_PLUGINS_GUARD_LINKS_H_
#define TINYPHI_PLUGINS_GUARD_LINKS_H_

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/base/error.h"

TINYPHI_NAMESPACE_BEGIN
namespace guard {

// Hosts that links may lead to, by http and https on any port.
class allowed_hosts {
 public:
  // "example.com", or "*.example.com" for all below it; names with other
  // letters in punycode. invalid_argument names what is none.
  [[nodiscard]] static result<allowed_hosts> make(
      std::span<const std::string> hosts);

  // In small letters, without a port.
  [[nodiscard]] bool contains(std::string_view host) const;

 private:
  std::vector<std::string> hosts_;  // "example.com", ".example.com"
};

enum class link_target { here, allowed, refused };

// Where a browser would go from `url`, whose entities are decoded. `here` is
// what has no host. Refused are other hosts and schemes, a user's name before
// the host ("https://example.com@evil.example"), and hosts with other letters
// or with what is escaped.
[[nodiscard]] link_target judge_link(std::string_view url,
                                     const allowed_hosts& hosts);

struct cleaned_text {
  std::string text;
  std::size_t removed = 0;  // links, images, tags
};

// Takes out what is refused: of a link or image in Markdown its text stays, of
// a definition its name, a bare address becomes "(link removed)", an element of
// HTML with such an attribute, or that runs or loads something by itself, a
// blank. Signs of links that stand as entities become plain. Where readers
// of Markdown differ, the stricter reading holds, in code, too. What is clean
// stays as it is. Linear in the text; at most three times as long.
[[nodiscard]] cleaned_text clean_links(std::string_view text,
                                       const allowed_hosts& hosts);

}  // namespace guard
TINYPHI_NAMESPACE_END

#include "plugins/guard/links.ipp"

#endif  // TINYPHI_PLUGINS_GUARD_LINKS_H_
