// Soft indexing on the GPU (Eq. 6-8), a phase a function. Each walks its work in strides of the grid, so that
// any launch geometry does; between two phases the caller synchronises the grid, or launches anew. Whatever times,
// lengths or features hold, nothing outside of the arrays is read or written.
#pragma once

#include "ops/interpolate_device.h"
#include "ops/linear_device.h"
#include "ops/soft_index_cuda.h"

namespace l2l::cuda {

// A bank as it was given, plain enough for kernels. Arrays are [B, ...] with the widths below; lengths may be null (all
// full).
struct BankSource {
  const void* source = nullptr;  // [B, knots, size] of `element`, null where the modality is missing
  Element element = Element::f32;
  const double* times = nullptr;  // [B, knots]
  const long long* lengths = nullptr;
  int knots = 0;
};

// One modality of all videos, and what is made of it.
template <class T>
struct DeviceBank : BankSource {
  T* rows = nullptr;           // [B, knots, stride], 0 past a video's length
  int* lower = nullptr;        // [B, moments]
  float* fraction = nullptr;   // [B, moments]
  float* scores = nullptr;     // [B, scored]
  int scored = 0;              // knots, or with keys moments
  long long* spread = nullptr;  // [B, knots]: v = B^T u in units of 1 / kUnit
  float* products = nullptr;   // ReLU keys: [B, knots, key_width]
  T* keys = nullptr;           // ReLU keys: [B, moments, key_width], 0 past a video's length
  int key_width = 0;
  unsigned char* masked = nullptr;  // [B, moments], null without exclusion
};

inline const long long* device_lengths(const View<const std::int64_t, 1>& lengths) {
  static_assert(sizeof(long long) == sizeof(std::int64_t));
  return reinterpret_cast<const long long*>(lengths.data);
}

inline BankSource bank_source(const CudaBank& bank) {
  return {bank.rows.data, bank.element, bank.times.data, device_lengths(bank.lengths), static_cast<int>(bank.knots())};
}

template <class T>
DeviceBank<T> device_bank(const CudaBank& bank) {
  DeviceBank<T> on_device{bank_source(bank)};
  on_device.scored = on_device.knots;
  return on_device;
}

// What the banks of a run share.
struct Moments {
  const double* timestamps = nullptr;  // [B, count]
  const long long* lengths = nullptr;
  int batch = 0, count = 0;
  int size = 0, stride = 0;  // of a bank row: D, and D padded
};

// Sums of v must not depend on the order in which threads come, so they are integers.
constexpr float kUnit = 1099511627776.0f;  // 2^40; |u| is at most 2

__device__ inline float from_units(long long v) { return static_cast<float>(v) * (1.0f / kUnit); }

__device__ inline int length_of(const long long* lengths, int video, int full) {
  if (lengths == nullptr) return full;
  const long long length = lengths[video];
  return length < 1 ? 1 : (length > full ? full : static_cast<int>(length));
}

template <class T>
__device__ inline void store_rows(const DeviceBank<T>& bank, const Moments& moments) {
  const long long rows = static_cast<long long>(moments.batch) * bank.knots;
  for (long long i = grid_thread(); i < rows * moments.stride; i += grid_threads()) {
    const long long row = i / moments.stride;
    const int column = static_cast<int>(i % moments.stride);
    const bool valid = row % bank.knots < length_of(bank.lengths, static_cast<int>(row / bank.knots), bank.knots);
    const bool there = valid && column < moments.size;
    bank.rows[i] = to_half<T>(there ? load_value(bank.source, bank.element, row * moments.size + column) : 0.0f);
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
    const int after = first_after(knots, count, moments.timestamps[i]);
    bank.lower[i] = after > 0 ? after - 1 : 0;
    bank.fraction[i] = fraction_at(knots, count, after, moments.timestamps[i]);
  }
}

// A ReLU does not commute with interpolation, but W_k z + b_k, which `products` holds at the knots, does.
template <class T>
__device__ inline void make_keys(const DeviceBank<T>& bank, const Moments& moments) {
  const int width = bank.key_width;
  const long long rows = static_cast<long long>(moments.batch) * moments.count;
  for (long long i = grid_thread(); i < rows * width; i += grid_threads()) {
    const long long row = i / width;
    const int video = static_cast<int>(row / moments.count);
    const bool valid = row % moments.count < length_of(moments.lengths, video, moments.count);
    const float* at_knots = bank.products + static_cast<long long>(video) * bank.knots * width + i % width;
    bank.keys[i] =
        to_half<T>(valid ? fmaxf(between(at_knots, width, bank.lower[row], bank.fraction[row]), 0.0f) : 0.0f);
  }
}

// Eq. 6, its scores, a warp a row of [B, rows, width]: out = row . query[video] + bias, where there is one.
template <class X>
__device__ inline void score(const X* values, int width, const float* query, long long query_stride, const float* bias,
                             int batch, int rows, float* out) {
  for (long long i = grid_warp(); i < static_cast<long long>(batch) * rows; i += grid_warps()) {
    const float sum = dot(values + i * width, query + i / rows * query_stride, width);
    if (threadIdx.x % kWarp == 0) out[i] = bias == nullptr ? sum : sum + bias[i];
  }
}

template <class T>
__device__ inline float score_at(const DeviceBank<T>& bank, const Moments& moments, int video, int j) {
  const float* scores = bank.scores + static_cast<long long>(video) * bank.scored;
  if (bank.keys != nullptr) return scores[j];
  const long long i = static_cast<long long>(video) * moments.count + j;
  return between(scores, 1, bank.lower[i], bank.fraction[i]);
}

// Eq. 6, its softmax, for one video and bank: weight j is exp(score j - highest) / sum.
struct Softmax {
  float highest = 0.0f, sum = 1.0f;
  const unsigned char* masked = nullptr;  // the video's; null where nothing, or everything, is masked
};

template <class T>
__device__ inline float weight_at(const DeviceBank<T>& bank, const Moments& moments, int video, int j,
                                  const Softmax& softmax) {
  if (softmax.masked != nullptr && softmax.masked[j]) return 0.0f;
  return expf(score_at(bank, moments, video, j) - softmax.highest) / softmax.sum;
}

// Eq. 6, its softmax, by one block. `chosen`, if not null, becomes the argmax (the lowest index among equals), or -1.
template <class T>
__device__ inline Softmax soften(const DeviceBank<T>& bank, const Moments& moments, int video, float* scratch,
                                 int* chosen) {
  const int count = length_of(moments.lengths, video, moments.count);
  const int first = static_cast<int>(threadIdx.x), stride = static_cast<int>(blockDim.x);
  Softmax softmax;
  if (bank.masked != nullptr) softmax.masked = bank.masked + static_cast<long long>(video) * moments.count;
  for (bool again = true; again;) {
    float highest = -INFINITY;
    for (int j = first; j < count; j += stride) {
      if (softmax.masked == nullptr || !softmax.masked[j]) highest = fmaxf(highest, score_at(bank, moments, video, j));
    }
    softmax.highest = over_block<true>(highest, scratch);
    again = softmax.highest == -INFINITY && softmax.masked != nullptr;  // all are masked: as if none
    if (again) softmax.masked = nullptr;
  }
  float sum = 0.0f, top = -INFINITY;
  for (int j = first; j < count; j += stride) {
    sum += weight_at(bank, moments, video, j, softmax);
    if (softmax.masked != nullptr && softmax.masked[j]) continue;
    // As a float, which holds indices exactly up to 2^24.
    if (score_at(bank, moments, video, j) == softmax.highest) top = fmaxf(top, -static_cast<float>(j));
  }
  softmax.sum = over_block<false>(sum, scratch);
  if (chosen != nullptr) {
    top = over_block<true>(top, scratch);
    *chosen = top == -INFINITY ? -1 : static_cast<int>(-top);
  }
  return softmax;
}

// Fold 3, v = B^T u: the share u of moment j goes to the knots around it.
template <class T>
__device__ inline void spread(const DeviceBank<T>& bank, long long i, float u, long long* v) {
  const auto add = [](long long* to, float value) {
    // Two's complement: a negative share wraps, and the sum is right again.
    atomicAdd(reinterpret_cast<unsigned long long*>(to),
              static_cast<unsigned long long>(static_cast<long long>(value * kUnit)));
  };
  const float upper = bank.fraction[i] * u;
  add(v + bank.lower[i], u - upper);
  if (upper != 0.0f) add(v + bank.lower[i] + 1, upper);
}

// What one block makes of one video's scores.
struct Attending {
  float share[2] = {};              // (s^I, s^A)
  bool evenly = false;              // u = 1/N instead of the attention, which is then not made
  long long* spread[2] = {};        // v of the video's banks; null: not wanted
  float* attention[2] = {};         // [count]; null: not wanted
  int* chosen[2] = {};              // null: not wanted
};

// For one video, by one block: both attentions of Eq. 6, mixed into u by Eq. 8 (fold 2), and u spread to the knots of
// both banks (fold 3).
template <class T>
__device__ inline void attend(const DeviceBank<T> (&banks)[2], const Moments& moments, int video, float* scratch,
                              const Attending& to) {
  const int count = length_of(moments.lengths, video, moments.count);
  const int first = static_cast<int>(threadIdx.x), stride = static_cast<int>(blockDim.x);
  Softmax softmax[2];
  for (int m = 0; m < 2; ++m) {
    if (banks[m].source == nullptr) continue;
    for (int k = first; to.spread[m] != nullptr && k < banks[m].knots; k += stride) to.spread[m][k] = 0;
    int chosen = -1;
    if (!to.evenly) softmax[m] = soften(banks[m], moments, video, scratch, to.chosen[m] == nullptr ? nullptr : &chosen);
    if (!to.evenly && to.chosen[m] != nullptr && threadIdx.x == 0) *to.chosen[m] = chosen;
  }
  __syncthreads();
  for (int j = first; j < moments.count; j += stride) {
    const long long i = static_cast<long long>(video) * moments.count + j;
    float u = to.evenly ? 1.0f / static_cast<float>(count) : 0.0f;
    for (int m = 0; m < 2 && !to.evenly; ++m) {
      const bool there = j < count && banks[m].source != nullptr;
      const float weight = there ? weight_at(banks[m], moments, video, j, softmax[m]) : 0.0f;
      if (to.attention[m] != nullptr) to.attention[m][j] = weight;
      if (there) u += to.share[m] * weight;
    }
    for (int m = 0; m < 2 && j < count; ++m) {
      if (banks[m].source != nullptr && to.spread[m] != nullptr) spread(banks[m], i, u, to.spread[m]);
    }
  }
  __syncthreads();
}

// Modality scores of soft_index may be any numbers; v is held in units that suit shares of at most 1.
__device__ inline float scale_of(const float* scores) {
  const float largest = fmaxf(fabsf(scores[0]), fabsf(scores[1]));
  return largest > 0.0f ? largest : 1.0f;
}

// Eq. 7, over the knots: out[video] = sum over m of v_m z_m, up to column `columns`: a block takes kWarp columns, its
// warps take knots in turn. 0 where the bank is missing. `scales`, if not null, are the [B, 2] scores that v was
// scaled by.
template <class T>
__device__ inline void index(const DeviceBank<T>& bank, const Moments& moments, int columns, float* out,
                             long long out_stride, const float* scales) {
  auto* scratch = reinterpret_cast<float*>(shared_memory());
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  const int tiles = moments.stride / kWarp;
  for (int tile = static_cast<int>(blockIdx.x); tile < moments.batch * tiles; tile += static_cast<int>(gridDim.x)) {
    const int video = tile / tiles;
    const int column = tile % tiles * kWarp + lane;
    const int knots = bank.source == nullptr ? 0 : length_of(bank.lengths, video, bank.knots);
    const long long first = static_cast<long long>(video) * bank.knots;
    float sum = 0.0f;
    for (int m = warp; m < knots; m += warps) {
      sum += from_units(bank.spread[first + m]) * from_half(bank.rows[(first + m) * moments.stride + column]);
    }
    scratch[threadIdx.x] = sum;
    __syncthreads();
    if (warp == 0 && column < columns) {
      for (int w = 1; w < warps; ++w) sum += scratch[w * kWarp + lane];
      out[video * out_stride + column] = scales == nullptr ? sum : sum * scale_of(scales + 2LL * video);
    }
    __syncthreads();
  }
}

}  // namespace l2l::cuda
