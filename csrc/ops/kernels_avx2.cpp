#include "ops/simd_avx2.h"
// The register type comes first: the kernels are written over it.
#include "ops/kernels_simd.h"

namespace l2l {
const Kernels kAvx2Kernels = table(Isa::avx2);
}  // namespace l2l
