// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PLUGINS_GUARD_LINKS_IPP_
#define TINYPHI_PLUGINS_GUARD_LINKS_IPP_

#include <algorithm>
#include <array>
#include <utility>

#include "plugins/guard/ascii.h"
#include "plugins/guard/links.h"

TINYPHI_NAMESPACE_BEGIN
namespace guard {
namespace detail {

inline bool is_blank(char c) { return is_in(c, " \t\r\n\f\v"); }
inline bool is_slash(char c) { return c == '/' || c == '\\'; }

inline bool is_host(std::string_view host) {
  return !host.empty() && host.size() <= 253 && host.front() != '.' &&
         host.front() != '-' && host.back() != '.' &&
         std::ranges::all_of(host, [](char c) {
           return is_digit(c) || is_letter(c) || is_in(c, "-._");
         });
}

// Characters for which `wanted` holds instead of their entities.
template <class Wanted>
std::string decode_entities(std::string_view text, Wanted&& wanted) {
  constexpr std::pair<std::string_view, char> named[] = {
      {"&colon;", ':'}, {"&sol;", '/'},     {"&bsol;", '\\'}, {"&period;", '.'},
      {"&lsqb;", '['},  {"&lbrack;", '['},  {"&rsqb;", ']'},  {"&rbrack;", ']'},
      {"&lpar;", '('},  {"&rpar;", ')'},    {"&excl;", '!'},  {"&commat;", '@'},
      {"&Tab;", '\t'},  {"&NewLine;", '\n'}};
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t next = std::min(text.find('&', i), text.size());
    out.append(text.substr(i, next - i));
    i = next;
    if (i == text.size()) break;
    const std::string_view rest = text.substr(i);
    std::size_t length = 1;
    char c = '&';
    const auto entity = numeric_entity(rest);
    if (entity && entity->first < 0x80) {
      c = static_cast<char>(entity->first);
      length = entity->second;
    }
    for (const auto& [name, character] : named) {
      if (rest.starts_with(name)) length = name.size(), c = character;
    }
    if (length > 1 && !wanted(c)) length = 1, c = '&';
    out += c;
    i += length;
  }
  return out;
}

class link_cleaner {
 public:
  link_cleaner(std::string_view text, const allowed_hosts& hosts)
      : text_(text), hosts_(&hosts) {
    out_.reserve(text.size());
  }

  cleaned_text clean() && {
    while (i_ < text_.size()) {
      const char c = text_[i_];
      const bool done = c == ']'   ? take_destination()
                        : c == '<' ? take_angle()
                        : c == ':' ? take_address()
                                   : ascii::lower(c) == 'w' && take_www();
      if (done) continue;
      if (c == '[') open_.push_back(out_.size());
      out_ += c;
      ++i_;
    }
    return {std::move(out_), removed_};
  }

 private:
  static constexpr std::string_view mark = "(link removed)";
  static constexpr std::size_t longest_title = 1024, longest_tag = 4096;

  // NUL behind the end.
  [[nodiscard]] char at(std::size_t i) const {
    return i < text_.size() ? text_[i] : '\0';
  }
  [[nodiscard]] std::size_t skip_blanks(std::size_t i) const {
    while (is_blank(at(i))) ++i;
    return i;
  }
  // As an attribute or a destination, whose entities are decoded.
  [[nodiscard]] link_target judge(std::string_view url) const {
    return judge_link(decode_entities(url, [](char) { return true; }), *hosts_);
  }

  // A destination in angles or bare from i on: it, and the offset behind it. It
  // ends before a bracket, which no address has in its scheme or host: so no
  // part of the text is looked at for several links.
  [[nodiscard]] std::pair<std::string_view, std::size_t> destination(
      std::size_t i) const {
    const bool in_angles = at(i) == '<';
    if (in_angles) ++i;
    std::size_t end = i, depth = 0;
    for (; end < text_.size() && text_[end] != ']'; ++end) {
      const char c = text_[end];
      if (in_angles ? is_in(c, ">\n") : is_blank(c)) break;
      if (c == '(') ++depth;
      if (!in_angles && c == ')' && depth-- == 0) break;
    }
    const std::size_t behind = end + (in_angles && at(end) == '>' ? 1 : 0);
    return {text_.substr(i, end - i), behind};
  }

