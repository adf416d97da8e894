// Weights by name.
#pragma once

#include <pybind11/stl.h>

#include <map>
#include <string>

#include "bindings/arrays.h"
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

}  // namespace l2l::bindings
