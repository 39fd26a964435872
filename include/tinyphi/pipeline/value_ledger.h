// SPDX-License-Identifier: MIT
// What the values of a request take of its [limits]: each text and list by
// itself, and all of them together while the request holds them.
#ifndef TINYPHI_PIPELINE_VALUE_LEDGER_H_
#define TINYPHI_PIPELINE_VALUE_LEDGER_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/pipeline/spec.h"
#include "tinyphi/pipeline/value.h"

TINYPHI_NAMESPACE_BEGIN

// A payload counts once, however many values share it, from when the first of
// them is kept until the last is released. What a called file keeps counts for
// its caller, too. Used on the request's strand only.
class value_ledger {
 public:
  // `outer` is the caller's; it may be null.
  value_ledger(const request_limits& most, std::shared_ptr<value_ledger> outer)
      : most_(most), outer_(std::move(outer)) {}
  value_ledger(const value_ledger&) = delete;
  value_ledger& operator=(const value_ledger&) = delete;
  ~value_ledger() {
    if (outer_ == nullptr) return;
    for (const auto& [payload, p] : payloads_) {
      if (p.holders > 0) outer_->close(payload);
    }
    outer_->shrink(growing_);
  }

  // Counts a value that the request holds from now on. The error is `limit` and
  // begins with the place; the value then is not kept.
  [[nodiscard]] std::optional<error> keep(const value_data& v,
                                          std::string_view place) {
    std::string wrong = add(v);
    if (wrong.empty()) wrong = find_excess();
    if (wrong.empty()) return std::nullopt;
    release(v);
    return error{error_code::limit, std::string(place) + wrong};
  }
  // What was kept is held no more.
  void release(const value_data& v) {
    const void* payload = v.payload();
    if (payload == nullptr) return;
    const auto it = payloads_.find(payload);
    if (--it->second.holders > 0) return;
    for_each_part(v, [&](const value_data& part) { release(part); });
    close(payload);
  }

  // A text that is being written counts before it is a value.
  [[nodiscard]] std::optional<error> grow(std::size_t bytes,
                                          std::string_view place) {
    for (value_ledger* l = this; l != nullptr; l = l->outer_.get()) {
      l->bytes_ += bytes;
      l->growing_ += bytes;
    }
    const std::string wrong = find_excess();
    if (wrong.empty()) return std::nullopt;
    shrink(bytes);
    return error{error_code::limit, std::string(place) + wrong};
  }
  void shrink(std::size_t bytes) {
    for (value_ledger* l = this; l != nullptr; l = l->outer_.get()) {
      l->bytes_ -= bytes;
      l->growing_ -= bytes;
    }
  }

  [[nodiscard]] const request_limits& most() const { return most_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  struct counted {
    std::size_t holders = 0;  // places and payloads of this request
    std::size_t ledgers = 0;  // this one, and those of called files
    std::size_t bytes = 0;
  };

  template <class F>
  static void for_each_part(const value_data& v, F f) {
    if (const auto* items = v.get<value_data::list>()) {
      for (const value_data& item : *items) f(item);
    } else if (const auto* members = v.get<value_data::record>()) {
      for (const auto& m : *members) f(m.value);
    }
  }

  // Counts all of the value even if a part of it is too large, so that release
  // is its opposite. What is wrong begins with the place in the value.
  std::string add(const value_data& v) {
    const void* payload = v.payload();
    if (payload == nullptr) return {};
    if (payloads_[payload].holders++ > 0) return {};
    open(payload, v.own_bytes());
    std::string wrong;
    if (const auto* text = v.get<std::string>()) {
      if (text->size() > most_.text) {
        wrong = " is " + std::to_string(text->size()) + " bytes, at most " +
                std::to_string(most_.text) + " are allowed by [limits].text";
      }
    } else if (const auto* items = v.get<value_data::list>()) {
      if (items->size() > most_.items) {
        wrong = " has " + std::to_string(items->size()) + " items, at most " +
                std::to_string(most_.items) + " are allowed by [limits].items";
      }
      for (std::size_t i = 0; i < items->size(); ++i) {
        const std::string inside = add((*items)[i]);
        if (wrong.empty() && !inside.empty()) {
          wrong = "[" + std::to_string(i) + "]" + inside;
        }
      }
    } else if (const auto* members = v.get<value_data::record>()) {
      for (const auto& m : *members) {
        const std::string inside = add(m.value);
        if (wrong.empty() && !inside.empty()) wrong = "." + m.name + inside;
      }
    }
    return wrong;
  }

  // Of this request, or of one that it is part of.
  [[nodiscard]] std::string find_excess() const {
    for (const value_ledger* l = this; l != nullptr; l = l->outer_.get()) {
      if (l->bytes_ <= l->most_.memory) continue;
      return ": the request's values are " + std::to_string(l->bytes_) +
             " bytes, at most " + std::to_string(l->most_.memory) +
             " are allowed by [limits].memory";
    }
    return {};
  }

  void open(const void* payload, std::size_t bytes) {
    counted& p = payloads_[payload];
    if (p.ledgers++ > 0) return;
    p.bytes = bytes;
    bytes_ += bytes;
    if (outer_ != nullptr) outer_->open(payload, bytes);
  }
  void close(const void* payload) {
    const auto it = payloads_.find(payload);
    if (--it->second.ledgers > 0) return;
    bytes_ -= it->second.bytes;
    payloads_.erase(it);
    if (outer_ != nullptr) outer_->close(payload);
  }

  const request_limits most_;
  const std::shared_ptr<value_ledger> outer_;
  std::unordered_map<const void*, counted> payloads_;
  std::size_t bytes_ = 0;
  std::size_t growing_ = 0;  // of these, of texts that are being written
};

// Values that count as long as this lives; nothing where one is absent.
class kept_values {
 public:
  explicit kept_values(std::shared_ptr<value_ledger> ledger)
      : ledger_(std::move(ledger)) {}
  kept_values(kept_values&& other) noexcept
      : ledger_(std::move(other.ledger_)),
        all_(std::exchange(other.all_, {})) {}
  kept_values& operator=(kept_values&& other) noexcept {
    std::swap(ledger_, other.ledger_);
    std::swap(all_, other.all_);
    return *this;
  }
  ~kept_values() {
    for (const auto& v : all_) {
      if (v) ledger_->release(*v);
    }
  }

  [[nodiscard]] std::optional<error> add(std::optional<value_data> v,
                                         std::string_view place) {
    if (v) {
      if (auto over = ledger_->keep(*v, place)) return over;
    }
    all_.push_back(std::move(v));
    return std::nullopt;
  }
  // The values, which whoever takes them has to release.
  [[nodiscard]] std::vector<std::optional<value_data>> take() {
    return std::exchange(all_, {});
  }
  [[nodiscard]] const std::vector<std::optional<value_data>>& all() const {
    return all_;
  }

 private:
  std::shared_ptr<value_ledger> ledger_;
  std::vector<std::optional<value_data>> all_;
};

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_VALUE_LEDGER_H_
