"""Programs: the commands of a shell, each a thin module that imports what it needs when it runs."""
