// How the fast path pads its data.
#pragma once

#include <cstdint>

namespace l2l {

// Every vector and matrix side in the fast path is padded with zeros to this many values, so that no
// kernel has a tail.
inline constexpr std::int64_t kPad = 64;
inline constexpr std::int64_t padded(std::int64_t n) { return (n + kPad - 1) / kPad * kPad; }

}  // namespace l2l
