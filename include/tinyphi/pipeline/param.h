// SPDX-License-Identifier: MIT
// Parameters of a stage: a table of names and members of its config struct,
// filled from the `with` keys of a pipeline file and checked.
#ifndef TINYPHI_PIPELINE_PARAM_H_
#define TINYPHI_PIPELINE_PARAM_H_

#include <algorithm>
#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include "tinyphi/pipeline/config_node.h"
#include "tinyphi/pipeline/host.h"
#include "tinyphi/pipeline/keys.h"
#include "tinyphi/pipeline/param_types.h"

TINYPHI_NAMESPACE_BEGIN

// What may have a range.
template <class T>
inline constexpr bool is_number =
    std::same_as<T, std::int64_t> || std::same_as<T, double> ||
    std::same_as<T, byte_size> || std::same_as<T, std::chrono::milliseconds>;

// One row of params(). Build it with param(); each call returns a copy:
//   param("top_k", &config::top_k).range(1, 64).doc("passages to return")
template <class Config, param_type T>
struct param_row {
  using bound = std::conditional_t<is_number<T>, T, char>;

  std::string_view name;
  T Config::*member;
  std::string_view help;
  bool is_required = false;
  bool is_ranged = false;
  bound low{};
  bound high{};
  std::array<std::string_view, std::is_enum_v<T> ? 8 : 0> words{};
  std::size_t n_words = 0;

  // The key must be given.
  [[nodiscard]] constexpr param_row required() const {
    auto row = *this;
    row.is_required = true;
    return row;
  }
  // Both ends are allowed.
  [[nodiscard]] constexpr param_row range(
      bound lo, bound hi) const requires is_number<T> {
    auto row = *this;
    row.is_ranged = true, row.low = lo, row.high = hi;
    return row;
  }
  // What the values of an enum are called in a file.
  template <class... Words>
  [[nodiscard]] constexpr param_row names(
      Words... all) const requires std::is_enum_v<T> {
    auto row = *this;
    row.words = {all...}, row.n_words = sizeof...(Words);
    return row;
  }
  [[nodiscard]] constexpr std::span<const std::string_view> choices() const {
    return {words.data(), n_words};
  }
  [[nodiscard]] constexpr param_row doc(std::string_view text) const {
    auto row = *this;
    row.help = text;
    return row;
  }
};

// A path stays relative in the file and is absolute in the config: it starts
// at the folder of the pipeline file.
template <class Config, param_type T>
[[nodiscard]] constexpr param_row<Config, T> param(std::string_view name,
                                                   T Config::*member) {
  return {.name = name, .member = member, .help = {}};
}

// A parameter in words, for `list` and `inspect`.
struct param_info {
  std::string name;
  std::string type;
  std::string default_value;  // as TOML; empty if required or unset
  std::string allowed;        // "1 to 64", or empty
  std::string help;
  bool required = false;
  // The same for JSON Schema.
  value_shape shape = value_shape::text;
  double low = -language_key::unbounded;
  double high = language_key::unbounded;
  std::vector<param_info> rows = {};  // the keys of a table; see language_key
};

namespace detail {

// A number without trailing zeros, readable as TOML.
[[nodiscard]] std::string toml_number(double x);
[[nodiscard]] inline std::string toml_number(std::int64_t x) {
  return std::to_string(x);
}
// "64KiB" and "500ms" with the quotes; 7 bytes are 7.
[[nodiscard]] std::string toml_number(byte_size size);
[[nodiscard]] std::string toml_number(std::chrono::milliseconds time);
[[nodiscard]] std::string quoted(std::string_view text);
// "a, b, c"
[[nodiscard]] std::string joined(std::span<const std::string_view> words);

// Reads a node as a T; false if it is of another kind. An integer counts as a
// float.
[[nodiscard]] bool read_scalar(const config_node& node, bool& out);
[[nodiscard]] bool read_scalar(const config_node& node, std::int64_t& out);
[[nodiscard]] bool read_scalar(const config_node& node, double& out);
[[nodiscard]] bool read_scalar(const config_node& node, std::string& out);

}  // namespace detail

// A secret in the node; null if there is none.
[[nodiscard]] const config_node* find_secret(const config_node& node);

// Where byte `offset` of the text of parameter `param` ("user", "fit.docs",
// "rules[0].expr") stands in the file; `otherwise` if the table, which may be
// null, does not have it.
[[nodiscard]] position param_place(const config_node* with,
                                   std::string_view param, std::size_t offset,
                                   position otherwise);

