// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The status page of a node: one HTML document that loads nothing but status.json, each second.
// Written by cmake/pages.cmake from the files in rsm/admin/page: change those, and run it again.
#ifndef RSM_ADMIN_STATUS_PAGE_HPP
#define RSM_ADMIN_STATUS_PAGE_HPP

#include <string_view>

namespace rsm::inline v0 {

// clang-format off
inline constexpr std::string_view status_page_html =
    R"page(<!doctype html>
<html lang="en" data-page="waiting">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Node</title>
<style>
)page"
    R"page(/* The style of the status page. Lines have colours of Okabe and Ito, which people with any kind of
   colour vision can tell apart; besides, the first has its area filled, and the third is dotted. */

:root {
    color-scheme: light dark;
    --page: #f4f6f8; --panel: #ffffff; --ink: #19212a; --muted: #56626e; --line: #dde3e9;
    --grid: #e8ecf0; --accent: #0a5dc2;
    --ok: #00694d; --ok-soft: #e6f4ef; --warn: #8a5a00; --warn-soft: #fdf3dc;
    --bad: #b3122b; --bad-soft: #fdeaed; --wait: #56626e; --wait-soft: #edf0f3;
    --on-mark: #ffffff; --first: #0072b2; --second: #c05000; --third: #00805e;
}
@media (prefers-color-scheme: dark) {
    :root {
        --page: #0e1217; --panel: #161b22; --ink: #e3e8ee; --muted: #98a4b1; --line: #29323c;
        --grid: #222a33; --accent: #6db1ff;
        --ok: #3fcf9f; --ok-soft: #11261f; --warn: #f0b449; --warn-soft: #2b2210;
        --bad: #ff7583; --bad-soft: #32161b; --wait: #98a4b1; --wait-soft: #1c232b;
        --on-mark: #0e1217; --first: #5cb3f2; --second: #ff9a52; --third: #37d3a4;
    }
}
* { box-sizing: border-box; }
body {
    margin: 0 auto; max-width: 1720px; padding: 0 clamp(12px, 2vw, 28px) 24px;
    background: var(--page); color: var(--ink);
    font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
    font-variant-numeric: tabular-nums;
}
h1, h2, p, dl, dd, ul { margin: 0; padding: 0; }
header {
    display: flex; flex-wrap: wrap; align-items: baseline; gap: 4px 22px; padding: 16px 0 12px;
}
h1 { font-size: 22px; font-weight: 650; letter-spacing: -.01em; overflow-wrap: anywhere; }
.badge {
    font-size: 13px; font-weight: 600; letter-spacing: 0; padding: 2px 10px; border-radius: 11px;
    margin-left: 4px; vertical-align: 3px; border: 1px solid var(--line); color: var(--muted);
}
.badge[data-role="leader"] { border-color: currentColor; color: var(--ok); }
.badge[data-role$="candidate"] { border-color: currentColor; color: var(--warn); }
.facts { flex: 1 1 320px; display: flex; flex-wrap: wrap; gap: 2px 18px; color: var(--muted); font-size: 13px; }
.facts div { display: flex; gap: 6px; min-width: 0; }
.facts dd { color: var(--ink); overflow-wrap: anywhere; }
.fresh { margin-left: auto; color: var(--muted); font-size: 13px; white-space: nowrap; }
.dot {
    display: inline-block; width: 8px; height: 8px; border-radius: 50%; margin-right: 7px;
    background: var(--wait);
}
[data-page="live"] .dot { background: var(--ok); }
[data-page="stale"] .dot { background: none; border: 2px solid var(--bad); }
[data-page="stale"] .fresh { color: var(--bad); }

.verdict {
    display: flex; gap: 14px; padding: 14px 18px; border-radius: 10px; border: 1px solid;
    --tone: var(--wait); background: var(--wait-soft);
    border-color: color-mix(in srgb, var(--tone) 32%, transparent);
}
.verdict[data-level="ok"], .verdict[data-level="note"] { --tone: var(--ok); background: var(--ok-soft); }
.verdict[data-level="warn"] { --tone: var(--warn); background: var(--warn-soft); }
.verdict[data-level="bad"] { --tone: var(--bad); background: var(--bad-soft); }
.verdict > div { min-width: 0; }
.verdict h2 {
    font-size: 18px; line-height: 1.35; font-weight: 600; text-wrap: pretty;
    overflow-wrap: anywhere;
}
.mark {
    flex: none; width: 24px; height: 24px; border-radius: 50%; background: var(--tone);
    color: var(--on-mark); font-weight: 700; font-size: 15px; line-height: 24px;
    text-align: center;
}
[data-level="bad"] .mark { border-radius: 5px; }
[data-level="warn"] .mark { border-radius: 0; clip-path: polygon(50% 0, 100% 100%, 0 100%); line-height: 29px; }
.findings { list-style: none; }
.findings:not(:empty) { margin-top: 6px; }
.findings li {
    position: relative; padding-left: 16px; margin-top: 2px; overflow-wrap: anywhere;
    max-width: 110ch;
}
.findings li::before {
    content: ""; position: absolute; left: 0; top: .5em; width: 7px; height: 7px;
    border-radius: 50%; background: var(--wait);
}
.findings li[data-level="bad"]::before { background: var(--bad); border-radius: 1px; }
.findings li[data-level="warn"]::before { background: var(--warn); }

.title {
    font-size: 12px; font-weight: 650; color: var(--muted); text-transform: uppercase;
    letter-spacing: .06em; margin: 22px 0 7px;
}
.note { color: var(--muted); font-size: 13px; margin-bottom: 7px; max-width: 110ch; }
.note:empty { display: none; }
[data-page="stale"] .data { opacity: .45; filter: grayscale(1); }

