"""A study before and while it runs: what is wrong with it, what it costs, how far it is."""
