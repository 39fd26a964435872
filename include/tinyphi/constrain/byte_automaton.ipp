// SPDX-License-Identifier: MIT
#ifndef TINYPHI_CONSTRAIN_BYTE_AUTOMATON_IPP_
#define TINYPHI_CONSTRAIN_BYTE_AUTOMATON_IPP_

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "tinyphi/constrain/automaton_builder.ipp"
#include "tinyphi/constrain/byte_automaton.h"
#include "tinyphi/constrain/byte_nfa.ipp"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline constexpr code_point_range any_character{0, 0x10FFFF};

// Puts the parts of an expression into an automaton, each between two states.
class regex_states {
 public:
  regex_states(byte_nfa& nfa, const regex_syntax& r)
      : nfa_(&nfa), regex_(&r), ranges_(r.sets.size()) {}

  // The depth of calls is that of the expression's groups, which has at most
  // regex_syntax::max_characters.
  void put(std::uint32_t n, byte_nfa::state from, byte_nfa::state to) {
    if (nfa_->full()) return;
    const regex_node& node = regex_->nodes[n];
    switch (node.op) {
      case regex_op::set:
        nfa_->characters(from, ranges(node.set), to);
        return;
      case regex_op::at_begin:
        nfa_->free_move(from, to, byte_nfa::move::at_begin);
        return;
      case regex_op::at_end:
        nfa_->free_move(from, to, byte_nfa::move::at_end);
        return;
      case regex_op::sequence:
        for (const std::uint32_t child : node.children) {
          const byte_nfa::state next = nfa_->add();
          put(child, from, next);
          from = next;
        }
        nfa_->free_move(from, to);
        return;
      case regex_op::choice:
        for (const std::uint32_t child : node.children) put(child, from, to);
        return;
      case regex_op::repeat:
        repeat(node, from, to);
        return;
    }
  }

 private:
  void repeat(const regex_node& node, byte_nfa::state from,
              byte_nfa::state to) {
    const std::uint32_t body = node.children[0];
    for (std::uint32_t i = 0; i < node.min && !nfa_->full(); ++i) {
      const byte_nfa::state next = nfa_->add();
      put(body, from, next);
      from = next;
    }
    if (node.max == regex_syntax::unbounded) {
      const byte_nfa::state loop = nfa_->add();
      nfa_->free_move(from, loop);
      put(body, loop, loop);
      from = loop;
    } else {
      for (std::uint32_t i = node.min; i < node.max && !nfa_->full(); ++i) {
        nfa_->free_move(from, to);
        const byte_nfa::state next = nfa_->add();
        put(body, from, next);
        from = next;
      }
    }
    nfa_->free_move(from, to);
  }

  const std::vector<code_point_range>& ranges(std::uint32_t set) {
    if (ranges_[set].empty()) ranges_[set] = ranges_of(regex_->sets[set]);
    return ranges_[set];
  }

  byte_nfa* nfa_;
  const regex_syntax* regex_;
  std::vector<std::vector<code_point_range>> ranges_;
};

// Walks two automata side by side, and takes what `accepts` says of the two.
template <typename F>
result<byte_automaton> product(const byte_automaton& a, const byte_automaton& b,
                               F&& accepts) {
  using state = byte_automaton::state;
  std::map<std::pair<std::uint8_t, std::uint8_t>, std::uint8_t> known;
  std::array<std::uint8_t, 256> classes{}, representatives{};
  for (unsigned i = 0; i < 256; ++i) {
    const auto byte = static_cast<std::uint8_t>(i);
    const auto [found, made] =
        known.try_emplace({a.class_of(byte), b.class_of(byte)},
                          static_cast<std::uint8_t>(known.size()));
    if (made) representatives[found->second] = byte;
    classes[i] = found->second;
  }
  const std::size_t n_classes = known.size();
  automaton_builder out(classes, n_classes);
  std::map<std::pair<state, state>, state> numbers;
  std::vector<std::pair<state, state>> order;
  const auto number = [&](state x, state y) {
    const auto [found, made] =
        numbers.try_emplace({x, y}, static_cast<state>(order.size()));
    if (made) {
      order.emplace_back(x, y);
      out.add(accepts(a.accepting(x), b.accepting(y)));
    }
    return found->second;
  };
  number(a.start(), b.start());
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto [x, y] = order[i];
    for (std::size_t c = 0; c < n_classes; ++c) {
      const state to_x = a.next(x, representatives[c]);
      if (to_x == byte_automaton::dead) continue;
      out.edge(static_cast<state>(i), c,
               number(to_x, b.next(y, representatives[c])));
    }
    if (order.size() > byte_automaton::max_states * 4) return too_many_states();
  }
  return std::move(out).minimal();
}

}  // namespace detail

