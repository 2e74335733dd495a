// Distributed under the Boost Software License, Version 1.0. See LICENSE.
// How numbers and times are written. The files of this folder are one script.

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