  // Behind the title and the bracket that end a link, or `i`.
  [[nodiscard]] std::size_t link_end(std::size_t i) const {
    std::size_t k = skip_blanks(i);
    if (is_in(at(k), "\"'(")) {
      const char quote = at(k) == '(' ? ')' : at(k);
      const std::size_t end =
          text_.substr(0, k + longest_title).find(quote, k + 1);
      if (end == std::string_view::npos) return i;
      k = skip_blanks(end + 1);
    }
    return at(k) == ')' ? k + 1 : i;
  }

  // "](DESTINATION "title")" and "[NAME]: DESTINATION".
  bool take_destination() {
    const std::size_t begin = open_.empty() ? std::string::npos : open_.back();
    if (!open_.empty()) open_.pop_back();
    const bool is_link = at(i_ + 1) == '(';
    if (!is_link && !(at(i_ + 1) == ':' && begins_line(begin))) return false;
    const auto [url, end] = destination(skip_blanks(i_ + 2));
    std::string plain;  // without the backslashes of Markdown
    for (std::size_t k = 0; k < url.size(); ++k) {
      const bool escapes = url[k] == '\\' && k + 1 < url.size() &&
                           url[k + 1] > ' ' && !is_letter(url[k + 1]) &&
                           !is_digit(url[k + 1]);
      if (escapes) ++k;
      plain += url[k];
    }
    // What is not refused goes on to be looked at.
    if (judge(url) != link_target::refused &&
        judge(plain) != link_target::refused) {
      return false;
    }
    ++removed_;
    if (!is_link) {
      out_ += "]: #";
      i_ = end;
      return true;
    }
    i_ = link_end(end);
    if (begin != std::string::npos) {
      out_[begin] = ' ';
      if (begin > 0 && out_[begin - 1] == '!') out_[begin - 1] = ' ';
    }
    return true;
  }

  // Whether only marks of lists and quotes stand before that place of a line.
  [[nodiscard]] bool begins_line(std::size_t at) const {
    while (at != std::string::npos && at > 0 && out_[at - 1] != '\n') {
      --at;
      if (!is_in(out_[at], " \t\r>*+-.)") && !is_digit(out_[at])) return false;
    }
    return at != std::string::npos;
  }

  // "<scheme:...>" and tags.
  bool take_angle() {
    std::size_t k = i_ + 1;
    if (at(k) == '/') ++k;
    if (!is_letter(at(k))) return false;
    std::size_t end = k;
    while (is_letter(at(end)) || is_digit(at(end)) || is_in(at(end), "+.-")) {
      ++end;
    }
    if (at(end) == ':' && k == i_ + 1) {
      std::size_t last = end;
      while (last < text_.size() && !is_blank(text_[last]) &&
             !is_in(text_[last], "<>")) {
        ++last;
      }
      if (at(last) == '>') {
        if (judge(text_.substr(k, last - k)) != link_target::refused) {
          return keep(last + 1);
        }
        out_ += mark;
        ++removed_;
        i_ = last + 1;
        return true;
      }
    }
    return take_tag(k, end);
  }

  // The tag whose name is text_[name, end).
  bool take_tag(std::size_t name, std::size_t end) {
    constexpr auto active = std::to_array<std::string_view>(
        {"script", "style", "iframe", "frame", "frameset", "object", "embed",
         "applet", "base", "meta", "link", "form", "svg", "math", "template",
         "noscript", "portal"});
    const std::string tag = ascii::lower(text_.substr(name, end - name));
    bool refused = std::ranges::find(active, tag) != active.end();
    const std::size_t limit = std::min(text_.size(), i_ + longest_tag);
    std::size_t k = end;
    while (k < limit && text_[k] != '>') {
      const bool opens =
          text_[k] == '<' && (is_letter(at(k + 1)) || at(k + 1) == '/');
      if (opens) break;
      if (is_blank(text_[k]) || is_in(text_[k], "/\"'=")) {
        ++k;
        continue;
      }
      refused |= take_attribute(k, limit);
    }
    refused |= k == limit && limit < text_.size();
    if (!refused) {
      if (at(k) != '>') return false;
      return keep(k + 1);
    }
    ++removed_;
    out_ += ' ';
    i_ = at(k) == '>' ? k + 1 : i_ + 1;
    return true;
  }

