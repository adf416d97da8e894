// What the host side needs of a CUDA device, without CUDA's own headers: device.cu is the real thing, and the tests
// have a twin without a GPU (tests/native/device_on_host.cpp). A stream is a cudaStream_t; null is the legacy
// default stream. All of this is thread-safe.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>

namespace l2l::cuda {

// The device, its driver or a call to it failed; the message says which and why.
struct DeviceError : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct OutOfMemory : DeviceError {
  using DeviceError::DeviceError;
};

// Throws DeviceError that says what is missing unless device `device` can be used: a driver, the device, and code for it
// among that which this build has.
void require_device(int device);
// What is wrong with a device for which there is no code.
inline std::string no_code_for(const std::string& name, int major, int minor) {
  const std::string capability = std::to_string(major) + "." + std::to_string(minor);
  return "CUDA cannot be used: this build of l2l_engine has no code for " + name + " (compute capability " + capability +
         "); install it from its sources with CMAKE_ARGS=-DCMAKE_CUDA_ARCHITECTURES=" + std::to_string(major) +
         std::to_string(minor) + " and an nvcc that knows it";
}
std::string device_name(int device);
int current_device();
// The device that this memory is on; -1 where it is not device memory.
int device_of(const void* memory);

// Makes a device the calling thread's current one, and puts the earlier one back.
class OnDevice {
 public:
  explicit OnDevice(int device);
  ~OnDevice();
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

 private:
  int before_;
};

// In stream order, on the current device. release() never throws, and may come while the stream is being captured.
void* allocate(std::size_t bytes, void* stream);
void release(void* memory, int device, void* stream) noexcept;

// Queued on the stream; `from` may be changed as soon as the call returns.
void upload(void* to, const void* from, std::size_t bytes, void* stream);
// Waits until the bytes are there.
void download(void* to, const void* from, std::size_t bytes, void* stream);

// What is queued on `stream` from now on waits for what is queued on `earlier` by now.
void wait_for(void* stream, void* earlier);
void synchronize(void* stream);
bool is_capturing(void* stream);

}  // namespace l2l::cuda
