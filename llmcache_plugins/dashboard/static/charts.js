// The four charts and their tables. A chart is drawn anew when colours change, else only its numbers are.
import { clock, count, minute, money, score, seconds, share, swap, table } from "/static/words.js";

const HEIGHT = 240;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const byId = (id) => document.getElementById(id);

class Chart {
  constructor(id, options) {
    this.place = byId(`${id}-chart`);
    this.rows = byId(`${id}-table`);
    this.options = options;
    this.plot = null;
    this.tabled = null;
    new ResizeObserver(() => this.plot && this.width !== this.drawn && this.draw()).observe(this.place);
    this.rows.closest("details").addEventListener("toggle", () => this.tell());
  }

  get width() { return Math.max(200, Math.floor(this.place.clientWidth)); }

  // `table` makes the rows only where somebody reads them; `summary` is what a screen reader says in place of the chart.
  show(data, { summary, table: tabled, empty }) {
    this.tabled = tabled;
    this.place.setAttribute("aria-label", summary);
    this.tell();
    if (empty) return this.clear(empty);
    const kind = JSON.stringify(this.options().series.map((one) => one.label));
    const isNew = !this.plot || this.kind !== kind;
    [this.data, this.kind] = [data, kind];
    if (isNew) this.draw();
    else this.plot.setData(data);
  }

  clear(why) {
    if (this.plot) this.plot.destroy();
    this.plot = null;
    this.place.replaceChildren(Object.assign(document.createElement("p"), { textContent: why }));
  }

  draw() {
    if (this.plot) this.plot.destroy();
    this.place.replaceChildren();
    this.drawn = this.width;
    const options = { width: this.drawn, height: HEIGHT, legend: { show: true }, ...this.options() };
    this.plot = new uPlot(options, this.data, this.place);
    const legend = this.place.querySelector(".u-legend");  // the chart is one image; its numbers are in the table
    if (legend) legend.setAttribute("aria-hidden", "true");
  }

  tell() {
    if (this.tabled && this.rows.closest("details").open) swap(this.rows, this.tabled());
  }
}

const axis = (more = {}) => ({
  stroke: colour("soft"), grid: { stroke: colour("grid"), width: 1 }, ticks: { stroke: colour("grid"), width: 1 },
  font: "12px system-ui, sans-serif", ...more,
});
const line = (label, name, more = {}) => ({ label, stroke: colour(name), width: 2, points: { show: false }, ...more });
const area = (label, name, more = {}) => line(label, name, { fill: `${colour(name)}33`, paths: uPlot.paths.stepped({ align: 1 }), ...more });
const timeAxis = () => axis({ space: 70, values: (plot, ticks, place, space, step) => ticks.map((at) => (step < 60 ? clock(at) : minute(at))) });
// What the legend says under the pointer; nothing where there is none.
const shown = (words) => ({ value: (plot, value) => (value === null || value === undefined ? "" : words(value)) });
const isShort = (values) => values.length < 2;

