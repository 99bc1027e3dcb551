"""Builds the package; compiles the modules that run most with mypyc where a C compiler is there.

ZOOPARK_COMPILE=0 leaves out the compiling. Without it, or where it fails, the same modules are interpreted: slower,
and the same in everything else.
"""

import os
import sys
from typing import Final

from setuptools import Extension, setup

HOT_MODULES: Final = (
    "host/ensemble.py",
    "host/links.py",
    "host/listener.py",
    "host/logwriter.py",
    "host/ring.py",
    "host/server.py",
    "jute/buffer.py",
    "jute/framing.py",
    "jute/proto.py",
    "jute/quorum.py",
    "jute/stat.py",
    "jute/txn.py",
    "log/txnlog.py",
    "server/applier.py",
    "server/clients.py",
    "server/connection.py",
    "server/ensemble.py",
    "server/forwarding.py",
    "server/housekeeping.py",
    "server/leading.py",
    "server/learning.py",
    "server/localsessions.py",
    "server/member.py",
    "server/metrics.py",
    "server/overlay.py",
    "server/pipeline.py",
    "server/prepare.py",
    "server/readonly.py",
    "server/reads.py",
    "server/reaper.py",
    "server/replies.py",
    "server/sessions.py",
    "server/snapshots.py",
    "server/standing.py",
    "server/syncs.py",
    "server/tally.py",
    "server/traffic.py",
    "tree/acl.py",
    "tree/cutter.py",
    "tree/owners.py",
    "tree/snapshot.py",
    "tree/tree.py",
    "tree/znode.py",
    "zab/broadcast.py",
    "zab/delivery.py",
    "zab/election.py",
    "zab/history.py",
    "zab/leader.py",
    "zab/learner.py",
    "zab/outbox.py",
    "zab/peer.py",
    "zab/quorum.py",
    "zxid.py",
)
# What the modules import from other packages is not there while this one is built.
_OPTIONS: Final = ("--ignore-missing-imports", "--explicit-package-bases", "--namespace-packages", "--config-file=")
# Functions of ours call one another directly, and those of Python by one jump less.
_FLAGS: Final = ["-fvisibility=hidden", "-fno-plt"] if sys.platform == "linux" else []


def compiled() -> list[Extension]:
    """The hot modules as extensions; none where nobody wants or has the compiler of Python to C."""
    if os.environ.get("ZOOPARK_COMPILE") == "0":
        return []
    try:
        from mypyc.build import mypycify
    except ImportError:
        return []
    os.environ["MYPYPATH"] = "src"
    paths = [f"src/zoopark/{module}" for module in HOT_MODULES]
    try:
        extensions = [built for built in mypycify([*_OPTIONS, *paths], opt_level="2") if isinstance(built, Extension)]
    except SystemExit:  # what mypyc does about an error, once it has said which
        return []
    for extension in extensions:
        extension.optional = True
        extension.extra_compile_args = [*extension.extra_compile_args, *_FLAGS]  # the list is one for all of them
    return extensions


setup(ext_modules=compiled())