.tiles {
    display: grid; grid-template-columns: repeat(8, minmax(0, 1fr)); gap: 1px;
    background: var(--line); border: 1px solid var(--line); border-radius: 10px; overflow: hidden;
}
@media (max-width: 1199px) { .tiles { grid-template-columns: repeat(4, minmax(0, 1fr)); } }
.tiles div { background: var(--panel); padding: 9px 14px 10px; min-width: 0; }
.tiles dt { color: var(--muted); font-size: 12px; }
.tiles dd { font-size: 18px; line-height: 1.3; font-weight: 550; overflow-wrap: anywhere; }
.tiles dd.detail { font-size: 12px; font-weight: 400; color: var(--muted); min-height: 1.4em; }
.tiles div[data-level="warn"] dd { color: var(--warn); }
.tiles div[data-level="bad"] dd { color: var(--bad); }

.members {
    width: 100%; border-collapse: separate; border-spacing: 0; background: var(--panel);
    border: 1px solid var(--line); border-radius: 10px; overflow: hidden;
}
.members th {
    text-align: left; font-size: 12px; font-weight: 500; color: var(--muted); padding: 7px 14px;
    white-space: nowrap;
}
.members td { padding: 7px 14px; border-top: 1px solid var(--line); vertical-align: baseline; overflow-wrap: anywhere; }
.members .figure { text-align: right; white-space: nowrap; }
.members tr[data-self="yes"] td { background: color-mix(in srgb, var(--accent) 5%, transparent); }
.members td.node { white-space: nowrap; font-weight: 600; }
.members td.role { min-width: 8.6em; }
.members td.disk { min-width: 5.5em; }
.members td.address { min-width: 10.5em; }
.members td.remark { width: 36%; }
.members [data-level="warn"] { color: var(--warn); }
.members [data-level="bad"] { color: var(--bad); }
progress {
    appearance: none; display: block; width: 100%; max-width: 340px; height: 6px; border: 0;
    border-radius: 3px; margin: 4px 0 2px; overflow: hidden; background: var(--grid);
}
progress::-webkit-progress-bar { background: var(--grid); }
progress::-webkit-progress-value { background: var(--first); border-radius: 3px; }
progress::-moz-progress-bar { background: var(--first); border-radius: 3px; }

.charts { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 12px; }
@media (max-width: 1399px) { .charts { grid-template-columns: repeat(2, minmax(0, 1fr)); } }
.chart {
    background: var(--panel); border: 1px solid var(--line); border-radius: 10px;
    padding: 10px 14px 8px; margin: 0; min-width: 0;
}
.chart figcaption { display: flex; flex-wrap: wrap; gap: 2px 14px; align-items: baseline; }
.chart h3 { font-size: 14px; font-weight: 600; margin: 0; width: 100%; }
.chart h3 span { font-weight: 400; color: var(--muted); }
.key { font-size: 12px; color: var(--muted); white-space: nowrap; }
.key svg { width: 18px; height: 8px; margin-right: 5px; vertical-align: 1px; }
.key b { font-weight: 600; color: var(--ink); display: inline-block; min-width: 4.4em; }
.plot { display: block; width: 100%; height: 172px; margin-top: 6px; touch-action: pan-y; }
.plot text { font-size: 11px; fill: var(--muted); }
.plot .grid { stroke: var(--grid); }
.plot .axis { stroke: var(--line); }
.plot .cursor { stroke: var(--muted); stroke-dasharray: 2 2; }
.plot .cursor-time { fill: var(--ink); paint-order: stroke; stroke: var(--panel); stroke-width: 4px; }
.line { fill: none; stroke-width: 1.5; stroke-linejoin: round; stroke-linecap: round; }
.area { stroke: none; opacity: .13; }
.first { stroke: var(--first); } .second { stroke: var(--second); }
.third { stroke: var(--third); stroke-dasharray: .1 3.2; stroke-width: 1.8; }
.area.first { fill: var(--first); }
.spot.first { fill: var(--first); } .spot.second { fill: var(--second); }
.spot.third { fill: var(--third); }
.spot { stroke: var(--panel); stroke-dasharray: none; stroke-width: 1.5; }

footer { margin-top: 18px; color: var(--muted); font-size: 12px; }
kbd {
    font: 11px ui-monospace, "DejaVu Sans Mono", monospace; border: 1px solid var(--line);
    border-radius: 3px; padding: 0 5px; background: var(--panel);
}
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
noscript, #failure { display: block; padding: 12px 0; color: var(--bad); }
#failure:empty { display: none; }

@media (max-width: 760px) {
    h1 { width: 100%; }
    .fresh { margin-left: 0; }
    .verdict { padding: 12px 14px; gap: 11px; }
    .verdict h2 { font-size: 16px; }
    .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); }
    .charts { grid-template-columns: minmax(0, 1fr); }
    .members, .members tbody, .members tr, .members td { display: block; width: auto; }
    .members thead { display: none; }
    .members tr { padding: 9px 14px; }
    .members tr + tr { border-top: 1px solid var(--line); }
    .members td, .members td.remark {
        padding: 1px 0; border: 0; display: flex; gap: 10px; width: auto; background: none;
    }
    .members tr[data-self="yes"] { background: color-mix(in srgb, var(--accent) 5%, transparent); }
    .members tr[data-self="yes"] td { background: none; }
    .members td::before { content: attr(data-label); color: var(--muted); flex: 0 0 7.2em; font-weight: 400; }
    .members .figure { text-align: left; }
    .members td.node { font-size: 16px; }
    .members td.node::before { content: none; }
    .remark > div { flex: 1; min-width: 0; }
    .members td.remark[data-empty="yes"] { display: none; }
}
)page"
    R"page(</style>
</head>
<body>
<header>
<h1><span id="name">Node</span> <span id="role" class="badge" hidden></span></h1>
<dl id="identity" class="facts"></dl>
<p id="fresh" class="fresh"><span class="dot" aria-hidden="true"></span><span
 id="fresh-text">waiting for the first answer</span></p>
