// SPDX-License-Identifier: MIT
// From a document to rules.
#ifndef TINYPHI_SCHEMA_SCHEMA_READER_IPP_
#define TINYPHI_SCHEMA_SCHEMA_READER_IPP_

#include <algorithm>
#include <iterator>

#include "tinyphi/schema/schema.h"
#include "tinyphi/schema/schema_references.ipp"
#include "tinyphi/schema/schema_words.ipp"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// Names as a message lists them: 'a', 'b'.
template <class Names>
std::string listed_names(const Names& names) {
  std::string out;
  for (const std::string_view name : names) {
    out += (out.empty() ? "'" : ", '") + std::string(name) + "'";
  }
  return out;
}

}  // namespace detail

class schema_reader {
 public:
  using node = json_tree::node;
  using code = schema_fault_code;
  using index = std::uint32_t;
  static constexpr node none = json_tree::none;

  explicit schema_reader(const schema_options& options) : options_(options) {}

  result<schema, schema::faults> read(std::string_view text) {
    auto document = json_tree::read(text, {.max_bytes = options_.max_bytes,
                                           .max_nodes = options_.max_nodes,
                                           .unique_keys = true});
    if (!document) {
      const bool large = document.error().code == error_code::limit;
      return schema::faults{{large ? code::too_large : code::bad_json, "",
                             document.error().message}};
    }
    parts_->document = *std::move(document);
    doc_ = &parts_->document;
    rule_of_.assign(doc_->nodes(), none);
    read_dialect();
    read_schema(json_tree::root);
    resolve_references();
    if (faults_.empty()) refuse_endless_references();
    if (faults_.empty()) return schema(parts_);
    std::stable_sort(
        faults_.begin(), faults_.end(),
        [](const auto& a, const auto& b) { return a.first < b.first; });
    schema::faults out;
    for (auto& f : faults_) out.push_back(std::move(f.second));
    return out;
  }

 private:
  static constexpr std::size_t max_faults = 32;
  static constexpr std::size_t max_enum_values = 4096;
  static constexpr std::size_t max_enum_bytes = std::size_t{256} << 10;
  static constexpr std::size_t max_states = 65536;  // of all patterns
  static constexpr std::size_t max_ignored = 64;

  void fail(node at, code c, std::string message) {
    if (faults_.size() >= max_faults) return;
    faults_.push_back({at, {c, doc_->pointer(at), std::move(message)}});
  }
  void bad_value(node at, std::string_view allowed) {
    fail(at, code::bad_value,
         doc_->quoted(at) + " is not allowed; " + std::string(allowed) + " is");
  }
  [[nodiscard]] std::string word(node at) const {
    return detail::quoted_name(doc_->key(at));
  }

  void read_dialect() {
    if (doc_->type(0) != json_type::object) return;
    const node n = doc_->find(0, "$schema");
    if (n == none) return;
    std::string_view name = doc_->text(n);
    if (name.ends_with('#')) name.remove_suffix(1);
    for (const std::string_view scheme : {"https://", "http://"}) {
      if (name.starts_with(scheme)) name.remove_prefix(scheme.size());
    }
    draft7_ = name == "json-schema.org/draft-07/schema";
    if (doc_->type(n) != json_type::string ||
        (!draft7_ && name != "json-schema.org/draft/2020-12/schema")) {
      bad_value(n,
                "draft 2020-12 (https://json-schema.org/draft/2020-12/schema)"
                " or draft-07 (http://json-schema.org/draft-07/schema#)");
    }
  }

  // The number of the rule that node n is made into.
  index read_schema(node n) {
    const auto number = static_cast<index>(parts_->rules.size());
    rule_of_[n] = number;
    parts_->rules.emplace_back();
    schema_rule r;
    r.where = n;
    if (doc_->type(n) == json_type::boolean) {
      r.never = !doc_->is_true(n);
    } else if (doc_->type(n) != json_type::object) {
      bad_value(n, "a schema, which is an object, true or false,");
    } else {
      read_members(n, r);
    }
    parts_->rules[number] = std::move(r);
    return number;
  }

