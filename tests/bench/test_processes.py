"""What is read from /proc, tried on processes whose use of it is known."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench.processes import PeakWatch, cpu_seconds, family, peak_mb, resident_mb

HUNDRED_MB = 100 << 20


@contextmanager
def python(program: str) -> Iterator[subprocess.Popen[str]]:
    """A Python that has run a program, said so, and waits for its input to end."""
    words = [sys.executable, "-c", f"{program}\nprint('ready', flush=True)\ninput()"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_memory_that_was_given_back_still_counts_in_the_peak() -> None:
    with python(f"x = bytearray(b'1') * {HUNDRED_MB}\ndel x") as process, PeakWatch(process.pid) as watch:
        assert peak_mb(process.pid) > 100
        assert resident_mb(process.pid) < 100
    assert watch.mb > 100


def test_memory_shared_after_a_fork_counts_once() -> None:
    """A forked snapshot writer has every page of its parent; that is not twice the memory."""
    program = f"import os, time\nx = bytearray(b'1') * {HUNDRED_MB}\nif os.fork() == 0: time.sleep(60)"
    with python(program) as process:
        members = family(process.pid)
        assert len(members) == 2
        assert 100 < resident_mb(process.pid) < 150
        os.kill(members[1], 9)


def test_cpu_time_of_a_child_counts() -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    with python(f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {burn!r}])") as process:
        assert 0.3 <= cpu_seconds(process.pid) < 10


def test_a_process_that_is_gone_uses_nothing() -> None:
    with python("") as process:
        pid = process.pid
    assert (cpu_seconds(pid), resident_mb(pid), peak_mb(pid)) == (0.0, 0.0, 0.0)
