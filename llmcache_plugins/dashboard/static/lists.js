// Near misses, hits, entries, and what is asked about them.
import { ask, count, element, say, score, table, when } from "/static/words.js";

const byId = (id) => document.getElementById(id);

const OUTCOMES = {
  obeyed: "Right: its next look-up is a hit.",
  noted: "Wrong: noted. Nothing was served, so nothing was to be done.",
  taken_back: "Wrong: its next look-up is no hit any more.",
  kept: "There is a label in the file already.",
  answered: "Right: noted. That question has an answer of its own by now.",
  gone: "Right: noted, but the stored answer is gone.",
  reported: "This pair was reported as wrong.",
  exact_only: "Right: noted, but the settings have such questions answered by their own text alone.",
  failed: "The store failed; try again.",
};
const REASONS = {
  below_threshold: "not near enough", guard_conflict: "vetoed", low_confidence: "not sure enough",
  rejected: "refused by a validator", reported: "reported before", shadow: "being checked",
};

// A button that works once at a time, and says what came of it.
function button(text, className, key, work) {
  const made = element("button", { text, type: "button", "data-key": key, className });
  let isBusy = false;  // not `disabled`, which would take the focus away
  made.addEventListener("click", async () => {
    if (isBusy) return;
    isBusy = true;
    try {
      await work();
    } catch (error) {
      say(`${text}: ${error.message}`);
    } finally {
      isBusy = false;
    }
  });
  return made;
}

function answerButton(row, key) {
  const made = button("Stored answer", "", key, async () => {
    const item = made.closest("li");
    const shown = item.querySelector("pre");
    made.setAttribute("aria-expanded", String(!shown));
    if (shown) return shown.remove();
    const { answer } = await ask("/api/answer", { entry: row.entry });
    item.append(element("pre", { text: answer, tabindex: "0" }));
  });
  made.setAttribute("aria-expanded", "false");
  made.disabled = !row.entry;
  return made;
}

function texts(pairs, facts) {
  const shown = pairs.map(([word, text]) => element("p", {}, element("span", { text: word }), " ", element("b", { text })));
  return element("div", { className: "texts" }, ...shown, element("p", { className: "facts", text: facts.filter(Boolean).join(" · ") }));
}

// In a roll-out a hit is not always served.
let mode = "serve";
const saidOf = (outcome) => outcome === "obeyed" && mode !== "serve"
  ? `Right: its next look-up is a hit, which the mode ${mode} ${mode === "shadow" ? "never" : "not always"} serves.` : OUTCOMES[outcome] ?? outcome;

function nearItem(row) {
  const facts = [`similarity ${score(row.similarity)}`, row.confidence ? `confidence ${score(row.confidence)}` : "",
    `${REASONS[row.reason] ?? row.reason}${row.vetoed_by.length ? ` by ${row.vetoed_by.join(", ")}` : ""}`,
    row.namespace, row.count > 1 ? `${count(row.count)} times` : "", when(row.at)];
  const label = (said) => async () => {
    const { outcome, is_kept: isKept } = await ask("/api/label", { id: row.id, label: said });
    say(`${saidOf(outcome)}${hasFile && !isKept ? " The label is not in the file." : ""}`);
    await showPairs();
  };
  return item(row, [["asked", row.asked], ["stored", row.stored]], facts, [
    button("Right", "good", `right ${row.id}`, label("right")), button("Wrong", "danger", `wrong ${row.id}`, label("wrong")),
    answerButton(row, `answer ${row.id}`), explainButton(row.asked, row, row.stored, `explain ${row.id}`)]);
}

function hitItem(row) {
  const facts = [`similarity ${score(row.similarity)}`, `confidence ${score(row.confidence)}`, row.kind,
    row.is_withheld ? "withheld by the roll-out" : "", row.namespace,
    row.count > 1 ? `${count(row.count)} times` : "", when(row.at)];
  return item(row, [["asked", row.asked], ["stored", row.stored]], facts, [
    button("Wrong", "danger", `reported ${row.id}`, async () => {
      const { outcome } = await ask("/api/wrong", { id: row.id });
      say(outcome === "reported" ? "Reported: the answer is removed, and the pair does not match again." : OUTCOMES.failed);
      await showPairs();
    }), answerButton(row, `answer ${row.id}`), explainButton(row.asked, row, row.stored, `explain ${row.id}`)]);
}

