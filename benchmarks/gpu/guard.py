"""Runs a command that dies with whoever asked for it: `guard.py PARENT COMMAND…`, in a session of its own.

The kernel tells this process when its parent is gone, even if it was killed, and it takes the whole group
along: the command, and what that started. It imports nothing of ours, so that it starts at once.
"""

import ctypes
import os
import signal
import subprocess
import sys

_PR_SET_PDEATHSIG = 1


def main() -> int:
    """The command's exit status; 128 and the signal's number if one ended it."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    signal.signal(signal.SIGTERM, lambda *_: os.killpg(0, signal.SIGKILL))
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it was gone before the line above
        return 1
    try:
        status = subprocess.call(command)
    except OSError as error:
        print(error, file=sys.stderr)
        return 127
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
