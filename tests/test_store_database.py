"""A database that cannot be used is one line that says what to do, without the password; nothing is made instead."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from chequemate import cli
from store.database import Store, StoreError


@pytest.mark.parametrize(
    ("url", "line"),
    [
        (
            "postgresql+psycopg://u:sECret@127.0.0.1:1/d",
            "PostgreSQL at 127.0.0.1 cannot be used .*start it, or",
        ),
        ("postgresql://u:sECret@127.0.0.1:1/d", "PostgreSQL at 127.0.0.1 cannot be used"),
        ("postgresql+psycopg://u:sE#Cret@h:x/d", "CHEQUEMATE_DATABASE_URL is no address: escape"),
    ],
)
def test_a_server_that_is_not_there(tmp_path: Path, url: str, line: str) -> None:
    with pytest.raises(StoreError, match=line) as caught, Store(tmp_path, url).look():
        pass
    said = str(caught.value)
    assert "\n" not in said and "sECret" not in said and "Cret" not in said
    assert not (tmp_path / "chequemate.db").exists()


def test_a_driver_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match="needs the extra postgres"), Store(tmp_path, "postgresql://h/other").look():
        pass


def test_a_damaged_file_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "chequemate.db"
    path.write_bytes(b"no database at all" * 300)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"is damaged: move it away and bring back a backup"), Store(tmp_path).begin():
        pass
    assert path.read_bytes() == before


def test_a_verb_says_it_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise StoreError(f"{tmp_path}/chequemate.db is damaged: bring back a backup")

    monkeypatch.setenv("CHEQUEMATE_HOME", str(tmp_path))
    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said == f"chequemate: {tmp_path}/chequemate.db is damaged: bring back a backup\n"
