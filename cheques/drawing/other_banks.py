"""Made-up banks that lay out their cheques unlike all of BANKS: no model that ships has ever seen one.

They stand in for what every project meets: cheques that its base model was not trained on.
"""

from __future__ import annotations

from cheques.drawing.banks import BANKS, PAYEZ, SHORT, Bank, Print, Rule

OTHER_BANKS = (
    Bank(
        "Crédit du Vexin", "peak", (240, 246, 236), (140, 175, 110), 3, "source-serif-4",
        words=(Rule(20, 460, 100), Rule(20, 460, 128)), payee=Rule(112, 460, 68), box=(476, 88, 624, 122),
        place=Rule(346, 476, 32), date=Rule(498, 632, 32), signature=(24, 152, 250, 248),
        holder=(330, 186), symbol=(464, 109),
        prints=(
            Print("Veuillez payer à", 20, 66, 9), Print(SHORT, 20, 78, 7), Print("À", 334, 31, 9),
            Print("le", 484, 31, 9), Print("Payable en {country}", 330, 152, 8), Print("Signature", 30, 148, 7),
        ),
    ),
    Bank(
        "Banque des Calanques", "sail", (232, 244, 250), (100, 150, 200), 7, "inter",
        words=(Rule(20, 622, 120), Rule(20, 622, 149)), payee=Rule(214, 622, 84), box=(20, 54, 168, 88),
        place=Rule(36, 176, 182), date=Rule(198, 332, 182), signature=(400, 160, 626, 248),
        holder=(20, 204), symbol=(182, 76),
        prints=(
            Print("à", 204, 83, 9), Print(PAYEZ, 200, 56, 7.5), Print("à", 22, 181, 9), Print("le", 184, 181, 9),
            Print("Payable en {country}", 210, 204, 8), Print("Signature", 404, 168, 7),
        ),
        ruled="dots",
    ),
    Bank(
        "Caisse du Quercy", "bars", (248, 240, 236), (190, 140, 120), 5, "roboto-condensed",
        words=(Rule(20, 622, 152), Rule(20, 430, 181)), payee=Rule(20, 440, 72), box=(478, 92, 626, 126),
        place=Rule(36, 176, 110), date=Rule(204, 340, 110), signature=(440, 166, 626, 250),
        holder=(190, 202), symbol=(466, 113),
        prints=(
            Print("Bénéficiaire", 20, 52, 8), Print("À", 20, 109, 9), Print("LE", 184, 109, 9),
            Print("Somme en toutes lettres", 20, 130, 7.5), Print("Payable en {country}", 20, 204, 8),
            Print("Chèque non endossable", 20, 215, 7.5),
        ),
        ruled="band",
    ),
)  # fmt: skip
BY_NAME = {bank.name: bank for bank in (*BANKS, *OTHER_BANKS)}


def banks_called(which: str) -> tuple[str, ...]:
    """The names of a group: "seen" (in the first pretraining), "unseen" or "all". ValueError for anything else."""
    groups = {"seen": BANKS, "unseen": OTHER_BANKS, "all": (*BANKS, *OTHER_BANKS)}
    if which not in groups:
        raise ValueError(f"no banks called {which!r}: give one of {', '.join(groups)}")
    return tuple(bank.name for bank in groups[which])
