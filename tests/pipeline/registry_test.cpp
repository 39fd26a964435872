// SPDX-License-Identifier: MIT
#include "tinyphi/pipeline/registry.h"

#include "support/test.h"

using namespace tinyphi;

namespace {

struct words {
  static constexpr stage_info info{.id = "demo.words",
                                   .summary = "Counts words"};
  struct config {
    std::int64_t min_length = 1;
    double share = 0.5;
    std::string mark = "a\"b";
    std::filesystem::path list;
    model_ref model;
    std::map<std::string, token_cap> fit;
  };
  struct inputs {
    std::string_view text;
    std::optional<documents> docs;
  };
  struct outputs {
    std::int64_t words = 0;
    std::optional<std::string> longest;
  };
  struct streams {
    text_stream log;
  };
  static constexpr auto params() {
    return std::tuple{param("min_length", &config::min_length)
                          .range(1, 64)
                          .doc("shorter words do not count"),
                      param("share", &config::share),
                      param("mark", &config::mark),
                      param("list", &config::list).required(),
                      param("model", &config::model),
                      param("fit", &config::fit)};
  }
  static constexpr auto in_ports() {
    return std::tuple{port("text", &inputs::text), port("docs", &inputs::docs)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("words", &outputs::words),
                      port("longest", &outputs::longest)};
  }
  static constexpr auto stream_ports() {
    return std::tuple{port("log", &streams::log)};
  }
  words(config c, host&) : config_(std::move(c)) {}
  task<outputs> run(run_context&, inputs in, streams) const {
    outputs out;
    out.words = static_cast<std::int64_t>(in.text.size());
    co_return out;
  }
  config config_;
};
static_assert(stage<words>);

struct not_a_stage : words {
  task<outputs> run(run_context&, inputs) { co_return outputs{}; }  // not const
};
static_assert(!stage<not_a_stage>);

config_node table(config_table members) {
  return {std::move(members), {1, 1}, {}};
}
config_node text(std::string s) { return {std::move(s), {1, 1}, {}}; }
config_node number(std::int64_t n) { return {n, {7, 3}, {}}; }

std::vector<diagnostic> configure(const config_node& with,
                                  std::vector<std::string> models = {"phi"}) {
  std::map<std::string, model_spec, std::less<>> specs;
  for (const std::string& name : models) specs[name] = {name, {}, 0};
  const host h({}, "/base", specs);
  std::vector<diagnostic> faults;
  param_reader reader(&with, "stage w", {2, 1}, h, faults);
  registry r;
  r.add<words>();
  (void)r.find("demo.words")->configure(reader);
  return faults;
}

}  // namespace

TEST_CASE("a registered stage shows its ports and parameters") {
  registry r;
  r.add<words>();
  CHECK(r.find("demo.word") == nullptr);
  const stage_type* type = r.find("demo.words");
  REQUIRE(type != nullptr);
  CHECK(type->info.summary == "Counts words");
  REQUIRE(type->in_ports.size() == 2);
  CHECK(to_string(type->in_ports[0].types) == "text");
  CHECK(type->in_ports[0].required);
  CHECK(to_string(type->in_ports[1].types) == "list<document>");
  CHECK(!type->in_ports[1].required);
  REQUIRE(type->out_ports.size() == 2);
  CHECK(!type->out_ports[1].required);
  REQUIRE(type->stream_ports.size() == 1);
  CHECK(type->stream_ports[0].stream);
  REQUIRE(type->params.size() == 6);
  CHECK(type->params[0].default_value == "1");
  CHECK(type->params[0].allowed == "1 to 64");
  CHECK(type->params[0].help == "shorter words do not count");
  CHECK(type->params[1].default_value == "0.5");
  CHECK(type->params[2].default_value == "\"a\\\"b\"");
  CHECK(type->params[3].required);
}

