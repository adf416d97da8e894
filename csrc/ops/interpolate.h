// Linear interpolation in time between knots (DESIGN §2, sparse indexing): row j of B has at most two
// non-zeros, 1 - f at the knot below timestamp j and f at the knot above it.
#pragma once

#include <cstdint>

#include "base/cpu_features.h"
#include "base/view.h"

namespace l2l {

// Throws std::invalid_argument naming `name` unless times[0..count) are finite and strictly increasing.
void check_knots(const char* name, const double* times, std::int64_t count, std::int64_t video);

// Throws std::invalid_argument naming `name` unless times[0..count) are finite.
void check_finite(const char* name, const double* times, std::int64_t count, std::int64_t video);

// The rows of B: where `count` timestamps (in any order) lie among `knot_count` increasing knots. Timestamp j
// lies fraction[j] of the way from knot lower[j] to the next; the fraction is 0 on a knot and outside the
// knots, so the last knot is never a lower one with a fraction above 0.
void locate(const double* knots, std::int64_t knot_count, const double* timestamps, std::int64_t count,
            std::int32_t* lower, float* fraction);

struct InterpolateInput {
  View<const float, 3> features;     // [B, M, D]
  View<const double, 2> knot_times;  // [B, M]
  View<const double, 2> timestamps;  // [B, N]
};

// Throws std::invalid_argument naming the argument at fault.
void check_interpolate(const InterpolateInput& input);

// out [B, N, D] = B features. `input` has passed the check. Thread-safe; works on the caller's thread.
void interpolate(Isa isa, const InterpolateInput& input, const View<float, 3>& out);

}  // namespace l2l
