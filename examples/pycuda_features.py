"""Features that live on the GPU, made with PyCUDA, go into the skimmer and come back without a copy.

Run:  python examples/pycuda_features.py        (needs an NVIDIA GPU, and pip install pycuda)

The weights here are random, so the answer means nothing. Not yet run on a GPU.
"""

import sys

import numpy as np

from l2l_engine.cuda import CudaSkimmer, why_not

D, F, H, K, CLASSES = 512, 1024, 1024, 512, 400
MOMENTS, STEPS = 205, 10

MAKE_FEATURES = """
__global__ void make(float* features, int size, float phase) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < size) features[i] = sinf(0.37f * i + phase);
}
"""


def random_weights(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A skimmer of the paper's size."""
    layers = {
        "fusion.0": (F, 2 * D), "fusion.1": (D, F), "classifier": (CLASSES, D), "modality": (2, H),
        "key_image": (K, D), "key_audio": (K, D), "query_image.0": (K, H), "query_audio.0": (K, H),
    }  # fmt: skip
    shapes = {f"{name}.weight": shape for name, shape in layers.items()}
    shapes |= {f"{name}.bias": shape[:1] for name, shape in layers.items()}
    shapes |= {"lstm.weight_ih": (4 * H, D), "lstm.weight_hh": (4 * H, H), "lstm.bias": (4 * H,)}
    return {n: (rng.standard_normal(s) / np.sqrt(s[-1])).astype(np.float32) for n, s in shapes.items()}


def main() -> str | None:
    """Returns what is missing, if something is."""
    if (missing := why_not()) is not None:
        return missing
    try:
        # The primary context is the one that the CUDA runtime uses too.
        import pycuda.autoprimaryctx  # noqa: F401, PLC0415
        from pycuda import driver, gpuarray  # noqa: PLC0415
        from pycuda.compiler import SourceModule  # noqa: PLC0415
    except ImportError as error:
        return f"PyCUDA cannot be used: {error}"

    stream = driver.Stream()
    make = SourceModule(MAKE_FEATURES).get_function("make")
    timestamps = np.arange(MOMENTS)[None] * (16 / 30)
    knots = np.ascontiguousarray(timestamps[:, ::5])
    banks = [gpuarray.empty((1, knots.shape[1], D), np.float32) for _ in range(2)]
    for phase, bank in enumerate(banks):
        grid = ((bank.size + 255) // 256, 1)
        make(bank, np.int32(bank.size), np.float32(phase), block=(256, 1, 1), grid=grid, stream=stream)

    skimmer = CudaSkimmer(random_weights(np.random.default_rng(0)))
    # On the stream that the features are made on: nothing waits until the result is read.
    result = skimmer.run(*banks, knots, knots, timestamps, STEPS, stream=stream)
    answer = result.numpy()
    looked = timestamps[0, answer.image_attention[0, :-1].argmax(-1)]
    print(f"class {answer.logits[0].argmax()}; looked at {', '.join(f'{t:.1f}' for t in looked)} s")
    return None


if __name__ == "__main__":
    sys.exit(main())