// Fills the config of one stage and collects what is wrong with it.
class param_reader {
 public:
  // `with` may be null (no parameters given). `where` begins messages, e.g.
  // "stage bm25"; `fallback_at` is for keys that are missing.
  param_reader(const config_node* with, std::string where, position fallback_at,
               const host& h, std::vector<diagnostic>& faults)
      : with_(with),
        where_(std::move(where)),
        at_(fallback_at),
        host_(&h),
        faults_(&faults) {}

  template <class Config, class T>
  void read(Config& config, const param_row<Config, T>& row);
  // Reports every key of `with` that was not read.
  void finish(std::span<const retired_key> retired = {});
  [[nodiscard]] position place(std::string_view param,
                               std::size_t offset) const {
    return param_place(with_, param, offset, at_);
  }
  // The [model.x] tables that the parameters read so far name.
  [[nodiscard]] const std::vector<std::string>& models() const {
    return models_;
  }
  // The [rules.x] tables, likewise.
  [[nodiscard]] const std::vector<std::string>& rules() const { return rules_; }
  // The [tool.x] tables, likewise.
  [[nodiscard]] const std::vector<std::string>& tools() const { return tools_; }
  // The entries of [secret], likewise.
  [[nodiscard]] const std::vector<std::string>& secrets() const {
    return secrets_;
  }
  // The types, likewise; of lists, that of the items.
  [[nodiscard]] const std::vector<std::string>& types() const { return types_; }
  void report(fault code, position at, std::string message);

 private:
  [[nodiscard]] bool read_value(const config_node& n, std::string_view name,
                                std::filesystem::path& out);
  [[nodiscard]] bool read_value(const config_node& n, std::string_view name,
                                byte_size& out);
  [[nodiscard]] bool read_value(const config_node& n, std::string_view name,
                                std::chrono::milliseconds& out);
  [[nodiscard]] bool read_value(const config_node& n, std::string_view name,
                                model_ref& out);
  [[nodiscard]] bool read_value(const config_node& n, std::string_view name,
                                std::optional<model_ref>& out) {
    return read_value(n, name, out.emplace());
  }
  [[nodiscard]] bool read_value(const config_node& n, std::string_view name,
                                std::vector<rules_ref>& out);
  [[nodiscard]] bool read_value(const config_node& n, std::string_view name,
                                std::vector<tool_ref>& out);
  // Names of tables, each once: those of `known` that the host has.
  template <class T, class Known>
  [[nodiscard]] bool read_names(const config_node& n, std::string_view name,
                                std::string_view table, const Known& known,
                                std::vector<T>& out,
                                std::vector<std::string>& named_so_far);
  [[nodiscard]] bool read_value(const config_node& n, std::string_view name,
                                template_ref& out);
  [[nodiscard]] bool read_value(const config_node& n, std::string_view name,
                                server_ref& out);
  [[nodiscard]] bool read_value(const config_node& n, std::string_view name,
                                secret_text& out);
  [[nodiscard]] bool read_value(const config_node& n, std::string_view name,
                                std::map<std::string, secret_text>& out);
  [[nodiscard]] bool read_value(const config_node& n, std::string_view name,
                                std::vector<std::string>& out);
  [[nodiscard]] bool read_value(const config_node& n, std::string_view name,
                                type_ref& out);
  [[nodiscard]] bool read_value(const config_node& n, std::string_view name,
                                std::optional<type_ref>& out) {
    return read_value(n, name, out.emplace());
  }
  template <param_table T>
  [[nodiscard]] bool read_value(const config_node& n, std::string_view name,
                                T& out);
  template <param_table T>
  [[nodiscard]] bool read_value(const config_node& n, std::string_view name,
                                std::vector<T>& out);
  // Reads a table into `row`; `place` is its name in messages.
  template <class T>
  void read_row(const config_node& n, const std::string& place, T& row);
  [[nodiscard]] bool read_value(const config_node& n, std::string_view name,
                                std::map<std::string, declared_port>& out);
  [[nodiscard]] bool read_declared(const config_node& n,
                                   const std::string& where,
                                   declared_port& out);
  [[nodiscard]] bool read_value(const config_node& n, std::string_view name,
                                std::map<std::string, token_cap>& out);
  void read_cap(const config_node& n, const std::string& where, token_cap& out);
  template <class T>
  [[nodiscard]] bool read_value(const config_node& n, std::string_view name,
                                std::map<std::string, T>& out);
  template <class T>
  [[nodiscard]] bool read_value(const config_node& n, std::string_view,
                                T& out) {
    return detail::read_scalar(n, out);
  }
  void use_default_model(std::string_view name, model_ref& out);
  // Which of `words` the text is; the first if that is reported to be none.
  [[nodiscard]] std::size_t read_choice(
      const config_node& n, const std::string& text, std::string_view name,
      std::span<const std::string_view> words);

