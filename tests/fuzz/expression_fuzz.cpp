// SPDX-License-Identifier: MIT
// Any text as an expression: it says where it is wrong, or has a value of its
// type whatever is evaluated; what may be absent is found by the checks.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "../pipeline/expression_scope.h"

namespace {

using namespace tinyphi_test;

void require(bool condition) {
  if (!condition) std::abort();
}

void evaluate(const expression_tree& tree, const named_scope& scope,
              std::size_t size) {
  const auto e = check_expression(tree, scope);
  if (!e) {
    require(e.error().offset <= size && !e.error().message.empty());
    return;
  }
  const auto x = e->evaluate(scope.values());
  // What has no type, since a fault was reported, may have any value.
  if (tree.text().find("unknown") != std::string::npos) return;
  if (!x) {
    require(x.error().code == error_code::limit ||
            (scope.absent && x.error().code == error_code::not_found));
    return;
  }
  const auto misfit = find_misfit(*x, e->type());
  require(!misfit || misfit->find("not a finite number") != std::string::npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  static const named_scope scope = make_scope();
  static const named_scope expectations = [] {
    named_scope open = make_scope();
    open.absent = true;
    return open;
  }();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::size_t end = 0;
  const auto beginning = expression_tree::parse(text, &end);
  if (beginning) {
    require(end <= size);
    // Alone it is the same.
    const auto alone = expression_tree::parse(text.substr(0, end));
    require(alone && alone->nodes().size() == beginning->nodes().size());
  }
  const auto tree = expression_tree::parse(text);
  if (!tree) {
    require(tree.error().offset <= size && !tree.error().message.empty());
    return 0;
  }
  require(end == size);
  for (const auto& use : tree->paths(tree->proves(true))) {
    require(!use.names.empty() && use.offset < size);
  }
  evaluate(*tree, scope, size);
  evaluate(*tree, expectations, size);
  return 0;
}
