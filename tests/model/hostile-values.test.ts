import * as assert from 'uvu/assert'
import { defineEntity, p } from '@mikro-orm/core'
import type { SqlEntityManager } from '@mikro-orm/sql'
import {
  getByColumnExactThenIlike,
  getByColumnLower,
  getByColumnSimilar,
  getById,
  getByIds,
  getRange,
  QueryArgumentError,
  UnknownColumnError,
} from '../../source/index.ts'
import { DIALECTS, openDatabase, type TestOrm } from '../support/orms.ts'
import { rejection } from '../support/rejection.ts'
import type { SecondLook } from '../support/second-look.ts'
import { suite } from '../support/suite.ts'

/** The primary key is text, so that it can be hostile as well. */
const Word = defineEntity({
  name: 'Word',
  properties: { text: p.text().primary(), copy: p.text(), more: p.text().nullable(), data: p.json().nullable() },
})

const HOSTILE = [
  `'`,
  `''`,
  `"`,
  '`',
  '\\',
  `\\'`,
  `' or '1'='1`,
  `'; drop table word; --`,
  `") or 1=1 --`,
  '` or 1=1 --',
  '--',
  '/*',
  '*/',
  '#',
  '?',
  '??',
  '\\?',
  ':name',
  ':name:',
  '::text',
  '$1',
  '$$',
  '$tag$',
  '@p1',
  '%',
  '_',
  '!',
  '!%',
  '!!',
  '[raw]: 1=1 (#1)',
  '[::alias::]',
  '~~~',
  '{"$ne":null}',
  '$ne',
  '$or',
  'null',
  '\n\r\t\u001a',
  ' ',
  '',
  'ünïcödé ẞ İ ı',
  '😀',
  '\u202e\u200b\ufeff',
  '\ud800',
  'ʼ＇',
  `${'x'.repeat(5000)}'`,
]

interface World {
  orm: TestOrm
  em: SqlEntityManager
  look: SecondLook
  sent: string[]
  close(): Promise<void>
}

/** PostgreSQL's driver sends half a surrogate pair as U+FFFD, and SQLite's too. */
const stored = (text: string) => text.toWellFormed()
const same = (one: string, other: string) => one.toLowerCase() === other.toLowerCase()

