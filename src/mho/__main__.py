"""python -m mho."""

from mho.cli import main

if __name__ == "__main__":
    main()
