"""``python -m superionic``: the command line."""

from superionic.cli import main

if __name__ == "__main__":
    main()
