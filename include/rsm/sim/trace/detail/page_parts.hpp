// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The fixed parts of a trace's page. Written by cmake/pages.cmake from the files in
// rsm/sim/trace/page: change those, and run it again.
#ifndef RSM_SIM_TRACE_DETAIL_PAGE_PARTS_HPP
#define RSM_SIM_TRACE_DETAIL_PAGE_PARTS_HPP

#include <string_view>

namespace rsm::inline v0::sim::detail {

// clang-format off
inline constexpr std::string_view page_style_css = R"page(/* The style of a trace's page.
   Colours are those of Okabe and Ito, which people with any kind of colour vision can tell apart;
   the script takes them from here, so that light and dark are decided in one place. */

:root {
    color-scheme: light dark;
    --page: #f3f5f8; --panel: #ffffff; --lane: #fafbfd; --ink: #1a2027; --muted: #5a6672;
    --line: #d5dbe3; --accent: #0a5dc2;
    --follower: #c3d2e2; --pre-candidate: #f4dc83; --candidate: #e69f00; --leader: #009e73;
    --down: #e3e6ea; --hatch: #8b96a2; --unknown: #eceff3; --on-role: #10202e; --on-leader: #ffffff;
    --append: #0072b2; --append-reply: #56a9dc; --pre-vote: #b98a00; --vote: #d55e00;
    --heartbeat: #8894a1; --snapshot: #b4508f; --other: #4a5560; --lost: #c8102e;
    --commit: #00694d; --applied: #0072b2; --disk: #b26b00; --clock: #7a4fb5;
    --cut: rgba(120, 60, 150, .13); --cut-other: rgba(120, 60, 150, .05); --cut-ink: #7b3f98;
    --ok: #bfe5d8; --ok-ink: #00513b; --failed: #dfe3e8; --failed-ink: #3e4852;
    --doubt: #f8e2ad; --doubt-ink: #664600; --violation: #c8102e; --violation-soft: #fde7ea;
    --shade: rgba(243, 245, 248, .68); --halo: #ffd000;
}
@media (prefers-color-scheme: dark) {
    :root {
        --page: #0d1116; --panel: #161c23; --lane: #12171d; --ink: #e4e9ee; --muted: #98a5b2;
        --line: #2a333d; --accent: #6db1ff;
        --follower: #35495e; --pre-candidate: #8d7626; --candidate: #d99100; --leader: #12936e;
        --down: #1f262e; --hatch: #5a6673; --unknown: #1a2028; --on-role: #f0f4f8;
        --on-leader: #ffffff;
        --append: #5cb3f2; --append-reply: #3f7fae; --pre-vote: #e3c04d; --vote: #ff8a45;
        --heartbeat: #6f7c89; --snapshot: #e08fc1; --other: #b4c0cc; --lost: #ff6473;
        --commit: #37d3a4; --applied: #5cb3f2; --disk: #f0a83a; --clock: #b797ea;
        --cut: rgba(190, 130, 225, .17); --cut-other: rgba(190, 130, 225, .07);
        --cut-ink: #cf9df0;
        --ok: #14493a; --ok-ink: #b9f0dc; --failed: #2c343d; --failed-ink: #c3ccd5;
        --doubt: #5a4410; --doubt-ink: #ffe3a1; --violation: #ff5a69; --violation-soft: #3b171c;
        --shade: rgba(13, 17, 22, .62); --halo: #ffd84a;
    }
}
* { box-sizing: border-box; }
html, body { height: 100%; margin: 0; }
body {
    display: flex; flex-direction: column; background: var(--page); color: var(--ink);
    font: 13px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
header, .bar { padding: 8px 14px; background: var(--panel); border-bottom: 1px solid var(--line); }
h1 { font-size: 16px; margin: 0; font-weight: 650; }
.row { display: flex; flex-wrap: wrap; gap: 6px 14px; align-items: center; }
.row + .row { margin-top: 6px; }
.muted { color: var(--muted); }
.badge { padding: 1px 9px; border-radius: 10px; background: var(--ok); color: var(--ok-ink); }
.badge.doubt { background: var(--doubt); color: var(--doubt-ink); }
.badge:empty { display: none; }
.badge.bad { background: var(--violation); color: #fff; font-weight: 600; }
@media (prefers-color-scheme: dark) { .badge.bad { color: #1b0508; } }
code, .mono, td.value {
    font-family: ui-monospace, "SF Mono", Consolas, "DejaVu Sans Mono", monospace;
}
code {
    font-size: 12px; background: var(--page); border: 1px solid var(--line); border-radius: 4px;
    padding: 2px 7px; overflow-wrap: anywhere;
}
button, input[type="search"] {
    font: inherit; color: var(--ink); background: var(--panel); border: 1px solid var(--line);
    border-radius: 5px; padding: 2px 9px; min-height: 26px;
}
button { cursor: pointer; }
button:hover { border-color: var(--accent); color: var(--accent); }
button.bad { border-color: var(--violation); color: var(--violation); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
input[type="search"] { width: 220px; }
.close { float: right; }
#replay-part[hidden] { display: none; }
fieldset {
    border: 0; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: 3px 12px;
    align-items: center;
}
legend { float: left; padding: 0; margin-right: 2px; color: var(--muted); }
label { display: inline-flex; gap: 5px; align-items: center; cursor: pointer; white-space: nowrap; }
label input { margin: 0; accent-color: var(--accent); }
.swatch { display: inline-block; width: 14px; height: 4px; border-radius: 2px; flex: none; }
.swatch.box { height: 11px; border-radius: 3px; }
.spread { flex: 1; }
.buttons { display: inline-flex; gap: 5px; }
details.parameters summary { cursor: pointer; color: var(--muted); }
details.parameters dl {
    display: grid; grid-template-columns: repeat(auto-fill, minmax(230px, 1fr)); gap: 2px 18px;
    margin: 6px 0 2px; max-height: 24vh; overflow: auto;
}
details.parameters dl div { display: flex; gap: 8px; min-width: 0; }
dt { color: var(--muted); } dt::after { content: ":"; }
dd { margin: 0; overflow-wrap: anywhere; }
.overview { background: var(--panel); border-bottom: 1px solid var(--line); }
canvas { display: block; width: 100%; touch-action: none; }
#overview { height: 62px; cursor: ew-resize; }
main { flex: 1; display: flex; min-height: 0; }
#stage { flex: 1; position: relative; min-width: 0; min-height: 0; background: var(--panel); }
#diagram { position: absolute; inset: 0; height: 100%; cursor: grab; }
#diagram.dragging { cursor: grabbing; }
aside {
    width: 330px; flex: none; overflow: auto; border-left: 1px solid var(--line);
    background: var(--panel); padding: 10px 14px;
}
aside h2 { font-size: 13px; margin: 0 0 6px; }
aside h2 + h2, aside section + section h2 { margin-top: 0; }
aside section { margin-bottom: 16px; }
.verdict {
    border-left: 4px solid var(--violation); background: var(--violation-soft); padding: 7px 10px;
    border-radius: 0 5px 5px 0; overflow-wrap: anywhere;
}
table { border-collapse: collapse; width: 100%; font-size: 12px; }
td { padding: 1px 0; vertical-align: top; }
td:first-child { color: var(--muted); padding-right: 10px; white-space: nowrap; }
td.value { overflow-wrap: anywhere; }
ul.events { list-style: none; margin: 0; padding: 0; font-size: 12px; }
ul.events button {
    display: grid; grid-template-columns: 74px 1fr; gap: 8px; width: 100%; text-align: left;
    border: 0; border-radius: 4px; padding: 2px 5px; background: none; min-height: 0;
}
ul.events button:hover { background: var(--page); }
ul.events button[aria-current] { background: var(--page); font-weight: 650; }
ul.events .mono { color: var(--muted); font-size: 11px; padding-top: 1px; }
ul.events span:last-child { overflow-wrap: anywhere; }
.key { display: flex; flex-wrap: wrap; gap: 4px 14px; font-size: 12px; }
.key span { display: inline-flex; align-items: center; gap: 6px; }
.key canvas { width: 16px; height: 16px; }
kbd {
    font: 11px ui-monospace, "DejaVu Sans Mono", monospace; border: 1px solid var(--line);
    border-radius: 3px; padding: 0 5px; background: var(--page);
}
.keys { display: grid; grid-template-columns: auto 1fr; gap: 3px 10px; font-size: 12px; }
#tip {
    position: fixed; pointer-events: none; z-index: 5; max-width: 400px; background: var(--panel);
    border: 1px solid var(--line); border-radius: 6px; padding: 7px 10px; display: none;
    box-shadow: 0 4px 18px rgba(0, 0, 0, .22);
}
#tip strong { display: block; margin-bottom: 2px; }
noscript, #failure { display: block; padding: 12px 14px; color: var(--violation); }
#failure:empty { display: none; }
@media (max-width: 860px) {
    main { flex-direction: column; }
    aside { width: auto; height: 34%; border-left: 0; border-top: 1px solid var(--line); }
}
)page";

inline constexpr std::string_view page_body_html = R"page(<!-- The fixed part of a trace's page. The page's writer ends the element. -->
<body>
<header>
<div class="row"><h1 id="title"></h1><span>seed <code id="seed"></code></span>
<span id="property" class="badge"></span><span id="extent" class="muted"></span>
<span id="dropped" class="badge doubt"></span><span class="spread"></span>
<span class="buttons" role="toolbar" aria-label="View">
<button id="to-start" type="button" title="Begin (Home)" aria-label="Go to the begin">|&lt;</button>
<button id="zoom-out" type="button" title="Zoom out (-)" aria-label="Zoom out">&minus;</button>
<button id="zoom-all" type="button" title="Everything (0)" aria-label="The whole run">All</button>
<button id="zoom-in" type="button" title="Zoom in (+)" aria-label="Zoom in">+</button>
<button id="to-end" type="button" title="End (End)" aria-label="Go to the end">&gt;|</button>
<button id="to-violation" type="button" class="bad" title="Violation (V)" hidden>Violation</button>
</span></div>
<div class="row"><span class="row" id="replay-part"><span class="muted">Replay</span>
<code id="replay"></code>
<button id="copy" type="button" aria-label="Copy the replay command">Copy</button></span>
<span class="spread"></span><span id="matches" class="muted" role="status"></span>
<input type="search" id="filter" placeholder="Filter; Enter: next" spellcheck="false"
 aria-label="Show only records that contain this text; Enter goes to the next one"></div>
<details class="parameters" id="parameters"><summary></summary><dl></dl></details>
</header>
<div class="overview"><canvas id="overview" role="img"
 aria-label="Overview of the whole run; click or drag to move the visible window"></canvas></div>
<div class="bar row">
<fieldset id="kinds"><legend>Show</legend></fieldset></div>
<noscript>The diagram is drawn by the script in this page, which does not run here.</noscript>
<div id="failure" role="alert"></div>
<main><div id="stage"><canvas id="diagram" tabindex="0" role="img"
 aria-label="Space-time diagram: one lane per node, time runs to the right"></canvas></div>
<aside aria-label="Details" id="side">
<section id="verdict-part" hidden><h2>Violation</h2>
<div class="verdict" id="verdict"></div></section>
<section id="pinned" aria-live="polite" hidden></section>
<section><h2>Legend</h2><div class="key" id="legend"></div></section>
<section><h2>Keys</h2><div class="keys">
<span><kbd>wheel</kbd> <kbd>+</kbd> <kbd>-</kbd></span><span>zoom the time axis</span>
<span><kbd>drag</kbd> <kbd>&larr;</kbd> <kbd>&rarr;</kbd></span><span>move (shift: a page)</span>
<span><kbd>&uarr;</kbd> <kbd>&darr;</kbd></span><span>scroll the lanes</span>
<span><kbd>Home</kbd> <kbd>End</kbd> <kbd>0</kbd></span><span>begin, end, the whole run</span>
<span><kbd>V</kbd></span><span>the violation</span>
<span><kbd>click</kbd> <kbd>N</kbd> <kbd>P</kbd></span><span>pin a record, next, previous</span>
<span><kbd>C</kbd></span><span>fold the clients</span>
<span><kbd>/</kbd> <kbd>Esc</kbd></span><span>filter; let go</span>
</div></section></aside></main><div id="tip" role="tooltip"></div>
)page";

inline constexpr std::string_view page_model_js = R"page(// First part of the page's script: the data, what is derived from it once, and how records are put
// into words. The parts are one script and see each other's names.

const byId = id => document.getElementById(id);
addEventListener("error", event => {
    document.documentElement.dataset.trace = "failed";
    byId("failure").textContent = "This page failed: " + event.message;
});

const data = JSON.parse(byId("data").textContent);
const spans = new Set(["message", "message_lost", "pause", "partition", "disk_stall", "client"]);

// Message kinds that are shown and hidden together; the colour is a variable of the style.
const groups = [
    {name: "appends", color: "append", of: ["append"]},
    {name: "append replies", color: "append-reply", of: ["append reply"], thin: true},
    {name: "heartbeats", color: "heartbeat", of: ["heartbeat", "heartbeat reply"], thin: true},
    {name: "votes", color: "vote", of: ["vote", "vote reply"]},
    {name: "pre-votes", color: "pre-vote", of: ["pre-vote", "pre-vote reply"]},
    {name: "snapshots", color: "snapshot", of: ["snapshot", "snapshot reply"]},
    {name: "other messages", color: "other", of: ["other"]},
];
for (const group of groups) Object.assign(group, {count: 0, visible: true});
const groupOf = new Map(groups.flatMap(group => group.of.map(name => [name, group])));
const others = {
    lost: {name: "lost", color: "lost", count: 0, visible: true},
    ticks: {name: "commits and applies", color: "commit", count: 0, visible: true},
    clients: {name: "clients", color: "ok-ink", count: 0, visible: true},
};

function unpack(row) {
    const [kind, at, until = null, node = -1, peer = -1, term = 0, index = 0, sub = 0, client = 0,
        outcome = 0, text = "", nodes = [], links = []] = row;
    const record = {kind: data.kinds[kind], at, until, node, peer, term, index, client,
        outcome: data.outcomes[outcome], text, nodes, links, role: data.roles[sub],
        message: data.messages[sub]};
    record.span = spans.has(record.kind);
    record.isMessage = record.kind === "message" || record.kind === "message_lost";
    if (record.isMessage) record.group = groupOf.get(record.message) || groups.at(-1);
    return record;
}

const nodes = data.nodes;
const records = data.standing.concat(data.records).map(unpack).sort((a, b) => a.at - b.at);
records.forEach((record, number) => record.number = number);

/// What there is to see of time: from the first record that was kept to the last end.
function extent() {
    if (data.records.length === 0) return [0, 1e9];
    let begin = Infinity, end = -Infinity;
    for (const row of data.records) {
        begin = Math.min(begin, row[1]);
        end = Math.max(end, row[1]);
    }
    for (const record of records) {
        if (record.span && record.until !== null) end = Math.max(end, record.until);
    }
    return end > begin ? [begin, end] : [begin - 5e5, end + 5e5];
}
const [begin, end] = extent();
const endOf = record => record.span && record.until === null ? end : record.until ?? record.at;

const pick = (...kinds) => records.filter(record => kinds.includes(record.kind));
const messages = records.filter(record => record.isMessage);
const ticks = pick("commit", "applied");
const marks = pick("snapshot_saved", "snapshot_installed", "crash", "restart", "disk_fault",
    "clock", "note");
const pauses = pick("pause");
const stalls = pick("disk_stall");
const partitions = pick("partition");
const operations = pick("client");
const violation = records.filter(record => record.kind === "violation").at(-1) || null;

for (const message of messages) ++message.group.count;
others.lost.count = messages.filter(message => message.kind === "message_lost").length;
others.ticks.count = ticks.length;
others.clients.count = operations.length;
const heartbeats = groupOf.get("heartbeat");
if (heartbeats.count > 300) heartbeats.visible = false;

/// How long messages usually take: how far to draw those of which no end is known.
function medianFlight() {
    const flights = messages.filter(m => m.kind === "message" && m.until !== null)
        .map(m => m.until - m.at).sort((a, b) => a - b);
    return flights.length ? flights[flights.length >> 1] : (end - begin) / 200;
}
const flight = medianFlight();
const partialShare = 0.42;   // lets most lost messages end between two lanes
for (const message of messages) {
    message.partial = message.until === null;
    message.ends = message.partial ? message.at + flight * partialShare : message.until;
}
const longestFlight = messages.reduce((most, m) => Math.max(most, m.ends - m.at), 0);

/// The states of each node, one after the other.
function segmentsOf(node) {
    const segments = [];
    const change = (from, state, term, record) => {
        if (segments.length) segments.at(-1).to = from;
        segments.push({from, to: end, state, term, record});
    };
    change(begin, "unknown", 0, null);
    for (const record of records) {
        if (record.node !== node) continue;
        const last = segments.at(-1);
        if (record.kind === "role") change(record.at, record.role, record.term, record);
        if (record.kind === "crash") change(record.at, "down", last.term, record);
        if (record.kind === "restart") {
            change(record.at, "follower", record.term || last.term, record);
        }
    }
    return segments.filter(segment => segment.to > segment.from || segment.to === end);
}
const lanes = nodes.map((id, node) => ({id, node, segments: segmentsOf(node)}));

/// One lane per client, in the order of their ids, and rows where its operations overlap.
function clientLanes() {
    const byClient = new Map();
    for (const record of operations) {
        if (!byClient.has(record.client)) byClient.set(record.client, []);
        byClient.get(record.client).push(record);
    }
    const result = [];
    for (const [client, list] of [...byClient].sort((a, b) => Number(a[0]) - Number(b[0]))) {
        const rows = stack(list, 4);
        rows.forEach((row, i) => result.push({client, label: i === 0, records: row}));
    }
    return result;
}

/// Distributes spans over rows so that none covers another, over so many rows at most.
function stack(list, most) {
    const rows = [];
    for (const record of list) {
        let row = rows.find(r => endOf(r.at(-1)) <= record.at);
        if (!row && rows.length < most) rows.push(row = []);
        (row || rows.at(-1)).push(record);
    }
    return rows;
}
const clients = clientLanes();
const partitionRows = stack(partitions, 3);

/// The sides of a partition: nodes that still reach each other in both directions, even through
/// others. Null where the cut links do not separate all nodes of different sides.
function sidesOf(record) {
    const cut = new Set(record.links.map(([from, to]) => from * nodes.length + to));
    const open = (a, b) => !cut.has(a * nodes.length + b) && !cut.has(b * nodes.length + a);
    const side = nodes.map(() => -1);
    let sides = 0;
    for (let first = 0; first < nodes.length; ++first) {
        if (side[first] !== -1) continue;
        const reached = [first];
        side[first] = sides++;
        for (const at of reached) {
            for (let to = 0; to < nodes.length; ++to) {
                if (side[to] === -1 && open(at, to)) {
                    side[to] = side[at];
                    reached.push(to);
                }
            }
        }
    }
    const across = side.flatMap((s, a) => side.flatMap((t, b) => s !== t ? [[a, b]] : []));
    const clean = sides > 1 && across.length === cut.size &&
        across.every(([a, b]) => cut.has(a * nodes.length + b));
    return clean ? side : null;
}
for (const record of partitions) {
    record.sides = sidesOf(record);
    record.touched = new Set(record.links.flat());
}

// --- words -----------------------------------------------------------------------------------

const nodeName = node => "node " + nodes[node];

function seconds(time) {
    const sign = time < 0 ? "-" : "", micros = Math.floor(Math.abs(time) / 1000);
    return sign + Math.floor(micros / 1e6) + "." + String(micros % 1e6).padStart(6, "0");
}

function duration(time) {
    for (const [unit, size] of [["s", 1e9], ["ms", 1e6], ["\u00b5s", 1e3]]) {
        if (Math.abs(time) >= size) return Number((time / size).toPrecision(4)) + " " + unit;
    }
    return time + " ns";
}

function linkNames(links) {
    return links.map(([from, to]) => nodes[from] + "\u2192" + nodes[to]).join(" ");
}

function partitionLabel(record) {
    if (record.text) return record.text;
    if (!record.sides) return linkNames(record.links);
    const sides = [];
    record.sides.forEach((side, node) => (sides[side] ||= []).push(nodes[node]));
    return sides.map(side => "{" + side.join(" ") + "}").join(" | ");
}

function titleOf(record) {
    const where = record.node === -1 ? "" : nodeName(record.node);
    const arrow = record.peer === -1 ? where : where + " \u2192 " + nodes[record.peer];
    switch (record.kind) {
    case "role": return where + " becomes " + record.role;
    case "message": return record.message + ", " + arrow;
    case "message_lost": return "lost " + record.message + ", " + arrow;
    case "commit": return where + " commits up to " + record.index;
    case "applied": return where + " has applied up to " + record.index;
    case "snapshot_saved": return where + " saved a snapshot up to " + record.index;
    case "snapshot_installed": return where + " installed a snapshot up to " + record.index;
    case "crash": return where + " crashes";
    case "restart": return where + " restarts";
    case "pause": return where + " is paused";
    case "partition": return record.sides ? "partition" : "cut links";
    case "disk_stall": return "the disk of " + where + " stalls";
    case "disk_fault": return "disk fault of " + where;
    case "clock": return "the clock of " + where + " jumps";
    case "client": return "client " + record.client + ", " + record.outcome;
    case "violation": return "violation" + (data.property ? ": " + data.property : "");
    default: return record.kind + (where ? ", " + where : "");
    }
}

function fieldsOf(record) {
    const fields = [["time", seconds(record.at) + " s"]];
    if (record.span && record.until === null) {
        fields.push(record.isMessage ? ["arrives", record.kind === "message" ? "not yet" : "never"]
            : ["until", "not ended"]);
    }
    if (record.span && record.until !== null) {
        const name = record.isMessage ? record.kind === "message" ? "arrives" : "lost" : "until";
        fields.push([name, seconds(record.until) + " s (" + duration(record.until - record.at) +
            ")"]);
    }
    if (record.node !== -1) fields.push([record.isMessage ? "from" : "node", nodes[record.node]]);
    if (record.peer !== -1) fields.push([record.isMessage ? "to" : "peer", nodes[record.peer]]);
    if (record.term) fields.push(["term", record.term]);
    if (record.index) fields.push(["index", record.index]);
    if (record.kind === "client") fields.push(["outcome", record.outcome]);
    if (record.nodes.length) fields.push(["nodes", record.nodes.map(n => nodes[n]).join(", ")]);
    if (record.links.length) fields.push(["links", linkNames(record.links)]);
    const inTitle = record.kind === "violation" && record.text === data.property;
    if (record.text && !inTitle) fields.push(["text", record.text]);
    return fields;
}

const participants = record => new Set(record.kind === "partition" ? record.touched :
    [record.node, record.peer, ...record.nodes].filter(node => node !== -1));

/// What the filter looks into.
function searchText(record) {
    return record.search ||= (titleOf(record) + " " + record.kind + " " + record.text +
        (record.term ? " T" + record.term : "") + (record.index ? " #" + record.index : "") +
        (record.links.length ? " " + partitionLabel(record) : "") +
        [...participants(record)].map(node => " " + nodeName(node)).join("")).toLowerCase();
}
)page";

inline constexpr std::string_view page_draw_js = R"page(// Second part of the page's script: the diagram. Only what lies in the visible window is drawn;
// where several things fall onto the same pixel, one stands for all.

// --- the view: a window of time, and how far the lanes are scrolled ---------------------------

const canvas = byId("diagram"), overview = byId("overview");
const gutter = 78, axisHeight = 28, partitionHeight = 19, clientHeight = 20;
const view = {from: begin, to: end, scroll: 0, hover: null, pinned: null, filter: ""};
const shape = {};   // where things are, in CSS pixels
let colors = {};

function readColors() {
    const style = getComputedStyle(document.documentElement);
    colors = new Proxy({}, {get: (known, name) =>
        known[name] ||= style.getPropertyValue("--" + name).trim()});
}

/// Sizes the canvas to its element in device pixels; answers its context in CSS pixels.
function prepare(element) {
    const {width, height} = element.getBoundingClientRect(), ratio = devicePixelRatio || 1;
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (element.width !== w || element.height !== h) Object.assign(element, {width: w, height: h});
    const context = element.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    return {context, width, height};
}

function layout(width, height) {
    const folded = !others.clients.visible;
    const rows = folded ? 0 : clients.length;
    const heading = clients.length ? 24 : 0;
    const cuts = partitionRows.length;
    const top = axisHeight + (cuts ? cuts * partitionHeight + 4 : 0);
    const clientsHeight = heading + rows * clientHeight + (rows ? 6 : 0);
    const wanted = (height - top - Math.min(clientsHeight, height * 0.45)) /
        Math.max(1, lanes.length);
    const lane = Math.max(52, Math.min(150, wanted));
    const clientsTop = top + lane * lanes.length;
    const content = clientsTop + clientsHeight;
    Object.assign(shape, {width, height, top, lane, clientsTop, heading, content,
        band: Math.max(14, Math.min(22, lane * 0.24)), plot: Math.max(1, width - gutter)});
    view.scroll = Math.max(0, Math.min(view.scroll, content - height));
}

const xOf = time => gutter + (time - view.from) / (view.to - view.from) * shape.plot;
const timeAt = x => view.from + (x - gutter) / shape.plot * (view.to - view.from);
const laneY = node => shape.top + (node + 0.5) * shape.lane - view.scroll;
const clientY = row => shape.clientsTop + shape.heading + (row + 0.5) * clientHeight - view.scroll;

/// The first place in a list sorted by begin at which records may matter that last so long.
function firstFrom(list, time) {
    let low = 0, high = list.length;
    while (low < high) {
        const middle = (low + high) >> 1;
        if (list[middle].at < time) low = middle + 1; else high = middle;
    }
    return low;
}

function* visible(list, longest = 0) {
    for (let i = firstFrom(list, view.from - longest); i < list.length; ++i) {
        if (list[i].at > view.to) return;
        if (isShown(list[i])) yield list[i];
    }
}

function isShown(record) {
    if (record.isMessage && !record.group.visible) return false;
    if (record.kind === "message_lost" && !others.lost.visible) return false;
    const tick = record.kind === "commit" || record.kind === "applied";
    if (tick && !others.ticks.visible) return false;
    return view.filter === "" || record.matches;
}

/// The line of a message: from edge to edge of two bands. Into one array, for speed.
const line = [0, 0, 0, 0];
function lineOf(message) {
    const down = message.peer > message.node ? 1 : -1;
    const half = down * shape.band / 2;
    const y1 = laneY(message.node) + half, y2 = laneY(message.peer) - half;
    line[0] = xOf(message.at);
    line[1] = y1;
    line[2] = xOf(message.ends);
    line[3] = message.partial ? y1 + (y2 - y1) * partialShare : y2;
    return line;
}

// --- drawing ----------------------------------------------------------------------------------

let requested = false;
function redraw() {
    if (requested) return;
    requested = true;
    requestAnimationFrame(() => {
        requested = false;
        draw();
    });
}

function draw() {
    const started = performance.now();
    const {context: c, width, height} = prepare(canvas);
    layout(width, height);
    c.save();
    c.beginPath();
    c.rect(gutter, 0, shape.plot, height);
    c.clip();
    c.font = "11px system-ui, sans-serif";
    c.textBaseline = "middle";
    drawLaneGround(c);
    drawGrid(c);
    drawCuts(c);
    const lost = drawMessages(c);
    lanes.forEach(lane => drawBand(c, lane));   // over the messages that only pass by
    crosses(c, lost);
    drawTicks(c);
    drawSpans(c);
    for (const mark of visible(marks)) drawMark(c, mark, xOf(mark.at), laneY(mark.node));
    drawClients(c);
    drawChosen(c, view.pinned, 3.5);
    drawChosen(c, view.hover, 2);
    drawAxis(c);
    drawPartitionRows(c);
    drawViolation(c);
    c.restore();
    drawGutter(c);
    if (records.length === 0) {
        c.fillStyle = colors.muted;
        c.textAlign = "center";
        c.fillText("Nothing was recorded.", gutter + shape.plot / 2, height / 2);
    }
    drawScrollbar(c);
    drawOverview();
    draw.milliseconds = performance.now() - started;
}

function drawLaneGround(c) {
    for (const {node} of lanes) {
        c.fillStyle = node % 2 ? colors.panel : colors.lane;
        c.fillRect(gutter, laneY(node) - shape.lane / 2, shape.plot, shape.lane);
    }
}

/// The step of a scale: 1, 2 or 5 times a power of ten, so that labels have so much room.
function tickStep(room) {
    const least = (view.to - view.from) / Math.max(1, shape.plot / room);
    const power = 10 ** Math.floor(Math.log10(least));
    return [1, 2, 5, 10].find(factor => factor * power >= least) * power;
}

function gridTimes(step) {
    const times = [];
    for (let i = Math.ceil(view.from / step); i * step <= view.to; ++i) times.push(i * step);
    return times;
}

function drawGrid(c) {
    c.strokeStyle = colors.line;
    c.lineWidth = 1;
    c.beginPath();
    for (const time of gridTimes(tickStep(110))) {
        const x = Math.round(xOf(time)) + 0.5;
        c.moveTo(x, axisHeight);
        c.lineTo(x, shape.height);
    }
    c.stroke();
}

function drawAxis(c) {
    c.fillStyle = colors.panel;
    c.fillRect(gutter, 0, shape.plot, shape.top);
    c.fillStyle = colors.muted;
    c.strokeStyle = colors.line;
    c.textAlign = "center";
    const step = tickStep(110);
    const digits = Math.max(0, Math.min(9, -Math.floor(Math.log10(step / 1e9) + 1e-9)));
    c.beginPath();
    for (const time of gridTimes(step)) {
        const x = Math.round(xOf(time)) + 0.5;
        c.moveTo(x, axisHeight - 6);
        c.lineTo(x, axisHeight);
        const label = (time / 1e9).toFixed(digits) + " s";
        if (x + 24 < shape.width) c.fillText(label, x, axisHeight / 2 - 1);
    }
    c.moveTo(gutter, axisHeight - 0.5);
    c.lineTo(shape.width, axisHeight - 0.5);
    c.stroke();
    c.textAlign = "left";
}

/// A fill of slanted lines, made once per colours and size.
function hatch(c, ground, ink, size = 7) {
    const key = ground + ink + size;
    hatch.known ||= new Map();
    if (hatch.known.has(key)) return hatch.known.get(key);
    const tile = document.createElement("canvas");
    tile.width = tile.height = size;
    const t = tile.getContext("2d");
    t.fillStyle = ground;
    if (ground) t.fillRect(0, 0, size, size);
    t.strokeStyle = ink;
    t.lineWidth = 1.2;
    t.beginPath();
    for (const shift of [-size, 0, size]) {
        t.moveTo(shift - 1, size + 1);
        t.lineTo(shift + size + 1, -1);
    }
    t.stroke();
    const pattern = c.createPattern(tile, "repeat");
    hatch.known.set(key, pattern);
    return pattern;
}

/// A text within a box, shortened to it; nothing where not even three letters fit.
function boxText(c, text, left, right, y, color, behind) {
    left = Math.max(left, gutter) + 5;
    right = Math.min(right, shape.width) - 4;
    const room = right - left;
    if (room < 14) return;
    let shown = text;
    while (shown && c.measureText(shown).width > room) {
        const keep = Math.floor(shown.length * Math.min(0.9, room / c.measureText(shown).width));
        shown = keep < 3 ? "" : shown.slice(0, keep - 1) + "\u2026";
        if (keep < 3) break;
    }
    if (shown && behind) {
        c.strokeStyle = behind;
        c.lineWidth = 4;
        c.lineJoin = "round";
        c.strokeText(shown, left, y);
    }
    c.fillStyle = color;
    if (shown) c.fillText(shown, left, y);
}

function drawBand(c, lane) {
    const y = laneY(lane.node), h = shape.band;
    for (const segment of lane.segments) {
        if (segment.to < view.from || segment.from > view.to) continue;
        const left = Math.max(gutter - 4, xOf(segment.from));
        const right = Math.min(shape.width + 4, xOf(segment.to));
        const down = segment.state === "down";
        c.fillStyle = down ? hatch(c, colors.down, colors.hatch) : colors[segment.state];
        c.fillRect(left, y - h / 2, Math.max(1, right - left), h);
        if (segment.state === "unknown") {
            c.strokeStyle = colors.hatch;
            c.strokeRect(left + 0.5, y - h / 2 + 0.5, Math.max(0, right - left - 1), h - 1);
        }
        const term = segment.term ? "T" + segment.term + " " : "";
        const needed = 16 + c.measureText(term + segment.state).width;
        const wide = right - Math.max(left, gutter) > needed;
        const color = segment.state === "leader" ? colors["on-leader"] : colors["on-role"];
        const text = wide || down ? term + segment.state : term.trim();
        const glyph = segment.record?.kind === "restart" && left >= gutter ? 8 : 0;
        if (!down) boxText(c, text, left + glyph, right, y + 0.5, color);
        if (down && wide) boxText(c, "down", left + 12, right, y + 0.5, colors.ink, colors.down);
    }
    c.fillStyle = colors.panel;   // a gap where the state changes
    for (const {from} of lane.segments) {
        if (from <= view.from || from >= view.to) continue;
        c.fillRect(Math.round(xOf(from)) - 0.5, y - h / 2, 1, h);
    }
}

// Long paths are slow to stroke: each pixel row must then be searched for all of their lines.
const batch = 250;

function drawMessages(c) {
    const shown = [...visible(messages, longestFlight)];
    const count = shown.length;
    const grid = count > 3000 ? 2 : 1, heads = count < 1500;
    const last = new Map();
    const queues = new Map();
    for (const message of shown) {
        if (message.ends < view.from || message.node === -1 || message.peer === -1) continue;
        const [x1, y1, x2, y2] = lineOf(message);
        const lost = message.kind === "message_lost";
        const key = (groups.indexOf(message.group) * 2 + lost) * 4096 +
            message.node * 64 + message.peer;
        const place = Math.floor(x1 / grid) * 16384 + Math.floor(x2 / grid);
        if (last.get(key) === place) continue;
        last.set(key, place);
        const name = message.group.name + (lost ? " lost" : "");
        if (!queues.has(name)) {
            queues.set(name, {group: message.group, lost, lines: [], upright: []});
        }
        // Upright bars cost a fraction of what lines do, and look the same where lines are dense.
        const queue = queues.get(name);
        (count > 1500 && Math.abs(x2 - x1) < 2 ? queue.upright : queue.lines).push(x1, y1, x2, y2);
    }
    c.globalAlpha = count < 600 ? 0.95 : count < 2500 ? 0.6 : 0.38;
    for (const queue of queues.values()) strokeLines(c, queue, heads);
    c.globalAlpha = 1;
    return [...queues.values()].filter(queue => queue.lost).flatMap(
        queue => queue.lines.concat(queue.upright));
}

function strokeLines(c, {group, lost, lines, upright}, heads) {
    c.strokeStyle = c.fillStyle = colors[group.color];
    c.lineWidth = group.thin ? 1 : 1.5;
    for (let i = 0; i < upright.length; i += 4) {
        const top = Math.round(Math.min(upright[i + 1], upright[i + 3]));
        const bottom = Math.round(Math.max(upright[i + 1], upright[i + 3]));
        c.fillRect(Math.round(upright[i]), top, 1, bottom - top);
    }
    c.setLineDash(lost && lines.length < 4 * batch ? [5, 3] : []);
    for (let first = 0; first < lines.length; first += 4 * batch) {
        const after = Math.min(lines.length, first + 4 * batch);
        c.beginPath();
        for (let i = first; i < after; i += 4) {
            c.moveTo(lines[i], lines[i + 1]);
            c.lineTo(lines[i + 2], lines[i + 3]);
        }
        c.stroke();
        if (!heads || lost) continue;
        c.beginPath();
        for (let i = first; i < after; i += 4) head(c, ...lines.slice(i, i + 4));
        c.fill();
    }
    c.setLineDash([]);
}

function head(c, x1, y1, x2, y2) {
    const length = Math.hypot(x2 - x1, y2 - y1);
    if (length < 10) return;
    const dx = (x2 - x1) / length, dy = (y2 - y1) / length;
    c.moveTo(x2, y2);
    c.lineTo(x2 - 7 * dx - 3 * dy, y2 - 7 * dy + 3 * dx);
    c.lineTo(x2 - 7 * dx + 3 * dy, y2 - 7 * dy - 3 * dx);
    c.closePath();
}

function crosses(c, lines) {
    const size = lines.length > 4 * 250 ? 2.5 : 4;
    c.strokeStyle = colors.lost;
    c.lineWidth = 1.8;
    for (let first = 0; first < lines.length; first += 4 * batch) {
        c.beginPath();
        for (let i = first; i < Math.min(lines.length, first + 4 * batch); i += 4) {
            const x = lines[i + 2], y = lines[i + 3];
            c.moveTo(x - size, y - size);
            c.lineTo(x + size, y + size);
            c.moveTo(x - size, y + size);
            c.lineTo(x + size, y - size);
        }
        c.stroke();
    }
}
)page";

inline constexpr std::string_view page_marks_js = R"page(// Third part of the page's script: what stands on and between the lanes of the diagram.

/// Commits below the band, applies above; one per pixel at most.
function drawTicks(c) {
    const h = shape.band / 2;
    const last = {commit: [], applied: []};
    for (const tick of visible(ticks)) {
        const x = Math.round(xOf(tick.at)), below = tick.kind === "commit";
        if (tick.node === -1 || last[tick.kind][tick.node] === x) continue;
        last[tick.kind][tick.node] = x;
        c.fillStyle = colors[tick.kind];
        c.fillRect(x, Math.round(laneY(tick.node) + (below ? h : -h - 6)), 1.5, 6);
    }
}

/// Pauses over the band and stalls below it.
function drawSpans(c) {
    const h = shape.band;
    for (const record of pauses.concat(stalls)) {
        if (record.at > view.to || endOf(record) < view.from || record.node === -1) continue;
        const left = Math.max(gutter - 4, xOf(record.at));
        const right = Math.min(shape.width + 4, Math.max(xOf(endOf(record)), left + 2));
        const y = laneY(record.node);
        if (record.kind === "pause") {
            c.fillStyle = colors.panel;
            c.globalAlpha = 0.72;
            c.fillRect(left, y - h / 2, right - left, h);
            c.globalAlpha = 1;
            c.strokeStyle = colors.ink;
            c.setLineDash([3, 3]);
            c.lineWidth = 1;
            c.strokeRect(left + 0.5, y - h / 2 + 0.5, right - left - 1, h - 1);
            c.setLineDash([]);
            boxText(c, "\u2016 paused", left, right, y + 0.5, colors.ink);
        } else {
            c.fillStyle = hatch(c, "", colors.disk, 5);
            c.fillRect(left, y + h / 2 + 1, right - left, 7);
            c.fillStyle = colors.disk;
            c.fillRect(left, y + h / 2 + 1, right - left, 1.5);
            boxText(c, "disk stalls", left - 5, right + 40, y + h / 2 + 17, colors.disk,
                colors.panel);
        }
    }
}

/// Glyphs differ in form, not only in colour.
function drawMark(c, record, x, y) {
    const h = shape.band / 2;
    c.lineWidth = 2;
    c.beginPath();
    switch (record.kind) {
    case "crash":
        c.strokeStyle = colors.lost;
        c.lineWidth = 3;
        c.moveTo(x - 6, y - 6); c.lineTo(x + 6, y + 6);
        c.moveTo(x - 6, y + 6); c.lineTo(x + 6, y - 6);
        c.stroke();
        break;
    case "restart":
        c.fillStyle = colors.leader;
        c.strokeStyle = colors.panel;
        c.moveTo(x - 4, y - 7); c.lineTo(x + 7, y); c.lineTo(x - 4, y + 7);
        c.closePath(); c.stroke(); c.fill();
        break;
    case "disk_fault":
        glyphBox(c, colors.disk);
        c.moveTo(x, y + h - 1); c.lineTo(x + 7, y + h + 11); c.lineTo(x - 7, y + h + 11);
        c.closePath(); c.stroke(); c.fill();
        c.fillStyle = colors.panel;
        c.fillRect(x - 0.9, y + h + 3, 1.8, 4); c.fillRect(x - 0.9, y + h + 8, 1.8, 1.8);
        break;
    case "clock":
        glyphBox(c, colors.clock);
        c.arc(x, y - h - 5, 6, 0, 7); c.stroke(); c.fill();
        c.strokeStyle = colors.panel;
        c.lineWidth = 1.5;
        c.beginPath();
        c.moveTo(x, y - h - 9); c.lineTo(x, y - h - 5); c.lineTo(x + 3, y - h - 5); c.stroke();
        break;
    case "note":
        glyphBox(c, colors.muted);
        c.rect(x - 3, y - h - 10, 6, 6); c.stroke(); c.fill();
        break;
    default:
        glyphBox(c, colors.snapshot);
        c.moveTo(x, y + h - 2); c.lineTo(x + 6, y + h + 5);
        c.lineTo(x, y + h + 12); c.lineTo(x - 6, y + h + 5); c.closePath(); c.stroke();
        if (record.kind === "snapshot_saved") { c.fill(); break; }
        c.fillStyle = colors.panel; c.fill();
        c.strokeStyle = colors.snapshot; c.lineWidth = 1.8; c.stroke();
    }
}

function glyphBox(c, color) {
    c.fillStyle = color;
    c.strokeStyle = colors.panel;
}

function markY(record) {
    const h = shape.band / 2, y = laneY(record.node);
    if (record.kind === "clock" || record.kind === "note") return y - h - 6;
    return record.kind === "crash" || record.kind === "restart" ? y : y + h + 5;
}

/// The lanes that a partition cuts, each side in its own shade.
function drawCuts(c) {
    for (const record of partitions) {
        if (record.at > view.to || endOf(record) < view.from) continue;
        const left = xOf(record.at), width = Math.max(1, xOf(endOf(record)) - left);
        for (const node of record.touched) {
            const other = record.sides && record.sides[node] % 2;
            c.fillStyle = other ? colors["cut-other"] : colors.cut;
            c.fillRect(left, laneY(node) - shape.lane / 2, width, shape.lane);
            if (other) continue;
            c.fillStyle = hatch(c, "", colors.cut, 12);
            c.fillRect(left, laneY(node) - shape.lane / 2, width, shape.lane);
        }
        c.strokeStyle = colors["cut-ink"];
        c.lineWidth = 1;
        c.setLineDash([2, 4]);
        c.beginPath();
        for (const x of [left, left + width]) {
            c.moveTo(x, shape.top);
            c.lineTo(x, shape.clientsTop - view.scroll);
        }
        c.stroke();
        c.setLineDash([]);
    }
}

function drawPartitionRows(c) {
    partitionRows.forEach((row, i) => {
        const y = axisHeight + (i + 0.5) * partitionHeight + 2;
        for (const record of row) {
            if (record.at > view.to || endOf(record) < view.from) continue;
            const left = xOf(record.at), right = Math.max(left + 2, xOf(endOf(record)));
            c.fillStyle = colors["cut-ink"];
            c.beginPath();
            c.roundRect(left, y - 8, right - left, 16, 3);
            c.fill();
            const label = (record.sides ? "partition " : "cut ") + partitionLabel(record);
            boxText(c, label, left, right, y + 0.5, colors.panel);
        }
    });
}

const outcomeColors = {ok: "ok", failed: "failed", unknown: "doubt", pending: "doubt"};

function drawClients(c) {
    if (!clients.length) return;
    const top = shape.clientsTop - view.scroll;
    c.fillStyle = colors.page;
    c.fillRect(gutter, top, shape.plot, shape.height - top);
    c.fillStyle = colors.line;
    c.fillRect(gutter, top, shape.plot, 1);
    if (!others.clients.visible) return;
    clients.forEach((lane, row) => {
        let covered = -Infinity;
        for (const record of lane.records) {
            if (record.at > view.to || endOf(record) < view.from || !isShown(record)) continue;
            const left = xOf(record.at), right = Math.max(left + 2, xOf(endOf(record)));
            if (right - covered < 1) continue;
            covered = right;
            drawOperation(c, record, left, right, clientY(row), clientHeight - 5);
        }
    });
}

function drawOperation(c, record, left, right, y, h) {
    const color = outcomeColors[record.outcome], ink = colors[color + "-ink"];
    if (right - left <= 3) {   // only the outline would be left of it
        c.fillStyle = ink;
        c.globalAlpha = 0.55;
        c.fillRect(left, y - h / 2, right - left, h);
        c.globalAlpha = 1;
        return;
    }
    c.fillStyle = colors[color];
    c.strokeStyle = ink;
    c.lineWidth = 1;
    c.setLineDash(color === "doubt" ? [3, 2] : []);
    c.beginPath();
    c.roundRect(left + 0.5, y - h / 2 + 0.5, Math.max(1, right - left - 1), h - 1, 3);
    c.fill();
    c.stroke();
    c.setLineDash([]);
    if (right - left >= 24) boxText(c, record.text, left, right, y + 0.5, ink);
}

function drawViolation(c) {
    if (!violation) return;
    const x = xOf(violation.at);
    if (x < gutter - 400 || x > shape.width + 400) return;
    c.fillStyle = colors.violation;
    c.fillRect(x - 1, 0, 2, shape.height);
    for (const node of violation.nodes) {
        c.beginPath();
        c.arc(x, laneY(node), 6, 0, 7);
        c.fill();
    }
    const label = "violation" + (data.property ? ": " + data.property : "");
    c.font = "600 11px system-ui, sans-serif";
    const width = c.measureText(label).width + 14;
    const left = Math.max(gutter + 2, x + width > shape.width ? x - width : x);
    c.beginPath();
    c.roundRect(left, 3, width, 19, 3);
    c.fill();
    c.fillStyle = colors.panel;
    c.textAlign = "left";
    c.fillText(label, left + 7, 13);
    c.font = "11px system-ui, sans-serif";
}

/// What the pointer is at, or what is pinned, with a halo.
function drawChosen(c, record, width) {
    if (!record) return;
    c.lineCap = "round";
    const trace = path => {
        for (const [color, extra] of [[colors.ink, 2], [colors.halo, 0]]) {
            c.strokeStyle = color;
            c.lineWidth = width + extra;
            c.beginPath();
            path();
            c.stroke();
        }
    };
    const box = boxOf(record);
    if (record.isMessage && record.node !== -1 && record.peer !== -1) {
        const [x1, y1, x2, y2] = lineOf(record);
        trace(() => { c.moveTo(x1, y1); c.lineTo(x2, y2); });
        c.fillStyle = colors.ink;
        c.beginPath();
        head(c, x1, y1, x2, y2);
        c.fill();
    } else if (box) {
        trace(() => c.roundRect(box[0], box[1], box[2] - box[0], box[3] - box[1], 3));
    } else if (record.node !== -1 && record.kind !== "violation") {
        trace(() => { c.arc(xOf(record.at), markY(record), 9, 0, 7); });
    }
    c.lineCap = "butt";
}

/// The rectangle of a span, and of the state that a change of role begins.
function boxOf(record) {
    const h = shape.band / 2;
    if (record.kind === "partition") {
        const row = partitionRows.findIndex(list => list.includes(record));
        const y = axisHeight + row * partitionHeight + 3;
        return [xOf(record.at), y, Math.max(xOf(record.at) + 2, xOf(endOf(record))), y + 16];
    }
    if (record.kind === "client") {
        if (!others.clients.visible) return null;
        const y = clientY(clients.findIndex(list => list.records.includes(record)));
        return [xOf(record.at), y - 8, Math.max(xOf(record.at) + 2, xOf(endOf(record))), y + 8];
    }
    if (record.node === -1) return null;
    const y = laneY(record.node);
    if (record.kind === "pause") return [xOf(record.at), y - h, xOf(endOf(record)), y + h];
    if (record.kind === "disk_stall") {
        return [xOf(record.at), y + h, xOf(endOf(record)), y + h + 9];
    }
    if (record.kind !== "role") return null;
    const segment = lanes[record.node].segments.find(s => s.record === record);
    return segment ? [xOf(segment.from), y - h, xOf(segment.to), y + h] : null;
}

function drawGutter(c) {
    c.fillStyle = colors.panel;
    c.fillRect(0, 0, gutter, shape.height);
    c.fillStyle = colors.line;
    c.fillRect(gutter - 1, 0, 1, shape.height);
    c.textAlign = "right";
    c.save();
    c.beginPath();
    c.rect(0, shape.top, gutter, shape.height);
    c.clip();
    for (const lane of lanes) {
        const guilty = violation && violation.nodes.includes(lane.node);
        c.font = "600 12px system-ui, sans-serif";
        c.fillStyle = guilty ? colors.violation : colors.ink;
        c.fillText("node " + lane.id, gutter - 10, laneY(lane.node) + 0.5);
        if (guilty) c.fillRect(0, laneY(lane.node) - shape.lane / 2 + 2, 4, shape.lane - 4);
    }
    c.font = "11px system-ui, sans-serif";
    c.fillStyle = colors.muted;
    const fold = others.clients.visible ? "\u25be clients" : "\u25b8 clients";
    if (clients.length) c.fillText(fold, gutter - 10, shape.clientsTop + 13 - view.scroll);
    if (others.clients.visible) {
        clients.forEach((lane, row) => {
            if (lane.label) c.fillText("client " + lane.client, gutter - 10, clientY(row) + 0.5);
        });
    }
    c.restore();
    c.font = "11px system-ui, sans-serif";
    c.fillStyle = colors.muted;
    if (partitionRows.length) c.fillText("network", gutter - 10, axisHeight + 12);
    c.fillText("time", gutter - 10, axisHeight / 2 - 1);
    c.textAlign = "left";
}

function drawScrollbar(c) {
    if (shape.content <= shape.height) return;
    const size = shape.height * shape.height / shape.content;
    c.fillStyle = colors.hatch;
    c.globalAlpha = 0.6;
    c.fillRect(shape.width - 6, view.scroll / shape.content * shape.height, 4, size);
    c.globalAlpha = 1;
}
)page";

