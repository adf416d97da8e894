"""Builds the native tests for aarch64 with zig and runs them under qemu-user.

They are linked statically against musl, so that they need no files of a system that is not here.

Run: python packaging/native_aarch64.py
"""

from __future__ import annotations

import shutil
import sys

from wheels import ROOT, run, toolchain


def main() -> None:
    """Build, then run."""
    emulator = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
    if emulator is None:
        sys.exit("no qemu-aarch64 here; on Debian: apt-get install qemu-user")
    folder = ROOT / "build" / "native-aarch64"
    file = toolchain("aarch64-linux-musl", "aarch64")
    settings = {
        "CMAKE_TOOLCHAIN_FILE": file,
        "CMAKE_BUILD_TYPE": "Release",
        "CMAKE_CROSSCOMPILING_EMULATOR": emulator,
        "CMAKE_EXE_LINKER_FLAGS": "-static",
        "L2L_CUDA": "OFF",
        "L2L_PYTHON": "OFF",
        "L2L_NATIVE_TESTS": "ON",
        "L2L_NATIVE_TIMEOUT": "3000",
    }
    defined = [f"-D{name}={value}" for name, value in settings.items()]
    run("cmake", "-S", ROOT, "-B", folder, "-G", "Ninja", *defined)
    run("cmake", "--build", folder, "-j2")
    run("ctest", "--test-dir", folder, "--output-on-failure")


if __name__ == "__main__":
    main()
