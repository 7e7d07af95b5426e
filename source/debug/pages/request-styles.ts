/** The page of a request. */
export const REQUEST_STYLES = `
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
.frame.foreign { color: var(--muted) }
.cause { margin-top: 10px; padding-left: 12px; border-left: 2px solid var(--line-strong) }
.cause > .label { font-size: 12px; color: var(--muted) }
.advice { background: var(--card); border: 1px solid var(--line); border-left: 3px solid var(--warn); border-radius: var(--radius); padding: 10px 16px; display: grid; gap: 3px; overflow-wrap: anywhere; font-size: 13px }
.advice.bad { border-left-color: var(--bad) }
.columns { display: grid; grid-template-columns: minmax(0, 1fr) 280px; gap: 16px; align-items: start }
.side { display: grid; gap: 16px; min-width: 0 }

.axis, .row > details > summary { display: grid; grid-template-columns: 22px 82px minmax(120px, 1fr) 56px 60px 130px; gap: 0 10px; align-items: center; padding: 0 16px }
.axis { height: 26px; border-bottom: 1px solid var(--line); font-size: 11px; color: var(--muted); font-variant-numeric: tabular-nums }
.axis-scale { grid-column: 6; display: flex; justify-content: space-between; min-width: 0; white-space: nowrap }
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
.row .said { display: flex; align-items: center; gap: 10px; min-width: 0 }
.row .text { flex: 1; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; min-width: 0 }
.row .flags { display: flex; gap: 4px }
.row .flags:empty { display: none }
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
.change-list { padding: 4px 0 }
.change-list > li { padding: 5px 16px; display: grid; gap: 2px; font-size: 13px }
.changed { display: flex; justify-content: space-between; gap: 10px }
.changed > :first-child { min-width: 0; overflow-wrap: anywhere }
.fields { display: flex; flex-wrap: wrap; gap: 3px 5px; align-items: center; overflow-wrap: anywhere }
.fields code { background: var(--raised); border-radius: 4px; padding: 0 5px }
.fields .badge { white-space: normal; overflow-wrap: anywhere; font-family: var(--mono) }
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
`