</header>
<noscript>What this server knows is shown by the script in this page, which does not run here.</noscript>
<p id="failure" role="alert"></p>
<main>
<section id="verdict" class="verdict" aria-labelledby="headline" data-level="wait">
<span id="mark" class="mark" aria-hidden="true"></span>
<div><h2 id="headline">Asking this server how it is.</h2>
<ul id="findings" class="findings"></ul></div>
</section>
<p id="spoken" class="unseen" role="status"></p>
<div id="data" class="data">
<section aria-labelledby="own-title">
<h2 id="own-title" class="title">This node</h2>
<dl id="tiles" class="tiles"></dl>
</section>
<section aria-labelledby="members-title">
<h2 id="members-title" class="title">Members</h2>
<p id="members-note" class="note"></p>
<table id="members" class="members" role="table" aria-labelledby="members-title">
<thead role="rowgroup"><tr id="members-head" role="row"></tr></thead>
<tbody id="members-body" role="rowgroup"></tbody>
</table>
</section>
<section aria-labelledby="charts-title">
<h2 id="charts-title" class="title">The last five minutes</h2>
<p id="charts-note" class="note"></p>
<div id="charts" class="charts"></div>
</section>
</div>
</main>
<footer>Asked each second. In a chart, point or use <kbd>&larr;</kbd> <kbd>&rarr;</kbd> to read
values, <kbd>Esc</kbd> to leave.</footer>
<script>
"use strict";
)page"
    R"page(// How numbers and times are written. The files of this folder are one script.

const byId = id => document.getElementById(id);
addEventListener("error", event => {
    document.documentElement.dataset.page = "failed";
    byId("failure").textContent = "This page failed: " + event.message;
});

const grouped = new Intl.NumberFormat("en-GB", {maximumFractionDigits: 0});
const rounded = new Intl.NumberFormat("en-GB", {maximumSignificantDigits: 3});
const unknown = "\u2013";
const space = "\u00a0";  // between a number and its unit

const count = value => value === null ? unknown : grouped.format(value);
const many = (value, one, more = one + "s") => count(value) + " " + (value === 1 ? one : more);
const percent = part => Math.floor(100 * Math.min(1, Math.max(0, part))) + space + "%";

// The largest step that leaves at least 1 before the point.
function scaled(value, units, base) {
    let step = 0;
    while (step + 1 < units.length && Math.abs(value) >= base) {
        value /= base;
        ++step;
    }
    return rounded.format(value) + space + units[step];
}
const byteUnits = ["B", "KiB", "MiB", "GiB", "TiB"];
const bytes = value => value === null ? unknown : scaled(value, byteUnits, 1024);
const microseconds = value => value === null ? unknown : scaled(value, ["\u00b5s", "ms", "s"], 1000);
const perSecond = value => value === null ? unknown : value < 10000 ? count(value)
    : rounded.format(value / 1000) + "k";

function duration(seconds) {
    if (seconds === null) return unknown;
    if (seconds < 1) return Math.round(seconds * 1000) + space + "ms";
    if (seconds < 60) return Math.floor(seconds) + space + "s";
    const minutes = Math.floor(seconds / 60);
    if (minutes < 60) return minutes + space + "min " + Math.floor(seconds % 60) + space + "s";
    const hours = Math.floor(minutes / 60);
    if (hours < 48) return hours + space + "h " + minutes % 60 + space + "min";
    return Math.floor(hours / 24) + space + "days " + hours % 24 + space + "h";
}
const day = seconds => new Date(seconds * 1000).toLocaleDateString("en-GB",
    {day: "numeric", month: "short", year: "numeric", timeZone: "UTC"});
const clock = ms => new Date(ms).toLocaleTimeString("en-GB");

// "a", "a and b", "a, b and c"
function listed(words) {
    return words.length < 2 ? words.join("") : words.slice(0, -1).join(", ") + " and " + words.at(-1);
}
)page"
    R"page(// What status.json says, as values that the rest can rely on: numbers are numbers or null, texts
// are short and cannot turn the direction of writing, lists have a bound.

const membersMax = 64;
const samplesMax = 300;
const textMax = 300;

const isObject = value => typeof value === "object" && value !== null && !Array.isArray(value);
const listOf = value => Array.isArray(value) ? value : [];
function numberOf(value) {
    // Integers that JavaScript cannot hold come as texts.
    if (typeof value === "string" && /^[0-9]{1,20}$/.test(value)) return Number(value);
    return typeof value === "number" && Number.isFinite(value) ? value : null;
}
function textOf(value) {
    if (typeof value !== "string") return typeof value === "number" ? String(value) : "";
    const harmless = value.replace(
        /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, "\ufffd");
    return harmless.length > textMax ? harmless.slice(0, textMax) + "\u2026" : harmless;
}
function transferOf(raw, name) {
    if (!isObject(raw)) return null;
    const done = numberOf(raw[name]) ?? 0;
    const total = numberOf(raw.total_bytes) ?? 0;
    return {done, total, part: total > 0 ? Math.min(1, done / total) : 0};
}

function memberOf(raw) {
    return {
        id: numberOf(raw.id), contact: textOf(raw.contact), voter: raw.voter === true,
        self: raw.self === true, leader: raw.leader === true, state: textOf(raw.state),
        match: numberOf(raw.match), lag: numberOf(raw.lag),
        lastContact: numberOf(raw.last_contact_ms), disk: textOf(raw.disk),
        doubtful: raw.doubtful === true, connected: raw.connected !== false,
        whyNot: textOf(raw.why_not), transfer: transferOf(raw.transfer, "sent_bytes"),
    };
}

const seriesNames = ["operations", "reads", "refusals", "commit_p50_us", "commit_p99_us",
    "sync_p99_us", "bytes"];
