"""Hand-written."""

from tests.compat.steps import Step

SETTINGS: dict[str, tuple[dict[str, str], dict[str, str]]] = {"full": ({}, {})}
SCENARIOS: dict[str, dict[str, list[Step]]] = {"full": {}}
