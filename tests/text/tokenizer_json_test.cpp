// SPDX-License-Identifier: MIT
#include "tinyphi/text/tokenizer_json.h"

#include <functional>

#include "support/test.h"
#include "support/tokenizers.h"

using namespace tinyphi;
using namespace tinyphi_test;

namespace {

using change = std::function<void(json::object&)>;

// The demo model's tokenizer.json, changed.
result<vocabulary> changed(const change& f) {
  auto root = parse_json(read_data("demo/hf/tokenizer.json"), "f");
  REQUIRE_OK(root);
  f(root->get_object());
  return parse_tokenizer_json(json::serialize(*root), "", "f");
}
std::string fault_of(const change& f) { return message_of(changed(f)); }

std::string o200k_fault(const change& f) {
  auto root =
      parse_json(read_data("tokenizer/o200k-small/tokenizer.json"), "f");
  REQUIRE_OK(root);
  f(root->get_object());
  return message_of(parse_tokenizer_json(json::serialize(*root), "", "f"));
}

json::object& model(json::object& root) { return root["model"].as_object(); }

}  // namespace

TEST_CASE("a folder gives kind, tokens, flags and template") {
  const vocabulary v = hf_vocabulary("demo/hf");
  CHECK(v.kind == bpe_kind::sentencepiece);
  CHECK(v.add_prefix_space);
  CHECK(v.add_bos);
  CHECK(v.bos == 1);
  CHECK(v.eos == 1984);
  CHECK(v.unk == 0);
  CHECK(v.merges.size() == 2159);
  CHECK(v.added.size() == 8);
  CHECK(v.added[4].rstrip);
  CHECK(v.chat_template.starts_with("{% for message in messages %}"));
}

TEST_CASE("merges written as strings are the same merges") {
  const auto v = changed([](json::object& root) {
    for (json::value& m : model(root)["merges"].as_array()) {
      const std::string text =
          text_of(m.as_array()[0]) + " " + text_of(m.as_array()[1]);
      m = text;
    }
  });
  REQUIRE_OK(v);
  CHECK(v->merges == hf_vocabulary("demo/hf").merges);
}

TEST_CASE("byte-level tokenizers equal Hugging Face's") {
  auto v = parse_tokenizer_json(
      read_data("tokenizer/o200k-small/tokenizer.json"), "", "f");
  REQUIRE_OK(v);
  CHECK(v->pre == pre_tokenizer::o200k);
  const tokenizer t = make_tokenizer(*std::move(v));
  const auto cases = read_jsonl("tokenizer/o200k-small/cases.jsonl");
  REQUIRE(cases.size() >= 500);
  for (const auto& c : cases) {
    const std::string text = text_of(c.at("text"));
    INFO(text);
    CHECK(t.encode(text, true) == ids_of(c.at("ids")));
    CHECK(t.decode(ids_of(c.at("ids")), true) == text_of(c.at("text_back")));
  }
}

TEST_CASE("Metaspace is read as Hugging Face means it") {
  const auto with = [](std::string_view scheme) {
    return changed([&](json::object& root) {
      root["normalizer"] = nullptr;
      root["pre_tokenizer"] = {{"type", "Metaspace"},
                               {"replacement", "\u2581"},
                               {"prepend_scheme", std::string(scheme)},
                               {"split", false}};
    });
  };
  CHECK(with("first")->prefix == prefix_rule::first_run);
  CHECK(with("always")->prefix == prefix_rule::unless_space);
  CHECK(message_of(with("never")).starts_with("f/tokenizer.json: decoder: {"));
}

