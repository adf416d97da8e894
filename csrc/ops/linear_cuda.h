// Linear layers on the GPU: a warp sums one row, its weights in global memory or kept in shared memory.
#pragma once

#include "base/cuda.h"

namespace l2l::cuda {

// W [out, in] row-major in T, in padded with zeros to kPad. Row r belongs to block r % blocks, whether or not the
// block keeps it in shared memory, so both cases sum alike.
template <class T>
struct Layer {
  const T* weight = nullptr;
  const float* bias = nullptr;
  int out = 0, in = 0;
  int used = 0;  // rows from here on are padding: they are not multiplied, and what they would give stays 0
  long long kept_at = -1;  // bytes into shared memory where the block's rows begin; -1: not kept
};

// The rows of a layer that block `block` owns.
template <class T>
__device__ __host__ inline int owned_rows(const Layer<T>& layer, int block, int blocks) {
  return (layer.out - block + blocks - 1) / blocks;
}

// Copies the block's rows into shared memory; the caller synchronises the block.
template <class T>
__device__ inline void keep(const Layer<T>& layer) {
  T* kept = reinterpret_cast<T*>(shared_memory() + layer.kept_at);
  const int rows = owned_rows(layer, static_cast<int>(blockIdx.x), static_cast<int>(gridDim.x));
  for (int i = 0; i < rows; ++i) {
    const T* row = layer.weight + (static_cast<long long>(i) * gridDim.x + blockIdx.x) * layer.in;
    for (int k = static_cast<int>(threadIdx.x); k < layer.in; k += static_cast<int>(blockDim.x)) {
      kept[i * layer.in + k] = row[k];
    }
  }
}

// Calls use(row, pointer to its weights) for the rows of this warp: the block's rows, dealt out to its warps.
template <class T, class Use>
__device__ inline void for_rows(const Layer<T>& layer, const Use& use) {
  const int rows = owned_rows(layer, static_cast<int>(blockIdx.x), static_cast<int>(gridDim.x));
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  for (int i = static_cast<int>(threadIdx.x) / kWarp; i < rows; i += warps) {
    const int row = i * static_cast<int>(gridDim.x) + static_cast<int>(blockIdx.x);
    const T* weight = layer.kept_at < 0 ? layer.weight + static_cast<long long>(row) * layer.in
                                        : reinterpret_cast<const T*>(shared_memory() + layer.kept_at) + i * layer.in;
    use(row, weight);
  }
}

// weight . x over `size` values, in every lane.
template <class T>
__device__ inline float dot(const T* weight, const float* x, int size) {
  float sum = 0.0f;
  for (int k = static_cast<int>(threadIdx.x) % kWarp; k < size; k += kWarp) sum += from_half(weight[k]) * x[k];
  return warp_sum(sum);
}

// y[b] = W x[b] + bias for all b.
template <class T>
__device__ inline void linear(const Layer<T>& layer, const float* x, int x_stride, float* y, int y_stride, int batch,
                              bool relu) {
  for_rows(layer, [&](int row, const T* weight) {
    for (int b = 0; b < batch && row < layer.used; ++b) {
      const float sum = dot(weight, x + static_cast<long long>(b) * x_stride, layer.in) + layer.bias[row];
      if (threadIdx.x % kWarp == 0) y[static_cast<long long>(b) * y_stride + row] = relu ? fmaxf(sum, 0.0f) : sum;
    }
  });
}

}  // namespace l2l::cuda
