// SPDX-License-Identifier: MIT
// Reads [serve] and the tables in it. Used by daemon_config.ipp only.
#ifndef TINYPHI_SERVE_SERVE_TABLE_READER_H_
#define TINYPHI_SERVE_SERVE_TABLE_READER_H_

#include <algorithm>

#include "tinyphi/pipeline/config_reader.h"
#include "tinyphi/serve/daemon_config.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline constexpr std::string_view default_listen = "127.0.0.1:8484";
// What a client may call a model: "phi-3.5", "meta/llama:8b". Names are
// compared with each other, and shown.
inline bool is_model_name(std::string_view text, std::string_view marks) {
  constexpr std::size_t longest = 128;
  return is_name(text, longest, marks);
}

// A host without a port, as in a Host header: "tinyphi.lan", "[::1]".
inline bool is_host(std::string_view text) {
  constexpr std::size_t longest = 255;
  if (text.size() > longest) return false;
  if (text.starts_with('[') && text.ends_with(']')) {
    return is_address(text.substr(1, text.size() - 2));
  }
  return is_model_name(text, ".-");
}

// "https://chat.example", with a port or without, and nothing behind it.
inline bool is_origin(std::string_view text) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!text.starts_with(scheme)) continue;
    std::string_view host = text.substr(scheme.size());
    const std::size_t colon = host.rfind(':');
    if (colon != std::string_view::npos && !host.ends_with(']')) {
      const std::string_view port = host.substr(colon + 1);
      if (port.empty() || port.size() > 5 ||
          port.find_first_not_of("0123456789") != std::string_view::npos) {
        return false;
      }
      host = host.substr(0, colon);
    }
    return is_host(host);
  }
  return false;
}

class serve_table_reader : protected config_reader {
 protected:
  serve_table_reader(const config_node& root, const std::filesystem::path& file,
                     std::vector<diagnostic>& faults)
      : config_reader(root, faults), base_dir_(file.parent_path()) {}
  ~serve_table_reader() = default;

  void read_serve() {
    if (const config_node* serve =
            section("serve",
                    {"listen", "keys", "memory", "itl_target", "drain", "hosts",
                     "origins", "plain_http", "max_body", "approvals",
                     "deadline", "cache", "metrics", "ollama", "sandbox"},
                    {"trusted_proxies", "pipelines"})) {
      read_main(*serve);
      read_deadlines(*serve);
      read_cache(*serve);
      read_metrics(*serve);
      read_sandbox(*serve);
      if (const config_member* m = serve->find("ollama")) {
        out_.ollama = check_table(*m, "[serve.ollama]", {}, {});
      }
    }
    if (out_.listen.empty()) {
      out_.listen.push_back(*parse_listen(default_listen));
    }
  }

  // The path that a text is, from the file's folder on.
  std::optional<std::filesystem::path> local_path(const std::string& text,
                                                  position at,
                                                  const std::string& what) {
    if (text.empty() || text.find('\0') != std::string::npos) {
      report(fault::wrong_type, at, what + " must be a path");
      return std::nullopt;
    }
    return base_dir_ / text;
  }

  daemon_config out_;

 private:
  using ms = std::chrono::milliseconds;