function item(row, pairs, facts, buttons) {
  const made = element("li", { "data-id": row.id, "data-label": String(row.label) }, texts(pairs, facts), element("div", { className: "buttons" }, ...buttons));
  if (row.label) {
    const text = row.outcome === "reported" && row.label === "wrong" ? "Wrong: reported." : saidOf(row.outcome);
    made.append(element("p", { className: `outcome ${row.label}`, text }));
  }
  for (const one of buttons) one.setAttribute("aria-label", `${one.textContent}: ${pairs[0][1]}`);
  return made;
}

// A list of pairs. What is shown stays where it is, for somebody may be about to press a button: new rows wait until
// they are asked for, and a label changes its own row alone.
class Pairs {
  constructor(name, make, none) {
    [this.list, this.button, this.make, this.none] = [byId(`${name}-list`), byId(`${name}-new`), make, none];
    this.known = new Set();
    this.isWhole = false;
    this.button.addEventListener("click", () => {
      this.fill();
      this.list.querySelector("button")?.focus();
    });
  }

  show(rows) {
    this.rows = rows;
    if (!this.list.querySelector("[data-id]")) return this.fill();
    const byName = new Map(rows.map((row) => [row.id, row]));
    for (const item of this.list.querySelectorAll("[data-id]")) {
      const row = byName.get(item.dataset.id);
      if (row && String(row.label) !== item.dataset.label) this.replace(item, row);
    }
    // Not those that only have moved up because a row before them has a label by now.
    const fresh = rows.filter((row) => !this.known.has(row.id) && row.at > this.latest).length;
    this.button.hidden = !fresh;
    this.button.textContent = `Show ${fresh} new`;
  }

  fill() {
    this.known = new Set(this.rows.map((row) => row.id));
    this.latest = Math.max(0, ...this.rows.map((row) => row.at));
    this.button.hidden = true;
    const seen = this.isWhole ? this.rows : this.rows.slice(0, FIRST);
    this.list.replaceChildren(...(seen.length ? seen.map(this.make) : [element("li", { className: "more", text: this.none })]));
    if (seen.length === this.rows.length) return;
    const all = element("button", { type: "button", text: `Show all ${this.rows.length}` });
    all.addEventListener("click", () => {
      this.isWhole = true;
      this.fill();
      this.list.children[FIRST].querySelector("button").focus();
    });
    this.list.append(element("li", {}, all));
  }

  // Who was at a button of the row is at the same one of the new row.
  replace(item, row) {
    const key = item.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const made = this.make(row);
    item.replaceWith(made);
    if (key) made.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
  }
}

const FIRST = 10;
const lists = {
  near: new Pairs("near", nearItem, "No near miss is remembered."),
  hits: new Pairs("hits", hitItem, "No hit by meaning was seen since this page is served."),
};

let shown = "";
let hasFile = false;
export async function showPairs() {
  const { near_misses: near, hits, version, has_labels_file: isKept, mode: now } = await ask("/api/pairs");
  [shown, hasFile, mode] = [version, isKept, now ?? "serve"];
  byId("labels-more").textContent = isKept ? "Labels are kept in the file for llmcache tune."
    : "Labels last as long as this page is served: no file for them was given.";
  lists.near.show(near);
  lists.hits.show(hits);
}

export function pairsMayHaveChanged(version) {
  if (version !== shown) showPairs().catch((error) => say(error.message));
}

