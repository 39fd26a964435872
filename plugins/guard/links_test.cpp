// SPDX-License-Identifier: MIT
#include "plugins/guard/links.h"

#include <random>

#include "support/effort.h"
#include "support/test.h"

using namespace tinyphi;
using namespace tinyphi::guard;

namespace {

const allowed_hosts& hosts() {
  static const allowed_hosts made = [] {
    auto r = allowed_hosts::make(
        std::vector<std::string>{"good.example", "*.cdn.example",
                                 "WWW.Good.example", "xn--bcher-kva.example"});
    REQUIRE_OK(r);
    return *std::move(r);
  }();
  return made;
}

std::string cleaned(std::string_view text) {
  const cleaned_text c = clean_links(text, hosts());
  if (c.text == text) CHECK(c.removed == 0);
  const cleaned_text again = clean_links(c.text, hosts());
  CHECK(again.text == c.text);
  CHECK(again.removed == 0);
  return c.text;
}

void all_kept(const std::vector<std::string>& texts) {
  for (const std::string& t : texts) {
    INFO(t);
    CHECK(cleaned(t) == t);
  }
}

// Of each nothing is left that names the host.
void none_kept(const std::vector<std::string>& texts) {
  for (const std::string& t : texts) {
    INFO(t);
    const std::string c = cleaned(t);
    INFO(c);
    CHECK(c.find("evil.com") == std::string::npos);
    CHECK(c.find("alert(") == std::string::npos);
    CHECK(cleaned("see " + t + " and more").find("evil.com") ==
          std::string::npos);
  }
}

}  // namespace

TEST_CASE("links to allowed hosts and to the page itself stay") {
  all_kept({"",
            "no link",
            "[a](https://good.example/x?y=z#w \"title\")",
            "![a](http://good.example:8080/x.png)",
            "[a](/x)",
            "[a](x.md#y)",
            "[a](#y)",
            "![a](images/x.png)",
            "<https://good.example/>",
            "https://good.example",
            "See https://a.cdn.example/x, then.",
            "[1]: https://good.example/x 'title'",
            "www.good.example.",
            "<a href=\"https://good.example/\">x</a>",
            "<b class='x'>y</b><br/>",
            "<img src='/x.png' alt='Note: x // y' width=3>",
            "a < b and c > d",
            "https://good.example./x",
            "HTTPS://GOOD.EXAMPLE/",
            "x <y",
            "https://xn--bcher-kva.example/",
            "array[0]: foo:bar",
            "12:30, a:// b",
            "C:\\\\x",
            "where:\\\\[2pt]",
            "a & b &amp; &lt; &#60; &copy; &#35;",
            "[x]: see",
            "{\"a\": [1], \"b\": \"c\"}",
            "![",
            "[",
            "](",
            "]:",
            "<"});
}

TEST_CASE("links elsewhere lose their target and keep their text") {
  CHECK(cleaned("Click [here](https://evil.com/x), please.") ==
        "Click  here, please.");
  CHECK(cleaned("![a b](https://evil.com/?q=1 \"t\") x") == "  a b x");
  CHECK(cleaned("[![a](https://evil.com/1)](https://evil.com/2).") == "   a .");
  CHECK(cleaned("[a]: https://evil.com/x\n[b][a]") == "[a]: #\n[b][a]");
  CHECK(cleaned("See https://evil.com/a_(b)?c, then.") ==
        "See (link removed))?c, then.");
  CHECK(cleaned("<https://evil.com>") == "(link removed)");
  CHECK(cleaned("at www.evil.com.") == "at (link removed).");
  CHECK(cleaned("<a href='https://evil.com'>x</a>") == " x</a>");
  CHECK(cleaned("a<script>b</script>") == "a b ");
  CHECK(clean_links("[a](//b) https://c <img src=//d>", hosts()).removed == 3);
  CHECK(clean_links("[a](https://good.example) https://c", {}).removed == 2);
}

