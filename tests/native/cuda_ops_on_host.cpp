// The CUDA sources, compiled as plain C++ (see cuda_on_host.h).
#include "ops/gather_cuda.cu"
#include "ops/interpolate_cuda.cu"
#include "ops/soft_index_cuda.cu"