TEST_CASE("what cannot be done exactly is refused by name") {
  const auto set = [](const char* key, json::value value) {
    return [=](json::object& root) { root[key] = value; };
  };
  CHECK(fault_of(set("normalizer", {{"type", "NFC"}})) ==
        "f/tokenizer.json: normalizer: {\"type\":\"NFC\"} is not one that "
        "tinyphi can do exactly");
  CHECK(fault_of(set("normalizer", nullptr)) ==
        "f/tokenizer.json: normalizer: null is not one that tinyphi can do "
        "exactly");
  CHECK(fault_of(set("pre_tokenizer", {{"type", "Whitespace"}}))
            .starts_with("f/tokenizer.json: normalizer:"));
  CHECK(
      fault_of(set("decoder", {{"type", "WordPiece"}}))
          .starts_with("f/tokenizer.json: decoder: {\"type\":\"WordPiece\"}"));
  CHECK(fault_of([](json::object& r) { model(r)["type"] = "Unigram"; }) ==
        "f/tokenizer.json: model: type: Unigram; tinyphi knows BPE");
  CHECK(fault_of([](json::object& r) {
          model(r)["byte_fallback"] = false;
        }).starts_with("f/tokenizer.json: model: byte_fallback: must be"));
  CHECK(fault_of([](json::object& r) { model(r)["dropout"] = 0.1; }) ==
        "f/tokenizer.json: model: dropout: must be null");
  CHECK(
      fault_of([](json::object& r) { model(r)["end_of_word_suffix"] = "w"; }) ==
      "f/tokenizer.json: model: end_of_word_suffix: tinyphi knows none");
  CHECK(o200k_fault([](json::object& r) {
          r["pre_tokenizer"]
              .at("pretokenizers")
              .as_array()[0]
              .as_object()["pattern"] = {{"Regex", "\\w+"}};
        }).starts_with("f/tokenizer.json: pre_tokenizer: {"));
  CHECK(o200k_fault([](json::object& r) {
          r["pre_tokenizer"].at("pretokenizers").as_array().pop_back();
        }) != "(no error)");
  CHECK(o200k_fault([](json::object& r) {
          r["normalizer"] = {{"type", "NFC"}};
        }).starts_with("f/tokenizer.json: normalizer: {"));
}

TEST_CASE("hostile entries are named") {
  const auto with_piece = [](const char* piece, json::value id) {
    return fault_of(
        [&](json::object& r) { model(r)["vocab"].as_object()[piece] = id; });
  };
  CHECK(with_piece("new", -1) ==
        "f/tokenizer.json: model: vocab: new: -1 where tinyphi needs an "
        "integer from 0 to 1048575");
  CHECK(with_piece("new", 1 << 30).find("from 0 to 1048575") !=
        std::string::npos);
  CHECK(with_piece("new", "5").find("a string where") != std::string::npos);
  CHECK(with_piece("new", nullptr).ends_with("null where tinyphi needs an id"));
  CHECK(
      with_piece("new", 1).ends_with("new: its id 1 is also that of \"<s>\""));
  CHECK(with_piece("", 1990).ends_with("\"\": an empty piece"));

  const auto with_merge = [](json::value m) {
    return fault_of(
        [&](json::object& r) { model(r)["merges"].as_array()[7] = m; });
  };
  const std::string place = "f/tokenizer.json: model: merges[7]: ";
  CHECK(with_merge("a b c") ==
        place + "\"a b c\" is not two pieces with one space between");
  CHECK(with_merge("ab") ==
        place + "\"ab\" is not two pieces with one space between");
  CHECK(with_merge(5) == place + "5 is neither a string nor a pair of strings");
  CHECK(with_merge({"a"}) ==
        place + "[\"a\"] is neither a string nor a pair of strings");
  CHECK(with_merge("zzz qqq") ==
        place + "\"zzz qqq\" names a piece that is not in the vocabulary");
  CHECK(fault_of([](json::object& r) { model(r).erase("merges"); }) ==
        "f/tokenizer.json: model: merges: missing, empty, or not an array");
  CHECK(fault_of([](json::object& r) { model(r)["vocab"] = 5; }) ==
        "f/tokenizer.json: model: vocab: missing, or not an object");
  CHECK(fault_of([](json::object& r) { r["model"] = 5; }) ==
        "f/tokenizer.json: model: missing, or not an object");

  const auto with_added = [](const char* key, json::value value) {
    return fault_of([&](json::object& r) {
      r["added_tokens"].as_array()[3].as_object()[key] = value;
    });
  };
  const std::string added = "f/tokenizer.json: added_tokens[3]: ";
  CHECK(with_added("id", -1).starts_with(added + "id: -1 where"));
  CHECK(with_added("id", nullptr) == added + "id: missing");
  CHECK(with_added("content", "") == added + "content: missing");
  CHECK(with_added("single_word", true) ==
        added + "single_word: true; tinyphi knows only false");
  CHECK(with_added("normalized", true) ==
        added + "normalized: true; tinyphi knows only false here");
  CHECK(message_of(parse_tokenizer_json("[]", "", "f")) ==
        "f/tokenizer.json: not a JSON object");
  CHECK(message_of(parse_tokenizer_json("{", "", "f"))
            .starts_with("f/tokenizer.json: byte 1: not valid JSON"));
}