  void read_members(node n, schema_rule& r) {
    node properties = none, required = none, reference = none, sibling = none;
    for (node m = doc_->first(n); m != none; m = doc_->next(m)) {
      const auto* known = detail::find_schema_word(doc_->key(m));
      if (known == nullptr) {
        read_unknown(m);
        continue;
      }
      if (known->role < detail::role_annotation) {
        const auto k = static_cast<schema_keyword>(known->role);
        if (k == schema_keyword::ref) {
          reference = m;
        } else if (sibling == none) {
          sibling = m;
        }
        if (k == schema_keyword::properties) properties = m;
        if (k == schema_keyword::required) required = m;
        read_keyword(k, m, r);
        continue;
      }
      read_other(known->role, m);
    }
    if (draft7_ && reference != none && sibling != none) {
      fail(sibling, code::bad_value,
           "draft-07 ignores " + word(sibling) +
               " beside '$ref'; put both into an 'allOf', or name draft "
               "2020-12 in '$schema'");
    }
    read_properties(properties, required, r);
    if (reference != none) {
      references_.push_back({static_cast<index>(rule_of_[n]), reference});
    }
  }

  void read_unknown(node m) {
    if (doc_->key(m).starts_with("x-")) return;
    if (const std::string_view near = detail::near_schema_word(doc_->key(m));
        !near.empty()) {
      return fail(m, code::unknown_keyword,
                  word(m) + " is not a keyword; did you mean '" +
                      std::string(near) + "'?");
    }
    if (options_.strict) {
      return fail(m, code::unknown_keyword,
                  word(m) +
                      " is not a keyword; remove it, or let its name begin "
                      "with 'x-'");
    }
    if (parts_->ignored.size() < max_ignored) {
      parts_->ignored.push_back(doc_->pointer(m));
    }
  }

  // Words that say nothing about values, or too much for us.
  void read_other(std::uint8_t role, node m) {
    switch (role) {
      case detail::role_definitions:
        if (doc_->type(m) != json_type::object) {
          return bad_value(m, "an object of schemas");
        }
        for (node d = doc_->first(m); d != none; d = doc_->next(d)) {
          read_schema(d);
        }
        return;
      case detail::role_dialect:
      case detail::role_id:
        if (doc_->parent(m) != json_tree::root) {
          fail(m, code::unsupported_keyword,
               word(m) + " is supported in the document's own schema only");
        }
        return;
      case detail::role_unique_items:
        if (doc_->type(m) == json_type::boolean && !doc_->is_true(m)) return;
        break;
      case detail::role_annotation:
        return;
      default:
        break;
    }
    fail(m, code::unsupported_keyword,
         word(m) +
             " is not supported, and ignoring it would let wrong output "
             "through; remove it");
  }

  void read_keyword(schema_keyword k, node m, schema_rule& r) {
    switch (k) {
      case schema_keyword::type:
        return read_type(m, r);
      case schema_keyword::enumeration:
        return read_enum(m, r);
      case schema_keyword::constant:
        r.constant = m;
        return;
      case schema_keyword::minimum:
        return read_number(m, r.minimum);
      case schema_keyword::maximum:
        return read_number(m, r.maximum);
      case schema_keyword::exclusive_minimum:
        return read_number(m, r.exclusive_minimum);
      case schema_keyword::exclusive_maximum:
        return read_number(m, r.exclusive_maximum);
      case schema_keyword::multiple_of:
        return read_divisor(m, r);
      case schema_keyword::min_length:
        return read_count(m, r.min_length);
      case schema_keyword::max_length:
        return read_count(m, r.max_length);
      case schema_keyword::min_items:
        return read_count(m, r.min_items);
      case schema_keyword::max_items:
        return read_count(m, r.max_items);
      case schema_keyword::min_properties:
        return read_count(m, r.min_properties);
      case schema_keyword::max_properties:
        return read_count(m, r.max_properties);
      case schema_keyword::pattern:
        return read_pattern(m, r);
      case schema_keyword::format:
        return read_format(m, r);
      case schema_keyword::items:
        return read_items(m, r);
      case schema_keyword::prefix_items:
        if (draft7_) {
          return fail(
              m, code::unknown_keyword,
              "draft-07 has no 'prefixItems'; let 'items' be the array");
        }
        return read_schemas(m, r.prefix_items);
      case schema_keyword::additional_properties:
        r.additional = read_schema(m);
        return;
      case schema_keyword::any_of:
        return read_schemas(m, r.any_of);
      case schema_keyword::one_of:
        return read_schemas(m, r.one_of);
      case schema_keyword::all_of:
        return read_schemas(m, r.all_of);
      case schema_keyword::ref:
      case schema_keyword::required:
      case schema_keyword::properties:
      case schema_keyword::never:
        return;  // read_members has them together
    }
  }

