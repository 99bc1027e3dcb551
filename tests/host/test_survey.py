"""What the operating system tells of a running server."""

import os
from pathlib import Path

from zoopark.host.snapshotter import save
from zoopark.host.storage import FileDisk
from zoopark.host.survey import LoadTimes, Surveyor, directory_bytes
from zoopark.record import Now
from zoopark.server.config import Config, default_config
from zoopark.server.metrics import Metrics, nothing_known
from zoopark.server.recovery import Recovered, recover, snapshot_directory


def test_a_directorys_size_is_that_of_its_files(tmp_path: Path) -> None:
    """`dirs` counts lengths, so a log that is extended ahead counts as a whole."""
    (tmp_path / "a").write_bytes(bytes(100))
    with (tmp_path / "b").open("wb") as file:
        file.truncate(5_000)
    assert directory_bytes(str(tmp_path)) == 5_100


def test_a_missing_directory_is_empty(tmp_path: Path) -> None:
    """The words answer whatever the operator does with the disk."""
    assert directory_bytes(str(tmp_path / "none")) == 0


def test_a_dangling_link_counts_nothing(tmp_path: Path) -> None:
    """As a file that goes away between the listing and the look."""
    (tmp_path / "gone").symlink_to(tmp_path / "none")
    (tmp_path / "a").write_bytes(bytes(3))
    assert directory_bytes(str(tmp_path)) == 3


def test_data_and_log_are_told_apart(tmp_path: Path) -> None:
    """They may lie on different disks."""
    for name, size in (("data", 10), ("log", 20)):
        (tmp_path / name / "version-2").mkdir(parents=True)
        (tmp_path / name / "version-2" / "file").write_bytes(bytes(size))
    config = default_config(str(tmp_path / "data"), {"dataLogDir": str(tmp_path / "log")})
    found = Surveyor(config, 2181).look()
    assert (found.data_bytes, found.log_bytes, found.client_port) == (10, 20, 2181)


def test_open_files_are_counted(tmp_path: Path) -> None:
    """A leak of descriptors shows in `mntr` before it stops the server."""
    surveyor = Surveyor(default_config(str(tmp_path)), 2181)
    before = surveyor.look().open_files
    descriptors = [os.open(tmp_path, os.O_RDONLY) for _ in range(3)]
    after = surveyor.look().open_files
    for descriptor in descriptors:
        os.close(descriptor)
    assert before is not None and after is not None
    assert after == (before[0] + 3, before[1])
    assert before[0] < before[1]


def test_the_environment_tells_where_the_server_runs(tmp_path: Path) -> None:
    """The keys that ZooKeeper has too carry the same values as there."""
    environment = dict(Surveyor(default_config(str(tmp_path)), 2181).look().environment)
    assert environment["user.dir"] == str(Path.cwd())
    assert environment["os.name"] == os.uname().sysname
    assert environment["os.version"] == os.uname().release
    assert environment["host.name"]


def _recovered(directory: Path) -> tuple[Config, Recovered]:
    config = default_config(str(directory))
    FileDisk().make_directory(snapshot_directory(config))
    return config, recover(config, FileDisk(), lambda what, done, size: None)


def test_the_parts_of_a_recovery_are_timed_apart(tmp_path: Path) -> None:
    """A slow start is the snapshot's fault or the log's: one grows with the data, the other with snapCount."""
    config, found = _recovered(tmp_path)
    save(config, found.tree)
    _, found = _recovered(tmp_path)
    heard: list[tuple[str, int, int]] = []
    seconds = iter((10.0, 10.5, 12.0, 12.25, 13.0))
    times = LoadTimes(lambda what, done, size: heard.append((what, done, size)), lambda: next(seconds))
    times.progress("snapshot", 1, 2)
    times.progress("snapshot", 2, 2)
    times.progress("log", 5, 0)
    times.stop()
    metrics = Metrics(Now(0, 0), nothing_known)
    times.tell(metrics, found)
    assert heard == [("snapshot", 1, 2), ("snapshot", 2, 2), ("log", 5, 0)]
    assert (
        metrics.snap_load_us.sum,
        metrics.txns_load_us.sum,
        metrics.db_init_us.sum,
    ) == (2_000_000, 250_000, 3_000_000)


def test_a_new_database_loads_no_snapshot(tmp_path: Path) -> None:
    """A time of 0 for something that did not happen would be an invented number."""
    _, found = _recovered(tmp_path)
    times = LoadTimes(lambda what, done, size: None)
    times.stop()
    metrics = Metrics(Now(0, 0), nothing_known)
    times.tell(metrics, found)
    assert (metrics.db_init_us.count, metrics.snap_load_us.count, metrics.txns_loaded.count) == (1, 0, 0)
