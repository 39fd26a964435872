// SPDX-License-Identifier: MIT
#include "plugins/guard/rules.h"

#include <algorithm>
#include <random>

#include "support/effort.h"
#include "support/temp_folder.h"
#include "support/test.h"

using namespace tinyphi;
using namespace tinyphi::guard;

namespace {

rule_set read(std::string_view text) {
  std::vector<diagnostic> faults;
  auto set = read_rules(text, faults);
  INFO(to_string(faults, "rules.toml"));
  REQUIRE(set);
  return *std::move(set);
}

std::string faults_of(std::string_view text) {
  std::vector<diagnostic> faults;
  const bool good = read_rules(text, faults).has_value();
  CHECK(good == faults.empty());
  return to_string(faults, "r");
}

// "id begin end" of each, joined.
std::string found(const rule_set& set, std::string_view text) {
  std::string out;
  for (const finding& f : set.find(text).all) {
    out += (out.empty() ? "" : "; ") + f.by->id + " " +
           std::to_string(f.begin) + " " + std::to_string(f.end);
  }
  return out;
}

const rule_set& gitleaks() {
  static const rule_set set = [] {
    auto loaded =
        load_rules(tinyphi_test::data_dir() / "guard" / "gitleaks.toml");
    REQUIRE_OK(loaded);
    return *std::move(loaded);
  }();
  return set;
}

// In two parts, so that scanners of this repository find nothing.
const std::string github_key =
    std::string("ghp_") + "x9Kd2mQ7vLr4TzW8bNc3Yh6JpF5sGa1UeRt0";

}  // namespace

TEST_CASE("gitleaks' own file loads, and finds what gitleaks finds") {
  CHECK(gitleaks().size() == 221);  // 222, one of which has a path only
  CHECK(found(gitleaks(), "see " + github_key + "\n") == "github-pat 4 44");
  CHECK(found(gitleaks(), "-----BEGIN RSA PRIVATE " +
                              std::string("KEY-----\n") + std::string(80, 'x') +
                              "\n-----END RSA PRIVATE " + "KEY-----")
            .starts_with("private-key 0 "));
  // Too little entropy, and a text without any secret.
  CHECK(found(gitleaks(), "ghp_" + std::string(36, 'a')).empty());
  CHECK(found(gitleaks(), "The password is kept in the safe.").empty());
}

TEST_CASE("a rule is tried only where a keyword is, in either case") {
  const rule_set set = read(R"([[rules]]
id = "part"
regex = '[0-9]{4}'
keywords = ["Part", "he", "she", "hers"]
)");
  CHECK(found(set, "1234").empty());
  CHECK(found(set, "pART 1234") == "part 5 9");
  CHECK(found(set, "ushe 1234, 5678") == "part 5 9; part 11 15");
  CHECK(found(set, "ushx xhx 1234").empty());
}

TEST_CASE("keywords are found as a search for each finds them") {
  std::mt19937 random(7);
  const auto letters = [&](std::size_t n) {
    std::string s;
    while (s.size() < n) s += "abAB\xC3"[random() % 5];
    return s;
  };
  std::size_t n_found = 0;
  for (int round = 0; round < tinyphi_test::sweep_rounds(300, 30000); ++round) {
    std::vector<std::string> words;
    while (words.size() < 1 + random() % 6) {
      std::string w = ascii::lower(letters(1 + random() % 4));
      if (std::ranges::find(words, w) == words.end()) words.push_back(w);
    }
    const std::string text = letters(random() % 40);
    std::vector<std::pair<std::size_t, std::size_t>> got, wanted;
    keyword_set(words).search(text, [&](std::size_t w, std::size_t end) {
      got.emplace_back(end, w);
    });
    const std::string small = ascii::lower(text);
    for (std::size_t w = 0; w < words.size(); ++w) {
      for (std::size_t at = small.find(words[w]); at != std::string::npos;
           at = small.find(words[w], at + 1)) {
        wanted.emplace_back(at + words[w].size(), w);
      }
    }
    std::ranges::sort(got);
    std::ranges::sort(wanted);
    REQUIRE(got == wanted);
    n_found += got.size();
  }
  CHECK(n_found > 100);
}

TEST_CASE("entropy is of the secret: the group that is named, or the first") {
  const auto with = [](std::string_view key) {
    return read(
        "[[rules]]\nid = 'r'\nregex = 'k=(x*)(?:-([a-z]+))?'\n"
        "entropy = 1.9\n" +
        std::string(key));
  };
  CHECK(found(with(""), "k=-abcd") == "r 0 7");
  CHECK(found(with(""), "k=x-abcd").empty());  // the first group is "x"
  CHECK(found(with("secretGroup = 2"), "k=x-abcd") == "r 0 8");
  CHECK(found(with("secretGroup = 2"), "k=x-abab").empty());
  CHECK(shannon_entropy("") == 0);
  CHECK(shannon_entropy("aaaa") == 0);
  CHECK(shannon_entropy("abcd") == 2);
}

