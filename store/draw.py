"""One draw: which cheques are exam and which are lessons, decided at first sight and written down for good."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal, TypeVar

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from PIL.Image import Image

from cheques.images import distance, fingerprint
from cheques.settings import Settings
from store import tables
from store.database import Store

Role = Literal["exam", "lesson"]
Arm = Literal["blind", "prelabel"]
Task = TypeVar("Task")

EAGER_EXAM = 40  # exam labels until which every second cheque is an exam cheque
EAGER_EVERY, LATER_EVERY = 2, 5
FINE = 2**24  # parts of [0, 1) within which u is another random number, of 24 bits
# Share of the bits in which near-duplicates may differ: a scan saved again 0.03, two cheques of one bank from 0.2 on.
NEAR = 0.06


@dataclass(frozen=True)
class Shares:
    """Shares of the cheques. They are part of each record: a later change moves no cheque that was drawn before."""

    blind: float = 0.1
    exam: float = 0.2  # the blind ones included

    @classmethod
    def of(cls, settings: Settings) -> Shares:
        return cls() if settings.blind else cls(blind=0.0)


@dataclass(frozen=True)
class Place:
    """What was drawn for a task: u in [0, 1), role, arm (None for lessons, and for what was labelled before)."""

    task: str
    u: float
    role: Role
    arm: Arm | None
    digest: str
    phash: str
    exam_share: float
    blind_share: float

    @property
    def turn(self) -> float:
        """The order of serving within the exam, by u alone: each arm's stretch of u becomes [0, 1).

        Not u itself: by it every blind cheque comes before the first pre-labelled one, and the two arms are compared
        over different weeks, annotators' skill and versions.
        """
        if self.u < self.blind_share:
            return self.u / self.blind_share
        return (self.u - self.blind_share) / (self.exam_share - self.blind_share)


class Draw:
    """The draw of one project, shared by any number of processes."""

    def __init__(self, store: Store, project: str | int, salt: str | None = None, shares: Shares | None = None) -> None:
        """salt: only for a project without a draw yet, to make a lost draw again from the images."""
        self.store, self.project = store, str(project)
        self.shares = shares or Shares()
        self._places: dict[str, Place] = {}
        self._by_digest: dict[str, Place] = {}
        self._near = _Fingerprints()
        self._last = 0
        with store.begin(self.project) as connection:
            self._read_on(connection)
            if salt and not self._places:
                connection.execute(tables.project.update().where(tables.project.c.id == self.project).values(salt=salt))
            query = sa.select(tables.project.c.salt).where(tables.project.c.id == self.project)
            self.salt = str(connection.execute(query).scalar_one())

    def get(self, task: str | int) -> Place | None:
        """The task's place, or None if it was never seen."""
        if str(task) not in self._places:
            with self.store.look() as connection:
                self._read_on(connection)
        return self._places.get(str(task))

    def places(self) -> list[Place]:
        """Every place, in the order of drawing."""
        with self.store.look() as connection:
            self._read_on(connection)
        return list(self._places.values())

    def place(self, task: str | int, image: Image, *, labelled: bool = False) -> Place:
        """Draw a task at first sight, or say what was drawn. labelled: people had labelled it before the draw.

        Near-duplicates share the u and the role of the first one seen, so that no exam cheque is also a lesson. Raises
        StoreError.
        """
        if found := self.get(task):
            return found
        digest, phash = pixels_digest(image), fingerprint(image)
        # Nobody else draws in this project until this is written down: of two near-duplicates one comes first.
        with self.store.begin(self.project) as connection:
            self._read_on(connection)
            if found := self._places.get(str(task)):
                return found
            twin = self._by_digest.get(digest) or self._near.nearest(phash)
            u = twin.u if twin else uniform(self.salt, digest)
            exam, blind = (twin.exam_share, twin.blind_share) if twin else (self.shares.exam, self.shares.blind)
            role: Role = "exam" if u < exam else "lesson"
            arm: Arm | None = None if role == "lesson" or labelled else "blind" if u < blind else "prelabel"
            place = Place(str(task), u, role, arm, digest, phash, exam, blind)
            connection.execute(tables.place.insert().values(project=self.project, **asdict(place)))
        return place

    def _read_on(self, connection: sa.Connection) -> None:
        """What was drawn since, here or by another process."""
        known = tables.place.c
        query = sa.select(tables.place).where(known.project == self.project, known.id > self._last).order_by(known.id)
        for row in connection.execute(query):
            place = Place(**{name: getattr(row, name) for name in Place.__dataclass_fields__})
            self._places[place.task] = place
            self._by_digest.setdefault(place.digest, place)
            self._near.add(place)
            self._last = row.id


