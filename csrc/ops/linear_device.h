// Linear layers on the GPU: a warp sums one row, its weights in global memory or kept in shared memory.
#pragma once

#include "base/cuda.h"

namespace l2l::cuda {

// W [out, in] row-major in T; `in` is padded with zeros to kPad. Row r belongs to block r % blocks, whether or not
// the block keeps it in shared memory, so both cases sum alike.
template <class T>
struct Layer {
  const T* weight = nullptr;
  const float* bias = nullptr;
  int out = 0, in = 0;
  int stride = 0;          // from row to row: more than `in` for a part of a wider layer
  int kept = 0;            // of the block's rows, the first so many are in shared memory too
  long long kept_at = 0;   // bytes into it where they begin
};

// Inputs that share one reading of a row's weights.
constexpr int kTogether = 4;

// The rows of a layer that block `block` owns.
__device__ __host__ inline int owned_rows(int rows, int block, int blocks) {
  return (rows - block + blocks - 1) / blocks;
}

// Copies those of the block's rows that are kept into shared memory; the caller synchronises the block.
template <class T>
__device__ inline void keep(const Layer<T>& layer) {
  T* kept = reinterpret_cast<T*>(shared_memory() + layer.kept_at);
  const int owned = owned_rows(layer.out, static_cast<int>(blockIdx.x), static_cast<int>(gridDim.x));
  const int rows = owned < layer.kept ? owned : layer.kept;
  const int chunks = layer.in / kChunk<T>;  // of a row
  for (int i = static_cast<int>(threadIdx.x); i < rows * chunks; i += static_cast<int>(blockDim.x)) {
    const T* row = layer.weight + (static_cast<long long>(i / chunks) * gridDim.x + blockIdx.x) * layer.stride;
    copy_words(kept + static_cast<long long>(i) * kChunk<T>, row + i % chunks * kChunk<T>);
  }
}

// The weights of the block's row number `i`, which is row i * blocks + block.
template <class T>
__device__ inline const T* owned_row(const Layer<T>& layer, int i) {
  if (i < layer.kept) {
    return reinterpret_cast<const T*>(shared_memory() + layer.kept_at) + static_cast<long long>(i) * layer.in;
  }
  return layer.weight + (static_cast<long long>(i) * gridDim.x + blockIdx.x) * layer.stride;
}

// This lane's share of weight . x[i] for i < count inputs a stride apart; `size` is a multiple of 8, and all lie on
// 16 bytes.
template <class T, class X>
__device__ inline void add_dots(const T* weight, const X* x, long long x_stride, int count, int size,
                                float (&sums)[kTogether]) {
  constexpr int kStep = kChunk<T>;
  for (int k = static_cast<int>(threadIdx.x) % kWarp * kStep; k < size; k += kWarp * kStep) {
    float w[kStep];
    load_values(weight + k, w);
L2L_UNROLL
    for (int i = 0; i < kTogether; ++i) {
      if (i >= count) continue;
      float values[kStep];
      load_values(x + i * x_stride + k, values);
L2L_UNROLL
      for (int j = 0; j < kStep; ++j) sums[i] += w[j] * values[j];
    }
  }
}

// weight . x, in every lane.
template <class T, class X>
__device__ inline float dot(const T* weight, const X* x, int size) {
  float sums[kTogether] = {};
  add_dots(weight, x, 0, 1, size, sums);
  return warp_sum(sums[0]);
}

// Calls use(row, i, row . x[i]) in lane 0 for every row and every i < count.
template <class T, class Use>
__device__ inline void linear(const Layer<T>& layer, const float* x, long long x_stride, int count, const Use& use) {
  const int rows = owned_rows(layer.out, static_cast<int>(blockIdx.x), static_cast<int>(gridDim.x));
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  for (int i = static_cast<int>(threadIdx.x) / kWarp; i < rows; i += warps) {
    const int row = i * static_cast<int>(gridDim.x) + static_cast<int>(blockIdx.x);
    const T* weight = owned_row(layer, i);
    for (int first = 0; first < count; first += kTogether) {
      const int together = count - first < kTogether ? count - first : kTogether;
      float sums[kTogether] = {};
      add_dots(weight, x + first * x_stride, x_stride, together, layer.in, sums);
      for (int j = 0; j < together; ++j) {
        const float sum = warp_sum(sums[j]);
        if (threadIdx.x % kWarp == 0) use(row, first + j, sum + layer.bias[row]);
      }
    }
  }
}

// Where project() writes: the value of row `row` of x and row `out` of the layer.
struct Placed {
  float* out = nullptr;
  long long row_stride = 0, out_stride = 0;
  int used = 0;  // the layer's rows from here on are padding: 0, without being multiplied
};

// layer . x for `count` rows x of T, which are many: work is dealt out by warps of the whole grid. Rows from `count`
// up to `filled` get 0.
template <class T>
__device__ inline void project(const Layer<T>& layer, const T* x, long long x_stride, int count, int filled,
                               const Placed& to) {
  const long long warps = grid_threads() / kWarp;
  const int groups = (filled + kTogether - 1) / kTogether;
  for (long long i = grid_thread() / kWarp; i < static_cast<long long>(groups) * layer.out; i += warps) {
    const int out = static_cast<int>(i % layer.out);
    const int first = static_cast<int>(i / layer.out) * kTogether;
    const int left = out < to.used ? count - first : 0;
    const int together = left < kTogether ? left : kTogether;
    float sums[kTogether] = {};
    add_dots(layer.weight + static_cast<long long>(out) * layer.stride, x + first * x_stride, x_stride, together,
             layer.in, sums);
    for (int j = 0; j < kTogether && first + j < filled; ++j) {
      const float sum = j < together ? warp_sum(sums[j]) + (layer.bias == nullptr ? 0.0f : layer.bias[out]) : 0.0f;
      if (threadIdx.x % kWarp == 0) to.out[(first + j) * to.row_stride + out * to.out_stride] = sum;
    }
  }
}

}  // namespace l2l::cuda
