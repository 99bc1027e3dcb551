"""Real processes under real faults, judged by the simulator's checkers: `python -m chaos --minutes 5`.

    members      five voters and an observer, each a `python -m zoopark serve` with a disk and an address of its own
    clients      those of the simulator, in a simulated world whose clock is the real one
    faults       kill -9, SIGSTOP, full and failing disks, lost disks, partitions; one seed decides which, when and whom
    verdict      every answer that a client got, against the transactions in the members' logs

A seed decides kinds, order and targets of the faults and what clients ask; when things happen, and so what comes of
them, is up to the machine. A run is not repeatable; its history is kept when something is violated.
"""
