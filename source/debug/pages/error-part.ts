import process from 'node:process'
import type { RecordedError } from '../record.ts'
import { html, type Html } from './html.ts'

const HERE = [`file://${process.cwd()}/`, `${process.cwd()}/`]

/** An error with its stack and its causes. */
export function errorPart({ name, message, code, frames, cause }: RecordedError): Html {
  return html`<div class="error">
    <p class="error-head"><strong>${name}</strong>${code !== undefined && html` <code>${code}</code>`}</p>
    <p class="error-message">${message}</p>
    ${frames.length > 0 && stack(frames.map(shortened))}
    ${
      cause !== undefined &&
      html`<div class="cause">
        <p class="label">Caused by</p>
        ${errorPart(cause)}
      </div>`
    }
  </div>`
}

/** The first line of the program's own in a stack, and the whole stack when opened. */
function stack(frames: readonly string[]): Html {
  return html`<details class="stack">
    <summary>${frames.find((line) => !isForeign(line)) ?? frames[0]}</summary>
    <pre class="frames" tabindex="0" role="group" aria-label="Stack">${frames.map(frame)}</pre>
  </details>`
}

function frame(line: string): Html {
  return html`<span class="${isForeign(line) ? 'frame foreign' : 'frame'}">${line}</span>`
}

function isForeign(line: string): boolean {
  return /node:|[\\/]?node_modules[\\/]/.test(line)
}

/** A path as seen from where the process was started. */
function shortened(line: string): string {
  return HERE.reduce((text, prefix) => text.replace(prefix, ''), line)
}
