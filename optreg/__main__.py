"""The ``optreg`` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line, or say what to install for it."""
    try:
        import click  # noqa: F401
        import rich  # noqa: F401
    except ModuleNotFoundError as error:
        print(
            f"The optreg command needs {error.name}, which the library does without: pip install 'optreg[cli]'",
            file=sys.stderr,
        )
        raise SystemExit(1) from error
    from optreg.cli.application import application

    application(prog_name="optreg")


if __name__ == "__main__":
    main()
