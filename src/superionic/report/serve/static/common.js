// What all pages share. Whatever comes from the database becomes text, never markup.

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    made.setAttribute(key, value === true ? "" : String(value));
  }
  made.append(...children.filter((child) => child !== null && child !== undefined).map(
    (child) => (child instanceof Node ? child : document.createTextNode(String(child)))));
  return made;
}

// A formula with its numbers as subscripts: parts for element().
export function formula(text) {
  return String(text ?? "–").split(/(?<=[A-Za-z)\]])(\d+(?:\.\d+)?)/)
    .map((part, i) => (i % 2 ? element("sub", {}, part) : part));
}

export class ApiError extends Error {
  constructor(fault, status) {
    super(fault.message);
    this.hint = fault.hint || "";
    this.code = fault.code || "";
    this.status = status;
  }
}

// A path with parameters; lists give one each, and what is empty is left out.
export function address(path, parameters = {}) {
  const query = new URLSearchParams(Object.entries(parameters).flatMap(([key, value]) =>
    [value].flat().filter((one) => one !== undefined && one !== null && one !== "").map((one) => [key, one])));
  return query.size ? `${path}?${query}` : path;
}

export async function ask(path, parameters = {}, signal = undefined) {
  let answer;
  try {
    answer = await fetch(address(path, parameters), {
      headers: { Accept: "application/json" }, credentials: "same-origin", signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError({ message: "The server does not answer.", hint: "Is 'superionic serve' still running?" }, 0);
  }
  if (answer.status === 401) {
    location.assign("/login?next=" + encodeURIComponent(location.pathname + location.search));
    return new Promise(() => {});
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    throw new ApiError(body.error || { message: `The server answered ${answer.status}.` }, answer.status);
  }
  return body;
}

export function showFault(place, error) {
  place.replaceChildren();
  if (!error) return;
  place.append(element("p", {}, error.message || String(error)));
  if (error.hint) place.append(element("p", {}, error.hint));
}

export function number(value, digits = 3) {
  if (value === null || value === undefined) return "–";
  if (value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e5)) return value.toExponential(digits - 1);
  return Number.isInteger(value) ? String(value) : value.toPrecision(Math.max(digits, Math.ceil(Math.log10(Math.abs(value)))));
}

export function table(headers, rows) {
  const head = element("tr", {}, ...headers.map((name) => element("th", { scope: "col" }, name)));
  const body = rows.map((cells) => element("tr", {}, ...cells.map((cell) =>
    cell instanceof HTMLTableCellElement ? cell : element("td", {}, cell ?? "–"))));
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...body));
}

export function materialLink(row, ...text) {
  return element("a", { href: "/material?key=" + encodeURIComponent(row.key) }, ...text);
}

export function loadScript(path) {
  return new Promise((resolve, reject) => {
    const script = element("script", { src: path });
    script.addEventListener("load", resolve);
    script.addEventListener("error", () => reject(new Error(`${path} cannot be loaded.`)));
    document.head.append(script);
  });
}
