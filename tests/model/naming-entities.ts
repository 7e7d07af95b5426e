/** Entities with a constraint of every kind, and with names that are too long for PostgreSQL. */
import { defineEntity, p } from '@mikro-orm/core'

const LONG = 'measurementOfTheAverageTemperatureOverTheWholeOfTheDay'

export const Publisher = defineEntity({
  name: 'Publisher',
  tableName: 'publishing_houses',
  properties: { id: p.integer().primary(), name: p.string().unique() },
})

export const Shelf = defineEntity({
  name: 'Shelf',
  properties: { row: p.integer().primary(), place: p.integer().primary(), label: p.string() },
})

export const Volume = defineEntity({
  name: 'Volume',
  indexes: [{ properties: ['title', 'year'] }],
  uniques: [{ properties: ['isbn', 'year'] }],
  checks: [{ name: 'ck_volume_after_print', expression: 'year > 1400' }],
  properties: {
    id: p.integer().primary(),
    title: p.string().index(),
    isbn: p.string().unique(),
    year: p.integer(),
    price: p.integer().check('price >= 0'),
    state: p.enum(['new', 'used']),
    publisher: () => p.manyToOne(Publisher).nullable(),
    sequelOf: () => p.manyToOne(Volume).nullable(),
    cover: () => p.oneToOne(Cover).nullable(),
    translator: () => p.manyToOne(Publisher).nullable().foreignKeyName('named_by_hand'),
    tags: () => p.manyToMany(Publisher),
  },
})

export const Cover = defineEntity({ name: 'Cover', properties: { id: p.integer().primary(), artist: p.string() } })

export const LongNames = defineEntity({
  name: 'LongNames',
  tableName: 'weather_station_measurement_archive',
  properties: {
    id: p.integer().primary(),
    // the first 63 bytes of the names of their constraints are the same
    [`${LONG}In`]: p.integer().unique(),
    [`${LONG}Inside`]: p.integer().unique(),
    größteGemesseneTemperaturInDerÄußerstenAbstellkammer: p.integer().index(),
    [`${LONG}Station`]: () => p.manyToOne(Publisher).nullable(),
    [`${LONG}Stations`]: () => p.manyToMany(Publisher),
  },
})

/** A child table: its row refers to that of its parent. */
export const Vehicle = defineEntity({
  name: 'Vehicle',
  inheritance: 'tpt',
  properties: { id: p.integer().primary(), wheels: p.integer() },
})
export const Truck = defineEntity({ name: 'Truck', extends: Vehicle, properties: { load: p.integer() } })

export const NAMED = [Publisher, Volume, Cover, LongNames, Vehicle, Truck]

/** Foreign keys of two columns: one by itself, one that is checked late, one of a join table, and one that shares a column. */
export const Slot = defineEntity({
  name: 'Slot',
  properties: {
    id: p.integer().primary(),
    shelf: () => p.manyToOne(Shelf),
    next: () => p.manyToOne(Shelf).nullable().deferMode('deferred'),
    lent: () => p.manyToOne(Shelf).joinColumns('publisher_id', 'lent_place').nullable(),
    publisher: () => p.manyToOne(Publisher).nullable(),
    seen: () => p.manyToMany(Shelf),
  },
})
