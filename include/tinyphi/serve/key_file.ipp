// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_KEY_FILE_IPP_
#define TINYPHI_SERVE_KEY_FILE_IPP_

#include <unistd.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "tinyphi/base/ascii.h"
#include "tinyphi/base/mapped_file.h"
#include "tinyphi/pipeline/config_reader.h"
#include "tinyphi/pipeline/toml_file.h"
#include "tinyphi/serve/key_file.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline std::optional<blake2b_digest> parse_digest(std::string_view text) {
  blake2b_digest digest;
  if (text.size() != 2 * digest.size()) return std::nullopt;
  for (std::size_t i = 0; i < digest.size(); ++i) {
    const int high = ascii::hex_digit(text[2 * i]);
    const int low = ascii::hex_digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    digest[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return digest;
}

inline constexpr std::string_view key_class_names[] = {"interactive", "normal",
                                                       "batch"};

class key_reader : private config_reader {
 public:
  key_reader(const config_node& root, std::vector<diagnostic>& faults)
      : config_reader(root, faults) {}

  std::vector<key_entry> read() {
    check_keys(*root_, "", {"tinyphi", "key"}, {});
    if (root_->find("tinyphi") != nullptr) check_version();
    const config_table* table = named_section("key", key_file_limits::max_keys);
    if (table != nullptr) {
      for (const config_member& entry : *table) read_key(entry);
    }
    // No keys would mean that none is needed.
    if (root_->find("key") == nullptr || (table && table->empty())) {
      report(fault::nothing_served, {},
             "the file has no [key.NAME], so nobody could ask");
    }
    refuse_same_digests();
    join_domains();
    return std::move(keys_);
  }

 private:
  void read_key(const config_member& entry) {
    // A key that is wrong is kept, so that references to it stand.
    key_entry& key = keys_.emplace_back();
    key.who.name = entry.key;
    key.who.tenant = stable_number("tenant of key", {entry.key});
    members_.push_back(&entry);
    group_.push_back(group_.size());
    const std::string where = "key " + quote(entry.key);
    if (!is_name(entry.key, key_file_limits::max_name_bytes, "._@-")) {
      return report(fault::bad_name, entry.at,
                    where +
                        ": a name is a letter or digit and up to 63 "
                        "letters, digits and '.', '_', '@', '-'");
    }
    if (!check_table(entry, where,
                     {"blake2b", "weight", "class", "concurrency", "queue",
                      "requests_per_minute", "tokens_per_minute", "models",
                      "share_cache_with", "admin"},
                     {})) {
      return;
    }
    read_digest(entry, where, key);
    read_rights(entry.value, where, key.who);
    read_limits(entry.value, where, key.who.limits);
  }

  void read_digest(const config_member& entry, const std::string& where,
                   key_entry& key) {
    key.digest.fill(0);
    const auto* text =
        optional_key<std::string>(entry.value, "blake2b", where, "a string");
    if (text == nullptr) {
      if (entry.value.find("blake2b") != nullptr) return;  // reported
      return report(fault::missing_key, entry.at,
                    where +
                        ": blake2b is missing; printf %s \"$SECRET\" | "
                        "b2sum -l 256 prints it");
    }
    // What was found is not repeated: it may be the secret itself.
    if (const auto digest = parse_digest(*text)) {
      key.digest = *digest;
    } else {
      report(fault::bad_digest, entry.value.find("blake2b")->value.at,
             where +
                 ": blake2b must be 64 hexadecimal digits, the digest of "
                 "the secret, as printf %s \"$SECRET\" | b2sum -l 256 "
                 "prints it");
    }
  }

  void read_rights(const config_node& table, const std::string& where,
                   caller& who) {
    who.weight = read_number(table, "weight", where, 0.01, 100).value_or(1);
    if (const auto c = read_choice(table, "class", where, key_class_names)) {
      who.best_class = static_cast<priority_class>(*c);
    }
    if (const auto* admin =
            optional_key<bool>(table, "admin", where, "true or false")) {
      who.admin = *admin;
    }
    if (const auto models = read_texts(table, "models", where)) {
      for (const config_node* m : *models) {
        who.models.push_back(*m->get<std::string>());
      }
      // Empty means all, which is the opposite of what it looks like.
      if (models->empty()) {
        report(fault::out_of_range, table.find("models")->value.at,
               where + ": models is empty; leave it out to allow all");
      }
    }
  }

  void read_limits(const config_node& table, const std::string& where,
                   caller_limits& limits) {
    constexpr std::int64_t most_places = 4096, most_rate = 1'000'000'000;
    const auto take = [&](std::string_view name, std::int64_t low,
                          std::int64_t high, auto& out) {
      if (const auto n = read_integer(table, name, where, low, high)) {
        out = static_cast<std::remove_reference_t<decltype(out)>>(*n);
      }
    };
    take("concurrency", 1, most_places, limits.concurrency);
    take("queue", 0, most_places, limits.queue);
    take("requests_per_minute", 1, most_rate, limits.requests_per_minute);
    take("tokens_per_minute", 1, most_rate, limits.tokens_per_minute);
    if (const config_member* queue = table.find("queue");
        queue != nullptr && table.find("concurrency") == nullptr) {
      report(fault::missing_key, queue->at,
             where + ": queue has no effect without concurrency");
    }
  }

  void refuse_same_digests() {
    std::map<blake2b_digest, std::size_t> seen;
    for (std::size_t i = 0; i < keys_.size(); ++i) {
      if (keys_[i].digest == blake2b_digest{}) continue;  // was reported
      const auto [other, fresh] = seen.emplace(keys_[i].digest, i);
      if (fresh) continue;
      report(fault::same_digest, members_[i]->at,
             "key " + quote(keys_[i].who.name) + " has the secret of key " +
                 quote(keys_[other->second].who.name));
    }
  }

  std::size_t group_of(std::size_t i) {
    while (group_[i] != i) i = group_[i] = group_[group_[i]];
    return i;
  }

  void join_domains() {
    std::map<std::string_view, std::size_t> places;
    std::vector<std::string_view> names;
    for (std::size_t i = 0; i < keys_.size(); ++i) {
      places.emplace(keys_[i].who.name, i);
      names.push_back(keys_[i].who.name);
    }
    for (std::size_t i = 0; i < keys_.size(); ++i) {
      const std::string where = "key " + quote(keys_[i].who.name);
      if (members_[i]->value.get<config_table>() == nullptr) continue;
      const auto list =
          read_texts(members_[i]->value, "share_cache_with", where);
      if (!list) continue;
      for (const config_node* node : *list) {
        const std::string& name = *node->get<std::string>();
        const auto found = places.find(name);
        if (found != places.end()) {
          group_[group_of(i)] = group_of(found->second);
        } else {
          report(fault::unknown_name, node->at,
                 where + ": share_cache_with: there is no key " + quote(name) +
                     suggestion(name, names));
        }
      }
    }
    // Names have no comma, and the file's are sorted.
    std::vector<std::string> all(keys_.size());
    for (std::size_t i = 0; i < keys_.size(); ++i) {
      all[group_of(i)] += keys_[i].who.name + ",";
    }
    for (std::size_t i = 0; i < keys_.size(); ++i) {
      keys_[i].who.domain = stable_number("domain of keys", {all[group_of(i)]});
    }
  }

  std::vector<key_entry> keys_;
  std::vector<const config_member*> members_;  // where each key stood
  std::vector<std::size_t> group_;  // union-find over who shares with whom
};

}  // namespace detail

