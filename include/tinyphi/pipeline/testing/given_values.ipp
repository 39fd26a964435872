// SPDX-License-Identifier: MIT
// The values of fakes, which tests may give in part. Used by test_case.ipp
// only.
#ifndef TINYPHI_PIPELINE_TESTING_GIVEN_VALUES_IPP_
#define TINYPHI_PIPELINE_TESTING_GIVEN_VALUES_IPP_

#include <algorithm>
#include <utility>

#include "tinyphi/pipeline/type.h"
#include "tinyphi/pipeline/value.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// A value that is given in part: what a record lacks is empty, 0 or false.
inline value_data completed(const value_data& data, const type& t) {
  if (t.is(type_kind::list)) {
    const auto* items = data.get<value_data::list>();
    if (items == nullptr) return data;
    value_data::list out;
    for (const value_data& item : *items) {
      out.push_back(completed(item, t.element()));
    }
    return out;
  }
  const auto* given = data.get<value_data::record>();
  if (given == nullptr || !t.is(type_kind::record)) return data;
  value_data::record out = *given;
  for (const type::field& f : t.fields()) {
    const auto it = std::ranges::find(out, f.name, &value_data::member::name);
    if (it != out.end()) {
      it->value = completed(it->value, f.type);
      continue;
    }
    if (f.optional) continue;
    switch (f.type.kind()) {
      case type_kind::boolean:
        out.push_back({f.name, false});
        break;
      case type_kind::integer:
      case type_kind::duration:
      case type_kind::size:
        out.push_back({f.name, 0});
        break;
      case type_kind::number:
        out.push_back({f.name, 0.0});
        break;
      case type_kind::list:
        out.push_back({f.name, value_data::list{}});
        break;
      case type_kind::record:
        out.push_back({f.name, completed(value_data::record{}, f.type)});
        break;
      case type_kind::json:
        out.push_back({f.name, value_data()});
        break;
      default:
        out.push_back({f.name, f.type.words().empty()
                                   ? value_data("")
                                   : value_data(f.type.words().front())});
    }
  }
  return out;
}

}  // namespace detail

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_TESTING_GIVEN_VALUES_IPP_
