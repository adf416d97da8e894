#include "base/device.h"

#include <cuda.h>

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "base/cuda.h"

namespace l2l::cuda {
namespace {

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

[[noreturn]] void no_device(cudaError_t status) {
  int driver = 0, runtime = 0;
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  cudaGetLastError();
  if (driver == 0) throw DeviceError("CUDA cannot be used: no NVIDIA driver is installed (libcuda.so.1 was not found)");
  if (status == cudaErrorInsufficientDriver) {
    throw DeviceError("CUDA cannot be used: the NVIDIA driver is for CUDA " + version_text(driver) +
                      ", this build needs one for " + version_text(runtime));
  }
  if (status == cudaErrorNoDevice) throw DeviceError("CUDA cannot be used: the NVIDIA driver finds no GPU");
  throw DeviceError(std::string("CUDA cannot be used: ") + cudaGetErrorString(status));
}

// A function of the driver, or null without one. The runtime is linked statically and finds the driver by itself.
template <class Function>
Function* driver_function(const char* name) {
  void* found = nullptr;
  cudaDriverEntryPointQueryResult result = cudaDriverEntryPointSymbolNotFound;
  if (cudaGetDriverEntryPointByVersion(name, &found, CUDA_VERSION, cudaEnableDefault, &result) != cudaSuccess) {
    cudaGetLastError();
  }
  return result == cudaDriverEntryPointSuccess ? reinterpret_cast<Function*>(found) : nullptr;
}

void* current_context() noexcept {
  static auto* const get = driver_function<CUresult(CUcontext*)>("cuCtxGetCurrent");
  CUcontext current = nullptr;
  if (get != nullptr && get(&current) != CUDA_SUCCESS) current = nullptr;
  return current;
}

void set_context(void* context) noexcept {
  static auto* const set = driver_function<CUresult(CUcontext)>("cuCtxSetCurrent");
  if (set != nullptr) set(static_cast<CUcontext>(context));
}

// Memory kept between runs, apart from the device's default pool, which belongs to the whole process.
constexpr std::uint64_t kKeptBytes = std::uint64_t{256} << 20;
constexpr int kMostDevices = 64;

cudaMemPool_t pool_of(int device) {
  static std::mutex mutex;
  static cudaMemPool_t pools[kMostDevices] = {};
  if (device < 0 || device >= kMostDevices) throw DeviceError("device memory: no such device");
  const std::lock_guard<std::mutex> lock(mutex);
  if (pools[device] == nullptr) {
    cudaMemPoolProps properties = {};
    properties.allocType = cudaMemAllocationTypePinned;
    properties.location.type = cudaMemLocationTypeDevice;
    properties.location.id = device;
    cudaMemPool_t pool = nullptr;
    check(cudaMemPoolCreate(&pool, &properties), "memory pool");
    std::uint64_t kept = kKeptBytes;
    check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &kept), "memory pool");
    pools[device] = pool;
  }
  return pools[device];
}

// What was let go while one of its streams was being captured, when to wait or to free would become part of the graph;
// and what waits for its readers, each of which has an event.
struct Held {
  Returned item;
  std::vector<cudaEvent_t> passed;
};
std::mutex held_mutex;
std::vector<Held> held;

bool is_captured(void* stream) noexcept {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  const cudaError_t asked = cudaStreamIsCapturing(static_cast<Stream>(stream), &status);
  // Or it is the legacy stream while another is captured, on which nothing may be queued then either.
  return asked == cudaErrorStreamCaptureImplicit || (asked == cudaSuccess && status != cudaStreamCaptureStatusNone);
}

// Questions after events, which captures of other threads take for unsafe, are none of theirs.
class Relaxed {
 public:
  Relaxed() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  ~Relaxed() { cudaThreadExchangeStreamCaptureMode(&mode_); }

 private:
  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
};

void order_after_readers(const Returned& item) {
  for (void* reader : item.readers) wait_for(item.stream, reader);
}

void record_readers(Held& held) {
  for (void* reader : held.item.readers) {
    cudaEvent_t event = nullptr;
    check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "event");
    held.passed.push_back(event);
    check(cudaEventRecord(event, static_cast<Stream>(reader)), "event");
  }
}

bool all_passed(Held& held) {
  const auto pending = [](cudaEvent_t event) { return cudaEventQuery(event) == cudaErrorNotReady; };
  if (std::any_of(held.passed.begin(), held.passed.end(), pending)) return false;
  for (cudaEvent_t event : held.passed) cudaEventDestroy(event);
  held.passed.clear();
  return true;
}

// False where it has to be tried again.
bool released(Held& entry) noexcept {
  const Returned& item = entry.item;
  const Context before;
  const Relaxed relaxed;
  cudaSetDevice(item.device);
  bool done = true;
  const bool begun = !entry.passed.empty();
  const bool captured = !begun && ((item.ordered && is_captured(item.stream)) ||
                                   std::any_of(item.readers.begin(), item.readers.end(), is_captured));
  try {
    if (captured) {
      done = false;
    } else if (item.ordered) {
      order_after_readers(item);
    } else {
      if (!begun) record_readers(entry);
      done = all_passed(entry);
    }
  } catch (...) {
    // A reader's stream that its owner has ended: what it was asked to do may still be under way.
    cudaDeviceSynchronize();
    done = all_passed(entry);
  }
  if (done && item.memory != nullptr) cudaFreeAsync(item.memory, static_cast<Stream>(item.stream));
  cudaGetLastError();
  return done;
}

