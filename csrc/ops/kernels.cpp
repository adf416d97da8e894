#include "ops/kernels.h"

namespace l2l {

const Kernels& kernels_for(Isa isa) {
#if defined(__x86_64__)
  switch (isa) {
    case Isa::avx512_bf16: return kAvx512Bf16Kernels;
    case Isa::avx512: return kAvx512Kernels;
    case Isa::avx2: return kAvx2Kernels;
    default: break;
  }
#endif
  static_cast<void>(isa);
  return kPortableKernels;
}

}  // namespace l2l
