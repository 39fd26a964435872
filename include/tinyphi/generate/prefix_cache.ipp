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
  const step shared = whole_shared_child(parent, rest);
  return shared.n_equal > own.n_equal ? shared : own;
}

// The longest shared child with which `rest` begins. Part of one does not
// count for others: how far they agree with it would tell them whether a guess
// at what it holds is right. Such children stand at the place of `rest` or in
// front of it.
TINYPHI_FUNC prefix_cache::step prefix_cache::whole_shared_child(
    node_index parent, std::span<const token_id> rest) const {
  const auto& children = nodes_[parent].children;
  const std::size_t place = child_place(parent, shared_domain, rest);
  for (std::size_t i = std::min(place + 1, children.size()); i-- > 0;) {
    const node& n = nodes_[children[i]];
    const std::size_t equal = detail::common_prefix(n.ids, rest);
    if (n.domain == shared_domain && equal == n.ids.size()) {
      return {children[i], equal};
    }
    if (i < place && (n.domain != shared_domain || equal == 0)) break;
  }
  return {};
}

// Goes on from a node through children of one domain as far as they agree.
TINYPHI_FUNC void prefix_cache::walk(path& p, node_index at, domain_id domain,
                                     std::span<const token_id> text,
                                     bool whole_only) const {
  while (p.length < text.size()) {
    const auto rest = text.subspan(p.length);
    const step next = whole_only ? whole_shared_child(at, rest)
                                 : best_child_of(at, domain, rest);
    if (next.n_equal == 0) return;
    if (p.steps.size() == p.steps.capacity()) {
      p.steps.reserve(n_pages(text.size()));
    }
    p.steps.push_back(next);
    p.length += next.n_equal;
    if (next.n_equal < page_tokens) return;
    at = next.child;
  }
}

// Shared nodes hang under shared ones only, so a way through the tree is shared
// at first and then goes on in one's own domain, from any point of the former.
template <class F>
void prefix_cache::for_each_path(prefix_root root, domain_id domain,
                                 std::span<const token_id> text, F&& f) const {
  path shared;
  walk(shared, root_node(root), shared_domain, text, domain != shared_domain);
  f(shared);
  if (domain == shared_domain) return;
  for (std::size_t n = shared.length / page_tokens + 1; n-- > 0;) {
    const node_index at = n == 0 ? root_node(root) : shared.steps[n - 1].child;
    const std::size_t length = n * page_tokens;
    if (best_child_of(at, domain, text.subspan(length)).n_equal == 0) continue;
    path own;
    own.steps.assign(shared.steps.begin(),
                     shared.steps.begin() + static_cast<std::ptrdiff_t>(n));
    own.length = length;
    walk(own, at, domain, text, false);
    f(std::move(own));
  }
}

// True if every page is there that the token behind the path sees.
TINYPHI_FUNC bool prefix_cache::whole(const path& p) const {
  const std::size_t first = first_page_seen(p.length, window_);
  for (std::size_t i = first; i < p.steps.size(); ++i) {
    if (!nodes_[p.steps[i].child].page) return false;
  }
  return true;
}

// Goes back to the deepest point that a sequence can go on from. Where a page
// is gone, one of a text that agrees for a shorter while may be there.
TINYPHI_FUNC void prefix_cache::shorten_to_pages(
    path& p, domain_id domain, std::span<const token_id> text) const {
  while (!p.steps.empty() && !whole(p)) {
    const step last = p.steps.back();
    p.steps.pop_back();
    p.length -= last.n_equal;
    if (nodes_[last.child].page) continue;
    const auto rest = text.subspan(p.length);
    step best;
    for (const node_index i : nodes_[nodes_[last.child].parent].children) {
      const node& n = nodes_[i];
      if (!n.page || n.domain != nodes_[last.child].domain) continue;
      const std::size_t equal = detail::common_prefix(n.ids, rest);
      const bool part = equal < n.ids.size();
      if (part && n.domain == shared_domain && domain != n.domain) continue;
      if (equal > best.n_equal) best = {i, equal};
    }
    if (best.n_equal == 0) continue;
    p.steps.push_back(best);
    p.length += best.n_equal;
  }
}