inline constexpr std::string_view page_input_js = R"page(// Fourth part of the page's script: the overview, pointer and keys.

// --- the overview: the whole run; its ground is drawn once per size and colours ----------------

const ground = document.createElement("canvas");
const overviewPlot = () => Math.max(1, overview.clientWidth - gutter - 12);
const overviewX = time => gutter + (time - begin) / (end - begin) * overviewPlot();

function drawOverview() {
    const {context: c, width, height} = prepare(overview);
    if (ground.width !== overview.width || ground.height !== overview.height || ground.stale) {
        ground.stale = false;
        Object.assign(ground, {width: overview.width, height: overview.height});
        paintGround(ground.getContext("2d"), overview.width / width, width, height);
    }
    c.drawImage(ground, 0, 0, width, height);
    const left = Math.max(gutter, overviewX(view.from));
    const right = Math.min(width, Math.max(left + 3, overviewX(view.to)));
    c.fillStyle = colors.shade;   // over what is not in the window
    c.fillRect(gutter, 0, left - gutter, height);
    c.fillRect(right, 0, width - right, height);
    c.strokeStyle = colors.accent;
    c.lineWidth = 1.5;
    c.strokeRect(left + 0.75, 2.75, right - left - 1.5, height - 5.5);
}

function paintGround(c, ratio, width, height) {
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    const room = height - 22, row = room / Math.max(1, lanes.length);
    for (const record of partitions) {
        const left = Math.max(gutter, overviewX(record.at));
        c.fillStyle = colors.cut;
        c.fillRect(left, 4, overviewX(endOf(record)) - left, room);
    }
    lanes.forEach((lane, i) => {
        for (const segment of lane.segments) {
            const left = Math.max(gutter, overviewX(segment.from));
            c.fillStyle = segment.state === "down" ? colors.hatch : colors[segment.state];
            const high = Math.max(1, Math.min(10, row - 1));
            c.fillRect(left, 4 + i * row, Math.max(1, overviewX(segment.to) - left), high);
        }
    });
    const bins = new Uint32Array(Math.max(1, Math.floor(overviewPlot() / 2)));
    for (const message of messages) {
        ++bins[Math.min(bins.length - 1,
            Math.max(0, Math.floor((message.at - begin) / (end - begin) * bins.length)))];
    }
    const most = Math.max(1, ...bins);
    c.fillStyle = colors.append;
    bins.forEach((count, i) => {
        const size = 13 * Math.sqrt(count / most);
        c.fillRect(gutter + 2 * i, height - 3 - size, 1.6, size);
    });
    c.fillStyle = colors.violation;
    if (violation) c.fillRect(overviewX(violation.at) - 1, 0, 2.5, height);
    c.fillStyle = colors.muted;
    c.font = "11px system-ui, sans-serif";
    c.textAlign = "right";
    c.textBaseline = "middle";
    c.fillText("roles", gutter - 10, 4 + room / 2);
    c.fillText("messages", gutter - 10, height - 9);
}

