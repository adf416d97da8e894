// The DLPack protocol's structures (data-apis.org, dmlc/dlpack), as its ABI has them.
#pragma once

#include <cstdint>

namespace l2l::bindings::dlpack {

inline constexpr std::int32_t kCpu = 1, kCuda = 2, kCudaManaged = 13;
inline constexpr std::uint8_t kInt = 0, kUnsigned = 1, kFloat = 2, kBfloat = 4, kBool = 6;
inline constexpr std::uint64_t kReadOnly = 1;

struct Device {
  std::int32_t type, id;
};
struct Type {
  std::uint8_t code, bits;
  std::uint16_t lanes;
};
struct Tensor {
  void* data;
  Device device;
  std::int32_t rank;
  Type type;
  std::int64_t *shape, *strides;  // strides in elements, null if compact
  std::uint64_t byte_offset;
};
// Version 0: capsules named "dltensor".
struct Managed {
  Tensor tensor;
  void* context;
  void (*deleter)(Managed*);
};
// From version 1 on: capsules named "dltensor_versioned".
struct Versioned {
  std::uint32_t major, minor;
  void* context;
  void (*deleter)(Versioned*);
  std::uint64_t flags;
  Tensor tensor;
};

}  // namespace l2l::bindings::dlpack
