import { ask, element, formula, loadScript, materialLink, number, showFault, table } from "./common.js";

const key = new URLSearchParams(location.search).get("key") ?? "";
const find = (id) => document.getElementById(id);
const HIGHEST_LEVEL_eV = 5;  // higher ones can be typed
const TURN = Math.PI / 12;
const NARROW = window.matchMedia("(max-width: 500px)");
// Beside the scene there is no room on a phone, and over it the legend would hide it.
const LEGEND_BELOW = { orientation: "h", x: 0, xanchor: "left", y: -0.02, yanchor: "top" };
const NUMBERS = [
  ["Percolation barrier (published)", "mpe_eV", "eV"],
  ["Barrier in one dimension", "barrier_1d_eV", "eV"],
  ["Barrier in two dimensions", "barrier_2d_eV", "eV"],
  ["Barrier in three dimensions", "barrier_3d_eV", "eV"],
  ["Connected free volume at 0.5 eV", "fv_connected", ""],
  ["Disconnected free volume at 0.5 eV", "fv_disconnected", ""],
  ["Disconnected free volume at 2 eV", "fv_disconnected_2eV", ""],
  ["Free volume at 0.5 eV, per ion", "free_volume_A3_per_ion", "Å³"],
  ["Free volume at 2 eV, per ion", "free_volume_2eV_A3_per_ion", "Å³"],
  ["Ξ", "xi", ""],
  ["Effective diffusivity at 1000 K, of that on a flat map", "diffusivity_ratio_1000K", ""],
  ["Predicted MSD slope (force network)", "predicted_log10_msd_slope", "log10 Å²/ps", "predicted_log10_msd_slope_low", "predicted_log10_msd_slope_high"],
  ["MSD slope (molecular dynamics)", "msd_slope_A2_per_ps", "Å²/ps", "msd_slope_low_A2_per_ps", "msd_slope_high_A2_per_ps"],
  ["Temperature of the dynamics", "label_temperature_K", "K"],
  ["Conductivity", "conductivity_S_per_cm", "S/cm", "conductivity_low_S_per_cm", "conductivity_high_S_per_cm"],
  ["Temperature of the conductivity", "validation_temperature_K", "K"],
  ["Activation energy", "activation_energy_eV", "eV"],
  ["Conductivity at 300 K, extrapolated", "conductivity_300K_S_per_cm", "S/cm", "conductivity_300K_low_S_per_cm", "conductivity_300K_high_S_per_cm"],
  ["Atoms in the cell", "n_atoms", ""],
  ["Mobile ions in the cell", "n_mobile", ""],
  ["Volume of the cell", "volume_A3", "Å³"],
];

let plotly = null;
function loadPlotly() {
  plotly ??= loadScript("/static/plotly.min.js").then(() => window.Plotly);
  return plotly;
}

function drawNumbers(row) {
  const rows = NUMBERS.filter(([, name]) => row[name] !== null && row[name] !== undefined).map(([title, name, unit, low, high]) => [
    element("th", { scope: "row" }, title),
    element("td", { class: "number" }, number(row[name], 4)),
    unit,
    low && row[low] !== null && row[high] !== null ? `[${number(row[low])}, ${number(row[high])}]` : "",
  ]);
  if (row.mpe_eV === null && row.xi !== null) {
    rows.unshift([element("th", { scope: "row" }, NUMBERS[0][0]), "no percolating path", "", ""]);
  }
  for (const [title, value] of [["Dynamics", row.label_verdict], ["Validation", row.validation_verdict && `${row.validation_verdict}: ${row.validation_reason ?? ""}`]]) {
    if (value) rows.push([element("th", { scope: "row" }, title), element("td", { colspan: 3, class: "wrap" }, value)]);
  }
  find("numbers").replaceChildren(table(["Quantity", "Value", "Unit", "95 % interval"], rows));
}

function drawNotes(answer) {
  const { row, failures } = answer;
  const notes = row.warnings.map((one) => [one.code, one.text]);
  for (const one of failures) notes.push([`failed: ${one.code}`, `${one.message} ${one.hint}`]);
  if (row.duplicate_of) notes.push(["duplicate", `The same crystal as ${row.duplicate_of}, whose results these are.`]);
  if (row.missing.length) notes.push(["not there", row.missing.join(", ")]);
  find("notes").replaceChildren(...notes.map(([code, text]) => element("p", {}, element("span", { class: "tag" }, code), " ", text)));
}

function drawRuns(row) {
  const facts = [
    ["Key", row.key], ["Source", row.source], ["Task key", row.task_key],
    ["Potential", `${row.potential} (${row.potential_package_version})`],
    ["Hash of its weights", row.potential_weights_sha256],
    ["Settings", JSON.stringify(row.settings)],
    ["Runs", row.runs.map((run) => `${run.kind} ${run.job_uuid ?? ""} ${run.last_updated.slice(0, 19)}${run.used ? "" : " (not used)"}`).join("; ")],
    ["superionic", row.superionic_version],
  ];
  find("runs").replaceChildren(table(["What", "Value"], facts.map(([name, value]) => [
    element("th", { scope: "row" }, name), element("td", { class: "wrap" }, value)])));
}

async function drawStandings() {
  const place = find("standings");
  try {
    const standings = await ask("/api/material/standings", { key });
    const madeOf = (one) => one.parts.length > 0 && `the sum of ${one.parts.map((part) => `${part.name} ${number(part.relative * part.weight)}`).join(", ")}`;
    const near = (one) => (one ? materialLink(one, ...formula(one.formula), ` ${one.material_id}`) : "–");
    place.replaceChildren(table(["Policy", "Rank", "Value", "Of what", "Above", "Below"], standings.map((one) => [
      element("th", { scope: "row" }, one.policy),
      one.reason ? "last" : one.rank === null ? "not ranked yet" : `${one.rank} of ${one.n_rows}`,
      element("td", { class: "number" }, number(one.score)),
      one.reason ?? [one.quantity, madeOf(one), one.tie].filter(Boolean).join("; "), near(one.above), near(one.below)])));
  } catch (error) {
    showFault(place, error);
  }
}