TEST_CASE("parameters are checked for name, type, range and presence") {
  CHECK(configure(table({{"list", {}, text("l.txt")}})).empty());

  auto faults = configure(
      table({{"list", {}, text("l.txt")}, {"min_lenght", {6, 1}, number(1)}}));
  REQUIRE(faults.size() == 1);
  CHECK(to_string(faults[0], "f") ==
        "f:6:1: error[TP1002]: stage w: unknown parameter 'with.min_lenght'; "
        "did you mean 'min_length'?");

  faults = configure(
      table({{"list", {}, text("l.txt")}, {"min_length", {}, number(65)}}));
  REQUIRE(faults.size() == 1);
  CHECK(to_string(faults[0], "f") ==
        "f:7:3: error[TP1005]: stage w: with.min_length is 65, allowed are 1 "
        "to 64");

  faults = configure(table({{"list", {}, number(1)}}));
  REQUIRE(faults.size() == 1);
  CHECK(to_string(faults[0], "f") ==
        "f:7:3: error[TP1004]: stage w: with.list is an integer, the plugin "
        "wants path");

  faults = configure(table({}));
  REQUIRE(faults.size() == 1);
  CHECK(to_string(faults[0], "f") ==
        "f:2:1: error[TP1003]: stage w: with.list must be given");
}

TEST_CASE("caps in tokens are numbers or rows, with what happens beyond") {
  const auto of_row = [](config_node row) {
    const config_node with =
        table({{"fit", {}, table({{"docs", {4, 2}, std::move(row)}})}});
    struct config {
      std::map<std::string, token_cap> fit;
    } c;
    std::vector<diagnostic> faults;
    const host h({}, "/base", {});
    param_reader reader(&with, "stage w", {2, 1}, h, faults);
    reader.read(c, param("fit", &config::fit));
    if (faults.empty()) {
      return std::to_string(c.fit["docs"].max) + " " + c.fit["docs"].over;
    }
    REQUIRE(faults.size() == 1);
    return to_string(faults[0], "f");
  };
  CHECK(of_row(number(400)) == "400 ");
  CHECK(of_row(table({{"max", {}, number(4)}, {"over", {}, text("cut")}})) ==
        "4 cut");
  CHECK(of_row(number(0)) ==
        "f:7:3: error[TP1005]: stage w: with.fit.docs is 0 tokens, allowed are "
        "1 to 1048576");
  CHECK(of_row(text("400")) ==
        "f:1:1: error[TP1004]: stage w: with.fit.docs is a string, the plugin "
        "wants a number of tokens, or { max, over }");
  CHECK(of_row(table({})) ==
        "f:1:1: error[TP1003]: stage w: with.fit.docs.max must be given");
  CHECK(of_row(table({{"max", {}, number(4)}, {"ovr", {5, 1}, text("cut")}})) ==
        "f:5:1: error[TP1002]: stage w: with.fit.docs: unknown key 'ovr'; did "
        "you mean 'over'?");
  CHECK(of_row(table({{"max", {}, number(4)}, {"over", {}, text("drp")}})) ==
        "f:1:1: error[TP1005]: stage w: with.fit.docs.over: allowed are "
        "\"error\", \"cut\" and \"drop\"; did you mean 'drop'?");
  CHECK(configure(table({{"list", {}, text("l")}, {"fit", {}, number(1)}}))
            .front()
            .code == fault::wrong_type);
}

TEST_CASE("the only model is the default; of several one must be named") {
  const config_node list = table({{"list", {}, text("l.txt")}});
  CHECK(configure(list).empty());
  auto faults = configure(list, {"phi", "small"});
  REQUIRE(faults.size() == 1);
  CHECK(faults[0].code == fault::missing_key);
  faults = configure(
      table({{"list", {}, text("l.txt")}, {"model", {}, text("smal")}}),
      {"phi", "small"});
  REQUIRE(faults.size() == 1);
  CHECK(faults[0].message ==
        "stage w: with.model: no [model.smal]; did you mean 'small'?");
}

