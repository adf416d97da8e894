// The phases of the skimmer's steps on the GPU, each a function of ops/*_device.h over the whole grid.
#pragma once

#include "skim/cuda_run.h"

namespace l2l::cuda {

__device__ inline float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

template <class T>
__device__ inline void prepare(const DeviceRun<T>& run) {
  for (long long i = grid_thread(); i < run.zeroed_count; i += grid_threads()) run.zeroed[i] = 0.0f;
  for (int m = 0; m < 2; ++m) {
    const DeviceBank<T>& bank = run.banks[m];
    if (bank.source == nullptr) continue;
    store_rows(bank, run.moments);
    locate(bank, run.moments);
    if (bank.masked == nullptr) continue;
    const long long moments = static_cast<long long>(run.moments.batch) * run.moments.count;
    for (long long i = grid_thread(); i < moments; i += grid_threads()) bank.masked[i] = 0;
    for (long long b = grid_thread(); b < run.moments.batch; b += grid_threads()) run.masked_count[m][b] = 0;
  }
}

template <class T>
__device__ inline void multiply_keys(const DeviceRun<T>& run) {
  for (int m = 0; m < 2; ++m) {
    const DeviceBank<T>& bank = run.banks[m];
    if (bank.source == nullptr) continue;
    const int rows = run.moments.batch * bank.knots;
    project(run.model.heads[m].key, bank.rows, run.moments.stride, rows, rows, {bank.products, bank.key_width, 1, run.model.heads[m].key.out});
  }
}

// Fold 5: P, fusion's first layer of every bank row, and R, every scored row times the last query layer.
template <class T>
__device__ inline void project_banks(const DeviceRun<T>& run) {
  for (int m = 0; m < 2; ++m) {
    const DeviceBank<T>& bank = run.banks[m];
    const DeviceHead<T>& head = run.model.heads[m];
    if (bank.source == nullptr) continue;
    const int width = spread_width(bank.knots);
    for (long long b = 0; b < run.moments.batch; ++b) {
      project(head.mixing, bank.rows + b * bank.knots * run.moments.stride, run.moments.stride, bank.knots, width,
              {run.mixing[m] + b * head.mixing.out * width, 1, width, head.mixing.out});
    }
    const T* scored = bank.keys != nullptr ? bank.keys : bank.rows;
    const int rows = run.moments.batch * bank.scored, in = head.scoring.out - 1;
    Layer<T> layer = head.scoring, bias = head.scoring;
    layer.out = in;
    bias.out = 1;
    bias.weight += static_cast<long long>(in) * bias.stride;
    project(layer, scored, layer.in, rows, rows, {run.scoring[m], in, 1, head.scoring_used});
    project(bias, scored, layer.in, rows, rows, {run.scoring_bias[m], 1, 1, 1});
  }
}

// What step t made of its state: attention t of Eq. 6, its output and, as `spread`, the weights by which Eq. 8 makes
// the input of step t + 1; t = -1 is the start. By one block. Only `writing` blocks write what others read.
template <class T>
__device__ inline void attend(const DeviceRun<T>& run, int video, int t, bool writing, long long* image_spread,
                              long long* audio_spread) {
  const bool has[2] = {run.banks[0].source != nullptr, run.banks[1].source != nullptr};
  Attending to;
  to.evenly = t < 0;
  to.spread[0] = image_spread;
  to.spread[1] = audio_spread;
  if (has[0] && has[1]) {
    if (t >= 0) {
      const float* logits = run.modality_logits + 2LL * video;
      to.share[0] = sigmoid(logits[0] - logits[1]);
      to.share[1] = sigmoid(logits[1] - logits[0]);
    }
  } else {
    to.share[has[0] ? 0 : 1] = 1.0f;
  }
  if (writing && t >= 0) {
    const long long step = static_cast<long long>(video) * run.steps.steps + t;
    for (int m = 0; m < 2; ++m) {
      to.attention[m] = run.attention[m] + step * run.moments.count;
      if (run.chosen[m] != nullptr && has[m]) to.chosen[m] = run.chosen[m] + video;
      if (threadIdx.x == 0) run.modality_scores[2 * step + m] = to.share[m];
    }
  }
  attend(run.banks, run.moments, video, reinterpret_cast<float*>(shared_memory()), to);
}

template <class T>
__device__ inline void mix(const DeviceRun<T>& run, int t) {
  for (int b = static_cast<int>(blockIdx.x); b < run.moments.batch; b += static_cast<int>(gridDim.x)) {
    attend(run, b, t - 1, true, run.banks[0].spread + static_cast<long long>(b) * run.banks[0].knots,
           run.banks[1].spread + static_cast<long long>(b) * run.banks[1].knots);
  }
}

// Puts f_t in a place of its own for each step, and beside it the mean of all up to it, for Eq. 9.
template <class T>
__device__ inline void put_fused(const DeviceRun<T>& run, int t, int video, int row, float sum) {
  const float f = fmaxf(sum, 0.0f);
  const int width = run.model.fused_width;
  const long long at = (static_cast<long long>(video) * run.steps.steps + t) * width + row;
  run.fused[at] = f;
  float& sum_of_all = run.fused_sum[static_cast<long long>(video) * width + row];
  sum_of_all = t == 0 ? f : sum_of_all + f;
  run.fused_means[at] = sum_of_all / static_cast<float>(t + 1);
}

// Psi's first layer, on what Eq. 8 gave.
template <class T>
__device__ inline void fuse(const DeviceRun<T>& run, int t) {
  const Layer<T>& layer = run.model.fusion_in;
  linear(layer, run.mixed, layer.in, run.moments.batch,
         [&](int row, int video, float sum) { put_fused(run, t, video, row, sum); });
}

// The same from P (fold 5), with the attention before it.
template <class T>
__device__ inline void fuse_projected(const DeviceRun<T>& run, int t) {
  const int fused = run.model.fusion_in.out;
  const int knots[2] = {run.banks[0].knots, run.banks[1].knots};
  auto* units = reinterpret_cast<long long*>(shared_memory() + run.spread_at);
  auto* v = reinterpret_cast<float*>(units + spread_width(knots[0]) + spread_width(knots[1]));
  const int offset[2] = {0, spread_width(knots[0])};
  for (int b = 0; b < run.moments.batch; ++b) {
    const bool writing = b % static_cast<int>(gridDim.x) == static_cast<int>(blockIdx.x);
    attend(run, b, t - 1, writing, units, units + offset[1]);
    for (int m = 0; m < 2; ++m) {
      for (int k = static_cast<int>(threadIdx.x); k < spread_width(knots[m]); k += static_cast<int>(blockDim.x)) {
        v[offset[m] + k] = k < knots[m] && run.banks[m].source != nullptr ? from_units(units[offset[m] + k]) : 0.0f;
      }
    }
    __syncthreads();
    for (int row = static_cast<int>(grid_warp()); row < fused; row += static_cast<int>(grid_warps())) {
      float sum = run.model.fusion_in.bias[row];
      for (int m = 0; m < 2; ++m) {
        if (run.banks[m].source == nullptr) continue;
        const int width = spread_width(knots[m]);
        sum += dot(run.mixing[m] + (static_cast<long long>(b) * fused + row) * width, v + offset[m], width);
      }
      if (threadIdx.x % kWarp == 0) put_fused(run, t, b, row, sum);
    }
    __syncthreads();
  }
}

// The argmaxes of the attention before are masked from now on; once all are, none is.
template <class T>
__device__ inline void mask_chosen(const DeviceRun<T>& run, int t) {
  for (int m = 0; m < 2 && t > 0; ++m) {
    if (run.chosen[m] == nullptr || run.banks[m].source == nullptr) continue;
    for (int b = static_cast<int>(blockIdx.x); b < run.moments.batch; b += static_cast<int>(gridDim.x)) {
      const int chosen = run.chosen[m][b], count = length_of(run.moments.lengths, b, run.moments.count);
      const bool all = run.masked_count[m][b] + 1 >= count;
      unsigned char* masked = run.banks[m].masked + static_cast<long long>(b) * run.moments.count;
      __syncthreads();  // everyone has read the count
      if (threadIdx.x == 0) run.masked_count[m][b] = all ? 0 : run.masked_count[m][b] + 1;
      if (threadIdx.x == 0 && chosen >= 0 && !all) masked[chosen] = 1;
      for (int j = static_cast<int>(threadIdx.x); all && j < count; j += static_cast<int>(blockDim.x)) masked[j] = 0;
    }
  }
}

// Eq. 5, with fusion's second layer in the weights (fold 4): a warp a gate; a block owns whole units, whose four gates
// meet in scratch.
template <class T>
__device__ inline void cell(const DeviceRun<T>& run, int t) {
  const DeviceModel<T>& model = run.model;
  const int width = model.fused_width + model.state_width, batch = run.moments.batch;
  const int units = owned_rows(model.gates.out, static_cast<int>(blockIdx.x), static_cast<int>(gridDim.x));
  const long long fused_stride = static_cast<long long>(run.steps.steps) * model.fused_width;
  auto* sums = reinterpret_cast<float*>(shared_memory());
  for (int first = 0; first < batch; first += kTogether) {
    const int together = batch - first < kTogether ? batch - first : kTogether;
    const float* f = run.fused + first * fused_stride + static_cast<long long>(t) * model.fused_width;
    const float* before = run.h[t % 2] + static_cast<long long>(first) * model.state_width;
    for (int i = static_cast<int>(threadIdx.x) / kWarp; i < 4 * units; i += static_cast<int>(blockDim.x) / kWarp) {
      const T* weight = owned_row(model.gates, i / 4) + i % 4 * width;
      float gate[kTogether] = {};
      add_dots(weight, f, fused_stride, together, model.fused_width, gate);
      if (t > 0) add_dots(weight + model.fused_width, before, model.state_width, together, model.state_width, gate);
      for (int j = 0; j < together; ++j) {
        const float sum = warp_sum(gate[j]);
        if (threadIdx.x % kWarp == 0) sums[i * kTogether + j] = sum;
      }
    }
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < units * together; i += static_cast<int>(blockDim.x)) {
      const int owned = i / together, j = i % together;
      const int unit = owned * static_cast<int>(gridDim.x) + static_cast<int>(blockIdx.x);
      float gate[4];
      for (int g = 0; g < 4; ++g) gate[g] = sums[(4 * owned + g) * kTogether + j] + model.gates.bias[4 * unit + g];
      const long long at = static_cast<long long>(first + j) * model.state_width + unit;
      const float c = (t == 0 ? 0.0f : sigmoid(gate[1]) * run.c[at]) + sigmoid(gate[0]) * tanhf(gate[2]);
      run.c[at] = c;
      run.h[(t + 1) % 2][at] = sigmoid(gate[3]) * tanhf(c);
    }
    __syncthreads();
  }
  mask_chosen(run, t);
}

