import { defineEntity, p, type InferEntity } from '@mikro-orm/core'

/** One attempt to change something: who, what, how the route answered, and whether it stayed. */
export const AuditEntry = defineEntity({
  name: 'AuditEntry',
  tableName: 'audit_log',
  properties: {
    id: p.integer().primary(),
    at: p.datetime(3).onCreate(() => new Date()),
    method: p.string(),
    path: p.text(),
    actor: p.text().nullable(),
    status: p.integer().nullable(),
    committed: p.boolean().onCreate(() => false),
  },
})

export type AuditEntry = InferEntity<typeof AuditEntry>
