import { html, type Content } from './html.ts'

/** A whole page. */
export function layout(title: string, content: Content): string {
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title}</title>
        <link rel="icon" href="data:," />
        <link rel="stylesheet" href="/style.css" />
      </head>
      <body>
        <header>
          <a class="brand" href="/">conduit</a>
          <span class="tagline">a place to share your knowledge, on koa-sqlassist</span>
          <nav><a href="/audit">audit log</a></nav>
        </header>
        <main>${content}</main>
      </body>
    </html>`
  return page.toString()
}