// The queries of Eq. 6 on h_t, or their hidden layers.
template <class T>
__device__ inline void ask(const DeviceRun<T>& run, int t) {
  const DeviceModel<T>& model = run.model;
  linear(model.ask, run.h[(t + 1) % 2], model.state_width, run.moments.batch, [&](int row, int video, float sum) {
    const DeviceHead<T>& head = model.heads[model.heads[1].rows > 0 && row >= model.heads[1].row ? 1 : 0];
    run.asked[static_cast<long long>(video) * model.asked_width + row] = head.hidden ? fmaxf(sum, 0.0f) : sum;
  });
}

// The second query layer, where there is one.
template <class T>
__device__ inline void second(const DeviceRun<T>& run) {
  for (int m = 0; m < 2; ++m) {
    const DeviceHead<T>& head = run.model.heads[m];
    if (run.banks[m].source == nullptr || !head.hidden) continue;
    linear(head.second, run.asked + head.row, run.model.asked_width, run.moments.batch, [&](int row, int video, float sum) {
      run.query[m][static_cast<long long>(video) * query_width(head) + row] = sum;
    });
  }
}

// Eq. 6, its scores, and the modality head of Eq. 8.
template <class T>
__device__ inline void score(const DeviceRun<T>& run, int t) {
  const DeviceModel<T>& model = run.model;
  const float* h = run.h[(t + 1) % 2];
  for (int m = 0; m < 2; ++m) {
    const DeviceBank<T>& bank = run.banks[m];
    const DeviceHead<T>& head = model.heads[m];
    if (bank.source == nullptr) continue;
    if (run.projected) {
      score(run.scoring[m], head.scoring.out - 1, head.hidden ? run.asked + head.row : h,
            head.hidden ? model.asked_width : model.state_width, run.scoring_bias[m], run.moments.batch, bank.scored,
            bank.scores);
      continue;
    }
    const float* query = head.hidden ? run.query[m] : run.asked + head.row;
    const int stride = head.hidden ? query_width(head) : model.asked_width;
    if (bank.keys != nullptr) {
      score(bank.keys, bank.key_width, query, stride, nullptr, run.moments.batch, bank.scored, bank.scores);
    } else {
      score(bank.rows, run.moments.stride, query, stride, nullptr, run.moments.batch, bank.scored, bank.scores);
    }
  }
  linear(model.modality, h, model.state_width, run.moments.batch, [&](int row, int video, float sum) {
    run.modality_logits[2LL * video + row] = sum;
  });
}