// --- moving -----------------------------------------------------------------------------------

/// Shows the window that begins and ends there, within the run and not shorter than 1 us.
function show(from, to) {
    const whole = end - begin, margin = whole * 0.03;
    const size = Math.min(Math.max(to - from, 1e3), whole + 2 * margin);
    const center = (from + to) / 2;
    view.from = Math.max(begin - margin, Math.min(center - size / 2, end + margin - size));
    view.to = view.from + size;
    redraw();
}
const size = () => view.to - view.from;
const pan = share => show(view.from + share * size(), view.to + share * size());

function zoom(factor, x) {
    const time = timeAt(x ?? gutter + shape.plot / 2);
    const from = time - (time - view.from) * factor;
    show(from, from + size() * factor);
}

/// Moves the window so that the record stands at this share of it, if it is not in it.
function reveal(record, share = 0.5, always = false) {
    const margin = size() * 0.05;
    if (always || record.at < view.from + margin || record.at > view.to - margin) {
        show(record.at - share * size(), record.at + (1 - share) * size());
    }
    if (record.node === -1) return;
    const y = laneY(record.node);
    if (y < shape.top || y > shape.height - shape.band) view.scroll += y - shape.height / 2;
    redraw();
}

const goto = {
    start: () => show(begin - (end - begin) * 0.01, begin - (end - begin) * 0.01 + size()),
    end: () => show(end + size() * 0.03 - size(), end + size() * 0.03),
    all: () => show(begin - (end - begin) * 0.01, end + (end - begin) * 0.01),
    violation: () => { if (violation) { choose(violation); reveal(violation, 0.78, true); } },
};

