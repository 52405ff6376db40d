import { address, ask, element, formula, materialLink, number, showFault } from "./common.js";

const FILTERS = ["formula", "elements", "without_elements", "material_id", "max_barrier_eV", "min_xi", "label_verdict", "validation_verdict"];
const GOOD = new Set(["diffusing", "confirmed"]);
const BAD = new Set(["not_diffusing", "melted", "not_confirmed", "melts"]);

const find = (id) => document.getElementById(id);
const form = find("filters");
const field = (name) => form.querySelector(`[name="${name}"]`);  // "elements" hides form.elements
const HEADS = [...find("rows").tHead.rows[0].cells];
const COLUMNS = HEADS.map((head) => ({ name: head.dataset.name, numeric: head.classList.contains("number"), classes: head.className.trim() || null }));
let state = read(location.search);
let visited = history.state?.visited ?? [];
let running = null;
let usualPolicy = "";

// The state is the address: pages can be kept, sent and gone back to.
function read(search) {
  const query = new URLSearchParams(search);
  const found = { present: query.getAll("present") };
  for (const [key, value] of query) if (key !== "present") found[key] = value;
  return found;
}

function parameters({ after, ...rest }) {
  const { group, ...plain } = rest;
  if (group === "all") plain.all_rankings = "true";
  else if (group) {
    const [mobile_species, settings, ...potential] = group.split("|");
    Object.assign(plain, { mobile_species, settings, potential: potential.join("|") });
  }
  return after ? { ...plain, after } : plain;
}

function filtersOf(asked) {
  const { sort, descending, policy, limit, ...filters } = parameters({ ...asked, after: undefined });
  return filters;
}

function go(changes, { keepPlace = false, seen = [] } = {}) {
  state = { ...state, ...changes };
  if (!keepPlace) delete state.after;
  visited = seen;
  history.pushState({ visited }, "", address("/", state));
  show();
}

function markHead() {
  const current = state.sort || "rank";
  for (const head of HEADS) {
    const sorted = head.dataset.name === current;
    head.setAttribute("aria-sort", !sorted ? "none" : state.descending === "true" ? "descending" : "ascending");
  }
}

for (const button of find("rows").tHead.querySelectorAll("[data-sort]")) {
  button.addEventListener("click", () => {
    const { sort, largest } = button.dataset;
    const next = sort === (state.sort || "rank") ? state.descending !== "true" : largest !== undefined;
    go({ sort, descending: next ? "true" : "" });
  });
}

function cell(column, row) {
  const value = row[column.name];
  const { classes } = column;
  if (column.name === "formula") {
    return element("td", { class: classes }, row.unreadable ? row.key.slice(0, 80) : materialLink(row, ...(value === null ? [row.key] : formula(value))));
  }
  if (column.name === "warnings") {
    return element("td", { class: classes }, row.unreadable ? "unreadable: run 'superionic build'" : value.join(", "));
  }
  if (column.name === "mpe_eV" && value === null && row.xi !== null) return element("td", { class: classes }, "none");
  if (column.name.endsWith("_verdict")) {
    if (!value) return element("td", { class: classes }, "–");
    const kind = GOOD.has(value) ? "tag good" : BAD.has(value) ? "tag bad" : "tag";
    return element("td", { class: classes }, element("span", { class: kind }, value.replaceAll("_", " ")));
  }
  if (column.name === "material_id") {
    return element("td", { class: classes }, value ?? "–", row.duplicate_of ? ` (same as ${row.duplicate_of})` : "");
  }
  const [low, high] = [row[`${column.name}_low`], row[`${column.name}_high`]];
  if (value !== null && low != null && high != null) {
    return element("td", { class: classes }, `${number(value, 2)} [${number(low, 2)}, ${number(high, 2)}]`);
  }
  return element("td", { class: classes }, column.numeric ? number(value) : value ?? "–");
}

// A search that meets only what is ranked elsewhere says where, and leads there.
function found(elsewhere) {
  return elsewhere.flatMap((group, index) => {
    const link = element("a", { href: address("/", { ...state, group: groupValue(group), after: undefined }) }, groupName(group));
    return [index ? ", " : " Found in ", link];
  });
}

const groupValue = (group) => `${group.mobile_species}|${group.settings}|${group.potential}`;
const groupName = (group) => [group.mobile_species, group.potential, group.settings].filter(Boolean).join(", ");