  // A parameter in messages: "with.user", "with.rules[0].expr".
  [[nodiscard]] std::string named(std::string_view name) const {
    return path_ + std::string(name);
  }

  const config_node* with_;
  std::string where_;
  std::string path_ = "with.";
  position at_;
  const host* host_;
  std::vector<diagnostic>* faults_;
  std::vector<std::string_view> known_;
  std::vector<std::string_view> missing_;  // of the required ones
  std::vector<std::string> models_;
  std::vector<std::string> rules_;
  std::vector<std::string> tools_;
  std::vector<std::string> secrets_;
  std::vector<std::string> types_;
};

template <class T>
bool param_reader::read_value(const config_node& n, std::string_view,
                              std::map<std::string, T>& out) {
  const auto* table = n.get<config_table>();
  if (table == nullptr) return false;
  out.clear();
  for (const config_member& m : *table) {
    if (!detail::read_scalar(m.value, out[m.key])) return false;
  }
  return true;
}

template <param_table T>
bool param_reader::read_value(const config_node& n, std::string_view name,
                              std::vector<T>& out) {
  constexpr std::size_t most = 256;
  const auto* list = n.get<config_array>();
  if (list == nullptr) return false;
  out.clear();
  if (list->size() > most) {
    report(fault::out_of_range, n.at,
           named(name) + " has " + std::to_string(list->size()) +
               " entries, allowed are " + std::to_string(most));
    return true;
  }
  for (const config_node& item : *list) {
    const std::string place =
        named(name) + "[" + std::to_string(out.size()) + "]";
    T& row = out.emplace_back();
    if (item.get<config_table>() == nullptr) {
      report(
          fault::wrong_type, item.at,
          place + " is " + std::string(item.kind()) + ", it must be a table");
      continue;
    }
    read_row(item, place, row);
  }
  return true;
}

template <param_table T>
bool param_reader::read_value(const config_node& n, std::string_view name,
                              T& out) {
  if (n.get<config_table>() == nullptr) return false;
  read_row(n, named(name), out);
  return true;
}

template <class T>
void param_reader::read_row(const config_node& n, const std::string& place,
                            T& row) {
  param_reader reader(&n, where_, n.at, *host_, *faults_);
  reader.path_ = place + ".";
  std::apply([&](const auto&... one) { (reader.read(row, one), ...); },
             T::params());
  reader.finish();
  models_.insert(models_.end(), reader.models_.begin(), reader.models_.end());
  rules_.insert(rules_.end(), reader.rules_.begin(), reader.rules_.end());
  types_.insert(types_.end(), reader.types_.begin(), reader.types_.end());
}

template <class Config, class T>
void param_reader::read(Config& config, const param_row<Config, T>& row) {
  known_.push_back(row.name);
  T& out = config.*row.member;
  const config_member* given = with_ ? with_->find(row.name) : nullptr;
  if (given == nullptr) {
    if (row.is_required) {
      missing_.push_back(row.name);
    } else if constexpr (std::same_as<T, model_ref>) {
      use_default_model(row.name, out);
    } else if constexpr (std::same_as<T, std::optional<model_ref>>) {
      if (host_->models().size() == 1) {
        use_default_model(row.name, out.emplace());
      }
    }
    return;
  }
  const config_node& node = given->value;
  if constexpr (!is_secret<T>) {
    if (const config_node* secret = find_secret(node)) {
      return report(fault::bad_secret, secret->at,
                    "with." + std::string(row.name) + " takes none; " +
                        std::string(secret_stands_alone));
    }
  }
  bool is_read = false;
  if constexpr (std::is_enum_v<T>) {
    const auto* text = node.get<std::string>();
    is_read = text != nullptr;
    if (is_read) {
      out = static_cast<T>(read_choice(node, *text, row.name, row.choices()));
    }
  } else {
    is_read = read_value(node, row.name, out);
  }
  if (!is_read) {
    return report(fault::wrong_type, node.at,
                  named(row.name) + " is " + std::string(node.kind()) +
                      ", the plugin wants " +
                      std::string(detail::param_type_name<T>()));
  }
  if constexpr (is_number<T>) {
    if (row.is_ranged && !(out >= row.low && out <= row.high)) {
      report(fault::out_of_range, node.at,
             named(row.name) + " is " + detail::toml_number(out) +
                 ", allowed are " + detail::toml_number(row.low) + " to " +
                 detail::toml_number(row.high));
    }
  }
}

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/param.ipp"
#endif

#endif  // TINYPHI_PIPELINE_PARAM_H_
