"""The network between members: real namespaces, where they are to be had."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from chaos import seal
from chaos.wires import Wires, address
from tests.compat.oracle import is_required

ROOT = Path(__file__).parents[2]
SCRIPT = """
import socket, sys
from chaos.seal import settle_in
from chaos.wires import CLIENTS, Wires, address
import subprocess

LISTEN = '''
import socket
server = socket.create_server(("", 7), backlog=5)
print(flush=True)
while True:
    server.accept()
'''

def can_reach(patience_s=20) -> bool:
    try:
        socket.create_connection((address(1), 7), timeout=patience_s).close()
    except OSError:
        return False
    return True

def is_cut() -> bool:
    return not can_reach(0.3)

settle_in()
for _ in range(5):
    wires = Wires([1, 2])
    wires.lay()
    wires.remove()
wires.lay()
listening = subprocess.Popen([*wires.prefix(1), sys.executable, "-c", LISTEN], stdout=subprocess.PIPE)
listening.stdout.readline()
assert can_reach()
first, second = wires.cut([(CLIENTS, 1)]), wires.cut([(CLIENTS, 1), (1, 2)])
assert is_cut()
first()
assert is_cut()
second()
assert can_reach()
wires.cut([(1, CLIENTS)])
assert is_cut()
wires.heal()
assert can_reach()
listening.kill()
wires.remove()
print("done")
"""


def test_every_place_has_an_address_of_its_own() -> None:
    assert socket.inet_aton(address(1)) != socket.inet_aton(address(2))


def test_nobody_is_cut_from_himself() -> None:
    """It would be counted as a fault and do nothing."""
    with pytest.raises(AssertionError):
        Wires([1, 2]).cut([(1, 2), (2, 2)])


def test_ways_are_cut_one_by_one_and_mended() -> None:
    """Of two cuts over one way, the way is mended when both have ended."""
    prefix = seal.prefix()
    if not prefix and not is_required():
        pytest.skip("namespaces are not to be had: unshare and ip are needed, and root or users who may have them")
    assert prefix
    command = [*prefix, sys.executable, "-c", SCRIPT]
    found = subprocess.run(
        command,
        cwd=ROOT,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert found.stdout == "done\n", found.stderr
