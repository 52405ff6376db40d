"use strict";
(() => {
  const MOST_SCENES = 6; // browsers drop the oldest of more WebGL contexts than about 16
  const scenes = [];
  // This runs before the rest of the page is there: the table need not wait for it.
  const loaded = new Promise((done) => { document.addEventListener("DOMContentLoaded", done); });
  const byId = (id) => document.getElementById(id);

  // What is long is packed: a JSON string, base64 of zlib-compressed JSON.
  async function data(key) {
    await loaded;
    const content = JSON.parse(byId(`data-${key}`).textContent);
    if (typeof content !== "string") return content;
    const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
    const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(unpacked).json();
  }

  // plotly.js is text until the first figure is looked at.
  function plotly() {
    if (!window.Plotly) {
      const script = document.createElement("script");
      script.textContent = byId("plotly-source").textContent;
      document.head.append(script);
    }
    return window.Plotly;
  }

  async function draw(box) {
    if (box.dataset.drawn) return;
    box.dataset.drawn = "drawing";
    box.replaceChildren();
    try {
      const figure = await data(box.dataset.figure);
      if (box.dataset.drawn !== "drawing") return; // closed meanwhile
      if (superionicFigure.isSolid(figure)) makeRoom(box);
      await superionicFigure.show(box, figure, plotly());
      box.dataset.drawn = "yes";
    } catch (error) {
      box.dataset.drawn = "failed";
      box.textContent = `Not drawn: ${error.message}`;
    }
  }

  function erase(box) {
    if (!box.dataset.drawn) return;
    delete box.dataset.drawn;
    if (window.Plotly) window.Plotly.purge(box);
    const index = scenes.indexOf(box);
    if (index >= 0) scenes.splice(index, 1);
  }

  function makeRoom(box) {
    while (scenes.length >= MOST_SCENES) {
      const oldest = scenes[0];
      erase(oldest);
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = "Draw again";
      button.addEventListener("click", () => draw(oldest));
      oldest.replaceChildren(button);
    }
    scenes.push(box);
  }

  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      watcher.unobserve(entry.target);
      if (entry.target.dataset.figure) draw(entry.target);
      else scatter(entry.target);
    }
  }, { rootMargin: "200px" });

  function watch() {
    for (const box of document.querySelectorAll("section > .figures [data-figure], .scatter")) watcher.observe(box);
    for (const material of document.querySelectorAll("details.material")) {
      material.addEventListener("toggle", () => {
        for (const box of material.querySelectorAll("[data-figure]")) {
          if (material.open) watcher.observe(box);
          else { watcher.unobserve(box); erase(box); }
        }
      });
    }
  }

  async function scatter(frame) {
    const source = await data(frame.dataset.source);
    const x = source.methods.find((one) => one.name === frame.dataset.x);
    const y = source.methods.find((one) => one.name === frame.dataset.y);
    const groups = new Map();
    source.names.forEach((name, index) => {
      if (x.values[index] === null || y.values[index] === null) return;
      const verdict = source.verdicts[index];
      if (!groups.has(verdict)) groups.set(verdict, { x: [], y: [], text: [] });
      const group = groups.get(verdict);
      group.x.push(x.values[index]);
      group.y.push(y.values[index]);
      group.text.push(name);
    });
    const traces = [...groups].map(([verdict, points]) => ({
      ...points, type: "scatter", mode: "markers", name: verdict.replaceAll("_", " "), hovertemplate: "%{text}<br>%{x:.3g}, %{y:.3g}",
      marker: { color: source.colours[verdict], symbol: source.symbols[verdict], size: 8 },
    }));
    const layout = structuredClone(source.layout);
    layout.xaxis.title = { text: x.text };
    layout.yaxis.title = { text: y.text };
    plotly().react(frame.querySelector(".plot"), traces, layout, superionicFigure.CONFIG);
  }

  function watchScatter() {
    for (const button of document.querySelectorAll("[data-scatter]")) {
      button.addEventListener("click", () => {
        const frame = byId(`${button.dataset.scatter}-box`);
        frame.dataset.x = button.dataset.x;
        frame.dataset.y = button.dataset.y;
        scatter(frame);
      });
    }
  }

  // The ranking.
  const table = byId("table");
  const rows = table ? [...table.tBodies[0].rows] : [];

  function sortBy(heading) {
    const headings = [...table.tHead.rows[0].cells];
    const column = headings.indexOf(heading);
    const isNumber = heading.querySelector("button").dataset.number === "1";
    const direction = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const one of headings) one.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
    const value = (row) => row.cells[column].dataset.v;
    const compare = isNumber ? (a, b) => a - b : (a, b) => a.localeCompare(b, "en", { numeric: true });
    rows.sort((a, b) => {
      const [first, second] = [value(a), value(b)];
      if (first === undefined || second === undefined) return (first === undefined) - (second === undefined);
      return direction * compare(first, second);
    });
    table.tBodies[0].append(...rows);
  }

  function filter() {
    const words = byId("filter-text").value.toLowerCase().split(/\s+/).filter(Boolean);
    const elements = byId("filter-elements").value.toLowerCase().split(/[\s,-]+/).filter(Boolean);
    const largest = byId("filter-barrier").value;
    const part = byId("filter-part").value;
    const clean = byId("filter-clean").checked;
    let shown = 0;
    for (const row of rows) {
      const has = row.dataset.elements.split(" ");
      const fits = words.every((word) => row.dataset.search.includes(word))
        && elements.every((element) => has.includes(element))
        && (largest === "" || (row.dataset.barrier !== undefined && Number(row.dataset.barrier) <= Number(largest)))
        && (part === "" || row.dataset.parts.split(" ").includes(part))
        && (!clean || row.dataset.warnings === "0");
      row.hidden = !fits;
      shown += fits;
    }
    byId("shown").textContent = shown === rows.length ? `${rows.length} materials` : `${shown} of ${rows.length} materials`;
  }

  function openTarget() {
    const target = location.hash && byId(decodeURIComponent(location.hash.slice(1)));
    if (target && target.matches("details")) {
      target.open = true;
      target.scrollIntoView();
      target.querySelector("summary").focus({ preventScroll: true });
    }
  }

  async function download(button) {
    const file = await data(button.dataset.download);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([file.text], { type: "text/plain" }));
    link.download = file.name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  if (table) {
    for (const heading of table.tHead.rows[0].cells) heading.querySelector("button").addEventListener("click", () => sortBy(heading));
    const form = byId("filters");
    form.addEventListener("input", filter);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(filter));
    filter(); // a browser may have kept what was typed before
  }
  performance.mark("usable");

  loaded.then(() => {
    for (const button of document.querySelectorAll("[data-download]")) button.addEventListener("click", () => download(button));
    window.addEventListener("hashchange", openTarget);
    watch();
    watchScatter();
    openTarget();
    document.documentElement.dataset.ready = "yes";
    performance.mark("complete");
  });
})();
