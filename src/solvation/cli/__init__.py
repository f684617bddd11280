"""The command line: one module for each group of verbs, nothing computed here."""
