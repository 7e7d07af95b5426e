import { html, type Html } from './html.ts'

/** What to do where no request has come yet, and why none may come. */
export function emptyPart(): Html {
  return html`<section class="card first-steps">
    <h2>No request yet</h2>
    <p>
      Send one that passes through <code>dbSessions</code>, such as that of
      <a href="/" target="_blank" rel="noopener">the application’s first page</a>. It appears here as it comes. So do
      runs of <code>registry.run</code>.
    </p>
    <p>None comes? The panel shows one registry. Give the same one to <code>dbSessions</code>, below the panel:</p>
    <pre tabindex="0" role="group" aria-label="The two lines">
app.use(debugPanel(registry))
app.use(dbSessions(registry))</pre>
    <p class="muted">
      <code>dbSessions(engines)</code> makes a registry of its own, which this panel does not see. What another
      middleware answers above <code>dbSessions</code> has no sessions, and does not appear.
    </p>
  </section>`
}
