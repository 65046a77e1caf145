"""French and English: catalogs read as they are written (.po), numbers and dates as each language writes them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from io import BytesIO
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from flask import Flask, request
from flask_babel import (  # type: ignore[import-untyped]
    Babel,
    Domain,
    format_datetime,
    format_decimal,
    get_locale,
    gettext,
)

from study.metrics import Estimate

LANGUAGES = ("fr", "en")
CATALOGS = Path(__file__).with_name("translations")


class Catalogs(Domain):  # type: ignore[misc]
    """Translations from `translations/<language>.po`; English stands in the code."""

    def get_translations(self) -> NullTranslations:
        # flask-babel's own wants .mo files; from the .po there is no step that an installation could forget.
        language = str(get_locale())
        if language not in self.cache:
            self.cache[language] = load(language)
        found: NullTranslations = self.cache[language]
        return found


def load(language: str) -> NullTranslations:
    path = CATALOGS / f"{language}.po"
    if not path.exists():
        return NullTranslations()
    with path.open("rb") as file:
        catalog = read_po(file, locale=language)
    compiled = BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    return Translations(fp=compiled)


def speak(app: Flask) -> Catalogs:
    """Give the application its languages: `?lang=`, then the cookie of a former choice, then the browser's own."""

    def choose() -> str:
        asked = request.args.get("lang") or request.cookies.get("lang") or ""
        return asked if asked in LANGUAGES else request.accept_languages.best_match(LANGUAGES) or "fr"

    Babel(app, default_locale="fr", locale_selector=choose)
    return Catalogs()


def say(message: str, **values: object) -> str:
    """The message in the reader's language, with %(name)s filled in."""
    return str(gettext(message, **values))


def language() -> str:
    return str(get_locale())


def number(value: float, digits: int = 0) -> str:
    # -0.0 plus 0.0 is 0.0: people do not write "-0".
    return str(format_decimal(round(value, digits) + 0.0, format="#,##0." + "0" * digits if digits else "#,##0"))


def percent(share: float, digits: int = 0) -> str:
    return f"{number(100 * share, digits)}\u00a0%"


def rate(share: float) -> str:
    """A misread rate: 0.5 %, 1 %."""
    return percent(share, 1 if share < 0.01 else 0)


def interval(estimate: Estimate, digits: int = 1, unit: str = "", times: float = 1.0) -> str:
    """12.3 s (10.1 to 14.5)."""
    mean, low, high = (number(times * one, digits) for one in (estimate.value, estimate.low, estimate.high))
    unit = f"\u00a0{unit}" if unit else ""
    return say("%(mean)s%(unit)s (%(low)s to %(high)s)", mean=mean, unit=unit, low=low, high=high)


def when(moment: datetime | float | None) -> str:
    """A moment (seconds since 1970, or with its time zone) by the clock of this machine."""
    if moment is None:
        return "–"
    at = datetime.fromtimestamp(moment) if isinstance(moment, float) else moment.astimezone()
    # Without its time zone: babel would show it in UTC.
    return str(format_datetime(at.replace(tzinfo=None), "short"))


def duration(seconds: float) -> str:
    """A rough time to wait."""
    if seconds < 90:
        return say("%(n)s s", n=number(seconds))
    return say("%(n)s min", n=number(seconds / 60))


# Functions: the language is known only within a request.
FIELD_NAMES: dict[str, Callable[[], str]] = {
    "montant_numerique": lambda: say("Amount in figures"),
    "montant_lettres": lambda: say("Amount in words"),
    "date": lambda: say("Date"),
    "beneficiaire": lambda: say("Payee"),
    "signature": lambda: say("Signature"),
    "lieu": lambda: say("Place"),
    "devise": lambda: say("Currency"),
}


def field_name(name: str) -> str:
    """A field's name for people; one that only its project knows stands for itself."""
    return FIELD_NAMES[name]() if name in FIELD_NAMES else name.replace("_", " ")
