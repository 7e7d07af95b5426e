/** The scenarios, and the runner that plays them: what it must not let pass. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import { suite } from '../support/suite.ts'
import { play, type Playing } from './player.ts'
import { expectedWarnings, withoutWarnings } from './quiet.ts'
import { type RefusedFeature, refusedFeatures } from './refusals.ts'
import { readScenarios, type Scenario } from './scenario.ts'
import { show } from './show.ts'
import { sideBySide } from './side-by-side.ts'
import { judge } from './verdict.ts'

const test = suite('conformance')

const file = fileURLToPath(new URL('scenarios.jsonl', import.meta.url))
const scenarios = await readScenarios(file)

const quietly = <T>(work: () => Promise<T>) => withoutWarnings(expectedWarnings, work)

const scenario = (parts: Partial<Scenario>): Scenario => ({
  id: 'own',
  manager: { explicit: false },
  steps: [],
  expected: [],
  ...parts,
})

test('all 600 scenarios give the trace that Zope gave, but for those that meet a documented refusal', async () => {
  const skipped: Partial<Record<RefusedFeature, number>> = {}
  await quietly(async () => {
    for (const each of scenarios) {
      const verdict = await judge(each)
      if (verdict.is === 'different') assert.unreachable(sideBySide(each, verdict.trace, verdict.why))
      if (verdict.is === 'skipped') skipped[verdict.feature] = (skipped[verdict.feature] ?? 0) + 1
    }
  })
  assert.is(scenarios.length, 600)
  assert.equal(skipped, { stale: 28, recommit: 12, bare: 1, 'late-savepoint': 1 })
  assert.equal(Object.keys(skipped).toSorted(), Object.keys(refusedFeatures).toSorted())
})

const playings = quietly(() => Promise.all(scenarios.map((each) => play(each, 'at once'))))

/** Ways to get a trace wrong at one place; nothing where a way does not change anything. */
const alterations: Readonly<Record<string, (trace: readonly string[], at: number) => string[]>> = {
  'an event that is another one': (trace, at) => trace.toSpliced(at, 1, `${trace[at]}!`),
  'an event that is missing': (trace, at) => trace.toSpliced(at, 1),
  'an event too many': (trace, at) => trace.toSpliced(at, 0, trace[at] as string),
  'two events the other way round': (trace, at) => trace.toSpliced(at, 2, ...trace.slice(at, at + 2).toReversed()),
}

for (const [what, alter] of Object.entries(alterations)) {
  test(`an altered trace is caught, at every place of every scenario: ${what}`, async () => {
    let altered = 0
    for (const [index, each] of scenarios.entries()) {
      const played = (await playings)[index] as Playing
      // After a refusal nothing is compared.
      const end = played.refusals[0]?.at ?? played.trace.length
      for (let at = 0; at < end; at++) {
        const expected = alter(each.expected, at)
        if (expected.slice(0, end).join('\n') === each.expected.slice(0, end).join('\n')) continue
        altered++
        const verdict = await judge({ ...each, expected }, () => Promise.resolve(played))
        assert.is(verdict.is, 'different', `${each.id} at ${at}`)
      }
    }
    assert.ok(altered > 5000, `only ${altered} were altered`)
  })
}

test('a trace that goes on, or ends early, is caught', async () => {
  const [each] = scenarios as [Scenario]
  for (const expected of [[...each.expected, 'ok'], each.expected.slice(0, -1), []]) {
    assert.is((await judge({ ...each, expected })).is, 'different')
  }
})

const recommitting = scenario({
  resources: { A: { sortKey: 'a', actions: [{ method: 'commit', steps: [{ op: 'commit', catch: true }] }] } },
  steps: [{ op: 'join', resource: 'A' }, { op: 'commit' }],
  features: ['nested', 'recommit', 'reentrant'],
  expected: ['ok', 'A.tpc_begin', 'A.commit', 'whatever Zope did', 'ok'],
})

