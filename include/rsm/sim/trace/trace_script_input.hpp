// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The script of a trace's page, last parts: the overview, pointer and keys; the header, the
// checkboxes, the tooltip and the side panel.
#ifndef RSM_SIM_TRACE_TRACE_SCRIPT_INPUT_HPP
#define RSM_SIM_TRACE_TRACE_SCRIPT_INPUT_HPP

#include <string_view>

namespace rsm::sim::detail {

inline constexpr std::string_view trace_script_input = R"page(
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

inline constexpr std::string_view trace_script_panel = R"page(
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

}  // namespace rsm::sim::detail

#endif
