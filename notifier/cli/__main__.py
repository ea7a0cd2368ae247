"""``python -m notifier.cli``."""

from notifier.cli import main

main()
