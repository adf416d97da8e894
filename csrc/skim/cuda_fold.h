// What the CUDA path folds at load, in float64, so that a step has fewer phases.
#pragma once

#include "ops/linear.h"

namespace l2l {

// Fold 4: one layer that does what `outer` does after `inner`: W = W_o W_i, b = W_o b_i + b_o.
Linear folded(const Linear& outer, const Linear& inner);

// Fold 5: the layer with its weights turned round, [inputs + 1, out]: row i has weight column i (0 from layer.in on),
// the last row the bias. Since x . (W a + b) = (W^T x) . a + b . x, it makes of rows x what is multiplied with a.
Linear turned(const Linear& layer, std::int64_t inputs);

}  // namespace l2l
