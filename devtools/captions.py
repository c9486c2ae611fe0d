"""`dev.py captions DIR`: what CLIP-L and T5 read of a LoRA's captions, without a server and without a model."""

import argparse
import sys
from pathlib import Path

from ..nodes.captions import page, run, summary
from ..nodes.captions.choices import T5_LENGTHS
from ..nodes.captions.folder import listed
from ..nodes.captions.read import gathered
from . import SetupError, say


def options(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py captions", description=__doc__.split(": ", 1)[1])
    parser.add_argument("folder", metavar="DIR", help="a folder of .txt or .caption files, metadata.jsonl or CSV")
    parser.add_argument("--trigger", default="", metavar="WORDS", help="the LoRA's trigger; several with commas")
    parser.add_argument("--t5", type=int, default=int(T5_LENGTHS[0]), metavar="LENGTH",
                        help=f"the trainer's T5 length with the end token; {T5_LENGTHS[0]} by default")  # fmt: skip
    parser.add_argument("--csv", type=Path, metavar="FILE", help="also write all captions to this file")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="also write the picture to this file")
    chosen = parser.parse_args(argv)
    if chosen.t5 < 2:
        parser.error(f"got a T5 length of {chosen.t5}, expected 2 or more")
    return chosen


def main() -> None:
    chosen = options(sys.argv[1:])
    folder = Path(chosen.folder)
    if not folder.is_dir():
        raise SetupError(f"{folder} is no folder; name one that holds captions")
    done = run.of(gathered(listed(folder)), str(folder), chosen.trigger, chosen.t5)
    if chosen.csv:
        chosen.csv.write_text(summary.as_csv(done), encoding="utf-8", newline="")
    if chosen.picture:
        page.draw(done).save(chosen.picture)
    print("\n".join([summary.table(done), "", summary.sentence(done), *summary.notes(done)]))


if __name__ == "__main__":
    try:
        main()
    except (SetupError, ValueError, OSError) as error:
        say(f"error: {error}")
        sys.exit(1)
