"""`python -m easews` is the command `easews`."""

from easews_command import main

if __name__ == "__main__":
    main()
