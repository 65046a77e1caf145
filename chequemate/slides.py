"""What five slides for management say, in French, from the project's own numbers."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from babel.numbers import format_decimal

from backend.dashboard.figures import Figures
from chequemate.deck import Chart, Slide
from cheques.fields import CHEQUE
from study.certified_reading import certify, least
from study.metrics import Estimate

UNKNOWN = "pas encore mesurable"


def slides(figures: Figures, hourly: float | None = None) -> list[Slide]:
    """Context, method, results, limits, conclusion. hourly: euros an hour of annotation; None: costs are in hours."""
    report: dict[str, Any] = {}
    if champion := figures.history.champion:
        # Without a report the slides say of each number that it cannot be measured yet.
        with suppress(OSError, ValueError):
            found = json.loads((champion.path / "report" / "report.json").read_text(encoding="utf-8"))
            report = found if isinstance(found, dict) else {}
    return [
        context(figures),
        method(figures, report),
        results(figures, report),
        limits(figures, report, hourly),
        conclusion(figures),
    ]


def context(figures: Figures) -> Slide:
    savings, hours = figures.savings, figures.savings.hours
    worked = f"{number(hours.worked, 1)} h d'annotation mesurées, durées nettoyées" if hours else f"Durée : {UNKNOWN}"
    names = ", ".join(field_title(name).lower() for name in savings.acceptance or CHEQUE.names)
    parts = [("Chèques", [figures.labels - figures.exam, figures.exam])]
    chart = Chart("Chèques annotés", ["Leçons", "Examen"], parts) if figures.labels else None
    lines = [
        f"{number(figures.labels)} chèques annotés sur {number(figures.goal)} prévus",
        f"{len(savings.acceptance or CHEQUE.names)} champs par chèque : {names}",
        worked,
        f"Examen tiré au sort, jamais appris : {number(figures.exam)} chèques",
        f"Comparaison du temps : {number(savings.blind)} chèques sans pré-annotation, {number(savings.prelabel)} avec",
    ]
    notes = (
        "Les chèques sont tirés au sort une seule fois : un cinquième sert d'examen et n'est jamais appris. La moitié "
        "de l'examen est annotée sans pré-annotation, ce qui permet de mesurer le temps gagné et de vérifier que les "
        "annotateurs ne valident pas les erreurs du modèle. Les durées viennent de Label Studio ; les onglets laissés "
        f"ouverts et les durées inutilisables sont écartés ({number(sum(savings.dropped.values()))} annotations)."
    )
    return Slide("Contexte et protocole", lines, notes, chart)


def method(figures: Figures, report: dict[str, Any]) -> Slide:
    training, champion = report.get("training") or {}, figures.history.champion
    versions = figures.history.versions
    engine = {"unsloth": "Unsloth", "peft": "transformers + peft"}.get(str(training.get("engine")), "")
    base = Path(champion.base).name if champion and champion.base else ""
    recipe = champion.recipe if champion else {}
    peak = training.get("peak_bytes") or 0
    lines = [
        f"Affinage LoRA du modèle de base {base}".rstrip(),
        "Repris de la base à chaque fois, jamais un adaptateur sur l'autre",
        f"Rang {recipe.get('rank', '–')}, {recipe.get('epochs', '–')} passages au plus, arrêt anticipé"
        if recipe
        else f"Réglages : {UNKNOWN}",
        f"Moteur : {engine or UNKNOWN}" + (f" ; mémoire de pointe {number(peak / 2**30, 1)}\u00a0Gio" if peak else ""),
        f"Durée d'un entraînement : {number(champion.seconds / 60, 1)} minutes" if champion else f"Durée : {UNKNOWN}",
        f"{len(versions)} versions entraînées, {sum(v.decision != 'rejected' for v in versions)} retenues",
    ]
    judged = [version for version in versions if version.mean is not None]
    chart = (
        Chart(
            "Exactitude moyenne à l'examen (%)",
            [f"{v.name} ({v.labels})" for v in judged],
            [("Exactitude", [100 * (v.mean or 0.0) for v in judged])],
            line=True,
            most=100,
        )
        if len(judged) > 1
        else None
    )
    notes = (
        "Un réentraînement part seul dès qu'assez de corrections sont arrivées. La nouvelle version n'entre en service "
        "que si elle lit l'examen au moins aussi bien que la précédente et rend toujours un JSON valide ; on peut "
        "revenir en arrière en une commande. Entre parenthèses sous la courbe : le nombre d'annotations apprises."
    )
    return Slide("Méthode", lines, notes, chart)


def results(figures: Figures, report: dict[str, Any]) -> Slide:
    base, now = report.get("base") or {}, report.get("candidate") or {}
    gains = (report.get("gains") or {}).get("base") or {}
    hard = report.get("hard") or {}
    savings = figures.savings
    effect = savings.effect if savings.verdict.enough else None
    valid = now.get("valid_json")
    lines = [
        f"Exactitude moyenne : {share(base.get('mean'))} puis {share(now.get('mean'))}"
        if base
        else f"Exactitude moyenne : {UNKNOWN}",
        f"Gain moyen : {gain_text(gains.get('mean'))}",
        f"Gain médian : {gain_text(gains.get('median'))}",
        "Chèques que la base ne lisait pas du tout : "
        + (f"{hard.get('moved', 0)} débloqués sur {hard.get('base', 0)}" if hard else UNKNOWN),
        f"Réponses au format JSON valide : {share(valid, 1)}",
        f"Temps gagné : {estimate_text(effect.seconds, 's')} par chèque"
        if effect
        else f"Temps gagné : {UNKNOWN} ({number(savings.blind)} chèques sans pré-annotation, il en faut environ "
        f"{number(savings.verdict.needed)})",
    ]
    names = [name for name in base.get("fields") or {} if name in (now.get("fields") or {})]
    chart = (
        Chart(
            "Champs lus exactement (%)",
            [field_title(name) for name in names],
            [
                ("Base", [100 * base["fields"][name] for name in names]),
                ("En service", [100 * now["fields"][name] for name in names]),
            ],
            most=100,
        )
        if names
        else None
    )
    notes = (
        f"Mesuré sur les {number(now.get('n') or 0)} chèques de l'examen, lus par le modèle de base et par la version "
        "en service. Les fourchettes entre parenthèses sont des intervalles à 95 % ; le temps gagné compare, pour "
        "chaque annotateur, des chèques tirés au sort avec et sans pré-annotation."
    )
    return Slide("Résultats", lines, notes, chart)


def limits(figures: Figures, report: dict[str, Any], hourly: float | None) -> Slide:
    graded, savings, waved = figures.graded, figures.savings, figures.waved
    hours = savings.hours if savings.verdict.enough else None
    n = len(graded.right)
    found = certify(*graded.cheque(), 0.01)
    certified = (
        f"{share(found.share)} des chèques sans personne, au plus 1 % mal lus (95 % de confiance)"
        if found.threshold is not None
        else f"Lecture certifiée à 1 % : {UNKNOWN} ; au moins {number(found.needed or least(0.01))} chèques d'examen"
    )
    lines = [
        f"Examen de {number(n or figures.exam)} chèques, fourchettes à 95\u00a0%",
        certified,
        f"Erreurs du modèle validées par mégarde : {estimate_text(waved.rate, '%', 100) if waved.rate else UNKNOWN}",
        f"Lecture : {number((report.get('candidate') or {}).get('seconds_per_cheque') or 0, 1)} s par chèque"
        if report
        else f"Durée de lecture : {UNKNOWN}",
        f"Gain à ce jour, extrapolé : {hours_text(hours.saved.value, hourly)}" if hours else f"Gain total : {UNKNOWN}",
    ]
    chart = None
    if hours and hours.left:
        with_, without = hours_text(hours.with_, hourly), hours_text(hours.without, hourly)
        lines.append(f"Reste à annoter : {with_} avec pré-annotation, {without} sans")
        chart = Chart(
            "Heures pour les chèques restants",
            ["Sans pré-annotation", "Avec"],
            [("Heures", [hours.without, hours.with_])],
            form="0.0",
        )
    notes = (
        "Les heures gagnées sur l'ensemble des chèques sont une extrapolation de l'essai, qui ne porte que sur "
        "l'examen. Un taux d'erreur très bas demande beaucoup de chèques d'examen : pour garantir 1 %, il faut au "
        "moins 299 chèques acceptés tous justes, et environ dix fois plus pour 0,1 %."
    )
    return Slide("Limites et coûts", lines, notes, chart)


def conclusion(figures: Figures) -> Slide:
    left = max(figures.goal - figures.labels, 0)
    savings = figures.savings
    rates = sorted(savings.acceptance.items(), key=lambda one: one[1])
    weakest = ", ".join(f"{field_title(name).lower()} ({share(rate)})" for name, rate in rates[:2])
    champion, expected = figures.history.champion, figures.history.learning.expected
    judged = [version for version in figures.history.versions if version.mean is not None]
    if expected:
        gain = estimate_text(expected.gain, "points", 100.0)
        worth = f"Annotations restantes : {number(left)} ; {number(expected.more)} de plus apporteraient {gain}"
    elif len(judged) < 2:
        worth = f"Annotations restantes : {number(left)} ; leur gain n'est pas encore estimable"
    else:
        first, last = judged[0], judged[-1]
        points = f"{100 * ((last.mean or 0.0) - (first.mean or 0.0)):+.1f}".replace(".", ",")
        worth = f"De {number(first.labels)} à {number(last.labels)} annotations apprises : {points} points"
    lines = [
        f"En service : {champion.name}, exactitude {share(champion.mean)}"
        if champion
        else "En service : modèle de base",
        f"Champs à renforcer, part acceptée telle quelle : {weakest}" if weakest else "Aucun champ mesuré encore",
        worth,
        "Modèle plus petit : à trancher par une comparaison sur le même examen",
        "Prochaine étape : poursuivre l'annotation dans l'ordre proposé, chèques les plus instructifs d'abord",
    ]
    notes = (
        "L'annotation reste utile tant que la courbe d'apprentissage monte au-delà de ses fourchettes. Un modèle plus "
        "petit se compare avec `chequemate compare` : mêmes chèques, exactitude, durée et coût côte à côte."
    )
    return Slide("Conclusion et suites", lines, notes)


def field_title(name: str) -> str:
    return CHEQUE[name].title if name in CHEQUE.names else name.replace("_", " ")


def number(value: float, digits: int = 0) -> str:
    """As French writes it: a comma, and a narrow space between thousands."""
    return str(format_decimal(round(value, digits), format="#,##0." + "0" * digits if digits else "#,##0", locale="fr"))


def share(value: float | None, digits: int = 0) -> str:
    return UNKNOWN if value is None else f"{number(100 * value, digits)}\u00a0%"


def gain_text(gain: dict[str, float] | None) -> str:
    if not gain:
        return UNKNOWN
    value, low, high = (number(100 * gain[key], 1) for key in ("value", "low", "high"))
    return f"{'+' if gain['value'] >= 0 else ''}{value} points (de {low} à {high})"


def estimate_text(estimate: Estimate, unit: str, times: float = 1.0) -> str:
    """With its 95 % interval. times: from the estimate's unit to the one that is written."""
    digits = 0 if unit == "%" else 1
    mean, low, high = (number(times * value, digits) for value in (estimate.value, estimate.low, estimate.high))
    return f"{mean}\u00a0{unit} (de {low} à {high})"


def hours_text(hours: float, hourly: float | None) -> str:
    return f"{number(hours, 1)} h" + (f", soit {number(hours * hourly)} €" if hourly else "")