TINYPHI_FUNC byte_automaton byte_automaton::literal(std::string_view text) {
  byte_automaton a;
  a.n_classes_ = 1;
  // Class 0 holds the bytes that the text does not have.
  for (const char c : text) {
    auto& known = a.classes_[static_cast<std::uint8_t>(c)];
    if (known == 0) known = static_cast<std::uint8_t>(a.n_classes_++);
  }
  if (a.n_classes_ > 256) a.n_classes_ = 256;
  a.accepting_.assign(text.size() + 1, 0);
  a.accepting_.back() = 1;
  a.next_.assign(a.accepting_.size() * a.n_classes_, dead);
  for (std::size_t i = 0; i < text.size(); ++i) {
    a.next_[i * a.n_classes_ + a.classes_[static_cast<std::uint8_t>(text[i])]] =
        static_cast<state>(i + 1);
  }
  return a;
}

TINYPHI_FUNC byte_automaton byte_automaton::one_of(const byte_set& bytes) {
  byte_automaton a;
  if (bytes.empty()) return a;
  a.n_classes_ = 2;
  for (unsigned b = 0; b < 256; ++b) {
    a.classes_[b] = bytes.contains(static_cast<std::uint8_t>(b)) ? 1 : 0;
  }
  a.accepting_ = {0, 1};
  a.next_ = {dead, 1, dead, dead};
  return a;
}

TINYPHI_FUNC result<byte_automaton> byte_automaton::one_character(
    const char_set& set) {
  byte_nfa nfa;
  const byte_nfa::state from = nfa.add(), to = nfa.add();
  nfa.characters(from, ranges_of(set), to);
  return nfa.determinized(from, to);
}

TINYPHI_FUNC result<byte_automaton> byte_automaton::regex(const regex_syntax& r,
                                                          extent e) {
  byte_nfa nfa;
  const byte_nfa::state start = nfa.add(), from = nfa.add(), to = nfa.add(),
                        end = nfa.add();
  nfa.free_move(start, from);
  if (e == extent::found) {
    nfa.characters(start, {detail::any_character}, start);
    nfa.characters(end, {detail::any_character}, end);
  }
  nfa.free_move(to, end);
  detail::regex_states(nfa, r).put(
      static_cast<std::uint32_t>(r.nodes.size() - 1), from, to);
  return nfa.determinized(start, end);
}

TINYPHI_FUNC result<byte_automaton> byte_automaton::characters(
    std::uint32_t min, std::uint32_t max) {
  const auto one = one_character({.ranges = {detail::any_character}});
  if (!one) return one.error();
  return repeat(*one, min, max);
}

TINYPHI_FUNC result<byte_automaton> byte_automaton::either(
    std::span<const byte_automaton> parts) {
  byte_nfa nfa;
  const byte_nfa::state from = nfa.add(), to = nfa.add();
  for (const byte_automaton& a : parts) nfa.copy(a, from, to);
  return nfa.determinized(from, to);
}

TINYPHI_FUNC result<byte_automaton> byte_automaton::sequence(
    std::span<const byte_automaton> parts) {
  byte_nfa nfa;
  const byte_nfa::state start = nfa.add();
  byte_nfa::state from = start;
  for (const byte_automaton& a : parts) {
    const byte_nfa::state next = nfa.add();
    nfa.copy(a, from, next);
    from = next;
  }
  return nfa.determinized(start, from);
}

