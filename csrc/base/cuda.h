// All that the CUDA sources use of CUDA, behind a few small wrappers. nvcc compiles the real thing; the native
// tests compile the same sources as plain C++ with the twins of tests/native/cuda_on_host.h, where a CUDA
// thread is an OS thread. What only a GPU can run is what stands under __CUDACC__ in this file.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__CUDACC__)

#include <cooperative_groups.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

namespace l2l::cuda {

using Stream = cudaStream_t;

inline void check(cudaError_t status, const char* what) {
  if (status != cudaSuccess) throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(status));
}

__device__ inline unsigned char* shared_memory() {
  extern __shared__ __align__(16) unsigned char memory[];
  return memory;
}
__device__ inline void grid_barrier() { cooperative_groups::this_grid().sync(); }

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

struct Shape {
  int blocks, threads;
  std::size_t shared_bytes;
  bool cooperative;
};

// Queues kernel(parameters...) on the stream; nothing here waits for it.
template <class... Parameters>
void launch(void (*kernel)(Parameters...), const Shape& shape, Stream stream, Parameters... parameters) {
  void* arguments[] = {static_cast<void*>(&parameters)...};
  const auto* function = reinterpret_cast<const void*>(kernel);
  if (shape.shared_bytes > 48 * 1024) {
    check(cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(shape.shared_bytes)),
          "shared memory");
  }
  const dim3 blocks(static_cast<unsigned>(shape.blocks)), threads(static_cast<unsigned>(shape.threads));
  check(shape.cooperative
            ? cudaLaunchCooperativeKernel(function, blocks, threads, arguments, shape.shared_bytes, stream)
            : cudaLaunchKernel(function, blocks, threads, arguments, shape.shared_bytes, stream),
        "kernel launch");
}

inline void* allocate(std::size_t bytes) {
  void* memory = nullptr;
  check(cudaMalloc(&memory, bytes), "device memory");
  return memory;
}
inline void release(void* memory) { cudaFree(memory); }
inline void upload(void* to, const void* from, std::size_t bytes) {
  check(cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice), "copy to the device");
}

// How the persistent kernel may be launched on the current device.
struct Room {
  int processors;
  std::size_t shared_bytes;  // a block may have
  bool cooperative;
};
inline Room room() {
  int device = 0, processors = 0, shared = 0, cooperative = 0;
  check(cudaGetDevice(&device), "device");
  check(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device), "device");
  check(cudaDeviceGetAttribute(&shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, device), "device");
  check(cudaDeviceGetAttribute(&cooperative, cudaDevAttrCooperativeLaunch, device), "device");
  return {processors, static_cast<std::size_t>(shared), cooperative != 0};
}

}  // namespace l2l::cuda

#else
#include "cuda_on_host.h"
#endif

namespace l2l::cuda {

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

}  // namespace l2l::cuda
