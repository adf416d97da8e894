"use strict";
// The page is complete without this: it only lets one step, and one segment, at a time stand out.
(() => {
  const cards = [...document.querySelectorAll("button.card")];
  const rows = [...document.querySelectorAll("ol.steps > li")];
  const connectors = [...document.querySelectorAll(".connectors path")];
  const closer = document.querySelector(".closer");
  if (!cards.length) return;

  const rowOf = (step) => rows.find((row) => row.dataset.step === step);
  const stepsOf = (node) => node.dataset.steps.split(" ");
  const cardOf = (step) => cards.find((card) => stepsOf(card).includes(step));
  const buttonOf = (row) => row.querySelector("button");
  let selected = "1";

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
    selected = step;
    const card = cardOf(step);
    const row = rowOf(step);
    for (const other of cards) other.setAttribute("aria-pressed", String(other === card));
    for (const other of rows) {
      other.classList.toggle("on", other === row);
      buttonOf(other).setAttribute("aria-pressed", String(other === row));
    }
    for (const line of connectors) line.classList.toggle("on", stepsOf(line).includes(step));
    for (const kind of ["look", "listen"]) {
      const picked = document.querySelector(`.${kind} use.picked`);
      if (picked) picked.setAttribute("href", `#${kind}-${step}`);
      if (row.dataset[kind]) mark(kind, row.dataset[kind]);
    }
    enlarge(card, row);
  }

  // Several steps may have chosen one moment: pressed again, its card goes on to the next of them.
  function press(card) {
    const steps = stepsOf(card);
    select(steps[(steps.indexOf(selected) + 1) % steps.length]);
  }

  // Left and right lead along the video, from card to card; up and down through the steps.
  function lead(event, onCard) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const along = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const through = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const edge = { Home: 0, End: -1 }[event.key];
    let step;
    if (through) step = String(Number(selected) + through);
    else if (!onCard) return;
    else if (along) step = cards[cards.indexOf(event.currentTarget) + along]?.dataset.steps.split(" ")[0];
    else if (edge !== undefined) step = stepsOf(cards.at(edge))[0];
    if (!step || !rowOf(step)) return;
    event.preventDefault();
    select(step);
    (onCard ? cardOf(step) : buttonOf(rowOf(step))).focus();
  }

  for (const card of cards) {
    card.addEventListener("click", () => press(card));
    card.addEventListener("keydown", (event) => lead(event, true));
  }
  for (const row of rows) {
    row.addEventListener("click", () => select(row.dataset.step));
    buttonOf(row).addEventListener("keydown", (event) => lead(event, false));
  }

  document.documentElement.classList.add("alive");
  for (const hint of document.querySelectorAll(".hint")) hint.hidden = false;
  closer.hidden = false;
  select(selected);
})();
(() => {
  const bars = [...document.querySelectorAll(".bar-button")];
  const shades = [...document.querySelectorAll(".span")];

  // The segment over the curves and the sound; pressed again, it goes.
  function press(bar) {
    const on = bar.getAttribute("aria-pressed") !== "true";
    for (const other of bars) other.setAttribute("aria-pressed", String(on && other === bar));
    for (const shade of shades) {
      shade.setAttribute("x", bar.dataset.from);
      shade.setAttribute("width", on ? bar.dataset.width : "0");
    }
  }

  function lead(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const along = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const edge = { Home: 0, End: -1 }[event.key];
    const at = bars.indexOf(event.currentTarget);
    if (event.key === "Enter" || event.key === " ") press(event.currentTarget);
    else if (along) bars[at + along]?.focus();
    else if (edge !== undefined) bars.at(edge).focus();
    else return;
    event.preventDefault();
  }

  for (const bar of bars) {
    bar.addEventListener("click", () => press(bar));
    bar.addEventListener("keydown", lead);
  }
})();
