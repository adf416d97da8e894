// The twin of base/device.cu: pretended devices whose memory is the host's. Streams are numbers; what waits for what is
// written down (see pretend.h), so that tests can ask. Memory is freed in the order of its stream if a device of Python's
// has late ones, is nonsense from then on, and the next that asks for as much gets it.
#include "base/device.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <mutex>
#include <new>
#include <utility>

#include "pretend.h"

namespace l2l::cuda {

Pretended& pretended() {
  static Pretended& state = *new Pretended;  // never ended: it may hold what is Python's
  return state;
}

int& current_context() {
  thread_local int current = 0;
  return current;
}

namespace {

constexpr int kMostDevices = 64;
constexpr std::size_t kMostIdle = 256;
using Lock = std::lock_guard<std::recursive_mutex>;

std::uintptr_t number(const void* stream) { return reinterpret_cast<std::uintptr_t>(stream); }

// Every call that a failed device would refuse begins so, and works in a primary context.
void enter() {
  const Pretended& state = pretended();
  if (current_context() < 1 || current_context() > kMostDevices) {
    throw DeviceError("a call in the context " + std::to_string(current_context()));
  }
  if (state.failing == 0) return;
  const std::string message = "the pretended device fails (" + std::to_string(state.failing) + ")";
  if (is_lost(state.failing)) throw DeviceLost(message);
  throw DeviceError(message);
}

// To be read is nonsense from now on, and the next of this size on this device gets it.
void free_now(unsigned char* at) {
  Pretended& state = pretended();
  const Lock lock(state.mutex);
  const auto [bytes, device] = state.on_device.at(at);
  state.in_use -= bytes;
  state.on_device.erase(at);
  std::memset(at, 0xff, bytes);
  if (state.idle.size() == kMostIdle) {
    ::operator delete(state.idle.begin()->second, std::align_val_t{256});
    state.idle.erase(state.idle.begin());
  }
  state.idle.emplace(std::pair(device, bytes), at);
}

}  // namespace

void require_device(int device) {
  if (!pretended().missing.empty()) throw DeviceError(pretended().missing);
  if (device < 0 || device >= pretended().devices) throw DeviceError("device: there is no GPU " + std::to_string(device));
  if (!pretended().has_code) throw DeviceError(no_code_for(device_name(device), 7, 0));
}
std::string device_name(int) { return "the host, pretending"; }
int current_device() { return std::max(0, current_context() - 1); }

int device_of(const void* memory) {
  const Lock lock(pretended().mutex);
  const auto* at = static_cast<const unsigned char*>(memory);
  for (const auto& [start, place] : pretended().on_device) {
    if (at >= start && at < start + place.bytes) return place.device;
  }
  return -1;
}

bool is_foreign(const void* memory, int) { return pretended().foreign.count(memory) > 0; }

// A context is a number, so that a null pointer is none.
Context::Context() : before_(reinterpret_cast<void*>(static_cast<std::intptr_t>(current_context()))) {}
Context::~Context() { current_context() = static_cast<int>(reinterpret_cast<std::intptr_t>(before_)); }
OnDevice::OnDevice(int device) {
  require_device(device);
  current_context() = 1 + device;
}

void* allocate(std::size_t bytes, void*) {
  enter();
  const Lock lock(pretended().mutex);
  Pretended& state = pretended();
  if (state.in_use + bytes > state.most_bytes) {
    throw OutOfMemory("device memory: " + std::to_string(bytes) + " bytes asked for");
  }
  const int device = current_device();
  unsigned char* memory = nullptr;
  // What was freed last.
  if (const auto [first, end] = state.idle.equal_range({device, bytes}); first != end) {
    memory = std::prev(end)->second;
    state.idle.erase(std::prev(end));
  } else {
    memory = static_cast<unsigned char*>(::operator new(bytes + 1, std::align_val_t{256}));
  }
  std::memset(memory, 0xff, bytes);  // NaNs: what is read before it is written shows
  state.in_use += bytes;
  state.on_device[memory] = {bytes, device};
  return memory;
}

void release(Returned item) noexcept {
  const Context before;
  current_context() = 1 + item.device;
  Pretended& state = pretended();
  const int failing = std::exchange(state.failing, 0);  // memory is given back all the same
  if (item.ordered) {
    for (void* reader : item.readers) wait_for(item.stream, reader);
  } else if (state.late_work) {
    for (void* reader : item.readers) state.late_work(number(reader), [keep = item.keep] {});
  }
  state.failing = failing;
  if (item.memory == nullptr) return;
  auto* at = static_cast<unsigned char*>(item.memory);
  if (state.late_work) {
    state.late_work(number(item.stream), [at] { free_now(at); });
  } else {
    free_now(at);
  }
}

void upload(void* to, const void* from, std::size_t bytes, void*) {
  enter();
  std::memcpy(to, from, bytes);
}
void download(void* to, const void* from, std::size_t bytes, void*) {
  enter();
  std::memcpy(to, from, bytes);
}

void wait_for(void* stream, void* earlier) {
  if (stream == earlier) return;
  enter();
  {
    const Lock lock(pretended().mutex);
    pretended().events.emplace_back(number(earlier), current_device());
    pretended().waits.emplace_back(number(stream), number(earlier));
  }
  if (pretended().late_wait) pretended().late_wait(number(stream), number(earlier));
}
void synchronize(void*) {
  enter();
  const Lock lock(pretended().mutex);
  ++pretended().synchronised;
}
bool is_capturing(void* stream) { return stream != nullptr && stream == pretended().captured; }

}  // namespace l2l::cuda
