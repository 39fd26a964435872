// SPDX-License-Identifier: MIT
#include "plugins/guard/pii.h"

#include <random>

#include "support/effort.h"
#include "support/test.h"

using namespace tinyphi;
using namespace tinyphi::guard;

namespace {

using enum pii_kind;

pii_finder finder(std::vector<pii_kind> kinds,
                  std::vector<std::string> words = {}) {
  auto made = pii_finder::make(kinds, words);
  REQUIRE_OK(made);
  return *std::move(made);
}

// What is found, joined by "|".
std::string found(pii_kind kind, std::string_view text) {
  static const std::vector<pii_finder> finders = [] {
    std::vector<pii_finder> all;
    for (const pii_kind k : {card, iban, phone, email, ip, date}) {
      all.push_back(finder({k}));
    }
    return all;
  }();
  std::string out;
  for (const auto& f : finders[static_cast<std::size_t>(kind)].find(text)) {
    out += out.empty() ? "" : "|";
    out += text.substr(f.begin, f.end - f.begin);
  }
  return out;
}

// Each of these lines is found whole in sentences, glued to Chinese, and alone.
void all_found(pii_kind kind, std::vector<std::string> texts) {
  for (const std::string& t : texts) {
    INFO(t);
    CHECK(found(kind, t) == t);
    CHECK(found(kind, "It is " + t + ", then.") == t);
    CHECK(found(kind, "(" + t + ")") == t);
    CHECK(found(kind, "\"" + t + "\".") == t);
    CHECK(found(kind, "\xE5\x8F\xB7" + t + "\xE5\x8F\xB7") == t);
  }
}

void none_found(pii_kind kind, std::vector<std::string> texts) {
  for (const std::string& t : texts) {
    INFO(t);
    CHECK(found(kind, t).empty());
    CHECK(found(kind, "See " + t + ", then.").empty());
  }
}

const std::vector<pii_kind> every = {card, iban, phone, email, ip, date};

}  // namespace

TEST_CASE("cards have an issuer, its length and Luhn's digit") {
  // Numbers that payment providers publish for tests.
  all_found(card, {"4111 1111 1111 1111", "4111111111111111",
                   "4111-1111-1111-1111", "4222222222222", "5555555555554444",
                   "2223003122003222", "378282246310005", "3782 822463 10005",
                   "30569309025904", "3056 930902 5904", "6011111111111117",
                   "3530111333300000", "6200000000000005", "5019717010103742",
                   "6759649826438453", "2200000000000004"});
  none_found(card,
             {"4111 1111 1111 1112", "1234567812345670", "4111 1111-1111 1111",
              "41 11 11 11 11 11 11 11", "411111111111111",
              "41111111111111112222", "0000000000000000", "a4111111111111111",
              "4111111111111111a", "4111_1111", "4111  1111 1111 1111"});
  CHECK(found(card, "7 4111 1111 1111 1111 22") == "4111 1111 1111 1111");
  CHECK(found(card, "378282246310005 378282246310005") ==
        "378282246310005|378282246310005");
}

TEST_CASE("every digit of a card and every character of an IBAN counts") {
  for (const auto& [kind, good] :
       {std::pair{card, std::string("5555555555554444")},
        std::pair{iban, std::string("GB29NWBK60161331926819")}}) {
    for (std::size_t i = 0; i < good.size(); ++i) {
      for (const char c : {'1', '7'}) {
        std::string bad = good;
        bad[i] = c;
        INFO(bad);
        CHECK(found(kind, bad) == (bad == good ? good : ""));
      }
    }
  }
}

TEST_CASE("IBANs have their country's length and check digits") {
  // The registry's own examples.
  all_found(iban,
            {"DE89370400440532013000", "DE89 3704 0044 0532 0130 00",
             "GB29 NWBK 6016 1331 9268 19", "FR1420041010050500013M02606",
             "NO9386011117947", "MT84MALT011000012345MTLCAST001S",
             "CH93-0076-2011-6238-5295-7", "AT611904300234573201",
             "ES9121000418450200051332", "gb29nwbk60161331926819",
             "SA0380000000608010167519", "BR1800360305000010009795493C1"});
  none_found(iban, {"DE88370400440532013000", "DE8937040044053201300",
                    "DE893704004405320130001", "XX89370400440532013000",
                    "DE89  3704 0044 0532 0130 00", "DE89", "USB29"});
}

