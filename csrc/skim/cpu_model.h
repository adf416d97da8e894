// The skimmer's weights as the CPU path multiplies them.
#pragma once

#include <cstdint>

#include "ops/linear.h"
#include "skim/weights.h"

namespace l2l {

// Everything that multiplies h_t lies in one matrix, so that a step reads it in one phase: first the two
// queries (their first layers, where there are two), the modality head, and last W_hh, whose product
// waits for the next step.
struct CpuModel {
  CpuModel(const Weights& weights, const Settings& settings, const Kernels& kernels);

  const Kernels& kernels;
  Precision precision;
  std::int64_t classes, feature, feature_width, state_width, panels_of_units;
  PackedLinear fusion_in, fusion_out, lstm_input, state, classifier;

  struct Head {
    std::int64_t row = 0;      // of `state`, where the query or its first layer begins
    std::int64_t width = 0;    // its padded rows
    bool has_second = false;   // `second` follows, behind a ReLU
    PackedLinear second;
    PackedLinear key;          // ReLU keys only
  };
  Head heads[2];  // image, audio
  struct Pair {
    PackedLinear first, second;
  };
  bool paired;
  Pair pairs[2];  // preset `paired` only
  std::int64_t modality_row = 0, recurrent_row = 0;
};

}  // namespace l2l
