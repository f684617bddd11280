"""Studies years later: what a result was made from, one archive of a study, and the same study made again."""
