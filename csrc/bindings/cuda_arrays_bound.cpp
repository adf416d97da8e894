#include <pybind11/numpy.h>

#include "base/device.h"
#include "bindings/cuda_module.h"

namespace l2l::bindings {
namespace {

std::shared_ptr<Stream> make_stream(std::uintptr_t handle, const py::object& owner) {
  // 1 is the legacy default stream by its other name.
  return std::make_shared<Stream>(Stream{handle <= 1 ? nullptr : reinterpret_cast<void*>(handle), owner});
}

py::dtype numpy_type(Element element) {
  if (element != Element::bf16) return py::dtype(element_name(element));
  return py::dtype::from_args(py::module_::import("ml_dtypes").attr("bfloat16"));
}

py::array to_numpy(const DeviceArray& array) {
  py::array out(numpy_type(array.element()), array.shape());
  void* to = out.mutable_data();
  {
    const py::gil_scoped_release release;
    const cuda::OnDevice device(array.device());
    if (array.size() > 0) cuda::download(to, array.data(), array.bytes(), array.stream()->handle);
  }
  return out;
}

Element element_of(const py::array& array) {
  const auto name = array.dtype().attr("name").cast<std::string>();
  for (const Element element : {Element::f32, Element::f16, Element::bf16, Element::f64, Element::i64, Element::boolean}) {
    if (name == element_name(element)) return element;
  }
  throw py::type_error("array: elements of type " + name + " are not supported");
}

void refuse_capture(const std::shared_ptr<Stream>& stream, const std::string& what) {
  if (cuda::is_capturing(stream->handle)) throw cuda::DeviceError("stream: while it is being captured, " + what);
}

DeviceArray upload(const py::array& array, int device, const std::shared_ptr<Stream>& stream) {
  if ((array.flags() & py::array::c_style) == 0) throw py::value_error("array: expected a C-contiguous one");
  const cuda::OnDevice on(device);
  refuse_capture(stream, "nothing can be copied from the host; pass device arrays");
  DeviceArray copy = empty(element_of(array), {array.shape(), array.shape() + array.ndim()}, stream);
  if (copy.size() > 0) cuda::upload(copy.data(), array.data(), copy.bytes(), stream->handle);
  return copy;
}

// float32, which all outputs and workspaces are.
DeviceArray new_array(const Shape& shape, int device, const std::shared_ptr<Stream>& stream) {
  const cuda::OnDevice on(device);
  refuse_capture(stream, "no memory can be allocated; pass out= and workspace= that were made before");
  return empty(Element::f32, shape, stream);
}

// What is queued on `stream` from now on finds the array's values. The memory is not freed before that has passed, unless
// it is waited for anyway, or captured: of a graph only its owner knows where it runs.
void await(const DeviceArray& array, const std::shared_ptr<Stream>& stream, bool reads) {
  const cuda::OnDevice on(array.device());
  cuda::wait_for(stream->handle, array.stream()->handle);
  if (reads && !cuda::is_capturing(stream->handle)) array.memory()->read_on(stream);
}

py::capsule exported(const DeviceArray& array, const py::object& stream, const py::object& max_version,
                     const py::object& dl_device, const py::object& copy) {
  if (!copy.is_none() && copy.cast<bool>()) throw py::buffer_error("copy: a copy cannot be made here");
  if (!dl_device.is_none() && !dl_device.equal(py::make_tuple(2, array.device()))) {
    throw py::buffer_error("dl_device: the array can only be given where it is");
  }
  return to_capsule(array, stream, max_version);
}

}  // namespace

void bind_cuda_array(py::module_& module) {
  using py::arg;
  py::class_<Stream, std::shared_ptr<Stream>>(module, "Stream")
      .def(py::init(&make_stream), arg("handle"), arg("owner"))
      .def_property_readonly("handle", [](const Stream& s) { return reinterpret_cast<std::uintptr_t>(s.handle); });
  py::class_<DeviceArray>(module, "DeviceArray")
      .def_property_readonly("shape", [](const DeviceArray& a) { return py::tuple(py::cast(a.shape())); })
      .def_property_readonly("dtype", [](const DeviceArray& a) { return numpy_type(a.element()); })
      .def_property_readonly("ndim", [](const DeviceArray& a) { return a.shape().size(); })
      .def_property_readonly("nbytes", &DeviceArray::bytes)
      .def_property_readonly("device", &DeviceArray::device)
      .def_property_readonly("read_only", &DeviceArray::read_only)
      .def_property_readonly("stream", [](const DeviceArray& a) { return a.stream(); })
      .def_property_readonly("__cuda_array_interface__", &to_interface)
      .def("__dlpack__", &exported, py::kw_only(), arg("stream") = py::none(), arg("max_version") = py::none(),
           arg("dl_device") = py::none(), arg("copy") = py::none())
      .def("__dlpack_device__", [](const DeviceArray& a) { return py::make_tuple(2, a.device()); })
      .def("numpy", &to_numpy, "A copy on the host; waits for the stream that the array was made on.")
      .def("__repr__", [](const DeviceArray& a) {
        return "<DeviceArray " + py::repr(py::cast(a.shape())).cast<std::string>() + " " + element_name(a.element()) +
               " on GPU " + std::to_string(a.device()) + ">";
      });
  module.def("empty", &new_array, arg("shape"), arg("device"), arg("stream"));
  module.def("upload", &upload, arg("array"), arg("device"), arg("stream"));
  module.def("from_interface", &from_interface, arg("name"), arg("source"), arg("stream"));
  module.def("from_capsule", &from_capsule, arg("name"), arg("capsule"), arg("stream"));
  module.def("synchronize", [](const DeviceArray& array) {
    const py::gil_scoped_release release;
    const cuda::OnDevice on(array.device());
    cuda::synchronize(array.stream()->handle);
  });
  module.def("await_array", &await, arg("array"), arg("stream"), arg("reads") = true);
}

}  // namespace l2l::bindings