TEST_CASE("Markdown that leads elsewhere in another spelling") {
  none_kept({"[a](//evil.com)",
             "[a](\\\\evil.com)",
             "[a](/\\evil.com)",
             "[a](\\/\\/evil.com)",
             "[a](<https://evil.com/x y>)",
             "[a]( \n https://evil.com )",
             "[a](https:evil.com)",
             "[a](https:/evil.com)",
             "[a](https\\://evil.com)",
             "[a](https&#58;//evil.com)",
             "[a](https&colon;//evil.com)",
             "[a](&#104;ttps://evil.com)",
             "[a](&#x2f;&sol;evil.com)",
             "[a](ht\ttps://evil.com)",
             "[a](HTTPS://EVIL.COM@evil.com)",
             "[a](https://good.example@evil.com)",
             "[a](//good.example@evil.com/)",
             "[a](https://good.example:x@evil.com)",
             "[a](https://good.example%2eevil.com)",
             "[a](https://good.example.evil.com)",
             "[a](https://evil.com#good.example)",
             "[a](https://evil.com\\good.example)",
             "[a](https://evil.com?good.example)",
             "[a](https://notgood.example.evil.com/)",
             "[a](ftp://evil.com)",
             "[a](javascript:alert(1))",
             "[a](javascript\\:alert(1))",
             "[a](&#106;avascript:alert(1))",
             "[a](java&#9;script:alert(1))",
             "[a](java&Tab;script:alert(1))",
             "[a](vbscript:alert(1))",
             "[a](data:text/html,alert(1)evil.com)",
             "![a](data:image/svg+xml,evil.com)",
             "![a][b]\n\n[b]: //evil.com",
             "> - [b]:\n  https://evil.com",
             "[b]: <https://evil.com>",
             "[a](https://evil.com \"unclosed",
             "[a](https://evil.com",
             "[a\\](https://evil.com)",
             "[[a]](//evil.com)",
             "](//evil.com)",
             "![](https://evil.com)",
             "[a](blob:https://evil.com/x)",
             "[a](<img/src=//evil.com>)",
             "[a](x,https://evil.com)",
             "&lsqb;a](//evil.com)",
             "[a&rsqb;(//evil.com)",
             "[a]&lpar;//evil.com)"});
  // Hosts that only look alike.
  for (const std::string_view host : {"xn--good-example",
                                      "g\xD0\xBE\xD0\xBE"
                                      "d.example",
                                      "cdn.example",
                                      "good.example\xE3\x80\x82"
                                      "evil",
                                      "good.example..", "[::1]", "127.0.0.1"}) {
    INFO(host);
    CHECK(cleaned("[a](https://" + std::string(host) + "/x)") == " a");
  }
}

TEST_CASE("plain text that leads elsewhere in another spelling") {
  none_kept({"https://evil.com",
             "xhttps://evil.com",
             "hTTps://evil.com",
             "https&#58;//evil.com",
             "https&#x3A;&#47;/evil.com",
             "https:\\/\\/evil.com",
             "https\\://evil.com",
             "http:\\\\evil.com",
             "https:///evil.com",
             "(https://evil.com)",
             "\"https://evil.com\"",
             "https://good.example/?u=https://evil.com",
             "www.evil.com/x",
             "WWW.evil.com",
             "www&period;evil.com",
             "&#119;ww.evil.com",
             "www\\.evil.com",
             "https://user:pw@evil.com",
             "ftp://evil.com",
             "<ftp://evil.com>",
             "wss://evil.com/x",
             "[[https://evil.com]]",
             "`https://evil.com`",
             "https://good.example@evil.com"});
}

TEST_CASE("HTML that loads or runs something") {
  none_kept({"<img src=https://evil.com/x>",
             "<img src=//evil.com/x>",
             "<IMG\nSRC = '//evil.com'>",
             "<img src=\\\\evil.com>",
             "<img srcset='a 1x, //evil.com 2x'>",
             "<img srcset='https://good.example/a 1x, https://evil.com 2x'>",
             "<img/src=//evil.com>",
             "<img < src=//evil.com>",
             "<img alt='>' src=//evil.com>",
             "<img <b src=//evil.com>",
             "<img src=x onerror=alert(1)>",
             "<svg onload=alert(1)>",
             "<a href=&#106;avascript:alert(1)>x</a>",
             "<a href=java&#10;script:alert(1)>x</a>",
             "<a href=java&Ne&#119;Line;script:alert(1)>x</a>",
             "<b style=\"background:url(//evil.com)\">",
             "<iframe srcdoc=alert(1)>",
             "<b style='x:&#117;rl(//evil.com)'>",
             "<x:img src=//evil.com>",
             "<video poster=//evil.com>",
             "<form action=//evil.com>",
             "<base href=//evil.com/>",
             "<meta http-equiv=refresh content=evil.com>",
             "<a ping=//evil.com href=/x>",
             "<input formaction=//evil.com>",
             "<a href='https://good.example@evil.com'>",
             "</b src=//evil.com>"});
  // Others' words may close what is open: no element begins there.
  for (const std::string& open :
       {std::string("<img src=//evil.com"), std::string("<img src='/x"),
        std::string("<img alt='/x"),
        "<img " + std::string(5000, 'x') + " src=//evil.com>"}) {
    CHECK(cleaned(open).find('<') == std::string::npos);
  }
}

