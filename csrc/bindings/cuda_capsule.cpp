// Device arrays as DLPack capsules. Who takes a capsule renames it and calls the deleter when done; a capsule that
// nobody took calls it itself.
#include <functional>
#include <numeric>

#include "base/device.h"
#include "bindings/cuda_array.h"
#include "bindings/dlpack.h"

namespace l2l::bindings {
namespace {

constexpr const char *kOld = "dltensor", *kOldUsed = "used_dltensor";
constexpr const char *kNew = "dltensor_versioned", *kNewUsed = "used_dltensor_versioned";

struct Coded {
  Element element;
  std::uint8_t code, bits;
};
constexpr Coded kCodes[] = {{Element::f32, dlpack::kFloat, 32}, {Element::f16, dlpack::kFloat, 16},
                            {Element::bf16, dlpack::kBfloat, 16}, {Element::f64, dlpack::kFloat, 64},
                            {Element::i64, dlpack::kInt, 64}, {Element::boolean, dlpack::kBool, 8}};

Element element_from(const std::string& name, const dlpack::Type& type) {
  for (const Coded& known : kCodes) {
    if (type.lanes == 1 && type.code == known.code && type.bits == known.bits) return known.element;
  }
  throw py::type_error(name + ": elements of DLPack type (" + std::to_string(type.code) + ", " +
                       std::to_string(type.bits) + " bits) are not supported");
}

void check_compact(const std::string& name, const dlpack::Tensor& tensor) {
  std::int64_t step = 1;
  for (std::int32_t i = tensor.rank; tensor.strides != nullptr && i-- > 0;) {
    require(tensor.shape[i] == 1 || tensor.strides[i] == step, name,
            ": expected a C-contiguous array on the device, got a strided one; make it contiguous first");
    step *= tensor.shape[i];
  }
}

// Takes the tensor over: its deleter runs when the last array on it goes, or at once if it is not usable.
template <class Holder>
DeviceArray take(const std::string& name, const py::capsule& capsule, const char* used, Holder* held,
                 const std::shared_ptr<Stream>& stream, bool read_only) {
  if (PyCapsule_SetName(capsule.ptr(), used) != 0) throw py::error_already_set();
  std::shared_ptr<void> owner(held, [](void* at) {
    auto* holder = static_cast<Holder*>(at);
    if (holder->deleter == nullptr || Py_IsInitialized() == 0) return;
    const py::gil_scoped_acquire gil;
    holder->deleter(holder);
  });
  const dlpack::Tensor& tensor = held->tensor;
  require(tensor.device.type == dlpack::kCuda || tensor.device.type == dlpack::kCudaManaged, name,
          ": expected an array on a CUDA device, got one on DLPack device type ", tensor.device.type);
  const Element element = element_from(name, tensor.type);
  check_compact(name, tensor);
  const std::vector<std::int64_t> shape(tensor.shape, tensor.shape + tensor.rank);
  void* data = static_cast<unsigned char*>(tensor.data) + tensor.byte_offset;
  const int device = tensor.device.id;
  const auto size = std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
  refuse_foreign(name, data, size, device);
  // In which order its maker frees it, DLPack does not say.
  auto memory = std::make_shared<Memory>(std::move(owner), device, nullptr);
  const cuda::OnDevice on(device);
  if (!cuda::is_capturing(stream->handle)) memory->read_on(stream);
  return {std::move(memory), data, element, shape, device, stream, read_only};
}

// What a capsule of ours points to.
template <class Holder>
struct Exported {
  Holder holder{};
  DeviceArray array;
  std::vector<std::int64_t> shape, strides;