test('a scenario is skipped only if it meets a refusal of a feature it names, after the trace that Zope gave', async () => {
  assert.equal(await judge(recommitting), { is: 'skipped', feature: 'recommit' })
  assert.is((await judge({ ...recommitting, features: ['nested', 'stale'] })).is, 'different')
  const { features: _features, ...withoutFeatures } = recommitting
  assert.is((await judge(withoutFeatures)).is, 'different')
  assert.is((await judge({ ...recommitting, expected: ['ok', 'A.commit', 'A.tpc_begin'] })).is, 'different')
  const named = scenario({ steps: [{ op: 'begin' }], features: Object.keys(refusedFeatures), expected: ['ok', 'ok'] })
  assert.is((await judge(named)).is, 'different')
})

test('a refusal that run meets by itself is noted where it comes', async () => {
  const faults = [{ method: 'afterCompletion', nth: 1, error: 'ErrA' }]
  const running = scenario({
    synchronizers: { s1: { faults } },
    steps: [
      { op: 'registerSynch', synch: 's1' },
      { op: 'run', body: [{ op: 'commit', catch: true }] },
    ],
    expected: [
      'ok',
      's1.newTransaction',
      'try#1',
      's1.beforeCompletion',
      's1.afterCompletion',
      'raise ErrA:s1.afterCompletion#1',
      'whatever Zope did',
    ],
  })
  assert.equal(await judge(running), { is: 'skipped', feature: 'recommit' })
})

test('a refusal of a transaction without a manager counts as bare', async () => {
  const steps = [
    { op: 'bare', as: 't' },
    { op: 'commit', txn: 't' },
    { op: 'savepoint', txn: 't' },
  ]
  const bare = scenario({ steps, features: ['bare'], expected: ['ok', 'ok', 'ok'] })
  assert.equal(await judge(bare), { is: 'skipped', feature: 'bare' })
})

test('what only goes wrong with participants that answer by promises is caught too', async () => {
  const steps = [{ op: 'registerSynch', synch: 's1' }, { op: 'begin' }]
  const each = scenario({ synchronizers: { s1: {} }, steps, expected: ['ok', 's1.newTransaction', 'ok'] })
  assert.equal(await judge(each), { is: 'equal' })
  const later = await judge(each, async (_, answers) => ({
    trace: answers === 'later' ? [] : each.expected,
    refusals: [],
  }))
  assert.equal(later, { is: 'different', trace: [], why: 'with participants that answer by promises' })
})

test('a scenario that never ends, or that breaks the runner, is different, and the reason is told', async () => {
  const each = scenario({})
  const hanging = await judge(each, () => new Promise(() => {}), 1)
  assert.is(hanging.is, 'different')
  assert.match(sideBySide(each, [], hanging.is === 'different' ? hanging.why : ''), 'not settled after 1 ms')
  const broken = await judge(each, () => Promise.reject(new Error('it broke')))
  assert.match(broken.is === 'different' ? (broken.why ?? '') : '', 'it broke')
})

test('two traces are shown side by side, with a mark at the first line that differs', () => {
  const each = scenario({ id: 'x-1', name: 'a rule', expected: ['ok', 'A.abort', 'ok:a\nb'] })
  assert.equal(sideBySide(each, ['ok', 'A.commit']).split('\n'), [
    'x-1: a rule',
    '  expected  got',
    '  ok        ok',
    '> A.abort   A.commit',
    '  ok:a\\nb   ',
    '',
  ])
  assert.match(sideBySide(scenario({ profile: 'a mix', expected: ['ok'] }), ['ok', 'more']), '\n>           more\n')
})

test('values are shown as they are, and objects with their keys in order', () => {
  assert.equal(['text', 1, true, null, { b: [{ z: 1, y: 'two' }], a: null }].map(show), [
    'text',
    '1',
    'true',
    'null',
    '{"a":null,"b":[{"y":"two","z":1}]}',
  ])
})

