"""``python -m atxfer``: the command line."""

from atxfer._cli import start

if __name__ == "__main__":
    start()
