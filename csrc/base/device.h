// What the host side needs of a CUDA device, without CUDA's own headers: device.cu is the real thing, and the tests
// have a twin without a GPU (tests/native/device_on_host.cpp). A stream is a cudaStream_t; null is the legacy
// default stream. All of this is thread-safe.
#pragma once

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace l2l::cuda {

// The device, its driver or a call to it failed; the message says which and why.
struct DeviceError : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct OutOfMemory : DeviceError {
  using DeviceError::DeviceError;
};
// The device has failed for the rest of the process: CUDA gives the same error to every call from then on.
struct DeviceLost : DeviceError {
  using DeviceError::DeviceError;
};
// Whether CUDA's error says so, by its number, which CUresult and cudaError_t share. cuda.h says of most of these that
// the process must be terminated and relaunched; the others are calls and launches that fail the same way each time.
constexpr bool is_lost(int status) {
  return status == 214 || status == 220 || status == 226 || (status >= 700 && status <= 702) || status == 709 ||
         (status >= 710 && status <= 719) || status == 721 || status == 810 || status == 911;
}

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
// Whether the memory belongs to a context other than the device's primary one, in which everything here works: kernels
// of one context cannot reach the memory of another.
bool is_foreign(const void* memory, int device);

// Puts the calling thread's context back as it was, whichever it was: the primary one of a device, one that its owner
// made, or none.
class Context {
 public:
  Context();
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

 private:
  void* before_;
};

// Makes a device's primary context the calling thread's current one for a while.
class OnDevice {
 public:
  explicit OnDevice(int device);

 private:
  Context before_;
};

// In stream order, on the current device.
void* allocate(std::size_t bytes, void* stream);

// What is given back once no stream reads it any more: `stream` waits for what is queued on the readers' by now, and
// then frees `memory`. Null is memory of somebody else, who frees it in the order of `stream` when `keep` goes; where
// nobody knows that order, `keep` stays until the readers have passed, and goes with a later call.
struct Returned {
  void* memory = nullptr;
  int device = 0;
  void* stream = nullptr;
  bool ordered = true;  // whether `stream` is known
  std::vector<void*> readers;
  std::shared_ptr<void> keep;  // the streams, and whatever must not go before
};
// Never throws. May come while one of the streams is being captured: then it is done later.
void release(Returned item) noexcept;

// Queued on the stream; `from` may be changed as soon as the call returns.
void upload(void* to, const void* from, std::size_t bytes, void* stream);
// Waits until the bytes are there.
void download(void* to, const void* from, std::size_t bytes, void* stream);

// What is queued on `stream` from now on waits for what is queued on `earlier` by now.
void wait_for(void* stream, void* earlier);
void synchronize(void* stream);
bool is_capturing(void* stream);

}  // namespace l2l::cuda