TINYPHI_FUNC prefix_match prefix_cache::find(prefix_root root, domain_id domain,
                                             std::span<const token_id> text) {
  path best;
  for_each_path(root, domain, text, [&](path p) {
    shorten_to_pages(p, domain, text);
    if (p.length > best.length) best = std::move(p);
  });
  prefix_match match;
  match.length = best.length;
  match.pages.resize(best.steps.size());
  const std::size_t first = first_page_seen(best.length, window_);
  for (std::size_t i = 0; i < best.steps.size(); ++i) {
    node& n = nodes_[best.steps[i].child];
    n.used = clock_;
    if (i >= first) match.pages[i] = n.page;
  }
  ++clock_;
  return match;
}

TINYPHI_FUNC prefix_cache::node_index prefix_cache::add_child(
    node_index parent, domain_id domain, std::span<const token_id> ids) {
  while (n_nodes() >= max_nodes_) {
    if (!remove_oldest_leaf()) return detail::no_node;
  }
  // What asks for memory comes first, so that a lack of it changes nothing.
  if (unused_.empty()) {
    unused_.reserve(2 * nodes_.size());
    nodes_.emplace_back();
    unused_.push_back(static_cast<node_index>(nodes_.size() - 1));
  }
  auto& siblings = nodes_[parent].children;
  if (siblings.size() == siblings.capacity()) {
    siblings.reserve(2 * siblings.size() + 1);
  }
  const node_index i = unused_.back();
  node& n = nodes_[i];
  n.ids.assign(ids.begin(), ids.end());
  unused_.pop_back();
  n.domain = domain;
  n.parent = parent;
  n.used = clock_;
  const std::size_t place = child_place(parent, domain, ids);
  siblings.insert(siblings.begin() + static_cast<std::ptrdiff_t>(place), i);
  return i;
}

// The child that holds at least `ids`, made or lengthened where there is none.
TINYPHI_FUNC prefix_cache::node_index prefix_cache::child_for(
    node_index parent, domain_id domain, std::span<const token_id> ids,
    bool has_page) {
  const step best = best_child(parent, domain, ids);
  if (best.n_equal == 0) return add_child(parent, domain, ids);
  node& n = nodes_[best.child];
  if (best.n_equal == ids.size()) {
    // Not a longer one whose page is gone: ours would not hold all of it.
    if (n.ids.size() == ids.size() || n.page || !has_page) return best.child;
    return add_child(parent, domain, ids);
  }
  if (n.domain != domain || n.ids.size() != best.n_equal || !has_page) {
    return add_child(parent, domain, ids);
  }
  // A shorter text ended inside this page: the longer one takes its place.
  std::vector<token_id> longer(ids.begin(), ids.end());
  auto& siblings = nodes_[parent].children;
  siblings.erase(std::find(siblings.begin(), siblings.end(), best.child));
  n.ids.swap(longer);
  set_page(best.child, {});
  const std::size_t place = child_place(parent, domain, ids);
  siblings.insert(siblings.begin() + static_cast<std::ptrdiff_t>(place),
                  best.child);
  return best.child;
}

// Another node may hold the page already, where a text is both shared and
// somebody's own; with two references it would never go.
TINYPHI_FUNC void prefix_cache::set_page(node_index i, const kv_page& page) {
  if (page && !held_.insert(page.data()).second) return;
  if (nodes_[i].page) held_.erase(nodes_[i].page.data());
  nodes_[i].page = page;
}

