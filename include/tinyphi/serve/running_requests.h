// SPDX-License-Identifier: MIT
// The requests that are under way, so that they can be shown, and ended by
// somebody else: their caller from another connection, or a server that stops.
#ifndef TINYPHI_SERVE_RUNNING_REQUESTS_H_
#define TINYPHI_SERVE_RUNNING_REQUESTS_H_

#include <cstddef>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "tinyphi/base/cancel.h"
#include "tinyphi/serve/caller.h"

TINYPHI_NAMESPACE_BEGIN

struct running_request {
  std::string id;
  std::string model;
  std::string_view state = "queued";  // "queued", "prefill", "decode"
  steady_time began;
  std::size_t prompt_tokens = 0, generated_tokens = 0;
  std::shared_ptr<const caller> from;
  cancel_token stop;  // ends it
  // Why `stop` was cancelled by the server: "shutdown", or empty.
  std::string_view ended_by = {};
};

// On the io thread only. There are at most as many as there are connections.
class running_requests {
 public:
  using list = std::list<running_request>;

  // Takes its request off the list when it goes.
  class entry {
   public:
    entry(list& all, running_request r)
        : all_(&all), at_(all.insert(all.end(), std::move(r))) {}
    ~entry() { all_->erase(at_); }
    entry(const entry&) = delete;
    entry& operator=(const entry&) = delete;
    [[nodiscard]] running_request* operator->() { return &*at_; }

   private:
    list* all_;
    list::iterator at_;
  };

  [[nodiscard]] entry add(running_request r) { return {all_, std::move(r)}; }
  [[nodiscard]] const list& all() const { return all_; }
  // Ends the requests of that id which `by` may end: its own, or anybody's for
  // an admin. False if there is none.
  bool cancel(std::string_view id, const caller& by);
  void cancel_all(std::string_view why);

 private:
  list all_;
};

[[nodiscard]] inline bool may_see(const caller& who, const running_request& r) {
  return who.admin || r.from->tenant == who.tenant;
}

inline bool running_requests::cancel(std::string_view id, const caller& by) {
  bool found = false;
  for (const running_request& r : all_) {
    if (r.id != id || !may_see(by, r)) continue;
    r.stop.cancel();
    found = true;
  }
  return found;
}

inline void running_requests::cancel_all(std::string_view why) {
  for (running_request& r : all_) {
    r.ended_by = why;
    r.stop.cancel();
  }
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_RUNNING_REQUESTS_H_
