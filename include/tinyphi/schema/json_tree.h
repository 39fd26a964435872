// SPDX-License-Identifier: MIT
// A JSON text as it was written, for schemas and for what is checked against
// them: members in order, numbers to the last digit, JSON pointers to all of
// it.
#ifndef TINYPHI_SCHEMA_JSON_TREE_H_
#define TINYPHI_SCHEMA_JSON_TREE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/schema/decimal.h"

TINYPHI_NAMESPACE_BEGIN

enum class json_type : std::uint8_t {
  null,
  boolean,
  number,
  string,
  array,
  object
};

struct json_tree_limits {
  std::size_t max_bytes = std::size_t{4} << 20;  // below 2 GiB
  std::size_t max_depth = 64;
  std::size_t max_nodes = std::size_t{1} << 18;
  // What a key means that an object has twice: the last one wins, or an error.
  bool unique_keys = false;
};

// Immutable after read(); any thread. Nodes are numbered in the text's order,
// the root is 0. Views that a function returns live as long as the tree, also
// when it is moved.
class json_tree {
 public:
  using node = std::uint32_t;
  static constexpr node none = ~node{0};
  static constexpr node root = 0;

  // bad_data, whose message begins with the byte where the text is not JSON, or
  // with the pointer to a key that is there twice; limit.
  [[nodiscard]] static result<json_tree> read(
      std::string_view text, const json_tree_limits& limits = {});

  [[nodiscard]] std::size_t nodes() const { return nodes_.size(); }
  [[nodiscard]] json_type type(node n) const { return nodes_[n].type; }
  // Of an array or an object: its elements or members.
  [[nodiscard]] std::size_t size(node n) const { return nodes_[n].count; }
  // The name of a member; empty for what is none.
  [[nodiscard]] std::string_view key(node n) const {
    return std::string_view(text_).substr(nodes_[n].key_at, nodes_[n].key_size);
  }
  // A string's characters; a number or a boolean as it was written.
  [[nodiscard]] std::string_view text(node n) const {
    return std::string_view(text_).substr(nodes_[n].text_at,
                                          nodes_[n].text_size);
  }
  [[nodiscard]] bool is_true(node n) const { return nodes_[n].truth; }
  [[nodiscard]] decimal number(node n) const;

  // for (node c = t.first(n); c != t.none; c = t.next(c)): the elements or
  // members of n, in order.
  [[nodiscard]] node first(node n) const {
    return visible(n + 1, nodes_[n].end);
  }
  [[nodiscard]] node next(node n) const {
    const node around = nodes_[n].parent;
    return around == none ? none : visible(nodes_[n].end, nodes_[around].end);
  }
  [[nodiscard]] node find(node object, std::string_view name) const;
  // The first node behind n and all that it holds.
  [[nodiscard]] node end(node n) const { return nodes_[n].end; }
  [[nodiscard]] node parent(node n) const { return nodes_[n].parent; }

  // RFC 6901; the root's is empty.
  [[nodiscard]] std::string pointer(node n) const;
  // As JSON for messages: '?' for control characters, cut with "..." after some
  // 60 bytes.
  [[nodiscard]] std::string quoted(node n) const;

 private:
  friend class json_tree_builder;

  struct entry {
    json_type type = json_type::null;
    bool truth = false;     // of a boolean
    bool negative = false;  // of a number
    bool shadowed = false;  // a later member has the same name
    node parent = none;
    node end = 0;             // the first node behind this one's own
    std::uint32_t count = 0;  // members, elements, a number's digits
    std::uint32_t key_at = 0, key_size = 0;
    std::uint32_t text_at = 0, text_size = 0;  // a number's digits follow
    std::int64_t exponent = 0;
  };

  // The first node from n on that is not shadowed, or none at the end.
  [[nodiscard]] node visible(node n, node end) const {
    while (n < end && nodes_[n].shadowed) n = nodes_[n].end;
    return n < end ? n : none;
  }
  void quote_into(std::string& out, node n) const;

  std::vector<entry> nodes_;
  std::string text_;
};

// "~" and "/" of a name as a JSON pointer writes them.
[[nodiscard]] std::string pointer_token(std::string_view name);

// Whether two values are the same to JSON Schema: 1 and 1.0 are, and objects
// whose members come in another order. `steps` is counted down by what the
// comparison costs; at 0 the answer is no.
[[nodiscard]] bool equal_json(const json_tree& a, json_tree::node in_a,
                              const json_tree& b, json_tree::node in_b,
                              std::uint64_t& steps);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/schema/json_tree.ipp"
#endif

#endif  // TINYPHI_SCHEMA_JSON_TREE_H_
