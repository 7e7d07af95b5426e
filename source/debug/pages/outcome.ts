import type { RecordedAttempt, RecordedRequest } from '../record.ts'
import { html, type Html } from './html.ts'

/** How an attempt ended, in a word. */
function outcomeWord({ outcome }: RecordedAttempt): string {
  return outcome ?? 'under way'
}

/** How an attempt ended and why, in a sentence. */
export function outcomeSentence(request: RecordedRequest, attempt: RecordedAttempt): string {
  switch (attempt.outcome) {
    case undefined:
      return 'Under way.'
    case 'committed':
      return `Committed${committedRoles(attempt)}.`
    case 'ended':
      return 'The handler ended its transaction by itself, and nothing was left to do.'
    case 'aborted':
      return `Aborted: ${abortReason(request, attempt)}${attempt.retries ? '. Then it was tried again' : ''}.`
  }
}

function committedRoles({ ends }: RecordedAttempt): string {
  const roles = new Set(ends.filter(({ how, error }) => how.startsWith('commit') && !error).map(({ role }) => role))
  return roles.size === 0 ? '; no database had anything to commit' : `: ${[...roles].join(', ')}`
}

function abortReason({ kind, status }: RecordedRequest, { reason, steps }: RecordedAttempt): string {
  switch (reason) {
    case 'doomed':
      return 'the transaction was doomed'
    case 'vetoed':
      return `the commit veto said so${status === undefined ? '' : ` (status ${status})`}`
    case 'cancelled':
      return kind === 'run' ? 'the run was cancelled' : 'the client went away'
    case 'failed':
    case undefined: {
      const inCommit = steps.some(({ step, error }) => step === 'commit' && error !== undefined)
      return inCommit ? 'the commit failed' : 'an error was thrown'
    }
  }
}

/** The outcome in a badge of its colour. */
export function outcomeBadge(attempt: RecordedAttempt): Html {
  const tone = { committed: 'good', aborted: 'bad', ended: 'plain' } as const
  const { outcome, reason } = attempt
  const why = reason === undefined ? '' : ` · ${reason}`
  return html`<span class="badge ${outcome === undefined ? 'busy' : tone[outcome]}"
    >${outcomeWord(attempt)}${why}</span
  >`
}

export function statusBadge({ kind, status, clientLeft }: RecordedRequest): Html {
  if (kind === 'run') return html`<span class="badge plain">run</span>`
  if (clientLeft) return html`<span class="badge bad">client left</span>`
  if (status === undefined) return html`<span class="badge busy">…</span>`
  const tone = status >= 500 ? 'bad' : status >= 400 ? 'warn' : 'plain'
  return html`<span class="badge ${tone}">${status}</span>`
}

/** The title of a request: method and url, or the note of a run. */
export function titleOf({ kind, method, url, attempts }: RecordedRequest): string {
  return kind === 'request' ? `${method} ${url}` : descriptionOf(attempts) || 'run'
}

function descriptionOf(attempts: readonly RecordedAttempt[]): string {
  return (
    attempts.flatMap(({ transactions }) => transactions).find(({ description }) => description !== '')?.description ??
    ''
  )
}
