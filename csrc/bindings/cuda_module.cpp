#include "bindings/cuda_module.h"

#include "base/device.h"

// The tests build the same file under another name, on the twins of the CUDA sources.
#ifdef L2L_CUDA_MODULE
namespace l2l::bindings {
void bind_pretended(py::module_& module);
}
#else
#define L2L_CUDA_MODULE _cuda
#define L2L_ON_DEVICE
#endif

namespace l2l::bindings {
namespace {

void raise(const char* kind, const char* message) {
  PyErr_SetString(py::module_::import("l2l_engine.errors").attr(kind).ptr(), message);
}

void translate(std::exception_ptr thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const cuda::OutOfMemory& error) {
    raise("DeviceMemoryError", error.what());
  } catch (const cuda::DeviceError& error) {
    raise("DeviceError", error.what());
  }
}

void check_device(const std::string& name, const DeviceArray& array, int device) {
  require(array.device() == device, name, ": is on GPU ", array.device(), ", the others on GPU ", device);
}

void append(std::string& text, const std::string& extent) {
  if (!text.empty()) text.append(", ");
  text.append(extent);
}

void check_shape(const std::string& name, const DeviceArray& array, const Shape& shape) {
  bool fits = array.shape().size() == shape.size();
  std::string wanted, got;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    fits = fits && (shape[i] < 0 ? array.shape()[i] >= 1 : array.shape()[i] == shape[i]);
    append(wanted, shape[i] < 0 ? std::string("at least 1") : std::to_string(shape[i]));
  }
  for (const std::int64_t extent : array.shape()) append(got, std::to_string(extent));
  require(fits, name, ": expected shape [", wanted, "], got [", got, "]");
}

void check_rank(const std::string& name, const DeviceArray& array, std::size_t rank) {
  require(array.shape().size() == rank, name, ": expected ", rank, " dimensions, got ", array.shape().size());
}

void check_element(const std::string& name, const DeviceArray& array, Element element) {
  if (array.element() == element) return;
  throw py::type_error(name + ": expected " + element_name(element) + ", got " + element_name(array.element()));
}

void check_features(const std::string& name, const DeviceArray& array) {
  const Element element = array.element();
  if (element == Element::f32 || element == Element::f16 || element == Element::bf16) return;
  throw py::type_error(name + ": expected float32, float16, bfloat16, got " + element_name(element));
}

}  // namespace

void expect(const std::string& name, const DeviceArray& array, Element element, const Shape& shape, int device) {
  check_element(name, array, element);
  check_shape(name, array, shape);
  check_device(name, array, device);
}

void expect_features(const std::string& name, const DeviceArray& array, const Shape& shape, int device) {
  check_features(name, array);
  check_shape(name, array, shape);
  check_device(name, array, device);
}

void expect_rank(const std::string& name, const DeviceArray& array, Element element, std::size_t rank, int device) {
  check_element(name, array, element);
  check_rank(name, array, rank);
  check_device(name, array, device);
}

Precision cuda_precision(const std::string& name) {
  if (name == "fp32") return Precision::fp32;
  if (name == "bf16") return Precision::bf16;
  require(name == "fp16" || name == "auto", "precision: expected fp32, bf16, fp16 or auto, got ", name);
  return Precision::fp16;
}

CudaBank bank_view(const std::string& modality, const Optional& rows, const Optional& times, const Optional& lengths,
                   int device) {
  if (!rows) return {};
  const std::string name = modality + "_bank";
  check_features(name, *rows);
  check_rank(name, *rows, 3);
  check_device(name, *rows, device);
  return {{borrowed<const void, 3>(*rows), view<double, 2>(modality + "_times", times, device),
           view<std::int64_t, 1>(modality + "_lengths", lengths, device)},
          rows->element()};
}

}  // namespace l2l::bindings

PYBIND11_MODULE(L2L_CUDA_MODULE, module) {
  module.doc() = "The native core's CUDA side; l2l_engine.cuda is its front.";
  pybind11::register_local_exception_translator(&l2l::bindings::translate);
  module.def("require_device", &l2l::cuda::require_device);
  module.def("device_name", [](int device) {
    l2l::cuda::require_device(device);
    return l2l::cuda::device_name(device);
  });
  l2l::bindings::bind_cuda_array(module);
  l2l::bindings::bind_cuda_ops(module);
  l2l::bindings::bind_cuda_skimmer(module);
#ifndef L2L_ON_DEVICE
  l2l::bindings::bind_pretended(module);
#endif
}
