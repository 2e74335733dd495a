// Distributed under the Boost Software License, Version 1.0. See LICENSE.
// What status.json says, as values that the rest can rely on: numbers are numbers or null, texts
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
