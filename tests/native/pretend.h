// What the pretended device is told, and what it saw.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace l2l::cuda {

struct Pretended {
  std::mutex mutex;
  std::string missing;  // why there is no device, if there is none
  bool has_code = true;  // for this device
  std::size_t most_bytes = std::numeric_limits<std::size_t>::max() / 2;
  void* captured = nullptr;  // the stream that is being captured
  std::size_t in_use = 0;
  std::map<unsigned char*, std::size_t> on_device;
  std::vector<std::pair<std::uintptr_t, std::uintptr_t>> waits;  // (who waits, for whom)
  int synchronised = 0;
};
Pretended& pretended();

}  // namespace l2l::cuda
