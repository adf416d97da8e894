// The skimmer's CPU path.
#pragma once

#include "skim/skimmer.h"

namespace l2l {

inline std::int64_t length_of(const View<const std::int64_t, 1>& lengths, std::int64_t video, std::int64_t full) {
  return lengths.data == nullptr ? full : lengths.data[video];
}

// All steps of one video of a checked input.
void skim_video(const Weights& weights, const Settings& settings, const SkimInput& input, const SkimOutput& output,
                std::int64_t video);

}  // namespace l2l
