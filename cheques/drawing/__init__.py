"""Synthetic cheques, with the truth of every field."""

from cheques.drawing.cheque import Drawn, draw_cheque
from cheques.drawing.lines import ALPHABET, draw_line

__all__ = ["ALPHABET", "Drawn", "draw_cheque", "draw_line"]
