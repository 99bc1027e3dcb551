"""What is replicated: znodes, ACLs, quotas, sessions, and who watches them."""
