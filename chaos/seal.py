"""A place of our own in the kernel: processes, mounts and networks that end with us, however we end.

The run starts itself again below `unshare`. As root, or where users may have namespaces, it may then mount small disks
and cut wires without touching the machine's own; elsewhere it goes on without, and without the faults that need them.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

SEALED: Final = "ZOOPARK_CHAOS_SEALED"
"""Set in the environment of a run that is sealed off."""
_SEAL: Final = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
_AS_ROOT: Final = ("--user", "--map-root-user")
_STATE: Final = Path("/run")
"""Where `ip` keeps the names of networks; users may not write there, but mount something over it."""
_TRIAL: Final = f"mount -t tmpfs none {_STATE} && ip netns add trial && ip link add trial type bridge"


def is_sealed() -> bool:
    """Whether this process is sealed off."""
    return SEALED in os.environ


def prefix() -> list[str]:
    """What the command of a sealed process begins with; empty where that cannot be had."""
    for words in ([*_SEAL], [*_SEAL, *_AS_ROOT]):
        if shutil.which("unshare") and shutil.which("ip") and _works(words):
            return words
    return []


def seal(arguments: list[str]) -> None:
    """Start `python -m chaos` again, sealed off, in place of this process; returns where that cannot be done."""
    words = prefix()
    if words:
        os.environ[SEALED] = "1"
        os.execvp(words[0], [*words, sys.executable, "-m", "chaos", *arguments])


def settle_in() -> None:
    """The first thing to do in a sealed process: names of networks are not to be the machine's."""
    mount("none", _STATE, "mode=755")


def mount(name: str, path: Path, options: str) -> None:
    """Mount a file system in memory. Errors: CalledProcessError."""
    path.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, name, str(path)], check=True, timeout=20)


def _works(words: list[str]) -> bool:
    found = subprocess.run([*words, "sh", "-c", _TRIAL], capture_output=True, timeout=20, check=False)
    return found.returncode == 0
