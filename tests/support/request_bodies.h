// SPDX-License-Identifier: MIT
// Bodies made from a request table: for each row what it allows at its borders,
// and each way to break it.
#ifndef TINYPHI_TESTS_SUPPORT_REQUEST_BODIES_H_
#define TINYPHI_TESTS_SUPPORT_REQUEST_BODIES_H_

#include <cmath>
#include <functional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "support/test.h"
#include "tinyphi/generate/sampler.h"
#include "tinyphi/serve/fields.h"

namespace tinyphi_test {

namespace json = tinyphi::json;
using tinyphi::field;
using tinyphi::field_kind;
using tinyphi::field_shape;
using tinyphi::field_use;

struct made_body {
  json::object body;
  std::string path;  // of the row
  bool good = true;
};

class body_maker {
 public:
  // Every body of a table, whose required fields have their examples.
  static std::vector<made_body> all(const tinyphi::request_table& t) {
    body_maker m;
    const json::object least = object(t.fields);
    m.rows(t.fields, "", [&](const field& f, json::value v) {
      json::object body = least;
      body[f.name] = std::move(v);
      return body;
    });
    return std::move(m.out_);
  }

  // A value that a row allows.
  static json::value value(const field& f) {
    if (!f.example.empty()) return json::parse(f.example);
    if (!f.words.empty()) return json::string_view(f.words.front());
    if (has(f, field_kind::string)) return text(f.least);
    if (biased(f)) return {{"7", -1.5}};
    if (has(f, field_kind::array)) return json::array();
    if (has(f, field_kind::object)) return object(f.members);
    if (has(f, field_kind::boolean)) return true;
    if (f.not_zero) return 1;
    return whole(f.above_least ? f.most : f.least);
  }

 private:
  using place = std::function<json::object(const field&, json::value)>;

  static bool has(const field& f, field_kind k) { return takes(f.kinds, k); }
  static bool biased(const field& f) {
    return f.shape == field_shape::token_biases ||
           f.shape == field_shape::text_biases;
  }
  static json::value text(double n) {
    // Two bytes each: characters count, not bytes.
    std::string s;
    for (int i = 0; i < static_cast<int>(n); ++i) s += "\u00e9";
    return json::string(s);
  }
  static json::value whole(double x) {
    if (x >= 0x1p63) return std::int64_t{9223372036854775807};
    if (x == std::floor(x)) return static_cast<std::int64_t>(x);
    return x;
  }
  static json::object object(std::span<const field> fields) {
    json::object o;
    for (const field& f : fields) {
      const bool needed = f.required || !f.required_unless.name.empty();
      if (needed) o[f.name] = value(f);
    }
    return o;
  }

  void rows(std::span<const field> fields, const std::string& path,
            const place& put) {
    for (const field& f : fields) {
      const std::string at = path + std::string(f.name);
      const auto good = [&](json::value v) {
        out_.push_back({put(f, std::move(v)), at, true});
      };
      const auto bad = [&](json::value v) {
        out_.push_back({put(f, std::move(v)), at, false});
      };
      const bool needed = f.required || !f.required_unless.name.empty();
      if (needed) {
        bad(nullptr);
      } else {
        good(nullptr);
      }
      row(f, good, bad);
      deeper(f, at, put);
    }
  }

  template <class Good, class Bad>
  static void row(const field& f, const Good& good, const Bad& bad) {
    if (f.use == field_use::ignored) {
      for (const char* any : {"1", "\"x\"", "[]", "{}", "true"}) {
        good(json::parse(any));
      }
      return;
    }
    if (f.use == field_use::refused) {
      bad("\x01");
      bad({{"x", 1}});
      if (f.harmless.empty()) return;
      const json::value all = json::parse(f.harmless);
      for (const json::value& v : all.get_array()) good(v);
      return;
    }
    if (!has(f, field_kind::string)) bad("1");
    if (!has(f, field_kind::boolean)) bad(true);
    if (!has(f, field_kind::array) || f.least_items > 0) bad(json::array());
    if (!has(f, field_kind::object)) bad(json::object());
    if (has(f, field_kind::number) || has(f, field_kind::integer)) {
      numbers(f, good, bad);
    } else {
      bad(1);
      bad(0.5);
    }
    if (!biased(f)) good(value(f));
    if (!f.words.empty()) {
      for (const auto w : f.words) good(json::string_view(w));
      bad("no such word");
    } else if (has(f, field_kind::string)) {
      if (f.least > 0) bad("");
      if (f.most < 1e4) {
        good(text(f.most));
        bad(text(f.most + 1));
      }
    }
    if (biased(f)) biases(f, good, bad);
    if (f.shape == field_shape::prompts) {
      prompts(f, good, bad);
      either(f.shape, good, bad);
    }
    if (f.shape == field_shape::mixed_prompts) {
      prompts(f, good, bad);
      either(f.shape, good, bad);
      mixed(good, bad);
    }
  }

