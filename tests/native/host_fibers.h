// All CUDA threads of a launch take turns on one OS thread: a barrier is a jump to the next one, some nanoseconds. No
// sanitizer sees into this; see host_threads.h.
#pragma once

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

namespace l2l::cuda {

struct Index {
  unsigned x = 0;
};
struct Shape {
  int blocks, threads;
  std::size_t shared_bytes;
  bool cooperative;
};
using Stream = void*;

// Waits until `expected` fibers have come.
struct FiberBarrier {
  int expected, arrived = 0;
  unsigned generation = 0;
};
struct HostWarp {
  FiberBarrier barrier{32};
  float values[2][32] = {};  // in turns: who is late still reads what who is early does not yet write
  int turn[32] = {};
};
struct HostBlock {
  HostBlock(int threads, std::size_t shared_bytes)
      : barrier{threads}, warps(static_cast<std::size_t>(threads) / 32), shared(new unsigned char[shared_bytes + 1]) {}
  FiberBarrier barrier;
  std::vector<HostWarp> warps;
  std::unique_ptr<unsigned char[]> shared;
};

struct Fiber {
  jmp_buf place;
  ucontext_t start;
  std::unique_ptr<unsigned char[]> stack;
  Index thread, block;
  HostBlock* home = nullptr;
  bool begun = false, done = false;
};

// The fibers of a launch; one launch at a time on an OS thread.
struct Fibers {
  std::vector<std::unique_ptr<Fiber>> all;
  std::size_t now = 0;
  jmp_buf launcher;
  std::function<void()> kernel;
  Index block_dim, grid_dim;
  FiberBarrier* grid = nullptr;
};
inline thread_local Fibers* fibers = nullptr;
// In which order threads and blocks come: 0 for the order of their numbers, else one that this seeds.
inline unsigned fibers_seed = 0;

inline const Fiber& this_fiber() { return *fibers->all[fibers->now]; }
#define threadIdx (::l2l::cuda::this_fiber().thread)
#define blockIdx (::l2l::cuda::this_fiber().block)
#define blockDim (::l2l::cuda::fibers->block_dim)
#define gridDim (::l2l::cuda::fibers->grid_dim)

inline void fiber_main() {
  fibers->kernel();
  fibers->all[fibers->now]->done = true;
  _longjmp(fibers->launcher, 1);
}

[[noreturn]] inline void go_on(std::size_t next) {
  fibers->now = next;
  Fiber& fiber = *fibers->all[next];
  if (fiber.begun) _longjmp(fiber.place, 1);
  fiber.begun = true;
  setcontext(&fiber.start);
  std::abort();
}

inline void give_way() {
  std::size_t next = fibers->now;
  do {
    next = next + 1 == fibers->all.size() ? 0 : next + 1;
  } while (fibers->all[next]->done);
  if (_setjmp(fibers->all[fibers->now]->place) == 0) go_on(next);
}

inline void wait_at(FiberBarrier& barrier) {
  const unsigned generation = barrier.generation;
  if (++barrier.arrived == barrier.expected) {
    barrier.arrived = 0;
    ++barrier.generation;
    return;
  }
  while (barrier.generation == generation) give_way();
}

inline void __syncthreads() { wait_at(this_fiber().home->barrier); }
inline void grid_barrier() {
  if (fibers->grid == nullptr) std::abort();  // a plain launch cannot wait for the whole grid
  wait_at(*fibers->grid);
}
inline unsigned char* shared_memory() { return this_fiber().home->shared.get(); }
inline float __shfl_xor_sync(unsigned, float value, int lane_mask) {
  const unsigned lane = threadIdx.x % 32;
  HostWarp& warp = this_fiber().home->warps[threadIdx.x / 32];
  float* values = warp.values[warp.turn[lane] ^= 1];
  values[lane] = value;
  wait_at(warp.barrier);
  return values[lane ^ static_cast<unsigned>(lane_mask)];
}

inline std::unique_ptr<Fiber> make_fiber(int thread, int block, HostBlock* home) {
  constexpr std::size_t kStack = 96 * 1024;
  auto fiber = std::make_unique<Fiber>();
  fiber->stack.reset(new unsigned char[kStack]);
  fiber->thread.x = static_cast<unsigned>(thread);
  fiber->block.x = static_cast<unsigned>(block);
  fiber->home = home;
  getcontext(&fiber->start);
  fiber->start.uc_stack.ss_sp = fiber->stack.get();
  fiber->start.uc_stack.ss_size = kStack;
  fiber->start.uc_link = nullptr;
  makecontext(&fiber->start, fiber_main, 0);
  return fiber;
}

// Each fiber that ends comes back to the _setjmp.
inline void run_to_the_end() {
  _setjmp(fibers->launcher);
  for (fibers->now = 0; fibers->now < fibers->all.size(); ++fibers->now) {
    if (!fibers->all[fibers->now]->done) go_on(fibers->now);
  }
}

// Runs the kernel as `count` blocks of the grid from `first` on.
inline void run_fibers(Fibers& group, const Shape& shape, int first, int count) {
  std::vector<std::unique_ptr<HostBlock>> blocks;
  group.all.clear();
  for (int b = first; b < first + count; ++b) {
    blocks.push_back(std::make_unique<HostBlock>(shape.threads, shape.shared_bytes));
    for (int t = 0; t < shape.threads; ++t) group.all.push_back(make_fiber(t, b, blocks.back().get()));
  }
  if (fibers_seed != 0) std::shuffle(group.all.begin(), group.all.end(), std::mt19937(fibers_seed));
  fibers = &group;
  run_to_the_end();
  fibers = nullptr;
}

template <class... Parameters>
void launch(void (*kernel)(Parameters...), const Shape& shape, Stream, Parameters... parameters) {
  Fibers group;
  FiberBarrier grid{shape.blocks * shape.threads};
  group.kernel = [&] { kernel(parameters...); };
  group.block_dim.x = static_cast<unsigned>(shape.threads);
  group.grid_dim.x = static_cast<unsigned>(shape.blocks);
  if (shape.cooperative) {
    group.grid = &grid;
    run_fibers(group, shape, 0, shape.blocks);
    return;
  }
  std::vector<int> order(static_cast<std::size_t>(shape.blocks));
  std::iota(order.begin(), order.end(), 0);
  if (fibers_seed != 0) std::shuffle(order.begin(), order.end(), std::mt19937(fibers_seed));
  for (const int b : order) run_fibers(group, shape, b, 1);
}

}  // namespace l2l::cuda