TEST_CASE("phone numbers, international and national") {
  all_found(phone, {"+49 30 1234567",  "+49 (0)30 1234567", "+1-555-201-4567",
                    "+442079460958",   "+33 1 23 45 67 89", "+86 138 1234 5678",
                    "0049 30 1234567", "030 1234567",       "(030) 12345-67",
                    "0171/1234567",    "030 - 123 45 67",   "020 7946 0958",
                    "01 23 45 67 89",  "01.23.45.67.89",    "0301234567",
                    "(555) 201-4567",  "(555)201-4567",     "555-201-4567",
                    "555.201.4567",    "1-555-201-4567",    "555-0123",
                    "13812345678",     "138-1234-5678"});
  none_found(phone, {"2025-01-31",     "01.02.2025",
                     "31/01/2025",     "08:30",
                     "10.0.0.255",     "192.168.100.200",
                     "1.2.3",          "3.14159265",
                     "0.123456789",    "12345",
                     "1234567890",     "978-3-16-148410-0",
                     "0-306-40615-2",  "+1",
                     "+49 30 12",      "+12345678901234567",
                     "00012345678",    "100-0123",
                     "555-01234",      "555-0123-4",
                     "a555-0123",      "AB-555-0123",
                     "2025-0123",      "1700000000",
                     "15 000 000 000", "4111 1111 1111 1111",
                     "0x12345678",     "09.30 - 10.15"});
}

TEST_CASE("e-mail addresses") {
  all_found(email,
            {"a@b.de", "first.last+tag@sub.example.co.uk", "o'neil@x.org",
             "x_y-z%1@example.museum", "a@xn--mnchen-3ya.de",
             "j\xC3\xBCrgen@m\xC3\xBCnchen.de", "1@2.com", "_a@b.io"});
  none_found(email, {"a@b", "@b.de", "a@", "a@.de", "a b@", "a.@b.de",
                     "a@1.2.3.4", "a@b.c", "root@localhost", "a@b..de"});
  CHECK(found(email, "mailto:a@b.de?x") == "a@b.de");
  CHECK(found(email, "<a@b.de>, 'c@d.fr'") == "a@b.de|c@d.fr");
  CHECK(found(email, "write to ...a@b.de...") == "a@b.de");
  CHECK(found(email, std::string(200, 'a') + "@b.de").empty());
}

TEST_CASE("IP addresses") {
  all_found(ip, {"192.168.1.1", "255.255.255.255", "0.0.0.0", "::1", "fe80::1",
                 "2001:db8:0:1:1:1:1:1", "2001:DB8::FF00:42:8329",
                 "::ffff:192.0.2.128", "1::"});
  none_found(ip, {"256.1.1.1", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.4a",
                  "12:30:45", "std::vector", "a::b", "::", "aa:bb:cc:dd:ee:ff",
                  "2001:db8::1::2", "1:2:3:4:5:6:7:8:9", "v1.2.3.4", "12:30"});
  CHECK(found(ip, "10.0.0.1:8080") == "10.0.0.1");
  CHECK(found(ip, "It is fe80::1: that") == "fe80::1");
}

TEST_CASE("dates") {
  all_found(date, {"2025-01-31",
                   "2025/01/31",
                   "31.01.2025",
                   "1.2.2025",
                   "01/31/2025",
                   "31-01-2025",
                   "31.01.25",
                   "1/31/25",
                   "31 January 2025",
                   "31st of January 2025",
                   "January 31, 2025",
                   "Jan 31, 2025",
                   "Jan. 31 2025",
                   "31. Januar 2025",
                   "1. M\xC3\xA4rz",
                   "31 janvier 2025",
                   "1er f\xC3\xA9vrier 2025",
                   "31 de enero de 2025",
                   "3 de mar\xC3\xA7o de 2025",
                   "31 gennaio 2025",
                   "31-Jan-2025",
                   "5 December",
                   "JULY 4",
                   "2025\xE5\xB9\xB4"
                   "1\xE6\x9C\x88"
                   "31\xE6\x97\xA5"});
  none_found(date,
             {"2025-13-31", "2025-01-32", "32.01.2025", "31.31.2025", "1.2.3",
              "1.2.25", "1/2", "1899-01-01", "2025-01-31-4", "3 sets",
              "2 out of 3", "may 5", "5 may", "10 mag 7", "march", "2025-01",
              "v31.01.25", "32 January 2025", "Januaries 3"});
  CHECK(found(date, "2025-01-31T10:00:00Z") == "2025-01-31");
  CHECK(found(date, "On January 31. Then") == "January 31");
}