TEST_CASE(
    "allowlists: any or all of it, in the secret, the match or the line") {
  const auto with = [](std::string_view allow) {
    return read("[[rules]]\nid = 'r'\nregex = 'k=([a-z]+);'\n" +
                std::string(allow));
  };
  const std::string_view text = "test k=demoword;\nk=real;";
  CHECK(found(with(""), text) == "r 5 16; r 17 24");
  const auto one = [&](std::string_view body) {
    return found(with("[[rules.allowlists]]\n" + std::string(body)), text);
  };
  CHECK(one("stopwords = ['DEMO']") == "r 17 24");
  CHECK(one("regexes = ['^demoword$']") == "r 17 24");
  CHECK(one("regexes = ['^k=demoword;$']") == "r 5 16; r 17 24");
  CHECK(one("regexes = ['^k=demoword;$']\nregexTarget = 'match'") == "r 17 24");
  CHECK(one("regexes = ['^test k=']\nregexTarget = 'line'") == "r 17 24");
  CHECK(one("regexes = ['^k=real;$']\nregexTarget = 'line'") == "r 5 16");
  CHECK(one("regexes = ['real']\nstopwords = ['demo']").empty());
  CHECK(one("regexes = ['r']\nstopwords = ['demo']\ncondition = 'AND'") ==
        "r 17 24");
  // A text has no path and no commit.
  CHECK(one("paths = ['.*']") == "r 5 16; r 17 24");
  CHECK(one("regexes = ['.*']\ncommits = ['a']\ncondition = 'AND'") ==
        "r 5 16; r 17 24");
  CHECK(found(with("[allowlist]\nstopwords = ['demo']"), text) == "r 17 24");
  CHECK(found(with("[[rules]]\nid = 's'\nregex = 'real'\n[[allowlists]]\n"
                   "regexes = ['real']\ntargetRules = ['s']"),
              text) == "r 5 16; r 17 24");
}

TEST_CASE("what is wrong with a rule file is said with its place") {
  const std::string head = "[[rules]]\nid = 'a'\nregex = 'a'\n";
  CHECK(faults_of("[[rules]\n").starts_with("r:1:9: error[TP1001]: not TOML"));
  CHECK(faults_of(head + "tags = [2025-01-31]\n").find("dates") !=
        std::string::npos);
  CHECK(faults_of("") ==
        "r: error[TP6004]: there is no rule with a regex, so nothing is found");
  CHECK(faults_of("[[rules]]\nid = 'a'\npath = 'x'\n").find("TP6004") !=
        std::string::npos);
  CHECK(faults_of(head + "keyword = ['a']\n") ==
        "r:4:1: error[TP1002]: rule 'a': unknown key 'keyword'; did you mean "
        "'keywords'?");
  CHECK(faults_of("rule = 1\n" + head)
            .starts_with("r:1:1: error[TP1002]: unknown key 'rule'"));
  CHECK(faults_of("[extend]\nuseDefault = true\n" + head) ==
        "r:1:2: error[TP1008]: 'extend' is not supported yet");
  CHECK(faults_of("[[rules]]\nregex = 'a'\n") ==
        "r:1:1: error[TP1003]: rule 1: no id");
  CHECK(faults_of("[[rules]]\nid = 'a'\n") ==
        "r:1:1: error[TP1003]: rule 'a': no regex");
  CHECK(faults_of("[[rules]]\nid = 'a'\nregex = '(a'\n") ==
        "r:3:9: error[TP1005]: rule 'a': regex: not a pattern of RE2: missing "
        "): (a");
  CHECK(faults_of("[[rules]]\nid = 'a'\nregex = 'a*'\n")
            .find("holds for an empty text") != std::string::npos);
  CHECK(faults_of("[[rules]]\nid = 'a'\nregex = '" + std::string(9000, 'a') +
                  "'\n")
            .find("at most 8192 are allowed") != std::string::npos);
  CHECK(faults_of("[[rules]]\nid = 'a'\nregex = '(?:" + std::string(900, 'a') +
                  "{1000}){9}'\n")
            .find("r:3:9: error[TP1005]: rule 'a': regex: not a pattern") == 0);
  CHECK(faults_of(head + "regex = 1\n").find("TP1001") != std::string::npos);
  CHECK(faults_of(head + "keywords = ['a', 1]\n") ==
        "r:4:18: error[TP1004]: rule 'a': keywords has an integer in it, each "
        "must be a string");
  CHECK(faults_of(head + "keywords = ['b', '']\n") ==
        "r:4:18: error[TP1005]: rule 'a': keywords: an empty word is in every "
        "text");
  CHECK(faults_of(head + "keywords = ['" + std::string(40000, 'k') + "']\n")
            .find("at most 32768 are allowed") != std::string::npos);
  CHECK(faults_of(head + "entropy = 9\n").find("allowed are 0 to 8") !=
        std::string::npos);
  CHECK(faults_of(head + "score = 0\n").find("r:4:9: error[TP1005]") == 0);
  CHECK(faults_of(head + "secretGroup = 1\n") ==
        "r:4:15: error[TP1005]: rule 'a': secretGroup: is 1, the pattern has 0 "
        "groups");
  CHECK(faults_of(head + head) ==
        "r:5:6: error[TP1005]: rule 'a': id: another rule has it too");
  CHECK(faults_of(head + "[[rules.allowlists]]\nregexes = ['a', '[']\n")
            .starts_with(
                "r:5:17: error[TP1005]: rule 'a': regexes: not a pattern"));
  CHECK(faults_of(head + "[[rules.allowlists]]\ncondition = 'XOR'\n"
                         "paths = ['a']\n")
            .find("allowed are OR, AND") != std::string::npos);
  CHECK(faults_of(head + "[[rules.allowlists]]\ncondition = 'AND'\n")
            .find("would allow nothing or all") != std::string::npos);
  CHECK(
      faults_of(head + "[[allowlists]]\nstopwords = ['']\n").find("r:5:14: ") ==
      0);
  CHECK(faults_of(head + "[[allowlists]]\nregexes = ['x']\n"
                         "targetRules = ['a', 'b']\n") ==
        "r:6:21: error[TP1005]: allowlist: targetRules: there is no rule 'b'");
  CHECK(faults_of(head + "[[rules.allowlists]]\ntargetRules = ['a']\n")
            .find("unknown key 'targetRules'") != std::string::npos);
  CHECK(faults_of(head + "allowlists = 1\n").find("TP1004") !=
        std::string::npos);
  CHECK(faults_of(head + "allowlist = 1\n").find("TP1004") !=
        std::string::npos);
}

