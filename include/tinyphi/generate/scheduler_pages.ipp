// SPDX-License-Identifier: MIT
// The driver's pages: who begins, what the prefix cache gives and gets, who
// gives way when pages run short.
#ifndef TINYPHI_GENERATE_SCHEDULER_PAGES_IPP_
#define TINYPHI_GENERATE_SCHEDULER_PAGES_IPP_

#include <algorithm>
#include <chrono>
#include <tuple>
#include <vector>

#include "tinyphi/generate/scheduler.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC std::size_t scheduler::pages_for(std::size_t length) const {
  return most_kv_pages(model_.config(), length, options_.prefill_chunk);
}

// What must be free for `s` to begin: its text so far and an answer as long as
// answers are as a rule. More is asked for when it is needed.
TINYPHI_FUNC std::size_t scheduler::pages_to_begin(const sequence& s) const {
  const std::size_t left =
      s.kind == request_kind::answer ? s.max_tokens - s.answer.size() : 0;
  const auto expected = static_cast<std::size_t>(expected_answer_);
  return pages_for(s.tokens.size() + std::min(left, expected));
}

// The oldest request that runs comes to its end whatever others need.
TINYPHI_FUNC std::size_t scheduler::pages_kept_for_oldest() const {
  if (running_.empty()) return 0;
  const sequence& oldest = **std::min_element(
      running_.begin(), running_.end(),
      [](const auto& a, const auto& b) { return a->order < b->order; });
  std::size_t held = 0;
  for (const kv_page& page : oldest.kv->pages()) held += bool(page);
  return oldest.worst_pages > held ? oldest.worst_pages - held : 0;
}

TINYPHI_FUNC std::size_t scheduler::pages_to_give() const {
  const std::size_t kept = pages_kept_for_oldest();
  const std::size_t all = pool_.free_pages() + cache_.evictable_pages();
  return all > kept ? all - kept : 0;
}

TINYPHI_FUNC void scheduler::admit() {
  while (!waiting_.empty()) {
    candidates_.clear();
    places_.clear();
    for (auto i = waiting_.begin(); i != waiting_.end(); ++i) {
      const sequence& s = **i;
      // A twin begins when its leader has read what they share.
      if (s.leader && !s.leader->done &&
          (!s.leader->kv || s.leader->kv->length() < s.n_shared)) {
        continue;
      }
      candidates_.push_back({s.tenant, s.priority, pages_to_begin(s), s.order});
      places_.push_back(i);
    }
    std::optional<std::size_t> next;
    if (running_.size() < options_.max_sequences) {
      next = admission_.next(candidates_, pages_to_give(), shares_);
    }
    if (next) {
      admission_.begun(candidates_, *next);
    } else {
      next = make_room();
    }
    if (!next) return;
    sequence& s = **places_[*next];
    running_.splice(running_.end(), waiting_, places_[*next]);
    begin(s);
    s.has_begun = true;
  }
}

// The candidate for which others gave way: one whose tenant has nothing
// running, while others have more than one place each. Nobody does who could
// not make room enough.
TINYPHI_FUNC std::optional<std::size_t> scheduler::make_room() {
  std::vector<sequences::iterator> places, leaving;
  const std::vector<plan_request> all = running_requests(places);
  // Free pages are the oldest's that was held back.
  const std::size_t free_pages = admission_.holds_back() ? 0 : pages_to_give();
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    const waiting_request& w = candidates_[i];
    if (!choose_victim_for(w, all, shares_)) continue;
    const auto before = [this](const waiting_request& a) {
      return std::tuple(a.priority, -shares_.credit(a.tenant), a.order);
    };
    if (best && before(candidates_[*best]) <= before(w)) continue;
    std::vector<plan_request> running = all;
    std::vector<sequences::iterator> would_leave;
    std::size_t pages = free_pages;
    while (would_leave.empty() || w.pages > pages) {
      const auto victim = choose_victim_for(w, running, shares_);
      if (!victim) break;
      would_leave.push_back(places[running[*victim].index]);
      running.erase(running.begin() + static_cast<std::ptrdiff_t>(*victim));
      pages += pages_of_its_own(*would_leave.back());
    }
    if (w.pages > pages) continue;
    best = i;
    leaving = std::move(would_leave);
  }
  if (!best) return std::nullopt;
  for (const auto& place : leaving) give_way(place);
  // Pages that others hold, too, did not become free.
  if (candidates_[*best].pages > pages_to_give()) return std::nullopt;
  return best;
}

// Pages that no other running request has: beginnings that are shared stand at
// the same place.
TINYPHI_FUNC std::size_t scheduler::pages_of_its_own(
    const std::shared_ptr<sequence>& owner) const {
  const auto pages = owner->kv->pages();
  std::size_t n = 0;
  for (std::size_t i = 0; i < pages.size(); ++i) {
    if (!pages[i]) continue;
    n += std::none_of(running_.begin(), running_.end(), [&](const auto& s) {
      return s != owner && s->kv && i < s->kv->pages().size() &&
             s->kv->pages()[i] == pages[i];
    });
  }
  return n;
}

