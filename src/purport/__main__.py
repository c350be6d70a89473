"""`python -m purport` is the `purport` command."""

from purport.cli.main import main

if __name__ == "__main__":
    main()
