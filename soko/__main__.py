"""`python -m soko` is the `soko` command."""

from soko.cli import app

if __name__ == "__main__":
    app(prog_name="soko")