// The last attention, the step features, and Eq. 9 after every step: the classifier, with fusion's second layer in its
// weights (fold 4), on the mean of the f up to then. After the last it is the answer.
template <class T>
__device__ inline void finish(const DeviceRun<T>& run) {
  const DeviceModel<T>& model = run.model;
  const int batch = run.moments.batch, steps = run.steps.steps;
  for (int b = static_cast<int>(blockIdx.x); b < batch; b += static_cast<int>(gridDim.x)) {
    attend(run, b, steps - 1, true, nullptr, nullptr);
  }
  linear(model.fusion_out, run.fused, model.fused_width, batch * steps, [&](int row, int step, float sum) {
    run.step_features[static_cast<long long>(step) * model.feature + row] = sum;
  });
  linear(model.classifier, run.fused_means, model.fused_width, batch * steps, [&](int row, int step, float sum) {
    run.step_logits[static_cast<long long>(step) * model.classes + row] = sum;
    if (step % steps == steps - 1) run.logits[static_cast<long long>(step / steps) * model.classes + row] = sum;
  });
}

template <class T>
__device__ inline void do_phase(const DeviceRun<T>& run, Phase phase, int t) {
  switch (phase) {
    case Phase::prepare: return prepare(run);
    case Phase::multiply_keys: return multiply_keys(run);
    case Phase::make_keys:
      for (const DeviceBank<T>& bank : run.banks) {
        if (bank.source != nullptr) make_keys(bank, run.moments);
      }
      return;
    case Phase::project: return project_banks(run);
    case Phase::mix: return mix(run, t);
    case Phase::index:
      for (int m = 0; m * run.model.feature_width < run.model.fusion_in.in; ++m) {
        index(run.banks[m], run.moments, run.moments.stride, run.mixed + m * run.model.feature_width,
              run.model.fusion_in.in, nullptr);
      }
      return;
    case Phase::fuse: return fuse(run, t);
    case Phase::fuse_projected: return fuse_projected(run, t);
    case Phase::cell: return cell(run, t);
    case Phase::ask: return ask(run, t);
    case Phase::second: return second(run);
    case Phase::score: return score(run, t);
    case Phase::finish: return finish(run);
  }
}

}  // namespace l2l::cuda