  void read_type(node m, schema_rule& r) {
    const bool list = doc_->type(m) == json_type::array && doc_->size(m) > 0;
    r.types = 0;
    for (node t = list ? doc_->first(m) : m; t != none;
         t = list ? doc_->next(t) : none) {
      const auto* name =
          doc_->type(t) != json_type::string
              ? std::end(schema_type_names)
              : std::find(std::begin(schema_type_names),
                          std::end(schema_type_names), doc_->text(t));
      if (name == std::end(schema_type_names)) {
        return bad_value(t, (list ? "one of " : "one of, or an array of, ") +
                                detail::listed_names(schema_type_names));
      }
      r.types |= type_bit(
          static_cast<std::size_t>(name - std::begin(schema_type_names)));
    }
  }

  void read_enum(node m, schema_rule& r) {
    if (doc_->type(m) != json_type::array || doc_->size(m) == 0) {
      return bad_value(m, "an array of at least one value");
    }
    std::size_t bytes = 0;
    for (node v = m; v < doc_->end(m); ++v) bytes += doc_->text(v).size() + 2;
    if (doc_->size(m) > max_enum_values || bytes > max_enum_bytes) {
      return fail(m, code::too_large,
                  std::to_string(doc_->size(m)) + " values of " +
                      std::to_string(bytes) +
                      " bytes; at most 4096 of 262144 are allowed");
    }
    r.enumeration = m;
  }

  void read_number(node m, node& out) {
    if (doc_->type(m) != json_type::number) return bad_value(m, "a number");
    out = m;
  }
  void read_divisor(node m, schema_rule& r) {
    if (doc_->type(m) != json_type::number || doc_->number(m) <= decimal{} ||
        doc_->number(m).digits.size() > max_divisor_digits) {
      return bad_value(m, "a number above 0 of at most 18 digits");
    }
    r.multiple_of = m;
  }
  void read_count(node m, std::uint64_t& out) {
    const auto n = doc_->type(m) == json_type::number
                       ? to_count(doc_->number(m))
                       : std::nullopt;
    if (!n) return bad_value(m, "a whole number from 0 to 2^53");
    out = *n;
  }

  void read_pattern(node m, schema_rule& r) {
    if (doc_->type(m) != json_type::string) return bad_value(m, "a string");
    auto p = pattern::compile(doc_->text(m));
    if (!p) return fail(m, code::bad_pattern, p.error().message);
    states_ += p->states();
    if (states_ > max_states) {
      return fail(m, code::too_large,
                  "the patterns so far need " + std::to_string(states_) +
                      " states; at most " + std::to_string(max_states) +
                      " are allowed");
    }
    r.pattern = static_cast<index>(parts_->patterns.size());
    parts_->patterns.push_back(*std::move(p));
  }
  void read_format(node m, schema_rule& r) {
    r.format = doc_->type(m) == json_type::string
                   ? find_text_format(doc_->text(m))
                   : std::nullopt;
    if (r.format) return;
    fail(m, code::bad_format,
         doc_->quoted(m) + " is not checked here; " +
             detail::listed_names(text_format_names) +
             " are; remove it, or write a 'pattern'");
  }

