// All that the CUDA sources use of CUDA, behind a few small wrappers. nvcc compiles the real thing; the native
// tests compile the same sources as plain C++ with the twins of tests/native/cuda_on_host.h, where a CUDA
// thread is an OS thread or a fiber.
//
// What the host never runs, all of it:
//   * what stands under __CUDACC__ in this file: conversions, 16-byte loads, the grid barrier, launches and their
//     occupancy, the weights' memory;
//   * base/device.cu: the driver's absence, pools, copies, events and captures (the twin only counts and copies);
//   * what only hardware has: caches, warps that part ways, memory order weaker than the host's, real shared memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include <map>
#include <mutex>
#include <tuple>

#include "base/cuda_launch.h"
#include "base/element.h"

#if defined(__CUDACC__)

#include <cooperative_groups.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <string>
#include <type_traits>

#include "base/device.h"

#define L2L_UNROLL _Pragma("unroll")

namespace l2l::cuda {

using Stream = cudaStream_t;

inline void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // or the next call would report it again
  const std::string message = std::string(what) + ": " + cudaGetErrorString(status);
  if (is_lost(static_cast<int>(status))) {
    throw DeviceLost(message + " (" + std::to_string(static_cast<int>(status)) +
                     "); the GPU is lost to this process, which must be started anew");
  }
  if (status == cudaErrorMemoryAllocation) throw OutOfMemory(message);
  throw DeviceError(message);
}

__device__ inline unsigned char* shared_memory() {
  extern __shared__ __align__(16) unsigned char memory[];
  return memory;
}
__device__ inline void grid_barrier() { cooperative_groups::this_grid().sync(); }

// Nanoseconds on a clock that all processors share; how often it ticks is the GPU's own affair.
__device__ inline unsigned long long global_timer() {
  unsigned long long now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  return now;
}

__device__ inline float from_half(float x) { return x; }
__device__ inline float from_half(__nv_bfloat16 x) { return __bfloat162float(x); }
__device__ inline float from_half(__half x) { return __half2float(x); }
template <class T>
__device__ inline T to_half(float x) {
  if constexpr (sizeof(T) == sizeof(float)) {
    return x;
  } else {
    return T(x);
  }
}
using Bf16 = __nv_bfloat16;
using Fp16 = __half;

// 16 bytes, at an address that is a multiple of 16; and the two values in 4 of them.
using Words = uint4;
__device__ inline Words load_words(const void* from) { return *static_cast<const uint4*>(from); }
__device__ inline void copy_words(void* to, const void* from) {
  *static_cast<uint4*>(to) = *static_cast<const uint4*>(from);
}
__device__ inline void store_four(float* to, float a, float b, float c, float d) {
  *reinterpret_cast<float4*>(to) = make_float4(a, b, c, d);
}
template <class T>
__device__ inline float2 two_values(unsigned word) {
  if constexpr (std::is_same_v<T, Bf16>) {
    return make_float2(__uint_as_float(word << 16), __uint_as_float(word & 0xffff0000u));
  } else {
    return __half22float2(*reinterpret_cast<const __half2*>(&word));
  }
}
__device__ inline float one_value(unsigned word) { return __uint_as_float(word); }

struct Shape {
  int blocks, threads;
  std::size_t shared_bytes;
  bool cooperative;
};

// What a launch on the current device may ask for.
struct Room {
  int processors;
  std::size_t shared_bytes;  // a block may have
  bool cooperative;
  int threads;  // that suit a block
};
inline Room room() {
  int device = 0, processors = 0, shared = 0, cooperative = 0;
  check(cudaGetDevice(&device), "device");
  check(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device), "device");
  check(cudaDeviceGetAttribute(&shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, device), "device");
  check(cudaDeviceGetAttribute(&cooperative, cudaDevAttrCooperativeLaunch, device), "device");
  return {processors, static_cast<std::size_t>(shared), cooperative != 0, 512};
}

// Lets a kernel have more than 48 KiB. The limit is the kernel's, for all threads and streams: one that lowered it to
// what it needs itself would take from another between its call and its launch. So it only ever goes to the most.
inline void allow_shared_memory(const void* function, std::size_t bytes) {
  if (bytes <= 48 * 1024) return;
  cudaFuncAttributes known;
  check(cudaFuncGetAttributes(&known, function), "shared memory");
  if (static_cast<std::size_t>(known.maxDynamicSharedSizeBytes) >= bytes) return;
  const int most = static_cast<int>(room().shared_bytes - known.sharedSizeBytes);
  check(cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, most), "shared memory");
}

// Queues kernel(parameters...) on the stream; nothing here waits for it.
template <class... Parameters>
void launch(void (*kernel)(Parameters...), const Shape& shape, Stream stream, Parameters... parameters) {
  void* arguments[] = {static_cast<void*>(&parameters)...};
  const auto* function = reinterpret_cast<const void*>(kernel);
  allow_shared_memory(function, shape.shared_bytes);
  const dim3 blocks(static_cast<unsigned>(shape.blocks)), threads(static_cast<unsigned>(shape.threads));
  check(shape.cooperative
            ? cudaLaunchCooperativeKernel(function, blocks, threads, arguments, shape.shared_bytes, stream)
            : cudaLaunchKernel(function, blocks, threads, arguments, shape.shared_bytes, stream),
        "kernel launch");
}

