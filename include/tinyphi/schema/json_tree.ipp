// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SCHEMA_JSON_TREE_IPP_
#define TINYPHI_SCHEMA_JSON_TREE_IPP_

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <utility>

#include "tinyphi/base/utf8.h"
#include "tinyphi/schema/json_tree.h"

TINYPHI_NAMESPACE_BEGIN

// What Boost's parser calls for each part of a text.
class json_tree_builder {
 public:
  static constexpr std::size_t max_object_size = ~std::size_t{0};
  static constexpr std::size_t max_array_size = ~std::size_t{0};
  static constexpr std::size_t max_key_size = ~std::size_t{0};
  static constexpr std::size_t max_string_size = ~std::size_t{0};

  using ec = boost::json::error_code;
  using part = boost::json::string_view;
  using node = json_tree::node;

  json_tree_builder(json_tree& tree, const json_tree_limits& limits)
      : tree_(&tree), limits_(&limits) {}

  [[nodiscard]] const error& fault() const { return fault_; }

  bool on_document_begin(ec&) { return true; }
  bool on_document_end(ec&) { return true; }
  bool on_comment_part(part, ec&) { return true; }
  bool on_comment(part, ec&) { return true; }

  bool on_object_begin(ec& e) { return add(json_type::object, e); }
  bool on_array_begin(ec& e) { return add(json_type::array, e); }
  bool on_array_end(std::size_t, ec&) { return close(); }
  bool on_object_end(std::size_t, ec& e) {
    return one_of_each_name(e) && close();
  }

  bool on_key_part(part s, std::size_t, ec&) { return append(s); }
  bool on_key(part s, std::size_t, ec&) {
    append(s);
    key_at_ = std::exchange(begin_, end());
    key_size_ = begin_ - key_at_;
    return true;
  }
  bool on_string_part(part s, std::size_t, ec&) { return append(s); }
  bool on_string(part s, std::size_t, ec& e) {
    append(s);
    return add(json_type::string, e) && close();
  }
  bool on_number_part(part s, ec&) { return append(s); }
  bool on_int64(std::int64_t, part s, ec& e) { return add_number(s, e); }
  bool on_uint64(std::uint64_t, part s, ec& e) { return add_number(s, e); }
  bool on_double(double, part s, ec& e) { return add_number(s, e); }
  bool on_bool(bool truth, ec& e) {
    append(truth ? "true" : "false");
    if (!add(json_type::boolean, e)) return false;
    tree_->nodes_.back().truth = truth;
    return close();
  }
  bool on_null(ec& e) { return add(json_type::null, e) && close(); }

 private:
  [[nodiscard]] std::uint32_t end() const {
    return static_cast<std::uint32_t>(tree_->text_.size());
  }
  bool append(part s) {
    tree_->text_.append(s.data(), s.size());
    return true;
  }
  bool fail(error_code code, std::string message, ec& e) {
    fault_ = {code, std::move(message)};
    e = boost::json::error::incomplete;  // any: fault_ is what is reported
    return false;
  }

  // A node whose text is what was appended since the last one.
  bool add(json_type type, ec& e) {
    auto& nodes = tree_->nodes_;
    if (nodes.size() >= limits_->max_nodes) {
      return fail(error_code::limit,
                  "more than " + std::to_string(limits_->max_nodes) +
                      " values, names not counted; fewer are allowed",
                  e);
    }
    json_tree::entry n;
    n.type = type;
    n.parent = open_;
    n.key_at = std::exchange(key_at_, 0);
    n.key_size = std::exchange(key_size_, 0);
    n.text_at = std::exchange(begin_, end());
    n.text_size = begin_ - n.text_at;
    if (open_ != json_tree::none) ++nodes[open_].count;
    open_ = static_cast<node>(nodes.size());
    nodes.push_back(n);
    return true;
  }
  bool close() {
    auto& n = tree_->nodes_[open_];
    n.end = static_cast<node>(tree_->nodes_.size());
    open_ = n.parent;
    return true;
  }

