/** Colours, type, the bar on top, and what every page is made of. */
export const BASE_STYLES = `
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
a:hover, p a { text-decoration: underline }
code, pre, kbd { font-family: var(--mono); font-size: 12.5px }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 4px }
main:focus { outline: none }
[hidden] { display: none !important }
.muted, .unit { color: var(--muted) }
.unit { font-size: 12px }
.number, .took, .at, .when, .rows-count { font-variant-numeric: tabular-nums }
.spacer { flex: 1 }
.dot { display: inline-block; width: 8px; height: 8px; border-radius: 50%; background: var(--role); margin-right: 6px; flex: none }
.unseen { position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap }
.skip { position: absolute; left: -999px }
.skip:focus { left: 12px; top: 8px; z-index: 10; background: var(--card); padding: 6px 12px }

header.bar { display: flex; align-items: center; gap: 20px; height: 48px; padding: 0 max(24px, calc((100% - 1752px) / 2)); background: var(--card); border-bottom: 1px solid var(--line); position: sticky; top: 0; z-index: 5 }
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
main { max-width: 1800px; margin: 0 auto; padding: 20px 24px 32px; display: grid; gap: 16px; grid-template-columns: minmax(0, 1fr) }
.keys { max-width: 1800px; margin: 0 auto; padding: 0 24px 28px; color: var(--muted); font-size: 12px }
.keys button { font-size: 12px; padding: 1px 8px }
kbd { border: 1px solid var(--line); border-bottom-width: 2px; border-radius: 4px; padding: 0 5px; background: var(--card); font-size: 11px; margin-left: 10px }
kbd + kbd { margin-left: 2px }

button, .quiet { font: inherit; font-size: 13px; color: var(--ink); background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: 3px 10px; cursor: pointer; white-space: nowrap }
button:hover, a.quiet:hover { border-color: var(--line-strong); text-decoration: none }
.quiet.off { color: var(--muted); background: none; border-style: dashed; cursor: default }
a.quiet.off:hover { border-color: var(--line) }
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
`
