import type { PositionOrigin } from '../../session/served-by.ts'
import type { RecordedServer } from '../record.ts'
import { duration } from './format.ts'
import { html, type Html } from './html.ts'

const BECAUSE: Readonly<Record<PositionOrigin, string>> = {
  own: 'own: what the unit or its client has committed',
  floor: 'floor: where the primary was maxLagMs ago',
  seen: 'seen: what the unit has shown before',
}

/** Which server answered a statement, what it waited and what it had to show. */
export function serverFacts({ server, waitedMs, needed, because, fallback }: RecordedServer): Html {
  return html`<div>
      <dt>server</dt>
      <dd>${server}${fallback !== undefined && html` <span class="muted">(${fallback})</span>`}</dd>
    </div>
    <div>
      <dt>waited</dt>
      <dd>${waitedMs === 0 ? '–' : duration(waitedMs)}</dd>
    </div>
    ${
      needed !== undefined &&
      html`<div class="wide">
        <dt>had to show</dt>
        <dd><code>${needed}</code>${because !== undefined && html` <span class="muted">${BECAUSE[because]}</span>`}</dd>
      </div>`
    }`
}
