// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_TESTING_SNAPSHOT_IPP_
#define TINYPHI_PIPELINE_TESTING_SNAPSHOT_IPP_

#include <algorithm>
#include <span>

#include "tinyphi/base/json.h"
#include "tinyphi/base/mapped_file.h"
#include "tinyphi/base/replacement_file.h"
#include "tinyphi/base/utf8.h"
#include "tinyphi/pipeline/testing/snapshot.h"
#include "tinyphi/pipeline/value_json.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline std::string json_text(const std::string& text) {
  return json::serialize(json::string(text));
}

}  // namespace detail

TINYPHI_FUNC std::filesystem::path snapshot_file::path_of(
    const std::filesystem::path& folder, const std::filesystem::path& file) {
  return folder / "snapshots" / (file.stem().string() + ".json");
}

TINYPHI_FUNC result<snapshot_file> snapshot_file::read(
    std::filesystem::path path) {
  snapshot_file out(std::move(path));
  std::error_code unknown;
  if (!std::filesystem::exists(out.path_, unknown)) return out;
  TINYPHI_TRY(out.written_, read_file(out.path_, max_bytes));
  const std::string name = out.path_.string();
  TINYPHI_TRY(const json::value whole,
              parse_json(out.written_, name,
                         {.max_bytes = max_bytes, .max_depth = 48}));
  const auto wrong = [&](std::string what) {
    return error{error_code::bad_data, name + ": " + std::move(what) +
                                           "; write it again with --update"};
  };
  if (!whole.is_object()) return wrong("not an object of tests");
  for (const auto& t : whole.get_object()) {
    if (!t.value().is_object())
      return wrong("a test is not an object of values");
    test& one = out.tests_.emplace_back();
    one.name = std::string(t.key());
    for (const auto& v : t.value().get_object()) {
      one.values.push_back(
          {std::string(v.key()), json::serialize(v.value()), 0});
    }
  }
  // As text() writes them, each value has a line; others have no place. What
  // stands there counts, since numbers lose their last bit when they are read.
  std::string_view rest = out.written_;
  test* at = nullptr;
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    for (test& t : out.tests_) {
      if (line.starts_with("  " + detail::json_text(t.name) + ": ")) at = &t;
    }
    if (at == nullptr) continue;
    for (entry& e : at->values) {
      const std::string key = "    " + detail::json_text(e.name) + ": ";
      if (!line.starts_with(key)) continue;
      std::string_view value = line.substr(key.size());
      if (value.ends_with(',')) value.remove_suffix(1);
      const auto read = parse_json(value, name);
      if (!read || json::serialize(*read) != e.json) continue;
      e.json = value;
      e.line = number;
    }
  }
  return out;
}

TINYPHI_FUNC const snapshot_file::entry* snapshot_file::find(
    std::string_view test_name, std::string_view name) const {
  const auto t = std::ranges::find(tests_, test_name, &test::name);
  if (t == tests_.end()) return nullptr;
  const auto e = std::ranges::find(t->values, name, &entry::name);
  return e == t->values.end() ? nullptr : &*e;
}

TINYPHI_FUNC void snapshot_file::set(std::string_view test_name,
                                     std::vector<entry> values) {
  auto t = std::ranges::find(tests_, test_name, &test::name);
  if (t == tests_.end()) {
    t = tests_.insert(t, test{std::string(test_name), std::vector<entry>()});
  }
  t->values = std::move(values);
}

TINYPHI_FUNC void snapshot_file::keep(const std::vector<std::string>& tests) {
  std::erase_if(tests_, [&](const test& t) {
    return std::ranges::find(tests, t.name) == tests.end();
  });
}

TINYPHI_FUNC std::string snapshot_file::text() const {
  std::string out = "{\n";
  for (const test& t : tests_) {
    out += "  " + detail::json_text(t.name) + ": {\n";
    for (const entry& e : t.values) {
      out += "    " + detail::json_text(e.name) + ": " + e.json;
      out += &e == &t.values.back() ? "\n" : ",\n";
    }
    out += &t == &tests_.back() ? "  }\n" : "  },\n";
  }
  return out + "}\n";
}

TINYPHI_FUNC result<void> snapshot_file::write() {
  const std::string now = tests_.empty() ? "" : text();
  if (now == written_) return {};
  std::error_code failed;
  if (now.empty()) {
    std::filesystem::remove(path_, failed);
  } else {
    std::filesystem::create_directories(path_.parent_path(), failed);
  }
  if (failed) {
    return error{error_code::io, path_.string() + ": " + failed.message()};
  }
  if (!now.empty()) {
    replacement_file file(path_);
    TINYPHI_CHECK_OK(file.create());
    TINYPHI_CHECK_OK(file.write(std::as_bytes(std::span(now))));
    TINYPHI_CHECK_OK(file.commit());
  }
  written_ = now;
  return {};
}

TINYPHI_FUNC std::string snapshot_of(const value_data& data) {
  return json::serialize(to_json(data));
}

TINYPHI_FUNC std::string difference(std::string_view before,
                                    std::string_view now) {
  constexpr std::size_t lead = 40, longest = 160;
  const auto apart = std::ranges::mismatch(before, now);
  const auto same = static_cast<std::size_t>(apart.in1 - before.begin());
  // Whole characters only.
  std::size_t from = same > lead ? same - lead : 0;
  const auto is_inside = [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
  };
  while (from > 0 && is_inside(before[from])) --from;
  const auto shown_part = [&](std::string_view text) {
    std::string_view part = text.substr(from);
    const bool is_cut = part.size() > longest;
    if (is_cut) {
      part = part.substr(0, complete_utf8_length(part.substr(0, longest)));
    }
    return (from > 0 ? "..." : "") + std::string(part) + (is_cut ? "..." : "");
  };
  return shown_part(now) + ", it was " + shown_part(before);
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_TESTING_SNAPSHOT_IPP_
