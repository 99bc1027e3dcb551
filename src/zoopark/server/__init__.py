"""One ensemble member: configuration, requests, sessions, connections, recovery."""