  // Moves k behind an attribute; true if its tag is refused for it.
  bool take_attribute(std::size_t& k, std::size_t limit) {
    constexpr auto words =
        std::to_array<std::string_view>({"alt", "title", "class", "id", "label",
                                         "summary", "lang", "aria-label"});
    const std::size_t begin = k;
    while (k < limit && !is_blank(text_[k]) && !is_in(text_[k], "/>=")) ++k;
    const std::string name = ascii::lower(text_.substr(begin, k - begin));
    const std::size_t sign = skip_blanks(k);
    std::string_view value;
    if (at(sign) == '=') {
      k = skip_blanks(sign + 1);
      const bool is_quoted = is_in(at(k), "\"'");
      const char quote = at(k);
      std::size_t end = is_quoted ? ++k : k;
      while (end < limit &&
             (is_quoted ? text_[end] != quote
                        : !is_blank(text_[end]) && text_[end] != '>')) {
        ++end;
      }
      if (k < end) value = text_.substr(k, end - k);
      // A quote that nobody closes takes in all that follows.
      if (is_quoted && end == limit) return true;
      k = std::min(limit, end + (is_quoted ? 1 : 0));
    }
    if (name.starts_with("on") || name == "srcdoc") return true;
    if (std::ranges::find(words, name) != words.end()) return false;
    if (name == "style") {
      return value.find_first_of("(\\&@") != std::string_view::npos;
    }
    const std::string plain =
        decode_entities(value, [](char c) { return c != '\0'; });
    const bool leads_away = plain.find_first_of(":\\") != plain.npos ||
                            plain.find("//") != plain.npos;
    // Several addresses are not taken apart.
    const bool is_list = name.ends_with("srcset") || name == "ping";
    return leads_away &&
           (is_list || judge_link(plain, *hosts_) != link_target::allowed);
  }

  // "scheme://host", also as JSON and Markdown escape it.
  bool take_address() {
    std::size_t k = i_ + 1, slashes = 0;
    for (; is_slash(at(k)); ++k) slashes += at(k) == '/' ? 1 : 0;
    if (k < i_ + 3) return false;
    constexpr std::size_t longest_scheme = 32;
    std::size_t begin = out_.size();
    if (begin > 0 && out_[begin - 1] == '\\') --begin;
    const std::size_t scheme_end = begin;
    while (begin > 0 && scheme_end - begin < longest_scheme &&
           (is_letter(out_[begin - 1]) || is_digit(out_[begin - 1]) ||
            is_in(out_[begin - 1], "+.-"))) {
      --begin;
    }
    while (begin < scheme_end && !is_letter(out_[begin])) ++begin;
    const std::string_view scheme =
        std::string_view(out_).substr(begin, scheme_end - begin);
    // Backslashes alone stand for slashes in browsers only.
    const bool is_web = ascii::lower(scheme).starts_with("http");
    if (scheme.empty() || (slashes == 0 && !is_web)) return false;
    const std::size_t end = host_end(k);
    if (!begins_host(at(k))) return false;
    const std::string url =
        std::string(scheme) + "://" + std::string(text_.substr(k, end - k));
    if (judge_link(url, *hosts_) == link_target::allowed) {
      return keep(end);
    }
    out_.resize(begin);
    remove_address(end);
    return true;
  }

  bool take_www() {
    if (!out_.empty() && is_word(out_.back())) return false;
    std::size_t k = i_;
    while (k < i_ + 3 && ascii::lower(at(k)) == 'w') ++k;
    if (k != i_ + 3) return false;
    if (at(k) == '\\') ++k;
    if (at(k) != '.' || !begins_host(at(k + 1))) return false;
    const std::size_t end = host_end(k + 1);
    std::string_view host = text_.substr(k + 1, end - k - 1);
    while (!host.empty() && is_in(host.back(), ".,;:!")) host.remove_suffix(1);
    if (judge_link("//www." + std::string(host), *hosts_) ==
        link_target::allowed) {
      return keep(end);
    }
    remove_address(end);
    return true;
  }

  // What stands up to `end` goes on as it is.
  bool keep(std::size_t end) {
    out_.append(text_.substr(i_, end - i_));
    i_ = end;
    return true;
  }

