// Distributed under the Boost Software License, Version 1.0. See LICENSE.
// A chart of some series over the last minutes, in SVG. All charts share one cursor.

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
