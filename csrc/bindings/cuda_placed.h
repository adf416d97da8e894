// What holds weights on a device, with the device that it is on.
#pragma once

#include <memory>

#include "base/device.h"
#include "bindings/tensors.h"

namespace l2l::bindings {

template <class Held>
struct Placed {
  int device;
  std::unique_ptr<Held> held;

  template <class... Arguments>
  explicit Placed(int on, const Arguments&... arguments) : device(on) {
    const cuda::OnDevice guard(device);
    held = std::make_unique<Held>(arguments...);
  }
  ~Placed() {
    try {
      const cuda::OnDevice guard(device);
      held.reset();
    } catch (const cuda::DeviceError&) {
      // The device has failed; what was on it is gone.
    }
  }
  const Held* operator->() const { return held.get(); }
};

}  // namespace l2l::bindings