function historyOf(raw) {
    const history = {interval: 1000, end: Date.now(), length: 0};
    const given = isObject(raw) ? raw : {};
    history.interval = Math.max(1, numberOf(given.interval_ms) ?? 1000);
    history.end = numberOf(given.end_ms) ?? history.end;
    for (const name of seriesNames) {
        history[name] = listOf(given[name]).slice(-samplesMax).map(numberOf);
        history.length = Math.max(history.length, history[name].length);
    }
    // All end at the same moment; the first may be missing.
    for (const name of seriesNames) {
        const lacking = history.length - history[name].length;
        if (lacking > 0) history[name] = Array(lacking).fill(null).concat(history[name]);
    }
    return history;
}

function statusOf(raw) {
    if (!isObject(raw) || numberOf(raw.node) === null) return null;
    return {
        node: numberOf(raw.node), cluster: textOf(raw.cluster), instance: textOf(raw.instance),
        version: textOf(raw.version), uptime: numberOf(raw.uptime_s),
        address: textOf(raw.address), role: textOf(raw.role), term: numberOf(raw.term),
        leader: numberOf(raw.leader) ?? 0, leaderAddress: textOf(raw.leader_address),
        commit: numberOf(raw.commit), applied: numberOf(raw.applied), last: numberOf(raw.last),
        snapshotIndex: numberOf(raw.snapshot_index), snapshotBytes: numberOf(raw.snapshot_bytes),
        logBytes: numberOf(raw.log_bytes), lostUpTo: numberOf(raw.lost_up_to) ?? 0,
        refuses: textOf(raw.refuses), diskStalled: raw.disk_stalled === true,
        certificateEnd: numberOf(raw.certificate_end) ?? 0, now: numberOf(raw.now_ms),
        stopped: raw.stopped === true, changing: raw.changing_members === true,
        settled: raw.members_settled !== false,
        members: listOf(raw.members).filter(isObject).slice(0, membersMax).map(memberOf)
            .sort((one, other) => one.id - other.id),
        receiving: transferOf(raw.receiving, "bytes"), history: historyOf(raw.history),
    };
}

const newest = (history, name) => history[name].at(-1) ?? 0;
// Of the newest `seconds` of a series.
function recently(history, name, seconds) {
    const samples = Math.max(1, Math.round(seconds * 1000 / history.interval));
    return history[name].slice(-samples).reduce((sum, value) => sum + (value ?? 0), 0);
}
)page"
    R"page(// What is wrong, in sentences that say what and where; the most serious one first. Bad is what keeps
// the cluster or this node from its work, or may cost data; what works but should be looked at is a
// warning. A finding has a key that stays the same while only its numbers change.

const silentAfterMs = 3000;
const lagMin = 1000;       // entries; below, it is a follower at work
const lagSeconds = 2;      // of the present rate of operations
const refusalSeconds = 10;
const certificateDays = 14;

const nameOf = member => "Node " + member.id + (member.contact ? " (" + member.contact + ")" : "");
const isVoterHeard = member => member.self || (member.connected && !member.doubtful &&
    (member.lastContact === null || member.lastContact < silentAfterMs));

// How many voters may still fail, as far as this node knows.
function tolerance(status) {
    const voters = status.members.filter(member => member.voter);
    const heard = voters.filter(isVoterHeard).length;
    return {voters: voters.length, heard, spare: heard - Math.floor(voters.length / 2) - 1};
}

function progressText(transfer) {
    if (transfer.total === 0) return bytes(transfer.done) + " so far";
    return percent(transfer.part) + ", " + bytes(transfer.done) + " of " + bytes(transfer.total);
}

function ownFindings(status) {
    const found = [];
    const add = (level, key, text) => found.push({level, key, text});
    const self = "Node " + status.node;
    const isMember = status.members.some(member => member.self);
    if (status.stopped) add("bad", "stopped", self + " has stopped for good; its log says why.");
    if (status.leader === 0 && !status.stopped) {
        add("bad", "leaderless", "There is no leader: nothing can be written. " + self + " is " +
            (status.role || "waiting") + " in term " + count(status.term) + ".");
    }
    if (status.lostUpTo > 0) {
        add("bad", "lost", self + " has found damage in its log and neither votes nor leads until its " +
            "peers have brought what is missing, up to entry " + count(status.lostUpTo) + ".");
    }
    if (status.diskStalled) {
        add("bad", "stalled", "The disk of node " + status.node +
            " hangs: a write does not end, so it neither leads nor votes.");
    }
    if (status.refuses) {
        add("bad", "refuses", self + " takes nothing new from clients: " + status.refuses);
    }
    const left = status.certificateEnd === 0 || status.now === null ? Infinity
        : status.certificateEnd - status.now / 1000;
    if (left <= 0) {
        add("bad", "expired", "The certificate of node " + status.node + " has expired: nobody new " +
            "connects to it. Replacing the file is enough.");
    } else if (left < certificateDays * 86400) {
        add("warn", "expires", "The certificate of node " + status.node + " expires in " +
            duration(left) + ".");
    }
    if (!isMember) {
        add("warn", "stranger", self + " is not a member of the cluster, or not yet.");
    }
    return found;
}

// Whether there are enough voters, as far as this node knows.
function quorumFindings(status) {
    const {voters, heard, spare} = tolerance(status);
    if (status.role === "leader" && spare < 0) {
        return [{level: "bad", key: "quorum", text: "Only " + heard + " of " + many(voters, "voter") +
            " can be reached from the leader: nothing can be written until another comes back."}];
    }
    if (status.leader !== 0 && spare === 0 && voters > 2) {
        return [{level: "warn", key: "spare", text: "The cluster works, but " + heard + " of " +
            voters + " voters are left: if one more fails, nothing can be written."}];
    }
    return [];
}