/// The first window: about so many shown records before the violation, or before the end.
function showFirst() {
    const target = violation ? violation.at : end;
    const before = records.filter(r => r.at <= target && (!r.isMessage || r.group.visible) &&
        r.kind !== "commit" && r.kind !== "applied");
    const first = before.length > 160 ? before.at(-160).at : begin;
    const span = Math.max((target - first) / 0.78, (end - begin) / 500);
    if (before.length <= 160 && target - begin >= (end - begin) * 0.6) goto.all();
    else show(target - 0.78 * span, target + 0.22 * span);
    if (!violation && before.length > 160) goto.end();
}

// --- what is at the pointer -------------------------------------------------------------------

function distanceToLine(x, y, [x1, y1, x2, y2]) {
    const dx = x2 - x1, dy = y2 - y1, square = dx * dx + dy * dy;
    const share = square ? Math.max(0, Math.min(1, ((x - x1) * dx + (y - y1) * dy) / square)) : 0;
    return Math.hypot(x - x1 - share * dx, y - y1 - share * dy);
}

function* candidates(x, y) {
    if (violation) yield [violation, Math.abs(xOf(violation.at) - x) + (y < shape.top ? 0 : 1.5)];
    if (y < shape.top) {
        for (const record of partitions) yield [record, distanceToBox(x, y, boxOf(record))];
        return;
    }
    for (const record of visible(marks)) {
        if (record.node === -1) continue;
        yield [record, Math.hypot(xOf(record.at) - x, markY(record) - y) - 4];
    }
    for (const record of visible(ticks)) {
        if (record.node === -1) continue;
        const tip = laneY(record.node) + (shape.band / 2 + 3) * (record.kind === "commit" ? 1 : -1);
        yield [record, Math.hypot(xOf(record.at) - x, (tip - y) / 1.5)];
    }
    for (const record of pauses.concat(stalls)) {
        if (record.node !== -1) yield [record, distanceToBox(x, y, boxOf(record)) + 1];
    }
    for (const record of visible(messages, longestFlight)) {
        if (record.node === -1 || record.peer === -1) continue;
        yield [record, distanceToLine(x, y, lineOf(record))];
    }
    if (others.clients.visible && y > clientY(0) - clientHeight) {
        const row = clients[Math.floor((y - clientY(0)) / clientHeight + 0.5)];
        for (const record of row ? row.records : []) {
            if (isShown(record)) yield [record, distanceToBox(x, y, boxOf(record))];
        }
    }
}