  template <class Good, class Bad>
  static void numbers(const field& f, const Good& good, const Bad& bad) {
    const bool fractions = has(f, field_kind::number);
    const double step = fractions ? 1.0 / 1024 : 1;
    good(whole(f.most));
    if (f.most < 1e15) {
      good(f.most);  // 5.0 for 5
      bad(whole(f.most + step));
    } else {
      bad(std::uint64_t{9223372036854775808U});
    }
    if (f.above_least) {
      bad(whole(f.least));
      good(f.least + 5e-324);
    } else {
      good(whole(f.least));
    }
    if (f.least > -1e15) {
      bad(whole(f.least - step));
    } else {
      bad(-1.5e19);
    }
    bad(1e300);
    bad(-1e300);
    if (!fractions) bad(0.5);
    if (f.step != 0) bad(f.step - 1);
    if (f.not_zero) bad(0);
  }

  template <class Good, class Bad>
  static void biases(const field& f, const Good& good, const Bad& bad) {
    for (const char* v :
         {R"({})", R"([])", R"({"0": 100, "31": -100, "10": false})",
          R"([[0, 1], [31, -100], [5.0, false]])"}) {
      good(json::parse(v));
    }
    for (const char* v :
         {R"({"0": 100.5})", R"({"1": -101})", R"({"1": true})",
          R"({"1": null})", R"({"1": "2"})", R"({"01": 1})", R"({"": 1})",
          R"({"2147483648": 1})", R"({"99999999999999999999999": 1})", R"([1])",
          R"([[1]])", R"([[1, 2, 3]])", R"([[-1, 1]])", R"([["", 1]])",
          R"([["the"]])", R"([[1, 101]])", R"([[1.5, 1]])"}) {
      bad(json::parse(v));
    }
    for (const char* v : {R"({"the": 1})", R"({"1.0": 1})", R"({"-1": 1})",
                          R"([["the", 1]])", R"([["12", 1], [3, 1]])"}) {
      f.shape == field_shape::text_biases ? good(json::parse(v))
                                          : bad(json::parse(v));
    }
    for (const std::size_t n : {256, 257}) {
      json::object named;
      named[std::string(n, 'a')] = 1;
      f.shape == field_shape::text_biases&& n == 256 ? good(named) : bad(named);
    }
    json::object many;
    for (int i = 0; i < 1024; ++i) many[std::to_string(i)] = 0;
    many["2000"] = 0;
    bad(many);
  }

  template <class Good, class Bad>
  static void prompts(const field& f, const Good& good, const Bad& bad) {
    for (const char* v : {R"("a")", R"(["a"])", "[1, 2.0, 31]", "[[1, 2]]"}) {
      good(json::parse(v));
    }
    for (const char* v :
         {R"("")", "[]", "[[]]", R"([""])", "[-1]", "[0.5]", "[2147483648]",
          "[null]", "[[[1]]]", "[{}]", "[true]", "[[-1]]", R"([["a", {}]])",
          R"([1, [2]])", R"([1, ""])"}) {
      bad(json::parse(v));
    }
    json::array many;
    for (int i = 0; i < static_cast<int>(f.most_items); ++i)
      many.push_back("a");
    good(many);
    many.push_back(json::array{1});
    bad(many);
  }

