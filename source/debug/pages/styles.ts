/** The style sheet of every page. */
export const STYLES = `
:root {
  color-scheme: light dark;
  --page: light-dark(#f6f7f9, #0e1014);
  --card: light-dark(#ffffff, #161920);
  --raised: light-dark(#f3f4f7, #1d212a);
  --line: light-dark(#e3e6ec, #272c37);
  --line-strong: light-dark(#c9ced8, #3a4150);
  --ink: light-dark(#1a1d23, #e4e7ec);
  --muted: light-dark(#5f6776, #949dad);
  --accent: light-dark(#3450c8, #8ea6ff);
  --good: light-dark(#17703c, #62cc8b);
  --good-soft: light-dark(#e2f4e9, #14301f);
  --bad: light-dark(#b3261e, #ff8a80);
  --bad-soft: light-dark(#fdeceb, #3a1a19);
  --warn: light-dark(#8a5300, #f0b354);
  --warn-soft: light-dark(#fdf1dc, #35270f);
  --busy: light-dark(#2450b5, #8ab4ff);
  --busy-soft: light-dark(#e6edfd, #18253f);
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", "JetBrains Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
  --role: var(--muted);
  --radius: 8px;
}
:root[data-theme="light"] { color-scheme: light }
:root[data-theme="dark"] { color-scheme: dark }
.role-0 { --role: light-dark(#2f62d9, #7aa5ff) }
.role-1 { --role: light-dark(#7a45c9, #bd9bf5) }
.role-2 { --role: light-dark(#0b7a6d, #4cc7b5) }
.role-3 { --role: light-dark(#b0570b, #f0a35a) }
.role-4 { --role: light-dark(#b8246e, #f584b8) }
.role-5 { --role: light-dark(#3d7a1e, #8fd06a) }
.role-6 { --role: light-dark(#0a6f93, #5cc6ea) }
.role-7 { --role: light-dark(#7a5636, #cfa983) }

*, ::before, ::after { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--ink); font: 14px/1.5 var(--sans); -webkit-font-smoothing: antialiased }
h1, h2, p, ol, ul, dl, dd, pre { margin: 0; padding: 0 }
ol, ul { list-style: none }
h1 { font-size: 18px; line-height: 1.35; font-weight: 650; letter-spacing: -.01em; overflow-wrap: anywhere }
h2 { font-size: 13px; font-weight: 650 }
h2 .muted { font-weight: 400; margin-left: 6px }
a { color: var(--accent); text-decoration: none }
a:hover { text-decoration: underline }
code, pre, kbd { font-family: var(--mono); font-size: 12.5px }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 4px }
main:focus { outline: none }
[hidden] { display: none !important }
.muted, .unit { color: var(--muted) }
.unit { font-size: 12px }
.number, .took, .at, .when, .rows-count { font-variant-numeric: tabular-nums }
.spacer { flex: 1 }
.dot { display: inline-block; width: 8px; height: 8px; border-radius: 50%; background: var(--role); margin-right: 6px; flex: none }
.skip { position: absolute; left: -999px }
.skip:focus { left: 12px; top: 8px; z-index: 10; background: var(--card); padding: 6px 12px }

header.bar { display: flex; align-items: center; gap: 20px; height: 48px; padding: 0 24px; background: var(--card); border-bottom: 1px solid var(--line); position: sticky; top: 0; z-index: 5 }
.brand { display: inline-flex; align-items: center; gap: 8px; font-weight: 700; letter-spacing: -.01em; color: var(--ink) }
.brand:hover { text-decoration: none }
.logo { width: 18px; height: 18px; fill: var(--accent) }
header nav { display: flex; gap: 4px; flex: 1; height: 100% }
header nav a { color: var(--muted); padding: 0 10px; display: flex; align-items: center; border-bottom: 2px solid transparent; border-top: 2px solid transparent; font-weight: 500 }
header nav a:hover { color: var(--ink); text-decoration: none }
header nav a[aria-current] { color: var(--ink); border-bottom-color: var(--accent) }
.live { display: inline-flex; align-items: center; gap: 7px; font-size: 12.5px; color: var(--muted) }
.live:not(:empty)::before { content: ""; width: 8px; height: 8px; border-radius: 50%; background: var(--line-strong) }
.live[data-live="on"]::before { background: var(--good); box-shadow: 0 0 0 3px var(--good-soft) }
.live[data-live="lost"]::before { background: var(--bad); box-shadow: 0 0 0 3px var(--bad-soft) }
.live[data-live="paused"]::before { background: var(--warn); box-shadow: 0 0 0 3px var(--warn-soft) }
main { max-width: 1480px; margin: 0 auto; padding: 20px 24px 32px; display: grid; gap: 16px; grid-template-columns: minmax(0, 1fr) }
.keys { max-width: 1480px; margin: 0 auto; padding: 0 24px 28px; color: var(--muted); font-size: 12px }
kbd { border: 1px solid var(--line); border-bottom-width: 2px; border-radius: 4px; padding: 0 5px; background: var(--card); font-size: 11px; margin-left: 10px }
kbd + kbd { margin-left: 2px }

button, .quiet { font: inherit; font-size: 13px; color: var(--ink); background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: 3px 10px; cursor: pointer; white-space: nowrap }
button:hover, a.quiet:hover { border-color: var(--line-strong); text-decoration: none }
.quiet.off { color: var(--muted); opacity: .5; cursor: default }
button[aria-pressed="true"] { background: var(--ink); color: var(--page); border-color: var(--ink) }
.chips { display: flex; gap: 6px; flex-wrap: wrap }
.chip { border-radius: 999px; display: inline-flex; align-items: center }
.chip[aria-pressed="true"] .dot { background: currentColor }
.filter { font: inherit; font-size: 13px; color: var(--ink); background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: 4px 10px; min-width: 0; flex: 0 1 280px }
.filter::placeholder { color: var(--muted) }
.badge { display: inline-block; font-size: 11.5px; line-height: 18px; padding: 0 7px; border-radius: 5px; font-weight: 600; white-space: nowrap; background: var(--raised); color: var(--muted) }
.badge.good { background: var(--good-soft); color: var(--good) }
.badge.bad { background: var(--bad-soft); color: var(--bad) }
.badge.warn { background: var(--warn-soft); color: var(--warn) }
.badge.busy { background: var(--busy-soft); color: var(--busy) }
.toolbar { display: flex; align-items: center; gap: 12px; flex-wrap: wrap; min-height: 32px }
.toolbar h1 { margin-right: auto }
.empty { color: var(--muted); padding: 28px 16px; text-align: center }
.card > .empty { padding: 16px }
.notice { font-size: 13px; color: var(--muted); padding: 8px 16px; overflow-wrap: anywhere }
.card { background: var(--card); border: 1px solid var(--line); border-radius: var(--radius); min-width: 0; overflow: clip }
.card-head { display: flex; align-items: center; gap: 10px; flex-wrap: wrap; padding: 8px 16px; min-height: 44px; border-bottom: 1px solid var(--line) }
.card-head h2 { margin-right: auto }
.facts { display: flex; flex-wrap: wrap; gap: 4px 20px; font-size: 13px }
.facts > div { display: flex; gap: 6px; min-width: 0 }
.facts dt { color: var(--muted); white-space: nowrap }
.facts dd { min-width: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums }
.meter { width: 100%; height: 5px; border-radius: 3px; background: var(--raised); display: block; overflow: hidden }
.meter .whole { fill: var(--line-strong) }
.meter .part { fill: var(--accent) }

.engines { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(250px, 100%), 1fr)); gap: 12px }
.engine { background: var(--card); border: 1px solid var(--line); border-left: 3px solid var(--role); border-radius: var(--radius); padding: 8px 14px 10px; display: grid; grid-template-columns: auto minmax(0, 1fr); gap: 2px 10px; align-items: baseline }
.engine-name { font-weight: 650 }
.engine-name .dot { display: none }
.engine-where { color: var(--muted); font-size: 12.5px; text-align: right; overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
.pool { display: flex; flex-direction: column-reverse; gap: 4px; font-size: 12.5px; color: var(--muted); font-variant-numeric: tabular-nums }
.engine .pool { grid-column: 1 / -1 }
.engine .meter .part, .roles-card .meter .part { fill: var(--role) }
.pool.short b { color: var(--bad) }

.requests { background: var(--card); border: 1px solid var(--line); border-radius: var(--radius); overflow: clip; display: grid; grid-template-columns: auto minmax(160px, 1fr) auto auto minmax(0, auto) auto 170px; gap: 0 20px }
.requests:not(:has(li)) { display: none }
.request { position: relative; display: grid; grid-column: 1 / -1; grid-template-columns: subgrid; align-items: center; padding: 7px 16px; border-top: 1px solid var(--line) }
.request:first-child { border-top: 0 }
.request:hover { background: var(--raised) }
.request:has(.cover:focus-visible) { outline: 2px solid var(--accent); outline-offset: -2px }
.request .cover:focus-visible { outline: none }
.cover::after { content: ""; position: absolute; inset: 0 }
.cover { color: var(--ink) }
.cover:hover { text-decoration: none }
.request .when { color: var(--muted); font-size: 12.5px }
.request .what { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-family: var(--mono); font-size: 13px }
.method { color: var(--muted); font-weight: 600 }
h1 .method, h1 .url { font-family: var(--mono); font-size: 17px }
.request .outcome { display: flex; gap: 6px }
.request .roles { display: flex; gap: 4px 12px; flex-wrap: wrap; font-size: 12.5px; overflow: hidden }
.role-tag { display: inline-flex; align-items: center; color: var(--muted) }
.role-tag b { color: var(--role); margin-left: 3px; font-size: 16px; line-height: 1 }
.request .count { text-align: right; display: flex; gap: 6px; align-items: baseline; justify-content: flex-end; white-space: nowrap }
.request .time { display: grid; grid-template-columns: 1fr 72px; gap: 10px; align-items: center }
.request .time .number { text-align: right }

.trail { display: flex; align-items: center; gap: 8px; font-size: 13px }
.title { display: flex; align-items: baseline; gap: 8px 14px; flex-wrap: wrap }
.badges { display: flex; gap: 6px }
.summary { display: flex; flex-wrap: wrap; background: var(--card); border: 1px solid var(--line); border-radius: var(--radius); overflow: clip }
.summary > div { flex: 1 1 110px; padding: 8px 16px; box-shadow: 1px 0 0 var(--line), 0 1px 0 var(--line) }
.summary dt { font-size: 12px; color: var(--muted) }
.summary dd { font-size: 15px; font-weight: 600; font-variant-numeric: tabular-nums; white-space: nowrap }
.summary code { font-size: 13.5px }
main > [data-key], .attempt { display: grid; gap: 16px; grid-template-columns: minmax(0, 1fr) }
.attempt { display: block; border: 1px dashed var(--line-strong); border-radius: var(--radius) }
.attempt > summary { padding: 9px 16px; cursor: pointer }
.attempt > :not(summary) { margin: 0 12px 12px }
.verdict { background: var(--card); border: 1px solid var(--line); border-left: 3px solid var(--line-strong); border-radius: var(--radius); padding: 10px 16px }
.verdict.good { border-left-color: var(--good) }
.verdict.bad { border-left-color: var(--bad) }
.verdict.busy { border-left-color: var(--busy) }
.verdict-text { font-weight: 600 }
.verdict .error { margin-top: 8px }
.error { min-width: 0 }
.error-head code { color: var(--muted) }
.error-message { font-family: var(--mono); font-size: 12.5px; white-space: pre-wrap; overflow-wrap: anywhere; color: var(--bad); margin: 2px 0 0 }
.stack { margin-top: 6px }
.stack > summary { cursor: pointer; font-family: var(--mono); font-size: 12px; overflow-wrap: anywhere; color: var(--muted) }
.stack > summary::marker { color: var(--muted) }
.frames { margin-top: 6px; padding: 8px 12px; background: var(--raised); border-radius: 6px; overflow: auto; max-height: 320px; line-height: 1.6; font-size: 12px }
.frame { display: block }
.frame.foreign { color: var(--muted); opacity: .8 }
.cause { margin-top: 10px; padding-left: 12px; border-left: 2px solid var(--line-strong) }
.cause > .label { font-size: 12px; color: var(--muted) }
.advice { background: var(--card); border: 1px solid var(--line); border-left: 3px solid var(--warn); border-radius: var(--radius); padding: 10px 16px; display: grid; gap: 3px; overflow-wrap: anywhere; font-size: 13px }
.advice.bad { border-left-color: var(--bad) }
.columns { display: grid; grid-template-columns: minmax(0, 1fr) 340px; gap: 16px; align-items: start }
.side { display: grid; gap: 16px; min-width: 0 }

.axis, .row > details > summary { display: grid; grid-template-columns: 22px 82px minmax(120px, 1fr) 82px 56px 60px 180px; gap: 0 10px; align-items: center; padding: 0 16px }
.axis { height: 26px; border-bottom: 1px solid var(--line); font-size: 11px; color: var(--muted); font-variant-numeric: tabular-nums }
.axis-scale { grid-column: 7; display: flex; justify-content: space-between; min-width: 0; white-space: nowrap }
.axis-scale span:nth-child(2) { width: 0; display: flex; justify-content: center }
.row { border-top: 1px solid var(--line); scroll-margin-top: 60px }
.row:first-child { border-top: 0 }
.row > details > summary { list-style: none; min-height: 30px; cursor: pointer }
.row > details > summary::-webkit-details-marker { display: none }
.row > details > summary:hover { background: var(--raised) }
.row > details > summary:focus-visible { outline-offset: -2px }
.row details[open] > summary { background: var(--raised) }
.row .index { color: var(--muted); font-size: 12px; text-align: right; font-variant-numeric: tabular-nums }
.row .role { display: flex; align-items: center; font-size: 13px; min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
.row .text { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; min-width: 0 }
.row .flags { display: flex; gap: 4px; justify-self: end }
.row .rows-count, .row .took { text-align: right; font-size: 12.5px; white-space: nowrap }
.row.mark .text { font-weight: 600; font-size: 13px }
.row.mark { --role: light-dark(#9aa2b1, #646d7e) }
.row.mark .role { font-size: 12px }
.row.end .text code { font-style: italic }
.row.failed .text { box-shadow: inset 3px 0 0 var(--bad); padding-left: 8px }
svg.bar { width: 100%; height: 12px; display: block; overflow: visible; background: linear-gradient(90deg, var(--line) 1px, transparent 1px) 0 0 / 50% 100%; border-right: 1px solid var(--line) }
svg.bar rect { fill: var(--role) }
.row.end svg.bar rect, .row.mark svg.bar rect { opacity: .55 }
.row.failed svg.bar rect { fill: var(--bad) }
.row.busy svg.bar rect { opacity: .4 }
.detail { padding: 10px 16px 14px 52px; background: var(--raised); display: grid; gap: 10px; grid-template-columns: minmax(0, 1fr) }
.sql-box { position: relative }
.sql { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: 10px 84px 10px 12px; line-height: 1.6; max-height: 320px; overflow: auto }
.copy { position: absolute; top: 6px; right: 6px; font-size: 12px; padding: 1px 8px }
.sql-key { color: light-dark(#7c3aa8, #c9a2f0) }
.sql-text { color: light-dark(#1d6f42, #84cfa0) }
.sql-value { color: light-dark(#a4500b, #eeb06e) }
.sql-note { color: var(--muted) }
.parameters { display: flex; flex-wrap: wrap; gap: 6px; counter-reset: parameter }
.parameters li { counter-increment: parameter; background: var(--card); border: 1px solid var(--line); border-radius: 5px; padding: 0 7px; overflow-wrap: anywhere }
.parameters li::before { content: counter(parameter) " "; color: var(--muted); font-size: 11px }
.detail .notice { padding: 0 }

.role-list > li { padding: 9px 16px 11px; border-top: 1px solid var(--line); display: grid; gap: 4px }
.role-list > li:first-child { border-top: 0 }
.role-list .facts .wide { flex: 1 1 100% }
.role-list dd:has(.pool) { flex: 1 }
.role-list .pool { flex-direction: row; align-items: center; gap: 10px; white-space: nowrap }
.role-list .pool .meter { flex: 1; min-width: 40px }
.untouched .dot { opacity: .4 }
.untouched .facts > div:not(.wide) { display: none }
.story > .facts { padding: 10px 16px; border-bottom: 1px solid var(--line) }
.steps { padding: 8px 0 }
.step { display: grid; grid-template-columns: 68px minmax(0, 1fr) auto; gap: 0 10px; padding: 2px 16px; font-size: 13px; align-items: baseline }
.step .at { color: var(--muted); font-size: 12px; text-align: right }
.step .step-text { position: relative; padding-left: 14px; overflow-wrap: anywhere }
.step .step-text::before { content: ""; position: absolute; left: 0; top: .62em; width: 5px; height: 5px; border-radius: 50%; background: var(--line-strong) }
.step:is(.begin, .commit, .abort, .savepoint, .rollback) .step-text::before { background: var(--accent); width: 7px; height: 7px; left: -1px; top: .52em }
.step.abort .step-text::before, .step.failed .step-text::before { background: var(--bad) }
.step.call, .step.open, .step.close, .step.join { color: var(--muted) }
.step .took { color: var(--muted); font-size: 12px }
.step-error { grid-column: 2 / -1; padding-left: 14px }
.step-error summary { color: var(--bad); cursor: pointer }

.scroll { overflow-x: auto }
.options { border-collapse: collapse; width: 100%; font-size: 13px; white-space: nowrap }
.options th, .options td { text-align: left; padding: 7px 10px; border-top: 1px solid var(--line); font-weight: 400 }
.options tr > :first-child { padding-left: 16px }
.options tr > :last-child { padding-right: 16px }
.options thead th { color: var(--muted); font-size: 12px; border-top: 0 }
.options tbody th { font-weight: 600 }
.in-doubt { padding: 10px 16px; display: grid; gap: 4px; overflow-wrap: anywhere }

@media (max-width: 1180px) {
  .columns { grid-template-columns: minmax(0, 1fr) }
  .side { grid-template-columns: repeat(auto-fit, minmax(min(340px, 100%), 1fr)); align-items: start }
  .requests { grid-template-columns: auto minmax(140px, 1fr) auto auto auto 130px; gap: 0 14px }
  .request .roles { display: none }
}
@media (max-width: 760px) {
  header.bar { padding: 0 14px; gap: 10px }
  header nav { flex: none }
  header nav a { padding: 0 7px }
  .live { font-size: 0; gap: 0; margin-left: auto }
  [data-do="theme"] { font-size: 0; padding: 5px 9px }
  .engines { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 8px }
  .engine { padding: 6px 10px 8px }
  .engine-where { display: none }
  [data-theme-name] { font-size: 12px }
  main { padding: 14px 12px 24px; gap: 12px }
  .keys { display: none }
  .toolbar h1 { flex: 1 1 100% }
  .filter { flex: 1 1 160px }
  .requests { grid-template-columns: minmax(0, 1fr) auto; gap: 0 10px }
  .request { row-gap: 3px; padding: 9px 12px }
  .request .what { grid-column: 1; grid-row: 1 }
  .request .status { grid-column: 2; grid-row: 1; justify-self: end }
  .request .outcome { grid-column: 1; grid-row: 2 }
  .request .count { grid-column: 2; grid-row: 2 }
  .request .when { grid-column: 1; grid-row: 3 }
  .request .time { grid-column: 2; grid-row: 3; grid-template-columns: auto }
  .request .time .meter { display: none }
  .summary > div { flex-basis: 96px; padding: 6px 12px }
  .axis { display: none }
  .card-head, .row > details > summary, .role-list > li, .step, .story > .facts { padding-left: 12px; padding-right: 12px }
  .row > details > summary { grid-template-columns: auto minmax(0, 1fr) auto auto; gap: 2px 8px; padding-top: 6px; padding-bottom: 7px }
  .row .index { display: none }
  .row .text { grid-column: 1 / -1; grid-row: 2 }
  .row .bar { grid-column: 1 / -1; grid-row: 3; height: 6px }
  .row .flags { grid-column: 2; justify-self: start }
  .row .rows-count { grid-column: 3 }
  .row .took { grid-column: 4 }
  .detail { padding: 10px 12px }
  .sql { padding-right: 12px; padding-top: 34px }
}
@media (prefers-reduced-motion: no-preference) {
  .row.busy svg.bar rect, .badge.busy { animation: pulse 1.4s ease-in-out infinite alternate }
  @keyframes pulse { from { opacity: .35 } to { opacity: .75 } }
}
@media (forced-colors: active) { svg.bar rect { fill: CanvasText } }
`
