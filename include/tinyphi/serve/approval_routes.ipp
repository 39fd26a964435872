// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_APPROVAL_ROUTES_IPP_
#define TINYPHI_SERVE_APPROVAL_ROUTES_IPP_

#include <string>
#include <utility>
#include <vector>

#include "tinyphi/serve/approval_routes.h"
#include "tinyphi/serve/approvals.h"
#include "tinyphi/serve/parse_request.h"
#include "tinyphi/serve/request_tables.h"
#include "tinyphi/serve/respond.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline boost::asio::awaitable<void> list_approvals(http_exchange& x,
                                                   const server_state& s) {
  json::array all;
  for (const auto* p : s.answers.approvals->seen_by(*x.request().from)) {
    all.push_back(describe_approval(*p));
  }
  json::object o{{"object", "list"}, {"data", std::move(all)}};
  auto responding = respond_json(x, std::move(o));
  co_await std::move(responding);
}

inline api_result<json::object> decide_approval(http_exchange& x,
                                                const server_state& s,
                                                const std::string& id) {
  TINYPHI_TRY(const json::object body, parse_body(x.request().body));
  std::vector<std::string> ignored;
  TINYPHI_CHECK_OK(check_fields(body, request_tables::decision, ignored));
  const std::string decision = string_field(body, "decision");
  TINYPHI_TRY(std::string what,
              s.answers.approvals->decide(id, decision == "approve",
                                          string_field(body, "digest"),
                                          *x.request().from));
  x.report().approvals.push_back(std::move(what));
  return json::object{
      {"id", id}, {"object", "approval"}, {"decision", decision}};
}

inline boost::asio::awaitable<void> answer_approval(http_exchange& x,
                                                    const server_state& s,
                                                    const std::string& id) {
  auto decided = decide_approval(x, s, id);
  if (!decided) {
    co_await respond_with(x, decided.error());
    co_return;
  }
  auto responding = respond_json(x, *std::move(decided));
  co_await std::move(responding);
}

}  // namespace detail

TINYPHI_FUNC void add_approval_routes(router& to, server_state& s) {
  constexpr std::size_t max_decision = 4096;
  to.add({"GET", "/v1/approvals", route_access::key, 0, error_form::openai,
          [&s](http_exchange& x, const std::vector<std::string>&) {
            return detail::list_approvals(x, s);
          }});
  to.add({"POST", "/v1/approvals/{id}", route_access::key, max_decision,
          error_form::openai,
          [&s](http_exchange& x, const std::vector<std::string>& captured) {
            return detail::answer_approval(x, s, captured[0]);
          }});
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_APPROVAL_ROUTES_IPP_
