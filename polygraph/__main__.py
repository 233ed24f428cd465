"""``python -m polygraph``."""

from polygraph.cli import main

main()
