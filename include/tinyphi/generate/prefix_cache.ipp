// SPDX-License-Identifier: MIT
#ifndef TINYPHI_GENERATE_PREFIX_CACHE_IPP_
#define TINYPHI_GENERATE_PREFIX_CACHE_IPP_

#include <algorithm>
#include <limits>
#include <utility>

#include "tinyphi/generate/prefix_cache.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline constexpr std::uint32_t no_node =
    std::numeric_limits<std::uint32_t>::max();
inline constexpr std::size_t n_prefix_roots = 2;

// How many ids at the beginning of a and b are equal.
inline std::size_t common_prefix(std::span<const token_id> a,
                                 std::span<const token_id> b) {
  const std::size_t n = std::min(a.size(), b.size());
  return static_cast<std::size_t>(
      std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(n),
                    b.begin())
          .first -
      a.begin());
}

// The first page that the token behind `length` positions sees.
inline std::size_t first_page_in_window(std::size_t length,
                                        std::size_t window) {
  return window == 0 || length + 1 <= window
             ? 0
             : (length + 1 - window) / page_tokens;
}

}  // namespace detail

TINYPHI_FUNC prefix_cache::prefix_cache(std::size_t window,
                                        std::size_t max_nodes)
    : window_(window), max_nodes_(max_nodes), nodes_(detail::n_prefix_roots) {}

// Where a child of these ids stands, or would stand, among its siblings.
TINYPHI_FUNC std::size_t prefix_cache::child_place(
    node_index parent, domain_id domain, std::span<const token_id> ids) const {
  const auto& children = nodes_[parent].children;
  const auto at = std::lower_bound(
      children.begin(), children.end(), ids,
      [&](node_index i, std::span<const token_id> wanted) {
        const node& n = nodes_[i];
        if (n.domain != domain) return n.domain < domain;
        return std::lexicographical_compare(n.ids.begin(), n.ids.end(),
                                            wanted.begin(), wanted.end());
      });
  return static_cast<std::size_t>(at - children.begin());
}

// The child of one domain that agrees with `rest` longest. In lexicographic
// order it is one of the two neighbours of the place where `rest` would stand.
TINYPHI_FUNC prefix_cache::step prefix_cache::best_child_of(
    node_index parent, domain_id domain, std::span<const token_id> rest) const {
  const auto& children = nodes_[parent].children;
  const std::size_t place = child_place(parent, domain, rest);
  step best;
  for (std::size_t i = place == 0 ? 0 : place - 1;
       i < std::min(place + 1, children.size()); ++i) {
    const node& n = nodes_[children[i]];
    if (n.domain != domain) continue;
    const std::size_t equal = detail::common_prefix(n.ids, rest);
    if (equal > best.n_equal) best = {children[i], equal};
  }
  return best;
}

TINYPHI_FUNC prefix_cache::step prefix_cache::best_child(
    node_index parent, domain_id domain, std::span<const token_id> rest) const {
  const step own = best_child_of(parent, domain, rest);
  if (domain == shared_domain) return own;
  const step shared = best_child_of(parent, shared_domain, rest);
  return shared.n_equal > own.n_equal ? shared : own;
}

TINYPHI_FUNC prefix_match prefix_cache::find(prefix_root root, domain_id domain,
                                             std::span<const token_id> text) {
  std::vector<step> path;
  std::size_t length = 0;
  for (node_index at = root_node(root); length < text.size();) {
    const step next = best_child(at, domain, text.subspan(length));
    if (next.n_equal == 0) break;
    path.push_back(next);
    length += next.n_equal;
    if (next.n_equal < page_tokens) break;
    at = next.child;
  }
  // With a window, some pages on the way may be gone: the deepest point of
  // which every page is there that its next token sees.
  prefix_match match;
  for (; !path.empty(); length -= path.back().n_equal, path.pop_back()) {
    const std::size_t first = detail::first_page_in_window(length, window_);
    const bool whole = std::all_of(
        path.begin() +
            static_cast<std::ptrdiff_t>(std::min(first, path.size())),
        path.end(), [&](const step& s) { return bool(nodes_[s.child].page); });
    if (!whole) continue;
    match.length = length;
    ++clock_;
    for (std::size_t i = 0; i < path.size(); ++i) {
      node& n = nodes_[path[i].child];
      n.used = clock_;
      match.pages.push_back(i < first ? kv_page() : n.page);
    }
    break;
  }
  return match;
}