function distanceToBox(x, y, [left, top, right, bottom]) {
    return Math.hypot(Math.max(left - x, 0, x - right), Math.max(top - y, 0, y - bottom));
}

/// The nearest record within a few pixels; else what stands behind the pointer.
function recordAt(x, y) {
    if (x < gutter) return null;
    let best = null, least = 7;
    for (const [record, distance] of candidates(x, y)) {
        if (distance < least) [best, least] = [record, distance];
    }
    if (best || y < shape.top) return best;
    const time = timeAt(x);
    const lane = lanes[Math.floor((y + view.scroll - shape.top) / shape.lane)];
    if (lane && Math.abs(y - laneY(lane.node)) <= shape.band / 2 + 1) {
        const segment = lane.segments.find(s => s.from <= time && time < s.to);
        if (segment) return segment.record;
    }
    return lane && partitions.findLast(
        r => r.touched.has(lane.node) && r.at <= time && time < endOf(r)) || null;
}

// --- pointer and keys -------------------------------------------------------------------------

const pointer = {x: 0, y: 0, down: null};

canvas.addEventListener("wheel", event => {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 30 : 1;
    const sideways = event.shiftKey ? event.deltaY : event.deltaX;
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        pan(sideways * lines / shape.plot);
    } else {
        zoom(Math.exp(Math.max(-200, Math.min(200, event.deltaY * lines)) * 0.0022), event.offsetX);
    }
}, {passive: false});

