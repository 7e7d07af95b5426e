/** Whether a server does what it is measured for: its answer, and what is stored then, seen from another connection. */
import assert from 'node:assert/strict'
import type { SecondLook } from '../../tests/support/second-look.ts'
import { FAILURE, SHAPES, type Work } from './works.ts'

export interface Looks {
  readonly main: SecondLook
  readonly other?: SecondLook
}

export interface HttpAnswer {
  readonly status: number
  readonly body: string
}

export async function request(port: number, work: Work, argument: string): Promise<HttpAnswer> {
  const response = await fetch(`http://127.0.0.1:${port}/${work}/${argument}`, { method: SHAPES[work].method })
  return { status: response.status, body: await response.text() }
}

/** @throws AssertionError */
export async function verify(port: number, work: Work, looks: Looks, label: string): Promise<void> {
  const id = '17'
  const article = async () => (await looks.main.rows(`select id, title, views from article where id = ${id}`))[0]!
  const before = await article()
  const argument = SHAPES[work].argument === 'article' ? id : label
  const { status, body } = await request(port, work, argument)
  assert.equal(status, SHAPES[work].status, body)
  const [main, other] = [await notes(looks.main, label), looks.other ? await notes(looks.other, label) : []]
  const [inMain, inOther] = storedBy(work)
  assert.deepEqual([main.length, other.length], [inMain, inOther])
  switch (work) {
    case 'none':
      assert.equal(body, '{"ok":true}')
      break
    case 'read':
    case 'read-in-transaction':
      assert.equal(body, JSON.stringify(before))
      assert.deepEqual(await article(), before)
      break
    case 'read-write':
      assert.equal(body, JSON.stringify({ ...before, views: Number(before['views']) + 1 }))
      assert.equal(JSON.stringify(await article()), body)
      break
    case 'fail':
      assert.equal(body, FAILURE)
      break
    case 'write':
    case 'two': {
      assert.deepEqual(JSON.parse(body), main[0])
      break
    }
  }
}

/** Notes that one request leaves in each database. */
export function storedBy(work: Work): readonly [number, number] {
  return [work === 'write' || work === 'two' ? 1 : 0, work === 'two' ? 1 : 0]
}

async function notes({ rows }: SecondLook, label: string) {
  return await rows(`select id, label from note where label = '${label}'`)
}

/** That every request of a load that was answered is stored, once. @throws AssertionError */
export async function verifyLoad(work: Work, looks: Looks, label: string, requests: number): Promise<void> {
  const count = async (look?: SecondLook) => (look ? await look.value(countSql(label)) : 0)
  const [main, other] = storedBy(work)
  assert.deepEqual([await count(looks.main), await count(looks.other)], [main * requests, other * requests])
}

function countSql(label: string): string {
  return `select count(*) from note where label = '${label}'`
}