function turned(camera, angle) {
  const eye = camera?.eye ?? { x: 1.25, y: 1.25, z: 1.25 };
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  return { ...camera, eye: { x: c * eye.x - s * eye.y, y: s * eye.x + c * eye.y, z: eye.z } };
}

class FigureBox {
  constructor(info, open) {
    this.kind = info.kind;
    this.plot = element("div", { class: info.kind === "landscape" ? "plot tall" : "plot", role: "img", "aria-label": info.text });
    this.fault = element("div", { role: "alert" });
    this.busy = element("span", { class: "quiet", "aria-live": "polite" });
    this.controls = element("div", { class: "bar" });
    this.box = element("details", { class: "figure", id: `figure-${info.kind}` },
      element("summary", {}, info.text[0].toUpperCase() + info.text.slice(1)), this.controls, this.fault, this.plot);
    if (info.kind === "landscape") this.addControls();
    this.controls.append(this.busy);
    // Arrays are read when a figure is opened, not before.
    this.box.addEventListener("toggle", () => { if (this.box.open && !this.asked) this.load(); });
    this.box.open = open;
  }

  addControls() {
    this.slider = element("input", { type: "range", min: 0.02, max: 4, step: 0.01, "aria-label": "Level of the surface in eV" });
    this.entry = element("input", { type: "number", min: 0, max: 100, step: 0.01, "aria-label": "Level of the surface in eV, as a number" });
    this.slider.addEventListener("input", () => { this.entry.value = this.slider.value; });
    this.slider.addEventListener("change", () => this.load(this.slider.value));
    this.entry.addEventListener("change", () => { this.slider.value = this.entry.value; this.load(this.entry.value); });
    const left = element("button", { type: "button", class: "plain" }, "Turn left");
    const right = element("button", { type: "button", class: "plain" }, "Turn right");
    left.addEventListener("click", () => this.turn(-TURN));
    right.addEventListener("click", () => this.turn(TURN));
    const cube = element("a", { class: "button plain", href: "/api/material/cube?key=" + encodeURIComponent(key), download: true }, "Cube file");
    NARROW.addEventListener("change", () => {
      if (this.plot.layout) window.Plotly.relayout(this.plot, { legend: this.placed() });
    });
    this.controls.append(element("label", { class: "level" }, "Level (eV)", this.slider), this.entry, left, right, cube);
  }

  placed() {
    return NARROW.matches ? { ...this.legend, ...LEGEND_BELOW } : this.legend;
  }

  async turn(angle) {
    if (!this.plot.layout) return;
    const camera = turned(this.plot._fullLayout.scene.camera, angle);
    await window.Plotly.relayout(this.plot, { "scene.camera": camera });
  }

  async load(level) {
    this.asked = true;
    const turn = (this.turnOf = (this.turnOf ?? 0) + 1);
    this.busy.textContent = "Reading …";
    try {
      const [Plotly, answer] = await Promise.all([loadPlotly(), ask("/api/material/figure", { key, kind: this.kind, level_eV: level })]);
      if (turn !== this.turnOf) return;
      const { data, layout, config } = answer.figure;
      if (answer.level_eV !== null && this.slider) {
        this.slider.max = Math.max(Math.min(answer.highest_eV, HIGHEST_LEVEL_eV), answer.level_eV);
        this.entry.value = answer.level_eV;
        this.slider.value = answer.level_eV;
      }
      const camera = this.plot._fullLayout?.scene?.camera;
      if (camera && layout.scene) layout.scene.camera = camera;
      if (layout.scene) {
        this.legend = layout.legend;
        layout.legend = this.placed();
      }
      delete layout.width;
      delete layout.height;
      this.plot.classList.add("shown");
      await Plotly.react(this.plot, data, { ...layout, autosize: true }, { ...config, responsive: true, displaylogo: false });
      this.plot.dataset.drawn = String(turn);
      showFault(this.fault, null);
    } catch (error) {
      showFault(this.fault, error);
    } finally {
      if (turn === this.turnOf) this.busy.textContent = "";
    }
  }
}

async function start() {
  if (!key) {
    showFault(find("fault"), { message: "No material is named.", hint: "Choose one in the table." });
    return;
  }
  let answer;
  try {
    answer = await ask("/api/material", { key });
  } catch (error) {
    showFault(find("fault"), error);
    return;
  }
  const { row } = answer;
  document.title = `${row.formula} · superionic`;
  find("title").replaceChildren(...[...formula(row.formula), `  ${row.material_id}`].filter(Boolean));
  find("subtitle").textContent = `mobile ${row.mobile_species} · ${row.potential} · ${row.n_atoms} atoms`;
  find("downloads").append(
    element("a", { class: "button", id: "cif", href: "/api/material/cif?key=" + encodeURIComponent(key), download: true }, "Download CIF"),
    element("a", { class: "button plain", href: "/api/material?key=" + encodeURIComponent(key) }, "JSON"));
  if (answer.url) {
    find("downloads").append(element("a", { class: "button plain", id: "source", href: answer.url, rel: "noopener noreferrer" }, "Materials Project"));
  }
  drawNotes(answer);
  drawNumbers(row);
  drawRuns(row);
  drawStandings();
  find("figures").append(...answer.figures.map((info) => new FigureBox(info, info.kind === "landscape").box));
}
start();
