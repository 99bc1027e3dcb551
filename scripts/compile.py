"""Compile the hot modules with mypyc: `python scripts/compile.py TARGET`, in a copy of the checkout made at TARGET.

The checkout stays what it is. In the copy Python takes the compiled modules: run the server with TARGET/src on
PYTHONPATH, run the tests within TARGET. Needs mypy and a C compiler. The hot modules are those on a request's way
through the server.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from mypyc.build import mypycify
from setuptools import Extension, setup

CHECKOUT: Final = Path(__file__).resolve().parent.parent
HOT_MODULES: Final = (
    "jute/buffer.py",
    "jute/proto.py",
    "jute/stat.py",
    "jute/txn.py",
    "log/txnlog.py",
    "server/connection.py",
    "server/member.py",
    "server/metrics.py",
    "server/overlay.py",
    "server/pipeline.py",
    "server/prepare.py",
    "server/reads.py",
    "server/replies.py",
    "server/sessions.py",
    "server/tally.py",
    "server/traffic.py",
    "tree/acl.py",
    "tree/owners.py",
    "tree/tree.py",
    "tree/znode.py",
)


def main() -> None:
    target = Path(sys.argv[1]).resolve()
    shutil.rmtree(target, ignore_errors=True)
    listed = subprocess.run(["git", "ls-files"], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(CHECKOUT / name, target / name)
    os.chdir(target / "src")
    modules = [f"zoopark/{module}" for module in HOT_MODULES]
    options = ["--strict", "--explicit-package-bases", "--namespace-packages", "--config-file="]
    setup(
        name="zoopark-compiled",
        packages=[],
        ext_modules=[built for built in mypycify([*options, *modules], opt_level="3") if isinstance(built, Extension)],
        script_args=["-q", "build_ext", "--inplace"],
    )


if __name__ == "__main__":
    main()
