// Distributed under the Boost Software License, Version 1.0. See LICENSE.
// First part of the page's script: the data, what is derived from it once, and how records are put
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
