// One run of the skimmer on the GPU, as its kernels get it, and the row of phases that it is.
//
// Fold 4: fusion's second layer goes into the LSTM's input and into the classifier (skim/cuda_model.h), so a step
// needs only its first layer's output f_t; the step features are made for all T at the end. Fold 5: what depends on
// the banks alone can be made once too (`projected`, for few knots): fusion's first layer of every bank row, and
// every scored row times the last query layer. Then a step is three phases (four with a two-layer query), each but a
// matrix times a vector:
//     f_t = ReLU(sum_m v_m P_m + b),   h_t = LSTM(f_t, h_{t-1}),   scores = R a  (a = h_t, or the query's hidden layer)
// with the softmax and v = B^T u made by every block for itself at the head of the first.
#pragma once

#include "base/padding.h"
#include "ops/soft_index_device.h"

namespace l2l::cuda {

// One modality's queries and keys.
template <class T>
struct DeviceHead {
  int row = 0, rows = 0;  // of `ask`: the query, or its first layer where it has two
  bool hidden = false;    // it has two
  Layer<T> second;        // the second
  Layer<T> key;           // ReLU keys
  Layer<T> mixing;        // this bank's part of fusion's first layer
  int scoring_used = 0;   // rows of the next that are not padding
  Layer<T> scoring;       // turned() of the last query layer: a row an input, padded, then the bias
};

template <class T>
struct DeviceModel {
  int feature = 0, feature_width = 0, fused_width = 0, state_width = 0, asked_width = 0, classes = 0;
  Layer<T> fusion_in, fusion_out;
  Layer<T> gates;     // a row is a unit: its four gates on [f | h], one after the other
  Layer<T> ask;       // the (first) query layers of both modalities
  Layer<T> modality;  // out == 0 for visual-only weights
  Layer<T> classifier;  // on a mean of f_t
  DeviceHead<T> heads[2];
};

enum class Phase { prepare, multiply_keys, make_keys, project, mix, index, fuse, fuse_projected, cell, ask, second, score,
                   finish };
constexpr const char* kPhaseNames[] = {"prepare", "multiply_keys", "make_keys", "project", "mix", "index", "fuse",
                                       "fuse_projected", "cell", "ask", "second", "score", "finish"};

// The phases of a run. Between two of them the whole grid must have finished the first.
struct Steps {
  Phase prelude[4] = {}, step[7] = {};
  int prelude_count = 0, step_count = 0, steps = 0;
  __device__ __host__ int count() const { return prelude_count + steps * step_count + 1; }
  __device__ __host__ Phase phase(int i) const {
    if (i < prelude_count) return prelude[i];
    return i == count() - 1 ? Phase::finish : step[(i - prelude_count) % step_count];
  }
  __device__ __host__ int t(int i) const { return i < prelude_count ? 0 : (i - prelude_count) / step_count; }
};

// One run, as all its kernels get it.
template <class T>
struct DeviceRun {
  DeviceModel<T> model;
  Moments moments;
  DeviceBank<T> banks[2];
  Steps steps;
  bool projected = false;
  // Working memory. What is padding in vectors that are multiplied is 0: [zeroed, zeroed + zeroed_count) starts so.
  float* zeroed = nullptr;
  long long zeroed_count = 0;
  float *mixed = nullptr, *fused = nullptr;  // [B, fusion in], [B, T, F]: f_t
  float *fused_sum = nullptr, *fused_means = nullptr;  // [B, F], [B, T, F]: of f_1 to f_t
  float *h[2] = {}, *c = nullptr;  // [B, H]; h in turns: h_t is written beside the h_{t-1} that others still read
  float *asked = nullptr, *query[2] = {}, *modality_logits = nullptr;
  int *chosen[2] = {}, *masked_count[2] = {};  // [B]; null without exclusion
  float *mixing[2] = {}, *scoring[2] = {}, *scoring_bias[2] = {};  // P [B, F, knots padded], R [B, scored, in], [B, scored]
  // Shared memory: scratch first, then v of one video, as integers and as floats.
  int spread_at = 0, weights_at = 0;
  // Outputs, [B, T, ...].
  float *logits = nullptr, *modality_scores = nullptr, *step_features = nullptr, *step_logits = nullptr;
  float* attention[2] = {};
  unsigned long long* times = nullptr;  // see note_time(); null unless this run is to be timed
};

// The last query's outputs, padded.
template <class T>
__device__ __host__ inline int query_width(const DeviceHead<T>& head) {
  return static_cast<int>((head.second.out + kPad - 1) / kPad * kPad);
}

// Knots padded to what a dot product takes.
__device__ __host__ inline int spread_width(int knots) { return (knots + 7) / 8 * 8; }

}  // namespace l2l::cuda
