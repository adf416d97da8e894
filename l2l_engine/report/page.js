"use strict";
// The page is complete without this: it only lets one step at a time stand out.
(() => {
  const cards = [...document.querySelectorAll("button.card")];
  const rows = [...document.querySelectorAll("ol.steps > li")];
  const connectors = [...document.querySelectorAll(".connectors path")];
  const closer = document.querySelector(".closer");
  if (!cards.length) return;

  const of = (list, step) => list.find((node) => node.dataset.step === step);

  function mark(kind, position) {
    for (const line of document.querySelectorAll(`.hair.${kind}`)) {
      line.setAttribute("x1", position);
      line.setAttribute("x2", position);
    }
  }

  // The selected step at a size one can look at: its picture, its numbers, its second of sound.
  function enlarge(card, row) {
    const picture = card.querySelector("img");
    const parts = [];
    if (picture) parts.push(picture.cloneNode());
    const text = document.createElement("div");
    const title = document.createElement("h3");
    title.textContent = `Step ${row.dataset.step} of ${rows.length}`;
    text.append(title, row.querySelector(".facts").cloneNode(true));
    for (const node of row.querySelector(".scores").children) text.append(node.cloneNode(true));
    parts.push(text);
    closer.replaceChildren(...parts);
  }

  function select(step) {
    const card = of(cards, step);
    const row = of(rows, step);
    for (const other of cards) other.setAttribute("aria-pressed", String(other === card));
    for (const other of rows) other.classList.toggle("on", other === row);
    for (const line of connectors) line.classList.toggle("on", line.dataset.step === step);
    for (const kind of ["look", "listen"]) {
      const picked = document.querySelector(`.${kind} use.picked`);
      if (picked) picked.setAttribute("href", `#${kind}-${step}`);
      if (row.dataset[kind]) mark(kind, row.dataset[kind]);
    }
    enlarge(card, row);
  }

  // Cards stand in the order of the video, rows in the order of the steps.
  function neighbour(card, key) {
    const place = cards.indexOf(card);
    const step = Number(card.dataset.step);
    switch (key) {
      case "ArrowRight": return cards[place + 1];
      case "ArrowLeft": return cards[place - 1];
      case "ArrowDown": return of(cards, String(step + 1));
      case "ArrowUp": return of(cards, String(step - 1));
      case "Home": return cards[0];
      case "End": return cards[cards.length - 1];
      default: return undefined;
    }
  }

  for (const card of cards) {
    card.addEventListener("click", () => select(card.dataset.step));
    card.addEventListener("keydown", (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      const next = neighbour(card, event.key);
      if (!next) return;
      event.preventDefault();
      next.focus();
      select(next.dataset.step);
    });
  }
  for (const row of rows) row.addEventListener("click", () => select(row.dataset.step));

  document.documentElement.classList.add("alive");
  for (const hint of document.querySelectorAll(".hint")) hint.hidden = false;
  closer.hidden = false;
  select("1");
})();
