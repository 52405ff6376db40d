import { ask, element, formula, loadScript, materialLink, number, showFault, table } from "./common.js";

const key = new URLSearchParams(location.search).get("key") ?? "";
const find = (id) => document.getElementById(id);
const HIGHEST_LEVEL_eV = 5;  // higher ones can be typed
let plotly = null;
function loadPlotly() {
  plotly ??= loadScript("/static/plotly.min.js").then(() => window.Plotly);
  return plotly;
}

// The groups are those of the report: one list of what is shown.
function drawNumbers(groups) {
  find("numbers").replaceChildren(...groups.map((group) => element("section", {}, element("h3", {}, group.title),
    group.numbers.length ? element("table", {}, element("tbody", {}, ...group.numbers.map((one) => element("tr", {},
      element("th", { scope: "row" }, one.name), element("td", {}, `${one.value} ${one.unit}`),
      element("td", { class: "quiet" }, one.note))))) : null,
    group.remark ? element("p", { class: "quiet" }, group.remark) : null)));
}

function drawOthers(others) {
  find("others-box").hidden = !others.length;
  if (!others.length) return;
  const rows = others.map((one) => [
    element("th", { scope: "row" }, one.this_one ? one.potential : materialLink(one, one.potential)),
    one.barrier, one.barrier_3d, one.free_volume, one.verdict]);
  find("others").replaceChildren(table(
    ["Potential", "Published barrier (eV)", "Barrier in 3D (eV)", "Free volume, 2 eV (Å³/ion)", "Dynamics"], rows));
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

class FigureBox {
  constructor(info, open) {
    this.name = info.name;
    this.tall = info.name === "landscape";
    this.plot = element("div", { class: this.tall ? "plot tall" : "plot", role: "img", "aria-label": info.title });
    this.fault = element("div", { role: "alert" });
    this.busy = element("span", { class: "quiet", "aria-live": "polite" });
    this.controls = element("div", { class: "bar" });
    this.box = element("details", { class: "figure", id: `figure-${info.name}` },
      element("summary", {}, info.title), this.controls, this.fault, this.plot);
    if (this.tall) this.addControls();
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
    left.addEventListener("click", () => superionicFigure.turn(this.plot, -1));
    right.addEventListener("click", () => superionicFigure.turn(this.plot, 1));
    const cube = element("a", { class: "button plain", href: "/api/material/cube?key=" + encodeURIComponent(key), download: true }, "Cube file");
    this.controls.append(element("label", { class: "level" }, "Level (eV)", this.slider), this.entry, left, right, cube);
  }

  async load(level) {
    this.asked = true;
    const turn = (this.turnOf = (this.turnOf ?? 0) + 1);
    this.busy.textContent = "Reading …";
    try {
      const [Plotly, figure] = await Promise.all([loadPlotly(), ask("/api/material/figure", { key, kind: this.name, level_eV: level })]);
      if (turn !== this.turnOf) return;
      if (this.slider) {
        const { meta } = figure.layout;
        this.slider.max = Math.max(Math.min(meta.highest_eV, HIGHEST_LEVEL_eV), meta.level_eV);
        this.entry.value = this.slider.value = meta.level_eV;
      }
      if (this.tall) {  // the page has this title, and buttons need less room
        figure.layout.title.text = "";
        figure.layout.margin.t = 40;
      }
      this.plot.classList.add("shown");
      await superionicFigure.show(this.plot, figure, Plotly, { fill: this.tall });
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
  drawNumbers(answer.groups);
  drawOthers(answer.others);
  drawRuns(row);
  drawStandings();
  find("figures").append(...answer.figures.map((info) => new FigureBox(info, info.name === "landscape").box));
}
start();