let currency = "USD";
const charts = {
  rate: new Chart("rate", () => ({
    scales: { y: { range: [0, 1] } },
    axes: [timeAxis(), axis({ size: 60, values: (plot, ticks) => ticks.map((tick) => share(tick, 0)) })],
    series: [{ label: "at", value: (plot, at) => (at ? clock(at) : "") },
      line("lately", "one", { ...shown(share), spanGaps: true }),
      line("since counting began", "two", { ...shown(share), dash: [6, 4] })],
  })),
  money: new Chart("money", () => ({
    scales: { y: { range: (plot, low, high) => [Math.min(0, low), high > 0 ? 1.05 * high : 1] } },
    axes: [timeAxis(), axis({ size: 70, values: (plot, ticks) => ticks.map((tick) => money(tick, currency, 2)) })],
    series: [{ label: "at", value: (plot, at) => (at ? clock(at) : "") },
      line("net", "one", { ...shown((value) => money(value, currency)), fill: `${colour("one")}22` }),
      line("gross", "two", { ...shown((value) => money(value, currency)), dash: [6, 4] })],
  })),
  latency: new Chart("latency", () => ({
    scales: { x: { time: false, range: latencyRange }, y: { range: (plot, low, high) => [0, high ? 1.05 * high : 1] } },
    axes: [axis({ space: 60, incrs: [3], values: (plot, ticks) => ticks.map((tick) => seconds(bounds[tick - 1])) }),
      axis({ size: 60, values: (plot, ticks) => ticks.map((tick) => share(tick, 0)) })],
    series: [{ label: "up to", value: (plot, place) => (place === null ? "" : seconds(bounds[place])) },
      area("hit", "one", shown(share)), area("look-up of a miss", "two", shown(share)), area("model", "three", shown(share))],
  })),
  near: new Chart("near", () => ({
    scales: { x: { time: false, range: [nearFrom, 1] }, y: { range: (plot, low, high) => [0, Math.max(4, 1.1 * high)] } },
    axes: [axis({ values: (plot, ticks) => ticks.map((tick) => tick.toFixed(2)) }), axis({ size: 60 })],
    series: [{ label: "from", value: (plot, value) => (value === null ? "" : value.toFixed(2)) },
      area("hits by meaning", "one", shown(count)), area("near misses", "two", shown(count))],
    hooks: { draw: [drawBoundary] },
  })),
};

let bounds = [];
let latencyFrom = 0;
let latencyTo = 1;
let nearFrom = 0;
let boundary = null;
const latencyRange = () => [latencyFrom, latencyTo];

function drawBoundary(plot) {
  if (boundary === null) return;
  const x = plot.valToPos(boundary, "x", true);
  const { left, top, width, height } = plot.bbox;
  if (x < left || x > left + width) return;
  const context = plot.ctx;
  context.save();
  context.strokeStyle = colour("text");
  context.lineWidth = 2 * devicePixelRatio;
  context.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio]);
  context.beginPath();
  context.moveTo(x, top);
  context.lineTo(x, top + height);
  context.stroke();
  context.restore();
}

// Hits and misses of what was chosen in one sample; null where it was not counted yet.
function chosen(sample, name) {
  if (name === "all") return [sample.hits, sample.misses];
  const place = name.indexOf(":");
  return sample[name.slice(0, place)][name.slice(place + 1)] ?? [0, 0];
}

function showRate(samples) {
  const name = byId("rate-of").value;
  const back = Math.max(1, Math.round(samples.length / 60));  // "lately" is a sixtieth of what is shown
  const counts = samples.map((sample) => chosen(sample, name));
  const rate = ([hits, misses]) => (hits + misses > 0 ? hits / (hits + misses) : null);
  const lately = counts.map((now, place) => {
    const before = counts[Math.max(0, place - back)];
    const [hits, misses] = [now[0] - before[0], now[1] - before[1]];
    return hits < 0 || misses < 0 ? null : rate([hits, misses]);
  });
  const whole = counts.map(rate);
  charts.rate.show([samples.map((sample) => sample.at), lately, whole], {
    summary: `Hit rate over time, now ${share(whole.at(-1))} since counting began. The table below has the numbers.`,
    empty: isShort(samples) && "Waiting for the second reading.",
    table: () => table("Hit rate over time", ["at", "hits", "misses", "lately", "since counting began"],
      samples.map((sample, place) => [clock(sample.at), ...counts[place].map(count), share(lately[place]), share(whole[place])]).reverse()),
  });
}

function showMoney(samples) {
  const net = samples.map((sample) => sample.net);
  charts.money.show([samples.map((sample) => sample.at), net, samples.map((sample) => sample.gross)], {
    summary: `Money saved over time, now ${money(net.at(-1), currency)} net. The table below has the numbers.`,
    empty: isShort(samples) && "Waiting for the second reading.",
    table: () => table("Money saved over time", ["at", "gross", "net"],
      samples.map((one) => [clock(one.at), money(one.gross, currency), money(one.net, currency)]).reverse()),
  });
}

