#include <algorithm>
#include <vector>

#include "ops/interpolate.h"
#include "ops/kernels.h"

namespace l2l {

void interpolate(Isa isa, const InterpolateInput& input, const View<float, 3>& out) {
  const auto& [features, knots, timestamps] = input;
  const Kernels& kernels = kernels_for(isa);
  const std::int64_t last = features.shape[1] - 1;
  const std::int64_t count = timestamps.shape[1];
  std::vector<std::int32_t> lower(static_cast<std::size_t>(count));
  std::vector<float> fraction(static_cast<std::size_t>(count));
  for (std::int64_t b = 0; b < features.shape[0]; ++b) {
    locate(knots.row(b), last + 1, timestamps.row(b), count, lower.data(), fraction.data());
    for (std::int64_t j = 0; j < count; ++j) {
      const std::int64_t knot = lower[static_cast<std::size_t>(j)];
      kernels.lerp(features.row(b, knot), features.row(b, std::min(knot + 1, last)),
                   fraction[static_cast<std::size_t>(j)], features.shape[2], out.row(b, j));
    }
  }
}

}  // namespace l2l
