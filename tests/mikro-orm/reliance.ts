/** How the tests of this folder write down a private or undocumented part of MikroORM, Kysely or pg. */
import type { World } from '../memory/savepoint-world.ts'

/** How such a part looks in the text of source/. */
export const FORMS = {
  cast: /\bas unknown as\b/,
  narrowed: /\b(?:em|driver|connection|config|uow|executor|platform|client|prototype) as (?:\{ (?!\[)|\{$|Internals)/m,
  field: /\b__[a-zA-Z]\w*/,
  helper: /\bhelper(?:Of)?\(/,
  unitOfWork: /\bgetUnitOfWork\(|\buow\.\w/,
  comparator: /\b(?:prepareEntity|diffEntities|getEntityComparator)\(/,
  collection: /\b(?:(?:add|remove)WithoutPropagation|takeSnapshot|hydrate|setDirty|getSnapshot|isPartial)\(/,
  scalarReference: /\bnew ScalarReference\b/,
  flush: /\b(?:doCommit|persistToDatabase)\b/,
  merge: /\bmergeEntitiesToParent\b/,
  nestedFork: /\bcloneEventManager ===/,
  getContext: /\bgetContext\(/,
  asyncContext: /\b(?:RequestContext|TransactionContext)\b/,
  resultCache: /\b(?:tryCache|storeCache)\(/,
  transactionContext: /\b(?:get|set|reset)TransactionContext\(/,
  sessionContext: /\bget(?:Transaction)?SessionContext\(/,
  tryFlush: /\btryFlush\(/,
  listeners: /\b(?:hasListeners|getSubscribers)\(/,
  config: /\bconfig\.set\(|\bconfig\.get\('context'\)|\bskipTables\b/,
  override: /\boverride\(/,
  constructor: /\b(?:em|client|driver|getPlatform\(\))\.constructor\b/,
  subclass: /\bextends (?:Base|Query)\b/,
  prototype: /\b(?:Configuration|EntityManager)\.prototype\b|\bgetPrototypeOf\((?:executor|Object)/,
  schema: /\b(?:getSchemaHelper|getColumnDefinitions|getSchemaPrefix)\(/,
  nativeClient: /\bgetNativeClient\(/,
  client: /\bgetClient\(|'getClient'/,
  executor: /\bgetExecutor\(|\bprovideConnection\b|\bwithConnectionProvider\(/,
  savepoint: /\b(?:rollbackToSavepoint|releaseSavepoint)\(/,
  cancel: /\bcollectSessionInfo\(/,
  pg: /\b_(?:queryable|ending|ended|clients)\b|\bprocessID\b|\breadyForQuery\b|\bgetTransactionStatus\(|\bnew Client\(|'drain'/,
} as const satisfies Readonly<Record<string, RegExp>>

export type Form = keyof typeof FORMS

/** One database of each kind. */
export interface Worlds {
  readonly sqlite: World
  readonly postgres: World
}

export interface Reliance {
  /** A sentence with the part as its subject, and the title of its test. */
  readonly what: string
  /** Files below source/. */
  readonly where: readonly string[]
  /** How the part looks there. */
  readonly forms: readonly Form[]
  readonly why: string
  /** Throws where the sentence is not true. */
  check(worlds: Worlds): unknown
}
