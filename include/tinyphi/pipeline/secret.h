// SPDX-License-Identifier: MIT
// Secrets: texts that a stage may use and nobody may see.
#ifndef TINYPHI_PIPELINE_SECRET_H_
#define TINYPHI_PIPELINE_SECRET_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tinyphi/base/error.h"
#include "tinyphi/pipeline/diagnostic.h"

TINYPHI_NAMESPACE_BEGIN

inline constexpr std::size_t max_secret_bytes = std::size_t{64} << 10;

// What messages say of a secret in another place.
inline constexpr std::string_view secret_stands_alone =
    "a secret stands alone, as the whole value of a parameter that takes one";

// One entry of [secret]: where the text comes from.
struct secret_spec {
  enum class source : std::uint8_t { credential, file, env };

  std::string name;
  position at;
  source from = source::file;
  std::string text;  // the credential's name, an absolute path, a variable
};

// The value of a parameter that may be a secret. It has no operator== and no
// way to a stream; who needs the text says so by reveal(). Copies share the
// text, which stands in pages of its own that no core dump has, and which are
// gone with the last copy.
class secret_text {
 public:
  secret_text() = default;  // the parameter is not given
  // A secret that is not open yet.
  static secret_text named(std::string name);
  // A text that is known; as a parameter, one that the file itself has.
  static secret_text of(std::string_view text);

  [[nodiscard]] bool is_given() const { return !name_.empty() || text_; }
  // Of its entry of [secret]; empty if the file itself has the text.
  [[nodiscard]] const std::string& name() const { return name_; }
  // The text, valid while a copy lives; empty before the stage is created.
  [[nodiscard]] std::string_view reveal() const;
  // The same secret, open.
  [[nodiscard]] secret_text with_text(std::string_view text) const;

 private:
  class pages;

  std::string name_;
  std::shared_ptr<const pages> text_;
};

// Reads a secret; one end of line behind it is left out. `env` gives the values
// of variables. No message has a part of the text.
[[nodiscard]] result<secret_text> open_secret(
    const secret_spec& spec,
    const std::function<std::optional<std::string>(const std::string&)>& env);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/secret.ipp"
#endif

#endif  // TINYPHI_PIPELINE_SECRET_H_
