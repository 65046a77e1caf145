"use strict";
// What a point of a chart says, beside the pointer or the focus; the tables say the same without any script.
const told = document.getElementById("told");

function tell(point) {
  const box = point.getBoundingClientRect();
  told.textContent = point.dataset.told;
  told.hidden = false;
  const left = Math.min(box.left + box.width / 2, innerWidth - told.offsetWidth - 12);
  told.style.left = `${Math.max(8, left) + scrollX}px`;
  told.style.top = `${box.top + scrollY - told.offsetHeight - 8}px`;
}

for (const [begin, end] of [["pointerover", "pointerout"], ["focusin", "focusout"]]) {
  document.addEventListener(begin, (event) => {
    const point = event.target.closest?.(".point");
    if (point) tell(point);
  });
  document.addEventListener(end, (event) => {
    if (event.target.closest?.(".point")) told.hidden = true;
  });
}
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") told.hidden = true;
});

// The line at the top lives; the rest is asked for again when its figures changed and nobody is in the middle of it.
const live = document.getElementById("live");

async function refresh() {
  if (document.hidden) return;
  try {
    const answer = await fetch(document.body.dataset.live);
    if (!answer.ok) return;
    const now = await answer.json();
    if (live.innerHTML !== now.line) live.innerHTML = now.line;
    const busy = document.querySelector("form :focus, .point:focus, details[open]:not(.shown)");
    if (now.stamp !== document.body.dataset.stamp && !busy) location.reload();
  } catch {
    // The backend is away for a moment: the next round asks again.
  }
}

setInterval(refresh, 5000);
