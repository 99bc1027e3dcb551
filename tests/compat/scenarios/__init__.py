"""Sequences written by hand, by the settings they run under; each is about one thing and cleans up by ending."""

from typing import Final

from tests.compat.scenarios import (
    acls,
    limits,
    malformed,
    multis,
    nodes,
    paths,
    quotas,
    sessions,
    timed,
    watches,
    words,
)
from tests.compat.steps import Step

SETTINGS: Final[dict[str, tuple[dict[str, str], dict[str, str]]]] = {
    "full": ({}, {}),
    "plain": ({"extendedTypesEnabled": "false", "enforceQuota": "false", "4lw.commands.whitelist": "srvr, ruok"}, {}),
    "small": ({}, {"jute.maxbuffer": "4096"}),
    "timed": ({"tickTime": "200"}, {"znode.container.checkIntervalMs": "400"}),
    "reconfig": ({"reconfigEnabled": "true"}, {}),
    "noacl": ({"skipACL": "yes"}, {}),
    "auth": ({"enforce.auth.enabled": "true", "enforce.auth.schemes": "digest"}, {}),
}
"""Name of settings -> lines of zoo.cfg and JVM properties."""

SCENARIOS: Final[dict[str, dict[str, list[Step]]]] = {
    "full": {
        **paths.SCENARIOS,
        **nodes.SCENARIOS,
        **acls.SCENARIOS,
        **quotas.SCENARIOS,
        **multis.SCENARIOS,
        **watches.SCENARIOS,
        **sessions.SCENARIOS,
        **malformed.SCENARIOS,
        **words.SCENARIOS,
    },
    "plain": {**nodes.SCENARIOS, **quotas.SCENARIOS, **words.REFUSED},
    "small": limits.SCENARIOS,
    "timed": timed.SCENARIOS,
    "reconfig": nodes.RECONFIG,
    "noacl": acls.SCENARIOS,
    "auth": acls.ENFORCED,
}
"""Name of settings -> name of scenario -> steps."""
