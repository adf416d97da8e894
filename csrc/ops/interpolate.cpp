#include "ops/interpolate.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace l2l {

void check_finite(const char* name, const double* times, std::int64_t count, std::int64_t video) {
  for (std::int64_t i = 0; i < count; ++i) {
    require(std::isfinite(times[i]), name, ": value ", i, " of video ", video, " is not finite");
  }
}

void check_knots(const char* name, const double* times, std::int64_t count, std::int64_t video) {
  check_finite(name, times, count, video);
  for (std::int64_t i = 1; i < count; ++i) {
    require(times[i - 1] < times[i], name, ": knots must be strictly increasing, but knot ", i, " of video ",
            video, " (", times[i], ") does not come after ", times[i - 1]);
  }
}

void locate(const double* knots, std::int64_t knot_count, const double* timestamps, std::int64_t count,
            std::int32_t* lower, float* fraction) {
  std::int64_t after = 0;  // the first knot later than the timestamp
  for (std::int64_t j = 0; j < count; ++j) {
    const double time = timestamps[j];
    // Timestamps mostly come in order: the next one is in the same gap or a near one.
    for (int near = 0; near < 4 && after < knot_count && knots[after] <= time; ++near) ++after;
    if ((after > 0 && time < knots[after - 1]) || (after < knot_count && knots[after] <= time)) {
      after = std::upper_bound(knots, knots + knot_count, time) - knots;
    }
    const std::int64_t below = std::max<std::int64_t>(after - 1, 0);
    double share = 0.0;
    if (after > 0 && after < knot_count) {
      // Halves keep the difference of two finite times finite.
      share = (time / 2 - knots[below] / 2) / (knots[after] / 2 - knots[below] / 2);
    }
    lower[j] = static_cast<std::int32_t>(below);
    fraction[j] = static_cast<float>(share);
  }
}

void check_interpolate(const InterpolateInput& input) {
  const auto& [features, knots, timestamps] = input;
  const std::int64_t batch = features.shape[0];
  const std::int64_t count = features.shape[1];
  require(batch >= 1 && count >= 1 && features.shape[2] >= 1,
          "features: expected shape [at least 1, at least 1, at least 1], got ", shape_text(features));
  require(knots.shape[0] == batch && knots.shape[1] == count, "knot_times: expected shape [", batch, ", ", count,
          "], got ", shape_text(knots));
  require(timestamps.shape[0] == batch && timestamps.shape[1] >= 1, "timestamps: expected shape [", batch,
          ", at least 1], got ", shape_text(timestamps));
  for (std::int64_t b = 0; b < batch; ++b) {
    check_knots("knot_times", knots.row(b), count, b);
    check_finite("timestamps", timestamps.row(b), timestamps.shape[1], b);
  }
}

}  // namespace l2l
