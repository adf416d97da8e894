"""Arrays of a pretended device, as the CUDA side's tests hand them in, and as other libraries offer them."""

import numpy as np

from l2l_engine.cuda import native

BIG = (1 << 64) // 4


def on_device(array, stream=0):
    module = native.module()
    return module.upload(np.ascontiguousarray(array), 0, module.Stream(stream, None))


class ByInterface:
    """An array as PyCUDA offers it."""

    def __init__(self, array, **changes):
        self._take(on_device(array), changes)

    @classmethod
    def of(cls, array, **changes):
        """One that is there already."""
        made = cls.__new__(cls)
        made._take(array, changes)
        return made

    def _take(self, array, changes):
        self._array = array
        self.__cuda_array_interface__ = {**array.__cuda_array_interface__, "stream": None, **changes}


class ByCapsule:
    """An array as PyTorch offers it, of an old or a new version of DLPack."""

    def __init__(self, array, *, old=False):
        self._array, self._old, self.asked = on_device(array), old, []

    def __dlpack_device__(self):
        return (2, 0)

    def __dlpack__(self, *, stream=None, **options):
        if self._old and options:
            raise TypeError("unexpected argument")
        self.asked.append(stream)
        return self._array.__dlpack__(stream=-1, **options)
