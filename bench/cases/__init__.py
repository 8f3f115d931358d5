"""The benchmark cases, one file each: `CASES`, and a `RANK` that puts them in order."""
