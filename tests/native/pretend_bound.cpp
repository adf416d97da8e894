// What only the tests see of the module: the pretended device.
#include "pretend.h"

#include "bindings/cuda_module.h"

namespace l2l::bindings {

void bind_pretended(py::module_& module) {
  using cuda::Pretended;
  module.attr("on_host") = true;
  py::class_<Pretended>(module, "Pretended")
      .def_readwrite("missing", &Pretended::missing)
      .def_readwrite("most_bytes", &Pretended::most_bytes)
      .def_readonly("in_use", &Pretended::in_use)
      .def_readwrite("waits", &Pretended::waits)
      .def_readonly("synchronised", &Pretended::synchronised)
      .def_property(
          "captured", [](const Pretended& p) { return reinterpret_cast<std::uintptr_t>(p.captured); },
          [](Pretended& p, std::uintptr_t stream) { p.captured = reinterpret_cast<void*>(stream); });
  module.attr("pretended") = py::cast(&cuda::pretended(), py::return_value_policy::reference);
}

}  // namespace l2l::bindings