TEST_CASE("words are found in either case, where no other word goes on") {
  const pii_finder f = finder(
      {}, {"Ada Byron", "Ada", "M\xC3\xBCller", "\xE7\x8E\x8B\xE4\xBC\x9F"});
  const auto hidden = [&](std::string_view text) { return mask(text, f).text; };
  CHECK(hidden("Ada Byron, ADA\nBYRON, ada") == "[WORD_1], [WORD_2], [WORD_3]");
  CHECK(hidden("Adam, Canada, Ada_, \xC3\xA9"
               "Ada, Ada\xC3\xA9") ==
        "Adam, Canada, Ada_, \xC3\xA9"
        "Ada, Ada\xC3\xA9");
  CHECK(hidden("M\xC3\x9CLLER") == "[WORD_1]");
  CHECK(hidden("\xE6\x88\x91\xE7\x8E\x8B\xE4\xBC\x9F\xE5\x93\xA5") ==
        "\xE6\x88\x91[WORD_1]\xE5\x93\xA5");
  CHECK(pii_finder::make({}, std::vector<std::string>{"a"}).error().message ==
        "a word to hide has 1 bytes, it must have 2 at least");
  CHECK(
      pii_finder::make({}, std::vector{std::string(40000, 'a')}).error().code ==
      error_code::limit);
}

TEST_CASE("kinds have names; words are no kind to ask for") {
  CHECK(parse_pii_kind("iban") == iban);
  CHECK(!parse_pii_kind("word"));
  CHECK(!parse_pii_kind("secret"));
}

TEST_CASE("the same value has the same placeholder, another another") {
  const masked_text m =
      mask("Ada, 555-0123 or 555-0124, ada@b.de; again 555-0123, Ada.",
           finder({phone, email}, {"Ada"}));
  CHECK(m.text ==
        "[WORD_1], [PHONE_1] or [PHONE_2], [EMAIL_1]; again [PHONE_1], "
        "[WORD_1].");
  CHECK(m.count == 6);
  CHECK(m.keys.size() == 4);
  CHECK(m.keys.at("[PHONE_2]") == "555-0124");
}

TEST_CASE("what overlaps is hidden whole") {
  const masked_text m = mask("call 030 1234567 and x.ada@b.de",
                             finder({phone, email}, {"call 030", "ada"}));
  CHECK(m.text == "[WORD_1][PHONE_1] and [EMAIL_1]");
  CHECK(m.keys.at("[PHONE_1]") == " 1234567");
  CHECK(*restore(m.text, m.keys) == "call 030 1234567 and x.ada@b.de");
}

TEST_CASE("placeholders that a text has already are not used") {
  const std::string text = "[PHONE_1] and [PHONE_2] are 555-0123, [PHONE_03]";
  const masked_text m = mask(text, finder({phone}));
  CHECK(m.text == "[PHONE_1] and [PHONE_2] are [PHONE_3], [PHONE_03]");
  CHECK(*restore(m.text, m.keys) == text);
}

TEST_CASE("restore replaces placeholders that have a key, once, and no other") {
  const pii_keys keys = {{"[WORD_1]", "Ada"},
                         {"[WORD_2]", "[WORD_1]"},
                         {"[PHONE_10]", "555-0123"}};
  const auto restored = [&](std::string_view text) {
    auto r = restore(text, keys);
    REQUIRE_OK(r);
    return *r;
  };
  CHECK(restored("[WORD_1] coughs; call [PHONE_10].") ==
        "Ada coughs; call 555-0123.");
  CHECK(restored("[WORD_2][WORD_1]") == "[WORD_1]Ada");
  for (const std::string_view other :
       {"[PHONE_1]", "[PHONE_1", "[word_1]", "WORD_1", "[WORD_1 ]", "[WORD_]",
        "[WORD_01]", "[[WORD_3]]", "[CARD_1]", "[WORD_1234567890]", "["}) {
    CHECK(restored(other) == other);
  }
  CHECK(restored("[[WORD_1]]") == "[Ada]");
  CHECK(restore("x", {{"x", "y"}}).error().code ==
        error_code::invalid_argument);
  CHECK(!restore("x", {{"", "y"}}));
  CHECK(!restore("x", {{"[WORD_1]y", "y"}}));
  CHECK(restore("[WORD_1][WORD_1]", keys, 6));
  CHECK(restore("[WORD_1][WORD_1]", keys, 5).error().code == error_code::limit);
}

