// What only the tests see of the module: the pretended device.
#include "pretend.h"

#include <pybind11/functional.h>

#include "base/cuda.h"

#include "bindings/cuda_module.h"

namespace l2l::bindings {

void bind_pretended(py::module_& module) {
  using cuda::Pretended;
  module.attr("on_host") = true;
  py::class_<Pretended>(module, "Pretended")
      .def_readwrite("missing", &Pretended::missing)
      .def_readwrite("has_code", &Pretended::has_code)
      .def_readwrite("most_bytes", &Pretended::most_bytes)
      .def_readwrite("devices", &Pretended::devices)
      .def_readwrite("failing", &Pretended::failing)
      .def_readwrite("late_wait", &Pretended::late_wait)
      .def_readwrite("late_work", &Pretended::late_work)
      .def_readwrite("events", &Pretended::events)
      .def_property(
          "context", [](const Pretended&) { return cuda::current_context(); },
          [](Pretended&, int context) { cuda::current_context() = context; })
      .def("make_foreign", [](Pretended& p, std::uintptr_t at) { p.foreign.insert(reinterpret_cast<void*>(at)); })
      .def("forget_foreign", [](Pretended& p) { p.foreign.clear(); })
      .def_readonly("in_use", &Pretended::in_use)
      .def_readwrite("waits", &Pretended::waits)
      .def_readonly("synchronised", &Pretended::synchronised)
      .def_property(
          "captured", [](const Pretended& p) { return reinterpret_cast<std::uintptr_t>(p.captured); },
          [](Pretended& p, std::uintptr_t stream) { p.captured = reinterpret_cast<void*>(stream); });
  // Another device, of so many processors, so much shared memory a block and so many such blocks a processor.
  module.def("pretend_room", [](int processors, std::size_t shared_bytes, int threads, int blocks) {
    ++cuda::pretended_number;
    cuda::pretended_room = {processors, shared_bytes, true, threads};
    cuda::pretended_blocks_a_processor = blocks;
  });
  module.def("shuffle_threads", [](unsigned seed) { cuda::fibers_seed = seed; });
  module.attr("pretended") = py::cast(&cuda::pretended(), py::return_value_policy::reference);
}

}  // namespace l2l::bindings
