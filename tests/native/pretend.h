// What the pretended device is told, and what it saw.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace l2l::cuda {

struct Pretended {
  struct Place {
    std::size_t bytes;
    int device;
  };
  std::recursive_mutex mutex;
  std::string missing;  // why there is no device, if there is none
  int devices = 1;
  bool has_code = true;  // for this device
  std::size_t most_bytes = std::numeric_limits<std::size_t>::max() / 2;
  void* captured = nullptr;  // the stream that is being captured
  std::size_t in_use = 0;
  std::map<unsigned char*, Place> on_device;
  std::multimap<std::pair<int, std::size_t>, unsigned char*> idle;  // what was freed, which the next of its size gets
  std::vector<std::pair<std::uintptr_t, std::uintptr_t>> waits;  // (who waits, for whom)
  std::vector<std::pair<std::uintptr_t, int>> events;            // (where each was recorded, the current device)
  int failing = 0;                                               // CUDA's number of the error that all calls give
  std::set<const void*> foreign;                                 // memory of other contexts
  int synchronised = 0;
  // A device of Python's whose streams are late, told of waits (who, for whom) and of what a stream does in its order.
  std::function<void(std::uintptr_t, std::uintptr_t)> late_wait;
  std::function<void(std::uintptr_t, std::function<void()>)> late_work;
};
Pretended& pretended();

// The calling thread's context: 0 is none, 1 + n the primary one of device n, others their makers' own.
int& current_context();

}  // namespace l2l::cuda