  explicit Exported(const DeviceArray& from) : array(from), shape(from.shape()), strides(shape.size(), 1) {
    for (std::size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
    dlpack::Tensor& tensor = holder.tensor;
    tensor.data = array.data();
    tensor.device = {dlpack::kCuda, array.device()};
    tensor.rank = static_cast<std::int32_t>(shape.size());
    for (const Coded& known : kCodes) {
      if (known.element == array.element()) tensor.type = {known.code, known.bits, 1};
    }
    tensor.shape = shape.data();
    tensor.strides = strides.data();
    holder.context = this;
    // May run on any thread, holding the interpreter or not, and after its end: then the system takes all back.
    holder.deleter = [](Holder* used) {
      if (Py_IsInitialized() == 0) return;
      const py::gil_scoped_acquire gil;
      delete static_cast<Exported*>(used->context);
    };
  }
};

template <class Holder>
py::capsule wrap(std::unique_ptr<Exported<Holder>> exported, const char* name, PyCapsule_Destructor unused) {
  PyObject* capsule = PyCapsule_New(&exported->holder, name, unused);
  if (capsule == nullptr) throw py::error_already_set();
  exported.release();
  return py::reinterpret_steal<py::capsule>(capsule);
}

template <class Holder>
void delete_if_unused(PyObject* capsule, const char* name) {
  if (PyCapsule_IsValid(capsule, name) == 0) return;  // taken: it is the taker's
  auto* holder = static_cast<Holder*>(PyCapsule_GetPointer(capsule, name));
  holder->deleter(holder);
}

// The consumer's stream, as __dlpack__ numbers it for CUDA: None and 1 are the legacy default stream.
void hand_over(const DeviceArray& array, const py::object& consumer) {
  std::int64_t number = 1;
  if (!consumer.is_none()) {
    if (!py::isinstance<py::int_>(consumer)) throw py::type_error("stream: expected an integer or None");
    number = consumer.cast<std::int64_t>();
  }
  if (number == -1) return;  // the consumer sees to it
  require(number > 0, "stream: ", number, " is no CUDA stream in __dlpack__");
  void* handle = number == 1 ? nullptr : reinterpret_cast<void*>(static_cast<std::uintptr_t>(number));
  const cuda::OnDevice device(array.device());
  cuda::wait_for(handle, array.stream()->handle);
  array.memory()->read_on(std::make_shared<Stream>(Stream{handle, {}}));
}

}  // namespace

DeviceArray from_capsule(const std::string& name, const py::capsule& capsule, const std::shared_ptr<Stream>& stream) {
  if (PyCapsule_IsValid(capsule.ptr(), kNew) != 0) {
    auto* held = static_cast<dlpack::Versioned*>(PyCapsule_GetPointer(capsule.ptr(), kNew));
    if (held->major > 1) {
      throw py::type_error(name + ": DLPack version " + std::to_string(held->major) + " is not known here");
    }
    return take(name, capsule, kNewUsed, held, stream, (held->flags & dlpack::kReadOnly) != 0);
  }
  if (PyCapsule_IsValid(capsule.ptr(), kOld) == 0) throw py::type_error(name + ": __dlpack__ gave no unused DLPack capsule");
  auto* held = static_cast<dlpack::Managed*>(PyCapsule_GetPointer(capsule.ptr(), kOld));
  return take(name, capsule, kOldUsed, held, stream, false);
}

py::capsule to_capsule(const DeviceArray& array, const py::object& consumer_stream, const py::object& max_version) {
  const bool versioned = !max_version.is_none() && max_version.cast<py::tuple>()[0].cast<int>() >= 1;
  if (!versioned && array.read_only()) {
    throw py::buffer_error("a read-only array needs a DLPack of version 1 or later, which can say so");
  }
  hand_over(array, consumer_stream);
  if (!versioned) {
    return wrap(std::make_unique<Exported<dlpack::Managed>>(array), kOld,
                [](PyObject* capsule) { delete_if_unused<dlpack::Managed>(capsule, kOld); });
  }
  auto exported = std::make_unique<Exported<dlpack::Versioned>>(array);
  exported->holder.major = 1;
  exported->holder.minor = 0;
  exported->holder.flags = array.read_only() ? dlpack::kReadOnly : 0;
  return wrap(std::move(exported), kNew,
              [](PyObject* capsule) { delete_if_unused<dlpack::Versioned>(capsule, kNew); });
}

}  // namespace l2l::bindings
