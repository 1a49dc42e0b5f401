import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { STATION_SOURCE } from '../src/station-source.ts'
import { stationRecordsFrom } from './station-records.ts'

const vegaDatasets = new URL('../node_modules/vega-datasets/', import.meta.url)
const readJson = async (path: string): Promise<unknown> => JSON.parse(await readFile(new URL(path, vegaDatasets), 'utf8'))

test('makes 344 station records with ids in the order of the source', async () => {
  const records = stationRecordsFrom(await readJson('data/penguins.json'))

  expect(records).toHaveLength(344)
  expect(new Set(records.map((record) => record.id)).size).toBe(344)
  expect(records[0]).toEqual({
    id: 'palmer-001',
    species: 'Adelie',
    island: 'Torgersen',
    billLengthMm: 39.1,
    billDepthMm: 18.7,
    flipperLengthMm: 181,
    bodyMassG: 3750,
    sex: 'male',
  })
  expect(records.at(-1)?.id).toBe('palmer-344')
})

test('keeps what was not measured as null and invents nothing', async () => {
  const records = stationRecordsFrom(await readJson('data/penguins.json'))
  const missing = (field: 'billLengthMm' | 'billDepthMm' | 'flipperLengthMm' | 'bodyMassG' | 'sex') =>
    records.filter((record) => record[field] === null).length

  expect(missing('billLengthMm')).toBe(2)
  expect(missing('billDepthMm')).toBe(2)
  expect(missing('flipperLengthMm')).toBe(2)
  expect(missing('bodyMassG')).toBe(2)
  expect(missing('sex')).toBe(11) // ten null and one "."
  expect(Object.keys(records[0] ?? {}).filter((field) => /date|AtMs/.test(field))).toEqual([])
})

test('names the row that is not a penguin record', () => {
  const penguin = { Species: 'Emperor', Island: 'Dream' }

  expect(() => stationRecordsFrom([penguin])).toThrow('Row 1 of penguins.json')
  expect(() => stationRecordsFrom({})).toThrow('array of rows')
})

test('shows the source and licence that the data package states', async () => {
  const { resources } = (await readJson('datapackage.json')) as {
    resources: { name: string; description?: string; licenses?: { name: string }[]; sources?: { title: string; path: string }[] }[]
  }
  const penguins = resources.find((resource) => resource.name === 'penguins')

  expect(penguins?.licenses?.map((licence) => licence.name)).toEqual([STATION_SOURCE.licence])
  expect(penguins?.sources).toContainEqual({ title: STATION_SOURCE.title, path: STATION_SOURCE.url })
  expect(penguins?.description).toContain(STATION_SOURCE.collector)
})
