import { expect, test } from 'vitest'
import { searchRecords } from './record-search.ts'
import type { StationRecord } from './schemas.ts'

const measured = { billLengthMm: 40, billDepthMm: 18, flipperLengthMm: 190, bodyMassG: 3800 }
const records: StationRecord[] = [
  { id: 'palmer-001', species: 'Adelie', island: 'Torgersen', sex: 'male', ...measured },
  { id: 'palmer-010', species: 'Adelie', island: 'Dream', sex: 'female', ...measured },
  { id: 'palmer-300', species: 'Gentoo', island: 'Biscoe', sex: null, ...measured },
]
const found = (query: string) => searchRecords(records, query).map((record) => record.id)

test('finds the records in which every word begins an id, species, island or sex', () => {
  expect(found('adelie')).toEqual(['palmer-001', 'palmer-010'])
  expect(found('  DREAM fem ')).toEqual(['palmer-010'])
  expect(found('300')).toEqual(['palmer-300'])
  expect(found('palmer-01')).toEqual(['palmer-010'])
  expect(found('unknown')).toEqual(['palmer-300'])
})

test('finds males without the females that contain the word', () => {
  expect(found('male')).toEqual(['palmer-001'])
})

test('an empty query finds everything, a foreign word nothing', () => {
  expect(found(' ')).toHaveLength(3)
  expect(found('emperor')).toEqual([])
})
