// SPDX-License-Identifier: MIT
// Pages of texts that were computed before, so that a prompt which begins as
// one of them is not computed again: a tree that is compared token by token.
#ifndef TINYPHI_GENERATE_PREFIX_CACHE_H_
#define TINYPHI_GENERATE_PREFIX_CACHE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_set>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/model/kv_cache.h"
#include "tinyphi/text/vocabulary.h"

TINYPHI_NAMESPACE_BEGIN

// Who may see that a text was computed before: a walk follows nodes of its own
// domain and shared ones. A hit is visible in the time to the first token, so
// tenants that must not learn of each other's prompts have domains of their
// own.
using domain_id = std::uint64_t;
inline constexpr domain_id shared_domain = ~domain_id{0};

// What the numbers in a page depend on besides its tokens, inside one engine:
// the rotary factors. Everything else (weights, adapter, cache type,
// arithmetic) is the engine's own and the same for all its pages.
struct prefix_root {
  bool long_factors = false;
  friend bool operator==(prefix_root, prefix_root) = default;
};

// The cached beginning of a text: `length` positions in n_pages(length) pages,
// of which those that the window does not reach are empty.
struct prefix_match {
  std::vector<kv_page> pages;
  std::size_t length = 0;
};

// A radix tree with a page for each node. Its pages count in the pool's budget
// and give way when the pool is short (evict). Not thread-safe: the engine's
// driver owns it.
class prefix_cache {
 public:
  // window: the model's, in tokens; 0: none. max_nodes bounds the memory for
  // token ids, which outlive pages behind a window (about 400 bytes a node).
  prefix_cache(std::size_t window, std::size_t max_nodes);

  // The longest beginning of `text` that a sequence can go on from; it ends
  // inside a page where the cached text differs from there on, so the sequence
  // must copy that page before it writes (kv_sequence does). Marks what it
  // finds as used.
  [[nodiscard]] prefix_match find(prefix_root root, domain_id domain,
                                  std::span<const token_id> text);

  // Remembers that `pages` hold the keys and values of `text`: n_pages of its
  // length, empty ones behind the window. Pages that are there already are
  // kept, so equal texts converge; a page stands in the tree once. pin: they
  // stay until unpin_all().
  void insert(prefix_root root, domain_id domain,
              std::span<const token_id> text, std::span<const kv_page> pages,
              bool pin = false);

  // Lets go of the page that was not used for the longest time, of those that
  // are not pinned and that nobody else holds; false if there is none.
  bool evict();
  // Lets go of a page that somebody who holds it, too, is about to write to, so
  // that it needs no copy; false if it is pinned or not here.
  bool let_go(const kv_page& page);
  // Lets go of everything that is not pinned.
  void clear();
  void unpin_all();

  // Pages that evict() could let go of one after the other; with a window there
  // may be more, because what the window reaches changes on the way.
  [[nodiscard]] std::size_t evictable_pages() const;
  // Pages held, and nodes with or without one.
  [[nodiscard]] std::size_t n_cached_pages() const { return held_.size(); }
  [[nodiscard]] std::size_t n_pinned_pages() const { return n_pinned_; }
  [[nodiscard]] std::size_t n_nodes() const {
    return nodes_.size() - unused_.size();
  }

  // One text that the tree holds, from a root to a leaf: for keeping on disk.
  struct branch {
    prefix_root root;
    domain_id domain = 0;      // of the leaf
    std::size_t n_shared = 0;  // tokens in front that all domains see
    std::vector<token_id> text;
    std::vector<kv_page> pages;
    bool pinned = false;
  };
  // All of them, most recently used first.
  [[nodiscard]] std::vector<branch> branches() const;

 private:
  using node_index = std::uint32_t;
  struct node {
    domain_id domain = 0;
    std::vector<token_id> ids;  // 1 to page_tokens; fewer in leaves only
    kv_page page;               // empty: let go behind a window
    node_index parent = 0;
    std::vector<node_index> children;  // in order of (domain, ids)
    std::uint64_t used = 0;
    bool pinned = false;
  };
  // Where a walk stands: a child and how many of its ids agree.
  struct step {
    node_index child = 0;
    std::size_t n_equal = 0;
  };
  // Steps from a root on; all but the last agree in a whole page.
  struct path {
    std::vector<step> steps;
    std::size_t length = 0;  // ids that agree
  };

  [[nodiscard]] static node_index root_node(prefix_root root) {
    return root.long_factors ? 1 : 0;
  }
  [[nodiscard]] std::size_t child_place(node_index parent, domain_id domain,
                                        std::span<const token_id> ids) const;
  [[nodiscard]] step best_child_of(node_index parent, domain_id domain,
                                   std::span<const token_id> rest) const;
  [[nodiscard]] step best_child(node_index parent, domain_id domain,
                                std::span<const token_id> rest) const;
  [[nodiscard]] step whole_shared_child(node_index parent,
                                        std::span<const token_id> rest) const;
  void walk(path& p, node_index at, domain_id domain,
            std::span<const token_id> text, bool whole_only) const;
  template <class F>
  void for_each_path(prefix_root root, domain_id domain,
                     std::span<const token_id> text, F&& f) const;
  [[nodiscard]] bool whole(const path& p) const;
  void shorten_to_pages(path& p, domain_id domain,
                        std::span<const token_id> text) const;
  [[nodiscard]] node_index child_for(node_index parent, domain_id domain,
                                     std::span<const token_id> ids,
                                     bool has_page);
  [[nodiscard]] node_index add_child(node_index parent, domain_id domain,
                                     std::span<const token_id> ids);
  void set_page(node_index i, const kv_page& page);
  void remove_leaf(node_index leaf);
  [[nodiscard]] std::vector<bool> unseen_nodes() const;
  [[nodiscard]] bool remove_oldest_leaf();

  std::size_t window_;
  std::size_t max_nodes_;
  // Later than every use, but for what an insertion under way walks through.
  std::uint64_t clock_ = 1;
  // Flat, since a chain of nested owners of a long text would be destroyed
  // recursively. The first two are the roots, which hold no ids.
  std::vector<node> nodes_;
  std::vector<node_index> unused_;
  std::size_t n_pinned_ = 0;  // nodes; each has a page, but behind a window
  std::unordered_set<const std::byte*> held_;  // the nodes' pages
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/generate/prefix_cache.ipp"
#endif

#endif  // TINYPHI_GENERATE_PREFIX_CACHE_H_
