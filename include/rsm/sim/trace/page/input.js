// Distributed under the Boost Software License, Version 1.0. See LICENSE.
// Fourth part of the page's script: the overview, pointer and keys.

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
