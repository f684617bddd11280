"""The tidy tables of a study (docs/tables.md)."""