test('only the warnings that a scenario may cause are kept back', async () => {
  const listeners = process.listeners('warning')
  const seen: string[] = []
  const note = (warning: Error) => seen.push(warning.message)
  process.removeAllListeners('warning')
  process.on('warning', note)
  try {
    await withoutWarnings(['TESTS_OTHER', 'TESTS_EXPECTED'], async () => {
      process.emitWarning('expected', { code: 'TESTS_EXPECTED' })
      process.emitWarning('unexpected', { code: 'TESTS_UNEXPECTED' })
    })
    process.emitWarning('later', { code: 'TESTS_EXPECTED' })
    await new Promise((resolve) => setImmediate(resolve))
  } finally {
    process.off('warning', note)
    for (const listener of listeners) process.on('warning', listener)
  }
  assert.equal(seen, ['unexpected', 'later'])
})

/** Runs the script as it is meant to be run. */
async function run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const script = fileURLToPath(new URL('../../scripts/conformance.ts', import.meta.url))
  return await new Promise((resolve) => {
    execFile(process.execPath, [script, ...args], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    })
  })
}

const lastLine = (text: string) => text.trimEnd().split('\n').at(-1)

async function withFile(text: string, work: (path: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'conformance-'))
  try {
    const path = join(folder, 'some.jsonl')
    await writeFile(path, text)
    await work(path)
  } finally {
    await rm(folder, { recursive: true })
  }
}

test('the script ends with the three numbers, says what it skipped and why, and exits 0', async () => {
  const { code, stdout, stderr } = await run(file)
  assert.is(stderr, '')
  assert.is(lastLine(stdout), 'equal 558, skipped 42, different 0')
  assert.match(stdout, 'skipped 28 for stale: A transaction that ended can do nothing more.')
  assert.is(code, 0)
})

test('the script shows all that differ if they are few', async () => {
  const lines = scenarios.slice(0, 5).map((each) => ({ ...each, expected: [] }))
  await withFile(lines.map((each) => JSON.stringify(each)).join('\n'), async (path) => {
    const { stdout } = await run(path)
    assert.is(lastLine(stdout), 'equal 0, skipped 0, different 5')
    assert.is(stdout.split('\n').filter((line) => line.trimEnd().endsWith('got')).length, 5)
    assert.not.match(stdout, 'more that differ')
  })
})

test('the script shows the first that differ, counts all and exits 1', async () => {
  const lines = scenarios.map((each, index) => ({
    ...each,
    expected: index < 12 ? [...each.expected, 'ok'] : each.expected,
  }))
  await withFile(`\uFEFF${lines.map((each) => JSON.stringify(each)).join('\r\n')}\r\n\r\n`, async (path) => {
    const { code, stdout } = await run(path)
    assert.match(lastLine(stdout) ?? '', /^equal \d+, skipped \d+, different 12$/)
    assert.is(stdout.split('\n').filter((line) => line.trimEnd().endsWith('got')).length, 5)
    assert.match(stdout, '... and 7 more that differ')
    assert.is(code, 1)
  })
})

test('the script refuses a file that it cannot read, or that is not in the format, and says why', async () => {
  const step = (parts: object) => JSON.stringify(scenario({ steps: [parts] as unknown as Scenario['steps'] }))
  const files: Readonly<Record<string, string>> = {
    'holds no scenario': '\n\n',
    'some.jsonl:2 is no JSON': '\n{',
    'some.jsonl:1 is no scenario': '{"id": "x"}',
    'some.jsonl:3 is no scenario': '\n\nnull',
    'scenario own: the step fly is not in the format': step({ op: 'fly' }),
    'scenario own: a participant named Z is not in the format': step({ op: 'join', resource: 'Z' }),
    'scenario own: the error class ErrZ is not in the format': step({ op: 'isRetryable', error: 'ErrZ' }),
  }
  for (const [reason, text] of Object.entries(files)) {
    await withFile(text, async (path) => {
      const { code, stdout, stderr } = await run(path)
      assert.match(stderr, reason)
      assert.match(stderr, 'usage: node scripts/conformance.ts FILE.jsonl')
      assert.equal([code, stdout], [2, ''])
    })
  }
  assert.match((await run('no/such/file')).stderr, 'ENOENT')
  for (const args of [[], ['one', 'two'], [tmpdir()]]) assert.is((await run(...args)).code, 2)
})

test.run()
