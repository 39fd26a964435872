// SPDX-License-Identifier: MIT
#include "tinyphi/serve/api_error.h"

#include "support/test.h"

using namespace tinyphi;

namespace {

TEST_CASE("the body of an error is OpenAI's") {
  const json::value body = json::parse(
      to_body(invalid_value("messages[0].role", "allowed are user and tool")));
  const json::value expected = {{"error",
                                 {{"message", "allowed are user and tool"},
                                  {"type", "invalid_request_error"},
                                  {"param", "messages[0].role"},
                                  {"code", "invalid_value"}}}};
  CHECK(body == expected);
}

TEST_CASE("a body has null where there is no field and no code") {
  const json::value body = json::parse(to_body({.message = "m"}));
  CHECK(body.at("error").at("param").is_null());
  CHECK(body.at("error").at("code").is_null());
}

TEST_CASE("errors have the status that tells a client whose fault they are") {
  const auto [code, status, retry] = GENERATE(table<error_code, unsigned, bool>(
      {{error_code::invalid_argument, 400, false},
       {error_code::bad_data, 400, false},
       {error_code::unsupported, 400, false},
       {error_code::not_found, 404, false},
       {error_code::limit, 400, false},
       {error_code::deadline, 504, false},
       {error_code::cancelled, 503, true},
       {error_code::io, 500, false},
       {error_code::internal, 500, false}}));
  const api_error e = to_api_error({code, "m"});
  CHECK(e.status == status);
  CHECK(e.should_retry == retry);
}

TEST_CASE("what failed inside the server is not told") {
  const api_error e =
      to_api_error({error_code::io, "/home/secret/model.gguf: EIO"});
  CHECK(to_body(e).find("secret") == std::string::npos);
}

TEST_CASE("a full queue says when to try again, in tenths of a second") {
  const auto headers =
      retry_headers(to_api_error({error_code::unavailable, "full"}, 1.234));
  CHECK(headers == std::vector<std::pair<std::string, std::string>>{
                       {"retry-after-ms", "1300"}, {"retry-after", "2"}});
}

TEST_CASE("a client is told not to wait more than 120 s") {
  const auto headers =
      retry_headers(to_api_error({error_code::unavailable, "full"}, 120.1));
  CHECK(headers == std::vector<std::pair<std::string, std::string>>{
                       {"x-should-retry", "false"}});
}

}  // namespace
