// What the module is made of, one function a bound file.
#pragma once

#include <pybind11/pybind11.h>

namespace l2l::bindings {

void bind_ops(pybind11::module_& module);
void bind_skimmer(pybind11::module_& module);

}  // namespace l2l::bindings
