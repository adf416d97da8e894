"use strict";
// Without this the form still works: its answer is the page about the video.
(() => {
  const find = (selector) => document.querySelector(selector);
  const form = find("form"), input = find("#video"), drop = find(".drop");
  const state = find(".state"), words = find(".state p"), bar = find("progress"), cancel = find(".cancel");
  const problem = find(".problem"), after = find(".after"), save = find(".after a"), frame = find("iframe");
  const STAGES = {
    probe: "Looking at the file", audio: "Listening", frames: "Looking", encode: "Looking and listening",
    skim: "Making up its mind", answer: "Drawing the page",
  };
  let request = null, polling = 0, observer = null;

  function say(text, share) {
    if (words.textContent !== text) words.textContent = text;
    if (share === null) bar.removeAttribute("value");
    else bar.value = share;
  }

  function name() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  function rest() {
    clearInterval(polling);
    request = null;
    state.hidden = true;
    for (const control of form.elements) control.disabled = false;
  }

  function fail(text) {
    rest();
    problem.textContent = text;
    problem.hidden = false;
    input.focus();
  }

  async function poll(id) {
    const asked = request;
    const answer = await fetch(`/progress/${id}`).catch(() => null);
    if (!answer?.ok || request !== asked || !request) return;
    const { state: at, stage, done } = await answer.json();
    if (at === "waiting") say("Waiting for its turn", null);
    if (at === "working") say(STAGES[stage] ?? "Working", done > 0 ? done : null);
  }

  function refused(answered) {
    let said = {};
    try { said = JSON.parse(answered.responseText); } catch { /* not ours: a proxy's */ }
    const wait = answered.getResponseHeader("Retry-After");
    const later = wait ? ` Try again in ${wait} s.` : "";
    return `${said.error ?? `The service answered ${answered.status}.`}${later}`;
  }

  function show(html) {
    rest();
    frame.srcdoc = html;
    frame.hidden = false;
    after.hidden = false;
    document.documentElement.classList.add("done");
    if (save.href) URL.revokeObjectURL(save.href);
    save.href = URL.createObjectURL(new Blob([html], { type: "text/html" }));
    find(".again").focus();
  }

  // As high as what is in it: nobody scrolls in two places.
  frame.addEventListener("load", () => {
    const inner = frame.contentDocument?.documentElement;
    observer?.disconnect();
    if (!inner) return;
    const fit = () => { frame.style.height = `${inner.getBoundingClientRect().height}px`; };
    observer = new ResizeObserver(fit);
    observer.observe(inner);
    fit();
  });

  function send(file) {
    problem.hidden = true;
    const content = new FormData(form);
    content.set("video", file);
    const id = name();
    request = new XMLHttpRequest();
    request.open("POST", "/timeline");
    request.setRequestHeader("X-Request-ID", id);
    request.upload.onprogress = (event) => say("Sending", event.lengthComputable ? event.loaded / event.total : null);
    request.upload.onload = () => { polling = setInterval(poll, 250, id); };
    request.onload = ({ target }) => (target.status === 200 ? show(target.responseText) : fail(refused(target)));
    request.onerror = () => fail("The service cannot be reached, or would not take all of the file.");
    request.onabort = () => { rest(); input.focus(); };
    say("Sending", 0);
    state.hidden = false;
    for (const control of form.elements) control.disabled = true;
    request.send(content);
    cancel.focus();
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (input.files.length) send(input.files[0]);
  });
  input.addEventListener("change", () => { if (input.files.length) send(input.files[0]); });
  cancel.addEventListener("click", () => request?.abort());
  find(".again").addEventListener("click", () => {
    frame.hidden = true;
    frame.srcdoc = "";
    after.hidden = true;
    document.documentElement.classList.remove("done");
    form.reset();
    input.focus();
  });
  // Anywhere on the page: a video that misses the box would replace the page otherwise.
  addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  addEventListener("dragleave", () => drop.classList.remove("over"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    if (!request && event.dataTransfer.files.length) send(event.dataTransfer.files[0]);
  });
})();
