import { ref, wrap } from '@mikro-orm/core'
import fc from 'fast-check'
import * as assert from 'uvu/assert'
import { DIALECTS, type Dialect } from '../support/orms.ts'
import { CLEAN, PREPARED } from '../../source/database/postgres/cleaning.ts'
import { suite } from '../support/suite.ts'
import {
  Author,
  Book,
  brief,
  Chapter,
  fillTables,
  memoryOf,
  Note,
  openWorld,
  rows,
  run,
  TABLES,
  Topic,
  type World,
  wronglyKept,
} from './savepoint-world.ts'

/** The entities that the steps have met so far, to choose from by number. */
interface Pool {
  readonly authors: any[]
  readonly books: any[]
  readonly topics: any[]
  readonly notes: any[]
}
interface Step {
  readonly kind: string
  readonly one: number
  readonly two: number
}
type Do = (em: any, pool: Pool, one: number, two: number) => unknown

const seed = Number(process.env['FAST_CHECK_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
process.stdout.write(`fast-check seed ${seed}\n`)

/** Courses that went wrong once: what was loaded again went over to the object that stood for its row before. */
const LOADED_AGAIN: Step[] = [
  { kind: 'all books', one: 0, two: 0 },
  { kind: 'chapters of a book', one: 9, two: 0 },
]
type Excursion = [first: Step[], inner: Step[], byOuter: boolean, clear: boolean]
/** The entities of a restored collection were loaded again, and what the rollback reads anew belongs to it. */
const LOADED_BESIDE: [Step[], Step[], Step[], Step[], Step[]][] = [
  [
    [],
    [],
    [],
    [{ kind: 'books of an author', one: 0, two: 0 }],
    [
      { kind: 'clear', one: 0, two: 0 },
      { kind: 'all authors', one: 0, two: 0 },
      { kind: 'books replaced', one: 2, two: 0 },
    ],
  ],
]
const NESTED_EXAMPLES: [Step[], Step[], Excursion[]][] = [
  [
    [],
    [],
    [
      [LOADED_AGAIN, [], false, true],
      [[], [], false, false],
    ],
  ],
]

/** A change that could not be stored is refused, as where an upsert made another object of a row: that is no loss. */
const allowRefusal = (error: any): void => {
  if (error?.code !== 'SQLASSIST_DETACHED_ENTITY') throw error
}

let serial = 0
const pick = (from: any[], index: number): any => from[index % from.length]

const ifManaged = (entity: any, work: (entity: any) => unknown): unknown => wrap(entity).isManaged() && work(entity)

/** Operations that never fail on loaded entities. */
const SAFE: Record<string, Do> = {
  rename: (_, { authors }, one, two) => void (pick(authors, one).name = `name ${two}`),
  retitle: (_, { books }, one) => void (pick(books, one).title = `title ${++serial}`),
  move: (_, { authors }, one, two) =>
    void (pick(authors, one).address = two % 3 === 0 ? null : { street: `s${two}`, city: 'C' }),
  'move in place': (_, { authors }, one, two) => {
    const { address } = pick(authors, one)
    if (address != null) address.city = `c${two}`
  },
  'place added': (_, { authors }, one, two) => void (pick(authors, one).places ??= []).push({ street: `p${two}` }),
  'place changed': (_, { authors }, one, two) => {
    const place = pick(authors, one).places?.[0]
    if (place !== undefined) place.street = `q${two}`
  },
  settings: (_, { authors }, one, two) => void ((pick(authors, one).settings ??= {})[`k${two % 3}`] = two),
  born: (_, { authors }, one, two) => void (pick(authors, one).born = new Date(two)),
  'born in place': (_, { authors }, one, two) => void pick(authors, one).born?.setTime(two),
  photo: (_, { authors }, one, two) => void pick(authors, one).photo?.set(`photo ${two}`),
  'new author': (em, { authors }, one) => void authors.push(em.create(Author, { name: `new ${one}` })),
  'new book': (em, { authors, books, topics }, one, two) => {
    const title = `new ${++serial}`
    books.push(em.create(Book, { title, author: pick(authors, one), topics: [pick(topics, two)] }))
  },
  'new topic': (em, { topics }) => void topics.push(em.create(Topic, { label: `new ${++serial}` })),
  'new chapter': (em, { books }, one) => void em.create(Chapter, { title: 'new', book: pick(books, one) }),
  'new note': (em, { notes }, one) => {
    const note = em.create(Note, { text: `note ${one}`, next: notes.length > 0 ? pick(notes, one) : null })
    if (notes.length > 0) note.see.add(pick(notes, one))
    notes.push(note)
  },
  'two notes in a circle': (em, { notes }) => {
    const [here, there] = [em.create(Note, { text: 'here' }), em.create(Note, { text: 'there' })]
    here.next = there
    there.next = here
    here.see.add(there)
    notes.push(here, there)
  },
  'author of a book': (_, { authors, books }, one, two) =>
    void (pick(books, one).author = two % 4 === 0 ? null : pick(authors, two)),
  'editor of a book': (_, { authors, books }, one, two) => void (pick(books, one).editor = ref(pick(authors, two))),
  'book added': (_, { authors, books }, one, two) => void pick(authors, one).books.add(pick(books, two)),
  'topic added': (_, { books, topics }, one, two) => void pick(books, one).topics.add(pick(topics, two)),
  'book added to a topic': (_, { books, topics }, one, two) => void pick(topics, one).books.add(pick(books, two)),
  flush: (em) => em.flush(),
}
const LOADING: Record<string, Do> = {
  'all authors': async (em, { authors }) =>
    void authors.push(...(await em.find(Author, {}, { orderBy: { id: 'asc' } }))),
  'all books': async (em, { books }) =>
    void books.push(...(await em.find(Book, {}, { orderBy: { id: 'asc' }, populate: ['author', 'topics'] }))),
  'books of an author': (_, { authors }, one) => ifManaged(pick(authors, one), ({ books }) => books.init()),
  'topics of a book': (_, { books }, one) => ifManaged(pick(books, one), ({ topics }) => topics.init()),
  'chapters of a book': (_, { books }, one) => ifManaged(pick(books, one), ({ chapters }) => chapters.init()),
  'books of a topic': (_, { topics }, one) => ifManaged(pick(topics, one), ({ books }) => books.init()),
  bio: (em, { authors }, one) => ifManaged(pick(authors, one), (author) => em.populate(author, ['bio'])),
  'photo loaded': (_, { authors }, one) => ifManaged(pick(authors, one), ({ photo }) => photo?.load()),
  editor: (_, { books }, one) => ifManaged(pick(books, one), ({ editor }) => editor?.load()),
  refresh: (em, { authors }, one) => ifManaged(pick(authors, one), (author) => em.refresh(author)),
}
const ROUGH: Record<string, Do> = {
  'remove a book': (em, { books }, one) => void em.remove(pick(books, one)),
  'remove a topic': (em, { topics }, one) => void em.remove(pick(topics, one)),
  'remove an author': (em, { authors }, one) => void em.remove(pick(authors, one)),
  'books replaced': (_, { authors, books }, one, two) => void pick(authors, one).books.set([pick(books, two)]),
  'topics replaced': (_, { books, topics }, one, two) => void pick(books, one).topics.set([pick(topics, two)]),
  'topics emptied': (_, { books }, one) => void pick(books, one).topics.removeAll(),
  'topic taken away': (_, { books }, one) => void pick(books, one).topics.remove(pick(books, one).topics[0]),
  'book taken away': (_, { authors }, one) => void pick(authors, one).books.remove(pick(authors, one).books[0]),
  'chapter taken away': (_, { books }, one) => void pick(books, one).chapters.remove(pick(books, one).chapters[0]),
  'matching, stored': (_, { books }, one) => pick(books, one).topics.matching({ where: { id: 2 }, store: true }),
  'native update': (em) => em.nativeUpdate(Author, {}, { name: 'native' }),
  'native delete': (em) => em.nativeDelete(Chapter, {}),
  'raw write': (em) => em.execute(`update topic set label = label || '!'`),
  'a statement that fails': (em) => em.execute('select nothing from nowhere'),
  'upsert of data': async (em, { topics }) => void topics.push(await em.upsert(Topic, { label: 'sea' })),
  'upsert of an entity': (em, { topics }) => em.upsert(pick(topics, 7)),
  'insert of an entity': (em) => em.insert(em.create(Topic, { label: `inserted ${++serial}` }, { persist: false })),
  clear: (em) => void em.clear(),
  'a duplicate': (em) => void em.create(Topic, { label: 'sea' }),
  'nested, failing': (em, { authors }, one) =>
    em.transactional(async (nested: any) => {
      pick(authors, one).name = 'nested'
      nested.create(Topic, { label: `nested ${++serial}` })
      await nested.flush()
      throw new Error('given up')
    }),
  'nested, well': (em, { authors, topics }, one) =>
    em.transactional((nested: any) => {
      pick(authors, one).name = 'nested'
      topics.push(nested.create(Topic, { label: `nested ${++serial}` }))
    }),
}
const ALL = { ...SAFE, ...LOADING, ...ROUGH }

const steps = (kinds: object, maxLength: number) =>
  fc.array(fc.record({ kind: fc.constantFrom(...Object.keys(kinds)), one: fc.nat(9), two: fc.nat(9) }), { maxLength })

async function play(em: any, pool: Pool, list: readonly Step[]): Promise<void> {
  for (const { kind, one, two } of list) await ALL[kind]?.(em, pool, one, two)
}

/** Goes on after an error, as a handler that swallows them; whether there was none. */
async function playRoughly(em: any, pool: Pool, list: readonly Step[]): Promise<boolean> {
  let isWell = true
  for (const step of list) await play(em, pool, [step]).catch(() => (isWell = false))
  return isWell
}

async function start(em: any): Promise<Pool> {
  const authors = await em.find(Author, {}, { orderBy: { id: 'asc' } })
  const books = await em.find(Book, {}, { orderBy: { id: 'asc' }, populate: ['topics'] })
  return { authors, books, topics: await em.find(Topic, {}, { orderBy: { id: 'asc' } }), notes: [] }
}

function copyOf({ authors, books, topics, notes }: Pool): Pool {
  return { authors: [...authors], books: [...books], topics: [...topics], notes: [...notes] }
}

/** Without the keys that differ from run to run: random ones, and those that PostgreSQL does not take back. */
/** Is for the unit that has the connection next. */
const CLEANING = `${CLEAN};${PREPARED}`.split(';')

function comparable(texts: readonly string[], dialect: Dialect): string[] {
  return texts.map((text) => {
    const known = text.replaceAll(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'uuid')
    return dialect === 'sqlite' ? known : known.replaceAll(/\b[1-9]\d+\b/g, 'number')
  })
}

/** With a difference that can be read: what is there, entity by entity, in place of what should be. */
function same(actual: readonly unknown[], expected: readonly unknown[]): void {
  const [is, should] = [actual, expected].map((states) => states.map((state) => JSON.stringify(sorted(state))))
  const wrong = (is ?? []).flatMap((state, index) =>
    state === should?.[index] ? [] : [`${state}\n  not ${should?.[index]}`],
  )
  assert.is(wrong.join('\n'), '')
  assert.equal(actual, expected)
}

function sorted(value: any): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(
    Object.keys(value)
      .toSorted()
      .map((key) => [key, sorted(value[key])]),
  )
}

async function tablesInside(em: any): Promise<unknown> {
  const tables: unknown[] = []
  for (const table of TABLES) tables.push(await em.execute(`select * from ${table} order by 1, 2`))
  return JSON.parse(JSON.stringify(tables))
}

for (const dialect of DIALECTS) {
  const test = suite<World>(`any course of things after a savepoint on ${dialect}`)
  test.before(async (world) => void Object.assign(world, await openWorld(dialect)))
  test.after((world) => world.close())

  const numRuns = Number(process.env['RUNS'] ?? (dialect === 'sqlite' ? 80 : 25))

  test('is undone in the tables and in memory, once and again, and leaves nothing to write', async (world) => {
    const { registry, recording } = world
    const counts = { inner: 0, outer: 0 }
    const property = fc.asyncProperty(
      steps(SAFE, 8),
      steps({ ...SAFE, ...LOADING }, 6),
      steps(ALL, 12),
      steps(ALL, 12),
      steps(ALL, 12),
      async (written, pending, first, inner, second) => {
        await fillTables(world)
        await run(registry, false, async ({ em, txn }) => {
          const pool = await start(em)
          await play(em, pool, written)
          await em.flush()
          await play(em, pool, pending)
          const savepoint = await txn.savepoint()
          const [memory, tables] = [memoryOf(em), await tablesInside(em)]
          for (const list of [first, second]) {
            const later = copyOf(pool)
            if (await playRoughly(em, later, list)) {
              const innerSavepoint = await txn.savepoint().catch(() => undefined)
              if (innerSavepoint === undefined) return await txn.abort() // its flush failed, and the transaction with it
              const innerMemory = memoryOf(em)
              await playRoughly(em, later, inner)
              await innerSavepoint.rollback()
              same(memoryOf(em, innerMemory), innerMemory)
              same(await wronglyKept(em, innerMemory), [])
              await playRoughly(em, later, inner)
              counts.inner++
            }
            counts.outer++
            await savepoint.rollback()
            same(memoryOf(em, memory), memory)
            assert.equal(await tablesInside(em), tables)
            same(await wronglyKept(em, memory), [])
          }
          recording.reset()
          await em.flush()
          assert.equal(brief(recording.sql()), [])
        }).catch(allowRefusal)
      },
    )
    await fc.assert(property, { numRuns, seed, examples: LOADED_BESIDE })
    assert.ok(counts.inner > 0 && counts.outer > counts.inner, JSON.stringify(counts))
  })

  test('is undone where it was in em.transactional(), by whichever entity manager, and at any depth', async (world) => {
    const property = fc.asyncProperty(
      steps(SAFE, 8),
      steps({ ...SAFE, ...LOADING }, 6),
      fc.array(fc.tuple(steps(ALL, 8), steps(ALL, 8), fc.boolean(), fc.boolean()), { minLength: 1, maxLength: 3 }),
      async (written, loaded, excursions) => {
        await fillTables(world)
        await run(world.registry, false, async ({ em }) => {
          const pool = await start(em)
          await play(em, pool, [...written, ...loaded])
          await em.flush()
          const [memory, tables] = [memoryOf(em), await tablesInside(em)]
          for (const [first, inner, byOuter, clear] of excursions) {
            const later = copyOf(pool)
            const fails = async (on: any, list: readonly Step[], then: (nested: any) => unknown): Promise<void> => {
              const work = async (nested: any): Promise<void> => {
                await playRoughly(byOuter ? em : nested, later, list)
                await then(nested)
                throw new RangeError('undo')
              }
              await on.transactional(work, { clear }).catch(() => undefined)
            }
            await fails(em, first, (nested) => fails(nested, inner, () => undefined))
            same(memoryOf(em, memory), memory)
            assert.equal(await tablesInside(em), tables)
            same(await wronglyKept(em, memory), [])
          }
          world.recording.reset()
          await em.flush()
          assert.equal(brief(world.recording.sql()), [])
        })
      },
    )
    await fc.assert(property, { numRuns: Math.ceil(numRuns / 2), seed, examples: NESTED_EXAMPLES })
  })

  test('is as if it had never been for all that comes after: the same statements, the same rows', async (world) => {
    const property = fc.asyncProperty(
      steps(SAFE, 8),
      steps(ALL, 12),
      steps({ ...SAFE, ...LOADING }, 12),
      async (before, excursion, after) => {
        const outcomes: unknown[] = []
        for (const goesAway of [false, true]) {
          await fillTables(world)
          await run(world.registry, false, async ({ em, txn }) => {
            serial = 0
            const pool = await start(em)
            await play(em, pool, before)
            const savepoint = await txn.savepoint()
            if (goesAway) {
              await playRoughly(em, copyOf(pool), excursion)
              await savepoint.rollback()
            }
            serial = 1000
            world.recording.reset()
            await play(em, pool, after)
          })
          const ofTheUnit = world.recording.sql().filter((sql) => !CLEANING.includes(sql))
          const sent = comparable(ofTheUnit, dialect)
          const texts = Object.values(await rows(world.look)).map((table) =>
            (table as unknown[]).map((row) => JSON.stringify(row)),
          )
          outcomes.push({ sent, rows: texts.map((table) => comparable(table, dialect).toSorted()) })
        }
        assert.equal(outcomes[1], outcomes[0])
      },
    )
    await fc.assert(property, { numRuns, seed })
  })

  test.run()
}
