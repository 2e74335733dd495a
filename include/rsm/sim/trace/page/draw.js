// Distributed under the Boost Software License, Version 1.0. See LICENSE.
// Second part of the page's script: the diagram. Only what lies in the visible window is drawn;
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