for (const dialect of DIALECTS) {
  const test = suite<World>(`hostile values, ${dialect}`)

  test.before(async (world) => {
    const sent: string[] = []
    const config = { entities: [Word], debug: ['query'], logger: (line: string) => void sent.push(line), colors: false }
    Object.assign(world, await openDatabase(dialect, { config }), { sent })
    const em = world.orm.em.fork() as SqlEntityManager
    for (const text of [...HOSTILE.map(stored), 'harmless']) {
      em.create(Word, { text, copy: text, more: `(${text})`, data: null })
    }
    await em.flush()
  })
  test.before.each((world) => {
    world.em = world.orm.em.fork()
    world.sent.length = 0
  })
  test.after.each(async ({ look }) => {
    assert.is(await look.value('select count(*) from word'), HOSTILE.length + 1, 'nothing was done to the table')
  })
  test.after((world) => world.close())

  test('as a key, a hostile text finds its own row', async ({ em }) => {
    for (const text of HOSTILE.map(stored)) assert.is((await getById(em, Word, text))?.copy, text)
    em.clear()
    const found = await getByIds(em, Word, HOSTILE.map(stored))
    assert.equal(
      found.map(({ copy }) => copy),
      HOSTILE.map(stored),
    )
  })

  test('as a search, it finds what is the same text', async ({ em }) => {
    for (const text of HOSTILE) {
      const found = await getByColumnLower(em, Word, 'copy', text, { many: true })
      assert.ok(
        found.some(({ copy }) => copy === stored(text)),
        text,
      )
      assert.ok(
        found.every(({ copy }) => same(copy, stored(text))),
        text,
      )
      assert.is((await getByColumnExactThenIlike(em, Word, 'copy', text))?.copy, stored(text))
      assert.is((await getByColumnExactThenIlike(em, Word, 'more', `(${text})`))?.copy, stored(text))
    }
  })

  test('as a seed, it finds what begins with it or contains it, and nothing else', async ({ em }) => {
    for (const text of HOSTILE.map(stored)) {
      const all = [...HOSTILE.map(stored), 'harmless']
      const folded = (other: string) => other.toLowerCase()
      const prefix = await getByColumnSimilar(em, Word, 'copy', text)
      const wanted = all.filter((other) => folded(other).startsWith(folded(text)))
      assert.equal(prefix.map(({ copy }) => copy).toSorted(), wanted.toSorted(), text)
      const anywhere = await getByColumnSimilar(em, Word, 'copy', text, { match: 'anywhere' })
      const containing = all.filter((other) => folded(other).includes(folded(text)))
      assert.equal(anywhere.map(({ copy }) => copy).toSorted(), containing.toSorted(), text)
    }
  })

  test('as a filter, it is a value and never an operator', async ({ em }) => {
    for (const text of HOSTILE.map(stored)) {
      assert.equal(
        (await getRange(em, Word, { filters: { copy: text } })).map(({ copy }) => copy),
        [text],
      )
      assert.is((await getRange(em, Word, { filters: { copy: { $in: [text] } } })).length, 1)
      assert.is((await getRange(em, Word, { filters: { $and: [{ copy: text }, { text }] } })).length, 1)
    }
  })

  test('as the name of a column it is an error, and nothing is sent', async ({ em, sent }) => {
    for (const text of HOSTILE.filter((each) => !['$or', '$ne'].includes(each))) {
      for (const ask of [
        () => getByColumnLower(em, Word, text as any, 'x'),
        () => getByColumnSimilar(em, Word, text as any, 'x'),
        () => getByColumnExactThenIlike(em, Word, text as any, 'x'),
        () => getRange(em, Word, { orderBy: text as any }),
        () => getRange(em, Word, { orderBy: ['copy', `copy${text}x` as any] }),
        () => getRange(em, Word, { filters: { [`no${text}copy`]: 'x' } as any }),
        () => getRange(em, Word, { filters: { [`copy.${text}`]: 'x' } as any }),
        () => getRange(em, Word, { filters: { [`copy::text${text}`]: 'x' } as any }),
        () => getRange(em, Word, { filters: { $or: [{ $not: { [text]: 'x' } }] } as any }),
      ]) {
        assert.instance(await rejection(ask()), UnknownColumnError)
      }
    }
    assert.equal(sent, [])
  })

  test('as any other argument it is an error, and nothing is sent', async ({ em, sent }) => {
    for (const text of HOSTILE as any[]) {
      for (const ask of [
        () => getRange(em, Word, { limit: text }),
        () => getRange(em, Word, { offset: text }),
        () => getRange(em, Word, { direction: text }),
        () => getByColumnSimilar(em, Word, 'copy', 'x', { match: text }),
        () => getByColumnLower(em, Word, 'copy', 'x', { many: true, limit: text }),
        () => getByIds(em, Word, text),
      ]) {
        assert.instance(await rejection(ask()), QueryArgumentError)
      }
    }
    assert.equal(sent, [])
  })

  test('as a name in a JSON document it is that name, or refused where MikroORM would write the value into it', async (world) => {
    const { em, sent } = world
    const ask = (filters: object) => getRange(em, Word, { filters: filters as any })
    for (const text of HOSTILE.map(stored).filter((each) => !each.startsWith('$') && each !== '')) {
      em.clear()
      const [word] = await ask({ text: 'harmless' })
      Object.assign(word as object, { data: { [text]: 'found' } })
      await em.flush()
      const statements = sent.length
      const found = ask({ data: { [text]: 'found' } })
      if (/\?|alias/.test(text)) {
        assert.instance(await rejection(found), QueryArgumentError)
        assert.instance(
          await rejection(ask({ $or: [{ data: { a: { [text]: `x' or 1=1 --` } } }] })),
          QueryArgumentError,
        )
        assert.instance(await rejection(ask({ [`data.${text}`]: `' or 1=1 --` })), QueryArgumentError)
        assert.is(sent.length, statements)
      } else {
        assert.equal(
          (await found).map(({ copy }) => copy),
          ['harmless'],
          text,
        )
      }
    }
  })

  test('the values are not in the text of the statements', async ({ em, sent }) => {
    const mark = `mark'er%`
    await getById(em, Word, mark)
    await getByIds(em, Word, [mark, 'other'])
    await getByColumnLower(em, Word, 'copy', mark)
    await getByColumnSimilar(em, Word, 'copy', mark, { match: 'anywhere' })
    await getByColumnExactThenIlike(em, Word, 'copy', mark)
    await getRange(em, Word, { filters: { copy: mark }, orderBy: 'copy', caseSensitive: false, offset: 3 })
    assert.is(sent.length, 7)
    for (const line of sent) assert.not.match(line, /mark/)
  })

  test('the character U+0000 finds nothing, and costs no statement', async ({ em, sent }) => {
    for (const text of ['\0', 'harm\0less', 'harmless\0', '\0%']) {
      assert.is(await getById(em, Word, text), null)
      assert.is(await getByColumnLower(em, Word, 'copy', text), null)
      assert.equal(await getByColumnLower(em, Word, 'copy', text, { many: true }), [])
      assert.equal(await getByColumnSimilar(em, Word, 'copy', text), [])
      assert.is(await getByColumnExactThenIlike(em, Word, 'copy', text), null)
      assert.equal(await getByIds(em, Word, [text]), [])
    }
    assert.equal(sent, [])
    assert.is((await getByIds(em, Word, ['\0', 'harmless'])).length, 1)
  })

  test('letters beyond ASCII are folded as the database folds them', async ({ em, look }) => {
    const folds = (await look.value(`select lower('Ü')`)) === 'ü'
    if (dialect === 'sqlite') assert.not.ok(folds)
    assert.is((await getByColumnSimilar(em, Word, 'copy', 'ÜNÏ')).length, folds ? 1 : 0)
    assert.is((await getByColumnSimilar(em, Word, 'copy', 'ünï')).length, 1)
  })

  test.run()
}