canvas.addEventListener("pointerdown", event => {
    canvas.setPointerCapture(event.pointerId);
    pointer.down = {x: event.offsetX, y: event.offsetY, from: view.from, to: view.to,
        scroll: view.scroll, moved: false};
});
canvas.addEventListener("pointermove", event => {
    [pointer.x, pointer.y] = [event.offsetX, event.offsetY];
    const down = pointer.down;
    if (!down) return hover(event);
    const dx = event.offsetX - down.x, dy = event.offsetY - down.y;
    if (!down.moved && Math.hypot(dx, dy) < 4) return;
    down.moved = true;
    canvas.classList.add("dragging");
    hideTip();
    view.scroll = down.scroll - dy;
    const shift = dx / shape.plot * (down.to - down.from);
    show(down.from - shift, down.to - shift);
});
canvas.addEventListener("pointerup", event => {
    canvas.classList.remove("dragging");
    const down = pointer.down;
    pointer.down = null;
    if (!down || down.moved) return;
    const y = event.offsetY + view.scroll - shape.clientsTop;
    if (event.offsetX < gutter && clients.length && y > 0 && y < shape.heading) foldClients();
    else choose(recordAt(event.offsetX, event.offsetY));
});
canvas.addEventListener("pointercancel", () => { pointer.down = null; });
canvas.addEventListener("pointerleave", () => { hideTip(); view.hover = null; redraw(); });

