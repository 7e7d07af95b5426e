import { html, type Html } from './html.ts'

/** The path of the panel, and the nonce of this answer. */
export interface Place {
  /** The path of the panel, as the browser has it. */
  readonly base: string
  readonly nonce: string
}

export interface Page {
  readonly title: string
  readonly current: 'requests' | 'registry'
  /** The live events that load the page again: `all`, or the id of a request. */
  readonly follows: string | undefined
  readonly content: Html
}

/** A whole page around its content. */
export function layout({ base, nonce }: Place, { title, current, follows, content }: Page): string {
  const link = (name: Page['current'], path: string, label: string): Html =>
    html`<a href="${base}${path}" ${name === current && html`aria-current="page"`}>${label}</a>`
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title} · sqlassist</title>
        <link rel="icon" href="${base}/icon.svg" type="image/svg+xml" />
        <link rel="stylesheet" href="${base}/panel.css" nonce="${nonce}" />
        <script src="${base}/panel.js" nonce="${nonce}"></script>
      </head>
      <body data-base="${base}" data-follows="${follows ?? ''}">
        <a class="skip" href="#main">Skip to the content</a>
        <header class="bar">
          <a class="brand" href="${base}"
            ><svg class="logo" viewBox="0 0 16 16" aria-hidden="true">${LOGO}</svg
            ><span class="brand-name">sqlassist</span></a
          >
          <nav aria-label="Pages">${link('requests', '', 'Requests')}${link('registry', '/registry', 'Registry')}</nav>
          <span class="live" role="status" data-live="off">${follows === undefined ? '' : 'not live'}</span>
          <button type="button" class="quiet" data-do="theme" title="Theme (t)">
            Theme: <span data-theme-name>system</span>
          </button>
        </header>
        <main id="main" tabindex="-1">${content}</main>
        <p class="unseen" role="status" data-news></p>
        <footer class="keys" aria-label="Keys">
          <button type="button" class="quiet" data-do="keys" title="Switch these keys on or off">
            Keys: <span data-keys>on</span>
          </button>
          <kbd>/</kbd> filter <kbd>j</kbd> <kbd>k</kbd> move <kbd>↵</kbd> open <kbd>b</kbd> back <kbd>t</kbd> theme
        </footer>
      </body>
    </html> `.text
}

/** Three rows, one of them committed. */
const LOGO = html`<rect x="1" y="2" width="14" height="3" rx="1.5" opacity=".35" /><rect
    x="1"
    y="6.5"
    width="9"
    height="3"
    rx="1.5"
  /><rect x="1" y="11" width="14" height="3" rx="1.5" opacity=".35" /><circle cx="13.2" cy="8" r="1.8" />`

export const ICON = html`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" fill="#4263eb">${LOGO}</svg>`.text
