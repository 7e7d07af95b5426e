import { html, type Markup } from './html.ts'

/** The form that writes an article. Who has not signed in does it with the same form, in the same transaction. */
export function writeForm(username: string | undefined): Markup {
  return html`<details class="write">
    <summary>Write an article</summary>
    <form method="post" action="/articles">
      ${username === undefined ? whoYouAre() : html`<p class="hint">You are <strong>${username}</strong>.</p>`}
      <label>Title <input name="title" required /></label>
      <label>Description <input name="description" required /></label>
      <label>Text <textarea name="body" rows="6" required></textarea></label>
      <label>Tags <input name="tags" placeholder="separated by spaces" /></label>
      <label class="check">
        <input type="checkbox" name="fail" /> Let it fail when everything is written, and see what is left of it
      </label>
      <button>Publish</button>
    </form>
  </details>`
}

function whoYouAre(): Markup {
  return html`<p class="hint">
      Whoever is new is registered along with the article: both are stored, or neither. The others sign in by it.
    </p>
    <label>Name <input name="username" autocomplete="username" required /></label>
    <label>E-mail <input name="email" type="email" autocomplete="email" required /></label>
    <label>Password <input name="password" type="password" autocomplete="current-password" required /></label>`
}
