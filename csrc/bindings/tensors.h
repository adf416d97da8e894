// Weights by name, and how many threads may work with them.
#pragma once

#include <pybind11/stl.h>

#include <cstdint>
#include <map>
#include <string>

#include "bindings/arrays.h"
#include "skim/skimmer.h"
#include "skim/weights.h"

namespace l2l::bindings {

using TensorDict = std::map<std::string, Array<float>>;

// Borrows: the arrays must outlive it.
inline TensorMap tensor_map(const TensorDict& weights) {
  TensorMap tensors;
  for (const auto& [name, array] : weights) {
    tensors[name] = {array.data(), {array.shape(), array.shape() + array.ndim()}};
  }
  return tensors;
}

inline void check_threads(std::int64_t threads) {
  require(threads >= 1 && threads <= kMaxThreads, "threads: ", threads, " is not between 1 and ", kMaxThreads);
}

}  // namespace l2l::bindings
