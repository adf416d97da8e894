#include "bindings/cuda_array.h"

#include <pybind11/stl.h>

#include <algorithm>
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
            if (Py_IsInitialized() == 0) return;
            const py::gil_scoped_acquire gil;
            delete static_cast<py::object*>(held);
          }};
}

int checked_device(const std::string& name, const void* data, std::int64_t size) {
  if (size == 0) return cuda::current_device();
  const int device = cuda::device_of(data);
  if (device < 0) fail(name, ": what it points to is not device memory");
  refuse_foreign(name, data, size, device);
  return device;
}

}  // namespace

Memory::Memory(void* own, int device, std::shared_ptr<Stream> stream)
    : own_(own), device_(device), stream_(std::move(stream)) {}
Memory::Memory(std::shared_ptr<void> owner, int device, std::shared_ptr<Stream> stream)
    : owner_(std::move(owner)), device_(device), stream_(std::move(stream)) {}

Memory::~Memory() {
  if (own_ == nullptr && readers_.empty()) return;
  using Kept = std::pair<std::shared_ptr<void>, std::vector<std::shared_ptr<Stream>>>;
  const bool ordered = stream_ != nullptr;
  cuda::Returned item{own_, device_, ordered ? stream_->handle : nullptr, ordered, {}, nullptr};
  for (const auto& reader : readers_) item.readers.push_back(reader->handle);
  // The streams live until then: their owners may be all that keeps them.
  if (ordered) readers_.push_back(stream_);
  item.keep = std::make_shared<Kept>(std::move(owner_), std::move(readers_));
  cuda::release(std::move(item));
}

void Memory::read_on(const std::shared_ptr<Stream>& stream) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (stream_ != nullptr && stream->handle == stream_->handle) return;
  const auto same = [&](const std::shared_ptr<Stream>& known) { return known->handle == stream->handle; };
  if (std::none_of(readers_.begin(), readers_.end(), same)) readers_.push_back(stream);
}

void refuse_foreign(const std::string& name, const void* data, std::int64_t size, int device) {
  if (size == 0 || !cuda::is_foreign(data, device)) return;
  fail(name, ": is in a CUDA context of its maker's own, which kernels here cannot reach; make it in the GPU's primary "
       "context (with PyCUDA: import pycuda.autoprimaryctx instead of pycuda.autoinit), or hand in a copy on the host");
}

DeviceArray::DeviceArray(std::shared_ptr<Memory> memory, void* data, Element element, std::vector<std::int64_t> shape,
                         int device, std::shared_ptr<Stream> stream, bool read_only)
    : memory_(std::move(memory)),
      data_(data),
      element_(element),
      shape_(std::move(shape)),
      device_(device),
      stream_(std::move(stream)),
      read_only_(read_only) {}

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
  const DeviceArray array(nullptr, nullptr, element, std::move(shape), device, stream, false);
  void* data = cuda::allocate(array.bytes(), stream->handle);
  return {std::make_shared<Memory>(data, device, stream), data, element, array.shape(), device, stream, false};
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
    const auto [address, read_only] = interface["data"].cast<std::pair<std::uintptr_t, bool>>();
    void* data = reinterpret_cast<void*>(address);
    if (const py::object strides = optional("strides"); !strides.is_none()) {
      const auto bytes = strides.cast<std::vector<std::int64_t>>();
      if (bytes.size() != shape.size()) fail(name, ": strides and shape are of different lengths");
      if (!is_compact(shape, bytes, static_cast<std::int64_t>(size_of(element)))) refuse_strided(name);
    }
    for (const std::int64_t extent : shape) require(extent >= 0, name, ": a dimension of ", extent);
    const auto size = std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
    const int device = checked_device(name, data, size);
    std::shared_ptr<Stream> ready;
    if (const py::object number = optional("stream"); !number.is_none()) {
      const auto handle = number.cast<std::uintptr_t>();
      require(handle != 0, name, ": stream 0 is ambiguous in __cuda_array_interface__");
      ready = std::make_shared<Stream>(Stream{handle == 1 ? nullptr : reinterpret_cast<void*>(handle), {}});
      const cuda::OnDevice on(device);
      cuda::wait_for(stream->handle, ready->handle);
    }
    auto memory = std::make_shared<Memory>(keep(source), device, ready);
    // Without a stream the protocol leaves to the caller when the array may go.
    if (ready != nullptr) memory->read_on(stream);
    return {std::move(memory), data, element, shape, device, stream, read_only};
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
  interface["data"] = py::make_tuple(array.size() == 0 ? 0 : reinterpret_cast<std::uintptr_t>(array.data()), array.read_only());
  interface["strides"] = py::none();
  interface["version"] = 3;
  interface["stream"] = handle == 0 ? 1 : handle;
  return interface;
}

}  // namespace l2l::bindings