TINYPHI_FUNC result<byte_automaton> byte_automaton::repeat(
    const byte_automaton& a, std::uint32_t min, std::uint32_t max) {
  byte_nfa nfa;
  const byte_nfa::state start = nfa.add(), to = nfa.add();
  byte_nfa::state from = start;
  for (std::uint32_t i = 0; i < min && !nfa.full(); ++i) {
    const byte_nfa::state next = nfa.add();
    nfa.copy(a, from, next);
    from = next;
  }
  if (max == no_limit) {
    const byte_nfa::state loop = nfa.add();
    nfa.free_move(from, loop);
    nfa.copy(a, loop, loop);
    from = loop;
  } else {
    for (std::uint32_t i = min; i < max && !nfa.full(); ++i) {
      nfa.free_move(from, to);
      const byte_nfa::state next = nfa.add();
      nfa.copy(a, from, next);
      from = next;
    }
  }
  nfa.free_move(from, to);
  return nfa.determinized(start, to);
}

TINYPHI_FUNC result<byte_automaton> byte_automaton::both(
    const byte_automaton& a, const byte_automaton& b) {
  return detail::product(a, b, [](bool x, bool y) { return x && y; });
}

TINYPHI_FUNC result<byte_automaton> byte_automaton::without(
    const byte_automaton& a, const byte_automaton& b) {
  return detail::product(a, b, [](bool x, bool y) { return x && !y; });
}

TINYPHI_FUNC result<byte_automaton> byte_automaton::in_json_string(
    const byte_automaton& a) {
  if (a.empty()) return byte_automaton();
  constexpr std::pair<char, std::uint8_t> short_forms[] = {
      {'"', '"'},  {'\\', '\\'}, {'b', '\b'}, {'f', '\f'},
      {'n', '\n'}, {'r', '\r'},  {'t', '\t'}};
  byte_nfa nfa;
  std::vector<byte_nfa::state> states(a.states());
  for (byte_nfa::state& s : states) s = nfa.add();
  const byte_nfa::state end = nfa.add();
  const auto edge = [&](byte_nfa::state from, unsigned byte,
                        byte_nfa::state to) {
    const auto b = static_cast<std::uint8_t>(byte);
    nfa.edge(from, b, b, to);
  };
  for (state s = 0; s < a.states() && !nfa.full(); ++s) {
    const auto target = [&](unsigned byte) {
      const state to = a.next(s, static_cast<std::uint8_t>(byte));
      return to == dead ? byte_nfa::max_states : states[to];
    };
    if (a.accepting(s)) nfa.free_move(states[s], end);
    for (unsigned b = 0x20; b < 256; ++b) {
      if (b == '"' || b == '\\' || target(b) == byte_nfa::max_states) continue;
      edge(states[s], b, static_cast<byte_nfa::state>(target(b)));
    }
    const byte_nfa::state escape = nfa.add();
    edge(states[s], '\\', escape);
    for (const auto& [letter, byte] : short_forms) {
      if (target(byte) == byte_nfa::max_states) continue;
      edge(escape, static_cast<unsigned char>(letter),
           static_cast<byte_nfa::state>(target(byte)));
    }
    const byte_nfa::state u = nfa.add(), zero = nfa.add(), high = nfa.add();
    edge(escape, 'u', u);
    edge(u, '0', zero);
    edge(zero, '0', high);
    for (unsigned h = 0; h < 2; ++h) {
      const byte_nfa::state low = nfa.add();
      edge(high, '0' + h, low);
      for (unsigned b = h * 16; b < h * 16 + 16; ++b) {
        const bool has_short_form = std::ranges::any_of(
            short_forms, [&](const auto& form) { return form.second == b; });
        if (has_short_form || target(b) == byte_nfa::max_states) continue;
        edge(low, static_cast<unsigned char>("0123456789abcdef"[b % 16]),
             static_cast<byte_nfa::state>(target(b)));
      }
    }
  }
  return nfa.determinized(states[a.start()], end);
}

TINYPHI_FUNC bool byte_automaton::accepts(std::string_view text) const {
  state s = start();
  for (const char c : text) s = next(s, static_cast<std::uint8_t>(c));
  return accepting(s);
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_CONSTRAIN_BYTE_AUTOMATON_IPP_
