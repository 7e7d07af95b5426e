import { HARMLESS_CALLS } from './harmless-calls.ts'
import { SqlTokens } from './sql-tokens.ts'

/** Whether a name is of a plain table, which runs no function when it is read. */
export type IsTable = (name: string) => boolean

const SESSION_LOCK = /^pg_(?:try_)?advisory_lock(?:_shared)?$/
const TEMPORARY = new Set(['temp', 'temporary'])
const BEFORE_TEMPORARY = new Set(['create', 'into', 'local', 'global', 'replace'])
const BEGINS_FROM_LIST = new Set(['select', 'delete', 'update', 'merge'])
const BEFORE_RELATION = new Set(['from', 'join', 'into', 'update', 'using', 'table', 'only', 'lateral'])
/** In front of `update`, `from` and the like where no relation follows. */
const NO_RELATION_BEHIND = new Set(['for', 'key', 'do', 'distinct'])
const ENDS_LIST = new Set(
  'where group order having limit offset union intersect except window for set values returning'.split(' '),
)

const AS = new Set(['as', 'materialized'])

/** What is open in a bracket. */
interface Level {
  /** Whether it is of a query, so that FROM names relations. */
  isQuery: boolean
  /** Whether a comma separates relations. */
  isList: boolean
}

/**
 * Looks through one statement for what may outlive it: calls of functions, relations that are no tables, temporary objects.
 * The first word of the statement is read. Doubts where a parser would know: that is safe.
 */
export class StatementScan {
  /** Whether the text says so. */
  outlives = false
  /** Whether it calls a function, or reads a relation, of which the text says nothing. */
  runsUnknown = false
  readonly #tokens: SqlTokens
  readonly #isTable: IsTable
  /** Names of WITH. */
  #queries: string[] | undefined
  readonly #levels: Level[] = [{ isQuery: true, isList: false }]
  #previous: string
  #expectsRelation: boolean
  /** A relation that was named and is not judged yet: a dot or a bracket may follow. */
  #relation: string | undefined
  #isTarget = false
  /** What is called if a bracket follows. */
  #callable: string | undefined
  /** The name in front of `as`. */
  #named: string | undefined

  constructor(tokens: SqlTokens, isTable: IsTable) {
    this.#tokens = tokens
    this.#isTable = isTable
    this.#previous = tokens.word
    this.#expectsRelation = BEFORE_RELATION.has(tokens.word)
  }

  run(): void {
    while (!this.outlives && this.#tokens.nextOfStatement()) this.#read()
    this.#judgeRelation()
  }

  #read(): void {
    const tokens = this.#tokens
    const { kind, word } = tokens
    if (kind === 'word' || kind === 'name') this.#readName(word)
    else if (tokens.is('.')) this.#readDot()
    else if (tokens.is('(')) this.#open()
    else this.#readOther()
    this.#previous = tokens.is('.') ? '.' : word
  }

  #readName(word: string): void {
    const isQualified = this.#previous === '.'
    const name = word === '' ? unquoted(this.#tokens.token) : word
    if (this.#relation !== undefined) this.#judgeRelation()
    if (word !== '' && !isQualified && this.#readWord(word)) return
    if (this.#expectsRelation) {
      this.#relation = name
      this.#isTarget = this.#previous === 'into' || this.#isTarget
      this.#expectsRelation = false
    }
    const isHarmless = HARMLESS_CALLS.has(word) && (!isQualified || this.#callable === 'pg_catalog')
    // Behind `as` stands an alias, whose bracket has names of columns.
    this.#callable = isHarmless || this.#previous === 'as' ? undefined : name
    if (word !== 'as' && word !== 'materialized') this.#named = name
  }

  /** Whether it is a word that is followed by a relation. */
  #readWord(word: string): boolean {
    const level = this.#level
    const previous = this.#previous
    if (TEMPORARY.has(word) && BEFORE_TEMPORARY.has(previous)) this.outlives = true
    if (word === 'hold' && previous === 'with') this.outlives = true
    if (BEGINS_FROM_LIST.has(word)) {
      level.isQuery = true
      this.#expectsRelation = false
    }
    if (BEFORE_RELATION.has(word) && level.isQuery && !NO_RELATION_BEHIND.has(previous)) {
      this.#expectsRelation = true
      this.#isTarget = word === 'into'
      level.isList ||= word === 'from' || word === 'using'
      this.#callable = undefined
      return true
    }
    if (ENDS_LIST.has(word)) level.isList = false
    return false
  }

  #readDot(): void {
    this.#expectsRelation = this.#relation !== undefined
    this.#relation = undefined
  }

  #open(): void {
    const called = this.#callable
    const isColumns = this.#relation !== undefined && this.#isTarget
    if (isColumns) this.#judgeRelation()
    else if (called !== undefined) this.#call(called)
    else if (this.#named !== undefined && AS.has(this.#previous)) (this.#queries ??= []).push(this.#named)
    this.#relation = undefined
    this.#callable = undefined
    // Of a join, which may be in brackets, or of a query, whose first word says so.
    const isList = this.#expectsRelation && this.#previous !== 'using'
    this.#expectsRelation = isList
    this.#levels.push({ isQuery: isList, isList })
  }

  #readOther(): void {
    const tokens = this.#tokens
    this.#judgeRelation()
    this.#callable = undefined
    if (tokens.is(')') && this.#levels.length > 1) this.#levels.pop()
    this.#expectsRelation = tokens.is(',') && this.#level.isList
    this.#isTarget = false
  }

  get #level(): Level {
    return this.#levels.at(-1) as Level
  }

  #call(name: string): void {
    if (SESSION_LOCK.test(name)) this.outlives = true
    else if (name !== 'set_config') this.runsUnknown = true
    else if (!isLocal(this.#tokens)) this.outlives = true
  }

  #judgeRelation(): void {
    const relation = this.#relation
    this.#relation = undefined
    if (relation === undefined || this.#queries?.includes(relation)) return
    if (!this.#isTable(relation)) this.runsUnknown = true
  }
}

/** Whether the third argument of a call, whose bracket is read, is TRUE. */
function isLocal({ text, end, dialect }: SqlTokens): boolean {
  const tokens = new SqlTokens(text.slice(end), dialect)
  const third: string[] = []
  let commas = 0
  for (let depth = 1; depth > 0 && tokens.nextMeaning();) {
    if (tokens.is('(')) depth++
    else if (tokens.is(')')) depth--
    else if (tokens.is(',') && depth === 1) commas++
    else if (commas === 2) third.push(tokens.word)
  }
  return third.length === 1 && third[0] === 'true'
}

function unquoted(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name
}