function overviewTo(event) {
    const time = begin + (event.offsetX - gutter) / overviewPlot() * (end - begin);
    show(time - size() / 2, time + size() / 2);
}
overview.addEventListener("pointerdown", event => {
    overview.setPointerCapture(event.pointerId);
    overviewTo(event);
});
overview.addEventListener("pointermove", event => { if (event.buttons) overviewTo(event); });
overview.addEventListener("wheel", event => {
    event.preventDefault();
    zoom(Math.exp(Math.sign(event.deltaY) * 0.25));
}, {passive: false});

const keys = {
    ArrowLeft: event => pan(event.shiftKey ? -0.9 : -0.12),
    ArrowRight: event => pan(event.shiftKey ? 0.9 : 0.12),
    ArrowUp: () => { view.scroll -= 40; redraw(); },
    ArrowDown: () => { view.scroll += 40; redraw(); },
    "+": () => zoom(0.7), "=": () => zoom(0.7), "-": () => zoom(1 / 0.7),
    Home: goto.start, End: goto.end, 0: goto.all, v: goto.violation,
    n: () => step(1), p: () => step(-1), c: foldClients,
    "/": () => byId("filter").focus(),
    Escape: () => choose(null),
};
addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input[type=search]")) {
        if (event.key === "Escape") event.target.blur();
        return;
    }
    const action = keys[event.key] || keys[event.key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    action(event);
});
)page";

inline constexpr std::string_view page_panel_js = R"page(// Last part of the page's script: the header, the checkboxes, the tooltip and the side panel.

// --- tooltip and side panel -------------------------------------------------------------------

function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
        if (typeof value === "function") made[key] = value; else made.setAttribute(key, value);
    }
    made.append(...children);
    return made;
}

function fieldTable(record) {
    return element("table", {}, element("tbody", {}, ...fieldsOf(record).map(([name, value]) =>
        element("tr", {}, element("td", {}, name),
            element("td", {class: "value"}, String(value))))));
}

function hideTip() { byId("tip").style.display = "none"; }

function hover(event) {
    const record = recordAt(event.offsetX, event.offsetY);
    const tip = byId("tip");
    if (record !== view.hover) {
        view.hover = record;
        redraw();
        if (record) tip.replaceChildren(element("strong", {}, titleOf(record)), fieldTable(record));
    }
    if (!record) return hideTip();
    tip.style.display = "block";
    const {width, height} = tip.getBoundingClientRect();
    const left = event.clientX + 16 + width > innerWidth ? event.clientX - 14 - width
        : event.clientX + 16;
    tip.style.left = Math.max(4, left) + "px";
    tip.style.top = Math.max(4, Math.min(event.clientY + 14, innerHeight - height - 6)) + "px";
}

