// Soft indexing on the GPU (Eq. 6-8), a phase a function. Each walks its work in strides of the grid, so that
// any launch geometry does; between two phases the caller synchronises the grid, or launches anew.
#pragma once

#include "base/cuda.h"
#include "ops/linear_cuda.h"

namespace l2l::cuda {

// One modality of all videos. Arrays are [B, ...] with the widths below; lengths may be null (all full).
template <class T>
struct DeviceBank {
  const float* source = nullptr;  // [B, knots, size], null where the modality is missing
  const double* times = nullptr;  // [B, knots]
  const long long* lengths = nullptr;
  int knots = 0;
  T* rows = nullptr;           // [B, knots, stride]
  int* lower = nullptr;        // [B, moments]
  float* fraction = nullptr;   // [B, moments]
  float* at_knots = nullptr;   // [B, knots]: scores
  unsigned long long* spread = nullptr;  // [B, knots]: v = B^T u in units of 2^-40
  float* products = nullptr;   // ReLU keys: [B, knots, key.out]
  T* keys = nullptr;           // ReLU keys: [B, moments, key.in of the query's width]
  unsigned char* masked = nullptr;  // [B, moments], null without exclusion
  int* masked_count = nullptr;      // [B]
};

// What the banks of a run share.
struct Moments {
  const double* timestamps = nullptr;  // [B, count]
  const long long* lengths = nullptr;
  int batch = 0, count = 0;
  int size = 0, stride = 0;  // of a bank row: D, and D padded
};

// Sums of v must not depend on the order in which threads come, so they are integers.
constexpr float kUnit = 1099511627776.0f;  // 2^40; u is at most 1

__device__ inline long long grid_thread() {
  return static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ inline long long grid_threads() { return static_cast<long long>(gridDim.x) * blockDim.x; }
__device__ inline int length_of(const long long* lengths, int video, int full) {
  return lengths == nullptr ? full : static_cast<int>(lengths[video]);
}

template <class T>
__device__ inline void store_rows(const DeviceBank<T>& bank, const Moments& moments) {
  const long long rows = static_cast<long long>(moments.batch) * bank.knots;
  for (long long i = grid_thread(); i < rows * moments.stride; i += grid_threads()) {
    const long long row = i / moments.stride;
    const int column = static_cast<int>(i % moments.stride);
    const bool valid = row % bank.knots < length_of(bank.lengths, static_cast<int>(row / bank.knots), bank.knots);
    bank.rows[i] = to_half<T>(valid && column < moments.size ? bank.source[row * moments.size + column] : 0.0f);
  }
}

// Where the timestamps lie among the knots, as ops/interpolate.h has it.
template <class T>
__device__ inline void locate(const DeviceBank<T>& bank, const Moments& moments) {
  for (long long i = grid_thread(); i < static_cast<long long>(moments.batch) * moments.count; i += grid_threads()) {
    const int video = static_cast<int>(i / moments.count);
    if (i % moments.count >= length_of(moments.lengths, video, moments.count)) continue;
    const double* knots = bank.times + static_cast<long long>(video) * bank.knots;
    const int count = length_of(bank.lengths, video, bank.knots);
    const double time = moments.timestamps[i];
    int begin = 0, end = count;  // the first knot later than the timestamp
    while (begin < end) {
      const int middle = (begin + end) / 2;
      if (knots[middle] <= time) {
        begin = middle + 1;
      } else {
        end = middle;
      }
    }
    const int lower = begin > 0 ? begin - 1 : 0;
    bank.lower[i] = lower;
    bank.fraction[i] = begin > 0 && begin < count
        ? static_cast<float>((time / 2 - knots[lower] / 2) / (knots[begin] / 2 - knots[lower] / 2))
        : 0.0f;
  }
}

// The row of `width` values at a moment: interpolated between the two knots around it.
__device__ inline float between(const float* at_knots, long long width, int lower, float fraction) {
  const float low = at_knots[lower * width];
  return fraction == 0.0f ? low : low + fraction * (at_knots[(lower + 1) * width] - low);
}

// W_k z + b_k at the knots: a ReLU does not commute with interpolation, but what comes before it does.
template <class T>
__device__ inline void multiply_keys(const DeviceBank<T>& bank, const Moments& moments, const Layer<T>& key) {
  const long long warps = grid_threads() / kWarp;
  const long long rows = static_cast<long long>(moments.batch) * bank.knots;
  for (long long i = grid_thread() / kWarp; i < rows * key.used; i += warps) {
    const long long row = i / key.used;
    const int k = static_cast<int>(i % key.used);
    if (row % bank.knots >= length_of(bank.lengths, static_cast<int>(row / bank.knots), bank.knots)) continue;
    const float* x = bank.source + row * moments.size;
    const float sum = dot(key.weight + static_cast<long long>(k) * key.in, x, moments.size) + key.bias[k];
    if (threadIdx.x % kWarp == 0) bank.products[row * key.out + k] = sum;
  }
}

template <class T>
__device__ inline void make_keys(const DeviceBank<T>& bank, const Moments& moments, const Layer<T>& key) {
  const int width = key.out;
  const long long rows = static_cast<long long>(moments.batch) * moments.count;
  for (long long i = grid_thread(); i < rows * width; i += grid_threads()) {
    const long long row = i / width;
    const int video = static_cast<int>(row / moments.count);
    if (row % moments.count >= length_of(moments.lengths, video, moments.count)) continue;
    const float* at_knots = bank.products + static_cast<long long>(video) * bank.knots * width + i % width;
    const bool padding = i % width >= key.used;
    bank.keys[i] = to_half<T>(padding ? 0.0f : fmaxf(between(at_knots, width, bank.lower[row], bank.fraction[row]), 0.0f));
  }
}

// Eq. 6, a warp a row; at the knots, or with keys at the moments, straight into `attention`. Sets v back to 0.
template <class T>
__device__ inline void score(const DeviceBank<T>& bank, const Moments& moments, const float* query, int query_stride,
                             int width, float* attention, long long attention_stride) {
  const bool keys = bank.keys != nullptr;
  const int scored = keys ? moments.count : bank.knots;
  const long long warps = grid_threads() / kWarp;
  for (long long i = grid_thread() / kWarp; i < static_cast<long long>(moments.batch) * scored; i += warps) {
    const int video = static_cast<int>(i / scored);
    const int row = static_cast<int>(i % scored);
    if (row >= (keys ? length_of(moments.lengths, video, scored) : length_of(bank.lengths, video, scored))) continue;
    const T* values = keys ? bank.keys + i * width : bank.rows + i * moments.stride;
    const float sum = dot(values, query + static_cast<long long>(video) * query_stride, keys ? width : moments.stride);
    if (threadIdx.x % kWarp == 0) *(keys ? attention + video * attention_stride + row : bank.at_knots + i) = sum;
  }
  for (long long i = grid_thread(); i < static_cast<long long>(moments.batch) * bank.knots; i += grid_threads()) {
    bank.spread[i] = 0;
  }
}

// The sum, or the maximum, over the block, in every thread; `scratch` holds a float a warp.
template <bool kMaximum>
__device__ inline float over_block(float x, float* scratch) {
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  x = kMaximum ? warp_max(x) : warp_sum(x);
  if (threadIdx.x % kWarp == 0) scratch[threadIdx.x / kWarp] = x;
  __syncthreads();
  float all = scratch[0];
  for (int w = 1; w < warps; ++w) all = kMaximum ? fmaxf(all, scratch[w]) : all + scratch[w];
  __syncthreads();
  return all;
}

// Eq. 7 for one video by one block: interpolate the scores, mask earlier argmaxes, softmax. `attention` is [count].
template <class T>
__device__ inline void attend(const DeviceBank<T>& bank, const Moments& moments, int video, float* attention) {
  auto* scratch = reinterpret_cast<float*>(shared_memory());
  const int count = length_of(moments.lengths, video, moments.count);
  const long long first = static_cast<long long>(video) * moments.count;
  const float* at_knots = bank.at_knots + static_cast<long long>(video) * bank.knots;
  unsigned char* masked = bank.masked == nullptr ? nullptr : bank.masked + first;
  const int stride = static_cast<int>(blockDim.x);
  float highest = -INFINITY;
  for (int j = static_cast<int>(threadIdx.x); j < moments.count; j += stride) {
    if (j < count && bank.keys == nullptr) {
      attention[j] = between(at_knots, 1, bank.lower[first + j], bank.fraction[first + j]);
    }
    if (j >= count || (masked != nullptr && masked[j])) attention[j] = -INFINITY;
    highest = fmaxf(highest, attention[j]);
  }
  highest = over_block<true>(highest, scratch);
  if (masked != nullptr) {
    // The lowest index among equals; indices are exact in a float up to 2^24.
    float top = -INFINITY;
    for (int j = static_cast<int>(threadIdx.x); j < count; j += stride) {
      if (attention[j] == highest) top = fmaxf(top, -static_cast<float>(j));
    }
    const int chosen = static_cast<int>(-over_block<true>(top, scratch));
    const bool all = bank.masked_count[video] + 1 == count;
    __syncthreads();  // everyone has read the count
    if (threadIdx.x == 0) bank.masked_count[video] = all ? 0 : bank.masked_count[video] + 1;
    for (int j = static_cast<int>(threadIdx.x); j < count; j += stride) {
      masked[j] = all ? 0 : static_cast<unsigned char>(masked[j] | (j == chosen));
    }
  }
  float sum = 0.0f;
  for (int j = static_cast<int>(threadIdx.x); j < moments.count; j += stride) {
    attention[j] = expf(attention[j] - highest);
    sum += attention[j];
  }
  sum = over_block<false>(sum, scratch);
  for (int j = static_cast<int>(threadIdx.x); j < moments.count; j += stride) attention[j] /= sum;
}

// v = B^T u for u = own_weight * own + other_weight * other, or u = 1/N where `own` is null. Strides are a video's.
template <class T>
__device__ inline void spread(const DeviceBank<T>& bank, const Moments& moments, const float* own, const float* other,
                              long long stride, const float* own_weight, const float* other_weight,
                              long long weight_stride) {
  for (long long i = grid_thread(); i < static_cast<long long>(moments.batch) * moments.count; i += grid_threads()) {
    const int video = static_cast<int>(i / moments.count);
    const int j = static_cast<int>(i % moments.count);
    const int count = length_of(moments.lengths, video, moments.count);
    if (j >= count) continue;
    float u = 1.0f / static_cast<float>(count);
    if (own != nullptr) {
      u = own_weight[video * weight_stride] * own[video * stride + j];
      if (other != nullptr) u += other_weight[video * weight_stride] * other[video * stride + j];
    }
    const float upper = bank.fraction[i] * u;
    unsigned long long* v = bank.spread + static_cast<long long>(video) * bank.knots + bank.lower[i];
    atomicAdd(v, static_cast<unsigned long long>((u - upper) * kUnit));
    if (upper != 0.0f) atomicAdd(v + 1, static_cast<unsigned long long>(upper * kUnit));
  }
}

// out[video] = sum over m of v_m z_m: a block takes kWarp columns, its warps take knots in turn.
template <class T>
__device__ inline void index(const DeviceBank<T>& bank, const Moments& moments, float* out, long long out_stride) {
  auto* scratch = reinterpret_cast<float*>(shared_memory());
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  const int tiles = moments.stride / kWarp;
  for (int tile = static_cast<int>(blockIdx.x); tile < moments.batch * tiles; tile += static_cast<int>(gridDim.x)) {
    const int video = tile / tiles;
    const int column = tile % tiles * kWarp + lane;
    const int knots = length_of(bank.lengths, video, bank.knots);
    const long long first = static_cast<long long>(video) * bank.knots;
    float sum = 0.0f;
    for (int m = warp; m < knots; m += warps) {
      const float v = static_cast<float>(bank.spread[first + m]) * (1.0f / kUnit);
      sum += v * from_half(bank.rows[(first + m) * moments.stride + column]);
    }
    scratch[threadIdx.x] = sum;
    __syncthreads();
    if (warp == 0) {
      for (int w = 1; w < warps; ++w) sum += scratch[w * kWarp + lane];
      out[video * out_stride + column] = sum;
    }
    __syncthreads();
  }
}

}  // namespace l2l::cuda
