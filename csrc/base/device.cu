#include "base/device.h"

#include <mutex>
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

// Memory whose stream was being captured when its owner let it go: a free would become part of the graph.
struct Held {
  void* memory;
  int device;
  void* stream;
};
std::mutex held_mutex;
std::vector<Held> held;

bool free_now(const Held& item) noexcept {
  int before = 0;
  cudaGetDevice(&before);
  cudaSetDevice(item.device);
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  const bool known = cudaStreamIsCapturing(static_cast<Stream>(item.stream), &status) == cudaSuccess;
  const bool captured = known && status != cudaStreamCaptureStatusNone;
  if (!captured) cudaFreeAsync(item.memory, static_cast<Stream>(item.stream));
  cudaGetLastError();
  cudaSetDevice(before);
  return !captured;
}

void free_held() noexcept {
  const std::lock_guard<std::mutex> lock(held_mutex);
  std::erase_if(held, free_now);
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
  cudaPointerAttributes attributes;
  check(cudaPointerGetAttributes(&attributes, memory), "device memory");
  const bool on_device = attributes.type == cudaMemoryTypeDevice || attributes.type == cudaMemoryTypeManaged;
  return on_device ? attributes.device : -1;
}

OnDevice::OnDevice(int device) : before_(current_device()) { check(cudaSetDevice(device), "device"); }
OnDevice::~OnDevice() { cudaSetDevice(before_); }

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

void release(void* memory, int device, void* stream) noexcept {
  if (free_now({memory, device, stream})) return;
  try {
    const std::lock_guard<std::mutex> lock(held_mutex);
    held.push_back({memory, device, stream});
  } catch (...) {
    // No memory to remember it by: it is lost, which is better than a graph that frees it twice.
  }
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
