/** What changes with the width of the window, and by what its reader prefers. */
export const WIDTH_STYLES = `
@media (min-width: 1700px) {
  .columns { grid-template-columns: minmax(0, 1fr) 320px }
  .axis, .row > details > summary { grid-template-columns: 22px 82px minmax(120px, 1fr) 56px 60px 180px }
}
@media (max-width: 1279px) {
  .columns { grid-template-columns: minmax(0, 1fr) }
  .side { grid-template-columns: repeat(auto-fit, minmax(min(340px, 100%), 1fr)); align-items: start }
}
@media (max-width: 1180px) {
  .requests { grid-template-columns: auto minmax(140px, 1fr) auto auto auto 130px; gap: 0 14px }
  .request .roles { display: none }
}
@media (max-width: 1000px) {
  .filter { flex-basis: 220px }
  .requests { grid-template-columns: auto minmax(140px, 1fr) auto auto auto auto }
  .request .what { white-space: normal; overflow-wrap: anywhere; display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3 }
  .request .time { grid-template-columns: auto }
  .request .time .meter { display: none }
  .axis, .row > details > summary { grid-template-columns: 18px 64px minmax(120px, 1fr) 52px 58px 70px; gap: 0 8px }
  .axis-scale span:nth-child(2) { display: none }
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
  .keys { padding: 0 12px 20px }
  .toolbar h1 { flex: 1 1 100% }
  .filter { flex: 1 1 160px }
  .requests { grid-template-columns: minmax(0, 1fr) }
  .request .count { flex-wrap: wrap }
  .request { grid-template-columns: minmax(0, 1fr) auto; gap: 3px 10px; padding: 9px 12px }
  .request .what { grid-column: 1; grid-row: 1 }
  .request .status { grid-column: 2; grid-row: 1; justify-self: end }
  .request .outcome { grid-column: 1; grid-row: 2 }
  .request .count { grid-column: 2; grid-row: 2 }
  .request .when { grid-column: 1; grid-row: 3 }
  .request .time { grid-column: 2; grid-row: 3 }
  .summary > div { flex-basis: 96px; padding: 6px 12px }
  .axis { display: none }
  .card-head, .row > details > summary, .role-list > li, .change-list > li, .step, .story > .facts { padding-left: 12px; padding-right: 12px }
  .row > details > summary { grid-template-columns: auto minmax(0, 1fr) auto auto; gap: 2px 8px; padding-top: 6px; padding-bottom: 7px }
  .row .index { display: none }
  .row .text { grid-column: 1 / -1; grid-row: 2 }
  .row .bar { grid-column: 1 / -1; grid-row: 3; height: 6px }
  .row .said { display: contents }
  .row .flags { grid-column: 2; grid-row: 1 }
  .row .rows-count { grid-column: 3 }
  .row .took { grid-column: 4 }
  .detail { padding: 10px 12px }
  .sql { padding-right: 12px; padding-top: 34px }
}
@media (max-width: 400px) {
  .brand-name { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%) }
  header.bar { gap: 4px }
}
@media (prefers-reduced-motion: no-preference) {
  .row.busy svg.bar rect { animation: pulse 1.4s ease-in-out infinite alternate }
  @keyframes pulse { from { opacity: .35 } to { opacity: .75 } }
}
@media (forced-colors: active) { svg.bar rect { fill: CanvasText } }
`
