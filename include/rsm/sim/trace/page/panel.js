// Distributed under the Boost Software License, Version 1.0. See LICENSE.
// Last part of the page's script: the header, the checkboxes, the tooltip and the side panel.

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
