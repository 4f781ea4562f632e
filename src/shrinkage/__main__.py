"""`python -m shrinkage` is the command `shrinkage`."""

from shrinkage.cli import main

if __name__ == "__main__":
    main()
