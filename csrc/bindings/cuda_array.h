// An array in device memory, and how it comes from others and goes to them.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <mutex>
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

// Holds memory until the last array on it goes, and gives it back after all that reads it. Thread-safe.
class Memory {
 public:
  // Memory of our own, freed in the order of `stream`.
  Memory(void* own, int device, std::shared_ptr<Stream> stream);
  // Somebody else's, which `owner` keeps; `stream` is the one in whose order they free it, or null where nobody knows: then
  // the owner is kept until the readers have passed.
  Memory(std::shared_ptr<void> owner, int device, std::shared_ptr<Stream> stream);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  // What is queued on `stream` from now on may read it.
  void read_on(const std::shared_ptr<Stream>& stream);

 private:
  void* own_ = nullptr;
  std::shared_ptr<void> owner_;
  int device_;
  std::shared_ptr<Stream> stream_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<Stream>> readers_;  // other than stream_, each once
};

// C-contiguous. Immutable but for what it points to.
class DeviceArray {
 public:
  // The array may be read after what is on `stream`, and written unless it is `read_only`.
  DeviceArray(std::shared_ptr<Memory> memory, void* data, Element element, std::vector<std::int64_t> shape, int device,
              std::shared_ptr<Stream> stream, bool read_only);

  void* data() const { return data_; }
  Element element() const { return element_; }
  const std::vector<std::int64_t>& shape() const { return shape_; }
  int device() const { return device_; }
  const std::shared_ptr<Stream>& stream() const { return stream_; }
  bool read_only() const { return read_only_; }
  const std::shared_ptr<Memory>& memory() const { return memory_; }
  std::int64_t size() const;
  std::size_t bytes() const { return static_cast<std::size_t>(size()) * size_of(element_); }

 private:
  std::shared_ptr<Memory> memory_;
  void* data_;
  Element element_;
  std::vector<std::int64_t> shape_;
  int device_;
  std::shared_ptr<Stream> stream_;
  bool read_only_;
};

std::string element_name(Element element);

// New memory on the current device, in the order of the stream.
DeviceArray empty(Element element, std::vector<std::int64_t> shape, const std::shared_ptr<Stream>& stream);

// From others. `name` is the argument that an error names. What is queued on `stream` afterwards finds the array's
// values: for an interface with a stream of its own by waiting for that; a capsule's producer has seen to it.
DeviceArray from_interface(const std::string& name, const py::object& source, const std::shared_ptr<Stream>& stream);
DeviceArray from_capsule(const std::string& name, const py::capsule& capsule, const std::shared_ptr<Stream>& stream);

// Throws ValueError naming the argument for memory of a context that is not the device's primary one.
void refuse_foreign(const std::string& name, const void* data, std::int64_t size, int device);

// To others. A stream that a taker named must not end before what it took is let go.
py::dict to_interface(const DeviceArray& array);
py::capsule to_capsule(const DeviceArray& array, const py::object& consumer_stream, const py::object& max_version);

}  // namespace l2l::bindings
