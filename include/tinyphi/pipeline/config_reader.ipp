// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_CONFIG_READER_IPP_
#define TINYPHI_PIPELINE_CONFIG_READER_IPP_

#include <algorithm>
#include <charconv>

#include "tinyphi/base/plain_text.h"
#include "tinyphi/pipeline/config_reader.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

TINYPHI_FUNC bool is_id(std::string_view text) {
  constexpr std::size_t longest = 32;
  const auto lower = [](char c) { return c >= 'a' && c <= 'z'; };
  if (text.empty() || text.size() > longest || !lower(text[0])) return false;
  return std::ranges::all_of(text, [&](char c) {
    return lower(c) || (c >= '0' && c <= '9') || c == '_';
  });
}

TINYPHI_FUNC bool is_name(std::string_view text, std::size_t longest,
                          std::string_view marks) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9');
  };
  if (text.empty() || text.size() > longest || !plain(text[0])) return false;
  return std::ranges::all_of(text, [&](char c) {
    return plain(c) || marks.find(c) != std::string_view::npos;
  });
}

inline constexpr std::string_view byte_units[] = {"KiB", "MiB", "GiB", "TiB"};

}  // namespace detail

TINYPHI_FUNC std::optional<std::chrono::milliseconds> parse_duration(
    std::string_view text) {
  std::int64_t n = 0;
  const auto [rest, ec] =
      std::from_chars(text.data(), text.data() + text.size(), n);
  constexpr std::int64_t day = 24 * 3600 * 1000;
  if (ec != std::errc() || n <= 0 || n > day) return std::nullopt;
  const std::string_view name =
      text.substr(static_cast<std::size_t>(rest - text.data()));
  const std::int64_t scale = name == "ms"  ? 1
                             : name == "s" ? 1000
                             : name == "m" ? 60'000
                             : name == "h" ? 3'600'000
                                           : 0;
  if (scale == 0 || n * scale > day) return std::nullopt;
  return std::chrono::milliseconds(n * scale);
}

TINYPHI_FUNC std::optional<std::uint64_t> parse_bytes(std::string_view text) {
  std::uint64_t n = 0;
  const auto [rest, ec] =
      std::from_chars(text.data(), text.data() + text.size(), n);
  if (ec != std::errc()) return std::nullopt;
  const std::string_view name =
      text.substr(static_cast<std::size_t>(rest - text.data()));
  const auto found = std::ranges::find(detail::byte_units, name);
  if (found == std::end(detail::byte_units)) return std::nullopt;
  const auto shift = 10 * (found - detail::byte_units + 1);
  constexpr std::uint64_t most = std::uint64_t{1} << 53;
  if (n > most >> shift) return std::nullopt;
  return n << shift;
}

TINYPHI_FUNC std::string bytes_text(std::uint64_t bytes) {
  std::size_t place = 0;
  std::uint64_t n = bytes >> 10;
  while (n != 0 && n % 1024 == 0 && place + 1 < std::size(detail::byte_units)) {
    n /= 1024;
    ++place;
  }
  return std::to_string(n) + std::string(detail::byte_units[place]);
}

TINYPHI_FUNC void config_reader::check_version(const config_node& file) {
  const config_member* version = file.find("tinyphi");
  const auto* number = version ? version->value.get<std::int64_t>() : nullptr;
  if (version == nullptr) {
    report(fault::bad_version, {1, 1, file.at.library},
           "the file must say 'tinyphi = 1', the version of its language");
  } else if (number == nullptr || *number != 1) {
    report(fault::bad_version, version->value.at,
           "this program reads version 1 of the language: 'tinyphi = 1'");
  }
}

TINYPHI_FUNC void config_reader::check_keys(const config_node& table,
                                            const std::string& where,
                                            keys known, keys later,
                                            retired_keys retired) {
  check_names(table, where, {known.begin(), known.size()},
              {later.begin(), later.size()}, retired);
}

