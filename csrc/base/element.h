// The types an array's elements may have.
#pragma once

#include <cstddef>

namespace l2l {

enum class Element { f32, f16, bf16, f64, i64, boolean };

constexpr std::size_t size_of(Element element) {
  switch (element) {
    case Element::f64:
    case Element::i64: return 8;
    case Element::f32: return 4;
    case Element::boolean: return 1;
    default: return 2;
  }
}

}  // namespace l2l
