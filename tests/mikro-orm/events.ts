/** What the library relies on of MikroORM's events of transactions, and of its log of them. */
import { helper, type EventSubscriber, type FlushEventArgs, type TransactionEventArgs } from '@mikro-orm/core'
import * as assert from 'uvu/assert'
import { Author } from '../memory/savepoint-world.ts'
import type { Reliance } from './reliance.ts'

export const EVENT_RELIANCES: readonly Reliance[] = [
  {
    what: 'A subscriber to onFlush finds the change sets, with what each writes by property, and the collections',
    where: ['session/report-flush.ts'],
    forms: ['unitOfWork', 'helper', 'field'],
    why: 'the debug panel shows what a request changed',
    async check({ sqlite: { orm } }) {
      const em = orm.em.fork({ freshEventManager: true })
      const author: any = await em.findOneOrFail(Author, 1)
      const found: unknown[] = []
      em.getEventManager().registerSubscriber({
        async onFlush({ uow }: FlushEventArgs) {
          for (const { type, payload, meta, entity } of uow.getChangeSets()) {
            found.push(type, meta.className, Object.keys(payload), helper(entity as any).getSerializedPrimaryKey())
          }
          found.push(
            uow.getCollectionUpdates().map(({ property, owner }) => [property.name, property.owner, owner === author]),
          )
          throw new Error('seen')
        },
      })
      author.name = 'changed'
      await em.flush().catch(() => undefined)
      assert.equal(found, ['update', 'Author', ['name'], '1', []])
    },
  },
  {
    what: 'Subscribers hear of a transaction in getSubscribers() of the event manager, from which none is taken away',
    where: ['session/transaction-events.ts', 'session/nested-subscribers.ts'],
    forms: ['listeners', 'unitOfWork'],
    why: 'where nobody hears of transactions, nothing is sent',
    async check({ sqlite: { orm } }) {
      const manager = orm.em.fork({ freshEventManager: true }).getEventManager()
      const subscriber: EventSubscriber = { afterTransactionCommit: () => undefined }
      manager.registerSubscriber(subscriber)
      assert.equal([...manager.getSubscribers()], [subscriber])
      assert.not.ok(Object.getOwnPropertyNames(Object.getPrototypeOf(manager)).some((name) => /^un|remove/.test(name)))
    },
  },
  {
    what: 'Subscribers hear of each savepoint as of a transaction, from broadcasters whose em is the entity manager',
    where: ['role/attach-orm.ts'],
    forms: ['override'],
    why: 'a savepoint of a session is not heard as a commit',
    async check({ sqlite: { orm } }) {
      const heard: string[] = []
      const em = orm.em.fork({ freshEventManager: true })
      em.getEventManager().registerSubscriber({
        afterTransactionCommit({ transaction }: TransactionEventArgs) {
          heard.push((transaction as { savepointName?: string }).savepointName ?? 'transaction')
        },
      })
      const broadcasters: any[] = []
      const connection: any = orm.driver.getConnection('write')
      const { commit } = connection
      connection.commit = function (...args: unknown[]) {
        broadcasters.push(args[1])
        return commit.apply(this, args)
      }
      let nested: unknown
      await em.transactional((own) => own.transactional(async (inner) => void (nested = inner)))
      delete connection.commit
      assert.equal(heard, ['trx1', 'transaction'])
      assert.is(broadcasters[0].em, nested)
    },
  },
  {
    what: 'A connection writes a statement to the log of MikroORM by logQuery(sql, context)',
    where: ['session/transaction-log.ts'],
    forms: ['cast'],
    why: 'the log shows how the transactions of sessions begin and end',
    check({ sqlite: { orm } }) {
      const connection: any = orm.driver.getConnection('write')
      const logger: any = orm.config.getLogger()
      const { logQuery } = logger
      const logged: unknown[] = []
      logger.logQuery = ({ query, label }: any) => void logged.push(query, label)
      connection.logQuery('begin', { label: 'a label' })
      logger.logQuery = logQuery
      assert.equal(logged, ['begin', 'a label'])
    },
  },
]
