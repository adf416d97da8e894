// An array in device memory, and how it comes from others and goes to them.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/element.h"

namespace l2l::bindings {

namespace py = pybind11;

// A stream that is somebody else's; `owner` keeps it alive. A null handle is the legacy default stream.
struct Stream {
  void* handle = nullptr;
  py::object owner;
};

// C-contiguous. Immutable but for what it points to.
class DeviceArray {
 public:
  // `owner` frees or holds what `data` points to. The array may be read after what is on `stream`.
  DeviceArray(std::shared_ptr<void> owner, void* data, Element element, std::vector<std::int64_t> shape, int device,
              std::shared_ptr<Stream> stream);

  void* data() const { return data_; }
  Element element() const { return element_; }
  const std::vector<std::int64_t>& shape() const { return shape_; }
  int device() const { return device_; }
  const std::shared_ptr<Stream>& stream() const { return stream_; }
  const std::shared_ptr<void>& owner() const { return owner_; }
  std::int64_t size() const;
  std::size_t bytes() const { return static_cast<std::size_t>(size()) * size_of(element_); }

 private:
  std::shared_ptr<void> owner_;
  void* data_;
  Element element_;
  std::vector<std::int64_t> shape_;
  int device_;
  std::shared_ptr<Stream> stream_;
};

std::string element_name(Element element);

// New memory on the current device, in the order of the stream.
DeviceArray empty(Element element, std::vector<std::int64_t> shape, const std::shared_ptr<Stream>& stream);

// From others. `name` is the argument that an error names. What is queued on `stream` afterwards finds the array's
// values: for an interface with a stream of its own by waiting for that; a capsule's producer has seen to it.
DeviceArray from_interface(const std::string& name, const py::object& source, const std::shared_ptr<Stream>& stream);
DeviceArray from_capsule(const std::string& name, const py::capsule& capsule, const std::shared_ptr<Stream>& stream);

// To others.
py::dict to_interface(const DeviceArray& array);
py::capsule to_capsule(const DeviceArray& array, const py::object& consumer_stream, const py::object& max_version);

}  // namespace l2l::bindings
