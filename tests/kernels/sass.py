"""What the compiler made of the kernels: machine code read by NVIDIA's own tools, cuobjdump and nvdisasm."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path


@dataclass(frozen=True)
class Kernel:
    """One kernel for one architecture.

    Attributes:
        name: Without its namespaces.
        registers: A thread.
        stack: Bytes a thread, for arrays that are not in registers and for spills.
        local: Instructions that read or write it.
        code: Bytes.
        opcodes: Its instructions.
    """

    name: str
    registers: int
    stack: int
    local: int
    code: int
    opcodes: tuple[str, ...]

    def count(self, pattern: str) -> int:
        """Instructions whose opcode the pattern matches from its beginning."""
        return sum(re.match(pattern, opcode) is not None for opcode in self.opcodes)


TOOLS = ("cuobjdump", "nvdisasm")


def _folder(tool: str) -> str | None:
    """Of the program of NVIDIA's package, which puts it on no PATH."""
    try:
        files = metadata.files(f"nvidia-cuda-{tool}") or []
    except metadata.PackageNotFoundError:
        return None
    return next((str(Path(str(file.locate())).parent) for file in files if file.name == tool), None)


@functools.cache
def path_with_tools() -> str | None:
    """A PATH on which both programs are; None where they are not."""
    here = os.pathsep.join(filter(None, (os.environ.get("PATH"), *map(_folder, TOOLS))))
    there = all(shutil.which(tool, path=here) for tool in TOOLS)
    return here if there else None


def cuobjdump(*arguments: str | Path) -> str:
    """Its output."""
    path = path_with_tools()
    assert path is not None
    program = shutil.which("cuobjdump", path=path)
    assert program is not None
    command = [program, *map(str, arguments)]
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def architectures(module: Path) -> tuple[set[int], set[int]]:
    """For which a module has machine code, and for which PTX, e.g. 75 for 7.5."""
    return tuple(  # type: ignore[return-value]  # two of them
        {int(number) for number in re.findall(r"sm_(\d+)", cuobjdump(option, module))}
        for option in ("--list-elf", "--list-ptx")
    )


def kernels(module: Path, architecture: int) -> dict[str, Kernel]:
    """All kernels of a module for one architecture, by their own names."""
    chosen = f"sm_{architecture}"
    resources = {
        name: {key: int(value) for key, value in re.findall(r"([A-Z]+):(\d+)", line)}
        for name, line in re.findall(
            r"Function (\S+):\n\s*(REG:.*)", cuobjdump("-arch", chosen, "-res-usage", module)
        )
    }
    made = {}
    for name, text in _functions(cuobjdump("-arch", chosen, "-sass", module)):
        lines = re.findall(r"^\s+/\*([0-9a-f]{4,})\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)", text, re.MULTILINE)
        opcodes = tuple(opcode for _, opcode in lines)
        used = resources[name]
        made[_short(name)] = Kernel(
            name=_short(name),
            registers=used["REG"],
            stack=used["STACK"],
            local=sum(re.match(r"(LDL|STL)\b", opcode) is not None for opcode in opcodes),
            code=int(lines[-1][0], 16) + 16,  # an instruction takes 16 bytes
            opcodes=opcodes,
        )
    return made


def _functions(sass: str) -> list[tuple[str, str]]:
    parts = re.split(r"^\s*Function : (\S+)$", sass, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def _short(name: str) -> str:
    """``skim_kernel<half>`` of a name as the linker knows it."""
    kernel = re.search(r"\d+([a-z_]+?(?:kernel|prepare|score|attend|sum))(?:I(.*?)E)?(?:Ev|E|v)", name)
    assert kernel is not None, name
    types = {"f": "float", "6__half": "half", "13__nv_bfloat16": "bfloat16"}
    found = re.findall(r"6__half|13__nv_bfloat16|Lb[01]|f", kernel[2] or "")
    arguments = [types.get(each, "true" if each == "Lb1" else "false") for each in found]
    return kernel[1] + (f"<{', '.join(arguments)}>" if arguments else "")


def table(found: dict[str, Kernel]) -> str:
    """For people."""
    rows = [f"{'kernel':<36} registers  local  stack   code"]
    rows += [
        f"{kernel.name:<36} {kernel.registers:9} {kernel.local:6} {kernel.stack:6} {kernel.code:6}"
        for kernel in sorted(found.values(), key=lambda kernel: kernel.name)
    ]
    return "\n".join(rows)