TEST_CASE("what is taken out does not join what stands around it") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"ht[](//x)tps://evil.com", "ht  (link removed)"},
      {"ht<script>tps://evil.com", "ht (link removed)"},
      {"[a]<script>(//evil.com)", "[a] (//evil.com)"},
      {"[a]<https://x>(//evil.com)", "[a](link removed)(//evil.com)"},
      {"[a]https://x(//evil.com)", "[a](link removed))"},
      {"[a][](//x)(//evil.com)", "[a]  (//evil.com)"},
      {"<[](//x)img src=//evil.com>", "<  img src=//evil.com>"},
      {"[<](//x)img src=//evil.com>", " < img src=//evil.com>"},
      {"<scr<script>ipt>", " scr ipt>"},
      {"ww[w](//x).evil.com", "ww w .evil.com"},
      {"[www](//x).evil.com", " www .evil.com"},
      {"[https](//x)://evil.com", " https ://evil.com"},
      {"[a](//x), b", " a, b"},
      {"[a](//x). B", " a. B"}};
  for (const auto& [text, wanted] : cases) {
    INFO(text);
    CHECK(cleaned(text) == wanted);
  }
}

TEST_CASE("hosts are names") {
  for (const std::string bad : {"", "https://x.com", "x.com:80", "x.com/", "*",
                                "*.", "a b", ".x.com", "x.com.", "-x.com",
                                "b\xC3\xBC"
                                "cher.de",
                                "*.*.com"}) {
    INFO(bad);
    const auto made = allowed_hosts::make(std::vector{bad});
    REQUIRE(!made);
    CHECK(made.error().code == error_code::invalid_argument);
  }
  CHECK(hosts().contains("good.example"));
  CHECK(hosts().contains("a.b.cdn.example"));
  CHECK(!hosts().contains("cdn.example"));
  CHECK(!hosts().contains(".cdn.example"));
  CHECK(!hosts().contains("bad.example"));
}

TEST_CASE("what was cleaned is clean, whatever it was") {
  std::mt19937 random(3);
  const std::vector<std::string> parts = {
      "[",           "]",
      "(",           ")",
      "!",           "<",
      ">",           "https:",
      "//",          "www.",
      "evil.com",    ":",
      "\\",          "/",
      " ",           "\n",
      "\"",          "'",
      "=",           "img",
      "script",      " src=",
      "&#58;",       "&colon;",
      "&#",          "good.example",
      "@",           "a",
      "javascript:", "](",
      "]: ",         "&",
      "#",           ".",
      "w",           "on",
      "<a ",         "https://good.example/",
      "&#119;",      "58;"};
  std::size_t n = 0;
  for (int round = 0; round < tinyphi_test::sweep_rounds(20000, 2000000);
       ++round) {
    std::string text;
    for (std::size_t k = random() % 14; k > 0; --k) {
      text += parts[random() % parts.size()];
    }
    const cleaned_text c = clean_links(text, hosts());
    const cleaned_text again = clean_links(c.text, hosts());
    INFO(text << "\n" << c.text << "\n" << again.text);
    REQUIRE(again.text == c.text);
    const std::size_t at = c.text.find("://evil.com");
    const bool has_scheme = at != std::string::npos && at > 0 &&
                            guard::detail::is_word(c.text[at - 1]);
    REQUIRE(!has_scheme);
    CHECK(c.text.size() <= 3 * text.size());
    n += c.removed;
  }
  CHECK(n > 100);
}
