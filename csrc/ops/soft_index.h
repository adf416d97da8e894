// Soft indexing fused with interpolation (Eq. 6-8; DESIGN §2, "the fused kernel"): scores are made at the
// knots and interpolated to the timestamps, and the weights go back to the knots (v = B^T u), so that
// banks of N rows are never formed.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/interpolate.h"

namespace l2l {

// The argmaxes of earlier steps (`released`): those moments get no attention. Cleared when it holds all.
struct Exclusion {
  std::vector<unsigned char> masked;
  std::int64_t count = 0;
};

// scores[j] = at_knots[lower] + f * (at_knots[lower + 1] - at_knots[lower]): exact where two knots agree.
void interpolate_scores(const float* at_knots, const Segments& segments, float* scores);

// Softmax over scores[0..count) in place (Eq. 7). With an exclusion, its moments get 0 and this step's
// argmax (the lowest index among equals) joins it.
void attend(float* scores, std::int64_t count, Exclusion* exclusion);

// at_knots = B^T weights (DESIGN §2, step 3).
void weights_at_knots(const float* weights, const Segments& segments, std::int64_t knots, float* at_knots);

}  // namespace l2l
