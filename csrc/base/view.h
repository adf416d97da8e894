// A borrowed, contiguous, row-major array. Owns nothing: the caller keeps the memory alive.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace l2l {

template <class T, std::size_t Rank>
struct View {
  T* data = nullptr;
  std::array<std::int64_t, Rank> shape{};

  std::int64_t size() const {
    std::int64_t n = 1;
    for (std::int64_t extent : shape) n *= extent;
    return n;
  }
  // The contiguous block at the leading indices: row(b) of [B, M, D] is an M*D block, row(b, m) has D.
  template <class... Index>
  T* row(Index... index) const {
    static_assert(sizeof...(Index) <= Rank);
    std::int64_t offset = 0;
    std::size_t axis = 0;
    ((offset = offset * shape[axis++] + static_cast<std::int64_t>(index)), ...);
    while (axis < Rank) offset *= shape[axis++];
    return data + offset;
  }
};

// "[3, 512]", for messages.
inline std::string shape_text(const std::int64_t* shape, std::size_t rank) {
  std::string text = "[";
  for (std::size_t i = 0; i < rank; ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

template <class T, std::size_t Rank>
std::string shape_text(const View<T, Rank>& view) {
  return shape_text(view.shape.data(), Rank);
}

}  // namespace l2l