const KINDS = [["hit", "hit"], ["miss", "look-up of a miss"], ["model", "model"]];

function showLatency(latency) {
  bounds = latency.bounds;
  const shares = KINDS.map(([kind]) => {
    const one = latency.kinds[kind];
    return Array.from({ length: bounds.length + 1 }, (_, place) => (one && one.count ? one.buckets[place] / one.count : 0));
  });
  const used = Array.from({ length: bounds.length + 1 }, (_, place) => place).filter((place) => shares.some((one) => one[place]));
  [latencyFrom, latencyTo] = used.length ? [Math.max(0, used[0] - 1), Math.min(bounds.length + 1, used.at(-1) + 2)] : [0, 1];
  const places = Array.from({ length: bounds.length + 2 }, (_, place) => place);
  charts.latency.show([places, ...shares.map((one) => [...one, 0])], {
    summary: "How long hits, look-ups of misses and calls of the model took. The table below has the numbers.",
    empty: !used.length && "Nothing was timed yet.",
    table: () => table("Latency", ["up to", ...KINDS.map(([, words]) => words)],
      used.map((place) => [place < bounds.length ? seconds(bounds[place]) : "more",
        ...KINDS.map(([kind]) => count(latency.kinds[kind] ? latency.kinds[kind].buckets[place] : 0))])),
  });
}

function showNear(state) {
  const by = byId("near-by").value;
  const { hits, near_misses: misses } = state.distribution[by];
  const edges = Array.from({ length: state.bins + 1 }, (_, place) => place / state.bins);
  const decides = state.boundary;
  boundary = decides === null ? null : by === "confidence" ? decides.confidence : decides.floor;
  const filled = edges.findIndex((_, place) => hits[place] || misses[place]);
  nearFrom = filled < 0 ? 0 : Math.max(0, Math.min(edges[filled], boundary ?? 1) - 0.04);
  const what = decides === null ? "Nothing is matched by meaning here."
    : by === "confidence" || decides.by_floor ? `Dashed: a general question is served from ${by} ${score(boundary)} on.`
      : `Dashed: judged from similarity ${score(boundary)} on; the confidence decides.`;
  byId("near-more").textContent = state.hears_hits ? what : `${what} Hits happen in other processes and are not seen here.`;
  charts.near.show([edges, [...hits, 0], [...misses, 0]], {
    summary: `Hits by meaning and near misses by ${by}. ${what} The table below has the numbers.`,
    empty: filled < 0 && "No hit by meaning and no near miss yet.",
    table: () => table(`Hits and near misses by ${by}`, [`${by} from`, "hits by meaning", "near misses"],
      edges.slice(0, -1).map((edge, place) => [edge.toFixed(2), count(hits[place]), count(misses[place])])
        .filter((row, place) => hits[place] || misses[place]).reverse()),
  });
}

// The kinds of look-ups there are curves for; what was chosen stays chosen.
function offer(state) {
  const select = byId("rate-of");
  const last = state.samples.at(-1) ?? { types: {}, tiers: {} };
  const names = ["all", ...Object.keys(last.types).map((name) => `types:${name}`), ...Object.keys(last.tiers).map((name) => `tiers:${name}`)];
  if (names.join("\n") === [...select.options].map((option) => option.value).join("\n")) return;
  const before = select.value;
  const words = (name) => name === "all" ? "everything" : name.replace("types:", "query type ").replace("tiers:", "tier ");
  select.replaceChildren(...names.map((name) => new Option(words(name), name)));
  if (names.includes(before)) select.value = before;
}

let latest = null;
export function showCharts(state) {
  latest = state;
  currency = state.report.money.currency;
  offer(state);
  showRate(state.samples);
  showMoney(state.samples);
  showLatency(state.latency);
  showNear(state);
}

const again = () => latest && showCharts(latest);
byId("rate-of").addEventListener("change", again);
byId("near-by").addEventListener("change", again);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const chart of Object.values(charts)) if (chart.plot) chart.draw();
});
