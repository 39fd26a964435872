// SPDX-License-Identifier: MIT
// The stage `http.fetch`: an address of the web, perhaps with a body -> what it
// answers. Only hosts of [allow].net are asked.
#ifndef TINYPHI_PLUGINS_HTTP_FETCH_HTTP_FETCH_H_
#define TINYPHI_PLUGINS_HTTP_FETCH_HTTP_FETCH_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "plugins/http_fetch/client.h"
#include "plugins/http_fetch/headers.h"
#include "tinyphi/base/ascii.h"
#include "tinyphi/pipeline/stage.h"
#include "tinyphi/pipeline/value_json.h"

TINYPHI_NAMESPACE_BEGIN

struct http_fetch_stage {
  static constexpr stage_info info{
      .id = "http.fetch",
      .summary = "Asks a host of [allow].net over https",
      .effects = effect::net,
      .makes = trust::untrusted};
  static constexpr std::size_t max_body_bytes = std::size_t{4} << 20;

  enum class verb : std::uint8_t { get, post };
  struct config {
    std::string url = {};
    verb method = verb::get;
    std::map<std::string, secret_text> headers = {};
    byte_size max_bytes{1 << 20};
  };
  struct inputs {
    std::optional<std::string_view> url;
    std::optional<value_data> body;
  };
  struct outputs {
    std::string text;
    std::int64_t status = 0;
  };

  static constexpr auto params() {
    return std::tuple{
        param("url", &config::url).doc("the address, where in.url gives none"),
        param("method", &config::method).names("GET", "POST"),
        param("headers", &config::headers)
            .doc("fields to send; ${secret.NAME} keeps one secret"),
        param("max_bytes", &config::max_bytes)
            .range(byte_size{1}, byte_size{1 << 20})
            .doc("a longer answer is an error")};
  }
  static constexpr auto in_ports() {
    return std::tuple{port("url", &inputs::url).control(),
                      port("body", &inputs::body)};
  }
  static constexpr auto out_ports() {
    return std::tuple{port("text", &outputs::text),
                      port("status", &outputs::status)};
  }

  static stage_facts check(const config& c, const call_facts& call, host& h) {
    stage_facts facts;
    facts.idempotent = c.method == verb::get;
    const auto report = [&](fault code, std::string param, std::string why) {
      facts.faults.push_back({code, std::move(param), 0, std::move(why)});
    };
    const bool is_bound = call.types.contains("url");
    if (is_bound == !c.url.empty()) {
      report(is_bound ? fault::keys_conflict : fault::missing_key, "url",
             is_bound ? "with.url and in.url exclude each other"
                      : "with.url or in.url must be given");
    } else if (is_bound) {
      if (h.allowed_hosts().empty()) {
        report(fault::not_allowed, "url",
               "in.url can lead nowhere: [allow].net names no host");
      }
    } else if (const auto url = web::parse_url(c.url); !url) {
      report(fault::out_of_range, "url",
             quote(c.url) + " is no address: " + url.error().message);
    } else if (const auto granted = web::find_grant(*url, h.allowed_hosts());
               !granted) {
      report(fault::not_allowed, "url", granted.error().message);
    } else {
      facts.hosts = web::granting(*url, h.allowed_hosts());
    }
    if (call.types.contains("body") && c.method == verb::get) {
      report(fault::keys_conflict, "method",
             "in.body needs with.method = \"POST\"");
    }
    web::check_headers(c.headers, facts.faults);
    return facts;
  }

  http_fetch_stage(config c, const call_facts& call, const host& h)
      : http_fetch_stage(std::move(c), call, h, web::web_client::options{}) {}
  // With another resolver, or other authorities.
  http_fetch_stage(config c, const call_facts& call, const host& h,
                   web::web_client::options o)
      : allowed_(h.allowed_hosts()),
        client_(std::move(o)),
        max_bytes_(c.max_bytes.bytes),
        is_post_(c.method == verb::post) {
    const auto body = call.types.find("body");
    sends_text_ = body != call.types.end() && body->second.is(type_kind::text);
    fields_ = web::fields_of(c.headers);
    bool has_type = false, has_agent = false;
    for (const auto& [name, secret] : c.headers) {
      const std::string key = ascii::lower(name);
      has_type = has_type || key == "content-type";
      has_agent = has_agent || key == "user-agent";
    }
    if (!has_agent) fields_ += "User-Agent: tinyphi\r\n";
    if (!has_type && body != call.types.end()) {
      fields_ += sends_text_ ? "Content-Type: text/plain; charset=utf-8\r\n"
                             : "Content-Type: application/json\r\n";
    }
    if (c.url.empty()) return;
    url_ = unwrap(place_of(c.url));
    if (url_->first.is_secure && !web::tls_client::is_built_in) {
      throw stage_error(error_code::unsupported, web::tls_client::without_tls);
    }
  }

  task<outputs> run(run_context& cx, inputs in) const {
    const place to = url_ ? *url_ : unwrap(place_of(in.url.value_or("")));
    web::web_request request{.url = to.first, .where = to.second};
    request.method = is_post_ ? "POST" : "GET";
    request.fields = fields_;
    request.max_bytes = max_bytes_;
    if (is_post_) request.body = unwrap(body_of(in));
    auto asked = client_.fetch(std::move(request), cx.stop().deadline);
    auto answer = co_await std::move(asked);
    if (!answer) {
      throw stage_error(
          std::move(answer).error().within(to_string(to.first.host)));
    }
    outputs out;
    out.text = std::move(answer->text);
    out.status = answer->status;
    co_return out;
  }

 private:
  using place = std::pair<web::web_url, web::destination>;

  [[nodiscard]] result<place> place_of(std::string_view text) const {
    auto url = web::parse_url(text);
    if (!url) {
      return error{error_code::invalid_argument,
                   quote(text) + " is no address: " + url.error().message};
    }
    TINYPHI_TRY(const auto where, web::find_grant(*url, allowed_));
    return place{*std::move(url), where};
  }

  [[nodiscard]] result<std::string> body_of(const inputs& in) const {
    if (!in.body) return std::string();
    std::string body = sends_text_ ? *in.body->get<std::string>()
                                   : json::serialize(to_json(*in.body));
    if (body.size() <= max_body_bytes) return body;
    return error{error_code::limit,
                 "in.body has " + std::to_string(body.size()) +
                     " bytes, at most " + std::to_string(max_body_bytes) +
                     " are allowed"};
  }

  std::vector<network_host> allowed_;
  web::web_client client_;
  std::size_t max_bytes_;
  bool is_post_;
  bool sends_text_ = false;
  std::string fields_;
  std::optional<place> url_;  // nothing: it comes as data
};
static_assert(stage<http_fetch_stage>);

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_HTTP_FETCH_HTTP_FETCH_H_
