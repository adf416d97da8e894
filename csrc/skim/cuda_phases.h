// The steps of the skimmer on the GPU as a row of phases, each a function of ops/*_cuda.h over the whole grid.
#pragma once

#include "ops/soft_index_cuda.h"

namespace l2l::cuda {

// One modality's queries and keys; see CpuModel::Head.
template <class T>
struct DeviceHead {
  int row = 0, end = 0;   // of `state`; up to the next head's row lies padding
  Layer<T> second, key;   // out == 0 where there is none
};

template <class T>
struct DeviceModel {
  int feature = 0, feature_width = 0, fused_width = 0, units = 0, state_width = 0, classes = 0;
  Layer<T> fusion_in, fusion_out, classifier;
  Layer<T> gates;  // a row is a unit: its four gates on [fused | h], one after the other
  Layer<T> state;  // the queries (their first layers), then the modality head
  DeviceHead<T> heads[2];
  int modality_row = 0;
};

// One run, as all its kernels get it.
template <class T>
struct DeviceRun {
  DeviceModel<T> model;
  Moments moments;
  DeviceBank<T> banks[2];
  int steps = 0;
  // Working memory; all of [zeroed, zeroed + zeroed_count) starts at 0.
  float* zeroed = nullptr;
  long long zeroed_count = 0;
  float *mixed = nullptr, *hidden = nullptr, *mean = nullptr, *c = nullptr, *state = nullptr;
  float* input[2] = {};  // [fused | h], read in turns: h_t is written beside the h_{t-1} that others still read
  float* query[2] = {};
  // Outputs, [B, T, ...].
  float *logits = nullptr, *modality_scores = nullptr, *step_features = nullptr;
  float* attention[2] = {};
};

enum class Phase { prepare, multiply_keys, make_keys, spread, index, fuse, fuse_out, cell, ask, second, score, attend,
                   mean, classify };

template <class T>
__device__ inline int input_width(const DeviceModel<T>& model) {
  return model.feature_width + model.state_width;
}

__device__ inline float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

template <class T>
__device__ inline void prepare(const DeviceRun<T>& run) {
  for (long long i = grid_thread(); i < run.zeroed_count; i += grid_threads()) run.zeroed[i] = 0.0f;
  for (const DeviceBank<T>& bank : run.banks) {
    if (bank.source == nullptr) continue;
    store_rows(bank, run.moments);
    locate(bank, run.moments);
  }
}

// Psi's second layer (its first is a plain linear layer), into the LSTM's input and the outputs.
template <class T>
__device__ inline void fuse_out(const DeviceRun<T>& run, int t) {
  const DeviceModel<T>& model = run.model;
  const int width = input_width(model);
  for_rows(model.fusion_out, [&](int row, const T* weight) {
    for (int b = 0; b < run.moments.batch; ++b) {
      const float* x = run.hidden + static_cast<long long>(b) * model.fused_width;
      const float sum = dot(weight, x, model.fusion_out.in) + model.fusion_out.bias[row];
      if (threadIdx.x % kWarp != 0) continue;
      run.input[t % 2][static_cast<long long>(b) * width + row] = sum;
      run.step_features[(static_cast<long long>(b) * run.steps + t) * model.feature + row] = sum;
    }
  });
}

// Eq. 5: a warp a unit.
template <class T>
__device__ inline void cell(const DeviceRun<T>& run, int t) {
  const DeviceModel<T>& model = run.model;
  const int width = input_width(model);
  for_rows(model.gates, [&](int unit, const T* weight) {
    for (int b = 0; b < run.moments.batch; ++b) {
      const float* x = run.input[t % 2] + static_cast<long long>(b) * width;
      float gate[4];
      for (int g = 0; g < 4; ++g) gate[g] = dot(weight + g * width, x, width) + model.gates.bias[4 * unit + g];
      if (threadIdx.x % kWarp != 0) continue;
      float& c = run.c[static_cast<long long>(b) * model.state_width + unit];
      c = sigmoid(gate[1]) * c + sigmoid(gate[0]) * tanhf(gate[2]);
      run.input[(t + 1) % 2][static_cast<long long>(b) * width + model.feature_width + unit] =
          sigmoid(gate[3]) * tanhf(c);
    }
  });
}

// The queries and the modality head, on h_t.
template <class T>
__device__ inline void ask(const DeviceRun<T>& run, int t) {
  const DeviceModel<T>& model = run.model;
  const int width = input_width(model);
  for_rows(model.state, [&](int row, const T* weight) {
    const bool query = row < model.modality_row;
    const DeviceHead<T>& head = model.heads[model.heads[1].end > 0 && row >= model.heads[1].row ? 1 : 0];
    if (query && row >= head.end) return;  // padding
    const bool relu = query && head.second.out > 0;
    for (int b = 0; b < run.moments.batch; ++b) {
      const float* h = run.input[(t + 1) % 2] + static_cast<long long>(b) * width + model.feature_width;
      const float sum = dot(weight, h, model.state.in) + model.state.bias[row];
      if (threadIdx.x % kWarp == 0) {
        run.state[static_cast<long long>(b) * model.state.out + row] = relu ? fmaxf(sum, 0.0f) : sum;
      }
    }
  });
}

template <class T>
__device__ inline void score(const DeviceRun<T>& run, int t) {
  const long long stride = static_cast<long long>(run.steps) * run.moments.count;
  for (int m = 0; m < 2; ++m) {
    if (run.banks[m].source == nullptr) continue;
    const DeviceHead<T>& head = run.model.heads[m];
    const bool second = head.second.out > 0;
    score(run.banks[m], run.moments, second ? run.query[m] : run.state + head.row,
          second ? head.second.out : run.model.state.out, head.key.out,
          run.attention[m] + static_cast<long long>(t) * run.moments.count, stride);
  }
}

// A block a video and modality: the attention, and the modality scores (Eq. 8).
template <class T>
__device__ inline void attend(const DeviceRun<T>& run, int t) {
  const bool both = run.banks[0].source != nullptr && run.banks[1].source != nullptr;
  for (int i = static_cast<int>(blockIdx.x); i < 2 * run.moments.batch; i += static_cast<int>(gridDim.x)) {
    const int video = i / 2, m = i % 2;
    const long long step = static_cast<long long>(video) * run.steps + t;
    float* attention = run.attention[m] + step * run.moments.count;
    if (run.banks[m].source == nullptr) {
      for (int j = static_cast<int>(threadIdx.x); j < run.moments.count; j += static_cast<int>(blockDim.x)) {
        attention[j] = 0.0f;
      }
    } else {
      attend(run.banks[m], run.moments, video, attention);
    }
    if (m != 0 || threadIdx.x != 0) continue;
    const float* head = run.state + static_cast<long long>(video) * run.model.state.out + run.model.modality_row;
    float* scores = run.modality_scores + step * 2;
    scores[0] = both ? sigmoid(head[0] - head[1]) : (run.banks[0].source != nullptr ? 1.0f : 0.0f);
    scores[1] = both ? sigmoid(head[1] - head[0]) : 1.0f - scores[0];
  }
}

template <class T>
__device__ inline void spread(const DeviceRun<T>& run, int t) {
  const long long stride = static_cast<long long>(run.steps) * run.moments.count;
  const long long before = static_cast<long long>(t - 1) * run.moments.count;
  for (int m = 0; m < 2; ++m) {
    if (run.banks[m].source == nullptr) continue;
    const bool other = run.banks[1 - m].source != nullptr;
    const float* scores = run.modality_scores + 2 * (t - 1);
    spread(run.banks[m], run.moments, t == 0 ? nullptr : run.attention[m] + before,
           other ? run.attention[1 - m] + before : nullptr, stride, scores + m, scores + 1 - m, 2LL * run.steps);
  }
}

template <class T>
__device__ inline void mean(const DeviceRun<T>& run) {
  const DeviceModel<T>& model = run.model;
  for (long long i = grid_thread(); i < static_cast<long long>(run.moments.batch) * model.feature; i += grid_threads()) {
    const long long video = i / model.feature, d = i % model.feature;
    float sum = 0.0f;
    for (int t = 0; t < run.steps; ++t) sum += run.step_features[(video * run.steps + t) * model.feature + d];
    run.mean[video * model.feature_width + d] = sum / static_cast<float>(run.steps);
  }
}

template <class T>
__device__ inline void do_phase(const DeviceRun<T>& run, Phase phase, int t) {
  const DeviceModel<T>& model = run.model;
  const int batch = run.moments.batch;
  switch (phase) {
    case Phase::prepare: return prepare(run);
    case Phase::spread: return spread(run, t);
    case Phase::fuse:
      return linear(model.fusion_in, run.mixed, model.fusion_in.in, run.hidden, model.fused_width, batch, true);
    case Phase::fuse_out: return fuse_out(run, t);
    case Phase::cell: return cell(run, t);
    case Phase::ask: return ask(run, t);
    case Phase::score: return score(run, t);
    case Phase::attend: return attend(run, t);
    case Phase::mean: return mean(run);
    case Phase::classify:
      return linear(model.classifier, run.mean, model.feature_width, run.logits, model.classes, batch, false);
    default: break;
  }
  for (int m = 0; m < 2; ++m) {
    const DeviceBank<T>& bank = run.banks[m];
    const DeviceHead<T>& head = model.heads[m];
    if (bank.source == nullptr) continue;
    if (phase == Phase::multiply_keys) multiply_keys(bank, run.moments, head.key);
    if (phase == Phase::make_keys) make_keys(bank, run.moments, head.key);
    if (phase == Phase::index) index(bank, run.moments, run.mixed + m * model.feature_width, model.fusion_in.in);
    if (phase == Phase::second) {
      linear(head.second, run.state + head.row, model.state.out, run.query[m], head.second.out, batch, false);
    }
  }
}

struct Step {
  Phase phase;
  int t;
};

// The phases of a run, in order. Between two of them the whole grid must have finished the first.
template <class T>
__device__ __host__ inline int step_count(const DeviceRun<T>& run) {
  const int prelude = run.model.heads[0].key.out > 0 ? 3 : 1;
  return prelude + run.steps * (run.model.heads[0].second.out > 0 ? 9 : 8) + 2;
}

template <class T>
__device__ __host__ inline Step step_at(const DeviceRun<T>& run, int i) {
  const bool keys = run.model.heads[0].key.out > 0;
  const bool second = run.model.heads[0].second.out > 0;
  if (i == 0) return {Phase::prepare, 0};
  if (keys && i < 3) return {i == 1 ? Phase::multiply_keys : Phase::make_keys, 0};
  i -= keys ? 3 : 1;
  const int each = second ? 9 : 8;
  if (i >= run.steps * each) return {i == run.steps * each ? Phase::mean : Phase::classify, 0};
  const int phase = static_cast<int>(Phase::spread) + i % each;
  const bool skip = !second && phase >= static_cast<int>(Phase::second);
  return {static_cast<Phase>(phase + (skip ? 1 : 0)), i / each};
}

}  // namespace l2l::cuda
