// Distributed under the Boost Software License, Version 1.0. See LICENSE.
// Puts a status into the page. What comes from the server becomes text and nothing else. Elements
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