function memberFindings(status, member) {
    const found = [];
    const add = (level, key, text) => found.push({level, key: key + member.id, text});
    const name = nameOf(member);
    if (!member.connected) {
        add("warn", "away", name + " is not connected" +
            (member.whyNot ? ": " + member.whyNot : "."));
    } else if (member.lastContact !== null && member.lastContact >= silentAfterMs) {
        add("warn", "silent", name + " is connected but has not answered for " +
            duration(member.lastContact / 1000) + ".");
    }
    if (member.doubtful) {
        add("bad", "doubtful", name + " has lost, or may have lost, what it had acknowledged: no other " +
            "voter should fail until it has caught up.");
    }
    if (member.disk === "stalled") add("warn", "hangs", "The disk of node " + member.id + " hangs.");
    if (member.disk === "full") add("warn", "full", "The disk of node " + member.id + " is full.");
    const rate = recently(status.history, "operations", lagSeconds);
    if (member.transfer !== null) {
        add("note", "sent", name + " is being sent a snapshot: " + progressText(member.transfer) + ".");
    } else if (member.connected && member.lag !== null && member.lag >= Math.max(lagMin, rate)) {
        add("warn", "lags", name + " is " + many(member.lag, "entry", "entries") + " behind.");
    }
    return found;
}

function workFindings(status) {
    const found = [];
    const add = (level, key, text) => found.push({level, key, text});
    const behind = (status.commit ?? 0) - (status.applied ?? 0);
    if (status.receiving !== null) {
        add("note", "receiving", "Node " + status.node + " receives a snapshot: " +
            progressText(status.receiving) + ".");
    } else if (behind >= Math.max(lagMin, recently(status.history, "operations", lagSeconds))) {
        add("warn", "behind", "Node " + status.node + " has " + count(behind) +
            " committed entries still to apply.");
    }
    const refused = recently(status.history, "refusals", refusalSeconds);
    if (refused > 0) {
        add("warn", "refusals", many(refused, "request was", "requests were") + " refused in the last " +
            refusalSeconds + space + "s.");
    }
    if (status.changing || !status.settled) {
        add("note", "changing", "The members are being changed.");
    }
    return found;
}

const levels = ["bad", "warn", "note", "ok"];

// @param atWork  something is under way
function healthy(status, atWork) {
    const term = " in term " + count(status.term);
    if (status.role !== "leader") {
        return "Healthy, as far as node " + status.node + " can see: node " + status.leader + " leads" +
            term + ".";
    }
    const {spare} = tolerance(status);
    const parts = ["node " + status.node + " leads" + term];
    if (status.members.length === 1) parts.push("alone");
    else if (!atWork) parts.push("all " + many(status.members.length, "member") + " are in step");
    if (spare > 0) parts.push(many(spare, "voter") + " may fail");
    return "Healthy: " + listed(parts) + ".";
}

// {level, headline, findings, key}
function judge(status) {
    const found = [
        ...ownFindings(status),
        ...status.members.filter(member => !member.self)
            .flatMap(member => memberFindings(status, member)),
        ...quorumFindings(status), ...workFindings(status),
    ];
    found.sort((one, other) => levels.indexOf(one.level) - levels.indexOf(other.level));
    const key = found.map(finding => finding.key).join(" ");
    if (found.length === 0) return {level: "ok", headline: healthy(status, false), findings: [], key: "ok"};
    const [first, ...rest] = found;
    if (first.level === "note") {
        return {level: "note", headline: healthy(status, true), findings: found, key};
    }
    return {level: first.level, headline: first.text, findings: rest, key};
}
)page"
    R"page(// A chart of some series over the last minutes, in SVG. All charts share one cursor.

