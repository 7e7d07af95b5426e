/** The entities that the tests of the model helpers store. */
import { defineEntity, p, type InferEntity, type Opt, type PrimaryKeyProp } from '@mikro-orm/core'
import { DeclaredTable, UtilityRepository } from '../../source/index.ts'

export const Place = defineEntity({
  name: 'Place',
  embeddable: true,
  properties: { city: p.string(), zip: p.string().nullable() },
})

export const Writer = defineEntity({
  name: 'Writer',
  extends: DeclaredTable,
  properties: {
    id: p.integer().primary(),
    name: p.string(),
    password: p.string().hidden().nullable(),
    place: () => p.embedded(Place).nullable(),
    former: () => p.embedded(Place).object().nullable(),
    novels: () => p.oneToMany(Novel).mappedBy('writer'),
    portrait: () => p.oneToOne(Portrait).mappedBy('writer').nullable(),
  },
})

export const Portrait = defineEntity({
  name: 'Portrait',
  extends: DeclaredTable,
  properties: { id: p.integer().primary(), writer: () => p.oneToOne(Writer).nullable() },
})

export const Novel = defineEntity({
  name: 'Novel',
  extends: DeclaredTable,
  repository: () => NovelRepository,
  properties: {
    id: p.integer().primary(),
    title: p.string(),
    createdAt: p.datetime(3).onCreate(() => new Date('2026-01-02T03:04:05.678Z')),
    summary: p.text().lazy().nullable(),
    body: p.text().lazy().ref().nullable(),
    pages: p.integer().nullable(),
    key: p.uuid().nullable(),
    shout: p.string().formula((columns) => `upper(${columns.title})`),
    note: p.string().persist(false).nullable(),
    writer: () => p.manyToOne(Writer).nullable(),
    editor: () => p.manyToOne(Writer).ref().nullable(),
    writers: () => p.manyToMany(Writer),
  },
})
export type NovelType = InferEntity<typeof Novel>
export class NovelRepository extends UtilityRepository<NovelType> {}

/** As a class, whose key has two columns and whose row refers to another. */
export class Chapter extends DeclaredTable {
  declare [PrimaryKeyProp]?: ['language', 'number']
  language!: string
  number!: number
  heading!: string
  pages: Opt<number> = 10
  novel: NovelType | null = null
  upper(): string {
    return this.heading.toUpperCase()
  }
}
export const ChapterTable = defineEntity({
  class: Chapter,
  properties: {
    language: p.string().primary(),
    number: p.integer().primary(),
    heading: p.string(),
    pages: p.integer(),
    novel: () => p.manyToOne(Novel).nullable(),
  },
})

/** As a class that extends what was defined. */
const ScrollSchema = defineEntity({
  name: 'Scroll',
  extends: DeclaredTable,
  properties: { id: p.integer().primary(), text: p.string(), chapter: () => p.manyToOne(ChapterTable).nullable() },
})
export class Scroll extends ScrollSchema.class {
  length(): number {
    return this.text.length
  }
}
ScrollSchema.setClass(Scroll)

export const LIBRARY = [Place, Writer, Portrait, Novel, ChapterTable, ScrollSchema]
