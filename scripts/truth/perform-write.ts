import { Fact, Note } from './entities.ts'
import { isDeclared, isHidden, mayBreakOff, sendHidden } from './perform-hidden-write.ts'
import type { StepOf } from './program.ts'
import type { Stage } from './stage.ts'

type WriteStep = StepOf<'write'>

/** The note that a step changes: its own, or one that others change as well. */
export function noteOf({ id, shared }: Pick<WriteStep, 'id' | 'shared'>, attempt: number): string {
  return shared === undefined ? `note-${id}.${attempt}` : `shared-${shared}`
}

export async function performWrite(stage: Stage, step: WriteStep): Promise<void> {
  const { role, how, via, flush } = step
  const em = stage.em(role, via)
  const mark = `w${stage.name(step)}`
  const note = noteOf(step, stage.unit.attempt)
  const fact = stage.cell(role, 'fact', mark)
  const noteCell = stage.cell(role, 'note', note)
  const since = stage.now()
  if (isHidden(how)) {
    const write = stage.write(step, role, fact, 1, {
      unmarked: !isDeclared(how),
      mayBreakOff: mayBreakOff(how),
    })
    const name = mark.replace('.', '_')
    return await stage.send(role, [write], () => sendHidden(how, { em, mark, note, name }))
  }
  switch (how) {
    case 'create':
      em.create(Fact, { text: mark })
      stage.write(step, role, fact, 1, { buffered: true })
      break
    case 'insert':
      return void (await stage.send(role, [stage.write(step, role, fact, 1)], () => em.insert(Fact, { text: mark })))
    case 'insertMany': {
      const texts = [mark, `${mark}-b`]
      const writes = texts.map((text) => stage.write(step, role, stage.cell(role, 'fact', text), 1))
      return void (await stage.send(role, writes, () =>
        em.insertMany(
          Fact,
          texts.map((text) => ({ text })),
        ),
      ))
    }
    case 'upsert': {
      const write = stage.write(step, role, stage.cell(role, 'note', `up-${mark}`), mark)
      return void (await stage.send(role, [write], () => em.upsert(Note, { text: `up-${mark}`, mark })))
    }
    case 'raw':
    case 'raw marked': {
      if (how === 'raw marked') stage.context.dbSession.markChanged(role)
      const write = stage.write(step, role, fact, 1, { unmarked: how === 'raw' })
      return void (await stage.send(role, [write], () => em.execute(`insert into fact (text) values ('${mark}')`)))
    }
    case 'kysely': {
      const insert = (em.getKysely() as any).insertInto('fact').values({ text: mark })
      return void (await stage.send(role, [stage.write(step, role, fact, 1)], () => insert.execute()))
    }
    case 'change': {
      const row = await stage.ask(role, () => em.findOneOrFail(Note, { text: note }))
      // Written down first: where the role cannot be used any more, nothing is assigned.
      stage.write(step, role, noteCell, mark, { buffered: true, since })
      row.mark = mark
      stage.level(role).entities.set(noteCell, row)
      break
    }
    case 'remove': {
      const row = await stage.ask(role, () => em.findOneOrFail(Note, { text: note }))
      em.remove(row)
      stage.write(step, role, noteCell, undefined, { buffered: true })
      break
    }
    case 'native update': {
      const write = stage.write(step, role, noteCell, mark)
      return void (await stage.send(role, [write], () => em.nativeUpdate(Note, { text: note }, { mark })))
    }
    case 'native delete': {
      const write = stage.write(step, role, noteCell, undefined)
      return void (await stage.send(role, [write], () => em.nativeDelete(Note, { text: note })))
    }
    case 'raw update': {
      const write = stage.write(step, role, noteCell, mark, { unmarked: true })
      const sql = `update note set mark = '${mark}' where text = '${note}'`
      return void (await stage.send(role, [write], () => em.execute(sql)))
    }
    case 'kysely update': {
      const update = (em.getKysely() as any).updateTable('note').set({ mark }).where('text', '=', note)
      return void (await stage.send(role, [stage.write(step, role, noteCell, mark)], () => update.execute()))
    }
  }
  if (flush) await stage.flush(role)
}