void release_or_hold(Held entry) noexcept {
  if (released(entry)) return;
  try {
    const std::lock_guard<std::mutex> lock(held_mutex);
    held.push_back(std::move(entry));
  } catch (...) {
    // No memory to remember it by: it is lost, which is better than a graph that frees it twice.
  }
}

void free_held() noexcept {
  std::vector<Held> again;
  {
    const std::lock_guard<std::mutex> lock(held_mutex);
    again.swap(held);
  }
  // Without the lock: what these keep may be Python's, and may let go of more memory.
  for (Held& entry : again) release_or_hold(std::move(entry));
}

// Only asked for, never launched.
__global__ void probe_kernel() {}

// All files of this build have code for the same architectures, so one kernel stands for all. A yes is remembered.
void require_code(int device) {
  static std::mutex mutex;
  static bool there[kMostDevices] = {};
  const std::lock_guard<std::mutex> lock(mutex);
  if (device >= kMostDevices || there[device]) return;
  const OnDevice on(device);
  cudaFuncAttributes attributes;
  const cudaError_t status = cudaFuncGetAttributes(&attributes, probe_kernel);
  cudaGetLastError();
  if (status == cudaErrorNoKernelImageForDevice || status == cudaErrorInvalidDeviceFunction ||
      status == cudaErrorUnsupportedPtxVersion || status == cudaErrorInvalidPtx) {
    int major = 0, minor = 0;
    check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "device");
    check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device), "device");
    throw DeviceError(no_code_for(device_name(device), major, minor));
  }
  check(status, "loading the kernels");
  there[device] = true;
}

}  // namespace

void require_device(int device) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess || count == 0) no_device(status == cudaSuccess ? cudaErrorNoDevice : status);
  if (device < 0 || device >= count) {
    throw DeviceError("device: there is no GPU " + std::to_string(device) + ", only " + std::to_string(count) +
                      " (counted from 0)");
  }
  require_code(device);
}

std::string device_name(int device) {
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, device), "device");
  return properties.name;
}

int current_device() {
  int device = 0;
  check(cudaGetDevice(&device), "device");
  return device;
}

int device_of(const void* memory) {
  const Context before;
  cudaPointerAttributes attributes;
  check(cudaPointerGetAttributes(&attributes, memory), "device memory");
  const bool on_device = attributes.type == cudaMemoryTypeDevice || attributes.type == cudaMemoryTypeManaged;
  return on_device ? attributes.device : -1;
}

bool is_foreign(const void* memory, int device) {
  static auto* const ask =
      driver_function<CUresult(void*, CUpointer_attribute, CUdeviceptr)>("cuPointerGetAttribute");
  CUcontext owner = nullptr;
  if (ask == nullptr || ask(&owner, CU_POINTER_ATTRIBUTE_CONTEXT, reinterpret_cast<CUdeviceptr>(memory)) != CUDA_SUCCESS) {
    return false;
  }
  const OnDevice on(device);
  // Memory of a pool belongs to no context.
  return owner != nullptr && owner != current_context();
}

Context::Context() : before_(current_context()) {}
Context::~Context() { set_context(before_); }

OnDevice::OnDevice(int device) { check(cudaSetDevice(device), "device"); }

void* allocate(std::size_t bytes, void* stream) {
  free_held();
  void* memory = nullptr;
  const cudaError_t status = cudaMallocFromPoolAsync(&memory, bytes > 0 ? bytes : 1, pool_of(current_device()),
                                                     static_cast<Stream>(stream));
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    std::size_t free = 0, total = 0;
    cudaMemGetInfo(&free, &total);
    throw OutOfMemory("device memory: " + std::to_string(bytes) + " bytes asked for, " + std::to_string(free) +
                      " of " + std::to_string(total) + " free");
  }
  check(status, "device memory");
  return memory;
}

void release(Returned item) noexcept {
  free_held();
  release_or_hold({std::move(item), {}});
}

void upload(void* to, const void* from, std::size_t bytes, void* stream) {
  cudaPointerAttributes attributes;
  check(cudaPointerGetAttributes(&attributes, from), "copy to the device");
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, static_cast<Stream>(stream)), "copy to the device");
  // Pageable memory has been read by now; pinned memory, which arrays of other libraries may lie in, has not.
  if (attributes.type != cudaMemoryTypeUnregistered) synchronize(stream);
}

void download(void* to, const void* from, std::size_t bytes, void* stream) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, static_cast<Stream>(stream)),
        "copy from the device");
  synchronize(stream);
}

void wait_for(void* stream, void* earlier) {
  if (stream == earlier) return;
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "event");
  cudaError_t status = cudaEventRecord(event, static_cast<Stream>(earlier));
  if (status == cudaSuccess) status = cudaStreamWaitEvent(static_cast<Stream>(stream), event, 0);
  cudaEventDestroy(event);
  check(status, "waiting for another stream");
}

void synchronize(void* stream) { check(cudaStreamSynchronize(static_cast<Stream>(stream)), "stream"); }

bool is_capturing(void* stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  const cudaError_t asked = cudaStreamIsCapturing(static_cast<Stream>(stream), &status);
  if (asked == cudaErrorStreamCaptureImplicit) {  // the legacy stream, while another stream is captured
    cudaGetLastError();
    return false;
  }
  check(asked, "stream");
  return status != cudaStreamCaptureStatusNone;
}

}  // namespace l2l::cuda
