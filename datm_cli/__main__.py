"""`python -m datm_cli`."""

from datm_cli.main import main

main()
