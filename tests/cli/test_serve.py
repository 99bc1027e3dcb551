"""`zoopark serve` up to the host: what it reads, refuses and warns of. tests/compat has the server that runs."""

from pathlib import Path

import pytest

from tests.cli.started import run
from zoopark.cli.serve import load


def test_a_file_and_properties_make_the_config(tmp_path: Path) -> None:
    """The command adds nothing of its own between the file and the server."""
    zoo_cfg = tmp_path / "zoo.cfg"
    zoo_cfg.write_text("dataDir=/data\nclientPort=2199\nsnapCount=7\n")
    config, _ = load(zoo_cfg, {"zookeeper.preAllocSize": "64"})
    assert (config.data_dir, config.client_port, config.snap_count) == ("/data", 2199, 7)
    assert (config.pre_alloc_size_kb, config.source_name) == (64, str(zoo_cfg))


def test_without_a_file_it_is_the_embedded_default() -> None:
    """The first try needs no file, stays on loopback and keeps its data where the user stands."""
    config, warnings = load(None, {"zookeeper.snapCount": "9"})
    assert (config.client_port_address, config.client_port) == ("127.0.0.1", 2181)
    assert (config.data_dir, config.snap_count, config.source_name) == ("zoopark-data", 9, "")
    assert warnings == []


def test_the_file_is_read_as_java_reads_it(tmp_path: Path) -> None:
    """ISO-8859-1: the directory must be the one that ZooKeeper would take."""
    zoo_cfg = tmp_path / "zoo.cfg"
    zoo_cfg.write_bytes(b"dataDir=/caf\xe9\nclientPort=1\n")
    assert load(zoo_cfg, {})[0].data_dir == "/caf\u00e9"


def test_warnings_go_to_stderr(tmp_path: Path) -> None:
    """They must be seen, and are not what stops the server."""
    zoo_cfg = tmp_path / "zoo.cfg"
    zoo_cfg.write_text("dataDir=/dev/null\nclientPort=1\nsslQuorum=true\nticktime=3\n")
    ran = run("serve", "zoo.cfg", home=tmp_path)
    first, second, last = ran.stderr.splitlines()
    assert first == "warning: not in force yet: sslQuorum"
    assert second == "warning: zoo.cfg:4: ticktime: not a known key; is tickTime meant?"
    assert (ran.returncode, last) == (3, "zoopark: cannot use the data directory: /dev/null: not a directory")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["bad.cfg"], "bad.cfg:2: tickTime=abc: a whole number of milliseconds from 1 to 2147483647 is allowed"),
        (["none.cfg"], "none.cfg: cannot be read: No such file or directory"),
        (["."], ".: cannot be read: Is a directory"),
        (["-D", "snapCount"], "-D snapCount: NAME=VALUE is allowed"),
        (["-D", "=3"], "-D =3: NAME=VALUE is allowed"),
        (
            ["-Dx=a=b", "-Dzookeeper.snapCount=x"],
            "-D zookeeper.snapCount=x: a whole number of transactions from 2 to 2147483647 is allowed",
        ),
    ],
)
def test_what_cannot_be_served_is_one_line_and_exit_code_2(tmp_path: Path, arguments: list[str], line: str) -> None:
    """No traceback for a user's mistake, and no restart loop: supervisors know 2."""
    (tmp_path / "bad.cfg").write_text("dataDir=/data\ntickTime=abc\nclientPort=1\n")
    ran = run("serve", *arguments, home=tmp_path)
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", line + "\n")


@pytest.mark.parametrize(("myid", "expected"), [("2", 2), (None, 1)])
def test_myid_is_given_or_read(tmp_path: Path, myid: str | None, expected: int) -> None:
    """What is given counts more than the file: containers have no file."""
    zoo_cfg = tmp_path / "zoo.cfg"
    lines = "".join(f"server.{sid}=h:1:2;{2180 + sid}\n" for sid in (1, 2))
    zoo_cfg.write_text(f"dataDir={tmp_path}\ninitLimit=5\nsyncLimit=5\n{lines}")
    (tmp_path / "myid").write_text("1\n")
    config, _ = load(zoo_cfg, {}, myid)
    assert config.membership is not None and config.membership.sid == expected
    assert config.client_port == 2180 + expected
