// The twin of base/device.cu: one pretended device whose memory is the host's. Streams are numbers; what waits for
// what is written down (see pretend.h), so that tests can ask.
#include "base/device.h"

#include <cstring>
#include <mutex>
#include <new>

#include "pretend.h"

namespace l2l::cuda {

Pretended& pretended() {
  static Pretended state;
  return state;
}

void require_device(int device) {
  if (!pretended().missing.empty()) throw DeviceError(pretended().missing);
  if (device != 0) throw DeviceError("device: there is no GPU " + std::to_string(device));
  if (!pretended().has_code) throw DeviceError(no_code_for(device_name(device), 7, 0));
}
std::string device_name(int) { return "the host, pretending"; }
int current_device() { return 0; }

int device_of(const void* memory) {
  const std::lock_guard<std::mutex> lock(pretended().mutex);
  const auto* at = static_cast<const unsigned char*>(memory);
  for (const auto& [start, bytes] : pretended().on_device) {
    if (at >= start && at < start + bytes) return 0;
  }
  return -1;
}

OnDevice::OnDevice(int) : before_(0) {}
OnDevice::~OnDevice() = default;

void* allocate(std::size_t bytes, void*) {
  const std::lock_guard<std::mutex> lock(pretended().mutex);
  if (pretended().in_use + bytes > pretended().most_bytes) {
    throw OutOfMemory("device memory: " + std::to_string(bytes) + " bytes asked for");
  }
  auto* memory = static_cast<unsigned char*>(::operator new(bytes + 1, std::align_val_t{256}));
  std::memset(memory, 0xff, bytes);  // NaNs: what is read before it is written shows
  pretended().in_use += bytes;
  pretended().on_device[memory] = bytes;
  return memory;
}

void release(void* memory, int, void*) noexcept {
  const std::lock_guard<std::mutex> lock(pretended().mutex);
  auto* at = static_cast<unsigned char*>(memory);
  pretended().in_use -= pretended().on_device[at];
  pretended().on_device.erase(at);
  ::operator delete(memory, std::align_val_t{256});
}

void upload(void* to, const void* from, std::size_t bytes, void*) { std::memcpy(to, from, bytes); }
void download(void* to, const void* from, std::size_t bytes, void*) { std::memcpy(to, from, bytes); }

void wait_for(void* stream, void* earlier) {
  if (stream == earlier) return;
  const std::lock_guard<std::mutex> lock(pretended().mutex);
  pretended().waits.emplace_back(reinterpret_cast<std::uintptr_t>(stream), reinterpret_cast<std::uintptr_t>(earlier));
}
void synchronize(void*) {
  const std::lock_guard<std::mutex> lock(pretended().mutex);
  ++pretended().synchronised;
}
bool is_capturing(void* stream) { return stream != nullptr && stream == pretended().captured; }

}  // namespace l2l::cuda