  [[nodiscard]] std::size_t host_end(std::size_t i) const {
    while (i < text_.size() && !is_slash(text_[i]) && !is_in(text_[i], "?#") &&
           !ends_address(text_[i])) {
      ++i;
    }
    return i;
  }
  static bool begins_host(char c) {
    return is_word(c) || is_in(c, "[%@:") ||
           static_cast<unsigned char>(c) > 127;
  }
  static bool ends_address(char c) {
    return is_blank(c) || is_in(c, "<>\"'`)]|");
  }

  void remove_address(std::size_t end) {
    while (end < text_.size() && !ends_address(text_[end])) ++end;
    // The sentence goes on.
    while (end > i_ + 1 && is_in(text_[end - 1], ".,;!?")) --end;
    out_ += mark;
    ++removed_;
    i_ = end;
  }

  std::string_view text_;
  const allowed_hosts* hosts_;
  std::size_t i_ = 0;
  std::string out_;
  std::vector<std::size_t> open_;  // brackets in out_ that are not closed
  std::size_t removed_ = 0;
};

}  // namespace detail

inline result<allowed_hosts> allowed_hosts::make(
    std::span<const std::string> hosts) {
  allowed_hosts out;
  for (const std::string& host : hosts) {
    std::string_view name = host;
    const bool below = name.starts_with("*.");
    if (below) name.remove_prefix(2);
    if (!detail::is_host(name)) {
      return error{error_code::invalid_argument,
                   "hosts: an entry of " + std::to_string(host.size()) +
                       " bytes is no name like example.com or *.example.com; "
                       "scheme, port and path do not belong to it, other "
                       "letters are written in punycode (xn--)"};
    }
    out.hosts_.push_back((below ? "." : "") + ascii::lower(name));
  }
  return out;
}

inline bool allowed_hosts::contains(std::string_view host) const {
  return std::ranges::any_of(hosts_, [&](const std::string& allowed) {
    return allowed.front() == '.'
               ? host.size() > allowed.size() && host.ends_with(allowed)
               : host == allowed;
  });
}

inline link_target judge_link(std::string_view url,
                              const allowed_hosts& hosts) {
  using namespace detail;
  // Browsers drop white space in a scheme.
  std::string plain;
  for (const char c : url) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > ' ' && byte != 0x7F) plain += ascii::lower(c);
  }
  std::string_view rest = plain;
  const std::size_t colon = rest.find_first_of(":/\\?#");
  const bool has_scheme =
      colon != std::string_view::npos && colon > 0 && rest[colon] == ':';
  if (has_scheme) {
    const std::string_view scheme = rest.substr(0, colon);
    if (scheme != "http" && scheme != "https") return link_target::refused;
    rest.remove_prefix(colon + 1);
  } else if (rest.size() < 2 || !is_slash(rest[0]) || !is_slash(rest[1])) {
    return link_target::here;
  }
  while (!rest.empty() && is_slash(rest[0])) rest.remove_prefix(1);
  std::string_view host = rest.substr(0, rest.find_first_of("/\\?#"));
  const std::size_t port = host.find(':');
  if (port != std::string_view::npos) {
    if (!std::ranges::all_of(host.substr(port + 1), is_digit)) {
      return link_target::refused;
    }
    host = host.substr(0, port);
  }
  if (!host.empty() && host.back() == '.') host.remove_suffix(1);
  return is_host(host) && hosts.contains(host) ? link_target::allowed
                                               : link_target::refused;
}

inline cleaned_text clean_links(std::string_view text,
                                const allowed_hosts& hosts) {
  constexpr int most_passes = 8;
  cleaned_text out{std::string(text), 0};
  // What is taken out may join what stands around it to another link.
  for (int pass = 0;; ++pass) {
    if (pass == most_passes) {
      // Only who wants it to last writes so: no link, tag or entity remains.
      for (char& c : out.text) {
        if (detail::is_in(c, "[]<&")) c = ' ';
      }
    }
    const std::string decoded = detail::decode_entities(
        out.text, [](char c) { return detail::is_in(c, ":/\\.[]()!@wW"); });
    cleaned_text next = detail::link_cleaner(decoded, hosts).clean();
    const bool is_clean = next.text == out.text;
    out.text = std::move(next.text);
    out.removed += next.removed;
    if (is_clean || pass > most_passes) return out;
  }
}

}  // namespace guard
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_GUARD_LINKS_IPP_
