"""Keys of zoo.cfg that one server accepts without honouring them: parts that are not there yet, and Java's own tuning.

An existing zoo.cfg must start this server unchanged, and its owner must learn what of it is not in force. So a later
key is named in a warning, unless its value asks for nothing (`sslQuorum=false`); a key that tunes threads and buffers
of the Java server passes in silence, as there is nothing here to tune. Must never decide for a key of `settings`.
"""

from typing import Final

_ANY: Final = ("*",)  # every value asks for nothing of one server
_NEVER: Final = ("*", "*")  # every value asks for nothing of a member of an ensemble either
_OFF: Final = ("false",)

# Keys of zoo.cfg's own reader, each with the values that ask for nothing.
LATER_IN_FILE: Final[dict[str, tuple[str, ...]]] = {
    "connectToLearnerMasterLimit": _ANY,
    "electionAlg": ("3",),
    "standaloneEnabled": ("true",),
    "observerMasterPort": ("0",),
    "syncEnabled": ("true",),
    "secureClientPort": ("0",),
    "secureClientPortAddress": (),
    "sslQuorum": _OFF,
    "portUnification": _OFF,
    "sslQuorumReloadCertFiles": _OFF,
    "multiAddress.reachabilityCheckTimeoutMs": _NEVER,
    "multiAddress.reachabilityCheckEnabled": _NEVER,
    "oraclePath": (),
    "quorum.auth.enableSasl": _OFF,
    "quorum.auth.serverRequireSasl": _OFF,
    "quorum.auth.learnerRequireSasl": _OFF,
    "quorum.auth.server.saslLoginContext": (),
    "quorum.auth.learner.saslLoginContext": (),
    "quorum.auth.kerberos.servicePrincipal": (),
    "quorum.cnxn.threads.size": _NEVER,
    "metricsProvider.className": ("org.apache.zookeeper.metrics.impl.defaultmetricsprovider",),
    "jvm.pause.monitor": _NEVER,
    "jvm.pause.info-threshold.ms": _NEVER,
    "jvm.pause.warn-threshold.ms": _NEVER,
    "jvm.pause.sleep.time.ms": _NEVER,
}
LATER_IN_FILE_PREFIXES: Final = ("server.", "group", "weight", "metricsProvider.")

# The same for keys that are JVM properties.
LATER_PROPERTIES: Final[dict[str, tuple[str, ...]]] = {
    "admin.enableServer": _OFF,
    "allowSaslFailedClients": _OFF,
    "audit.enable": _OFF,
    "client.certReload": _OFF,
    "client.portUnification": _OFF,
    "commitLogCount": _ANY,
    "electionPortBindRetry": _NEVER,
    "fips-mode": _NEVER,
    "kinit": (),
    "leaderConnectDelayDuringRetryMs": _ANY,
    "letAnySaslUserDoX": (),
    "quorumCnxnTimeoutMs": _ANY,
    "requireKerberosConfig": _OFF,
    "superUser": (),
    "tcpKeepAlive": _ANY,
}
LATER_PROPERTY_PREFIXES: Final = (
    "IPAuthenticationProvider.",
    "SASLAuthenticationProvider.",
    "X509AuthenticationProvider.",
    "admin.",
    "audit.",
    "authProvider.",
    "fastleader.",
    "follower.",
    "kerberos.",
    "leader.",
    "learner.",
    "observer.",
    "observerMaster.",
    "pathStats.",
    "sasl.",
    "security.",
    "server.realm",
    "ssl.",
    "superUser.",
)

WITHOUT_EFFECT: Final = (
    "commitProcessor.maxCommitBatchSize",
    "commitProcessor.maxReadBatchSize",
    "commitProcessor.numWorkerThreads",
    "commitProcessor.shutdownTimeout",
    "enableEagerACLCheck",
    "intBufferStartingSizeBytes",
    "jmx.log4j.disable",
    "nio.directBufferBytes",
    "nio.numSelectorThreads",
    "nio.numWorkerThreads",
    "nio.shutdownTimeout",
    "request_throttler.shutdownTimeout",
    "serverCnxnFactory",
    "watchManagerName",
    "watcherCleanIntervalInSeconds",
    "watcherCleanThreadsNum",
    "watcherCleanThreshold",
)


def is_later_in_file(key: str) -> bool:
    """Whether zoo.cfg's own reader takes `key` for a part that is not there yet; it never becomes a property."""
    return key in LATER_IN_FILE or key.startswith(LATER_IN_FILE_PREFIXES)


def is_later(key: str) -> bool:
    """Whether `key`, as written in zoo.cfg, belongs to a part that is not there yet."""
    return is_later_in_file(key) or key in LATER_PROPERTIES or key.startswith(LATER_PROPERTY_PREFIXES)


def asks_for_nothing(key: str, value: str, is_ensemble: bool = False) -> bool:
    """Whether later key `key` with `value` changes nothing about one server, or a member, so that no warning is due."""
    assert is_later(key), key
    silent = LATER_IN_FILE.get(key, LATER_PROPERTIES.get(key, ()))
    if silent == _NEVER:
        return True
    return value.lower() in silent if silent != _ANY else not is_ensemble