  bool add_number(part s, ec& e) {
    append(s);
    if (!add(json_type::number, e)) return false;
    auto& n = tree_->nodes_.back();
    // A copy: the digits go behind what is read here.
    const std::string written(tree_->text(open_));
    std::size_t i = written[0] == '-' ? 1 : 0;
    n.negative = i == 1;
    bool fraction = false;
    for (; i < written.size() && written[i] != 'e' && written[i] != 'E'; ++i) {
      if (written[i] == '.') {
        fraction = true;
      } else if (written[i] != '0' || end() != begin_) {
        tree_->text_ += written[i];
        if (!fraction) ++n.exponent;
      } else if (fraction) {
        --n.exponent;
      }
    }
    while (end() != begin_ && tree_->text_.back() == '0') {
      tree_->text_.pop_back();
    }
    n.count = end() - begin_;
    begin_ = end();
    if (i < written.size()) n.exponent += power_of_ten(written.substr(i + 1));
    if (n.count == 0) n.exponent = 0;
    return close();
  }
  // The parser refuses what does not fit an int; the bound keeps the sum from
  // ever overflowing.
  static std::int64_t power_of_ten(std::string_view digits) {
    const bool negative = digits[0] == '-';
    if (negative || digits[0] == '+') digits.remove_prefix(1);
    std::int64_t power = 0;
    for (const char c : digits) {
      power = std::min(power * 10 + (c - '0'), std::int64_t{1} << 50);
    }
    return negative ? -power : power;
  }

  // Of members with one name the last one stays; the limits may forbid two.
  bool one_of_each_name(ec& e) {
    auto& nodes = tree_->nodes_;
    members_.clear();
    for (node n = open_ + 1; n < nodes.size(); n = nodes[n].end) {
      members_.push_back(n);
    }
    std::sort(members_.begin(), members_.end(), [&](node a, node b) {
      const int order = tree_->key(a).compare(tree_->key(b));
      return order != 0 ? order < 0 : a < b;
    });
    for (std::size_t i = 1; i < members_.size(); ++i) {
      if (tree_->key(members_[i - 1]) != tree_->key(members_[i])) continue;
      if (limits_->unique_keys) {
        return fail(error_code::bad_data,
                    tree_->pointer(members_[i]) +
                        ": the object has this name twice; once is allowed",
                    e);
      }
      nodes[members_[i - 1]].shadowed = true;
      --nodes[open_].count;
    }
    return true;
  }

  json_tree* tree_;
  const json_tree_limits* limits_;
  error fault_;
  node open_ = json_tree::none;
  std::uint32_t begin_ = 0;  // of the text that belongs to no node yet
  std::uint32_t key_at_ = 0, key_size_ = 0;
  std::vector<node> members_;
};

TINYPHI_FUNC result<json_tree> json_tree::read(std::string_view text,
                                               const json_tree_limits& limits) {
  if (text.size() > limits.max_bytes) {
    return error{error_code::limit,
                 std::to_string(text.size()) + " bytes of JSON, at most " +
                     std::to_string(limits.max_bytes) + " are allowed"};
  }
  json_tree tree;
  // On the heap even when there is little: views outlive a move.
  tree.text_.reserve(64 + text.size());
  tree.nodes_.reserve(text.size() / 16);
  boost::json::parse_options options;
  options.max_depth = limits.max_depth;
  boost::json::basic_parser<json_tree_builder> parser(options, tree, limits);
  boost::json::error_code ec;
  const std::size_t used =
      parser.write_some(false, text.data(), text.size(), ec);
  if (!ec && used < text.size()) ec = boost::json::error::extra_data;
  if (!ec) return tree;
  const error& own = parser.handler().fault();
  if (!own.message.empty()) return own;
  if (ec == boost::json::error::too_deep) {
    return error{error_code::limit, "byte " + std::to_string(used) +
                                        ": nests deeper than the " +
                                        std::to_string(limits.max_depth) +
                                        " levels that are allowed"};
  }
  return error{error_code::bad_data, "byte " + std::to_string(used) +
                                         ": not valid JSON: " + ec.message()};
}

