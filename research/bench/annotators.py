"""Annotators whose speeds, habits and true saving are known: what the statistics of time are tried on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from study.timed_annotation import Arm, Change, TimedAnnotation

FIELDS = ("montant_numerique", "montant_lettres", "date", "beneficiaire", "signature", "lieu", "devise")


@dataclass(frozen=True)
class Team:
    """What is true of the people and of the reader.

    speeds: seconds of a blind cheque for each annotator, before practice. learning: exponents of practice, to
    annotators in turn. saved: share of the time that a pre-label saves. spread: of log seconds from cheque to cheque.
    idle: share of cheques with an idle tab. lost, edited: shares without a time, with an overwritten one. waved: how
    often a wrong pre-label is accepted unseen. wrong: share of fields that are read wrong.
    """

    speeds: tuple[float, ...] = (40.0, 60.0, 95.0, 70.0)
    learning: tuple[float, ...] = (0.05, 0.15, 0.25)
    saved: float = 0.35
    spread: float = 0.4
    idle: float = 0.05
    lost: float = 0.03
    edited: float = 0.03
    waved: float = 0.2
    wrong: float = 0.15
    exam: int = 300
    lessons: int = 300


@dataclass(frozen=True)
class Played:
    """What the team did, oldest first, and what a pre-label truly saved on a cheque of the exam, in seconds."""

    work: list[TimedAnnotation]
    saved_seconds: float
    waved: float


def play(team: Team, seed: int) -> Played:
    """Exam cheques interleaved with lessons, of which active learning shows the hardest: those take a third longer."""
    rng = np.random.default_rng(seed)
    count = team.exam + team.lessons
    exam = rng.permutation(np.arange(count) < team.exam)
    who = rng.choice(len(team.speeds), count, p=_workload(team, rng))
    shown = np.where(exam, rng.random(count) < 0.5, True)
    position = np.zeros(count)
    for person in range(len(team.speeds)):
        position[who == person] = np.arange(1, (who == person).sum() + 1)
    practice = position ** -np.array(team.learning)[who % len(team.learning)]
    blind = np.array(team.speeds)[who] * practice * np.where(exam, 1.0, 1.35)
    noise = np.exp(rng.normal(0, team.spread, count) - team.spread**2 / 2)
    seconds = blind * np.where(shown, 1 - team.saved, 1.0) * noise
    away = rng.random(count) < team.idle
    seconds = np.where(away, seconds + rng.exponential(1500, count) + 60, seconds)
    work = [
        _one(team, rng, number, int(who[number]), float(seconds[number]), bool(shown[number]), bool(exam[number]))
        for number in range(count)
    ]
    return Played(work, float((blind * team.saved)[exam].mean()), team.waved)


def _workload(team: Team, rng: np.random.Generator) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = rng.dirichlet(np.full(len(team.speeds), 8.0))
    return shares


def _one(
    team: Team, rng: np.random.Generator, number: int, who: int, seconds: float, shown: bool, exam: bool
) -> TimedAnnotation:
    wrong = rng.random(len(FIELDS)) < team.wrong
    seen = rng.random(len(FIELDS)) >= team.waved
    changed: dict[str, Change] = {
        name: "corrected" if wrong[i] and seen[i] else "accepted" for i, name in enumerate(FIELDS)
    }
    read = {name: "read wrong" if wrong[i] else "right" for i, name in enumerate(FIELDS)}
    given = {name: read[name] if shown and changed[name] == "accepted" else "right" for name in FIELDS}
    arm: Arm | None = ("prelabel" if shown else "blind") if exam else None
    made = TimedAnnotation(
        task=number,
        annotation=number,
        annotator=who,
        seconds=seconds,
        at=1.7e9 + 60.0 * number,
        arm=arm,
        exam=exam,
        version="v1",
        changed=changed if shown else {},
        values=given,
        shown=read if shown else None,
    )
    fate = rng.random()
    if fate < team.lost:
        return replace(made, seconds=None)
    return replace(made, edited=True) if fate < team.lost + team.edited else made


def naive(work: list[TimedAnnotation]) -> tuple[float, float, float]:
    """Raw mean lead time without pre-labels less that with them, with its usual 95 % interval: mean, low, high."""
    times = [np.array([o.seconds for o in work if o.seconds and (o.shown is not None) == arm]) for arm in (False, True)]
    mean = float(times[0].mean() - times[1].mean())
    error = float(np.sqrt(sum(t.var(ddof=1) / len(t) for t in times)))
    return mean, mean - 1.96 * error, mean + 1.96 * error
