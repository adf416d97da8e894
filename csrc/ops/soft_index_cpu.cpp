#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/soft_index.h"

namespace l2l {

void interpolate_scores(const float* at_knots, const Segments& segments, float* scores) {
  for (std::size_t j = 0; j < segments.lower.size(); ++j) {
    const float* knot = at_knots + segments.lower[j];
    const float fraction = segments.fraction[j];
    scores[j] = fraction == 0.0f ? knot[0] : knot[0] + fraction * (knot[1] - knot[0]);
  }
}

void attend(float* scores, std::int64_t count, Exclusion* exclusion) {
  constexpr float kLowest = -std::numeric_limits<float>::infinity();
  if (exclusion != nullptr) {
    if (exclusion->count == count) *exclusion = {};
    exclusion->masked.resize(static_cast<std::size_t>(count));
    for (std::int64_t j = 0; j < count; ++j) {
      if (exclusion->masked[static_cast<std::size_t>(j)]) scores[j] = kLowest;
    }
  }
  const float* top = std::max_element(scores, scores + count);
  const float highest = *top;
  if (exclusion != nullptr) {
    exclusion->masked[static_cast<std::size_t>(top - scores)] = 1;
    ++exclusion->count;
  }
  float sum = 0.0f;
  for (std::int64_t j = 0; j < count; ++j) sum += scores[j] = std::exp(scores[j] - highest);
  for (std::int64_t j = 0; j < count; ++j) scores[j] /= sum;
}

void weights_at_knots(const float* weights, const Segments& segments, std::int64_t knots, float* at_knots) {
  std::fill_n(at_knots, knots, 0.0f);
  for (std::size_t j = 0; j < segments.lower.size(); ++j) {
    float* knot = at_knots + segments.lower[j];
    const float upper = segments.fraction[j] * weights[j];
    knot[0] += weights[j] - upper;
    if (upper != 0.0f) knot[1] += upper;
  }
}

}  // namespace l2l
