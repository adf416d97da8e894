// The CUDA sources, compiled as plain C++ (see cuda_on_host.h).
#include "skim/cuda_pairing.cu"
