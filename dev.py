"""One command from a fresh machine to a picture, to the tests, or to a ComfyUI with this pack in it.

    python dev.py demo --clip "a watercolour" --t5 "a red circle on the left"
    python dev.py test

Needs Python 3.10 or newer and nothing else: what is missing is set up once, in a cache folder of its own.
"""

import sys

if sys.version_info < (3, 10):  # noqa: UP036 -- above the imports, in words that old Pythons can read
    sys.exit(
        "error: Flux Duet needs Python 3.10 or newer and this is "
        + sys.version.split()[0]
        + "; run it with a newer one, for instance: python3.12 "
        + " ".join(sys.argv)
    )

from devtools.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