// Such blocks that a processor of the current device can have at work at once.
inline int blocks_a_processor(const void* function, int threads, std::size_t shared_bytes) {
  allow_shared_memory(function, shared_bytes);
  int blocks = 0;
  check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, function, threads, shared_bytes), "occupancy");
  return blocks;
}
inline int device_number() {
  int device = 0;
  check(cudaGetDevice(&device), "device");
  return device;
}

// For weights, once: they outlive every run, whatever its stream, because cudaFree waits for the device.
inline void* allocate_for_good(std::size_t bytes) {
  void* memory = nullptr;
  check(cudaMalloc(&memory, bytes), "device memory for weights");
  return memory;
}
inline void release_for_good(void* memory) { cudaFree(memory); }
inline void upload_at_once(void* to, const void* from, std::size_t bytes) {
  check(cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice), "copy to the device");
}

}  // namespace l2l::cuda

#else
#include "cuda_on_host.h"
#endif

namespace l2l::cuda {

// A thread in blocks of more than this many could not have as many registers as the kernels take.
constexpr int kMostThreads = 512;
constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

// The same sum, or maximum, in all lanes of a warp, always in the same order.
__device__ inline float warp_sum(float x) {
  for (int lane = kWarp / 2; lane > 0; lane /= 2) x += __shfl_xor_sync(kAllLanes, x, lane);
  return x;
}
__device__ inline float warp_max(float x) {
  for (int lane = kWarp / 2; lane > 0; lane /= 2) x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, lane));
  return x;
}

// How many such blocks the current device can have at work at once: a cooperative launch may have no more, and a plain
// one that walks its work in strides of the grid gains nothing by more. The device is asked once for each such shape.
template <class... Parameters>
int resident_blocks(void (*kernel)(Parameters...), int threads, std::size_t shared_bytes) {
  static std::mutex mutex;
  static std::map<std::tuple<int, const void*, int, std::size_t>, int> known;
  const auto* function = reinterpret_cast<const void*>(kernel);
  const std::lock_guard<std::mutex> lock(mutex);
  const auto place = known.try_emplace({device_number(), function, threads, shared_bytes}, -1).first;
  // A question that failed is asked again.
  if (place->second < 0) place->second = room().processors * blocks_a_processor(function, threads, shared_bytes);
  return place->second;
}

// A plain launch of a kernel; by default as many blocks as are at work at once.
template <class... Parameters>
Shape shape_of(void (*kernel)(Parameters...), const CudaLaunch& size, std::size_t shared_bytes_a_thread) {
  CudaLaunch chosen = size;
  if (chosen.threads == 0) chosen.threads = room().threads;
  const std::size_t shared_bytes = shared_bytes_a_thread * static_cast<std::size_t>(chosen.threads);
  if (chosen.blocks == 0) chosen.blocks = resident_blocks(kernel, chosen.threads, shared_bytes);
  return {chosen.blocks, chosen.threads, shared_bytes, false};
}

inline bool on_16_bytes(const void* memory) { return reinterpret_cast<std::uintptr_t>(memory) % 16 == 0; }

// Values that one 16-byte load brings.
template <class T>
constexpr int kChunk = static_cast<int>(16 / sizeof(T));

// `kCount` values from an address that is a multiple of 16 bytes.
template <int kCount, class T>
__device__ inline void load_values(const T* from, float (&values)[kCount]) {
  static_assert(kCount % kChunk<T> == 0);
L2L_UNROLL
  for (int at = 0; at < kCount; at += kChunk<T>) {
    const Words loaded = load_words(from + at);
    const unsigned words[4] = {loaded.x, loaded.y, loaded.z, loaded.w};
L2L_UNROLL
    for (int w = 0; w < 4; ++w) {
      if constexpr (sizeof(T) == sizeof(float)) {
        values[at + w] = one_value(words[w]);
      } else {
        const auto two = two_values<T>(words[w]);
        values[at + 2 * w] = two.x;
        values[at + 2 * w + 1] = two.y;
      }
    }
  }
}

// Value `i` of an array of one of the three float types.
__device__ inline float load_value(const void* from, Element element, long long i) {
  switch (element) {
    case Element::f16: return from_half(static_cast<const Fp16*>(from)[i]);
    case Element::bf16: return from_half(static_cast<const Bf16*>(from)[i]);
    default: return static_cast<const float*>(from)[i];
  }
}

__device__ inline long long grid_thread() {
  return static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ inline long long grid_threads() { return static_cast<long long>(gridDim.x) * blockDim.x; }

// Warps of the grid, numbered across the blocks: where there are fewer pieces of work than warps, each is taken by
// another processor, instead of all by the first few.
__device__ inline long long grid_warp() {
  return static_cast<long long>(threadIdx.x / kWarp) * gridDim.x + blockIdx.x;
}
__device__ inline long long grid_warps() { return grid_threads() / kWarp; }

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

}  // namespace l2l::cuda
