// SPDX-License-Identifier: MIT
#include "plugins/guard_stream/guard_stream.h"

#include <random>

#include "support/effort.h"
#include "support/run_stage.h"
#include "support/temp_folder.h"
#include "support/test.h"
#include "tinyphi/pipeline.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

using actions = guard_stream_stage::actions;

class pieces final : public text_feed {
 public:
  explicit pieces(std::vector<std::string> all) : all_(std::move(all)) {}
  task<std::optional<std::string>> next() override {
    if (given == all_.size()) co_return std::nullopt;
    co_return all_[given++];
  }
  std::size_t given = 0;

 private:
  std::vector<std::string> all_;
};

struct judged {
  std::string text;
  verdict by;
  friend bool operator==(const judged&, const judged&) = default;
};

// `sent`, unless null, becomes what left.
result<judged> run(const guard_stream_stage& stage, pieces& feed,
                   std::string* sent = nullptr, stop_condition stop = {}) {
  text_collector out;
  const auto r = run_task(
      [&](run_context& cx) {
        return stage.run(cx, {text_source(feed)}, {text_stream(out)});
      },
      std::move(stop));
  if (sent != nullptr) *sent = out.text;
  if (!r) return r.error();
  return judged{out.text, r->verdict};
}

// Says a text in pieces of ten bytes.
struct speaker {
  static constexpr stage_info info{.id = "speaker", .summary = "Says a text"};
  struct config {};
  struct inputs {
    std::string_view said;
  };
  struct outputs {
    std::int64_t pieces = 0;
  };
  struct streams {
    text_stream text;
  };
  static constexpr auto params() { return std::tuple{}; }
  static constexpr auto in_ports() {
    return std::tuple{port("said", &inputs::said)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("pieces", &outputs::pieces)};
  }
  static constexpr auto stream_ports() {
    return std::tuple{port("text", &streams::text)};
  }
  speaker(config, host&) {}
  task<outputs> run(run_context&, inputs in, streams out) const {
    outputs given;
    for (std::size_t i = 0; i < in.said.size(); i += 10, ++given.pieces) {
      std::string piece(in.said.substr(i, 10));
      co_await out.text.send(std::move(piece));
    }
    co_return given;
  }
};

// `with` are lines of the stage.
std::string file(std::string_view with) {
  return "tinyphi = 1\ninput.said = { type = \"text\", max_bytes = 400000 "
         "}\noutput.text = \"g.text\"\n"
         "output.v = \"g.verdict\"\n"
         "[rules.own]\nrule = [{ id = 'code', regex = 'X[0-9]{4}' }]\n"
         "[stage.s]\nuse = \"speaker\"\n"
         "[stage.g]\nuse = \"guard.stream\"\nin.text = \"s.text\"\n" +
         std::string(with);
}

registry plugins() {
  registry r;
  r.add<guard_stream_stage>().add<speaker>();
  return r;
}

std::string faults_of(std::string_view with) {
  return to_string(
      check_pipeline_text(file(with), "t.toml", plugins(), {}).faults,
      "t.toml");
}

const std::string card = "4111 1111 1111 1111";

}  // namespace

TEST_CASE("what leaves has no finding, however the text is cut in pieces") {
  temp_folder folder;
  const auto path = folder.write("r.toml",
                                 "[[rules]]\nid = 'code'\n"
                                 "regex = 'X[0-9]{4}'\n");
  host h({}, "/", {}, {{"own", {"own", {}, path, {}}}});
  const guard_stream_stage::config config{{"card", "email"}, {{"own"}}};
  const guard_stream_stage stage(config, h);
  const auto rules = unwrap(guard::load_rules(path));
  constexpr guard::pii_kind kinds[] = {guard::pii_kind::card,
                                       guard::pii_kind::email};
  const auto data = unwrap(guard::pii_finder::make(kinds));
  const std::vector<std::string> words = {
      card, "X1234",     "a@b.example",        "word", "4111", "1111", "X12",
      "@",  "b.example", "gr\xC3\xBC\xC3\x9F", " ",    " ",    " ",    "\n"};
  std::mt19937 random(7);
  int blocked = 0, passed = 0;
  for (int round = 0; round < sweep_rounds(200, 20000); ++round) {
    std::string text;
    for (std::size_t k = random() % 40; k > 0; --k) {
      text += words[random() % 4 == 0 ? random() % words.size()
                                      : 3 + random() % (words.size() - 3)];
    }
    INFO(text);
    std::optional<judged> first;
    for (const std::size_t most :
         {text.size() + 1, std::size_t{1}, 1 + random() % 30}) {
      std::vector<std::string> cut;
      for (std::size_t i = 0; i < text.size();) {
        std::size_t n = most > text.size() ? most : 1 + random() % most;
        // Pieces are whole characters.
        while (i + n < text.size() && (text[i + n] & 0xC0) == 0x80) ++n;
        cut.push_back(text.substr(i, n));
        i += n;
      }
      pieces feed(std::move(cut));
      const auto j = run(stage, feed);
      REQUIRE_OK(j);
      if (!first) first = *j;
      REQUIRE(*j == *first);
    }
    std::size_t found = std::string::npos;
    for (const guard::finding& f : rules.find(text).all) {
      found = std::min(found, f.begin);
    }
    for (const guard::pii_finding& f : data.find(text)) {
      found = std::min(found, f.begin);
    }
    const bool has_finding = found != std::string::npos;
    REQUIRE(first->by.blocked == has_finding);
    REQUIRE(first->text == text.substr(0, found));
    ++(has_finding ? blocked : passed);
  }
  // Both come among the first rounds already.
  CHECK(blocked > 0);
  CHECK(passed > 0);
}

