/** The engines, the list of requests, and the table of the registry. */
export const LIST_STYLES = `
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
.request .outcome { display: flex; gap: 4px 6px; flex-wrap: wrap }
.request .roles { display: flex; gap: 4px 12px; flex-wrap: wrap; font-size: 12.5px; overflow: hidden }
.role-tag { display: inline-flex; align-items: center; color: var(--muted) }
.role-tag b { color: var(--role); margin-left: 3px; font-size: 16px; line-height: 1 }
.request .count { text-align: right; display: flex; gap: 6px; align-items: baseline; justify-content: flex-end; white-space: nowrap }
.request .time { display: grid; grid-template-columns: 1fr 72px; gap: 10px; align-items: center }
.request .time .number { text-align: right }

.first-steps { padding: 18px 20px 20px; display: grid; gap: 8px; justify-items: start; max-width: 860px }
.first-steps h2 { font-size: 15px }
.first-steps pre { max-width: 100%; overflow-x: auto; background: var(--raised); border: 1px solid var(--line); border-radius: 6px; padding: 8px 14px; line-height: 1.7 }

.scroll { overflow-x: auto }
.options { border-collapse: collapse; width: 100%; font-size: 13px; white-space: nowrap }
.options th, .options td { text-align: left; padding: 7px 10px; border-top: 1px solid var(--line); font-weight: 400 }
.options tr > :first-child { padding-left: 16px }
.options tr > :last-child { padding-right: 16px }
.options thead th { color: var(--muted); font-size: 12px; border-top: 0 }
.options tbody th { font-weight: 600 }
.in-doubt { padding: 10px 16px; display: grid; gap: 4px; overflow-wrap: anywhere }
`