TINYPHI_FUNC void config_reader::check_names(
    const config_node& table, const std::string& where,
    std::span<const std::string_view> known,
    std::span<const std::string_view> later, retired_keys retired) {
  const std::string prefix = where.empty() ? "" : where + ": ";
  for (const config_member& m : *table.get<config_table>()) {
    if (std::ranges::find(known, m.key) != known.end()) continue;
    if (!m.meant.empty()) continue;  // reported
    if (std::ranges::find(later, m.key) != later.end()) {
      report(fault::not_supported, m.at,
             prefix + quote(m.key) + " is not supported yet");
      continue;
    }
    const std::string hint =
        key_hint(m.key, known, {retired.begin(), retired.size()});
    report(fault::unknown_key, m.at,
           prefix + "unknown key " + quote(m.key) + hint);
    const std::string_view meant = nearest_name(m.key, known);
    if (meant.empty()) continue;
    if (table.find(meant) == nullptr) {
      m.meant = meant;
    } else {
      incomplete_ = true;
    }
  }
}

TINYPHI_FUNC bool config_reader::check_table(const config_member& m,
                                             const std::string& where) {
  if (m.value.get<config_table>() != nullptr) return true;
  report(fault::wrong_type, m.value.at,
         where + " is " + std::string(m.value.kind()) + ", not a table");
  return false;
}

TINYPHI_FUNC bool config_reader::check_table(const config_member& m,
                                             const std::string& where,
                                             keys known, keys later,
                                             retired_keys retired) {
  if (!check_table(m, where)) return false;
  check_keys(m.value, where, known, later, retired);
  return true;
}

TINYPHI_FUNC const config_node* config_reader::section(std::string_view key,
                                                       keys known, keys later) {
  const config_member* m = root_->find(key);
  const std::string where = "[" + std::string(key) + "]";
  return m && check_table(*m, where, known, later) ? &m->value : nullptr;
}

TINYPHI_FUNC const config_table* config_reader::named_section(
    std::string_view key, std::size_t most) {
  const config_member* m = root_->find(key);
  if (m == nullptr) return nullptr;
  const auto* table = m->value.get<config_table>();
  if (table == nullptr) {
    report(fault::wrong_type, m->value.at,
           "[" + std::string(key) + "] is " + std::string(m->value.kind()) +
               ", not a table");
    return nullptr;
  }
  const std::string where = "[" + std::string(key) + "]";
  return check_size(table->size(), m->at, where, most) ? table : nullptr;
}

TINYPHI_FUNC std::optional<std::chrono::milliseconds>
config_reader::read_duration(const config_node& table, std::string_view key,
                             const std::string& where) {
  const config_member* m = table.find(key);
  if (m == nullptr) return std::nullopt;
  const auto* text = m->value.get<std::string>();
  const auto value = text ? parse_duration(*text) : std::nullopt;
  if (!value) {
    report(fault::wrong_type, m->value.at,
           where + ": " + std::string(key) +
               " must be a time above zero and up to a day such as \"500ms\", "
               "\"45s\" or \"2m\"");
  }
  return value;
}

TINYPHI_FUNC bool config_reader::check_id(const config_member& m,
                                          const std::string& what) {
  if (detail::is_id(m.key)) return true;
  report(fault::bad_name, m.at,
         what + " " + quote(m.key) +
             ": a name is a lower-case letter and up to 31 lower-case letters, "
             "digits and '_'");
  return false;
}

TINYPHI_FUNC bool config_reader::check_size(std::size_t n, position at,
                                            const std::string& where,
                                            std::size_t most) {
  if (n <= most) return true;
  report(fault::out_of_range, at,
         where + " has " + std::to_string(n) + " entries, allowed are " +
             std::to_string(most));
  return false;
}

TINYPHI_FUNC std::string config_reader::suggestion(
    std::string_view found, std::span<const std::string_view> known) const {
  constexpr std::size_t many = 64;
  return faults_->size() < many ? did_you_mean(found, known) : std::string();
}

TINYPHI_FUNC std::optional<std::chrono::milliseconds>
config_reader::read_duration(const config_node& table, std::string_view key,
                             const std::string& where,
                             std::chrono::milliseconds low,
                             std::chrono::milliseconds high) {
  const auto value = read_duration(table, key, where);
  if (!value || (*value >= low && *value <= high)) return value;
  report(fault::out_of_range, table.find(key)->value.at,
         where + ": " + std::string(key) + " is " +
             std::to_string(value->count()) + "ms, allowed are " +
             std::to_string(low.count()) + "ms to " +
             std::to_string(high.count()) + "ms");
  return std::nullopt;
}

