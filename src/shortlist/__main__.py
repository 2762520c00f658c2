"""`python -m shortlist` is the command."""

from shortlist.cli import main

main()
