#include "bindings/cuda_array.h"

#include <pybind11/stl.h>

#include <functional>
#include <numeric>

#include "base/device.h"

namespace l2l::bindings {
namespace {

struct Named {
  Element element;
  const char *name, *type;  // as NumPy's type strings have it; null where they cannot
};
constexpr Named kNames[] = {{Element::f32, "float32", "<f4"}, {Element::f16, "float16", "<f2"},
                            {Element::bf16, "bfloat16", nullptr}, {Element::f64, "float64", "<f8"},
                            {Element::i64, "int64", "<i8"}, {Element::boolean, "bool", "|b1"}};

Element element_from(const std::string& name, const std::string& type) {
  for (const Named& known : kNames) {
    if (known.type != nullptr && type == known.type) return known.element;
  }
  throw py::type_error(name + ": elements of type " + type + " are not supported");
}

// Strides in bytes, one a dimension; those of a dimension of 1 mean nothing.
bool is_compact(const std::vector<std::int64_t>& shape, const std::vector<std::int64_t>& strides, std::int64_t bytes) {
  for (std::size_t i = shape.size(); i-- > 0;) {
    if (shape[i] != 1 && strides[i] != bytes) return false;
    bytes *= shape[i];
  }
  return true;
}

void refuse_strided(const std::string& name) {
  fail(name, ": expected a C-contiguous array on the device, got a strided one; make it contiguous first");
}

// An owner that needs the interpreter when it goes.
std::shared_ptr<void> keep(const py::object& object) {
  return {new py::object(object), [](void* held) {
            const py::gil_scoped_acquire gil;
            delete static_cast<py::object*>(held);
          }};
}

int checked_device(const std::string& name, const void* data, std::int64_t size) {
  if (size == 0) return cuda::current_device();
  const int device = cuda::device_of(data);
  if (device < 0) fail(name, ": what it points to is not device memory");
  return device;
}

}  // namespace

DeviceArray::DeviceArray(std::shared_ptr<void> owner, void* data, Element element, std::vector<std::int64_t> shape,
                         int device, std::shared_ptr<Stream> stream)
    : owner_(std::move(owner)),
      data_(data),
      element_(element),
      shape_(std::move(shape)),
      device_(device),
      stream_(std::move(stream)) {}

std::int64_t DeviceArray::size() const {
  return std::accumulate(shape_.begin(), shape_.end(), std::int64_t{1}, std::multiplies<>());
}

std::string element_name(Element element) {
  for (const Named& known : kNames) {
    if (known.element == element) return known.name;
  }
  return "unknown";
}

DeviceArray empty(Element element, std::vector<std::int64_t> shape, const std::shared_ptr<Stream>& stream) {
  const int device = cuda::current_device();
  DeviceArray array(nullptr, nullptr, element, std::move(shape), device, stream);
  void* memory = cuda::allocate(array.bytes(), stream->handle);
  // The stream lives as long as memory that is freed in its order.
  std::shared_ptr<void> owner(memory, [device, stream](void* at) { cuda::release(at, device, stream->handle); });
  return {std::move(owner), memory, element, array.shape(), device, stream};
}

DeviceArray from_interface(const std::string& name, const py::object& source, const std::shared_ptr<Stream>& stream) {
  const py::object found = source.attr("__cuda_array_interface__");
  if (!py::isinstance<py::dict>(found)) throw py::type_error(name + ": __cuda_array_interface__ is not a dict");
  const auto interface = py::reinterpret_borrow<py::dict>(found);
  const auto optional = [&](const char* key) {
    return interface.contains(key) ? py::object(interface[key]) : py::object(py::none());
  };
  try {
    if (!optional("mask").is_none()) fail(name, ": arrays with a mask are not supported");
    const auto element = element_from(name, interface["typestr"].cast<std::string>());
    const auto shape = interface["shape"].cast<std::vector<std::int64_t>>();
    void* data = reinterpret_cast<void*>(interface["data"].cast<py::tuple>()[0].cast<std::uintptr_t>());
    if (const py::object strides = optional("strides"); !strides.is_none()) {
      const auto bytes = strides.cast<std::vector<std::int64_t>>();
      if (bytes.size() != shape.size()) fail(name, ": strides and shape are of different lengths");
      if (!is_compact(shape, bytes, static_cast<std::int64_t>(size_of(element)))) refuse_strided(name);
    }
    for (const std::int64_t extent : shape) require(extent >= 0, name, ": a dimension of ", extent);
    DeviceArray array(keep(source), data, element, shape, 0, stream);
    const int device = checked_device(name, data, array.size());
    if (const py::object ready = optional("stream"); !ready.is_none()) {
      const auto handle = ready.cast<std::uintptr_t>();
      require(handle != 0, name, ": stream 0 is ambiguous in __cuda_array_interface__");
      cuda::wait_for(stream->handle, handle == 1 ? nullptr : reinterpret_cast<void*>(handle));
    }
    return {array.owner(), data, element, shape, device, stream};
  } catch (const py::cast_error&) {
    throw py::type_error(name + ": __cuda_array_interface__ is not as its version 3 has it");
  } catch (const py::error_already_set& error) {
    if (!error.matches(PyExc_KeyError)) throw;
    throw py::type_error(name + ": __cuda_array_interface__ lacks a key that its version 3 has");
  }
}

py::dict to_interface(const DeviceArray& array) {
  const auto handle = reinterpret_cast<std::uintptr_t>(array.stream()->handle);
  py::dict interface;
  for (const Named& known : kNames) {
    if (known.element != array.element()) continue;
    if (known.type == nullptr) throw py::attribute_error("bfloat16 has no type in __cuda_array_interface__; use DLPack");
    interface["typestr"] = known.type;
  }
  interface["shape"] = py::tuple(py::cast(array.shape()));
  interface["data"] = py::make_tuple(array.size() == 0 ? 0 : reinterpret_cast<std::uintptr_t>(array.data()), false);
  interface["strides"] = py::none();
  interface["version"] = 3;
  interface["stream"] = handle == 0 ? 1 : handle;
  return interface;
}

}  // namespace l2l::bindings
