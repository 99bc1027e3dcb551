"""zoopark beside Apache ZooKeeper in one run: the same load, the same settings, the same disk, in turn.

What counts is the ratio of two medians from one run on one machine; a bare number says more about the machine.
`python -m bench` runs everything and writes `bench/results/`, with other settings than the defaults `build/bench/`;
`python -m bench --readme` renews the table in README.md.
"""