// Those that could give way; each one's index is that of its place.
TINYPHI_FUNC std::vector<plan_request> scheduler::running_requests(
    std::vector<sequences::iterator>& places) {
  std::vector<plan_request> all;
  places.clear();
  for (auto i = running_.begin(); i != running_.end(); ++i) {
    const sequence& s = **i;
    if (s.done || !s.kv) continue;
    plan_request r;
    r.index = places.size();
    r.tenant = s.tenant;
    r.priority = s.priority;
    r.left = s.left();
    r.order = s.order;
    all.push_back(r);
    places.push_back(i);
  }
  return all;
}

TINYPHI_FUNC void scheduler::begin(sequence& s) {
  {
    const std::lock_guard lock(mutex_);
    --n_waiting_;
    n_waiting_tokens_ -= std::min(n_waiting_tokens_, s.tokens.size());
  }
  if (!s.admitted) s.admitted = std::chrono::steady_clock::now();
  s.kv.emplace(pool_, model_.config());
  s.kv->expect(s.prompt_tokens + s.max_tokens);
  s.pages_offered = 0;
  const auto leader = std::exchange(s.leader, nullptr);
  if (leader && leader->kv && leader->kv->length() >= s.n_shared &&
      leader->long_factors == s.long_factors) {
    kv_sequence twin = leader->kv->fork();
    if (twin.truncate(s.n_shared)) {
      s.kv = std::move(twin);
      s.kv->expect(s.prompt_tokens + s.max_tokens);
      s.cached_tokens = s.n_shared;
      s.n_found = s.n_read = s.n_shared;
      return;
    }
  }
  if (s.swapped_length > 0 && go_on_from_disk(s)) return;
  go_on_from_cache(s);
}

// Writes the pages of a request that gives way to the disk, if reading them
// back costs less than computing their text again, as far as both were
// measured.
TINYPHI_FUNC void scheduler::put_aside(sequence& s) {
  if (!swap_ || s.kv->length() == 0) return;
  const std::span<const kv_page> pages =
      s.kv->pages().first(n_pages(s.kv->length()));
  const double page_bytes = static_cast<double>(pool_.page_bytes());
  double disk_ms = 0;  // a page, there and back
  for (const double speed : {swap_->write_speed(), swap_->read_speed()}) {
    if (speed > 0) disk_ms += 1e3 * page_bytes / speed;
  }
  if (disk_ms >= cost_.linear_ms(page_tokens)) return;
  for (const kv_page& page : pages) {
    s.swapped.emplace_back();
    if (!page) continue;
    s.swapped.back() = swap_->write(page);
    if (!s.swapped.back()) return forget_swapped(s);
  }
  s.swapped_length = s.kv->length();
}

TINYPHI_FUNC void scheduler::forget_swapped(sequence& s) {
  for (const auto& slot : s.swapped) {
    if (slot) swap_->release(*slot);
  }
  s.swapped.clear();
  s.swapped_length = 0;
}

// False, and nothing has changed, if there is no room or the disk fails: then
// the text is computed again.
TINYPHI_FUNC bool scheduler::go_on_from_disk(sequence& s) {
  std::vector<kv_page> pages;
  bool whole = true;
  for (const auto& slot : s.swapped) {
    pages.emplace_back();
    if (!slot) continue;
    auto page = pool_.acquire();
    whole = page && swap_->read(*slot, *page);
    if (!whole) break;
    pages.back() = *std::move(page);
  }
  if (whole) {
    s.kv->adopt(pages, s.swapped_length);
    ++n_swapped_;
  }
  forget_swapped(s);
  return whole;
}

// Takes over what the prefix cache has of the text of `s`, whose own cache is
// empty. At least the last token is computed, for its output; of a text that is
// embedded, all are.
TINYPHI_FUNC void scheduler::go_on_from_cache(sequence& s) {
  if (!options_.prefix_cache || s.kind == request_kind::embed) return;
  const std::size_t outputs =
      s.kind == request_kind::score ? s.targets.size() : 1;
  const prefix_match match =
      cache_.find({s.long_factors}, s.domain,
                  std::span(s.tokens).first(s.tokens.size() - outputs));
  if (match.length == 0) return;
  s.kv->adopt(match.pages, match.length);
  s.pages_offered = match.length / page_tokens;
  if (s.answer.empty()) {
    s.cached_tokens = match.length;
    s.n_found = s.n_read = std::min(match.length, s.prompt_tokens);
  }
}

