// Live numbers into the page: by server-sent events, and by asking now and then where those do not come.
import { showCharts } from "/static/charts.js";
import { pairsMayHaveChanged, showEntries } from "/static/lists.js";
import { ask, bytes, clock, count, element, money, seconds, share, swap, table } from "/static/words.js";

if (location.search) history.replaceState(null, "", location.pathname);  // the token is in a cookie by now

const byId = (id) => document.getElementById(id);
const put = (id, text) => { byId(id).textContent = text; };

function showTotals(report) {
  put("hit-rate", report.lookups ? share(report.hit_rate) : "-");
  put("hit-rate-more", report.lookups ? `${share(report.low)} to ${share(report.high)} with 95 %` : "no look-up yet");
  put("lookups", count(report.lookups));
  put("lookups-more", `${count(report.hit_count)} hits, ${count(report.miss_count)} misses, ${count(report.bypasses)} past the cache`);
  const worth = report.money;
  put("net", money(worth.net, worth.currency));
  put("net-more", `${money(worth.gross, worth.currency)} less ${money(worth.cost, worth.currency)}`);
  put("time", seconds(report.seconds_saved));
  put("time-more", "of waiting for models");
  put("entries-count", count(report.entries));
  put("entries-more", `${bytes(report.size_bytes)}, ${count(report.evictions)} evictions`);
  const wrong = report.false_hits;
  put("wrong", wrong.rate === null ? count(wrong.wrong) : share(wrong.rate));
  put("wrong-more", wrong.rate === null ? "reported by users" : `${share(wrong.low)} to ${share(wrong.high)} of ${count(wrong.checked)} checked`);
}

function showGroups(report) {
  const rows = (groups, name) => groups.map((one) => [name(one), count(one.hits), count(one.misses), share(one.hit_rate)]);
  swap(byId("types-table"), table("By query type", ["query type", "hits", "misses", "hit rate"],
    rows(report.query_types, (one) => one.query_type || "(none)")));
  swap(byId("tiers-table"), table("By tier", ["tier", "entries", "size", "full", "hits", "up", "down"],
    Object.entries(report.tiers).map(([name, one]) => [name, count(one.entries), bytes(one.size_bytes), share(one.utilisation),
      count(one.hits), count(one.promotions), count(one.demotions)])));
  swap(byId("misses-table"), table("Misses by reason", ["reason", "misses", "share"],
    Object.entries(report.misses).sort((one, other) => other[1] - one[1])
      .map(([name, number]) => [name.replaceAll("_", " "), count(number), share(number / report.miss_count)])));
  const names = { hit: "hit", miss: "look-up of a miss", model: "model" };
  swap(byId("timings-table"), table("Latency", ["", "count", "mean", "50 %", "95 %", "99 %"],
    Object.entries(report.timings).map(([kind, one]) => [names[kind] ?? kind, count(one.count),
      ...["mean", "p50", "p95", "p99"].map((name) => seconds(one[name]))])));
}

function showAlerts(alerts) {
  byId("alerts").hidden = !alerts.length;
  byId("alerts-list").replaceChildren(...alerts.map((one) =>
    element("li", { text: `${one.level}: ${one.text}${one.since === null ? "" : `, since ${clock(one.since)}`}` })));
  const names = alerts.map((one) => one.name).join(", ");
  if (byId("alerts-said").textContent !== names) put("alerts-said", names);  // read out when one comes or goes, not with each value
}

let isPaused = false;
function show(state) {
  if (isPaused) return;
  if (state.error) return tell(`The cache cannot be read: ${state.error}`);
  tell("Live");
  put("at", clock(state.report.at));
  put("namespace", state.report.namespace.join("/"));
  showTotals(state.report);
  showGroups(state.report);
  showAlerts(state.alerts);
  showCharts(state);
  pairsMayHaveChanged(state.pairs);
}

// A region that is read out: only when the words change.
function tell(text) {
  if (byId("state").textContent !== text) put("state", text);
}

byId("pause").addEventListener("click", () => {
  isPaused = !isPaused;
  byId("pause").setAttribute("aria-pressed", String(isPaused));
  put("pause", isPaused ? "Go on" : "Pause");
  if (isPaused) tell("Paused");
  else ask("/api/state").then(show, () => {});
});

let asking = null;
function askNowAndThen() {
  asking ??= setInterval(() => ask("/api/state").then(show, (error) => isPaused || tell(`Not connected: ${error.message}`)), 5000);
}

// A page that nobody sees gives its connection back: a browser has six for all its pages of one address.
let source = null;
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) return listen();
  source?.close();
  source = null;
  clearInterval(asking);
  asking = null;
});

function listen() {
  source?.close();
  source = new EventSource("/api/live");
  source.addEventListener("state", (event) => {
    clearInterval(asking);
    asking = null;
    show(JSON.parse(event.data));
  });
  source.addEventListener("error", () => {
    if (!isPaused) tell("Not connected; trying again");
    if (source?.readyState === EventSource.CLOSED) askNowAndThen();  // refused: too many live pages
  });
}

if (!document.hidden) listen();
showEntries();
