import { ask, element, showFault } from "./common.js";

const LONGEST_ANSWER = 20000;

// What a parameter takes: references and "or null" are looked through.
function typeOf(schema, components) {
  if (schema.$ref) return typeOf(components[schema.$ref.split("/").at(-1)], components);
  const some = (schema.anyOf ?? schema.allOf ?? []).find((one) => one.type !== "null");
  return some ? { ...schema, ...typeOf(some, components) } : schema;
}

function field(parameter, components) {
  const type = typeOf(parameter.schema, components);
  const list = type.type === "array";
  const values = (list ? typeOf(type.items, components) : type).enum ?? (type.type === "boolean" ? ["true", "false"] : null);
  const common = { name: parameter.name, required: parameter.required };
  const control = values
    ? element("select", { ...common, multiple: list }, ...[...(parameter.required || list ? [] : [""]), ...values].map((one) => element("option", { value: one }, one)))
    : element("input", { ...common, placeholder: type.default ?? "" });
  const text = parameter.description ?? type.description ?? "";
  return element("label", {}, element("code", {}, parameter.name), ` ${values ? "" : type.type ?? ""}${parameter.required ? ", needed" : ""}. ${text}`, control);
}

function endpoint(path, operation, components) {
  const [summary, ...rest] = (operation.description ?? operation.summary ?? "").split("\n");
  const form = element("form", { class: "ask" }, ...(operation.parameters ?? []).map((one) => field(one, components)),
    element("div", { class: "bar" }, element("button", { type: "submit" }, "Ask")));
  const address = element("p", { class: "wrap" });
  const answer = element("pre", { class: "scroll", tabindex: "0", "aria-live": "polite" });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ""));
    const url = query.size ? `${path}?${query}` : path;
    address.replaceChildren(element("a", { href: url }, url));
    answer.textContent = "Reading …";
    try {
      const found = await fetch(url, { credentials: "same-origin" });
      const text = await found.text();
      let shown = text;
      try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* CSV, CIF or cube */ }
      const cut = shown.length > LONGEST_ANSWER ? `\n… ${shown.length - LONGEST_ANSWER} more characters` : "";
      answer.textContent = `${found.status}\n${shown.slice(0, LONGEST_ANSWER)}${cut}`;
    } catch (error) {
      answer.textContent = error.message;
    }
  });
  return element("details", { class: "endpoint" },
    element("summary", {}, element("code", {}, `GET ${path}`), ` ${summary}`),
    ...rest.filter(Boolean).map((line) => element("p", {}, line)), form, address, answer);
}

async function start() {
  try {
    const api = await ask("/openapi.json");
    const components = api.components?.schemas ?? {};
    const tags = new Map();
    for (const [path, { get }] of Object.entries(api.paths)) {
      const tag = get.tags?.[0] ?? "other";
      tags.set(tag, [...(tags.get(tag) ?? []), endpoint(path, get, components)]);
    }
    document.getElementById("endpoints").replaceChildren(...[...tags].map(([tag, made]) =>
      element("section", {}, element("h2", {}, tag[0].toUpperCase() + tag.slice(1)), ...made)));
  } catch (error) {
    showFault(document.getElementById("fault"), error);
  }
}
start();