// Gives the prefix cache what `s` has computed: full pages as they fill up, and
// the last one, too, when it will not be written any more.
TINYPHI_FUNC void scheduler::offer_pages(sequence& s, bool all) {
  if (!options_.prefix_cache || !s.kv) return;
  std::size_t length = s.kv->length();
  // Fast prefill computes prompts in another way than answers.
  if (model_.fast_prefill()) length = std::min(length, s.prompt_tokens);
  if (!all) length -= length % page_tokens;
  const std::size_t n = n_pages(length);
  if (n <= s.pages_offered && !all) return;
  // What does not fit into memory is not cached.
  (void)detail::without_throwing([&] {
    cache_.insert({s.long_factors}, s.domain, std::span(s.tokens).first(length),
                  s.kv->pages().first(n));
    if (!all || !s.pin_prompt || s.stop.reason()) return;
    const std::size_t pinned = std::min(length, s.prompt_tokens);
    cache_.insert({s.long_factors}, s.domain, std::span(s.tokens).first(pinned),
                  s.kv->pages().first(n_pages(pinned)), true);
  });
  s.pages_offered = n;
}

// Makes room for the rows of this step. Where pages are short, cached ones go
// first (the pool sees to it), then others' requests give way.
TINYPHI_FUNC void scheduler::reserve_pages() {
  for (std::size_t i = 0; i < runs_.size();) {
    sequence& s = *owners_[i];
    suspect_ = &s;
    const std::size_t length = s.kv->length() + runs_[i].tokens.size();
    const auto ok = s.kv->reserve(length);
    if (ok) {
      ++i;
      continue;
    }
    // Memory that the system does not have is nobody's to give.
    const bool spent = pool_.free_pages() < s.kv->pages_to_reserve(length);
    // A page that the cache holds, too, is written to without a copy if the
    // cache lets go of it.
    const std::size_t written = s.kv->length() / page_tokens;
    if (spent && written < s.kv->pages().size() &&
        cache_.let_go(s.kv->pages()[written])) {
      continue;
    }
    if (spent && give_way()) {
      // Whoever gave way may be in this step, before or behind this run.
      for (std::size_t k = runs_.size(); k-- > 0;) {
        if (owners_[k]->kv) continue;
        runs_.erase(runs_.begin() + static_cast<std::ptrdiff_t>(k));
        owners_.erase(owners_.begin() + static_cast<std::ptrdiff_t>(k));
        if (k < i) --i;
      }
      continue;
    }
    finish(s, finish_reason::error, ok.error());
    runs_.erase(runs_.begin() + static_cast<std::ptrdiff_t>(i));
    owners_.erase(owners_.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

// False if nobody can give way: the oldest never does.
TINYPHI_FUNC bool scheduler::give_way() {
  std::vector<sequences::iterator> places;
  const auto victim = choose_victim(running_requests(places), shares_);
  if (victim) give_way(places[*victim]);
  return victim.has_value();
}

// Lets a request wait again, with what it has come to so far; its text is
// computed once more when there is room, with the same result.
TINYPHI_FUNC void scheduler::give_way(sequences::iterator place) {
  sequence& s = **place;
  // What scores and embeddings have gathered belongs to computed rows.
  if (s.kind == request_kind::answer) {
    put_aside(s);
  } else {
    s.logprobs.clear();
    s.sums.clear();
  }
  offer_pages(s, true);
  s.kv.reset();
  ++n_preempted_;
  {
    const std::lock_guard lock(mutex_);
    ++n_waiting_;
    n_waiting_tokens_ += s.tokens.size();
  }
  waiting_.splice(waiting_.begin(), running_, place);
}

TINYPHI_FUNC tinyphi::prefix_folder scheduler::cache_folder() const {
  return {options_.cache_folder, options_.cache_folder_bytes};
}

TINYPHI_FUNC std::string scheduler::cache_note() {
  const std::lock_guard lock(mutex_);
  return cache_note_;
}

// Whatever is wrong with the folder, requests are answered without it.
TINYPHI_FUNC void scheduler::load_cache() {
  if (!options_.prefix_cache || options_.cache_folder.empty()) return;
  const auto ok = detail::without_throwing([&] {
    cache_key_ = prefix_key_of(model_, pool_.type(), team_);
    const auto report = load_prefixes(cache_folder(), *cache_key_, cache_,
                                      pool_, pool_.max_pages());
    cache_note_ = report ? report->note : report.error().message;
  });
  if (!ok) cache_note_ = ok.error().message;
}

TINYPHI_FUNC void scheduler::save_cache() {
  if (!cache_key_ || saved_at_step_ == n_steps_) return;
  std::string note;
  const auto ok = detail::without_throwing([&] {
    const auto report = save_prefixes(cache_folder(), *cache_key_, cache_);
    note = report ? report->note : report.error().message;
  });
  saved_at_step_ = n_steps_;
  const std::lock_guard lock(mutex_);
  cache_note_ = ok ? std::move(note) : ok.error().message;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_GENERATE_SCHEDULER_PAGES_IPP_