  void read_main(const config_node& t) {
    constexpr std::string_view where = "[serve]";
    const std::string w(where);
    read_key_source(t, w);
    if (const auto* known =
            optional_key<std::string>(t, "plain_http", w, "\"I know\"")) {
      out_.plain_http_known = *known == "I know";
      if (!out_.plain_http_known) {
        report(fault::out_of_range, t.find("plain_http")->value.at,
               w + ": plain_http is " + quote(*known) +
                   ", it can only be \"I know\": that others on the network "
                   "can read keys and texts");
      }
    }
    read_listen(t, w);
    constexpr std::uint64_t mib = std::uint64_t{1} << 20;
    out_.memory = read_bytes(t, "memory", w, 64 * mib, std::uint64_t{1} << 50)
                      .value_or(out_.memory);
    out_.max_body = static_cast<std::size_t>(
        read_bytes(t, "max_body", w, 1024, 64 * mib).value_or(out_.max_body));
    out_.itl_target = read_duration(t, "itl_target", w, ms(10), ms(60'000))
                          .value_or(out_.itl_target);
    out_.drain =
        read_duration(t, "drain", w, ms(1), ms(3'600'000)).value_or(out_.drain);
    if (const auto* folder =
            optional_key<std::string>(t, "approvals", w, "a string")) {
      out_.approvals =
          local_path(*folder, t.find("approvals")->value.at, w + ": approvals")
              .value_or(std::filesystem::path());
    }
    read_names(t, "hosts", w, is_host,
               "a host without scheme and port, such as \"tinyphi.lan\" or "
               "\"[::1]\"",
               out_.hosts);
    read_names(t, "origins", w, is_origin,
               "a page's scheme and host, such as \"https://chat.example\"",
               out_.origins);
  }

  void read_names(const config_node& t, std::string_view key,
                  const std::string& where, bool (*fits)(std::string_view),
                  std::string_view form, std::vector<std::string>& out) {
    const auto texts = read_texts(t, key, where);
    if (!texts) return;
    out.clear();
    for (const config_node* node : *texts) {
      const std::string& text = *node->get<std::string>();
      if (fits(text)) {
        out.push_back(text);
      } else {
        report(fault::bad_address, node->at,
               where + ": " + std::string(key) + " has " + quote(text) +
                   ", each must be " + std::string(form));
      }
    }
  }

  void read_key_source(const config_node& t, const std::string& where) {
    const auto* source =
        optional_key<std::string>(t, "keys", where, "a string");
    if (source == nullptr) return;
    constexpr std::string_view prefix = "credential:";
    const position at = t.find("keys")->value.at;
    if (source->starts_with(prefix)) {
      // One name in one folder: nothing that leads out of it.
      if (is_model_name(std::string_view(*source).substr(prefix.size()),
                        "._-")) {
        out_.keys = *source;
      } else {
        report(fault::bad_credential, at,
               where + ": keys is " + quote(*source) +
                   ", behind credential: stands the name that LoadCredential "
                   "has, letters, digits and '.', '_', '-'");
      }
    } else if (const auto path = local_path(*source, at, where + ": keys")) {
      out_.keys = path->string();
    }
  }

  void read_listen(const config_node& t, const std::string& where) {
    const auto texts = read_texts(t, "listen", where);
    if (!texts) return;
    if (texts->empty()) {
      report(fault::out_of_range, t.find("listen")->value.at,
             where +
                 ": listen is empty, so nobody could connect; leave it out "
                 "for " +
                 std::string(default_listen));
    }
    for (const config_node* node : *texts) {
      const std::string& text = *node->get<std::string>();
      auto address = parse_listen(text);
      if (!address) {
        report(fault::bad_address, node->at,
               where + ": listen: " + address.error().message);
        continue;
      }
      if (address->kind == listen_kind::unix_socket) {
        address->path = base_dir_ / address->path;
        // Again: it is longer now.
        if (const auto whole = parse_listen(to_string(*address)); !whole) {
          report(fault::bad_address, node->at,
                 where + ": listen: " + whole.error().message);
          continue;
        }
      }
      if (std::ranges::find(out_.listen, *address) != out_.listen.end()) {
        report(fault::name_taken, node->at,
               where + ": listen has " + quote(text) + " twice");
        continue;
      }
      check_open(*address, node->at, where);
      out_.listen.push_back(*std::move(address));
    }
  }

  void check_open(const listen_address& a, position at,
                  const std::string& where) {
    if (a.kind != listen_kind::tcp) return;
    const bool has_keys = root_->find("serve")->value.find("keys") != nullptr;
    const auto fits = check_exposure(a.host, has_keys, out_.plain_http_known);
    if (!fits) {
      report(has_keys ? fault::plain_http : fault::exposed, at,
             where + ": listen: " + fits.error().message);
    }
  }

  void read_deadlines(const config_node& serve) {
    const config_member* m = serve.find("deadline");
    const std::string w = "[serve.deadline]";
    if (m == nullptr ||
        !check_table(*m, w, {"queue", "first_token", "total"}, {})) {
      return;
    }
    const auto take = [&](std::string_view key, ms& out) {
      out = read_duration(m->value, key, w).value_or(out);
    };
    take("queue", out_.queue_deadline);
    take("first_token", out_.first_token_deadline);
    take("total", out_.total_deadline);
    if (out_.queue_deadline > out_.first_token_deadline ||
        out_.first_token_deadline > out_.total_deadline) {
      report(fault::out_of_range, m->at,
             w +
                 ": each of queue, first_token and total includes the one "
                 "before, here " +
                 std::to_string(out_.queue_deadline.count()) + "ms, " +
                 std::to_string(out_.first_token_deadline.count()) + "ms and " +
                 std::to_string(out_.total_deadline.count()) + "ms");
    }
  }

  void read_cache(const config_node& serve) {
    const config_member* m = serve.find("cache");
    const std::string w = "[serve.cache]";
    if (m == nullptr ||
        !check_table(*m, w, {"folder", "pin", "persist", "swap"}, {})) {
      return;
    }
    if (const auto* folder =
            optional_key<std::string>(m->value, "folder", w, "a string")) {
      out_.cache_folder =
          local_path(*folder, m->value.find("folder")->value.at, w + ": folder")
              .value_or(std::filesystem::path());
    }
    const auto take = [&](std::string_view key, std::uint64_t& out) {
      constexpr std::uint64_t most = std::uint64_t{1} << 50;
      out = read_bytes(m->value, key, w, 0, most).value_or(out);
    };
    take("pin", out_.pin);
    take("persist", out_.persist);
    take("swap", out_.swap);
    for (const std::string_view key : {"persist", "swap"}) {
      const config_member* given = m->value.find(key);
      if (given == nullptr || m->value.find("folder") != nullptr) continue;
      report(fault::missing_key, given->at,
             w + ": " + std::string(key) + " has no effect without folder");
    }
  }

  void read_sandbox(const config_node& serve) {
    const config_member* m = serve.find("sandbox");
    const std::string w = "[serve.sandbox]";
    if (m == nullptr || !check_table(*m, w, {"enabled", "read", "write"}, {})) {
      return;
    }
    if (const auto* enabled =
            optional_key<bool>(m->value, "enabled", w, "true or false")) {
      out_.sandbox = *enabled;
    }
    const auto take = [&](const char* key, auto& out) {
      const auto texts = read_texts(m->value, key, w);
      if (!texts) return;
      for (const config_node* node : *texts) {
        const auto path = local_path(*node->get<std::string>(), node->at,
                                     w + ": each of " + key);
        if (path) out.push_back(*path);
      }
    };
    take("read", out_.sandbox_read);
    take("write", out_.sandbox_write);
  }

  void read_metrics(const config_node& serve) {
    const config_member* m = serve.find("metrics");
    const std::string w = "[serve.metrics]";
    if (m == nullptr || !check_table(*m, w, {"compat", "open"}, {})) return;
    if (const auto* open =
            optional_key<bool>(m->value, "open", w, "true or false")) {
      out_.open_metrics = *open;
    }
    const auto names = read_texts(m->value, "compat", w);
    if (!names) return;
    constexpr std::string_view known[] = {"vllm", "llamacpp"};
    bool* const set[] = {&out_.vllm_metrics, &out_.llamacpp_metrics};
    for (const config_node* node : *names) {
      const std::string& name = *node->get<std::string>();
      const auto found = std::ranges::find(known, name);
      if (found != std::end(known)) {
        *set[found - known] = true;
      } else {
        report(fault::out_of_range, node->at,
               w + ": compat has " + quote(name) +
                   ", allowed are vllm and llamacpp" + suggestion(name, known));
      }
    }
  }

  std::filesystem::path base_dir_;
};

}  // namespace detail

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_SERVE_TABLE_READER_H_
