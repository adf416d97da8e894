// Linear interpolation in time between knots (DESIGN §2, sparse indexing): row j of B has at most two
// non-zeros, 1 - f at the knot below timestamp j and f at the knot above it.
#pragma once

#include <cstdint>
#include <vector>

#include "base/view.h"

namespace l2l {

// The rows of B for one video: timestamp j lies `fraction[j]` of the way from knot lower[j] to the next.
// The fraction is 0 on a knot and outside the knots, so the last knot is never a lower one with f > 0.
struct Segments {
  std::vector<std::int32_t> lower;
  std::vector<float> fraction;
};

// Throws std::invalid_argument naming `name` unless times[0..count) are finite and strictly increasing.
void check_knots(const char* name, const double* times, std::int64_t count, std::int64_t video);

// Throws std::invalid_argument naming `name` unless times[0..count) are finite.
void check_finite(const char* name, const double* times, std::int64_t count, std::int64_t video);

// Where `count` timestamps (in any order) lie among `knot_count` increasing knots: the rows of B.
void locate(const double* knots, std::int64_t knot_count, const double* timestamps, std::int64_t count,
            std::int32_t* lower, float* fraction);

}  // namespace l2l