const svgNames = "http://www.w3.org/2000/svg";
function svg(name, attributes = {}, parent = null) {
    const element = document.createElementNS(svgNames, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (parent) parent.append(element);
    return element;
}

const cursor = {sample: null, charts: []};
function moveCursor(sample) {
    cursor.sample = sample;
    for (const chart of cursor.charts) chart.draw();
}

// The smallest round number of which `steps` reach `most`: 1, 2 or 5 times a power of ten, or, for
// bytes, a power of two.
function niceStep(most, steps, base) {
    const raw = most / steps;
    const unit = base ** Math.floor(Math.log(raw) / Math.log(base) + 1e-9);
    return unit * (base === 10 ? [1, 2, 5, 10] : [1, 2]).find(factor => factor * unit >= raw * .999);
}

class Chart {
    // description: {title, unit, base (10 or 2), least (the lowest top of the axis), write(value),
    //     series: [{name, label, isCount (nothing is 0)}]}
    constructor(description, place) {
        this.description = description;
        this.history = null;
        const figure = document.createElement("figure");
        figure.className = "chart";
        const caption = document.createElement("figcaption");
        const title = document.createElement("h3");
        const unit = document.createElement("span");
        title.textContent = description.title + " ";
        unit.textContent = description.unit;
        title.append(unit);
        caption.append(title);
        this.values = description.series.map((series, rank) => this.addKey(caption, series, rank));
        this.plot = svg("svg", {class: "plot", role: "img", tabindex: "0"});
        figure.append(caption, this.plot);
        place.append(figure);
        this.listen();
        new ResizeObserver(() => this.draw()).observe(this.plot);
        cursor.charts.push(this);
    }

    addKey(caption, series, rank) {
        const key = document.createElement("span");
        key.className = "key";
        const sample = svg("svg", {viewBox: "0 0 18 8", "aria-hidden": "true"});
        svg("path", {d: "M1 4H17", class: "line " + this.style(rank)}, sample);
        const value = document.createElement("b");
        value.textContent = unknown;
        key.append(sample, series.label + " ", value);
        caption.append(key);
        return value;
    }
    style(rank) { return ["first", "second", "third"][rank]; }

    listen() {
        this.plot.addEventListener("pointermove", event => {
            const x = event.clientX - this.plot.getBoundingClientRect().left;
            moveCursor(this.clamp(Math.round(this.sampleAt(x))));
        });
        this.plot.addEventListener("pointerleave", () => moveCursor(null));
        this.plot.addEventListener("blur", () => moveCursor(null));
        this.plot.addEventListener("keydown", event => {
            const steps = {ArrowLeft: -1, ArrowRight: 1, PageUp: -30, PageDown: 30,
                Home: -samplesMax, End: samplesMax};
            if (event.key === "Escape") return moveCursor(null);
            if (!(event.key in steps)) return;
            event.preventDefault();
            const from = cursor.sample ?? samplesMax;
            moveCursor(this.clamp(from + steps[event.key]));
        });
    }
    // Samples are counted from the left edge, which is samplesMax before the newest.
    clamp(sample) {
        const first = samplesMax - (this.history?.length ?? 0);
        return Math.max(Math.min(first, samplesMax - 1), Math.min(samplesMax - 1, sample));
    }

    show(history) {
        this.history = history;
        this.draw();
    }

    valueAt(series, sample) {
        const {history} = this;
        const value = history[series.name][sample - (samplesMax - history.length)];
        if (value === undefined) return null;
        return value ?? (series.isCount ? 0 : null);
    }
    samplesOf(series) {
        return Array.from({length: samplesMax}, (ignored, sample) => this.valueAt(series, sample));
    }
    sampleAt(x) { return (x - this.left) / this.width * (samplesMax - 1); }
    xOf(sample) { return this.left + sample / (samplesMax - 1) * this.width; }
    yOf(value) { return this.top + this.height * (1 - value / this.most); }

    draw() {
        if (this.history === null) return;
        const bounds = this.plot.getBoundingClientRect();
        if (bounds.width === 0) return;
        const data = this.description.series.map(series => this.samplesOf(series));
        const highest = Math.max(0, ...data.flat().map(value => value ?? 0));
        const reach = Math.max(highest * 1.05, this.description.least);
        const step = niceStep(reach, 4, this.description.base);
        this.most = Math.ceil(reach / step * .999) * step;
        this.left = 58; this.top = 8; this.width = bounds.width - this.left - 10;
        this.height = bounds.height - this.top - 22;
        this.plot.setAttribute("viewBox", "0 0 " + bounds.width + " " + bounds.height);
        this.plot.replaceChildren();
        this.drawAxes(step);
        data.forEach((samples, rank) => this.drawLine(samples, rank));
        this.drawCursor(data);
        this.tell(data);
    }

    drawAxes(step) {
        const right = this.left + this.width;
        const bottom = this.top + this.height;
        for (let value = 0; value <= this.most + step / 2; value += step) {
            const y = Math.round(this.yOf(value)) + .5;
            svg("path", {class: value === 0 ? "axis" : "grid", d: "M" + this.left + " " + y + "H" + right},
                this.plot);
            svg("text", {x: this.left - 7, y: y + 3.5, "text-anchor": "end"}, this.plot)
                .textContent = this.description.write(value);
        }
        const minute = 60000 / this.history.interval;
        for (let ago = 0; ago * minute <= samplesMax; ++ago) {
            const x = Math.round(this.xOf(Math.max(0, samplesMax - 1 - ago * minute))) + .5;
            svg("path", {class: "axis", d: "M" + x + " " + bottom + "v4"}, this.plot);
            const anchor = ago === 0 ? "end" : "middle";
            svg("text", {x: ago === 0 ? x + 4 : x, y: bottom + 17, "text-anchor": anchor}, this.plot)
                .textContent = ago === 0 ? "now" : "\u2212" + ago + space + "min";
        }
    }

    drawLine(samples, rank) {
        let line = "";
        let area = "";
        let begin = null;
        const bottom = this.yOf(0);
        samples.forEach((value, sample) => {
            if (value === null) {
                if (begin !== null) area += "V" + bottom + "H" + begin + "Z";
                begin = null;
                return;
            }
            const x = this.xOf(sample).toFixed(1);
            const y = this.yOf(value).toFixed(1);
            // A sample that stands alone is a dot.
            line += begin === null ? "M" + x + " " + y + "h.01" : "L" + x + " " + y;
            area += (begin === null ? "M" + x + " " + bottom + "V" : "L" + x + " ") + y;
            begin ??= x;
        });
        if (begin !== null) area += "V" + bottom + "H" + begin + "Z";
        const style = this.style(rank);
        if (rank === 0 && area) svg("path", {class: "area " + style, d: area}, this.plot);
        if (line) svg("path", {class: "line " + style, d: line}, this.plot);
    }

    drawCursor(data) {
        if (cursor.sample === null) return;
        const sample = this.clamp(cursor.sample);
        const x = this.xOf(sample);
        svg("path", {class: "cursor", d: "M" + x + " " + this.top + "v" + this.height}, this.plot);
        data.forEach((samples, rank) => {
            if (samples[sample] === null) return;
            svg("circle", {class: "spot " + this.style(rank), cx: x, cy: this.yOf(samples[sample]), r: 4},
                this.plot);
        });
        const isLeft = x < this.left + this.width / 2;
        svg("text", {class: "cursor-time", x: x + (isLeft ? 7 : -7), y: this.top + 9,
            "text-anchor": isLeft ? "start" : "end"}, this.plot)
            .textContent = clock(this.history.end - (samplesMax - 1 - sample) * this.history.interval);
    }

    // The values at the cursor, or the newest.
    tell(data) {
        const sample = cursor.sample === null ? samplesMax - 1 : this.clamp(cursor.sample);
        const words = this.description.series.map((series, rank) => {
            const value = data[rank][sample];
            const written = value === null ? unknown : this.description.write(value);
            setText(this.values[rank], written);
            return series.label + " " + (value === null ? "none" : written);
        });
        const when = cursor.sample === null ? "now" : "at " + clock(
            this.history.end - (samplesMax - 1 - sample) * this.history.interval);
        this.plot.setAttribute("aria-label",
            this.description.title + " " + this.description.unit + ", " + when + ": " + words.join(", "));
    }
}
)page"
    R"page(// Puts a status into the page. What comes from the server becomes text and nothing else. Elements
// stay where only their text changes, so that a selection survives.