TEST_CASE("words of an enum, and models that few configs need") {
  struct config {
    enum class unit { word, line };
    unit by = unit::line;
    std::optional<model_ref> model;
  };
  constexpr auto by = param("by", &config::by).names("word", "line");
  CHECK(describe_param(by).type == "text");
  CHECK(describe_param(by).allowed == "word, line");
  CHECK(describe_param(by).default_value == "\"line\"");
  std::vector<diagnostic> faults;
  config c;
  const auto read = [&](const config_node& with, bool has_two) {
    std::map<std::string, model_spec, std::less<>> models{{"phi", {}}};
    if (has_two) models["small"] = {};
    const host h({}, "/base", models);
    param_reader reader(&with, "stage w", {2, 1}, h, faults);
    faults.clear();
    c = {};
    reader.read(c, by);
    reader.read(c, param("model", &config::model));
    return faults.empty() ? "" : to_string(faults[0], "f");
  };
  CHECK(read(table({}), false).empty());
  CHECK(c.by == config::unit::line);
  CHECK(c.model->name == "phi");
  CHECK(read(table({{"by", {}, text("word")}}), true).empty());
  CHECK(c.by == config::unit::word);
  CHECK(!c.model);
  CHECK(read(table({{"model", {}, text("small")}}), true).empty());
  CHECK(c.model->name == "small");
  CHECK(read(table({{"by", {}, text("wrod")}}), true) ==
        "f:1:1: error[TP1005]: stage w: with.by is 'wrod', allowed are word, "
        "line; did you mean 'word'?");
  CHECK(read(table({{"by", {}, number(1)}}), true) ==
        "f:7:3: error[TP1004]: stage w: with.by is an integer, the plugin "
        "wants text");
}

TEST_CASE("sizes and durations have units and ranges") {
  struct config {
    byte_size most{1 << 16};
    std::chrono::milliseconds pause{1500};
  };
  constexpr auto most =
      param("most", &config::most).range(byte_size{1}, byte_size{1 << 20});
  constexpr auto pause = param("pause", &config::pause);
  CHECK(describe_param(most).type == "size");
  CHECK(describe_param(most).default_value == "\"64KiB\"");
  CHECK(describe_param(pause).type == "duration");
  CHECK(describe_param(pause).default_value == "\"1500ms\"");
  std::vector<diagnostic> faults;
  config c;
  const auto read = [&](const config_node& with) {
    const host h({}, "/base", {});
    param_reader reader(&with, "stage w", {2, 1}, h, faults);
    faults.clear();
    reader.read(c, most);
    reader.read(c, pause);
    return faults.empty() ? "" : to_string(faults[0], "f");
  };
  CHECK(read(table({{"most", {}, text("8KiB")}, {"pause", {}, text("2s")}}))
            .empty());
  CHECK(c.most == byte_size{8192});
  CHECK(c.pause == std::chrono::seconds(2));
  CHECK(read(table({{"most", {}, number(7)}})).empty());
  CHECK(c.most == byte_size{7});
  CHECK(read(table({{"most", {}, text("2MiB")}})) ==
        "f:1:1: error[TP1005]: stage w: with.most is \"2MiB\", allowed are "
        "1 to \"1MiB\"");
  CHECK(read(table({{"most", {}, text("8 KiB")}})) ==
        "f:1:1: error[TP1004]: stage w: with.most is '8 KiB', a size is a "
        "number of bytes, or such as \"64KiB\"");
  CHECK(read(table({{"most", {}, number(-1)}})) ==
        "f:7:3: error[TP1004]: stage w: with.most is an integer, the plugin "
        "wants size");
  CHECK(read(table({{"pause", {}, text("2")}}))
            .starts_with("f:1:1: error[TP1004]: stage w: with.pause is '2', a "
                         "duration is above zero"));
  CHECK(read(table({{"pause", {}, number(2)}})) ==
        "f:7:3: error[TP1004]: stage w: with.pause is an integer, the plugin "
        "wants duration");
}

TEST_CASE("a text's bytes know their place in the file") {
  const config_node n{std::string("a\nb\xC3\xA9"
                                  "c"),
                      {3, 10},
                      {4, 1}};
  CHECK(n.text_position(0) == position{4, 1});
  CHECK(n.text_position(2) == position{5, 1});
  CHECK(n.text_position(5) == position{5, 3});
  CHECK(config_node{std::string("x"), {3, 10}, {}}.text_position(0) ==
        position{3, 10});
}
