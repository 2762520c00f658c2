"""One command per figure: `python -m bench.NAME`; the last line is one JSON object."""