  // What one shape of prompts takes and the other does not.
  template <class Good, class Bad>
  static void either(field_shape shape, const Good& good, const Bad& bad) {
    for (const char* v :
         {R"([1, "a"])", R"(["a", 1])", R"([["a"]])", R"([["a", 1], "b"])",
          R"({"prompt_string": "a"})", R"([{"prompt_string": "a"}, "b"])",
          R"({"content": [{"type": "text", "text": "a"}]})",
          R"({"prompt_string": "a", "content": null})"}) {
      shape == field_shape::mixed_prompts ? good(json::parse(v))
                                          : bad(json::parse(v));
    }
  }
  template <class Good, class Bad>
  static void mixed(const Good& good, const Bad& bad) {
    good(json::parse(R"({"prompt_string": "a", "multimodal_data": []})"));
    for (const char* v :
         {"{}", R"({"prompt_string": ""})", R"({"prompt_string": null})",
          R"({"prompt_string": 1})", R"({"content": "a"})",
          R"({"content": []})", R"({"content": [{"type": "image_url"}]})",
          R"({"prompt_string": "a",
              "content": [{"type": "text", "text": "a"}]})",
          R"({"prompt_string": "a", "multimodal_data": "AAAA"})",
          R"([1, {"prompt_string": "a"}])"}) {
      bad(json::parse(v));
    }
  }

  // What is in objects and arrays.
  void deeper(const field& f, const std::string& at, const place& put) {
    if (f.use != field_use::honoured || f.shape != field_shape::plain) return;
    if (!f.members.empty()) {
      rows(f.members, at + ".", [&](const field& member, json::value v) {
        json::object o = object(f.members);
        o[member.name] = std::move(v);
        return put(f, std::move(o));
      });
    }
    if (!has(f, field_kind::array) || f.items == nullptr) return;
    const double most = f.most_items > 0 ? f.most_items : f.most;
    const double least = f.most_items > 0 ? f.least_items : f.least;
    if (most < 1e4) {
      const auto n = static_cast<std::size_t>(most);
      const json::value item = value(*f.items);
      out_.push_back({put(f, json::array(n, item)), at, true});
      out_.push_back({put(f, json::array(n + 1, item)), at, false});
    }
    if (least > 0) out_.push_back({put(f, json::array()), at, false});
    const field& item = *f.items;
    const auto item_put = [&](const field&, json::value v) {
      json::array items;
      items.push_back(std::move(v));
      return put(f, std::move(items));
    };
    const std::string in = at + "[0]";
    const auto good = [&](json::value v) {
      out_.push_back({item_put(item, std::move(v)), in, true});
    };
    const auto bad = [&](json::value v) {
      out_.push_back({item_put(item, std::move(v)), in, false});
    };
    bad(nullptr);
    row(item, good, bad);
    deeper(item, in, item_put);
  }

  std::vector<made_body> out_;
};

// Of every body that `parse` and its table judge alike, the sampler takes what
// they take; and what has no effect is not told without end. A form's fields
// have rules among them that no table has (answer_format_test.cpp), and so do
// those of tools (parse_request_test.cpp).
template <class Parse>
void check_sampler_takes(const tinyphi::request_table& t, Parse parse) {
  constexpr std::size_t any_vocabulary = std::size_t{1} << 31;
  std::size_t n = 0;
  for (const made_body& m : body_maker::all(t)) {
    INFO(t.name << " " << m.path << ": "
                << tinyphi::json::serialize(m.body).substr(0, 300));
    std::vector<std::string> ignored;
    const auto r = parse(m.body);
    const auto about = [&](const char* what) {
      return m.path.find(what) != std::string::npos;
    };
    if (about("format.") || about("tool_c") || about("].role") ||
        about("].type")) {
      CHECK((!r || check_fields(m.body, t, ignored)));
      continue;
    }
    REQUIRE(bool(r) == bool(check_fields(m.body, t, ignored)));
    if (!r) continue;
    ++n;
    const auto ok = check_sampling(r->params.sampling, any_vocabulary);
    INFO((ok ? "" : ok.error().message));
    CHECK(ok);
    CHECK(r->ignored.size() <= tinyphi::max_ignored_fields);
  }
  CHECK(n > 20);
}

}  // namespace tinyphi_test

#endif  // TINYPHI_TESTS_SUPPORT_REQUEST_BODIES_H_
