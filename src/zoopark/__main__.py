"""`python -m zoopark` is the command `zoopark`."""

from zoopark.cli.main import main

main()