// Questions of a framework have a scope of their own: model, parameters, history. An entry stands for its scope here.
let within = null;
async function explain(question) {
  const found = await ask("/api/explain", { question, namespace: within ? "" : byId("explain-namespace").value, entry: within });
  const roll = (found.mode ?? "serve") === "serve" ? "" : `, as the mode ${found.mode} lets it be served`;
  const facts = [["Outcome", `${found.outcome}${found.detail ? `: ${found.detail}` : ""}${roll}`], ["Matched", found.matched ?? "-"],
    ["Confidence", found.matched === null ? "-" : score(found.confidence)], ["Exact key", found.exact ?? "no"], ["Normalised", found.normalised ?? "no"],
    ["Query type", found.query_type], ["Policy", found.policy ?? "by the same text alone"]];
  const rows = found.candidates.map((one) => [one.question, score(one.similarity), one.confidence ? score(one.confidence) : "-",
    one.reason ? REASONS[one.reason] ?? one.reason : "may be served", one.said.join("; ")]);
  const none = within ? "No stored question is near." : "No stored question is near a plain one. Those of a framework: press Explain beside one of them.";
  byId("explanation").replaceChildren(
    element("div", { className: "scroll words" }, table("Explanation", ["", ""], facts)),
    element("div", { className: "scroll words" }, table("Candidates", ["stored question", "similarity", "confidence", "outcome", "guards"], rows, none)));
}

function askWithin(entry, stored) {
  within = entry;
  byId("explain-where").textContent = entry ? `What a look-up of this text would do now, asked where this is stored: ${stored}`
    : "What a look-up of this text would do now, asked as a plain question.";
  byId("explain-plain").hidden = !entry;
  byId("explain-namespace").disabled = Boolean(entry);
}

function explainButton(question, row, stored, key) {
  const made = button("Explain", "", key, async () => {
    askWithin(row.entry, stored);
    byId("explain-question").value = question;
    await explain(question);
    byId("explain").scrollIntoView();
    byId("explain-question").focus({ preventScroll: true });
  });
  made.disabled = !row.entry;
  return made;
}

byId("explain-plain").addEventListener("click", () => {
  askWithin(null);
  byId("explain-question").focus();
});

byId("explain-form").addEventListener("submit", (event) => {
  event.preventDefault();
  explain(byId("explain-question").value).catch((error) => say(error.message));
});

function isSure(text) {
  const dialog = byId("sure");
  byId("sure-text").textContent = text;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

function entryItem(row) {
  const facts = [row.query_type, row.namespace, row.model, row.tags.join(", "), `read ${count(row.reads)} times`, row.tier,
    `stored ${when(row.created_at)}`, row.is_expired ? "expired" : `until ${when(row.expires_at)}`, row.is_stale ? "stale" : ""];
  const made = item({ id: row.entry }, [["stored", row.text || "(no text is stored)"]], facts, [
    answerButton(row, `answer ${row.entry}`),
    explainButton(row.text, row, row.text, `explain ${row.entry}`),
    button("Invalidate", "danger", `invalidate ${row.entry}`, async () => {
      if (!await isSure(`Remove the stored answer to: ${row.text}`)) return;
      const { count: removed, has_failed: hasFailed } = await ask("/api/invalidate", { entry: row.entry });
      if (hasFailed) return say("The store failed: the answer may still be served. Try again.");
      say(removed ? "Removed." : "It was gone already.");
      made.remove();
      byId("entries-text").focus();
    })]);
  return made;
}

let next = null;
async function search(isMore) {
  const given = { text: byId("entries-text").value, query_type: byId("entries-type").value, after: isMore ? next : 0 };
  const { entries, after, scanned } = await ask("/api/entries", given);
  const list = byId("entries-list");
  if (isMore) list.append(...entries.map(entryItem));
  else list.replaceChildren(...entries.map(entryItem));
  next = after;
  byId("entries-next").hidden = after === null;
  byId("entries-said").textContent = `${count(list.children.length)} shown; ${count(scanned)} looked at${after === null ? ", that is all" : ""}.`;
}

byId("entries-form").addEventListener("submit", (event) => {
  event.preventDefault();
  search(false).catch((error) => say(error.message));
});
byId("entries-next").addEventListener("click", () => search(true).catch((error) => say(error.message)));
export const showEntries = () => search(false).catch((error) => say(error.message));
