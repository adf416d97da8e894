#include "ops/simd_avx512.h"
// The register type comes first: the kernels are written over it.
#include "ops/kernels_simd.h"

namespace l2l {
const Kernels kAvx512Kernels = table(Isa::avx512);
}  // namespace l2l
