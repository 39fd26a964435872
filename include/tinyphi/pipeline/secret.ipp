// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_SECRET_IPP_
#define TINYPHI_PIPELINE_SECRET_IPP_

#include <string.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "tinyphi/base/mapped_file.h"
#include "tinyphi/pipeline/secret.h"

TINYPHI_NAMESPACE_BEGIN

// The system clears pages before it gives them to somebody else.
class secret_text::pages {
 public:
  explicit pages(std::string_view text)
      : begin_(::mmap(nullptr, std::max<std::size_t>(text.size(), 1),
                      PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                      0)),
        size_(text.size()) {
    if (begin_ == MAP_FAILED) throw std::bad_alloc();
    ::madvise(begin_, std::max<std::size_t>(size_, 1), MADV_DONTDUMP);
    std::memcpy(begin_, text.data(), size_);
  }
  pages(const pages&) = delete;
  pages& operator=(const pages&) = delete;
  ~pages() { ::munmap(begin_, std::max<std::size_t>(size_, 1)); }

  [[nodiscard]] std::string_view text() const {
    return {static_cast<const char*>(begin_), size_};
  }

 private:
  void* begin_;
  std::size_t size_;
};

TINYPHI_FUNC secret_text secret_text::named(std::string name) {
  secret_text s;
  s.name_ = std::move(name);
  return s;
}

TINYPHI_FUNC secret_text secret_text::of(std::string_view text) {
  return secret_text().with_text(text);
}

TINYPHI_FUNC std::string_view secret_text::reveal() const {
  return text_ ? text_->text() : std::string_view();
}

TINYPHI_FUNC secret_text secret_text::with_text(std::string_view text) const {
  secret_text s = *this;
  s.text_ = std::make_shared<const pages>(text);
  return s;
}

namespace detail {

// The file that a secret is in, for its owner only. systemd sees to that for
// credentials; its access lists look like rights of a group.
inline result<std::string> read_secret_file(const std::filesystem::path& path,
                                            bool is_credential) {
  file_stamp stamp;
  TINYPHI_TRY(std::string text, read_file(path, max_secret_bytes, &stamp));
  constexpr std::uint32_t others = 0077;
  if (is_credential || (stamp.mode & others) == 0) return text;
  ::explicit_bzero(text.data(), text.size());
  return error{error_code::invalid_argument,
               path.string() +
                   ": others than its owner may read or write it; chmod 0600 "
                   "it"};
}

inline result<std::string> read_secret(
    const secret_spec& spec,
    const std::function<std::optional<std::string>(const std::string&)>& env) {
  const auto lookup = [&](const std::string& name) {
    return env ? env(name) : std::nullopt;
  };
  if (spec.from == secret_spec::source::file) {
    return read_secret_file(spec.text, false);
  }
  if (spec.from == secret_spec::source::env) {
    if (auto value = lookup(spec.text)) return *std::move(value);
    return error{error_code::not_found,
                 "the environment has no variable " + spec.text};
  }
  const auto folder = lookup("CREDENTIALS_DIRECTORY");
  if (folder && !folder->empty()) {
    return read_secret_file(std::filesystem::path(*folder) / spec.text, true);
  }
  return error{error_code::not_found,
               "this process was given no credentials; systemd does with "
               "LoadCredential=" +
                   spec.text + ":/path in the unit, else name a file"};
}

}  // namespace detail

TINYPHI_FUNC result<secret_text> open_secret(
    const secret_spec& spec,
    const std::function<std::optional<std::string>(const std::string&)>& env) {
  auto text = detail::read_secret(spec, env);
  if (!text) {
    return error{text.error().code,
                 "secret " + spec.name + ": " + text.error().message};
  }
  std::string_view rest = *text;
  if (rest.ends_with('\n')) rest.remove_suffix(1);
  if (rest.ends_with('\r')) rest.remove_suffix(1);
  std::optional<secret_text> opened;
  if (!rest.empty() && rest.size() <= max_secret_bytes) {
    opened = secret_text::named(spec.name).with_text(rest);
  }
  const std::size_t size = rest.size();
  ::explicit_bzero(text->data(), text->size());
  if (opened) return *std::move(opened);
  return error{
      size == 0 ? error_code::bad_data : error_code::limit,
      "secret " + spec.name +
          (size == 0 ? std::string(": it is empty")
                     : ": " + std::to_string(size) + " bytes, at most " +
                           std::to_string(max_secret_bytes) + " are allowed")};
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_SECRET_IPP_
