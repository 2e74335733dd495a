// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// The fixed part of a trace's page: its style and its body. Each literal stays below 16 KB, which
// is what some compilers take at most.
//
// Colours are those of Okabe and Ito, which people with any kind of colour vision can tell apart;
// the script takes them from here, so that light and dark are decided in one place.
#ifndef RSM_SIM_TRACE_TRACE_PAGE_HPP
#define RSM_SIM_TRACE_TRACE_PAGE_HPP

#include <string_view>

namespace rsm::sim::detail {

inline constexpr std::string_view trace_page_style = R"page(
:root {
    color-scheme: light dark;
    --page: #f3f5f8; --panel: #ffffff; --lane: #fafbfd; --ink: #1a2027; --muted: #5a6672;
    --line: #d5dbe3; --accent: #0a5dc2;
    --follower: #c3d2e2; --pre-candidate: #f4dc83; --candidate: #e69f00; --leader: #009e73;
    --down: #e3e6ea; --hatch: #8b96a2; --unknown: #eceff3; --on-role: #10202e; --on-leader: #ffffff;
    --append: #0072b2; --append-reply: #56a9dc; --pre-vote: #b98a00; --vote: #d55e00;
    --heartbeat: #8894a1; --snapshot: #b4508f; --other: #4a5560; --lost: #c8102e;
    --commit: #00694d; --applied: #0072b2; --disk: #b26b00; --clock: #7a4fb5;
    --cut: rgba(120, 60, 150, .13); --cut-other: rgba(120, 60, 150, .05); --cut-ink: #7b3f98;
    --ok: #bfe5d8; --ok-ink: #00513b; --failed: #dfe3e8; --failed-ink: #3e4852;
    --doubt: #f8e2ad; --doubt-ink: #664600; --violation: #c8102e; --violation-soft: #fde7ea;
    --shade: rgba(243, 245, 248, .68); --halo: #ffd000;
}
@media (prefers-color-scheme: dark) {
    :root {
        --page: #0d1116; --panel: #161c23; --lane: #12171d; --ink: #e4e9ee; --muted: #98a5b2;
        --line: #2a333d; --accent: #6db1ff;
        --follower: #35495e; --pre-candidate: #8d7626; --candidate: #d99100; --leader: #12936e;
        --down: #1f262e; --hatch: #5a6673; --unknown: #1a2028; --on-role: #f0f4f8;
        --on-leader: #ffffff;
        --append: #5cb3f2; --append-reply: #3f7fae; --pre-vote: #e3c04d; --vote: #ff8a45;
        --heartbeat: #6f7c89; --snapshot: #e08fc1; --other: #b4c0cc; --lost: #ff6473;
        --commit: #37d3a4; --applied: #5cb3f2; --disk: #f0a83a; --clock: #b797ea;
        --cut: rgba(190, 130, 225, .17); --cut-other: rgba(190, 130, 225, .07);
        --cut-ink: #cf9df0;
        --ok: #14493a; --ok-ink: #b9f0dc; --failed: #2c343d; --failed-ink: #c3ccd5;
        --doubt: #5a4410; --doubt-ink: #ffe3a1; --violation: #ff5a69; --violation-soft: #3b171c;
        --shade: rgba(13, 17, 22, .62); --halo: #ffd84a;
    }
}
* { box-sizing: border-box; }
html, body { height: 100%; margin: 0; }
body {
    display: flex; flex-direction: column; background: var(--page); color: var(--ink);
    font: 13px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
header, .bar { padding: 8px 14px; background: var(--panel); border-bottom: 1px solid var(--line); }
h1 { font-size: 16px; margin: 0; font-weight: 650; }
.row { display: flex; flex-wrap: wrap; gap: 6px 14px; align-items: center; }
.row + .row { margin-top: 6px; }
.muted { color: var(--muted); }
.badge { padding: 1px 9px; border-radius: 10px; background: var(--ok); color: var(--ok-ink); }
.badge.doubt { background: var(--doubt); color: var(--doubt-ink); }
.badge:empty { display: none; }
.badge.bad { background: var(--violation); color: #fff; font-weight: 600; }
@media (prefers-color-scheme: dark) { .badge.bad { color: #1b0508; } }
code, .mono, td.value {
    font-family: ui-monospace, "SF Mono", Consolas, "DejaVu Sans Mono", monospace;
}
code {
    font-size: 12px; background: var(--page); border: 1px solid var(--line); border-radius: 4px;
    padding: 2px 7px; overflow-wrap: anywhere;
}
button, input[type="search"] {
    font: inherit; color: var(--ink); background: var(--panel); border: 1px solid var(--line);
    border-radius: 5px; padding: 2px 9px; min-height: 26px;
}
button { cursor: pointer; }
button:hover { border-color: var(--accent); color: var(--accent); }
button.bad { border-color: var(--violation); color: var(--violation); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
input[type="search"] { width: 220px; }
.close { float: right; }
#replay-part[hidden] { display: none; }
fieldset {
    border: 0; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: 3px 12px;
    align-items: center;
}
legend { float: left; padding: 0; margin-right: 2px; color: var(--muted); }
label { display: inline-flex; gap: 5px; align-items: center; cursor: pointer; white-space: nowrap; }
label input { margin: 0; accent-color: var(--accent); }
.swatch { display: inline-block; width: 14px; height: 4px; border-radius: 2px; flex: none; }
.swatch.box { height: 11px; border-radius: 3px; }
.spread { flex: 1; }
.buttons { display: inline-flex; gap: 5px; }
details.parameters summary { cursor: pointer; color: var(--muted); }
details.parameters dl {
    display: grid; grid-template-columns: repeat(auto-fill, minmax(230px, 1fr)); gap: 2px 18px;
    margin: 6px 0 2px; max-height: 24vh; overflow: auto;
}
details.parameters dl div { display: flex; gap: 8px; min-width: 0; }
dt { color: var(--muted); } dt::after { content: ":"; }
dd { margin: 0; overflow-wrap: anywhere; }
.overview { background: var(--panel); border-bottom: 1px solid var(--line); }
canvas { display: block; width: 100%; touch-action: none; }
#overview { height: 62px; cursor: ew-resize; }
main { flex: 1; display: flex; min-height: 0; }
#stage { flex: 1; position: relative; min-width: 0; min-height: 0; background: var(--panel); }
#diagram { position: absolute; inset: 0; height: 100%; cursor: grab; }
#diagram.dragging { cursor: grabbing; }
aside {
    width: 330px; flex: none; overflow: auto; border-left: 1px solid var(--line);
    background: var(--panel); padding: 10px 14px;
}
aside h2 { font-size: 13px; margin: 0 0 6px; }
aside h2 + h2, aside section + section h2 { margin-top: 0; }
aside section { margin-bottom: 16px; }
.verdict {
    border-left: 4px solid var(--violation); background: var(--violation-soft); padding: 7px 10px;
    border-radius: 0 5px 5px 0; overflow-wrap: anywhere;
}
table { border-collapse: collapse; width: 100%; font-size: 12px; }
td { padding: 1px 0; vertical-align: top; }
td:first-child { color: var(--muted); padding-right: 10px; white-space: nowrap; }
td.value { overflow-wrap: anywhere; }
ul.events { list-style: none; margin: 0; padding: 0; font-size: 12px; }
ul.events button {
    display: grid; grid-template-columns: 74px 1fr; gap: 8px; width: 100%; text-align: left;
    border: 0; border-radius: 4px; padding: 2px 5px; background: none; min-height: 0;
}
ul.events button:hover { background: var(--page); }
ul.events button[aria-current] { background: var(--page); font-weight: 650; }
ul.events .mono { color: var(--muted); font-size: 11px; padding-top: 1px; }
ul.events span:last-child { overflow-wrap: anywhere; }
.key { display: flex; flex-wrap: wrap; gap: 4px 14px; font-size: 12px; }
.key span { display: inline-flex; align-items: center; gap: 6px; }
.key canvas { width: 16px; height: 16px; }
kbd {
    font: 11px ui-monospace, "DejaVu Sans Mono", monospace; border: 1px solid var(--line);
    border-radius: 3px; padding: 0 5px; background: var(--page);
}
.keys { display: grid; grid-template-columns: auto 1fr; gap: 3px 10px; font-size: 12px; }
#tip {
    position: fixed; pointer-events: none; z-index: 5; max-width: 400px; background: var(--panel);
    border: 1px solid var(--line); border-radius: 6px; padding: 7px 10px; display: none;
    box-shadow: 0 4px 18px rgba(0, 0, 0, .22);
}
#tip strong { display: block; margin-bottom: 2px; }
noscript, #failure { display: block; padding: 12px 14px; color: var(--violation); }
#failure:empty { display: none; }
@media (max-width: 860px) {
    main { flex-direction: column; }
    aside { width: auto; height: 34%; border-left: 0; border-top: 1px solid var(--line); }
}
)page";

inline constexpr std::string_view trace_page_body = R"page(<body>
<header>
<div class="row"><h1 id="title"></h1><span>seed <code id="seed"></code></span>
<span id="property" class="badge"></span><span id="extent" class="muted"></span>
<span id="dropped" class="badge doubt"></span><span class="spread"></span>
<span class="buttons" role="toolbar" aria-label="View">
<button id="to-start" type="button" title="Begin (Home)" aria-label="Go to the begin">|&lt;</button>
<button id="zoom-out" type="button" title="Zoom out (-)" aria-label="Zoom out">&minus;</button>
<button id="zoom-all" type="button" title="Everything (0)" aria-label="The whole run">All</button>
<button id="zoom-in" type="button" title="Zoom in (+)" aria-label="Zoom in">+</button>
<button id="to-end" type="button" title="End (End)" aria-label="Go to the end">&gt;|</button>
<button id="to-violation" type="button" class="bad" title="Violation (V)" hidden>Violation</button>
</span></div>
<div class="row"><span class="row" id="replay-part"><span class="muted">Replay</span>
<code id="replay"></code>
<button id="copy" type="button" aria-label="Copy the replay command">Copy</button></span>
<span class="spread"></span><span id="matches" class="muted" role="status"></span>
<input type="search" id="filter" placeholder="Filter; Enter: next" spellcheck="false"
 aria-label="Show only records that contain this text; Enter goes to the next one"></div>
<details class="parameters" id="parameters"><summary></summary><dl></dl></details>
</header>
<div class="overview"><canvas id="overview" role="img"
 aria-label="Overview of the whole run; click or drag to move the visible window"></canvas></div>
<div class="bar row">
<fieldset id="kinds"><legend>Show</legend></fieldset></div>
<noscript>The diagram is drawn by the script in this page, which does not run here.</noscript>
<div id="failure" role="alert"></div>
<main><div id="stage"><canvas id="diagram" tabindex="0" role="img"
 aria-label="Space-time diagram: one lane per node, time runs to the right"></canvas></div>
<aside aria-label="Details" id="side">
<section id="verdict-part" hidden><h2>Violation</h2>
<div class="verdict" id="verdict"></div></section>
<section id="pinned" aria-live="polite" hidden></section>
<section><h2>Legend</h2><div class="key" id="legend"></div></section>
<section><h2>Keys</h2><div class="keys">
<span><kbd>wheel</kbd> <kbd>+</kbd> <kbd>-</kbd></span><span>zoom the time axis</span>
<span><kbd>drag</kbd> <kbd>&larr;</kbd> <kbd>&rarr;</kbd></span><span>move (shift: a page)</span>
<span><kbd>&uarr;</kbd> <kbd>&darr;</kbd></span><span>scroll the lanes</span>
<span><kbd>Home</kbd> <kbd>End</kbd> <kbd>0</kbd></span><span>begin, end, the whole run</span>
<span><kbd>V</kbd></span><span>the violation</span>
<span><kbd>click</kbd> <kbd>N</kbd> <kbd>P</kbd></span><span>pin a record, next, previous</span>
<span><kbd>C</kbd></span><span>fold the clients</span>
<span><kbd>/</kbd> <kbd>Esc</kbd></span><span>filter; let go</span>
</div></section></aside></main><div id="tip" role="tooltip"></div>
)page";

}  // namespace rsm::sim::detail

#endif