TINYPHI_FUNC prefix_cache::node_index prefix_cache::add_child(
    node_index parent, domain_id domain, std::span<const token_id> ids) {
  while (n_nodes() >= max_nodes_) {
    if (!remove_oldest_leaf()) return detail::no_node;
  }
  if (unused_.empty()) {
    unused_.push_back(static_cast<node_index>(nodes_.size()));
    nodes_.emplace_back();
  }
  const node_index i = unused_.back();
  unused_.pop_back();
  node& n = nodes_[i];
  n.domain = domain;
  n.ids.assign(ids.begin(), ids.end());
  n.parent = parent;
  n.used = clock_;
  const std::size_t place = child_place(parent, domain, ids);
  auto& siblings = nodes_[parent].children;
  siblings.insert(siblings.begin() + static_cast<std::ptrdiff_t>(place), i);
  return i;
}

// The child that holds at least `ids`, made or lengthened where there is none.
TINYPHI_FUNC prefix_cache::node_index prefix_cache::child_for(
    node_index parent, domain_id domain, std::span<const token_id> ids) {
  const step best = best_child(parent, domain, ids);
  if (best.n_equal == ids.size()) return best.child;
  if (best.n_equal == 0) return add_child(parent, domain, ids);
  node& n = nodes_[best.child];
  if (n.domain != domain || n.ids.size() != best.n_equal) {
    return add_child(parent, domain, ids);
  }
  // A shorter text ended inside this page: the longer one takes its place.
  auto& siblings = nodes_[parent].children;
  siblings.erase(std::find(siblings.begin(), siblings.end(), best.child));
  n.ids.assign(ids.begin(), ids.end());
  set_page(best.child, {});
  const std::size_t place = child_place(parent, domain, ids);
  siblings.insert(siblings.begin() + static_cast<std::ptrdiff_t>(place),
                  best.child);
  return best.child;
}

TINYPHI_FUNC void prefix_cache::set_page(node_index i, const kv_page& page) {
  node& n = nodes_[i];
  n_pages_ += bool(page) - bool(n.page);
  n.page = page;
}

TINYPHI_FUNC void prefix_cache::insert(prefix_root root, domain_id domain,
                                       std::span<const token_id> text,
                                       std::span<const kv_page> pages,
                                       bool pin) {
  ++clock_;
  node_index at = root_node(root);
  for (std::size_t i = 0; i < pages.size() && i * page_tokens < text.size();
       ++i) {
    const auto rest = text.subspan(i * page_tokens);
    at = child_for(at, domain, rest.first(std::min(page_tokens, rest.size())));
    if (at == detail::no_node) return;
    nodes_[at].used = clock_;
    nodes_[at].pinned = nodes_[at].pinned || pin;
    if (!nodes_[at].page && pages[i]) set_page(at, pages[i]);
  }
}

// Removes a node without children, and then those above it that nobody can go
// on from, without a page and without children, unless an insertion that is
// under way has just passed them.
TINYPHI_FUNC void prefix_cache::remove_leaf(node_index leaf) {
  do {
    const node_index parent = nodes_[leaf].parent;
    auto& siblings = nodes_[parent].children;
    siblings.erase(std::find(siblings.begin(), siblings.end(), leaf));
    set_page(leaf, {});
    nodes_[leaf] = {};
    unused_.push_back(leaf);
    leaf = parent;
  } while (leaf >= detail::n_prefix_roots && nodes_[leaf].children.empty() &&
           !nodes_[leaf].page && nodes_[leaf].used != clock_);
}

TINYPHI_FUNC bool prefix_cache::remove_oldest_leaf() {
  node_index oldest = detail::no_node;
  for (node_index i = detail::n_prefix_roots; i < nodes_.size(); ++i) {
    const node& n = nodes_[i];
    if (n.ids.empty() || !n.children.empty() || n.pinned) continue;
    // What this very insertion walked through must stay.
    if (n.used == clock_) continue;
    if (oldest == detail::no_node || n.used < nodes_[oldest].used) oldest = i;
  }
  if (oldest == detail::no_node) return false;
  remove_leaf(oldest);
  return true;
}