  void read_items(node m, schema_rule& r) {
    if (doc_->type(m) != json_type::array) {
      r.items = read_schema(m);
    } else if (draft7_) {
      read_schemas(m, r.prefix_items);
    } else {
      bad_value(m,
                "a schema for all elements, or 'prefixItems' with this array");
    }
  }
  void read_schemas(node m, std::vector<index>& out) {
    if (doc_->type(m) != json_type::array || doc_->size(m) == 0) {
      return bad_value(m, "an array of at least one schema");
    }
    for (node s = doc_->first(m); s != none; s = doc_->next(s)) {
      out.push_back(read_schema(s));
    }
  }

  void read_properties(node properties, node required, schema_rule& r) {
    if (properties != none && doc_->type(properties) != json_type::object) {
      bad_value(properties, "an object of schemas");
    } else if (properties != none) {
      for (node p = doc_->first(properties); p != none; p = doc_->next(p)) {
        r.properties.push_back({doc_->key(p), read_schema(p), false});
      }
    }
    order_names(r);
    if (required == none) return;
    bool strings = doc_->type(required) == json_type::array;
    for (node n = strings ? doc_->first(required) : none; n != none;
         n = doc_->next(n)) {
      strings = strings && doc_->type(n) == json_type::string;
      const schema_property* p = r.find(doc_->text(n));
      if (p == nullptr) {
        r.properties.push_back({doc_->text(n), none, true});
        continue;
      }
      schema_property& mine =
          r.properties[static_cast<std::size_t>(p - r.properties.data())];
      if (mine.required) return bad_value(required, "each name once");
      mine.required = true;
    }
    if (!strings) return bad_value(required, "an array of names");
    order_names(r);
    for (std::size_t i = 1; i < r.by_name.size(); ++i) {
      if (r.properties[r.by_name[i]].name ==
          r.properties[r.by_name[i - 1]].name) {
        return bad_value(required, "each name once");
      }
    }
    r.n_required = static_cast<std::size_t>(
        std::count_if(r.properties.begin(), r.properties.end(),
                      [](const schema_property& p) { return p.required; }));
  }
  static void order_names(schema_rule& r) {
    r.by_name.clear();
    for (index i = 0; i < r.properties.size(); ++i) r.by_name.push_back(i);
    std::sort(r.by_name.begin(), r.by_name.end(), [&](index a, index b) {
      return r.properties[a].name < r.properties[b].name;
    });
  }

  void resolve_references() {
    for (const auto& [rule, at] : references_) {
      if (doc_->type(at) != json_type::string) {
        bad_value(at, "a string");
        continue;
      }
      std::string_view target = doc_->text(at);
      if (!target.starts_with('#') || (target.size() > 1 && target[1] != '/')) {
        fail(at, code::bad_reference,
             doc_->quoted(at) +
                 " is not a JSON pointer into this document, such as "
                 "'#/$defs/name', and nothing else is followed or fetched");
        continue;
      }
      const node found = detail::follow_pointer(*doc_, target.substr(1));
      if (found == none || rule_of_[found] == none) {
        fail(at, code::bad_reference,
             doc_->quoted(at) +
                 (found == none ? " leads to nothing"
                                : " leads to what is not a schema") +
                 "; shared schemas stand in '$defs'");
        continue;
      }
      parts_->rules[rule].ref = rule_of_[found];
    }
  }

  void refuse_endless_references() {
    const auto loop = detail::find_endless_reference(parts_->rules);
    if (!loop) return;
    fail(parts_->rules[loop->from].where, code::endless_reference,
         "the schema refers back to " +
             place_name(parts_->rules[loop->to].where) +
             " for the same value; let it refer to itself inside 'properties' "
             "or 'items' only");
  }
  [[nodiscard]] std::string place_name(node n) const {
    return n == json_tree::root ? "itself, the document,"
                                : "'" + doc_->pointer(n) + "'";
  }

  schema_options options_;
  std::shared_ptr<schema::parts> parts_ = std::make_shared<schema::parts>();
  const json_tree* doc_ = nullptr;
  bool draft7_ = false;
  std::size_t states_ = 0;
  std::vector<index> rule_of_;  // by node; none: not a schema
  std::vector<std::pair<index, node>> references_;
  std::vector<std::pair<node, schema_fault>> faults_;
};

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SCHEMA_SCHEMA_READER_IPP_