def pixels_digest(image: Image) -> str:
    """SHA-256 of what is seen (mode, size, pixels), whatever the file was."""
    head = f"{image.mode} {image.width}x{image.height} ".encode()
    return hashlib.sha256(head + image.tobytes()).hexdigest()


def uniform(salt: str, digest: str) -> float:
    """A number in [0, 1) that nobody can choose, and that everybody with the salt can compute again."""
    return int.from_bytes(hashlib.sha256(f"{salt}:{digest}".encode()).digest()[:6], "big") / 2**48


class _Fingerprints:
    """Perceptual hashes side by side, so that 100,000 are compared in milliseconds (research/bench/draw.py)."""

    def __init__(self) -> None:
        self._places: list[Place] = []
        self._bits: NDArray[np.uint64] = np.zeros((0, 0), np.uint64)

    def add(self, place: Place) -> None:
        bits = _words(place.phash)
        count = len(self._places)
        if self._bits.shape[1:] != bits.shape:
            # Fingerprints of another length belong to an older release: they are known by their pixels alone.
            self._places, self._bits, count = [], np.zeros((64, len(bits)), np.uint64), 0
        if count == len(self._bits):
            self._bits = np.concatenate([self._bits, np.zeros_like(self._bits)])
        self._bits[count] = bits
        self._places.append(place)

    def nearest(self, phash: str) -> Place | None:
        """The place whose fingerprint is nearest, if it differs in few enough bits."""
        bits, count = _words(phash), len(self._places)
        if not count or self._bits.shape[1:] != bits.shape:
            return None
        distances = np.bitwise_count(self._bits[:count] ^ bits).sum(axis=1)
        first = int(np.argmin(distances))
        return self._places[first] if distances[first] <= NEAR * len(phash) * 4 else None


def is_one_of(look: str, others: Sequence[str]) -> bool:
    """Is this the fingerprint of one of these cheques, saved again or scanned again?"""
    return any(len(look) == len(other) and distance(look, other) <= NEAR * len(look) * 4 for other in others)


def _words(phash: str) -> NDArray[np.uint64]:
    padded = phash.zfill(-(-len(phash) // 16) * 16)
    return np.array([int(padded[i : i + 16], 16) for i in range(0, len(padded), 16)], np.uint64)


def turns(
    exam_left: Sequence[Task], lessons: Sequence[Task], exam_labelled: int, lessons_labelled: int = 0
) -> list[Task]:
    """The order of serving: exam cheques (by `Place.turn`) at their turns among the lessons (by interest).

    Every second cheque is an exam cheque until EAGER_EXAM of them are labelled, then every fifth; when one kind runs
    out, the other goes on. The model's scores decide nothing about the exam.
    """
    exam, served = list(reversed(exam_left)), list[Task]()
    queue = list(reversed(lessons))

    # Lessons labelled ahead of the exam's pace count as served since the last exam cheque. Otherwise an order that is
    # often made again starts with lessons each time, and no exam cheque ever comes up.
    eager = min(exam_labelled, EAGER_EXAM)
    paced = eager * (EAGER_EVERY - 1) + (exam_labelled - eager) * (LATER_EVERY - 1)
    since_exam = max(0, lessons_labelled - paced)
    while exam or queue:
        every = EAGER_EVERY if exam_labelled < EAGER_EXAM else LATER_EVERY
        if exam and (since_exam + 1 >= every or not queue):
            served.append(exam.pop())
            exam_labelled, since_exam = exam_labelled + 1, 0
        else:
            served.append(queue.pop())
            since_exam += 1
    return served


def wants_second(place: Place | None, share: float) -> bool:
    """Is this cheque of the share of the exam that a second annotator labels?

    By u alone, and by those of its digits that decide neither arm nor turn: blind and pre-labelled cheques alike, early
    and late ones. A larger share holds the smaller one. Cheques labelled before the draw are in no arm and stay out.
    """
    return place is not None and place.arm is not None and (place.u * FINE) % 1 < share
