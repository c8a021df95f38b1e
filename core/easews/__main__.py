"""`python -m easews` is the command `easews`."""

from easews.cli import main

if __name__ == "__main__":
    main()
