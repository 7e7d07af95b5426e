/** Steps that read, and statements that fail. */
import { Fact, Note } from './entities.ts'
import { readFacts, readMode } from './perform-asked.ts'
import { readConnection } from './perform-left-behind.ts'
import type { StepOf } from './program.ts'
import type { Stage } from './stage.ts'

export async function performRead(stage: Stage, { role, how }: StepOf<'read'>): Promise<void> {
  const em = stage.em(role)
  switch (how) {
    case 'find':
      return void (await stage.ask(role, () => em.find(Note, { text: { $like: 'shared-%' } })))
    case 'count':
      return void (await stage.ask(role, () => em.count(Fact)))
    case 'raw':
      return void (await stage.ask(role, () => em.execute('select count(*) from note')))
    case 'all facts':
      return await readFacts(stage, role)
    case 'its mode':
      return await readMode(stage, role)
    case 'its connection':
      return await readConnection(stage, role)
    case 'by id':
      return void (await stage.ask(role, () => em.findOne(Fact, 1)))
  }
}

export async function performFailure(stage: Stage, { role, how }: StepOf<'fail'>): Promise<void> {
  const em = stage.em(role)
  switch (how) {
    case 'unique':
      return void (await stage.ask(role, () => em.insert(Note, { text: 'taken' })))
    case 'division': {
      const sql = stage.role(role).dialect === 'postgresql' ? 'select 1 / 0' : `select json('{')`
      return void (await stage.ask(role, () => em.execute(sql)))
    }
    case 'validation':
      stage.unit.poisoned.add(role)
      em.create(Fact, {} as never)
      return await stage.flush(role)
    case 'unique at flush':
      stage.unit.poisoned.add(role)
      em.create(Note, { text: 'taken' })
      return await stage.flush(role)
    case 'late':
      stage.unit.poisoned.add(role)
      stage.context.dbSession.markChanged(role)
      return void (await stage.ask(role, () => em.execute('insert into late (parent) values (-1)')))
  }
}

export async function performStream(stage: Stage, { role, how }: StepOf<'stream'>): Promise<void> {
  const em = stage.em(role)
  if (how === 'abandoned') {
    const iterator = em.stream(Note)[Symbol.asyncIterator]()
    return void (await stage.ask(role, () => iterator.next()))
  }
  await stage.ask(role, async () => {
    for await (const note of em.stream(Note)) {
      if (how === 'with a read inside') await em.count(Note, { id: note.id })
    }
  })
}