TINYPHI_FUNC void prefix_cache::insert(prefix_root root, domain_id domain,
                                       std::span<const token_id> text,
                                       std::span<const kv_page> pages,
                                       bool pin) {
  // The longest way, as find() takes it, so that pages come to lie where they
  // came from.
  path best;
  for_each_path(root, domain, text, [&](path p) {
    if (p.length > best.length) best = std::move(p);
  });
  for (const step& s : best.steps) {
    if (s.n_equal == page_tokens) nodes_[s.child].used = clock_;
  }
  node_index at = root_node(root);
  for (std::size_t i = 0; i < pages.size() && i * page_tokens < text.size();
       ++i) {
    const auto rest = text.subspan(i * page_tokens);
    const auto ids = rest.first(std::min(page_tokens, rest.size()));
    const bool known =
        i < best.steps.size() && best.steps[i].n_equal == page_tokens;
    const node_index next = known ? best.steps[i].child
                                  : child_for(at, domain, ids, bool(pages[i]));
    if (next == detail::no_node) break;
    at = next;
    node& n = nodes_[at];
    n.used = clock_;
    if (pin && !std::exchange(n.pinned, true)) ++n_pinned_;
    if (!n.page) set_page(at, pages[i]);
  }
  ++clock_;
  if (at >= detail::n_prefix_roots && !nodes_[at].page &&
      nodes_[at].children.empty()) {
    remove_leaf(at);
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
    if (nodes_[leaf].pinned) --n_pinned_;
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

// Which nodes lie behind the window of every leaf below them: of no more use,
// except to texts that branch off there. Empty without a window.
TINYPHI_FUNC std::vector<bool> prefix_cache::unseen_nodes() const {
  if (window_ == 0) return {};
  std::vector<bool> unseen(nodes_.size(), false);
  // How many pages the nearest leaf is away.
  std::vector<std::uint32_t> distance(nodes_.size(), detail::no_node);
  for (node_index i = detail::n_prefix_roots; i < nodes_.size(); ++i) {
    if (nodes_[i].ids.empty() || !nodes_[i].children.empty()) continue;
    std::uint32_t d = 0;
    for (node_index at = i; at >= detail::n_prefix_roots && d < distance[at];
         at = nodes_[at].parent) {
      distance[at] = d++;
    }
  }
  for (node_index i = detail::n_prefix_roots; i < nodes_.size(); ++i) {
    unseen[i] = distance[i] > n_pages(window_) && !nodes_[i].ids.empty();
  }
  return unseen;
}

TINYPHI_FUNC bool prefix_cache::evict() {
  const std::vector<bool> unseen = unseen_nodes();
  node_index best = detail::no_node;
  bool best_unseen = false;
  for (node_index i = detail::n_prefix_roots; i < nodes_.size(); ++i) {
    const node& n = nodes_[i];
    if (!n.page || n.pinned || n.page.shared()) continue;
    const bool is_unseen = !unseen.empty() && unseen[i];
    if (!is_unseen && !n.children.empty()) continue;
    if (best == detail::no_node || (is_unseen && !best_unseen) ||
        (is_unseen == best_unseen && n.used < nodes_[best].used)) {
      best = i;
      best_unseen = is_unseen;
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

TINYPHI_FUNC bool prefix_cache::let_go(const kv_page& page) {
  if (!page || held_.count(page.data()) == 0) return false;
  for (node_index i = detail::n_prefix_roots; i < nodes_.size(); ++i) {
    if (nodes_[i].page != page) continue;
    if (nodes_[i].pinned) return false;
    if (nodes_[i].children.empty()) {
      remove_leaf(i);
    } else {
      set_page(i, {});
    }
    return true;
  }
  return false;
}

TINYPHI_FUNC void prefix_cache::clear() {
  for (node_index i = detail::n_prefix_roots; i < nodes_.size(); ++i) {
    for (node_index at = i; at >= detail::n_prefix_roots;) {
      const node& n = nodes_[at];
      if (n.ids.empty() || !n.children.empty() || n.pinned) break;
      const node_index parent = n.parent;
      remove_leaf(at);
      at = parent;
    }
  }
}

TINYPHI_FUNC void prefix_cache::unpin_all() {
  for (node& n : nodes_) n.pinned = false;
  n_pinned_ = 0;
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
  const std::vector<bool> unseen = unseen_nodes();
  std::size_t n = 0;
  for (node_index i = detail::n_prefix_roots; i < nodes_.size(); ++i) {
    const node& at = nodes_[i];
    if (!at.page) continue;
    n += !stays[i] ||
         (!unseen.empty() && unseen[i] && !at.pinned && !at.page.shared());
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
    std::vector<node_index> way;
    node_index at = leaf;
    for (; at >= detail::n_prefix_roots; at = nodes_[at].parent) {
      way.push_back(at);
    }
    b.root.long_factors = at == 1;
    for (auto i = way.rbegin(); i != way.rend(); ++i) {
      const node& n = nodes_[*i];
      if (n.domain == shared_domain) b.n_shared += n.ids.size();
      b.text.insert(b.text.end(), n.ids.begin(), n.ids.end());
      b.pages.push_back(n.page);
    }
    all.push_back(std::move(b));
  }
  return all;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_GENERATE_PREFIX_CACHE_IPP_
