// Device memory: owned, and shared out.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/cuda.h"

namespace l2l::cuda {

// Device memory for weights, freed with its owner.
class Owned {
 public:
  explicit Owned(std::size_t bytes) : memory_(allocate_for_good(bytes)) {}
  ~Owned() { release_for_good(memory_); }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  void* get() const { return memory_; }

 private:
  void* memory_;
};

// Hands out pieces of a block of memory, or, over null, only counts them.
class Arena {
 public:
  explicit Arena(void* base) : base_(static_cast<unsigned char*>(base)) {}
  template <class T>
  T* take(std::int64_t count) {
    used_ = (used_ + 15) / 16 * 16;
    unsigned char* at = base_ == nullptr ? nullptr : base_ + used_;
    used_ += static_cast<std::size_t>(count) * sizeof(T);
    return reinterpret_cast<T*>(at);
  }
  std::size_t used() const { return used_; }

 private:
  unsigned char* base_;
  std::size_t used_ = 0;
};

}  // namespace l2l::cuda
