import { ask, element, number, showFault, table } from "./common.js";

const find = (id) => document.getElementById(id);
const counts = (states) => Object.entries(states).map(([state, n]) => `${n.toLocaleString("en")} ${state}`).join(", ") || "none";

function duration(seconds) {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} minutes` : `${(seconds / 3600).toFixed(1)} hours`;
}

function webgui(url) {
  const place = find("webgui");
  if (url) {
    place.replaceChildren("Every job can be seen in ", element("a", { href: url, rel: "noopener noreferrer" }, "FireWorks' own view"), ".");
  } else {
    place.replaceChildren("Every job can be seen in FireWorks' own view: run ", element("code", {}, "lpad -l my_launchpad.yaml webgui"),
      " and open http://127.0.0.1:5000; with ", element("code", {}, "superionic serve --webgui-url"), " it is linked here.");
  }
}

async function jobs() {
  const place = find("jobs");
  try {
    const status = await ask("/api/campaign");
    const facts = [["Launchpad", status.launchpad], ["Jobs", counts(status.jobs)]];
    for (const [flow, states] of Object.entries(status.materials)) facts.push([`Materials, flow ${flow}`, counts(states)]);
    if (status.jobs_per_minute > 0) facts.push(["Rate", `${number(status.jobs_per_minute)} jobs a minute`]);
    if (status.time_left_s) facts.push(["Time left at this rate", duration(status.time_left_s)]);
    if (status.n_lost) facts.push(["Lost", `${status.n_lost} jobs of dead processes: run 'superionic recover'`]);
    if (status.n_locked) facts.push(["Locked workflows", status.n_locked]);
    if (!Object.keys(status.jobs).length) facts[1][1] = "none: 'superionic submit' submits a campaign; 'superionic screen' needs no launchpad";
    place.replaceChildren(table(["What", "How many"], facts.map(([name, value]) => [
      element("th", { scope: "row" }, name), element("td", { class: "wrap" }, value)])));
    if (status.failures.length) {
      place.append(element("h3", {}, "Failed jobs"), table(["Cause", "Jobs", "For example"], status.failures.map((one) => [
        element("th", { scope: "row" }, one.cause), element("td", { class: "number" }, one.n_jobs),
        element("td", { class: "wrap" }, `${one.example_material}, ${one.example_job} (Firework ${one.fw_ids[0]}): ${one.example_text}`)])));
    }
    webgui(status.webgui_url);
  } catch (error) {
    showFault(place, error);
    place.className = "notice";
    webgui(null);
  }
}

let body = null;
async function failures(after) {
  try {
    const page = await ask("/api/failures", { after });
    const rows = page.data.map((one) => [one.material_id, one.code, element("td", { class: "wrap" }, `${one.message} ${one.hint}`), one.last_updated.slice(0, 19)]);
    const made = table(["Material", "Cause", "What is wrong, and what to do", "When"], rows);
    if (!rows.length) {
      if (!body && !page.meta.next) find("failures").replaceChildren(element("p", { class: "quiet" }, "None."));
    } else if (!body) {
      find("failures").replaceChildren(made);
      body = made.tBodies[0];
    } else {
      body.append(...made.tBodies[0].rows);
    }
    find("more").onclick = () => failures(page.meta.next);
    // Failures that cannot be read are left out of their page.
    if (!rows.length && page.meta.next) await failures(page.meta.next);
    else find("more").hidden = !page.meta.next;
  } catch (error) {
    showFault(find("fault"), error);
  }
}

jobs();
failures();
