// Distributed under the Boost Software License, Version 1.0. See LICENSE.
// Asks for the status each second, and says so when there is no answer any more.

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
