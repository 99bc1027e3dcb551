"""The rules of the house that a machine can hold, for every file and without a list of exceptions."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("src", "tests", "bench", "chaos", "docs", "conf", ".ci")
NOT_OURS = ("__pycache__", "node_modules")

FUNCTION_LINES = 60
NESTING = 3
PARAMETERS = 6
FILE_LINES = 600
CLASS_LINES = 400

NO_NAMES = ("manager", "handler", "processor", "helper", "helpers", "util", "utils", "base", "impl", "context")
# Written so that this file does not match itself.
NO_EXCUSES = (r"type[:] *ignore", r"no[q]a\b", r"pragma[:] *no *cover", r"fmt[:] *(?:off|skip)", r"mypy[:] ")
NO_PLACES = (
    r"(?<![\w.])[/](?:root|home|Users|work|mnt)[/]",
    r"[A-Z][:]\\\\?Users",
    r"\bpy[p]i\.(?:org|python)",
    r"pythonhost[e]d\.org",
    r"\brep[o]1?\.maven",
    r"maven[.]org",
    r"registry[.](?:npmjs|yarnpkg|hub|docker)",
    r"(?:ghcr|quay|gcr)[.]io",
    r"anaconda[.]org",
)

Function = ast.FunctionDef | ast.AsyncFunctionDef
NESTS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)
Check = Callable[[str, ast.Module], list[str]]


RECORDS = ("Record", "Effect")


def test_no_compiled_module_defines_a_record() -> None:
    """Compiled, a class has no slots to compare by: all records of a kind would be equal, two votes for instance."""
    modules = re.findall(r'^    "(\w+/\w+\.py|\w+\.py)",$', (ROOT / "setup.py").read_text(), re.MULTILINE)
    assert "zab/leader.py" in modules, "the list in setup.py is written otherwise"
    trees = {module: ast.parse((ROOT / "src/zoopark" / module).read_text()) for module in modules}
    assert [
        f"{module}: {node.name}"
        for module, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and any(getattr(base, "id", "") in RECORDS for base in node.bases)
    ] == []


def _files() -> Iterator[Path]:
    """Every text file that a checkout has, and those about to be in one."""
    tops = [path for path in ROOT.iterdir() if path.is_file() and path.name != ".git"]
    below = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    for path in sorted(tops + below):
        if not any(part in NOT_OURS for part in path.relative_to(ROOT).parts) and _text(path) is not None:
            yield path


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


FILES = list(_files())
MODULES = [path for path in FILES if path.suffix == ".py"]


def _functions(tree: ast.Module) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def _code_lines(source: str, function: Function) -> int:
    """Lines from `def` to the end that are not blank, comment or docstring."""
    lines = dict(enumerate(source.splitlines(), 1))
    numbers = set(range(function.lineno, (function.end_lineno or 0) + 1))
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        numbers -= set(range(first.lineno, (first.end_lineno or 0) + 1))
    return sum(1 for number in numbers if lines[number].strip() and not lines[number].lstrip().startswith("#"))


def _depth(statements: list[ast.stmt]) -> int:
    """How deep blocks nest; a function within starts anew, and elif is as deep as its if."""
    return max((_depth_of(statement) for statement in statements), default=0)


def _depth_of(statement: ast.stmt) -> int:
    if not isinstance(statement, NESTS):
        return 0
    if isinstance(statement, ast.If):
        is_elif = len(statement.orelse) == 1 and isinstance(statement.orelse[0], ast.If)
        otherwise = _depth(statement.orelse) - 1 if is_elif else _depth(statement.orelse)
        return 1 + max(_depth(statement.body), otherwise)
    blocks: list[list[ast.stmt]] = []
    for field in ("body", "orelse", "finalbody"):
        blocks.append(getattr(statement, field, []))
    for field in ("handlers", "cases"):
        blocks.extend(part.body for part in getattr(statement, field, []))
    return 1 + max(_depth(block) for block in blocks)


def _parameters(function: Function) -> int:
    arguments = function.args
    named = [argument.arg for argument in arguments.posonlyargs + arguments.args + arguments.kwonlyargs]
    count = len(named) + (arguments.vararg is not None) + (arguments.kwarg is not None)
    return count - (named[:1] in (["self"], ["cls"]))


def too_large(source: str, tree: ast.Module) -> list[str]:
    """Style rule 13, files and classes."""
    found = []
    lines = len(source.splitlines())
    if lines > FILE_LINES:
        found.append(f"1: {lines} lines")
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and (node.end_lineno or 0) - node.lineno + 1 > CLASS_LINES:
            found.append(f"{node.lineno}: class {node.name} is too long")
    return found


def too_complex(source: str, tree: ast.Module) -> list[str]:
    """Style rule 13, functions."""
    found = []
    for function in _functions(tree):
        where = f"{function.lineno}: {function.name}"
        lines, depth, parameters = _code_lines(source, function), _depth(function.body), _parameters(function)
        if lines > FUNCTION_LINES:
            found.append(f"{where} has {lines} lines of code")
        if depth > NESTING:
            found.append(f"{where} nests {depth} deep")
        if parameters > PARAMETERS:
            found.append(f"{where} takes {parameters} parameters")
    return found


def vague_names(source: str, tree: ast.Module) -> list[str]:
    """Style rule 11: words that say nothing, in the names of classes and functions."""
    del source
    return [
        f"{node.lineno}: {node.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef | Function) and _is_vague(node.name)
    ]


def _is_vague(name: str) -> bool:
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", name)
    return any(word.lower() in NO_NAMES for word in words)


def swallowed(source: str, tree: ast.Module) -> list[str]:
    """Style rule 20: catching everything hides our own bugs, unless it is raised again."""
    del source
    return [
        f"{node.lineno}: catches everything"
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and any(name in ("Exception", "BaseException", "") for name in _caught(node))
        and not any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
    ]


def _caught(clause: ast.ExceptHandler) -> list[str]:
    if clause.type is None:
        return [""]
    types = clause.type.elts if isinstance(clause.type, ast.Tuple) else [clause.type]
    return [ast.unparse(kind).removeprefix("builtins.") for kind in types]


def undocumented(source: str, tree: ast.Module) -> list[str]:
    """Style rule 22: a module says what it is; an empty file, which only marks a folder, is nothing."""
    del source
    return [] if not tree.body or (ast.get_docstring(tree) or "").strip(" .\n") else ["1: no docstring"]


def asleep_or_mocked(source: str, tree: ast.Module) -> list[str]:
    """Style rule 26."""
    del source
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None) or ""
            names = [f"{module}.{alias.name}".strip(".") for alias in node.names]
            banned = [name for name in names if name == "time.sleep" or re.match(r"(?:unittest\.)?mock\b", name)]
            found += [f"{node.lineno}: {name}" for name in banned]
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in ("time.sleep", "unittest.mock"):
            found.append(f"{node.lineno}: {ast.unparse(node)}")
        elif isinstance(node, ast.arg) and node.arg in ("mocker", "monkeypatch"):
            found.append(f"{node.lineno}: {node.arg}")
    return found


def matches(patterns: tuple[str, ...], source: str) -> list[str]:
    """The lines of `source` in which one of `patterns` is found."""
    either = re.compile("|".join(patterns))
    return [f"{number}: {line.strip()}" for number, line in enumerate(source.splitlines(), 1) if either.search(line)]


def mirror_of(module: str) -> str | None:
    """Where the tests of a module below src/zoopark are, below tests; None for one that needs none."""
    folder, _, name = module.rpartition("/")
    if name in ("__init__.py", "__main__.py"):
        return None
    return f"{folder}/test_{name}".lstrip("/")


def _named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


CHECKS: list[Check] = [too_large, too_complex, vague_names, swallowed, undocumented]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("path", MODULES, ids=_named)
def test_every_module_keeps_the_rules(path: Path, check: Check) -> None:
    """A limit with one exception is no limit."""
    source = path.read_text(encoding="utf-8")
    assert check(source, ast.parse(source)) == []


@pytest.mark.parametrize("path", [path for path in MODULES if path.is_relative_to(ROOT / "tests")], ids=_named)
def test_no_test_sleeps_or_mocks(path: Path) -> None:
    """A test that sleeps is slow when it passes and wrong when the machine is busy; a mock tests the mock."""
    source = path.read_text(encoding="utf-8")
    assert asleep_or_mocked(source, ast.parse(source)) == []


@pytest.mark.parametrize("path", MODULES, ids=_named)
def test_no_module_excuses_itself_from_the_tools(path: Path) -> None:
    """An excuse for one line is read as leave for the next."""
    assert matches(NO_EXCUSES, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", FILES, ids=_named)
def test_no_file_names_a_machine_or_a_registry(path: Path) -> None:
    """The project must build wherever it is cloned, from whatever index its user has."""
    assert matches(NO_PLACES, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", MODULES, ids=_named)
def test_no_module_has_a_vague_name(path: Path) -> None:
    """Nobody knows what belongs into a drawer called utils."""
    assert not _is_vague(path.stem), path


SOURCES = ROOT / "src" / "zoopark"


@pytest.mark.parametrize("path", sorted(SOURCES.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCES)))
def test_every_module_has_its_tests_where_they_are_looked_for(path: Path) -> None:
    """The tests of a/b.py are in tests/a/test_b.py."""
    mirror = mirror_of(path.relative_to(SOURCES).as_posix())
    assert mirror is None or (ROOT / "tests" / mirror).is_file(), mirror


def _nested(depth: int) -> str:
    lines = ["def f():", *(" " * level + "if a:" for level in range(1, depth + 1)), " " * (depth + 1) + "pass"]
    return "\n".join(lines)


LONG_FUNCTION = "def f():\n" + "    x = 1\n" * FUNCTION_LINES
ROOMY_FUNCTION = 'def f():\n    """A\n    docstring.\n    """\n\n    # why\n' + "    x = 1\n" * (FUNCTION_LINES - 1)
ELIFS = "def f():\n if a:\n  pass\n" + " elif b:\n  pass\n" * 9
LONG_CLASS = "class C:\n" + "    x = 1\n" * CLASS_LINES
RAISED_AGAIN = "try:\n    f()\nexcept BaseException:\n    g()\n    raise"


@pytest.mark.parametrize(
    ("check", "source", "expected"),
    [
        (too_large, "x = 1\n" * (FILE_LINES + 1), ["1: 601 lines"]),
        (too_large, LONG_CLASS, ["1: class C is too long"]),
        (too_complex, LONG_FUNCTION, ["1: f has 61 lines of code"]),
        (too_complex, _nested(4), ["1: f nests 4 deep"]),
        (too_complex, "class C:\n def f(self, a, b, c, d, *e, f, **g): pass", ["2: f takes 7 parameters"]),
        (too_complex, "async def f(a, b, c, d, e, /, f, g): pass", ["1: f takes 7 parameters"]),
        (vague_names, "class SessionManager: pass", ["1: SessionManager"]),
        (vague_names, "class ZKUtil: pass", ["1: ZKUtil"]),
        (vague_names, "def parse_impl(): pass", ["1: parse_impl"]),
        (swallowed, "try:\n    f()\nexcept Exception:\n    pass", ["3: catches everything"]),
        (swallowed, "try:\n    f()\nexcept (OSError, BaseException) as e:\n    log(e)", ["3: catches everything"]),
        (swallowed, "try:\n    f()\nexcept:\n    pass", ["3: catches everything"]),
        (undocumented, "x = 1", ["1: no docstring"]),
        (undocumented, '"""."""', ["1: no docstring"]),
        (asleep_or_mocked, "import time\ntime.sleep(1)", ["2: time.sleep"]),
        (asleep_or_mocked, "from time import sleep", ["1: time.sleep"]),
        (asleep_or_mocked, "from unittest.mock import Mock", ["1: unittest.mock.Mock"]),
        (asleep_or_mocked, "from unittest import mock", ["1: unittest.mock"]),
        (asleep_or_mocked, "def test(monkeypatch): pass", ["1: monkeypatch"]),
    ],
)
def test_a_broken_rule_is_found(check: Check, source: str, expected: list[str]) -> None:
    """Each check must be able to fail."""
    assert check(source, ast.parse(source)) == expected


@pytest.mark.parametrize(
    ("check", "source"),
    [
        (too_large, "x = 1\n" * FILE_LINES),
        (too_complex, ROOMY_FUNCTION),
        (too_complex, _nested(3)),
        (too_complex, ELIFS),
        (too_complex, "class C:\n def f(self, a, b, c, d, e, f): pass"),
        (vague_names, "class Database: pass\ndef contextual(): pass\ndef base64_of(): pass"),
        (swallowed, "try:\n    f()\nexcept OSError:\n    pass"),
        (swallowed, RAISED_AGAIN),
        (undocumented, '"""What this is."""'),
        (undocumented, "# empty\n"),
        (asleep_or_mocked, "import time\ntime.monotonic()\nfrom time import monotonic"),
    ],
)
def test_a_kept_rule_is_not(check: Check, source: str) -> None:
    """What is allowed to the line must pass."""
    assert check(source, ast.parse(source)) == []


@pytest.mark.parametrize(
    ("patterns", "line"),
    [
        (NO_EXCUSES, "x = f()  # type" + ": ignore[arg-type]"),
        (NO_EXCUSES, "x = f()  # no" + "qa: E501"),
        (NO_EXCUSES, "x = f()  # pragma" + ": no cover"),
        (NO_PLACES, "cd /ho" + "me/me/zoopark"),
        (NO_PLACES, "see /ro" + "ot/x"),
        (NO_PLACES, "index = https://py" + "pi.org/simple"),
        (NO_PLACES, "https://rep" + "o.maven.apache.org"),
    ],
)
def test_a_forbidden_text_is_found(patterns: tuple[str, ...], line: str) -> None:
    """Each pattern must be able to match."""
    assert matches(patterns, f"first\n{line}") == [f"2: {line}"]


def test_where_mirrors_are() -> None:
    """Folders of tests follow folders of modules."""
    assert mirror_of("tree/watches.py") == "tree/test_watches.py"
    assert mirror_of("errors.py") == "test_errors.py"
    assert mirror_of("tree/__init__.py") is None
