// What the CUDA module is made of, one function a bound file, and what these share.
#pragma once

#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <vector>

#include "base/half.h"
#include "bindings/cuda_array.h"

namespace l2l::bindings {

void bind_cuda_array(py::module_& module);
void bind_cuda_ops(py::module_& module);
void bind_cuda_skimmer(py::module_& module);

using Optional = std::optional<DeviceArray>;
using Shape = std::vector<std::int64_t>;

// Throw TypeError or ValueError naming the argument unless the array is of the type and shape and on the device; -1 is
// any extent from 1 on.
void expect(const std::string& name, const DeviceArray& array, Element element, const Shape& shape, int device);
void expect_features(const std::string& name, const DeviceArray& array, const Shape& shape, int device);

Precision cuda_precision(const std::string& name);

// The pointers of optional arrays: int64 [batch] lengths, and boolean masks.
const std::int64_t* lengths_of(const std::string& name, const Optional& lengths, std::int64_t batch, int device);

}  // namespace l2l::bindings
