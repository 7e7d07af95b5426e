export { debugPanel, type DebugPanel } from './debug-panel.ts'
export type { DebugPanelOptions } from './debug-panel-options.ts'
export type {
  RecordedAttempt,
  RecordedChange,
  RecordedEnd,
  RecordedError,
  RecordedRequest,
  RecordedRole,
  RecordedServer,
  RecordedSpan,
  RecordedStatement,
  RecordedStep,
  RecordedTransaction,
} from './record.ts'
export type { Repeated } from './repeated.ts'
export type { RequestSnapshot } from './snapshot.ts'
export type { Totals } from './totals.ts'