TEST_CASE("a finding ends the text, or fails the stage") {
  host h = no_models();
  const std::vector<std::string> said = {"It is 4111 1111", " 1111 1111, so",
                                         std::string(40, '.'), "more"};
  const guard_stream_stage cuts({}, h);
  pieces feed(said);
  const auto cut = run(cuts, feed);
  REQUIRE_OK(cut);
  CHECK(*cut == judged{"It is ",
                       {true, "card", "the text has data of the kind 'card'"}});
  CHECK(feed.given < said.size());  // the rest is not read

  guard_stream_stage::config config;
  config.on_block = actions::fail;
  const guard_stream_stage fails(config, h);
  pieces again(said);
  std::string sent;
  const auto failed = run(fails, again, &sent);
  REQUIRE(!failed);
  CHECK(failed.error().code == error_code::bad_data);
  CHECK(failed.error().message ==
        "the text is blocked by 'card': the text has data of the kind 'card'");
  CHECK(sent == "It is ");

  pieces harmless({"All is", " well."});
  const auto good = run(fails, harmless);
  REQUIRE_OK(good);
  CHECK(*good == judged{"All is well.", {false, {}, {}}});

  config.kinds = {"secret"};
  pieces secret({"gh", "p_x9Kd2mQ7vLr4TzW8bNc3Yh6JpF5sGa1UeRt0"});
  CHECK_THAT(message_of(run(guard_stream_stage(config, h), secret)),
             Catch::StartsWith("the text is blocked by 'github-token': "));
}

TEST_CASE("hold is how much of what rules find never leaves in part") {
  const auto left = [](std::int64_t hold) {
    temp_folder folder;
    const auto path =
        folder.write("r.toml", "[[rules]]\nid = 'far'\nregex = 'a[.]*b'\n");
    host h({}, "/", {}, {{"far", {"far", {}, path, {}}}});
    guard_stream_stage::config config;
    config.kinds = {};
    config.rules = {{"far"}};
    config.hold = hold;
    pieces feed({"- a" + std::string(150, '.'), "b"});
    std::string sent;
    const auto j = run(guard_stream_stage(config, h), feed, &sent);
    REQUIRE_OK(j);
    CHECK(j->by.blocked);
    return sent.size();
  };
  CHECK(left(64) == 2);  // 256 bytes
}

TEST_CASE("a text that cannot be judged, or is no longer wanted, stays") {
  std::string why;
  const auto thrown = []() -> std::string { throw std::runtime_error("full"); };
  CHECK(guard::release_closed(thrown, why).empty());
  CHECK(why == "the text could not be judged: full");

  // More than can be judged.
  host h = no_models();
  const guard_stream_stage stage({}, h);
  pieces endless({std::string((std::size_t{1} << 20) + 100, '.')});
  const auto j = run(stage, endless);
  REQUIRE_OK(j);
  CHECK(j->by.blocked);
  CHECK_THAT(j->by.reason, Catch::Contains("which is all that can be judged"));

  stop_condition stop;
  stop.token.cancel();
  pieces feed({std::string(100, '.')});
  std::string sent;
  CHECK(run(stage, feed, &sent, stop).error().code == error_code::cancelled);
  CHECK(sent.empty());
}

TEST_CASE("guard.stream reads a stage that writes more than it may read") {
  const auto p = pipeline::compile_text(file("with.rules = ['own']"), "t.toml",
                                        plugins(), {});
  REQUIRE_OK(p);
  const auto r = p->run(
      {{"said", "The code is X1234, " + std::string(300'000, '.') + "."}});
  REQUIRE_OK(r);
  CHECK(*r->outputs.find("text")->second.get<std::string>() == "The code is ");
  CHECK(from_data<verdict>(r->outputs.find("v")->second.data) ==
        verdict{true, "code", "the text has what rule 'code' finds"});
}

TEST_CASE("what is wrong with the parameters of guard.stream is found") {
  const std::string own = "with.rules = ['own']\n";
  CHECK(faults_of(own + "with.kinds = []").empty());
  CHECK(faults_of(own + "with.kinds = ['secret', 'date']").empty());
  const std::pair<std::string, std::string_view> all[] = {
      {own + "with.kinds = ['crad']", "no kind 'crad'; did you mean 'card'?"},
      {own + "with.kinds = ['name']",
       "no kind 'name'; there are card, iban, phone, email, ip, date and "
       "secret"},
      {own + "with.hold = 0", "with.hold is 0, allowed are 1 to 1024"},
      {own + "with.on_block = 'stop'", "with.on_block"},
      {"with.rules = []\nwith.kinds = []",
       "names no kind, and with.rules no [rules.x], so nothing would be found"},
      {"with.rules = ['owm']", "no [rules.owm]; did you mean 'own'?"},
  };
  for (const auto& [with, fault] : all) {
    INFO(with);
    CHECK_THAT(faults_of(with), Catch::Contains(std::string(fault)));
  }
}
