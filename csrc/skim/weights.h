// The skimmer's weights: checked, and folded (DESIGN §2, "the fused kernel").
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/half.h"
#include "ops/linear.h"

namespace l2l {

struct NamedTensor {
  const float* data = nullptr;
  std::vector<std::int64_t> shape;
};
using TensorMap = std::map<std::string, NamedTensor>;

// What one modality asks of its bank (Eq. 6). With affine keys the last query layer is folded with the
// key layer, so `query` yields a vector that is compared with bank rows; with ReLU keys it yields a
// query of K values, and `key` makes the keys.
struct Attention {
  bool has_hidden = false;
  Linear hidden;  // `released`: first query layer, ReLU after it
  Linear query;   // scaled by 1/sqrt(K)
  Linear key;     // empty with affine keys
};

// Psi^m of preset `paired`: [z^I, z^A] to what is added to a feature of modality m. Empty in the other presets.
struct Pairing {
  Linear first, second;
};

struct Settings {
  bool relu_keys = false;
  bool exclude_previous_argmax = false;
  Precision precision = Precision::fp32;
};

struct Weights {
  std::int64_t feature = 0;  // D
  std::int64_t fused = 0;    // F
  std::int64_t state = 0;    // H
  std::int64_t key = 0;      // K
  std::int64_t classes = 0;  // C
  bool visual_only = false;  // fusion is F x D; no audio attention, no modality head
  Linear fusion_in, fusion_out;
  Linear lstm_input, lstm_hidden;  // gates i, f, g, o; the bias is on lstm_input
  Attention image, audio;
  bool paired = false;  // the banks are joined before they are skimmed
  Pairing pair_image, pair_audio;
  Linear modality;
  Linear classifier;
};

// Throws std::invalid_argument naming the tensor that is missing, unexpected, misshapen, not finite or
// too large for the precision.
Weights load_weights(const TensorMap& tensors, const Settings& settings);

}  // namespace l2l