function setText(element, text) {
    if (element.textContent !== text) element.textContent = text;
}
function setData(element, name, value) {
    if (value) element.dataset[name] = value; else delete element.dataset[name];
}
// As many children as there are items.
function fit(parent, items, make, update) {
    while (parent.children.length > items.length) parent.lastElementChild.remove();
    items.forEach((item, place) => {
        const known = parent.children[place];
        const child = known ?? make();
        update(child, item);
        if (!known) parent.append(child);
    });
}
function made(name, className = "", ...children) {
    const element = document.createElement(name);
    if (className) element.className = className;
    element.append(...children);
    return element;
}

function showVerdict({level, headline, findings, key}) {
    const verdict = byId("verdict");
    verdict.dataset.level = level;
    setText(byId("mark"), {ok: "\u2713", note: "\u2713", warn: "!", bad: "\u00d7"}[level] ?? "\u2026");
    setText(byId("headline"), headline);
    fit(byId("findings"), findings, () => made("li"), (item, finding) => {
        item.dataset.level = finding.level;
        setText(item, finding.text);
    });
    // Read aloud where something has changed, and not for each new number.
    if (verdict.dataset.key !== key) {
        verdict.dataset.key = key;
        setText(byId("spoken"), headline);
    }
}

function showIdentity(status) {
    setText(byId("name"), "Node " + status.node);
    const role = byId("role");
    role.hidden = !status.role;
    role.dataset.role = status.role;
    setText(role, status.role);
    const facts = [["cluster", status.cluster], ["at", status.address], ["instance", status.instance],
        ["version", status.version], ["up", status.uptime === null ? "" : duration(status.uptime)],
        ["certificate until", status.certificateEnd > 0 ? day(status.certificateEnd) : ""]]
        .filter(([, value]) => value);
    fit(byId("identity"), facts, () => made("div", "", made("dt"), made("dd")), (row, [name, value]) => {
        setText(row.children[0], name);
        setText(row.children[1], value);
    });
}

function tilesOf(status) {
    const behind = Math.max(0, (status.commit ?? 0) - (status.applied ?? 0));
    const {voters, spare} = tolerance(status);
    const leads = status.role === "leader";
    const disk = status.diskStalled ? ["hangs", "bad"] : status.refuses ? ["takes nothing", "bad"]
        : status.lostUpTo > 0 ? ["damaged", "bad"] : ["ok", ""];
    return [
        {name: "Term", value: count(status.term), detail: leads ? "led by this node"
            : status.leader ? "led by node " + status.leader +
                (status.leaderAddress ? " at " + status.leaderAddress : "") : "no leader",
        level: status.leader ? "" : "bad"},
        {name: "Committed", value: count(status.commit), detail: "entries, of " + count(status.last)},
        {name: "Applied", value: count(status.applied),
            detail: behind ? count(behind) + " to go" : "all that is committed"},
        {name: "Log", value: bytes(status.logBytes), detail: "on disk"},
        {name: "Snapshot", value: status.snapshotIndex ? bytes(status.snapshotBytes) : "none yet",
            detail: status.snapshotIndex ? "up to entry " + count(status.snapshotIndex) : ""},
        {name: "Disk", value: disk[0], level: disk[1],
            detail: disk[1] ? "" : "takes writes"},
        {name: "Writes", value: perSecond(newest(status.history, "operations")) + "/s",
            detail: perSecond(newest(status.history, "reads")) + "/s reads"},
        {name: "May fail", value: spare < 0 ? "none" : count(spare),
            detail: "of " + many(voters, "voter") + (leads ? "" : ", seen from here"),
            level: spare < 0 ? "bad" : spare === 0 && voters > 2 ? "warn" : ""},
    ];
}
function showTiles(status) {
    const make = () => made("div", "", made("dt"), made("dd"), made("dd", "detail"));
    fit(byId("tiles"), tilesOf(status), make, (tile, {name, value, detail, level}) => {
        setData(tile, "level", level);
        setText(tile.children[0], name);
        setText(tile.children[1], value);
        setText(tile.children[2], detail);
    });
}

// ---- members ----

const stateWords = {probe: "looking for its log", replicate: "in step", snapshot: "needs a snapshot"};

function remarksOf(member, status) {
    const remarks = [];
    const add = (text, level = "", transfer = null) => remarks.push({text, level, transfer});
    const receiving = member.self ? status.receiving : null;
    if (!member.connected && !member.self) add("not connected: " + (member.whyNot || "not yet"), "warn");
    else if (member.lastContact !== null && member.lastContact >= silentAfterMs && !member.self) {
        add("connected, but silent", "warn");
    }
    if (member.doubtful) add("has lost, or may have lost, what it had acknowledged", "bad");
    if (member.transfer) add("is sent a snapshot: " + progressText(member.transfer), "", member.transfer);
    if (receiving) add("receives a snapshot: " + progressText(receiving), "", receiving);
    const isWell = remarks.length === 0;
    if (isWell && !member.self && member.state) {
        add(stateWords[member.state] ?? member.state, member.state === "replicate" ? "" : "warn");
    }
    if (isWell && !member.self && !member.state) add("connected");
    return remarks;
}

const text = (value, level = "") => ({value, level});
const columns = [
    {name: "node", label: "Node", cell: member => text("Node " + member.id +
        (member.self ? ", this one" : ""))},
    {name: "role", label: "Role", cell: (member, status) => text(member.leader ? "leader"
        : member.self ? status.role : member.voter ? "voter" : "learner")},
    {name: "address", label: "Talks at", cell: member => text(member.contact || unknown)},
    {name: "figure", label: "Has up to", known: member => member.match !== null,
        cell: (member, status) => text(count(member.self ? status.last : member.match))},
    {name: "figure", label: "Lag", known: member => member.lag !== null,
        cell: (member, status) => {
            const lag = member.self ? 0 : member.lag;
            const isLong = lag >= Math.max(lagMin, recently(status.history, "operations", lagSeconds));
            return text(count(lag), isLong && !member.transfer ? "warn" : "");
        }},
    {name: "figure", label: "Last heard", known: member => member.lastContact !== null,
        cell: member => text(member.self || member.lastContact === null ? unknown
            : duration(member.lastContact / 1000),
        !member.self && member.lastContact >= silentAfterMs ? "warn" : "")},
    {name: "disk", label: "Disk", cell: member => member.disk === "" || member.disk === "ok"
        ? text(member.disk || unknown) : text(member.disk === "stalled" ? "hangs" : member.disk, "bad")},
    {name: "remark", label: "State", remarks: remarksOf},
];

