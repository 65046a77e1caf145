"""`python -m chequemate`."""

from chequemate.cli import main

main()
