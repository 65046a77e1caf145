"""Makes this folder's fonts: `python make.py node_modules/@fontsource`, after an npm install of these packages.

Each web font becomes one small TrueType file without hinting or layout tables, with its licence beside it.
Needs fontTools; not used at run time.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

HANDS = Path(__file__).parents[1] / "hands.py"
PRINTED = [
    *(
        "roboto-condensed",
        "inter",
        "source-serif-4",
        "share-tech-mono",
        "barlow-condensed",
        "lato",
        "libre-baskerville",
    ),
    *("oswald", "pt-sans-narrow", "courier-prime", "cormorant-garamond"),
]
LETTERS = "".join(map(chr, range(0x20, 0x7F))) + "ÀÂÄÇÉÈÊËÎÏÔÖÙÛÜŸŒÆàâäçéèêëîïôöùûüÿœæ«»°·£€’–—×№"


def make(packages: Path, name: str, target: Path) -> None:
    """Writes target/name.ttf and target/name.LICENSE.txt."""
    package = packages / name
    weight = next(w for w in ("400", "300", "500", "700") if woff(package, w).exists())
    font = TTFont(woff(package, weight), recalcTimestamp=False)
    font.flavor = None
    options = Options(hinting=False, layout_features=[], name_IDs=[0, 1, 2, 13, 14], notdef_outline=True)
    options.drop_tables += ["GPOS", "GSUB", "GDEF", "DSIG", "meta", "STAT"]
    subsetter = Subsetter(options)
    subsetter.populate(text=LETTERS)
    subsetter.subset(font)
    for record in list(font["name"].names):  # several licences reserve the font's name for the unmodified file
        if record.nameID in (1, 2):
            record.string = f"cheque {name[:3]}" if record.nameID == 1 else "Regular"
    font.save(target / f"{name}.ttf")
    shutil.copy(package / "LICENSE", target / f"{name}.LICENSE.txt")


def woff(package: Path, weight: str) -> Path:
    return package / "files" / f"{package.name}-latin-{weight}-normal.woff"


if __name__ == "__main__":
    for each in [*re.findall(r'Hand\("([^"]+)', HANDS.read_text()), *PRINTED]:
        make(Path(sys.argv[1]), each, Path(__file__).parent)
