// How many threads an operation runs on.
#pragma once

namespace l2l {

// Blocks of threads (a multiple of 32, at most 512); 0 is what fills the current device, as the kernel lets it.
struct CudaLaunch {
  int blocks = 0, threads = 0;
};

}  // namespace l2l
