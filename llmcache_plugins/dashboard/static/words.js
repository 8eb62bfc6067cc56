// Numbers and texts as the page shows them. Texts of others go into the page by textContent alone.
const whole = new Intl.NumberFormat("en");

export const count = (value) => (value === null || value === undefined ? "-" : whole.format(value));
export const share = (value, digits = 1) =>
  value === null || value === undefined ? "-" : `${(100 * value).toFixed(digits)} %`;
export const score = (value) => (value === null || value === undefined ? "-" : value.toFixed(3));

export function money(value, currency, least = 4) {
  if (value === null || value === undefined) return "-";
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 1 ? 2 : 4;
  const format = { style: "currency", currency, minimumFractionDigits: Math.min(least, digits), maximumFractionDigits: digits };
  try {
    return new Intl.NumberFormat("en", format).format(value);
  } catch {  // a currency of the user's own
    return `${value.toFixed(digits)} ${currency}`;
  }
}

export function seconds(value) {
  if (value === null || value === undefined) return "-";
  if (value === 0) return "0";
  if (value < 1e-3) return `${+(1e6 * value).toPrecision(3)} µs`;
  if (value < 1) return `${+(1e3 * value).toPrecision(3)} ms`;
  if (value < 120) return `${+value.toPrecision(3)} s`;
  if (value < 7200) return `${(value / 60).toFixed(1)} min`;
  return value < 172800 ? `${(value / 3600).toFixed(1)} h` : `${(value / 86400).toFixed(1)} days`;
}

export function bytes(value) {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let place = 0;
  while (value >= 1024 && place < units.length - 1) [value, place] = [value / 1024, place + 1];
  return `${place ? value.toFixed(1) : value} ${units[place]}`;
}

export const clock = (at) => new Date(1000 * at).toLocaleTimeString();
export const minute = (at) => new Date(1000 * at).toLocaleTimeString([], { hour: "numeric", minute: "2-digit" });
export const when = (at) => (at === null || at === undefined ? "never" : new Date(1000 * at).toLocaleString());

// An element with a text, classes and children; null children are left out.
export function element(name, { text, className, ...attributes } = {}, ...children) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

// A table: the first cell of each row names it.
export function table(caption, heads, rows, none = "Nothing yet.") {
  if (!rows.length) return element("p", { text: none, className: "more" });
  const head = element("tr", {}, ...heads.map((text) => element("th", { text, scope: "col" })));
  const body = rows.map((row) =>
    element("tr", {}, ...row.map((text, place) => element(place ? "td" : "th", place ? { text } : { text, scope: "row" }))));
  return element("table", { "aria-label": caption }, element("thead", {}, head), element("tbody", {}, ...body));
}

// Another content, unless it is the same: who reads it is left in peace.
export function swap(place, made) {
  if (!place.firstElementChild?.isEqualNode(made)) place.replaceChildren(made);
}

export async function ask(path, given) {
  const options = given === undefined ? {} : {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-LLMCache-Dashboard": "1" },
    body: JSON.stringify(given),
  };
  let answer;
  try {
    answer = await fetch(path, { ...options, cache: "no-store", credentials: "same-origin" });
  } catch {
    throw new Error("the dashboard does not answer");
  }
  const content = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(content.error || `status ${answer.status}`);
  return content;
}

let forgetting;
export function say(text) {
  const place = document.getElementById("said");
  place.textContent = text;
  clearTimeout(forgetting);
  forgetting = setTimeout(() => { place.textContent = ""; }, 8000);
}