TINYPHI_FUNC decimal json_tree::number(node n) const {
  const entry& e = nodes_[n];
  return {e.negative,
          std::string_view(text_).substr(e.text_at + e.text_size, e.count),
          e.exponent};
}

TINYPHI_FUNC json_tree::node json_tree::find(node object,
                                             std::string_view name) const {
  node n = first(object);
  while (n != none && key(n) != name) n = next(n);
  return n;
}

TINYPHI_FUNC std::string pointer_token(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

TINYPHI_FUNC std::string json_tree::pointer(node n) const {
  std::vector<node> path;
  for (; nodes_[n].parent != none; n = nodes_[n].parent) path.push_back(n);
  std::string out;
  for (auto at = path.rbegin(); at != path.rend(); ++at) {
    const node around = nodes_[*at].parent;
    out += '/';
    if (nodes_[around].type == json_type::object) {
      out += pointer_token(key(*at));
      continue;
    }
    std::size_t index = 0;
    // What is before a node is complete, also while the tree is built.
    for (node i = around + 1; i != *at; i = nodes_[i].end) ++index;
    out += std::to_string(index);
  }
  return out;
}

namespace detail {

// A name for a message: what is long is cut, control characters are hidden.
inline std::string quoted_name(std::string_view name) {
  std::string out(name.substr(0, complete_utf8_length(name.substr(0, 64))));
  hide_controls(out);
  return "'" + out + "'";
}

inline void quote_string(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text.substr(0, 64)) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
}

}  // namespace detail

TINYPHI_FUNC void json_tree::quote_into(std::string& out, node n) const {
  switch (type(n)) {
    case json_type::null:
      out += "null";
      return;
    case json_type::string:
      return detail::quote_string(out, text(n));
    case json_type::boolean:
    case json_type::number:
      out += text(n).substr(0, 64);
      return;
    case json_type::array:
    case json_type::object:
      break;
  }
  const bool object = type(n) == json_type::object;
  out += object ? '{' : '[';
  for (node c = first(n); c != none && out.size() < 64; c = next(c)) {
    if (c != first(n)) out += ", ";
    if (object) {
      detail::quote_string(out, key(c));
      out += ": ";
    }
    quote_into(out, c);
  }
  out += object ? '}' : ']';
}

TINYPHI_FUNC std::string json_tree::quoted(node n) const {
  std::string out;
  quote_into(out, n);
  hide_controls(out);
  if (out.size() > 64) {
    out.resize(complete_utf8_length(std::string_view(out).substr(0, 60)));
    out += "...";
  }
  return out;
}

TINYPHI_FUNC bool equal_json(const json_tree& a, json_tree::node in_a,
                             const json_tree& b, json_tree::node in_b,
                             std::uint64_t& steps) {
  if (steps == 0) return false;
  --steps;
  if (a.type(in_a) != b.type(in_b)) return false;
  switch (a.type(in_a)) {
    case json_type::null:
      return true;
    case json_type::boolean:
      return a.is_true(in_a) == b.is_true(in_b);
    case json_type::string:
      return a.text(in_a) == b.text(in_b);
    case json_type::number:
      return a.number(in_a) == b.number(in_b);
    case json_type::array:
    case json_type::object:
      break;
  }
  if (a.size(in_a) != b.size(in_b)) return false;
  const bool object = a.type(in_a) == json_type::object;
  json_tree::node other = b.first(in_b);
  for (auto n = a.first(in_a); n != a.none; n = a.next(n)) {
    json_tree::node same = other;
    if (object && b.key(other) != a.key(n)) {
      same = b.find(in_b, a.key(n));
      steps -= std::min<std::uint64_t>(steps, b.size(in_b));
    }
    if (same == b.none || !equal_json(a, n, b, same, steps)) return false;
    other = b.next(other);
  }
  return true;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SCHEMA_JSON_TREE_IPP_
