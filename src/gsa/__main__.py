"""`python -m gsa`, which torchrun and `accelerate launch` take as `-m gsa`."""

from gsa.cli.main import main

if __name__ == "__main__":
    main()