TEST_CASE("a file that is missing, unreadable or broken is an error") {
  const tinyphi_test::temp_folder folder;
  CHECK(load_rules(folder.path() / "none.toml").error().code ==
        error_code::not_found);
  CHECK(!load_rules(folder.path()));
  const auto file = folder.write("r.toml", "[[rules]]\nid = 'a'\nx = 1\n");
  const auto broken = load_rules(file);
  REQUIRE(!broken);
  CHECK(broken.error().code == error_code::bad_data);
  CHECK(broken.error().message.find("r.toml:3:1: error[TP1002]") !=
        std::string::npos);
  CHECK(broken.error().message.find("no regex") != std::string::npos);
  CHECK(!load_rules(folder.write("l.toml", std::string(2 << 20, '#'))));
}

TEST_CASE("a secret does not hide behind many matches that are allowed") {
  const rule_set set = read(R"([[rules]]
id = "r"
regex = 'k=\w+'
[allowlist]
stopwords = ["dummy"]
)");
  std::string text;
  for (int i = 0; i < 998; ++i) text += "k=dummy ";
  CHECK(set.find(text).all.empty());
  text += "k=dummy k=dummy ";
  CHECK(set.find(text).all.size() == 1);
  CHECK(set.find(text + "k=real").all.size() == 1);
  // Allowlists look at a part of a long line only.
  CHECK(guard::detail::found_secret{"a\nbc\nd", 3, 4, ""}.line() == "bc");
  const std::string line(5000, 'x');
  CHECK(guard::detail::found_secret{line, 2000, 2001, ""}.line().size() ==
        2049);
}

TEST_CASE("a range sees what stands around it, and says what is open") {
  const rule_set set = read("[[rules]]\nid = 'r'\nregex = '\\bab+\\b'\n");
  const std::string_view text = "xab abbb abb";
  CHECK(set.find(text, 1, 3).all.empty());
  CHECK(set.find(text, 4, 6).all.empty());
  CHECK(set.find(text, 4, 8).all.size() == 1);
  CHECK(set.find(text, 4, 8, true).all.empty());
  CHECK(set.find(text, 4, 8, true).open == 4);
  CHECK(set.find(text, 4, 9, true).all.size() == 1);
  CHECK(set.find(text, 0, 12, true).open == 9);
}

TEST_CASE("scores of distinct rules sum up; the strongest is named") {
  const rule_set sets[] = {read(R"([[rules]]
id = "weak"
regex = 'a'
score = 0.3
[[rules]]
id = "strong"
description = "has a b"
regex = 'b'
score = 0.7
)"),
                           read("[[rules]]\nid = 'own'\nregex = 'c'\n")};
  CHECK(!judge("aaaa", sets).blocked);
  CHECK(judge("aaaa", sets).score == 0.3);
  CHECK(judge("aaaa", sets).reason == "the text has what rule 'weak' finds");
  CHECK(judge("ab", sets).blocked);
  CHECK(judge("ab", sets).rule == "strong");
  CHECK(judge("ab", sets).reason == "has a b");
  CHECK(judge("c", sets).blocked);
  CHECK(judge("d", sets).rule.empty());
  CHECK(judge("abc", {}).score == 0);
}
