"""A full disk tears a line anywhere, also inside a letter: what is whole is read, and the next line is not lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.dashboard.exam import said
from store.blind_readings import SAID, keep, kept
from studio.planted import RECORD, Planted, Record

# "ç" is two bytes, of which the disk took one.
IN_A_LETTER = '{"task": "5", "version": "base", "values": {"beneficiaire": "François"}}'.encode().partition(b"\xa7")[0]


def line(task: str, name: str = "Zoé") -> dict[str, object]:
    return {"task": task, "version": "base", "values": {"beneficiaire": name}, "confidence": {}}


@pytest.mark.parametrize("torn", [IN_A_LETTER, b'{"task": "5", "ver', b"{"])
def test_a_torn_line_costs_neither_those_before_nor_the_next(tmp_path: Path, torn: bytes) -> None:
    # As earlier versions wrote it: in UTF-8, with whatever stands in a name.
    old = json.dumps(line("4", "Zoé\u2028\x85"), ensure_ascii=False).encode() + b"\n"
    (tmp_path / SAID).write_bytes(old + torn)
    assert said(tmp_path, {}.get) == {4: {"beneficiaire": "Zoé\u2028\x85"}}
    keep(tmp_path, line("6"))
    keep(tmp_path, line("7"))
    assert list(said(tmp_path, {}.get)) == [4, 6, 7]
    assert (tmp_path / SAID).read_bytes().startswith(old + b'{"task": "6"')


def test_a_file_that_holds_nothing_but_a_torn_line(tmp_path: Path) -> None:
    (tmp_path / SAID).write_bytes(IN_A_LETTER)
    assert list(kept(tmp_path)) == []
    keep(tmp_path, line("6"))
    assert list(kept(tmp_path)) == [line("6")]


def test_a_line_that_was_glued_to_a_torn_one_costs_itself_alone(tmp_path: Path) -> None:
    whole = json.dumps(line("4")).encode() + b"\n"
    (tmp_path / SAID).write_bytes(IN_A_LETTER + whole + b"[]\n" + whole)
    assert list(kept(tmp_path)) == [line("4")]


def test_half_a_character_that_a_reader_answers_is_kept(tmp_path: Path) -> None:
    keep(tmp_path, line("4", "\ud83d"))
    assert list(kept(tmp_path)) == [line("4", "\ud83d")]


def test_a_planted_error_torn_in_a_letter_was_never_shown(tmp_path: Path) -> None:
    one = Planted("4", "v1", "lieu", "Besançon", "Alençon\u2028")
    torn = one.line.encode().partition(b"\xa7")[0]
    (tmp_path / RECORD).write_bytes(one.line.encode() + b"\n" + torn)
    assert Record.of(tmp_path).get(4) == [one]
