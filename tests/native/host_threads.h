// Each CUDA thread is an OS thread; barriers and shuffles are std::barriers. Blocks are few and threads are 64 a block.
#pragma once

#include <atomic>
#include <barrier>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <thread>
#include <vector>

namespace l2l::cuda {

struct Index {
  unsigned x = 0;
};
inline thread_local Index threadIdx, blockIdx, blockDim, gridDim;

struct Shape {
  int blocks, threads;
  std::size_t shared_bytes;
  bool cooperative;
};
using Stream = void*;

struct HostWarp {
  explicit HostWarp(int lanes) : barrier(lanes), values(static_cast<std::size_t>(lanes)) {}
  std::barrier<> barrier;
  std::vector<float> values;
};
struct HostBlock {
  HostBlock(int threads, std::size_t shared_bytes) : barrier(threads), shared(new unsigned char[shared_bytes]) {
    for (int w = 0; w < threads; w += 32) warps.push_back(std::make_unique<HostWarp>(32));
  }
  std::barrier<> barrier;
  std::vector<std::unique_ptr<HostWarp>> warps;
  std::unique_ptr<unsigned char[]> shared;  // exactly its size: AddressSanitizer sees an overflow
};
inline thread_local HostBlock* this_block = nullptr;
inline thread_local std::barrier<>* this_grid = nullptr;

inline void __syncthreads() { this_block->barrier.arrive_and_wait(); }
inline void grid_barrier() {
  if (this_grid == nullptr) std::abort();  // a plain launch cannot wait for the whole grid
  this_grid->arrive_and_wait();
}
inline unsigned char* shared_memory() { return this_block->shared.get(); }
// Where a test wants to know which blocks sum something: one flag a block.
inline std::atomic<bool>* summing_blocks = nullptr;

inline float __shfl_xor_sync(unsigned, float value, int lane_mask) {
  if (summing_blocks != nullptr) summing_blocks[blockIdx.x] = true;
  HostWarp& warp = *this_block->warps[threadIdx.x / 32];
  const std::size_t lane = threadIdx.x % 32;
  warp.values[lane] = value;
  warp.barrier.arrive_and_wait();
  const float other = warp.values[lane ^ static_cast<std::size_t>(lane_mask)];
  warp.barrier.arrive_and_wait();
  return other;
}

template <class... Parameters>
void launch(void (*kernel)(Parameters...), const Shape& shape, Stream, Parameters... parameters) {
  std::vector<std::unique_ptr<HostBlock>> blocks;
  std::barrier<> grid(shape.blocks * shape.threads);
  std::vector<std::thread> threads;
  for (int b = 0; b < shape.blocks; ++b) {
    blocks.push_back(std::make_unique<HostBlock>(shape.threads, shape.shared_bytes));
  }
  for (int b = 0; b < shape.blocks; ++b) {
    for (int t = 0; t < shape.threads; ++t) {
      threads.emplace_back([&, b, t] {
        threadIdx.x = static_cast<unsigned>(t);
        blockIdx.x = static_cast<unsigned>(b);
        blockDim.x = static_cast<unsigned>(shape.threads);
        gridDim.x = static_cast<unsigned>(shape.blocks);
        this_block = blocks[static_cast<std::size_t>(b)].get();
        this_grid = shape.cooperative ? &grid : nullptr;
        kernel(parameters...);
      });
    }
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace l2l::cuda
