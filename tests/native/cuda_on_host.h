// CUDA's view of the world on the host. How its threads run is one of two headers: as OS threads, so that
// ThreadSanitizer sees the kernels' races, or, many times as fast, as fibers.
#pragma once

#include <math.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <type_traits>

#include "base/half.h"

#ifdef L2L_HOST_FIBERS
#include "host_fibers.h"
#else
#include "host_threads.h"
#endif

#define L2L_UNROLL
#define __launch_bounds__(...)
#define __global__
#define __device__
#define __host__

namespace l2l::cuda {

inline unsigned long long atomicAdd(unsigned long long* to, unsigned long long value) {
  return std::atomic_ref<unsigned long long>(*to).fetch_add(value, std::memory_order_relaxed);
}
using ::expf;
using ::fabsf;
using ::fmaxf;
using ::tanhf;

struct Bf16 {
  std::uint16_t bits;
};
struct Fp16 {
  std::uint16_t bits;
};
inline float from_half(float x) { return x; }
inline float from_half(Bf16 x) { return from_bf16(x.bits); }
inline float from_half(Fp16 x) { return from_fp16(x.bits); }
template <class T>
T to_half(float x) {
  if constexpr (sizeof(T) == sizeof(float)) {
    return x;
  } else if constexpr (std::is_same_v<T, Bf16>) {
    return {to_bf16(x)};
  } else {
    return {to_fp16(x)};
  }
}

// 16 bytes, which must lie on 16.
struct Words {
  std::uint32_t x, y, z, w;
};
inline Words load_words(const void* from) {
  if (reinterpret_cast<std::uintptr_t>(from) % 16 != 0) std::abort();
  Words words;
  std::memcpy(&words, from, sizeof words);
  return words;
}
inline void copy_words(void* to, const void* from) {
  const Words words = load_words(from);
  if (reinterpret_cast<std::uintptr_t>(to) % 16 != 0) std::abort();
  std::memcpy(to, &words, sizeof words);
}
inline void store_four(float* to, float a, float b, float c, float d) {
  if (reinterpret_cast<std::uintptr_t>(to) % 16 != 0) std::abort();
  to[0] = a, to[1] = b, to[2] = c, to[3] = d;
}
struct TwoValues {
  float x, y;
};
template <class T>
TwoValues two_values(std::uint32_t word) {
  const auto low = static_cast<std::uint16_t>(word), high = static_cast<std::uint16_t>(word >> 16);
  return {from_half(T{low}), from_half(T{high})};
}
inline float one_value(std::uint32_t word) { return __builtin_bit_cast(float, word); }

inline void* allocate_for_good(std::size_t bytes) { return ::operator new(bytes, std::align_val_t{16}); }
inline void release_for_good(void* memory) { ::operator delete(memory, std::align_val_t{16}); }
inline void upload_at_once(void* to, const void* from, std::size_t bytes) { std::memcpy(to, from, bytes); }

struct Room {
  int processors;
  std::size_t shared_bytes;
  bool cooperative;
  int threads;
};
// What the tests pretend the device has.
inline Room pretended_room{2, 1 << 20, true, 64};
inline Room room() { return pretended_room; }
inline int pretended_blocks_a_processor = 1;
inline int pretended_number = 0;  // a test that pretends another device counts it up: what is known is by number
inline int occupancy_asked = 0;   // how often
inline int device_number() { return pretended_number; }
inline int blocks_a_processor(const void*, int, std::size_t shared_bytes) {
  ++occupancy_asked;
  return shared_bytes <= pretended_room.shared_bytes ? pretended_blocks_a_processor : 0;
}

// Only ticks: its times say what came before what.
inline unsigned long long global_timer() {
  static std::atomic<unsigned long long> ticks{0};
  return 1000 * ++ticks;
}

}  // namespace l2l::cuda