TINYPHI_FUNC std::optional<std::uint64_t> config_reader::read_bytes(
    const config_node& table, std::string_view key, const std::string& where,
    std::uint64_t low, std::uint64_t high) {
  const config_member* m = table.find(key);
  if (m == nullptr) return std::nullopt;
  const auto* text = m->value.get<std::string>();
  const auto value = text ? parse_bytes(*text) : std::nullopt;
  if (!value) {
    report(fault::wrong_type, m->value.at,
           where + ": " + std::string(key) +
               " must be a size such as \"64KiB\", \"512MiB\" or \"3GiB\"");
    return std::nullopt;
  }
  if (*value >= low && *value <= high) return value;
  report(fault::out_of_range, m->value.at,
         where + ": " + std::string(key) + " is " + *text + ", allowed are " +
             bytes_text(low) + " to " + bytes_text(high));
  return std::nullopt;
}

TINYPHI_FUNC std::optional<std::int64_t> config_reader::read_integer(
    const config_node& table, std::string_view key, const std::string& where,
    std::int64_t low, std::int64_t high) {
  const auto* value =
      optional_key<std::int64_t>(table, key, where, "an integer");
  if (value == nullptr) return std::nullopt;
  if (*value >= low && *value <= high) return *value;
  report(fault::out_of_range, table.find(key)->value.at,
         where + ": " + std::string(key) + " is " + std::to_string(*value) +
             ", allowed are " + std::to_string(low) + " to " +
             std::to_string(high));
  return std::nullopt;
}

TINYPHI_FUNC std::optional<double> config_reader::read_number(
    const config_node& table, std::string_view key, const std::string& where,
    double low, double high) {
  const config_member* m = table.find(key);
  if (m == nullptr) return std::nullopt;
  double value = 0;
  if (const auto* i = m->value.get<std::int64_t>()) {
    value = static_cast<double>(*i);
  } else if (const auto* d =
                 optional_key<double>(table, key, where, "a number")) {
    value = *d;
  } else {
    return std::nullopt;
  }
  if (value >= low && value <= high) return value;  // so not NaN
  report(fault::out_of_range, m->value.at,
         where + ": " + std::string(key) + " is " + plain_number(value) +
             ", allowed are " + plain_number(low) + " to " +
             plain_number(high));
  return std::nullopt;
}

TINYPHI_FUNC std::optional<std::size_t> config_reader::read_choice(
    const config_node& table, std::string_view key, const std::string& where,
    std::span<const std::string_view> names) {
  const auto* text = optional_key<std::string>(table, key, where, "a string");
  if (text == nullptr) return std::nullopt;
  const auto found = std::ranges::find(names, *text);
  if (found != names.end()) {
    return static_cast<std::size_t>(found - names.begin());
  }
  std::string all;
  for (const std::string_view name : names) {
    all += (all.empty() ? "" : ", ") + std::string(name);
  }
  report(fault::out_of_range, table.find(key)->value.at,
         where + ": " + std::string(key) + " is " + quote(*text) +
             ", allowed are " + all + suggestion(*text, names));
  return std::nullopt;
}

TINYPHI_FUNC std::optional<std::vector<const config_node*>>
config_reader::read_texts(const config_node& table, std::string_view key,
                          const std::string& where) {
  const auto* list =
      optional_key<config_array>(table, key, where, "a list of strings");
  if (list == nullptr || !check_size(list->size(), table.find(key)->value.at,
                                     where + ": " + std::string(key))) {
    return std::nullopt;
  }
  std::vector<const config_node*> texts;
  for (const config_node& item : *list) {
    const auto* text = item.get<std::string>();
    if (text != nullptr && !text->empty()) {
      texts.push_back(&item);
    } else {
      report(fault::wrong_type, item.at,
             where + ": " + std::string(key) + " has " +
                 (text ? "an empty string" : std::string(item.kind())) +
                 " in it, each must be a string");
    }
  }
  return texts;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_CONFIG_READER_IPP_
