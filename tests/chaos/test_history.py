"""A history is read as it was written."""

from pathlib import Path

from chaos.history import OPERATION, RUN, History, read_history
from zoopark.sim.checkers.linear import FOREVER, Operation
from zoopark.sim.world import MS, STEP, World


def test_lines_are_read_as_they_were_written(tmp_path: Path) -> None:
    world = World(1)
    history = History(world)
    history.open(tmp_path / "history.txt")
    history.tell("client 100", "zxid", (5,))
    world.after(7 * MS, lambda who, what, payload: None, STEP, 0, 0, None)
    world.run(1)
    history.tell(RUN, "fault", ("a\nb \u00e9", b"\x00\xff'", None, -1, (True, [])))
    history.close()
    assert list(read_history(tmp_path / "history.txt")) == [
        (0, 0, "client 100", "zxid", (5,)),
        (1, 7, RUN, "fault", ("a\nb \u00e9", b"\x00\xff'", None, -1, (True, []))),
    ]


def test_operations_are_told_with_their_path(tmp_path: Path) -> None:
    history = History(World(1))
    history.open(tmp_path / "history.txt")
    done = [Operation(1, 4, ("create", b"x"), 0), Operation(5, FOREVER, ("delete", -1), None)]
    history.tell_operations("client 100", {b"/a": done})
    history.close()
    told = [(what, arguments) for _, _, _, what, arguments in read_history(tmp_path / "history.txt")]
    assert told == [
        (OPERATION, (b"/a", 1, 4, ("create", b"x"), 0)),
        (OPERATION, (b"/a", 5, FOREVER, ("delete", -1), None)),
    ]
