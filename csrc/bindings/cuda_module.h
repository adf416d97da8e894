// What the CUDA module is made of, one function a bound file, and what these share.
#pragma once

#include <pybind11/stl.h>

#include <array>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "base/half.h"
#include "base/view.h"
#include "bindings/cuda_array.h"
#include "ops/soft_index_cuda.h"

namespace l2l::bindings {

void bind_cuda_array(py::module_& module);
void bind_cuda_ops(py::module_& module);
void bind_cuda_skimmer(py::module_& module);

using Optional = std::optional<DeviceArray>;
using Shape = std::vector<std::int64_t>;

// Throw TypeError or ValueError naming the argument unless the array is of the type and shape and on the device; -1 is
// any extent from 1 on. Features may be of any of the three float types.
void expect(const std::string& name, const DeviceArray& array, Element element, const Shape& shape, int device);
void expect_features(const std::string& name, const DeviceArray& array, const Shape& shape, int device);

// Likewise, but of the shape only the rank is checked.
void expect_rank(const std::string& name, const DeviceArray& array, Element element, std::size_t rank, int device);

Precision cuda_precision(const std::string& name);

template <class T>
constexpr Element element_for() {
  if constexpr (std::is_same_v<T, float>) return Element::f32;
  if constexpr (std::is_same_v<T, double>) return Element::f64;
  if constexpr (std::is_same_v<T, std::int64_t>) return Element::i64;
  if constexpr (std::is_same_v<T, unsigned char>) return Element::boolean;
}

// A view without data is of an absent array. One that is there but empty points to itself: its shape will be refused.
template <class T, std::size_t Rank>
View<T, Rank> borrowed(const DeviceArray& array) {
  const void* data = array.size() == 0 ? static_cast<const void*>(&array) : array.data();
  View<T, Rank> view{static_cast<T*>(const_cast<void*>(data)), {}};
  for (std::size_t i = 0; i < Rank; ++i) view.shape[i] = array.shape()[i];
  return view;
}

// Arrays as the core takes them. Throw as above; the core checks the extents.
template <class T, std::size_t Rank>
View<const T, Rank> view(const std::string& name, const DeviceArray& array, int device) {
  expect_rank(name, array, element_for<T>(), Rank, device);
  return borrowed<const T, Rank>(array);
}
template <class T, std::size_t Rank>
View<const T, Rank> view(const std::string& name, const Optional& array, int device) {
  return array ? view<T, Rank>(name, *array, device) : View<const T, Rank>{};
}
CudaBank bank_view(const std::string& modality, const Optional& rows, const Optional& times, const Optional& lengths,
                   int device);

}  // namespace l2l::bindings