TEST_CASE("restoring what was masked gives the text back, whatever it is") {
  std::mt19937 random(11);
  const std::vector<std::string> parts = {"4111 1111 1111 1111",
                                          "DE89370400440532013000",
                                          "555-0123",
                                          "a@b.de",
                                          "fe80::1",
                                          "2025-01-31",
                                          "Ada",
                                          "[WORD_1]",
                                          "[CARD_1]",
                                          "[",
                                          "_1]",
                                          "WORD",
                                          "[PHONE_",
                                          " ",
                                          "-",
                                          ".",
                                          "1",
                                          "\xC3\xA9",
                                          "\xFF",
                                          "\n",
                                          "+49 30 1234567"};
  const pii_finder f =
      finder(every, {"Ada", "WORD", "[WORD_1]", "2025-01", "-1"});
  std::size_t n = 0;
  for (int round = 0; round < tinyphi_test::sweep_rounds(2000, 200000);
       ++round) {
    std::string text;
    for (std::size_t k = random() % 12; k > 0; --k) {
      text += parts[random() % parts.size()];
      if (random() % 2 != 0) text += ' ';
    }
    INFO(text);
    const masked_text m = mask(text, f);
    n += m.count;
    REQUIRE(*restore(m.text, m.keys) == text);
    for (const auto& [name, value] : m.keys) {
      CHECK(text.find(name) == std::string::npos);
    }
  }
  CHECK(n > 100);
}

TEST_CASE("a text in pieces gives what the whole text gives") {
  const std::string text =
      "Card 4111 1111 1111 1111 22, mail first.last@sub.example.co.uk. On 31 "
      "de "
      "enero de 2025, 2001:db8::ff00:42:8329; DE89 3704 0044 0532 0130 00; +49 "
      "(0)30 123 45 67 and 555-0123, 10.0.0.1, 3 sets, Jan. 31 2025";
  const pii_finder f = finder(every);
  const auto whole = f.find(text);
  REQUIRE(whole.size() == 9);
  for (std::size_t step = 1; step < 40; ++step) {
    std::vector<pii_finding> got;
    std::size_t next = 0;
    for (std::size_t end = 0; end < text.size();) {
      end = std::min(end + step, text.size());
      const bool more = end < text.size();
      for (;;) {
        const auto s =
            f.find_next(std::string_view(text).substr(0, end), next, more);
        CHECK(s.next >= next);
        CHECK(s.next + 400 >= std::min(end, s.next + 400));
        if (s.found) got.push_back(*s.found);
        next = s.next;
        if (!s.found) break;
      }
    }
    CHECK(got == whole);
  }
}

TEST_CASE("texts that make work take time in proportion to their size") {
  const pii_finder f = finder(every, {"aa", "aaa", "aaaa"});
  for (const std::string_view unit :
       {"1", "1-", "a.", "a@", "0 ", "1 1", ":", "a:", "(0", "aa ", "[WORD_1",
        "4111 ", "DE89 ", "a.a@a.a"}) {
    const auto seconds = [&](std::size_t n) {
      std::string text;
      while (text.size() < n) text += unit;
      const double begin = tinyphi_test::cpu_seconds();
      CHECK(*restore(mask(text, f).text, mask(text, f).keys, n * 20) == text);
      return tinyphi_test::cpu_seconds() - begin;
    };
    const double little = seconds(20000), much = seconds(160000);
    INFO(unit << ": " << little << " s, " << much << " s");
    CHECK(much < 30 * little + 0.05);  // eight times the bytes
  }
}
