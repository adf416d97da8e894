"""``python -m l2l_engine.cli`` is ``l2l``."""

from l2l_engine.cli.main import main

main()