function draw(page) {
  const body = find("rows").tBodies[0];
  body.replaceChildren(...page.data.map((row) => element("tr", {}, ...COLUMNS.map((column) => cell(column, row)))));
  if (!page.data.length) {
    body.append(element("tr", {}, element("td", { colspan: COLUMNS.length }, "No materials of this ranking meet the filter.", ...found(page.meta.elsewhere))));
  }
  find("next").disabled = !page.meta.next;
  find("previous").disabled = !visited.length;
  find("first").disabled = !state.after;
  find("next").onclick = () => go({ after: page.meta.next }, { keepPlace: true, seen: [...visited, state.after || ""] });
  find("notes").replaceChildren(...page.meta.notes.map((note) => element("p", {}, note)));
  find("place").textContent = `page ${visited.length + 1}, ${page.data.length} rows, ${page.meta.took_ms} ms`;
  if (state.after && !visited.length) find("place").textContent = `${page.data.length} rows, ${page.meta.took_ms} ms`;
}

async function show() {
  running?.abort();
  running = new AbortController();
  const { signal } = running;
  markHead();
  const rows = find("rows");
  rows.setAttribute("aria-busy", "true");
  find("csv").href = address("/api/rows.csv", parameters({ ...state, after: undefined, limit: undefined }));
  try {
    const page = await ask("/api/rows", parameters(state), signal);
    showFault(find("fault"), null);
    draw(page);
  } catch (error) {
    if (error.name === "AbortError") return;
    rows.tBodies[0].replaceChildren();
    showFault(find("fault"), error);
    find("count").textContent = "";
    for (const id of ["next", "previous", "first"]) find(id).disabled = true;
    return;
  } finally {
    if (!signal.aborted) rows.setAttribute("aria-busy", "false");
  }
  ask("/api/count", filtersOf(state), signal).then((count) => {
    const n = count.n.toLocaleString("en");
    find("count").textContent = `${count.exact ? "" : "about "}${n} ${count.n === 1 ? "material" : "materials"}`;
  }).catch(() => { if (!signal.aborted) find("count").textContent = ""; });
}

function fillForm() {
  field("group").value = state.group ?? "";
  field("policy").value = state.policy ?? usualPolicy;
  for (const name of FILTERS) field(name).value = state[name] ?? "";
  for (const box of form.querySelectorAll("[name=present]")) box.checked = state.present.includes(box.value);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const changes = { group: field("group").value, policy: field("policy").value === usualPolicy ? "" : field("policy").value };
  for (const name of FILTERS) changes[name] = field(name).value.trim();
  for (const name of ["elements", "without_elements"]) {
    changes[name] = changes[name].split(/[\s,;-]+/).filter(Boolean).join(",");
  }
  changes.present = [...form.querySelectorAll("[name=present]:checked")].map((box) => box.value);
  go(changes);
});
form.addEventListener("reset", (event) => {
  event.preventDefault();
  state = { present: [] };
  fillForm();
  go({});
});
find("previous").addEventListener("click", () => go({ after: visited.at(-1) }, { keepPlace: true, seen: visited.slice(0, -1) }));
find("first").addEventListener("click", () => go({}));
addEventListener("popstate", (event) => {
  state = read(location.search);
  visited = event.state?.visited ?? [];
  fillForm();
  show();
});
// Up and down go from row to row; Enter opens, since what has the focus is a link.
find("rows").addEventListener("keydown", (event) => {
  if (!["ArrowDown", "ArrowUp"].includes(event.key) || !event.target.matches("td a")) return;
  event.preventDefault();
  const links = [...find("rows").querySelectorAll("td a")];
  links[links.indexOf(event.target) + (event.key === "ArrowDown" ? 1 : -1)]?.focus();
});

async function start() {
  if (matchMedia("(max-width: 640px)").matches) find("filter-box").open = false;
  show();
  try {
    const about = await ask("/api/about");
    find("about").textContent = `${about.database} · superionic ${about.version}`;
    usualPolicy = about.policy;
    for (const group of about.groups) {
      field("group").append(element("option", { value: groupValue(group) }, `${groupName(group)} (${group.n_rows.toLocaleString("en")})`));
    }
    for (const [name, text] of Object.entries(about.policies)) {
      field("policy").append(element("option", { value: name, title: text }, name));
    }
  } catch { /* the table says what is wrong */ }
  fillForm();
}
start();
