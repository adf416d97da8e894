#include "ops/simd_portable.h"
// The register type comes first: the kernels are written over it.
#include "ops/kernels_simd.h"

namespace l2l {
const Kernels kPortableKernels = table(Isa::portable);
}  // namespace l2l
