// SPDX-License-Identifier: MIT
// What guards cost on 4 KiB of text: a verdict by gitleaks' 221 rules with
// personal data of all kinds, which must take 0.3 ms at most, and the others.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "plugins/guard/hold_back.h"
#include "plugins/guard/injection.h"
#include "plugins/guard/links.h"
#include "plugins/guard/pii.h"
#include "plugins/guard/rules.h"

using namespace tinyphi;

namespace {

constexpr std::size_t bytes = 4096;

std::string repeated(std::string_view unit) {
  std::string text;
  while (text.size() < bytes) text += unit;
  return text.substr(0, bytes);
}

// The median of 201 runs, in milliseconds.
double median_ms(const std::function<void()>& f) {
  std::vector<double> times;
  for (int i = 0; i < 201; ++i) {
    const auto start = std::chrono::steady_clock::now();
    f();
    const std::chrono::duration<double, std::milli> time =
        std::chrono::steady_clock::now() - start;
    times.push_back(time.count());
  }
  std::ranges::nth_element(times, times.begin() + 100);
  return times[100];
}

}  // namespace

int main() {
  const auto rules =
      guard::load_rules(TINYPHI_ROOT "/tests/data/guard/gitleaks.toml");
  if (!rules || !guard::injection_rules() || !guard::secret_rules()) return 1;
  constexpr guard::pii_kind kinds[] = {
      guard::pii_kind::card,  guard::pii_kind::iban, guard::pii_kind::phone,
      guard::pii_kind::email, guard::pii_kind::ip,   guard::pii_kind::date};
  const auto finder = guard::pii_finder::make(kinds);
  if (!finder) return 1;

  const std::pair<const char*, std::string> texts[] = {
      {"prose",
       repeated("The pump stops when the tank is empty. Close the valve "
                "first, then open the lid and clean the filter.\n")},
      {"mail",
       repeated("Dear Ms Byron, your order 4711 of 2025-01-31 is on its "
                "way. Call +49 30 1234567 or write to help@example.com. "
                "The card 4111 1111 1111 1111 was charged.\n")},
      {"settings",
       repeated("api_key = \"x9Kd2mQ7vLr4TzW8bNc3\"\npassword: "
                "hunter2\nurl = https://api.example.com/v1?token=a\n"
                "timeout = 30 # seconds\n")},
      {"digits", repeated("0171 23 4567 12.5 10.0.0.1 99-12 ")}};
  std::printf("%zu rules, 4 KiB of text; median ms\n", rules->size());
  std::printf("%-10s %8s %8s %8s | %9s %8s %8s\n", "", "both", "rules", "data",
              "injection", "links", "stream");
  for (const auto& [name, text] : texts) {
    const double by_rules = median_ms([&] {
      (void)guard::judge(text, {&*rules, 1});
    });
    const double data = median_ms([&] { (void)guard::mask(text, *finder); });
    const double both = median_ms([&] {
      (void)guard::judge(text, {&*rules, 1});
      (void)guard::mask(text, *finder);
    });
    const double injection =
        median_ms([&] { (void)guard::judge_injection(text); });
    const double links = median_ms([&] { (void)guard::clean_links(text, {}); });
    // As tokens come; without what would end the text.
    const double stream = median_ms([&] {
      guard::hold_back_options options;
      options.rules = {*guard::secret_rules()};
      guard::hold_back held(std::move(options));
      for (std::size_t i = 0; i < text.size(); i += 4) {
        (void)held.push(std::string_view(text).substr(i, 4));
      }
      (void)held.finish();
    });
    std::printf("%-10s %8.3f %8.3f %8.3f | %9.3f %8.3f %8.3f\n", name, both,
                by_rules, data, injection, links, stream);
  }
}
