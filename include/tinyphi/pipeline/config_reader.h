// SPDX-License-Identifier: MIT
// What the readers of all TOML files share: a closed world of keys, values of
// the right type and range, and the place of whatever is wrong.
#ifndef TINYPHI_PIPELINE_CONFIG_READER_H_
#define TINYPHI_PIPELINE_CONFIG_READER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tinyphi/pipeline/config_node.h"
#include "tinyphi/pipeline/diagnostic.h"

TINYPHI_NAMESPACE_BEGIN

// "500ms", "45s", "30m", "2h"; above zero and at most a day.
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_duration(
    std::string_view text);
// "64KiB", "512MiB", "3GiB", "1TiB"; a whole number, 0 to 2^53 bytes.
[[nodiscard]] std::optional<std::uint64_t> parse_bytes(std::string_view text);
// The largest such unit that divides `bytes`: "512MiB".
[[nodiscard]] std::string bytes_text(std::uint64_t bytes);

namespace detail {

// [a-z][a-z0-9_]{0,31}
[[nodiscard]] bool is_id(std::string_view text);
// A letter or digit, then letters, digits and `marks`.
[[nodiscard]] bool is_name(std::string_view text, std::size_t longest,
                           std::string_view marks);

}  // namespace detail

// A base class of readers. `where` begins messages: "stage s", "[serve]".
class config_reader {
 public:
  config_reader(const config_reader&) = delete;
  config_reader& operator=(const config_reader&) = delete;

 protected:
  using keys = std::initializer_list<std::string_view>;
  using retired_keys = std::initializer_list<retired_key>;
  static constexpr std::size_t max_entries = 256;  // of a table or list

  // Both must outlive the reader.
  config_reader(const config_node& root, std::vector<diagnostic>& faults)
      : root_(&root), faults_(&faults) {}
  ~config_reader() = default;

  // `tinyphi = 1`: the version of the language.
  void check_version() { check_version(*root_); }
  void check_version(const config_node& file);
  // The table at `key` with its keys checked; null (reported) if it is no
  // table, null if it is not there. `later` are keys of the language that this
  // version does not have.
  const config_node* section(std::string_view key, keys known, keys later);
  // As section, for tables whose keys are names that the author chose.
  const config_table* named_section(std::string_view key,
                                    std::size_t most = max_entries);
  bool check_table(const config_member& m, const std::string& where);
  bool check_table(const config_member& m, const std::string& where, keys known,
                   keys later, retired_keys retired = {});
  void check_keys(const config_node& table, const std::string& where,
                  keys known, keys later, retired_keys retired = {});
  // The same of names that are no constants.
  void check_names(const config_node& table, const std::string& where,
                   std::span<const std::string_view> known,
                   std::span<const std::string_view> later,
                   retired_keys retired);
  // The value of an optional key; null if it is missing or (reported) of
  // another type.
  template <class T>
  const T* optional_key(const config_node& table, std::string_view key,
                        const std::string& where, std::string_view wanted);
  // The following give nothing if the key is missing or (reported) its value is
  // not allowed. Both ends of a range are allowed.
  std::optional<std::chrono::milliseconds> read_duration(
      const config_node& table, std::string_view key, const std::string& where);
  std::optional<std::chrono::milliseconds> read_duration(
      const config_node& table, std::string_view key, const std::string& where,
      std::chrono::milliseconds low, std::chrono::milliseconds high);
  std::optional<std::uint64_t> read_bytes(const config_node& table,
                                          std::string_view key,
                                          const std::string& where,
                                          std::uint64_t low,
                                          std::uint64_t high);
  std::optional<std::int64_t> read_integer(const config_node& table,
                                           std::string_view key,
                                           const std::string& where,
                                           std::int64_t low, std::int64_t high);
  std::optional<double> read_number(const config_node& table,
                                    std::string_view key,
                                    const std::string& where, double low,
                                    double high);
  // Which of `names` it is.
  std::optional<std::size_t> read_choice(
      const config_node& table, std::string_view key, const std::string& where,
      std::span<const std::string_view> names);
  // The nodes of a list of texts, none of them empty.
  std::optional<std::vector<const config_node*>> read_texts(
      const config_node& table, std::string_view key, const std::string& where);

  bool check_id(const config_member& m, const std::string& what);
  // False (reported) for more than `most`.
  bool check_size(std::size_t n, position at, const std::string& where,
                  std::size_t most = max_entries);
  // did_you_mean, until much is wrong: each costs a walk over all names.
  [[nodiscard]] std::string suggestion(
      std::string_view found, std::span<const std::string_view> known) const;
  void report(fault code, position at, std::string message) {
    faults_->push_back({code, at, std::move(message)});
  }

  const config_node* root_;
  std::vector<diagnostic>* faults_;
  // A misspelt table has a part of what another table should have, so what is
  // not there may be meant all the same.
  bool incomplete_ = false;
};

template <class T>
const T* config_reader::optional_key(const config_node& table,
                                     std::string_view key,
                                     const std::string& where,
                                     std::string_view wanted) {
  const config_member* m = table.find(key);
  if (m == nullptr || m->value.is_fault) return nullptr;
  const T* value = m->value.template get<T>();
  if (value == nullptr) {
    report(fault::wrong_type, m->value.at,
           where + ": " + std::string(key) + " is " +
               std::string(m->value.kind()) + ", it must be " +
               std::string(wanted));
  }
  return value;
}

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/config_reader.ipp"
#endif

#endif  // TINYPHI_PIPELINE_CONFIG_READER_H_