// For each node, how many pages the nearest leaf below it is away.
TINYPHI_FUNC std::vector<std::uint32_t> prefix_cache::pages_to_leaf() const {
  std::vector<std::uint32_t> distance(nodes_.size(), detail::no_node);
  for (node_index i = detail::n_prefix_roots; i < nodes_.size(); ++i) {
    if (nodes_[i].ids.empty() || !nodes_[i].children.empty()) continue;
    std::uint32_t d = 0;
    for (node_index at = i; at >= detail::n_prefix_roots && d < distance[at];
         at = nodes_[at].parent) {
      distance[at] = d++;
    }
  }
  return distance;
}

TINYPHI_FUNC bool prefix_cache::evict() {
  // Behind the window of every leaf below it, a page is of no more use, except
  // to texts that branch off there; so those go first.
  std::vector<std::uint32_t> distance;
  if (window_ != 0) distance = pages_to_leaf();
  const std::size_t reach = n_pages(window_);
  node_index best = detail::no_node;
  bool best_unseen = false;
  for (node_index i = detail::n_prefix_roots; i < nodes_.size(); ++i) {
    const node& n = nodes_[i];
    if (!n.page || n.pinned || n.page.shared()) continue;
    const bool unseen = window_ != 0 && distance[i] > reach;
    if (!unseen && !n.children.empty()) continue;
    if (best == detail::no_node || (unseen && !best_unseen) ||
        (unseen == best_unseen && n.used < nodes_[best].used)) {
      best = i;
      best_unseen = unseen;
    }
  }
  if (best == detail::no_node) return false;
  if (nodes_[best].children.empty()) {
    remove_leaf(best);
  } else {
    set_page(best, {});
  }
  return true;
}

TINYPHI_FUNC bool prefix_cache::forget() {
  ++clock_;
  return remove_oldest_leaf();
}

TINYPHI_FUNC void prefix_cache::clear() {
  while (forget()) {
  }
}

TINYPHI_FUNC void prefix_cache::unpin_all() {
  for (node& n : nodes_) n.pinned = false;
}

TINYPHI_FUNC std::size_t prefix_cache::evictable_pages() const {
  std::vector<bool> stays(nodes_.size(), false);
  for (node_index i = detail::n_prefix_roots; i < nodes_.size(); ++i) {
    const node& n = nodes_[i];
    if (!n.pinned && !n.page.shared()) continue;
    for (node_index at = i; at >= detail::n_prefix_roots && !stays[at];
         at = nodes_[at].parent) {
      stays[at] = true;
    }
  }
  std::size_t n = 0;
  for (node_index i = detail::n_prefix_roots; i < nodes_.size(); ++i) {
    n += nodes_[i].page && !stays[i];
  }
  return n;
}

TINYPHI_FUNC std::vector<prefix_cache::branch> prefix_cache::branches() const {
  std::vector<node_index> leaves;
  for (node_index i = detail::n_prefix_roots; i < nodes_.size(); ++i) {
    if (!nodes_[i].ids.empty() && nodes_[i].children.empty()) {
      leaves.push_back(i);
    }
  }
  std::sort(leaves.begin(), leaves.end(), [&](node_index a, node_index b) {
    return nodes_[a].used > nodes_[b].used;
  });
  std::vector<branch> all;
  for (const node_index leaf : leaves) {
    branch b;
    b.domain = nodes_[leaf].domain;
    b.pinned = nodes_[leaf].pinned;
    std::vector<node_index> path;
    node_index at = leaf;
    for (; at >= detail::n_prefix_roots; at = nodes_[at].parent) {
      path.push_back(at);
    }
    b.root.long_factors = at == 1;
    for (auto i = path.rbegin(); i != path.rend(); ++i) {
      const node& n = nodes_[*i];
      b.text.insert(b.text.end(), n.ids.begin(), n.ids.end());
      b.pages.push_back(n.page);
    }
    all.push_back(std::move(b));
  }
  return all;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_GENERATE_PREFIX_CACHE_IPP_