/// Records around a pinned one, on the same nodes, that are not hidden.
function neighbours(record, direction, most) {
    const where = participants(record), found = [];
    for (let i = record.number + direction; records[i] && found.length < most; i += direction) {
        const other = records[i];
        if (!isShown(other)) continue;
        if (record.kind === "client" && other.kind === "client" && other.client === record.client ||
            where.size === 0 || [...participants(other)].some(node => where.has(node))) {
            found.push(other);
        }
    }
    return found;
}

function step(direction) {
    if (!view.pinned) return choose(records[firstFrom(records, timeAt(gutter + shape.plot / 2))]);
    const [next] = neighbours(view.pinned, direction, 1);
    if (next) { choose(next); reveal(next); }
}

function eventList(record) {
    const list = [...neighbours(record, -1, 9).reverse(), record, ...neighbours(record, 1, 9)];
    return element("ul", {class: "events"}, ...list.map(other => {
        const button = element("button", {type: "button",
            onclick: () => { choose(other); reveal(other); }},
        element("span", {class: "mono"}, seconds(other.at)),
        element("span", {}, titleOf(other) + (other.text ? ": " + brief(other.text, 60) : "")));
        if (other === record) button.setAttribute("aria-current", "true");
        return element("li", {}, button);
    }));
}

const brief = (text, most) => text.length > most ? text.slice(0, most - 1) + "\u2026" : text;

function choose(record) {
    view.pinned = record || null;
    const part = byId("pinned");
    part.hidden = !record;
    if (record) {
        const close = element("button", {type: "button", class: "close", title: "Esc",
            "aria-label": "Unpin this record", onclick: () => choose(null)}, "\u2715");
        part.replaceChildren(close, element("h2", {}, titleOf(record)), fieldTable(record),
            element("p", {class: "muted"}, "Around it, on the same nodes:"), eventList(record));
    }
    redraw();
}

// --- header, checkboxes, filter, legend ---------------------------------------------------------

function fillHeader() {
    byId("title").textContent = data.title || "Trace of a run";
    byId("seed").textContent = data.seed;
    const bad = Boolean(violation || data.property);
    const badge = byId("property");
    badge.textContent = bad ? "violated: " + (data.property || "see the red line") : "no violation";
    badge.classList.toggle("bad", bad);
    byId("extent").textContent = data.records.length === 0 ? "nothing was recorded"
        : data.records.length.toLocaleString("en") + " records, " + (begin / 1e9).toFixed(3) +
            " s to " + (end / 1e9).toFixed(3) + " s";
    byId("dropped").textContent = data.dropped === 0 ? ""
        : data.dropped.toLocaleString("en") + " older ones dropped";
    byId("replay").textContent = data.replay;
    byId("replay-part").hidden = !data.replay;
    byId("copy").onclick = copyReplay;
    const parameters = byId("parameters");
    parameters.hidden = data.parameters.length === 0;
    parameters.querySelector("summary").textContent = data.parameters.length + " drawn parameters";
    parameters.querySelector("dl").append(...data.parameters.map(([name, value]) =>
        element("div", {}, element("dt", {}, name), element("dd", {class: "mono"}, value))));
    byId("verdict-part").hidden = !violation;
    byId("to-violation").hidden = !violation;
    if (!violation) return;
    const guilty = violation.nodes.map(node => nodes[node]).join(", ");
    byId("verdict").append(element("strong", {}, data.property || "violation"),
        element("div", {}, violation.text), element("div", {class: "muted"},
            "at " + seconds(violation.at) + " s" + (guilty ? ", nodes " + guilty : "")));
}

/// The asynchronous clipboard is closed to pages that were opened from a file.
async function copyReplay() {
    let done = true;
    try {
        await navigator.clipboard.writeText(data.replay);
    } catch {
        const range = document.createRange();
        range.selectNodeContents(byId("replay"));
        getSelection().removeAllRanges();
        getSelection().addRange(range);
        done = document.execCommand("copy");
    }
    byId("copy").textContent = done ? "Copied" : "Press Ctrl+C";
    setTimeout(() => { byId("copy").textContent = "Copy"; }, 1500);
}

function fillKinds() {
    for (const entry of [...groups, ...Object.values(others)]) {
        if (entry.count === 0) continue;
        const box = element("input", {type: "checkbox"});
        box.checked = entry.visible;
        box.onchange = () => { entry.visible = box.checked; applyFilter(); };
        entry.box = box;
        byId("kinds").append(element("label", {}, box,
            element("span", {class: "swatch", style: "background: var(--" + entry.color + ")"}),
            entry.name, element("span", {class: "muted"}, entry.count.toLocaleString("en"))));
    }
}

function foldClients() {
    const entry = others.clients;
    entry.visible = !entry.visible;
    if (entry.box) entry.box.checked = entry.visible;
    redraw();
}

function applyFilter() {
    view.filter = byId("filter").value.trim().toLowerCase();
    let count = 0;
    for (const record of records) {
        record.matches = view.filter === "" || searchText(record).includes(view.filter);
        if (record.matches && isShown(record)) ++count;
    }
    byId("matches").textContent = view.filter === "" ? "" : count.toLocaleString("en") + " found";
    redraw();
}

/// The next record that the filter lets through, from the pinned one or from the left edge.
function nextMatch(backwards) {
    if (view.filter === "") return;
    const direction = backwards ? -1 : 1;
    let i = view.pinned ? view.pinned.number : firstFrom(records, view.from) - direction;
    for (let left = records.length; left > 0; --left) {
        i = (i + direction + records.length) % records.length;
        if (records[i].matches && isShown(records[i])) {
            choose(records[i]);
            return reveal(records[i]);
        }
    }
}

function legendGlyph(kind) {
    const icon = element("canvas", {"aria-hidden": "true"});
    icon.width = icon.height = 16 * (devicePixelRatio || 1);
    const c = icon.getContext("2d");
    c.scale(devicePixelRatio || 1, devicePixelRatio || 1);
    const saved = shape.band;
    shape.band = 0;
    const above = kind === "clock" || kind === "note";
    drawMark(c, {kind}, 8, kind === "crash" || kind === "restart" ? 8 : above ? 14 : 2);
    shape.band = saved;
    return icon;
}

function fillLegend() {
    const box = (name, style) =>
        element("span", {}, element("span", {class: "swatch box", style}), name);
    const slanted = ink => "background: repeating-linear-gradient(135deg, var(" + ink +
        ") 0 1.5px, transparent 1.5px 4px)";
    const entries = ["follower", "pre-candidate", "candidate", "leader"].map(
        name => box(name, "background: var(--" + name + ")"));
    entries.push(box("down", slanted("--hatch")), box("disk stalls", slanted("--disk")),
        box("paused", "border: 1px dashed var(--ink)"),
        box("partitioned", "background: var(--cut-ink)"));
    for (const [kind, name] of [["crash", "crash"], ["restart", "restart"],
        ["disk_fault", "disk fault"], ["snapshot_saved", "snapshot saved"],
        ["snapshot_installed", "installed"], ["clock", "clock jumps"], ["note", "note"]]) {
        entries.push(element("span", {}, legendGlyph(kind), name));
    }
    const tick = (name, color) =>
        box(name, "width: 2px; border-radius: 0; background: var(--" + color + ")");
    const cross = element("strong", {style: "color: var(--lost)"}, "\u2715");
    entries.push(tick("commit, below the band", "commit"), tick("applied, above it", "applied"),
        element("span", {}, cross, "lost message"));
    const outcomes = [["ok", "ok"], ["failed", "failed"], ["unknown, pending", "doubt"]];
    for (const [name, color] of outcomes) {
        entries.push(box("client: " + name, "background: var(--" + color +
            "); border: 1px solid var(--" + color + "-ink)"));
    }
    byId("legend").replaceChildren(...entries);
}

function recolor() {
    readColors();
    hatch.known = undefined;
    ground.stale = true;
    fillLegend();
    redraw();
}

readColors();
fillHeader();
fillKinds();
byId("to-start").onclick = goto.start;
byId("to-end").onclick = goto.end;
byId("to-violation").onclick = goto.violation;
byId("zoom-all").onclick = goto.all;
byId("zoom-in").onclick = () => zoom(0.6);
byId("zoom-out").onclick = () => zoom(1 / 0.6);
byId("filter").oninput = applyFilter;
byId("filter").onkeydown = event => { if (event.key === "Enter") nextMatch(event.shiftKey); };
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolor);
new ResizeObserver(redraw).observe(byId("stage"));
layout(canvas.clientWidth, canvas.clientHeight);
fillLegend();
showFirst();
draw();
document.documentElement.dataset.trace = "ready";
document.documentElement.dataset.records = records.length;
)page";

// clang-format on

}  // namespace rsm::sim::detail

#endif