function updateRemark(cell, remarks) {
    setData(cell, "empty", remarks.length === 0 ? "yes" : "");
    fit(cell.firstElementChild, remarks, () => made("div", "", made("p")), (row, {text, level, transfer}) => {
        setData(row, "level", level);
        setText(row.firstElementChild, text);
        const bar = row.querySelector("progress");
        if (!transfer) return bar?.remove();
        const shown = bar ?? made("progress");
        shown.max = 1;
        shown.value = transfer.part;
        shown.setAttribute("aria-label", text);
        if (!bar) row.append(shown);
    });
}
function updateCell(cell, column, member, status) {
    cell.className = column.name;
    cell.dataset.label = column.label;
    cell.setAttribute("role", "cell");
    if (column.remarks) {
        if (!cell.firstElementChild) cell.append(made("div"));
        return updateRemark(cell, column.remarks(member, status));
    }
    const {value, level} = column.cell(member, status);
    setData(cell, "level", level);
    setText(cell, value);
}
function showMembers(status) {
    // What nobody here knows needs no column.
    const shown = columns.filter(column => !column.known || status.members.some(column.known));
    const body = byId("members-body");
    const shape = shown.map(column => column.label).join();
    if (body.dataset.shape !== shape) {
        body.dataset.shape = shape;
        body.replaceChildren();
        byId("members-head").replaceChildren(...shown.map(column => {
            const head = made("th", column.name, column.label);
            head.scope = "col";
            head.setAttribute("role", "columnheader");
            return head;
        }));
    }
    const make = () => {
        const row = made("tr");
        row.setAttribute("role", "row");
        return row;
    };
    fit(body, status.members, make, (row, member) => {
        setData(row, "self", member.self ? "yes" : "");
        fit(row, shown, () => made("td"),
            (cell, column) => updateCell(cell, column, member, status));
    });
    const leads = status.role === "leader";
    setText(byId("members-note"), leads || status.leader === 0 ? "" : "How far the others are, only the " +
        "leader knows: that is node " + status.leader +
        (status.leaderAddress ? ", which serves clients at " + status.leaderAddress : "") + ".");
}

// ---- charts ----

const charts = [
    {title: "Throughput", unit: "per second", base: 10, least: 10, write: perSecond, series: [
        {name: "operations", label: "writes", isCount: true}, {name: "reads", label: "reads", isCount: true}]},
    {title: "Latency", unit: "of writes", base: 10, least: 100, write: microseconds, series: [
        {name: "commit_p50_us", label: "commit p50"}, {name: "commit_p99_us", label: "p99"},
        {name: "sync_p99_us", label: "disk p99"}]},
    {title: "Volume", unit: "of writes, per second", base: 2, least: 1024, write: bytes, series: [
        {name: "bytes", label: "bytes", isCount: true}]},
    {title: "Refused", unit: "requests per second", base: 10, least: 4, write: perSecond, series: [
        {name: "refusals", label: "refused", isCount: true}]},
].map(description => new Chart(description, byId("charts")));

function showStatus(status) {
    showIdentity(status);
    showTiles(status);
    showMembers(status);
    for (const chart of charts) chart.show(status.history);
    setText(byId("charts-note"), status.role === "leader" ? ""
        : "Writes are counted by the node that leads; this one has its disk and what it answers itself.");
}
)page"
    R"page(// Asks for the status each second, and says so when there is no answer any more.

const pollMs = 1000;
const patienceMs = 3000;
const opened = Date.now();
let answered = null;  // when the status that is shown came
let failing = null;   // why the last attempt has failed

async function ask() {
    const ending = new AbortController();
    const timer = setTimeout(() => ending.abort(), patienceMs);
    try {
        const response = await fetch("status.json", {cache: "no-store", signal: ending.signal});
        if (!response.ok) return {problem: "answers with HTTP " + response.status};
        const status = statusOf(await response.json());
        return status ? {status} : {problem: "answers with something else than a status"};
    } catch (error) {
        if (error instanceof SyntaxError) return {problem: "answers with something else than a status"};
        return {problem: ending.signal.aborted ? "does not answer" : "cannot be reached"};
    } finally {
        clearTimeout(timer);
    }
}

function showStale() {
    document.documentElement.dataset.page = "stale";
    const since = answered ?? opened;
    const seconds = Math.max(0, (Date.now() - since) / 1000);
    setText(byId("fresh-text"), answered === null ? "no answer yet" : "stale since " + clock(since));
    showVerdict({level: "bad", key: "gone", findings: [],
        headline: "This server " + failing + ", since " + clock(since) + " (" + duration(Math.floor(seconds)) +
            ")." + (answered === null ? "" : " What is shown below is from then.")});
    document.title = "\u2716 no answer \u2013 " + byId("name").textContent;
}

function showLive(status) {
    const verdict = judge(status);
    document.documentElement.dataset.page = "live";
    setText(byId("fresh-text"), "live, as of " + clock(answered));
    showStatus(status);
    showVerdict(verdict);
    const mark = {ok: "\u2714", note: "\u2714", warn: "\u25b2", bad: "\u2716"}[verdict.level];
    document.title = mark + " Node " + status.node + (status.role ? ", " + status.role : "");
}

async function poll() {
    const {status, problem} = await ask();
    if (status) {
        answered = Date.now();
        failing = null;
        showLive(status);
    } else {
        failing = problem;
        showStale();
    }
    setTimeout(poll, pollMs);
}
poll();
)page"
    R"page(</script>
</body>
</html>
)page";

// clang-format on

}  // namespace rsm

#endif
