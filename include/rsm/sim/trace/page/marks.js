// Distributed under the Boost Software License, Version 1.0. See LICENSE.
// Third part of the page's script: what stands on and between the lanes of the diagram.

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
