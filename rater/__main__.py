"""`python -m rater`."""

from rater.cli import main

if __name__ == "__main__":
    main()
