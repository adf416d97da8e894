// NumPy arrays to views. The Python front has made them contiguous and of the right dtype already; a
// direct caller who has not gets a TypeError from pybind11, never a silent copy.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <string>

#include "base/check.h"
#include "base/view.h"

namespace l2l::bindings {

namespace py = pybind11;

template <class T>
using Array = py::array_t<T, py::array::c_style>;

template <std::size_t Rank, class T>
View<const T, Rank> view(const std::string& name, const Array<T>& array) {
  require(array.ndim() == static_cast<py::ssize_t>(Rank), name, ": expected ", Rank, " dimensions, got ",
          array.ndim());
  View<const T, Rank> result{array.data(), {}};
  for (std::size_t i = 0; i < Rank; ++i) result.shape[i] = array.shape(static_cast<py::ssize_t>(i));
  return result;
}

template <std::size_t Rank>
View<float, Rank> writable(Array<float>& array) {
  View<float, Rank> result{array.mutable_data(), {}};
  for (std::size_t i = 0; i < Rank; ++i) result.shape[i] = array.shape(static_cast<py::ssize_t>(i));
  return result;
}

}  // namespace l2l::bindings