TINYPHI_FUNC std::optional<std::vector<key_entry>> read_keys(
    std::string_view text, std::vector<diagnostic>& faults) {
  const std::size_t before = faults.size();
  const auto root = parse_toml(text, "a key file", faults);
  if (!root) return std::nullopt;
  std::vector<key_entry> keys = detail::key_reader(*root, faults).read();
  if (faults.size() != before) return std::nullopt;
  return keys;
}

TINYPHI_FUNC result<std::string> read_key_text(
    const std::filesystem::path& path) {
  file_stamp stamp;
  TINYPHI_TRY(std::string text,
              read_file(path, key_file_limits::max_bytes, &stamp));
  if (stamp.owner != 0 && stamp.owner != ::geteuid()) {
    return error{error_code::invalid_argument,
                 path.string() +
                     ": a key file must belong to root or to user " +
                     std::to_string(::geteuid()) + ", this one is of user " +
                     std::to_string(stamp.owner) + "; chown it"};
  }
  constexpr std::uint32_t too_open = 0027;  // others at all, the group to write
  if ((stamp.mode & too_open) != 0) {
    std::string mode;
    for (const unsigned shift : {9U, 6U, 3U, 0U}) {
      mode += static_cast<char>('0' + ((stamp.mode >> shift) & 7U));
    }
    return error{error_code::invalid_argument,
                 path.string() +
                     ": a key file must not be open to others or "
                     "writable by its group, its mode is " +
                     mode + "; chmod 0600 it, or 0640"};
  }
  return text;
}

TINYPHI_FUNC result<std::vector<key_entry>> load_keys(
    const std::filesystem::path& path) {
  TINYPHI_TRY(const std::string text, read_key_text(path));
  std::vector<diagnostic> faults;
  auto keys = read_keys(text, faults);
  if (keys) return *std::move(keys);
  return error{error_code::bad_data, to_string(faults, path.string())};
}

TINYPHI_FUNC result<std::filesystem::path> resolve_key_file(
    const std::string& keys, const std::string& credentials_directory) {
  constexpr std::string_view prefix = "credential:";
  if (!keys.starts_with(prefix)) return std::filesystem::path(keys);
  const std::string name = keys.substr(prefix.size());
  if (credentials_directory.empty()) {
    return error{error_code::not_found,
                 keys +
                     ": this process was given no credentials; systemd does "
                     "with LoadCredential=" +
                     name + ":/path in the unit, else name a file"};
  }
  return std::filesystem::path(credentials_directory) / name;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_KEY_FILE_IPP_
